"""Batch normalisation: src_c/loops/cols.inl.h."""

from ..parameter_store import aligned
from .registry import Lowering, lowering

TRAINED = ("gamma", "beta")


@lowering("batch_norm")
class BatchNorm(Lowering):
    def vectors(self, lo, node):
        """Each of the layer's vectors by its role; None where the layer has none."""
        places, v = lo.pl.store.places, node.variables
        at = {role: lo.variables("theta", node, places[v[role]].off, (role,)) for role in v}
        return {role: at.get(role) for role in ("gamma", "beta", "mean", "variance")}

    def offsets(self, lo, node):
        places, v = lo.pl.store.places, node.variables
        return {role: places[v[role]].off if role in v else -1 for role in TRAINED}

    def normalised(self, lo, node):
        """The buffer with (x - mean) / deviation for `Lowerer.bn_of`: that of x, if x has no other reader."""
        x = node.inputs[0]
        return lo.tensors[x] if len(lo.consumers[x]) == 1 else lo.tensors[node.out] + ".normalised"

    def parts(self, lo, node, panels):
        """Memory for what each unit panel of the dense layer adds to the gradients of gamma and beta."""
        size = 2 * panels * lo.panels(node.out.size) * lo.pl.panel
        if node not in lo.parts:
            lo.parts[node] = lo.pl.keep(aligned(size * lo.pl.itemsize))
        return lo.parts[node]

    def saved(self, lo, node):
        """Mean and reciprocal deviation of the batch."""
        if node not in lo.saved:
            nbytes = lo.panels(node.out.size) * lo.pl.panel * lo.pl.itemsize
            lo.saved[node] = [aligned(nbytes).view(lo.pl.dtype) for _ in (0, 1)]
        return dict(zip(("mean", "rstd"), map(lo.pl.keep, lo.saved[node]), strict=True))

    def forward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        at = self.vectors(lo, node)
        xh = pl.buffer(self.normalised(lo, node), x.size) if lo.dense_of(node) else None
        given = {"y": lo.value(y), "x": lo.value(x), "gamma": at["gamma"], "beta": at["beta"], "F": y.size}
        given |= {"moving_mean": at["mean"], "moving_variance": at["variance"], "epsilon": node.attrs["epsilon"]}
        given |= lo.activation(node)
        if not (pl.training and node.trainable):
            lo.emit("bn_infer", **given)
            return
        momentum = 1.0 if pl.what == "observe" else node.attrs["momentum"]  # 1: the averages stay as they are
        lo.emit("bn_train", **given, **self.saved(lo, node), xh=xh, momentum=momentum)

    def backward(self, lo, node):
        pl, x = lo.pl, node.inputs[0]
        dense = lo.dense_of(node)
        dy = lo.finished_gradient(node) if dense is None else None
        want = x in lo.needs
        if not want and not node.trainable:
            return
        if not pl.training and lo.trains(node):
            self.parameters_backward(lo, node, dy)
        ending = lo.epilogue(x) if want else {}
        dx, done = lo.contribute(x) if want else (None, lambda: None)
        if node.trainable and pl.training:
            given = {**self.update(lo, node), "F": x.size, **self.offsets(lo, node), "trained": 1}
            if dense is not None:
                panels = pl.store.places[dense.variables["kernel"]].panels
                lo.emit("bn_params", parts=self.parts(lo, node, panels), panels=panels, **given)
            else:
                lo.emit("bn_bwd", dx=dx, dy=dy, x=lo.value(x), epsilon=node.attrs["epsilon"], moving=0,
                        adds=lo.adds(node), **self.saved(lo, node), **given, **ending)  # fmt: skip
        elif want:
            at = self.vectors(lo, node)
            lo.emit("bn_infer_bwd", way=lo.way(x, True), dx=dx, dy=dy, gamma=at["gamma"],
                    moving_variance=at["variance"], F=x.size, epsilon=node.attrs["epsilon"], **ending)  # fmt: skip
        done()

    def update(self, lo, node):
        """The operands for the gradients of gamma and beta, and for their update where that is fused."""
        pl = lo.pl
        given = {name: lo.variables(name, node, 0, TRAINED) for name in ("theta", "grad")}
        given |= lo.states(node, 0, TRAINED)
        given["clipvalue"] = float(pl.update_options.get("clipvalue") or 0)
        if lo.update.fuses(node):
            halves = -(-node.out.size // (pl.panel // 2))
            given["rules"] = lo.update.rules_of(map(node.variables.get, TRAINED), halves)
            given["update"] = lo.engine.optimizer_row[0]
        return given

    def parameters_backward(self, lo, node, dy):
        """Gradients of gamma and beta where the moving averages stand for those of the batch."""
        x, at = node.inputs[0], self.vectors(lo, node)
        lo.emit("bn_bwd", dy=dy, x=lo.value(x), theta=lo.variables("theta", node, 0, TRAINED),
                grad=lo.variables("grad", node, 0, TRAINED), mean=at["mean"], rstd=at["variance"], F=x.size,
                **self.offsets(lo, node), trained=0, moving=1, adds=lo.adds(node),
                epsilon=node.attrs["epsilon"])  # fmt: skip
