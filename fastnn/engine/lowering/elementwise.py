"""Elementwise operations, softmax, and what joins tensors."""

from .lowerer import Lowering, lowering


@lowering("activation")
class Activation(Lowering):
    def operands(self, lo, node):
        from_input = lo.rows[node.attrs["row"]]
        operand = node.inputs[0] if from_input else node.out
        return lo.tensors[operand], lo.value(operand)

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        split = lo.elementwise_split(lo.tensors[x])
        lo.pl.emit("act_fwd", [lo.value(y), lo.value(x)], [y.size], node.attrs["params"],
                   [("act_fwd", node.attrs["row"])], split=split, features=y.size,
                   access=[(lo.tensors[y], "w", True), (lo.tensors[x], "r", True)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        key, operand = self.operands(lo, node)
        dy = lo.finished_gradient(node)
        dx, dkey, done = lo.contribute(x)
        lo.pl.emit("act_bwd", [dx, dy, operand], [x.size], node.attrs["params"], [("act_bwd", node.attrs["row"])],
                   split=lo.split_for(x, True), features=x.size,
                   access=[(dkey, "w", True), (lo.gkey(node.out), "r", True), (key, "r", True)])  # fmt: skip
        done()


@lowering("softmax")
class Softmax(Lowering):
    """Over the last axis of a sample."""

    def sizes(self, node):
        return [node.attrs["length"], node.out.size // node.attrs["length"]]

    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        lo.pl.emit(node.attrs["row"] + "_fwd", [lo.value(y), lo.value(x)], self.sizes(node), split="samples",
                   access=[(lo.tensors[y], "w", True), (lo.tensors[x], "r", True)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = "samples"

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dx, key, done = lo.contribute(x)
        lo.pl.emit(node.attrs["row"] + "_bwd", [dx, lo.gradient(node.out), lo.value(node.out)], self.sizes(node),
                   split="samples",
                   access=[(key, "w", True), (lo.gkey(node.out), "r", True),
                           (lo.tensors[node.out], "r", True)])  # fmt: skip
        done()


@lowering("affine")
class Affine(Lowering):
    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        split = lo.split_for(y)
        lo.pl.emit("affine", [lo.value(y), lo.value(x)], [y.size], [node.attrs["scale"], node.attrs["offset"]],
                   split=split, features=y.size,
                   access=[(lo.tensors[y], "w", True), (lo.tensors[x], "r", True)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dx, key, done = lo.contribute(x)
        lo.pl.emit("affine", [dx, lo.gradient(node.out)], [x.size], [node.attrs["scale"], 0.0],
                   split=lo.split_for(x, True), features=x.size,
                   access=[(key, "w", True), (lo.gkey(node.out), "r", True)])  # fmt: skip
        done()


@lowering("add")
class Add(Lowering):
    def forward(self, lo, node):
        a, b = node.inputs
        lo.pl.emit("add", [lo.value(node.out), lo.value(a), lo.value(b)], [a.size], split="both",
                   features=a.size,
                   access=[(lo.tensors[node.out], "w", True), (lo.tensors[a], "r", True),
                           (lo.tensors[b], "r", True)])  # fmt: skip

    def backward(self, lo, node):
        for x in node.inputs:
            if x not in lo.needs:
                continue
            dx, key, done = lo.contribute(x)
            lo.pl.emit("affine", [dx, lo.gradient(node.out)], [x.size], [1.0, 0.0], split="both",
                       features=x.size, access=[(key, "w", True), (lo.gkey(node.out), "r", True)])  # fmt: skip
            done()
