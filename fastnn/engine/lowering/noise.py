"""Layers that are random in training."""

from .lowerer import Lowering, lowering


@lowering("dropout")
class Dropout(Lowering):
    def forward(self, lo, node):
        x, y = node.inputs[0], node.out
        key = lo.tensors[x]
        if not lo.pl.training or node.attrs["rate"] == 0:
            lo.tensors[y] = key  # identity: the same buffer
            return
        mask = lo.tensors[y] + ".mask"
        split = lo.elementwise_split(key)
        numbers = [y.size, node.attrs["id"], *node.attrs["shared"]]
        lo.pl.emit("dropout", [lo.value(y), lo.value(x), lo.pl.buffer(mask, y.size)], numbers,
                   [node.attrs["rate"]], split=split, features=y.size,
                   access=[(lo.tensors[y], "w", True), (key, "r", True), (mask, "w", True)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def backward(self, lo, node):
        x, y = node.inputs[0], node.out
        if x not in lo.needs:
            return
        dx, key, done = lo.contribute(x)
        if node.attrs["rate"] == 0 or not lo.pl.training:
            lo.pl.emit("affine", [dx, lo.gradient(y)], [x.size], [1.0, 0.0], split="both", features=x.size,
                       access=[(key, "w", True), (lo.gkey(y), "r", True)])  # fmt: skip
        else:
            mask = lo.tensors[y] + ".mask"
            lo.pl.emit("mul", [dx, lo.gradient(y), lo.pl.buffer(mask, y.size)], [x.size],
                       split=lo.split_for(x, True), features=x.size,
                       access=[(key, "w", True), (lo.gkey(y), "r", True), (mask, "r", True)])  # fmt: skip
        done()


@lowering("noise")
class Noise(Lowering):
    """The kernels of src_c/loops/noise.inl.h: each stores dy/dx, unless it is 1 everywhere."""

    def mask(self, lo, node):
        if node.attrs["row"] == "gaussian_noise":
            return None, None
        key = lo.tensors[node.out] + ".mask"
        return key, lo.pl.buffer(key, node.out.size)

    def forward(self, lo, node):
        x, y, row, params = node.inputs[0], node.out, node.attrs["row"], node.attrs["params"]
        key = lo.tensors[x]
        training = lo.pl.training
        if not training and row != "rrelu":
            lo.tensors[y] = key  # identity: the same buffer
            return
        split = lo.elementwise_split(key)
        access = [(lo.tensors[y], "w", True), (key, "r", True)]
        if training:
            mask_key, mask = self.mask(lo, node)
            access += [] if mask is None else [(mask_key, "w", True)]
            numbers = [y.size, node.attrs["id"], *node.attrs["shared"]]
            lo.pl.emit(row, [lo.value(y), lo.value(x), mask], numbers, params, split=split, features=y.size,
                       access=access)  # fmt: skip
        else:
            lo.pl.emit("act_fwd", [lo.value(y), lo.value(x)], [y.size], [sum(params) / 2], [("act_fwd", "leaky_relu")],
                       split=split, features=y.size, access=access)  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def backward(self, lo, node):
        x, y = node.inputs[0], node.out
        if x not in lo.needs:
            return
        dx, key, done = lo.contribute(x)
        mask_key, mask = self.mask(lo, node) if lo.pl.training else (None, None)
        access = [(key, "w", True), (lo.gkey(y), "r", True)]
        where = {"split": lo.split_for(x, True), "features": x.size}
        if not lo.pl.training and node.attrs["row"] == "rrelu":
            operand = x if lo.rows["leaky_relu"] else y
            access.append((lo.tensors[operand], "r", True))
            lo.pl.emit("act_bwd", [dx, lo.gradient(y), lo.value(operand)], [x.size], [sum(node.attrs["params"]) / 2],
                       [("act_bwd", "leaky_relu")], access=access, **where)  # fmt: skip
        elif mask is None:
            lo.pl.emit("affine", [dx, lo.gradient(y)], [x.size], [1.0, 0.0], access=access, **where)
        else:
            access.append((mask_key, "r", True))
            lo.pl.emit("mul", [dx, lo.gradient(y), mask], [x.size], access=access, **where)
        done()
