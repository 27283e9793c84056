"""From gradients to new weights: updates that are not fused into the kernel of the gradient.

(a) A penalty L1 or L2 and decoupled decay are numbers of a variable (fnn_rule). Where the optimizer is fused into the
    kernel of the gradient, that kernel applies them; for all other variables the operation `rules` does.
(b) In a manual program the penalty belongs to the backward pass, so that `gradients` are those of the whole loss, and
    decay to the update.
(c) Order, as in Keras: penalty, accumulation, clipping, decay, step, average, constraint.
"""

import weakref

import numpy as np

from ...regularizers import EPSILON, OrthogonalRegularizer
from ..counters import COUNTERS
from ..parameter_store import aligned

STATES = ("state0", "state1", "state2")
RULE = np.dtype([("l1", "f8"), ("l2", "f8"), ("decay", "f8"), ("values", np.uintp)])  # fnn_rule
PENALTY, DECAY = 1, 2  # FNN_RULE_*


class Update:
    """Emits the part of a program after the gradients, and passes rules to the kernels that fuse it."""

    def __init__(self, lowerer):
        self.lo = weakref.proxy(lowerer)  # weak: a reference cycle would keep the model alive
        self.pl, self.engine = lowerer.pl, lowerer.engine
        self.variables = self.engine.trainable
        self.rules = self.engine.rules if self.pl.differentiates else {}
        self.orthogonal = [v for v in self.rules if isinstance(self.engine.regularizers[v], OrthogonalRegularizer)]

    def fuses(self, node, whole=True):
        """Whether the optimizer is fused into the gradient of the node's parameters; else they are left to `emit`.

        Not if they have another use: the gradient is whole after the last one. whole: whether it is otherwise."""
        apart = self.lo.shared.union(self.orthogonal)
        if self.pl.fused and (not whole or any(v in apart for v in node.variables.values())):
            self.lo.vectors.update(v for v in node.variables.values() if v in self.rules)
            return False
        return self.pl.fused

    def finishes(self, node):
        """Whether a kernel that fuses the optimizer leaves the node's weights as the next step will read them."""
        if any(v in self.rules and self.engine.constraints[v] is not None for v in node.variables.values()):
            return False
        return not ("average" in self.pl.store.flat and self.pl.update_options.get("ema_overwrite_frequency"))

    def renew_splits(self):
        """Renew the kept splits of weights that no kernel of a gradient renews."""
        pl = self.pl
        trained = {pl.store.places[v].off for v in self.variables}
        for off, (where, panels, sizes, weights) in pl.kept_splits.items():
            if off in trained and off not in pl.renewed:
                pl.emit("dense_split", items=panels, kept=where, w=weights, **sizes)

    def rules_of(self, variables, items):
        """For a kernel that fuses the optimizer: its fnn_rule array (None: not needed)."""
        rows = [self.rules.get(v, (0.0, 0.0, 0.0)) for v in variables]
        if not any(map(any, rows)):
            return None
        array = np.zeros(len(rows), RULE)
        for i, (l1, l2, decay) in enumerate(rows):
            array[i] = l1, l2, decay, 0
            if l1 or l2:
                self.pl.point(array["values"][i : i + 1], self.values(items))
        return self.pl.keep(array)

    def values(self, items):
        """Memory for partial penalties, which the executor adds to the loss."""
        where = self.pl.keep(np.zeros(items))
        if not self.pl.separate:  # there the engine computes penalties, once a step
            self.pl.counters.append((where.base, where.offset, items, None, "sum", "sum"))
        return where

    def blocks(self, variables):
        """``(where, number)`` of the runs of theta that hold the variables."""
        numbers = {v: i for i, v in enumerate(self.variables)}
        found = self.pl.store.blocks(variables, numbers)
        return self.pl.keep(found), len(found)

    def flat(self, variables, *names):
        """The operands that are the whole flat blocks of these names, of which `variables` are touched."""
        return {name: self.pl.at(name, variables) for name in names}

    # -- operations -------------------------------------------------------------------------------------------
    def emit(self):
        pl, engine = self.pl, self.engine
        left = [v for v in self.variables if v in self.lo.vectors] if pl.fused else self.variables
        manual = pl.what == "manual"
        if left and pl.chunked:
            self.reduce_slots(left)
        if left:
            only_penalty = manual or pl.what in ("derivative", "observe")
            self.emit_rules(left, PENALTY if only_penalty else PENALTY | DECAY)
        if pl.what == "train":
            self.count()
        look = self.lo.look
        if look.looks and self.variables:
            look.before_update(self.variables)
            if pl.what == "observe":
                look.after_update()
        pl.part("update")
        if engine.optimizer_row is None or pl.what in ("derivative", "observe"):
            return
        if left:
            self.step(left, manual)
        if "average" in pl.store.flat:
            where, items = self.blocks(self.variables)
            options = pl.update_options
            pl.emit("average", items=items, blocks=where, **self.flat(self.variables, "theta", "average"),
                    overwrite=options.get("ema_overwrite_frequency") or 0, every=pl.accumulate,
                    momentum=options["ema_momentum"])  # fmt: skip
        for variable in self.variables:
            if engine.constraints[variable] is not None:
                self.constrain(variable, engine.constraints[variable])
        self.renew_splits()
        if look.looks and self.variables:
            look.after_update()

    def count(self):
        """The engine's counters: of gradients as they are before clipping."""
        pl = self.pl
        for number, row in enumerate(self.engine.counter_rows):
            kind = COUNTERS[row.name]
            where, count = kind.emit(self.lo, row.subject)
            pl.counters.append((where.base, where.offset, count, number, kind.within, kind.across))
            pl.counted_in = len(pl.parts) - 1

    def reduce_slots(self, variables):
        pl = self.pl
        whole = {v for n in self.lo.nodes if n.kind == "batch_norm" for v in n.variables.values()}
        left = [v for v in variables if v not in whole]
        where, items = self.blocks(left)
        pl.emit("reduce_slots", items=items, blocks=where, **self.flat(left, "grad"), slot=self.lo.slots(None),
                slots=pl.slots, stride=pl.store.size, chunk=pl.chunk)  # fmt: skip

    def emit_rules(self, variables, what):
        """Penalty or decay, or both, for variables whose gradients are in memory."""
        pl, rows = self.pl, [self.rules[v] for v in self.variables]
        if what & PENALTY:
            for variable in variables:
                if variable in self.orthogonal:
                    self.penalise_angles(variable)
        active = [(l1 or l2) and what & PENALTY or decay and what & DECAY for l1, l2, decay in rows]
        if not any(on and v in variables for v, on in zip(self.variables, active, strict=True)):
            return
        array = np.array([(*row, 0) for row in rows], RULE)
        where, items = self.blocks(variables)
        values = self.values(items) if what & PENALTY else None
        pl.emit("rules", items=items, blocks=where, **self.flat(variables, "theta", "grad"), rules=pl.keep(array),
                values=values, what=what, every=pl.accumulate)  # fmt: skip

    def step(self, variables, manual):
        """Accumulation, clipping and the optimizer."""
        pl = self.pl
        where, items = self.blocks(variables)
        flat = {"items": items, "blocks": where, **self.flat(variables, "grad")}
        if manual:
            self.emit_rules(variables, DECAY)
        if pl.accumulate > 1:
            pl.emit("accumulate", **flat, **self.flat(variables, "accumulated"), every=pl.accumulate)
        scale = None
        norms = [float(pl.update_options.get(name) or 0) for name in ("clipnorm", "global_clipnorm")]
        if any(norms):
            partial, factors = np.zeros(items), np.zeros(len(variables))
            at, scale = pl.keep(partial), pl.keep(factors)
            pl.emit("norm_partials", **flat, partial=at)
            pl.emit("clip_finish", blocks=where, partial=at, scale=scale, count=items, variables=len(variables),
                    clipnorm=norms[0], global_clipnorm=norms[1])  # fmt: skip
        pl.emit("update", **flat, **self.flat(variables, "theta", *STATES), scale=scale, every=pl.accumulate,
                clipvalue=float(pl.update_options.get("clipvalue") or 0),
                update=self.engine.optimizer_row[0])  # fmt: skip

    def penalise_angles(self, variable):
        """The orthogonal penalty: its rows or columns side by side in memory of their own, then each with each."""
        pl, rule, place = self.pl, self.engine.regularizers[variable], self.pl.store.places[variable]
        by_column = rule.mode == "columns"
        length, count = variable.shape if by_column else variable.shape[::-1]
        stride = -(-length // pl.panel) * pl.panel
        memory = [aligned(size * pl.itemsize, i) for i, size in enumerate((count * stride, count, count * stride))]
        unit, inverse, sums = (pl.keep(m) for m in memory)
        given = {"items": count, "unit": unit, "inverse": inverse, "m": length, "stride": stride}
        given |= {"rows": place.rows, "by_column": int(by_column), "epsilon": EPSILON}
        pl.emit("orthogonal_load", w=pl.at("theta", [variable], place.off), **given)
        pl.emit("orthogonal_add", grad=pl.at("grad", [variable], place.off), sums=sums, values=self.values(count),
                count=count, factor=rule.factor * 2 / (count * (count - 1)), **given)  # fmt: skip

    def constrain(self, variable, rule):
        pl, place = self.pl, self.pl.store.places[variable]
        limits = [*(rule.numbers or (0.0, 0.0, 0.0)), EPSILON]
        axes = None if rule.numbers is None else rule.axes(len(variable.shape))
        if axes is None or place.role == "kernel" and axes == (0,):
            first = place.off + (place.inputs * pl.panel if place.role == "bias" else 0)
            rows = place.inputs if place.role == "kernel" else 1
            pl.emit("constrain_units", items=place.panels, w=pl.at("theta", [variable], first), rows=place.rows,
                    count=rows, limits=limits, nonnegative=float(rule.numbers is None))  # fmt: skip
            return
        members = np.moveaxis(pl.store.offsets(variable), axes, range(-len(axes), 0))
        size = int(np.prod([variable.shape[a] for a in axes]))
        members = np.ascontiguousarray(members.reshape(-1, size), np.int64)
        pl.emit("constrain_groups", items=len(members), theta=pl.at("theta", [variable]), members=pl.keep(members),
                size=size, limits=limits)  # fmt: skip
