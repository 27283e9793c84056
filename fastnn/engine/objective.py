"""What an engine trains for and measures: loss, metrics and penalties, as the core takes them and as it returns sums.

The core adds up one pair of sums, or several, for each row of loss and metrics: `Engine.pairs`. Functions of the user
are called between the kernels (`steps.call_python`); metrics by ranks get all outputs at the end (`keep_scores`).
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from .._core import kernels
from ..metrics.curves import BY_RANKS, Scores
from .ports import each


@dataclass(eq=False)
class Objective:
    """What one output is trained for.

    Attributes
    ----------
    loss : LossSpec, callable or None
    row : (kernel, parameters, target) or None
        Of the loss in the core.
    reads_pre : bool
        Whether it reads what the output's activation or softmax reads.
    reduction : str
    weight : float
        Factor in the whole loss.
    place : int or None
        Where its sum is in those of an epoch.
    """

    loss: object
    row: tuple | None = None
    reads_pre: bool = False
    reduction: str = "sum_over_batch_size"
    weight: float = 1.0
    place: int | None = None

    @property
    def in_python(self):
        """Whether it is a function of the user."""
        return self.loss is not None and not hasattr(self.loss, "row") and callable(self.loss)


@dataclass(frozen=True)
class CoreRow:
    """A loss or metric that the core adds up: its kernel, and which output it is of."""

    kernel: str
    params: tuple
    target: str
    weighted: bool
    output: int

    @property
    def is_loss(self):
        return self.kernel.startswith("loss:")


def set_losses(engine, loss, loss_weights):
    """Set what each output is trained for: `engine.objectives`."""
    engine.loss = loss
    several = len(engine.outputs) > 1
    losses = list(loss) if several and loss is not None else [loss] * len(engine.outputs)
    weights = [1.0] * len(losses) if loss_weights is None else loss_weights
    many = engine.losses_apart = several or weights[0] != 1 and loss is not None
    both = zip(losses, weights, engine.outputs, strict=True)
    engine.objectives = [_objective(engine, spec, weight, y) for spec, weight, y in both]
    present = [o for o in engine.objectives if o.loss is not None]
    for at, objective in enumerate(present):
        objective.place = 1 + at if many else 0
    engine.python_loss = any(o.in_python for o in engine.objectives)
    by_rows = {o.reduction == "none" for o in present}
    if len(by_rows) > 1:
        raise ValueError("loss: expected the reduction None for the losses of all outputs or for none, got it for some")
    engine.by_rows = by_rows == {True}  # whether programs keep the loss of each row
    engine.unreached = _unreached(engine) if 0 < len(present) < len(losses) else ()


def _unreached(engine):
    """The trained variables on which no loss and no penalty on outputs of layers depends."""
    stack = [y for y, o in zip(engine.outputs, engine.objectives, strict=True) if o.loss is not None]
    stack += [node.inputs[0] for node in engine.nodes if node.kind == "activity"]
    seen, reached = set(), set()
    while stack:
        tensor = stack.pop()
        if tensor not in seen:
            seen.add(tensor)
            reached.update(tensor.node.variables.values())
            stack += tensor.node.inputs
    return tuple(v for v in engine.trainable if v not in reached)


def _objective(engine, loss, weight, y):
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if getattr(loss, "in_numpy", None) is not None:  # a loss of the library without a kernel
        loss = loss.in_numpy()
    found = Objective(loss, reduction=reduction, weight=weight)
    if loss is None or found.in_python:
        return found
    node = y.node
    softmax = node.kind == "softmax" and node.attrs["length"] == y.size
    through = node.attrs["row"] if softmax else node.act[0] if node.act else None
    found.reads_pre = not loss.from_logits and loss.through is not None and loss.through == through
    # a penalty on the output, or another layer that reads it, needs its own gradient
    found.reads_pre &= not engine.consumers.get(y) and engine.outputs.count(y) == 1
    row = loss.logits_row if loss.from_logits or found.reads_pre else loss.row
    found.row = ("loss:" + row, loss.params, loss.target)
    return found


def set_metrics(engine, metrics, weighted_metrics, metric_outputs):
    """Set the rows of losses and metrics in the core, the functions beside them, and where the sums of each are.

    metric_outputs: the number of the output of each; None: there is one."""
    many = engine.losses_apart
    losses = [o for o in engine.objectives if o.loss is not None] if many else []
    engine.metrics = [*losses, *metrics, *weighted_metrics]
    weighted = [False] * (len(losses) + len(metrics)) + [True] * len(weighted_metrics)
    outputs = [engine.objectives.index(o) for o in losses]
    outputs += metric_outputs or [0] * (len(metrics) + len(weighted_metrics))
    of_metrics = list(enumerate(zip(engine.metrics, weighted, outputs, strict=True), 1))[len(losses) :]
    by_ranks = {place for place, (m, *_) in of_metrics if not callable(m) and m[0] == BY_RANKS}
    engine.score_places = [(place, w, output) for place, (_, w, output) in of_metrics if place in by_ranks]
    engine.python_metrics = [(place, m, w, output) for place, (m, w, output) in of_metrics if callable(m)]
    rows = {
        o.place: CoreRow(*o.row, True, number) for number, o in enumerate(engine.objectives) if o.row is not None
    }
    rows |= {
        place: CoreRow("metric:" + m[0], m[1], m[2], w, output)
        for place, (m, w, output) in of_metrics if not callable(m) and place not in by_ranks
    }  # fmt: skip
    engine.core_rows = [rows[place] for place in sorted(rows)]
    # the first pair of sums is for penalties: of a single loss that in the core, else one of their own
    penalised = any(n.kind == "activity" for n in engine.nodes)
    engine.penalties_apart = many or engine.objectives[0].row is None and penalised
    # number of pairs of sums of each row
    pairs = [1 if row.is_loss else _pairs(engine, row) for row in engine.core_rows]
    engine.pairs = [1] * engine.penalties_apart + pairs
    # which of [loss, *metrics] the core accumulates, in its order, and where in its totals: a single sum, or rows
    # of pairs for several sums and for weighted sums
    places = [0] * engine.penalties_apart + sorted(rows)
    starts = [0, *accumulate(engine.pairs)]
    engine.core_sums = [
        (place, slice(row, row + count) if count > 1 or place and weighted[place - 1] else (row, 0))
        for place, row, count in zip(places, starts, engine.pairs, strict=False)
    ]
    # counters come after them: {figure, steps} each
    last, first = 1 + len(engine.metrics), sum(engine.pairs)
    engine.core_sums += [(last + i, slice(first + i, first + i + 1)) for i in range(len(engine.counter_rows))]


def _pairs(engine, row):
    return kernels.metric_pairs(row.kernel.removeprefix("metric:"), row.params, engine.outputs[row.output].size)


def whole_loss(engine, sums):
    """The sum of the whole loss, from [loss, *metrics] of an epoch: of several outputs, all losses and penalties.

    The first of these sums is that of a single loss with its penalties; of several losses, or one with a factor, that
    of penalties alone."""
    if not engine.losses_apart:
        return sums[0]
    return sums[0] + sum(o.weight * sums[o.place] for o in engine.objectives if o.place is not None)


def rule(engine, variable):
    """(l1, l2, decay): l1 sign(w) + l2 w is added to the gradient, decay is applied before the step."""
    penalty, decay_of = engine.regularizers[variable], engine.update_options.get("decay_of")
    l1, l2 = (0.0, 0.0) if penalty is None else (penalty.l1, 2 * penalty.l2)
    if engine.weight_decay and (variable.layout == "kernel" or variable.name.split("/")[-1] == "kernel"):
        l2 += engine.weight_decay
    return l1, l2, decay_of(variable) if decay_of else 0.0


def penalty(engine):
    """The penalties of the current trainable weights, added to the loss of each sample."""
    total = 0.0
    for variable in engine.trainable:
        l1, l2, _ = engine.rules[variable]
        rule, w = engine.regularizers[variable], None
        if rule is not None or l1 or l2:
            w = engine.store.get("theta", variable)
        if rule is not None:
            total += rule(w)
            l2 -= 2 * rule.l2
        if l2:
            total += l2 / 2 * float(np.sum(np.square(w, dtype=np.float64)))
    return total


def number_or_copy(sums):
    """One sum as a number; the rows of several as an array of their own."""
    return sums.copy() if sums.ndim else float(sums)


def add_sums(engine, totals, sums):
    """`sums` with those that the core has made in their places."""
    for place, at in engine.core_sums:
        sums[place] = number_or_copy(totals[at])
    return sums


def keep_scores(engine, sums, out, y, w, index, first, done):
    """Hand the outputs of samples [first, first + done) of the order to those metrics that need all of them."""
    if out is None:
        return
    at = slice(first, first + done)
    rows, ports = at if index is None else index[at], len(engine.outputs)
    outputs, y, w = each(out), each(y, ports), each(w, ports)
    for output, kind in {(o, weighted) for _, weighted, o in engine.score_places}:  # one for all of a kind: sorts once
        places = [place for place, weighted, o in engine.score_places if (o, weighted) == (output, kind)]
        if not isinstance(sums[places[0]], Scores):
            scores = Scores()
            for place in places:
                sums[place] = scores
        weights = w[output][rows] if kind and w[output] is not None else None
        sums[places[0]].add(outputs[output][at].copy(), y[output][rows], weights)
