"""Layer normalisation."""

from .registry import Lowering, lowering


@lowering("layer_norm")
class LayerNorm(Lowering):
    def sizes(self, node):
        length = node.attrs["length"]
        return {"K": length, "groups": node.out.size // length}

    def kind(self, node):
        """Which runs gamma and beta are of, and whether it is about the mean."""
        return {"runs": node.attrs["runs"], "centred": int(node.attrs["centred"])}

    def stats(self, lo, node):
        """Mean and reciprocal deviation of each run of features."""
        return lo.pl.buffer(lo.tensors[node.out] + ".stats", 2 * self.sizes(node)["groups"])

    def offset(self, lo, node, role):
        return lo.pl.store.places[node.variables[role]].off if role in node.variables else -1

    def vector(self, lo, node, role):
        return lo.variables("theta", node, self.offset(lo, node, role), (role,)) if role in node.variables else None

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        at = {role: self.vector(lo, node, role) for role in ("gamma", "beta")}
        stats = self.stats(lo, node)
        lo.emit("ln_fwd", y=lo.value(y), x=lo.value(x), **at, stats=stats, **self.sizes(node), **self.kind(node),
                epsilon=node.attrs["epsilon"])  # fmt: skip

    def backward(self, lo, node):
        x, given = node.inputs[0], {"stats": self.stats(lo, node), **self.sizes(node)}
        dy = lo.finished_gradient(node)
        if node.variables and lo.trains(node):
            lo.vectors.update(node.variables.values())
            offsets = {role: self.offset(lo, node, role) for role in ("gamma", "beta")}
            lo.emit("ln_params", grad=lo.slots(node), dy=dy, x=lo.value(x), stride=lo.pl.store.size, **offsets,
                    count=given["K"] * node.attrs["runs"], adds=lo.adds(node), **given)  # fmt: skip
        if x in lo.needs:
            ending = lo.epilogue(x)
            dx, done = lo.contribute(x)
            lo.emit("ln_bwd", dx=dx, dy=dy, x=lo.value(x), gamma=self.vector(lo, node, "gamma"), **given,
                    **self.kind(node), **ending)  # fmt: skip
            done()
