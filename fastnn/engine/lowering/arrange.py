"""Operations that move features about inside a sample, and add them up: src_c/loops/arrange.inl.h."""

import numpy as np

from .features import broadcast_map
from .registry import Lowering, lowering


class Moved(Lowering):
    """Each feature of the result is one of the input (`pick`), or the sum of some (`collect`)."""

    def factor(self, node):
        """The number with which all are multiplied."""
        return 1.0

    def map(self, node):
        """int32: for each feature on the side with more of them (of a permutation: the result), that on the other."""
        raise NotImplementedError(node.kind)

    def pick(self, lo, node, y, x, width, way=None):
        places = self.map(node)
        lo.emit("pick", way=way, y=y, x=x, map=lo.pl.keep(places), F=places.size, width=width, scale=self.factor(node))

    def collect(self, lo, node, y, x, size, way=None):
        places = self.map(node)
        start = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=size))]).astype(np.int32)
        members = np.argsort(places, kind="stable").astype(np.int32)
        lo.emit("collect", way=way, y=y, x=x, start=lo.pl.keep(start), members=lo.pl.keep(members), F=size,
                width=places.size, scale=self.factor(node))  # fmt: skip

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        self.pick(lo, node, lo.value(y), lo.value(x), x.size)

    def backward(self, lo, node):
        x = node.inputs[0]
        if x in lo.needs:
            dy = lo.finished_gradient(node)
            dx, done = lo.contribute(x)
            self.collect(lo, node, dx, dy, x.size, lo.way(x, True))
            done()


@lowering("permute")
class Permute(Moved):
    def map(self, node):
        places = np.arange(node.out.size, dtype=np.int32).reshape(node.attrs["shape"])
        return np.ascontiguousarray(places.transpose(node.attrs["axes"])).reshape(-1)


@lowering("broadcast")
class Broadcast(Moved):
    def map(self, node):
        return broadcast_map(node.attrs["shape"], node.out.shape)


@lowering("mean")
class Mean(Moved):
    """Over the first axis of a sample."""

    def factor(self, node):
        return 1.0 / node.attrs["length"]

    def map(self, node):
        return np.tile(np.arange(node.out.size, dtype=np.int32), node.attrs["length"])

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        self.collect(lo, node, lo.value(y), lo.value(x), y.size)

    def backward(self, lo, node):
        x = node.inputs[0]
        if x in lo.needs:
            dy = lo.finished_gradient(node)
            dx, done = lo.contribute(x)
            self.pick(lo, node, dx, dy, node.out.size, lo.way(x, True))
            done()


@lowering("slice")
class Slice(Lowering):
    """Neighbouring features, from `first` on. All slices of a tensor write their gradients into one buffer."""

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        lo.emit("copy_part", way="samples", y=lo.value(y), x=lo.value(x), F=y.size, y_width=y.size, y_first=0,
                x_width=x.size, x_first=node.attrs["first"])  # fmt: skip

    def backward(self, lo, node):
        x, y = node.inputs[0], node.out
        if x in lo.needs:
            dy, count = lo.finished_gradient(node), lo.grads.get(x, 0)
            lo.grads[x] = count + 1
            lo.emit("add_slice", y=lo.gradient(x), x=dy, F=y.size, width=x.size, first=node.attrs["first"],
                    adds=int(count > 0))  # fmt: skip


@lowering("unit")
class Unit(Lowering):
    """Runs of unit length, along one axis of a sample."""

    def sizes(self, node):
        shape, axis = node.attrs["shape"], node.attrs["axis"]
        groups, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
        return {"groups": groups, "K": shape[axis], "inner": inner, "least": node.attrs["least"]}

    def forward(self, lo, node):
        lo.emit("unit_fwd", y=lo.value(node.out), x=lo.value(node.inputs[0]), **self.sizes(node))

    def backward(self, lo, node):
        x = node.inputs[0]
        if x in lo.needs:
            dy = lo.finished_gradient(node)
            dx, done = lo.contribute(x)
            lo.emit("unit_bwd", dx=dx, dy=dy, x=lo.value(x), **self.sizes(node))
            done()


@lowering("dot")
class Dot(Lowering):
    """Sums of products over an axis of each of two tensors."""

    def steps(self, shape, axis):
        """Features from an index of the other axes to the next one, and along the axis; how many others there are.

        The other axes are one: those before the axis, and those after it. With both, the tensor is permuted first."""
        inner = int(np.prod(shape[axis + 1 :]))
        outer = int(np.prod(shape[:axis]))
        return (1, inner, inner) if outer == 1 else (shape[axis], 1, outer)

    def forward(self, lo, node):
        a, b = node.inputs
        (m, ka, rows), (o, kb, columns) = (self.steps(*node.attrs[name]) for name in ("a", "b"))
        lo.emit("product", y=lo.value(node.out), a=lo.value(a), b=lo.value(b), M=rows, O=columns,
                K=node.attrs["length"], ma=(m, ka), ob=(o, kb), moy=(columns, 1))  # fmt: skip

    def backward(self, lo, node):
        a, b = node.inputs
        dy, length = lo.finished_gradient(node), node.attrs["length"]
        (m, ka, rows), (o, kb, columns) = (self.steps(*node.attrs[name]) for name in ("a", "b"))
        if a in lo.needs:  # da[m, k] = sum over o of dy[m, o] b[o, k]
            da, done = lo.contribute(a)
            lo.emit("product", y=da, a=dy, b=lo.value(b), M=rows, O=length, K=columns, ma=(columns, 1), ob=(kb, o),
                    moy=(m, ka))  # fmt: skip
            done()
        if b in lo.needs:
            db, done = lo.contribute(b)
            lo.emit("product", y=db, a=dy, b=lo.value(a), M=columns, O=length, K=rows, ma=(1, columns), ob=(ka, m),
                    moy=(o, kb))  # fmt: skip
            done()
