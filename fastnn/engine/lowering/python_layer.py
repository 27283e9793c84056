"""Layers whose computation is written in Python."""

from ..graph import Tensor
from .registry import Lowering, lowering


@lowering("python")
class Python(Lowering):
    """A call of Python for one layer: the program is split before and after."""

    def forward(self, lo, node):
        layer, x, y = node.attrs["layer"], lo.tensors[node.inputs[0]], lo.tensors[node.out]
        lo.value(node.out), lo.value(node.inputs[0])
        lo.pl.part("python", ("call", layer, (x, Tensor(node.attrs["shape"])), (y, node.out)))
        lo.pl.part("forward")

    def backward(self, lo, node):
        layer, x = node.attrs["layer"], node.inputs[0]
        dx, done = lo.contribute(x) if x in lo.needs else (None, lambda: None)
        key = dx and dx.key
        lo.pl.part("python", ("backward", layer, (lo.gkey(node.out), node.out), (key, Tensor(node.attrs["shape"]))))
        lo.pl.part("backward")
        done()
