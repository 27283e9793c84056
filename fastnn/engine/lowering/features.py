"""Layers with parameters for each feature, maxout, and the penalty on outputs."""

import numpy as np

from .registry import Lowering, lowering

LEAST_DEVIATION = 1e-7  # Keras' epsilon: lower bound of the divisor of `Normalization`


def broadcast_map(shape, sample):
    """Which element of an array of `shape` each feature of a sample gets: None if its own, else int32 (features,)."""
    if tuple(shape) == tuple(sample):
        return None
    places = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    return np.ascontiguousarray(np.broadcast_to(places, sample)).reshape(-1)


class PerFeature(Lowering):
    def map(self, lo, node):
        found = broadcast_map(node.attrs["shape"], node.out.shape)
        return None if found is None else lo.pl.keep(found)

    def at(self, lo, node, role):
        return lo.variables("theta", node, lo.pl.store.places[node.variables[role]].off, (role,))

    def emit_forward(self, lo, node, kernel, **operands):
        x, y = node.inputs[0], node.out
        lo.emit(kernel, y=lo.value(y), x=lo.value(x), map=self.map(lo, node), F=y.size, **operands)

    def emit_backward(self, lo, node, kernel, **operands):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dy = lo.finished_gradient(node)
        dx, done = lo.contribute(x)
        lo.emit(kernel, way=lo.way(x, True), dx=dx, dy=dy, map=self.map(lo, node), F=x.size, **operands)
        done()


@lowering("prelu")
class PReLU(PerFeature):
    def forward(self, lo, node):
        self.emit_forward(lo, node, "prelu_fwd", alpha=self.at(lo, node, "alpha"))

    def backward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        if lo.trains(node):
            alpha, offset = node.variables["alpha"], pl.store.places[node.variables["alpha"]].off
            lo.vectors.add(alpha)
            start = members = None
            found = broadcast_map(node.attrs["shape"], y.shape)
            if found is not None:
                ends = np.cumsum(np.bincount(found, minlength=alpha.size))
                start = pl.keep(np.concatenate([[0], ends]).astype(np.int32))
                members = pl.keep(np.argsort(found, kind="stable").astype(np.int32))
            lo.emit("prelu_params", grad=lo.slots(node), dy=lo.finished_gradient(node), x=lo.value(x), start=start,
                    members=members, F=x.size, count=alpha.size, stride=pl.store.size, offset=offset,
                    adds=lo.adds(node))  # fmt: skip
        self.emit_backward(lo, node, "prelu_bwd", x=lo.value(x), alpha=self.at(lo, node, "alpha"))


@lowering("normalize")
class Normalize(PerFeature):
    def numbers(self, node):
        return {"least": LEAST_DEVIATION, "inverse": float(node.attrs["invert"])}

    def forward(self, lo, node):
        at = {role: self.at(lo, node, role) for role in ("mean", "variance")}
        self.emit_forward(lo, node, "normalize_fwd", **at, **self.numbers(node))

    def backward(self, lo, node):
        at = self.at(lo, node, "variance")
        self.emit_backward(lo, node, "normalize_bwd", variance=at, **self.numbers(node))


@lowering("maxout")
class Maxout(Lowering):
    shown = True

    def forward(self, lo, node):
        z, y = node.inputs[0], node.out
        lo.emit("maxout_fwd", y=lo.value(y), z=lo.value(z), units=y.size, k=node.attrs["k"])

    def backward(self, lo, node):
        z, y = node.inputs[0], node.out
        if z not in lo.needs:
            return
        dy = lo.finished_gradient(node)
        dz, done = lo.contribute(z)
        lo.emit("maxout_bwd", way="both", dz=dz, dy=dy, z=lo.value(z), y=lo.value(y), units=y.size,
                k=node.attrs["k"])  # fmt: skip
        done()


@lowering("activity")
class Activity(Lowering):
    """Its value is added to the loss by `loss_and_metrics`."""

    def forward(self, lo, node):
        pass

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dx, done = lo.contribute(x)
        rows = lo.pl.batch if lo.pl.by_row else 1  # the kernel has the mean over the batch
        l1, l2 = (rows * number for number in node.attrs["params"])
        lo.emit("activity_bwd", way="both", dx=dx, x=lo.value(x), F=x.size, l1=l1, l2=l2)
        done()
