"""The first non-finite tensor of a step, by looking at all of them.

(a) The step is computed by the program that also measures health (health.py): it keeps activations and gradients of
    the whole batch in memory.
(b) NaN spreads. From the first thing that went wrong (the output, the loss, a gradient, a weight after the update) the
    search goes back as long as there is a non-finite input; so an infinity that an activation has swallowed on the way
    is not blamed.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import ops
from .._core import kernels
from .health import Health
from .lowering.health import LOOK
from .ports import addresses, code, each, targets_code, weighted


@dataclass
class Origin:
    """What was non-finite first.

    rows: of the batch, bool (n,), or None for what belongs to no row. node: a `Node` or None. made_of: arrays that it
    was computed from."""

    tensor: str
    node: object = None
    variable: object = None
    value: float = float("nan")
    rows: object = None
    made_of: list = field(default_factory=list)
    backward: bool = False  # whether the layer's own `backward` has returned it

    @property
    def largest_input(self):
        """The largest magnitude among finite values that it was computed from; NaN if there are none."""
        found = float("nan")
        for array in self.made_of:
            array = np.abs(np.asarray(array, np.float64))
            finite = array[np.isfinite(array)]
            found = np.fmax(found, finite.max(initial=-1.0)) if finite.size else found
        return float(found)


def weight(engine, variables):
    """The first weight that is non-finite, of `variables` (found by `bad_variables`)."""
    values = engine.store.get("theta", variables[0])
    return Origin("weight", _node_of(engine, variables[0]), variables[0], _first(values), made_of=[values])


def bad_variables(engine):
    """Variables of which the store has non-finite values, in the order of the layers."""
    return [v for v in engine.store.places if not np.isfinite(engine.store.get("theta", v)).all()]


def _node_of(engine, variable):
    return next((node for node in engine.nodes if variable in node.variables.values()), None)


def _first(array):
    """The first non-finite value: NaN, inf or -inf."""
    flat = np.ravel(array)
    bad = flat[~np.isfinite(flat)]
    return float(bad[0]) if bad.size else float("nan")


class Step:
    """A step with all its tensors.

    Parameters
    ----------
    engine : Engine
        At the boundary before the step; afterwards weights and optimizer state may be those after it.
    data : (x, y, w)
    part, row0
        Rows of the batch (None: in order), the first row.
    n, batch : int
        Samples of the step, and of a usual one.
    rates : ndarray
        Of this step.
    """

    def __init__(self, engine, data, part, row0, n, batch, rates):
        self.engine, (x, y, w), self.n, self.loss = engine, data, n, None
        usual = engine.health
        if usual is not None:
            usual.keep()
        health = Health(engine, 1)
        codes = code(x), targets_code(y), weighted(w)
        separate = engine.training_program(x, y, w, batch).plan.separate
        engine.health = health
        with np.errstate(all="ignore"):
            try:
                self.program = engine.program("train" if separate else "observe", batch, *codes, LOOK)
                if separate:
                    first = row0 if part is None else 0
                    engine.fit_block(x, y, w, part, first, n, batch, rates)
                else:
                    live = addresses(engine, x, y, w)
                    engine.store.weights_clock.tick()
                    self.program.refresh(engine.store)
                    health.before(live, codes, batch, n, part, row0, rates, self.program.team.known())
                    health.add(self.program, n)
            finally:
                engine.health = usual
        blocks = health.sums[0].blocks[0]  # of the gradients of weights, if there are any
        self.sums = health._by_variable(blocks) if np.ndim(blocks) else ()
        rows = slice(row0, row0 + n) if part is None else part
        ports = len(engine.outputs)
        with np.errstate(over="ignore"):  # as the core reads them
            self.targets = [
                a if a is None or a.dtype.kind != "f" else a.astype(engine.dtype) for a in each(y[rows], ports)
            ]
        self.weights = each(None if w is None else w[rows], ports)
        self.numbers = {node: i for i, node in enumerate(engine.nodes)}
        self.producer = {node.out: node for node in engine.nodes}
        self.separate = separate

    def get(self, tensor, prefix="", suffix=""):
        """Values (n, ...) of a tensor, or of its gradient; None if there is no memory of its own."""
        key = f"{prefix}t{self.numbers[self.producer[tensor]]}{suffix}"
        if key not in self.program.plan.places:
            return None
        return self.program.get(key, tensor, self.n).reshape(self.n, -1)

    def value(self, tensor):
        """Values of a tensor; what shares its memory with its input is read there."""
        node = self.producer[tensor]
        found = self.get(tensor)
        while found is None and node.inputs:
            node = self.producer[node.inputs[0]]
            found = self.get(node.out)
        return np.zeros((self.n, 1)) if found is None else found

    def bad(self, array):
        """Which rows are non-finite, or None if none is."""
        if array is None or array.dtype.kind not in "fc":
            return None
        found = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        return found if found.any() else None

    # -- the search -------------------------------------------------------------------------------------------
    def origin(self, loss_is_bad, after):
        """`Origin` of the first non-finite tensor.

        loss_is_bad: whether the loss is non-finite. after: variables that are non-finite after the step."""
        for y in self.engine.outputs:
            if self.bad(self.value(y)) is not None:
                return self._back(self.producer[y])
        if loss_is_bad:
            for name, arrays in (("target", self.targets), ("sample_weight", self.weights)):
                for array in arrays:
                    rows = self.bad(array)
                    if rows is not None:
                        return Origin(name, None, None, _first(array), rows)
            return self._of_losses()
        found = self._of_gradients()
        if found is not None:
            return found
        if after:
            gradient = self.engine.store.get("grad", after[0])
            return Origin("weight", _node_of(self.engine, after[0]), after[0], made_of=[gradient])
        return self._of_losses()

    def _back(self, node):
        """From a node with a non-finite result to the first of those that it comes from."""
        while True:
            source = next((t for t in node.inputs if self.bad(self.value(t)) is not None), None)
            if source is None:
                break
            node = self.producer[source]
        values = self.value(node.out)
        rows, kind = self.bad(values), "input" if node.kind == "input" else "activation"
        return Origin(kind, node, None, _first(values), rows, self._inputs(node))

    def _inputs(self, node):
        """What the result of a node is computed from."""
        weights = [self.engine.store.get("theta", v) for v in node.variables.values()]
        return [self.value(t) for t in node.inputs] + weights

    def _of_losses(self):
        """The loss itself, of finite outputs and targets: of several the first with a row that shows it."""
        engine = self.engine
        all_ = zip(engine.outputs, engine.objectives, self.targets, strict=True)
        found = [self._of_loss(y, o, target) for y, o, target in all_ if o.loss is not None]
        return next((origin for origin in found if origin.rows is not None), found[0])

    def _of_loss(self, y, objective, target):
        node = self.producer[y]
        before = self.get(y, suffix=".z")  # which the loss reads instead of the output
        if objective.reads_pre and self.bad(before) is not None:
            return Origin("activation", node, None, _first(before), self.bad(before), self._inputs(node))
        read = before if objective.reads_pre and before is not None else self.value(y)
        with np.errstate(all="ignore"):
            values = self._losses(objective, target, read, y)
        rows = self.bad(values)
        if rows is None:  # in the gradient alone, as of sqrt(0)
            rows = self.bad(self.get(y, "d"))
        owner = node if len(self.engine.outputs) > 1 else None
        return Origin("loss", owner, None, _first(values), rows, [read, target])

    def _losses(self, objective, target, read, y):
        """The loss of each row, (n, 1)."""
        if objective.in_python:
            values = objective.loss(target.copy(), read.reshape(self.n, *y.shape))[0]
            return np.asarray(np.reshape(values, (self.n, -1)), np.float64)
        kernel, values, _ = objective.row
        name = kernel.removeprefix("loss:")
        names = next(defaults for row, defaults, _ in kernels.loss_rows() if row == name)
        shape = (self.n, -1) if target.ndim == 2 else (self.n,)
        parameters = dict(zip(names, values, strict=True))
        return ops.loss(name, target.reshape(shape), np.ascontiguousarray(read), **parameters)[0].reshape(self.n, 1)

    def _of_gradients(self):
        """The first non-finite gradient on the way back from the loss, or None."""
        engine, consumers = self.engine, self.engine.consumers
        numbers = {v: i for i, v in enumerate(engine.trainable)}
        for node in reversed(engine.nodes):
            arrives = self.get(node.out, "d")
            rows = self.bad(arrives)
            if rows is not None:
                readers = [n for n in consumers.get(node.out, ()) if n.kind == "python"]
                made_of = [self.get(n.out, "d") for n in consumers.get(node.out, ())]
                made_of = [array for array in made_of if array is not None] or [self.value(node.out)]
                owner = readers[0] if readers else node
                return Origin("gradient", owner, None, _first(arrives), rows, made_of, bool(readers))
            for variable in node.variables.values():
                if variable in numbers and not np.isfinite(self.sums[numbers[variable]]):
                    bad = next((t for t in node.inputs if self.bad(self.value(t)) is not None), None)
                    if bad is not None:
                        return self._back(self.producer[bad])
                    made_of = [self.value(t) for t in node.inputs] + ([] if arrives is None else [arrives])
                    value = _first(engine.store.get("grad", variable))
                    python = node.kind == "python"
                    return Origin("gradient", node, variable, value, None, made_of, python)
        return None
