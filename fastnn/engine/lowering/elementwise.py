"""Elementwise operations, softmax, and what joins tensors."""

from .registry import Lowering, lowering


@lowering("activation")
class Activation(Lowering):
    shown = True

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        lo.emit("act_fwd", y=lo.value(y), x=lo.value(x), F=y.size, act=node.attrs["row"], s=node.attrs["params"])

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        t = lo.value(x if lo.rows[node.attrs["row"]] else node.out)
        dy = lo.finished_gradient(node)
        dx, done = lo.contribute(x)
        lo.emit("act_bwd", way=lo.way(x, True), dx=dx, dy=dy, t=t, F=x.size, act=node.attrs["row"],
                s=node.attrs["params"])  # fmt: skip
        done()


@lowering("softmax")
class Softmax(Lowering):
    """Over the last axis of a sample."""

    shown = True

    def sizes(self, node):
        return {"K": node.attrs["length"], "groups": node.out.size // node.attrs["length"]}

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        lo.emit(node.attrs["row"] + "_fwd", y=lo.value(y), x=lo.value(x), **self.sizes(node))

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dx, done = lo.contribute(x)
        lo.emit(node.attrs["row"] + "_bwd", dx=dx, dy=lo.gradient(node.out), y=lo.value(node.out), **self.sizes(node))
        done()


@lowering("affine")
class Affine(Lowering):
    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        lo.emit("affine", y=lo.value(y), x=lo.value(x), F=y.size, **node.attrs)

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        lo.pass_on(node, x, node.attrs["scale"])


@lowering("add")
class Add(Lowering):
    def forward(self, lo, node):
        a, b = node.inputs
        lo.emit("add", y=lo.value(node.out), a=lo.value(a), b=lo.value(b), F=a.size)

    def backward(self, lo, node):
        for x in node.inputs:
            if x in lo.needs:
                lo.pass_on(node, x)
