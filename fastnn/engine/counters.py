"""Numbers that a program reports beside loss and metrics, by name: added up or maximised, per step or per epoch.

A counter is a class here, registered by its name. Its operations leave doubles in memory of the program; the first
thread adds them up after each step, in their order, so that a figure does not depend on the thread count. An engine has
counters if it is asked for them (`Engine(counters=...)`); programs without any have no operation, no memory and no row
more than before.
"""

from dataclasses import dataclass

import numpy as np

COUNTERS = {}


def counter(name):
    """Decorator: the class is the counter of that name."""

    def register(cls):
        COUNTERS[name] = cls()
        return cls

    return register


@dataclass(frozen=True)
class Row:
    """One figure: ``label`` names it, ``subject`` is what it is about (hashable, of the engine)."""

    name: str
    label: str
    subject: object


class Counter:
    """How a figure is made.

    Attributes
    ----------
    within, across : {"sum", "max"}
        What becomes of the doubles of a step, and of the figures of several steps.
    whole_gradients : bool
        Whether gradients must be in memory, before clipping: programs do not fuse the optimizer then.
    """

    within, across, whole_gradients = "sum", "sum", False

    def subjects(self, engine):
        """``[(label, subject)]`` of the figures for a model."""
        raise NotImplementedError

    def emit(self, lowerer, subject):
        """Emit the operations; return the place of the doubles and how many there are."""
        raise NotImplementedError

    def value(self, figure, steps):
        """What is reported for `figure`, the sum or maximum of that many steps."""
        return figure


@counter("gradient_norm")
class GradientNorm(Counter):
    """Root mean square, over steps, of the Euclidean norm of a layer's gradient, penalties included, not clipped."""

    whole_gradients = True

    def subjects(self, engine):
        layers = {}
        for variable in engine.trainable:
            layers.setdefault(variable.name.rsplit("/", 1)[0], []).append(variable)
        return [(label, tuple(variables)) for label, variables in layers.items()]

    def emit(self, lowerer, subject):
        where, items = lowerer.update.blocks(subject)
        squares = lowerer.pl.keep(np.zeros(items))
        lowerer.emit("norm_partials", items=items, blocks=where, grad=lowerer.pl.at("grad", subject), partial=squares)
        return squares, items

    def value(self, figure, steps):
        return float(np.sqrt(figure / steps))


@counter("largest_gradient_norm")
class LargestGradientNorm(GradientNorm):
    """Largest of all steps of the Euclidean norm of the whole gradient."""

    across = "max"

    def subjects(self, engine):
        return [("", tuple(engine.trainable))]

    def value(self, figure, steps):
        return float(np.sqrt(figure))


def rows(engine, names):
    """The figures of the counters `names` for an engine's model, in order."""
    unknown = [name for name in names if name not in COUNTERS]
    if unknown:
        raise ValueError(f"counters: expected some of {', '.join(COUNTERS)}, got {unknown[0]!r}")
    return [
        Row(name, name + ("/" + label if label else ""), subject)
        for name in names
        for label, subject in COUNTERS[name].subjects(engine)
    ]


def values(engine, sums):
    """``{label: value}`` of the figures of an epoch; `sums` as `Engine.fit_block` returns those of metrics."""
    found = {}
    for row, ((figure, steps),) in zip(engine.counter_rows, sums[len(engine.metrics) :], strict=True):
        found[row.label] = COUNTERS[row.name].value(figure, steps) if steps else float("nan")
    return found
