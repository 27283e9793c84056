"""Layers that are random in training."""

from .registry import Lowering, lowering


def words(node):
    """Which elements have one random number: see `layers.dropout.shared_runs`."""
    axes, across, *sizes = node.attrs["shared"] or (0, 0)
    return {"id": node.attrs["id"], "axes": axes, "across": across, "sizes": sizes}


@lowering("dropout")
class Dropout(Lowering):
    def mask(self, lo, node):
        return lo.pl.buffer(lo.tensors[node.out] + ".mask", node.out.size)

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        key = lo.tensors[x]
        if not lo.pl.training or node.attrs["rate"] == 0:
            lo.tensors[y] = key  # identity: the same buffer
            return
        lo.emit("dropout", y=lo.value(y), x=lo.value(x), mask=self.mask(lo, node), F=y.size, **words(node),
                rate=node.attrs["rate"])  # fmt: skip

    def backward(self, lo, node):
        x, y = node.inputs[0], node.out
        if x not in lo.needs:
            return
        if node.attrs["rate"] == 0 or not lo.pl.training:
            lo.pass_on(node, x)
            return
        dx, done = lo.contribute(x)
        lo.emit("mul", way=lo.way(x, True), y=dx, a=lo.gradient(y), b=self.mask(lo, node), F=x.size)
        done()


@lowering("noise")
class Noise(Lowering):
    """The kernels of src_c/loops/noise.inl.h: each stores dy/dx, unless it is 1 everywhere."""

    def mask(self, lo, node):
        if node.attrs["row"] == "gaussian_noise":
            return None
        return lo.pl.buffer(lo.tensors[node.out] + ".mask", node.out.size)

    def forward(self, lo, node):
        x, y, row, params = node.inputs[0], node.out, node.attrs["row"], node.attrs["params"]
        key = lo.tensors[x]
        training = lo.pl.training
        if not training and row != "rrelu":
            lo.tensors[y] = key  # identity: the same buffer
            return
        if training:
            mask = self.mask(lo, node)
            lo.emit(row, y=lo.value(y), x=lo.value(x), mask=mask, F=y.size, **words(node), p=params)
        else:
            lo.emit("act_fwd", y=lo.value(y), x=lo.value(x), F=y.size, act="leaky_relu", s=[sum(params) / 2])

    def backward(self, lo, node):
        x, y = node.inputs[0], node.out
        if x not in lo.needs:
            return
        inference = not lo.pl.training
        mask = None if inference else self.mask(lo, node)
        if mask is None and not (inference and node.attrs["row"] == "rrelu"):
            lo.pass_on(node, x)
            return
        dx, done = lo.contribute(x)
        given = {"way": lo.way(x, True), "F": x.size}
        if inference:
            t = lo.value(x if lo.rows["leaky_relu"] else y)
            lo.emit("act_bwd", dx=dx, dy=lo.gradient(y), t=t, act="leaky_relu", s=[sum(node.attrs["params"]) / 2],
                    **given)  # fmt: skip
        else:
            lo.emit("mul", y=dx, a=lo.gradient(y), b=mask, **given)
        done()
