"""The dense layer: src_c/gemm/dense.inl.h."""

from ..._core import kernels
from ..parameter_store import aligned
from ..planner import WITHOUT_UPDATE
from ..precision import splits_for
from .registry import LOWERINGS, Lowering, lowering

OWN = ("kernel", "bias")  # roles of the parameters that its kernels read and update
WORTH_WAITING = 1 << 17  # floating-point operations of a layer: half a microsecond, about that of a barrier


@lowering("dense")
class Dense(Lowering):
    def sizes(self, lo, node, kernel, tiles=True, rows=None):
        """The node's sizes, and how many bf16 splits a number of its products has."""
        pl, place, groups = lo.pl, lo.pl.store.places[node.variables["kernel"]], node.attrs["groups"]
        batch, tiles = pl.chunk if pl.chunked else pl.batch, tiles and groups == 1
        splits = splits_for(kernel, pl.splits, batch, place.inputs, place.units) if tiles else 0
        if splits and not kernels.has_tiles(lo.engine.isa):
            splits = 0
        pl.by_tiles |= splits > 0
        sizes = {"I": place.inputs, "O": place.units, "rows": rows or place.rows, "splits": splits}
        return sizes | {"groups": groups if groups > 1 else 0}

    def way(self, lo, tensor, sizes, backward=False):
        """By samples if there is so little work that a barrier would cost more than other threads save."""
        pl, way = lo.pl, lo.way(tensor, backward)
        work = 2 * sizes["I"] * sizes["O"] * max(1, sizes["groups"]) * pl.batch
        small = work <= WORTH_WAITING and pl.training and not pl.chunked
        return "samples" if small and way == "both" else way

    def weights(self, lo, node):
        return lo.variables("theta", node, lo.pl.store.places[node.variables["kernel"]].off, OWN)

    def kept(self, lo, node, splits):
        """Where the split of the kernel is kept from step to step; None: it is not.

        Two splits have as many bytes as the numbers: computing them again costs less than reading and writing."""
        pl = lo.pl
        apart = pl.what in (*WITHOUT_UPDATE, "observe")  # most of the former have other weights in each call
        if splits != 1 or node in lo.folds or apart:
            return None
        place = pl.store.places[node.variables["kernel"]]
        if place.off not in pl.kept_splits:
            blocks = place.panels * lo.panels(place.inputs)
            where = pl.keep(aligned(blocks * pl.panel * pl.panel * 2))
            sizes = {"I": place.inputs, "O": place.units, "rows": place.rows}
            pl.kept_splits[place.off] = where, place.panels, sizes, self.weights(lo, node)
        return pl.kept_splits[place.off][0]

    def forward(self, lo, node):
        weights, last, rows = self.weights(lo, node), node, None
        if node in lo.folds:
            fold = lo.folds[node]
            lo.pl.folds.append(fold)
            weights, last, rows = lo.pl.keep(fold.panels), fold.after or node, fold.rows
        x, y = node.inputs[0], last.out
        sizes = self.sizes(lo, node, "dense_fwd", rows=rows)
        lo.emit("dense_fwd", way=self.way(lo, y, sizes), whole=sizes["splits"] > 0, y=lo.value(y), x=lo.value(x),
                w=weights, kept=self.kept(lo, node, sizes["splits"]), **sizes, **lo.activation(last))  # fmt: skip

    def backward(self, lo, node):
        pl, x = lo.pl, node.inputs[0]
        dy, bn = lo.finished_gradient(node), lo.bn_of(node)
        if bn is not None:
            lo.grads[x] = 1  # as far as `backward` is to go on there
        elif x in lo.needs:
            ending = lo.epilogue(x)
            dx, done = lo.contribute(x)
            sizes = self.sizes(lo, node, "dense_dx")
            lo.emit("dense_dx", way=self.way(lo, x, sizes, True), whole=sizes["splits"] > 0, dx=dx, dy=dy,
                    w=self.weights(lo, node), kept=self.kept(lo, node, sizes["splits"]), **sizes, **ending)  # fmt: skip
            done()
        lo.emit_postponed()
        if not lo.trains(node):
            return
        if bn is None and not pl.chunked:
            lo.postponed.append(lambda: self.parameters(lo, node, dy, None))
        else:
            self.parameters(lo, node, dy, bn)

    def parameters(self, lo, node, dy, bn, read=None, adds=None, fuses=True):
        """The gradient of kernel and bias.

        Of other nodes with such a kernel: read: what is multiplied by it; adds: whether the gradient has another use's
        already; fuses: whether it is whole afterwards."""
        pl, x = lo.pl, node.inputs[0]
        place = pl.store.places[node.variables["kernel"]]
        sizes = self.sizes(lo, node, "dense_dw", tiles=bn is None)
        fused, grad = lo.update.fuses(node, fuses), lo.slots(node, place.off, OWN)
        if fused and pl.batch <= kernels.DW_SAMPLES and node.attrs["groups"] == 1:  # it stays in the cache
            grad = None
        more = {}
        renews = fused and place.off in pl.kept_splits and lo.update.finishes(node)
        most = kernels.DW_INPUTS if sizes["splits"] or renews else kernels.DW_INPUTS // 2  # finer for even shares
        parts = max(1, -(-place.inputs // most))
        items = place.panels * parts
        if fused:
            row = lo.engine.optimizer_row[0]
            more = {**lo.states(node, place.off, OWN), "update": row, "beside": row}
            more["rules"] = lo.update.rules_of(map(node.variables.get, ("kernel", "bias")), items)
            more["clipvalue"] = float(pl.update_options.get("clipvalue") or 0)
        if bn is not None:
            form = LOWERINGS["batch_norm"]
            read, vectors = pl.buffer(form.normalised(lo, bn), x.size), form.vectors(lo, bn)
            more |= {"of_bn": form.parts(lo, bn, place.panels), "gamma": vectors["gamma"], "beta": vectors["beta"]}
        if renews:
            more["kept"] = pl.kept_splits[place.off][0]
            pl.renewed.add(place.off)
        lo.emit("dense_dw", items=items, costs=self.costs(pl, place, parts), x=lo.value(x) if read is None else read,
                dy=dy, w=self.weights(lo, node), grad=grad, **sizes, stride=pl.store.size, parts=parts,
                adds=lo.adds(node) if adds is None else adds, **more)  # fmt: skip

    def costs(self, pl, place, parts):
        """What an item of `dense_dw` costs, one of the last, how many those are, and of a group: a panel of units,
        whose dY is transposed once."""
        half, units = pl.panel // 2, (place.units - 1) % pl.panel + 1
        # few units have the samples along the lanes, up to half a panel have half the tiles
        last = units + half // 4 if units <= half // 2 else half + half // 8 if units <= half else pl.panel
        return pl.panel, last, parts, parts
