"""What an engine trains for and measures: loss, metrics and penalties, as the core takes them and as it returns sums.

The core adds up one pair of sums, or several, for each row of loss and metrics: `Engine.pairs`. Functions of the user
are called between the kernels (`steps.call_python`); metrics by ranks get all outputs at the end (`keep_scores`).
"""

from itertools import accumulate

import numpy as np

from .._core import kernels
from ..metrics.curves import BY_RANKS, Scores


def set_loss(engine, loss):
    """Set the row of the loss in the core, or the function that replaces it."""
    engine.loss, engine.loss_row, engine.loss_reads_pre = loss, None, False
    engine.python_loss = not hasattr(loss, "row") and callable(loss)
    engine.reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if engine.reduction == "none":
        raise ValueError(f"loss {loss.name}: expected a reduction that is a mean or 'sum' for training, got 'none'")
    if loss is None or engine.python_loss:
        return
    node = engine.y.node
    softmax = node.kind == "softmax" and node.attrs["length"] == engine.y.size
    through = node.attrs["row"] if softmax else node.act[0] if node.act else None
    engine.loss_reads_pre = not loss.from_logits and loss.through is not None and loss.through == through
    engine.loss_reads_pre &= not engine.consumers.get(engine.y)  # a penalty on the output needs its own gradient
    row = loss.logits_row if loss.from_logits or engine.loss_reads_pre else loss.row
    engine.loss_row = ("loss:" + row, loss.params, loss.target)


def set_metrics(engine, metrics, weighted_metrics):
    """Set the rows of the metrics in the core, the functions beside them, and where the sums of each are."""
    engine.metrics = [*metrics, *weighted_metrics]
    weighted = [False] * len(metrics) + [True] * len(weighted_metrics)
    both = list(zip(engine.metrics, weighted, strict=True))
    by_ranks = [not callable(m) and m[0] == BY_RANKS for m in engine.metrics]
    in_core = [not callable(m) and not ranks for m, ranks in zip(engine.metrics, by_ranks, strict=True)]
    engine.score_places = [(1 + i, weighted[i]) for i, ranks in enumerate(by_ranks) if ranks]
    engine.metric_rows = [
        ("metric:" + m[0], m[1], m[2], w) for (m, w), here in zip(both, in_core, strict=True) if here
    ]
    engine.python_metrics = [(1 + i, m, w) for i, (m, w) in enumerate(both) if callable(m)]
    # number of pairs of sums of each row of loss and metrics
    engine.core_loss = engine.loss_row is not None or any(n.kind == "activity" for n in engine.nodes)
    engine.pairs = [1] * engine.core_loss
    rows = [m for m, here in zip(engine.metrics, in_core, strict=True) if here]
    engine.pairs += [kernels.metric_pairs(row[0], row[1], engine.y.size) for row in rows]
    # which of [loss, *metrics] the core accumulates, in its order, and where in its totals: a single sum, or rows
    # of pairs for several sums and for weighted sums
    places = ([0] if engine.core_loss else []) + [1 + i for i, here in enumerate(in_core) if here]
    starts = [0, *accumulate(engine.pairs)]
    engine.core_sums = [
        (place, slice(row, row + pairs) if pairs > 1 or place and weighted[place - 1] else (row, 0))
        for place, row, pairs in zip(places, starts, engine.pairs, strict=False)
    ]
    # counters come after them: {figure, steps} each
    last, first = 1 + len(engine.metrics), sum(engine.pairs)
    engine.core_sums += [(last + i, slice(first + i, first + i + 1)) for i in range(len(engine.counter_rows))]


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
    rows = slice(first, first + done)
    outputs, rows = out[rows].copy(), rows if index is None else index[rows]
    for kind in {weighted for _, weighted in engine.score_places}:  # one for all of a kind: it sorts once
        places = [place for place, weighted in engine.score_places if weighted == kind]
        if not isinstance(sums[places[0]], Scores):
            scores = Scores()
            for place in places:
                sums[place] = scores
        sums[places[0]].add(outputs, y[rows], w[rows] if kind and w is not None else None)
