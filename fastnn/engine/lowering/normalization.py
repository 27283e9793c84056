"""Layer normalisation."""

from .lowerer import Lowering, lowering


@lowering("layer_norm")
class LayerNorm(Lowering):
    def sizes(self, node):
        length = node.attrs["length"]
        return [length, node.out.size // length]

    def stats(self, lo, node):
        """Mean and reciprocal deviation of each run of features."""
        key = lo.tensors[node.out] + ".stats"
        return key, lo.pl.buffer(key, 2 * self.sizes(node)[1])

    def vector(self, lo, node, role):
        return lo.pl.store.places[node.variables[role]].off if role in node.variables else -1

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        at = [self.vector(lo, node, role) for role in ("gamma", "beta")]
        key, stats = self.stats(lo, node)
        lo.pl.emit("ln_fwd", [lo.value(y), lo.value(x), *(lo.pl.at("theta", o) if o >= 0 else None for o in at), stats],
                   self.sizes(node), [node.attrs["epsilon"]], split="samples",
                   access=[(lo.tensors[y], "w", True), (lo.tensors[x], "r", False), (key, "w", True),
                           (("w", node), "r", False)])  # fmt: skip

    def backward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        dy = lo.finished_gradient(node)
        key, stats = self.stats(lo, node)
        gamma, beta = (self.vector(lo, node, role) for role in ("gamma", "beta"))
        if node.trainable and node.variables:
            lo.vectors.update(node.variables.values())
            length, groups = self.sizes(node)
            pl.emit("ln_params", [lo.slots(), dy, lo.value(x), stats], [length, groups, pl.store.size, gamma, beta],
                    split="features", features=length,
                    access=[(lo.gkey(y), "r", False), (lo.tensors[x], "r", False), (key, "r", False),
                            ("grad", "w", False)])  # fmt: skip
        if x in lo.needs:
            operand, fn, params = lo.epilogue(x)
            dx, dkey, done = lo.contribute(x)
            pl.emit("ln_bwd", [dx, dy, lo.value(x), pl.at("theta", gamma) if gamma >= 0 else None, stats, operand],
                    self.sizes(node), params, fn, split="samples",
                    access=[(dkey, "w", True), (lo.gkey(y), "r", False), (lo.tensors[x], "r", False), (key, "r", True),
                            (("w", node), "r", False)])  # fmt: skip
            done()
