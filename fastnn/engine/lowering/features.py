"""Layers with parameters for each feature, maxout, and the penalty on outputs."""

import numpy as np

from .lowerer import Lowering, lowering

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
        return lo.pl.at("theta", lo.pl.store.places[node.variables[role]].off)

    def emit_forward(self, lo, node, kernel, vectors, s=()):
        x, y = node.inputs[0], node.out
        split = lo.elementwise_split(lo.tensors[x])
        at = [self.at(lo, node, v) for v in vectors]
        lo.pl.emit(kernel, [lo.value(y), lo.value(x), *at, self.map(lo, node)], [y.size], s, split=split,
                   features=y.size,
                   access=[(lo.tensors[y], "w", True), (lo.tensors[x], "r", True),
                           (("w", node), "r", False)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def emit_backward(self, lo, node, kernel, operands, s=(), access=()):
        """operands: what follows dx and dy."""
        x, y = node.inputs[0], node.out
        if x not in lo.needs:
            return
        dy = lo.finished_gradient(node)
        dx, key, done = lo.contribute(x)
        lo.pl.emit(kernel, [dx, dy, *operands, self.map(lo, node)], [x.size], s, split=lo.split_for(x, True),
                   features=x.size,
                   access=[(key, "w", True), (lo.gkey(y), "r", True), (("w", node), "r", False), *access])  # fmt: skip
        done()


@lowering("prelu")
class PReLU(PerFeature):
    def forward(self, lo, node):
        self.emit_forward(lo, node, "prelu_fwd", ["alpha"])

    def backward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        if node.trainable:
            alpha = node.variables["alpha"]
            lo.vectors.add(alpha)
            start = members = None
            found = broadcast_map(node.attrs["shape"], y.shape)
            if found is not None:
                ends = np.cumsum(np.bincount(found, minlength=alpha.size))
                start = pl.keep(np.concatenate([[0], ends]).astype(np.int32))
                members = pl.keep(np.argsort(found, kind="stable").astype(np.int32))
            pl.emit("prelu_params", [lo.slots(), lo.finished_gradient(node), lo.value(x), start, members],
                    [x.size, alpha.size, pl.store.size, pl.store.places[alpha].off], split="features",
                    features=alpha.size,
                    access=[(lo.gkey(y), "r", False), (lo.tensors[x], "r", False), ("grad", "w", False)])  # fmt: skip
        self.emit_backward(lo, node, "prelu_bwd", [lo.value(x), self.at(lo, node, "alpha")],
                           access=[(lo.tensors[x], "r", True)])  # fmt: skip


@lowering("normalize")
class Normalize(PerFeature):
    def numbers(self, node):
        return [LEAST_DEVIATION, float(node.attrs["invert"])]

    def forward(self, lo, node):
        self.emit_forward(lo, node, "normalize_fwd", ["mean", "variance"], self.numbers(node))

    def backward(self, lo, node):
        self.emit_backward(lo, node, "normalize_bwd", [None, self.at(lo, node, "variance")], self.numbers(node))


@lowering("maxout")
class Maxout(Lowering):
    def forward(self, lo, node):
        z, y = node.inputs[0], node.out
        lo.pl.emit("maxout_fwd", [lo.value(y), lo.value(z)], [y.size, node.attrs["k"]], split="both",
                   features=y.size,
                   access=[(lo.tensors[y], "w", True), (lo.tensors[z], "r", False)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = "both"

    def backward(self, lo, node):
        z, y = node.inputs[0], node.out
        if z not in lo.needs:
            return
        dy = lo.finished_gradient(node)
        dz, key, done = lo.contribute(z)
        lo.pl.emit("maxout_bwd", [dz, dy, lo.value(z), lo.value(y)], [y.size, node.attrs["k"]], split="both",
                   features=y.size,
                   access=[(key, "w", False), (lo.gkey(y), "r", True), (lo.tensors[z], "r", False),
                           (lo.tensors[y], "r", True)])  # fmt: skip
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
        dx, key, done = lo.contribute(x)
        lo.pl.emit("activity_bwd", [dx, lo.value(x)], [x.size], node.attrs["params"], split="both",
                   features=x.size,
                   access=[(key, "w", True), (lo.tensors[x], "r", False)])  # fmt: skip
        done()
