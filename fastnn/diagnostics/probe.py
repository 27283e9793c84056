"""A model as a function of its weights: loss and gradient of one batch as training computes them.

(a) The model is copied in float64; the original is only read.
(b) The gradient is the change in a step of gradient descent: weights before minus weights after, divided by the
    learning rate. So the actual training path is checked, including penalties on weights and fused updates. The rate is
    a large power of two, so that the subtraction loses no digits.
(c) Noise depends on seed, step and position. Every evaluation is at the same step and from the same moving averages.
"""

import copy
from contextlib import contextmanager

import numpy as np

from .. import optimizers
from .._base.checks import integer
from ..engine.objective import whole_loss
from ..training import arguments
from ..training.needs import need_compile
from .gradient_check import ENTRIES, Differences, EntryCheck, GradientCheck

RATE = 2.0**20


class Probe:
    """The loss of the next training step of `model` on a batch."""

    def __init__(self, model, x, y, sample_weight):
        self.model, self.step = float64_copy(model)
        if self.model.loss is None:
            raise ValueError(
                "check_gradients: expected a model compiled with a loss, got one without a loss"
            )
        self.data = arguments.data(self.model, x, y, sample_weight, check_finite=True)
        if not self.data.n:
            raise ValueError("x: expected at least one row, got none")
        self.engine = self.model.engine()
        self.variables = self.engine.trainable
        if not self.variables:
            raise ValueError("check_gradients: expected a model with trainable weights, got none")
        self.others = [(v, v.numpy()) for v in self.model.weights if v not in self.variables]
        first, second = self.loss(), self.loss()
        if first != second and first == first:
            raise ValueError(
                f"check_gradients: expected the same loss at the same weights, got {first!r} and then {second!r};"
                " check for random numbers in custom layers and losses"
            )

    def loss(self, rate=0.0):
        """The loss of the batch; performs a gradient descent step with `rate`."""
        for variable, value in self.others:
            variable.assign(value)
        data, self.engine.step = self.data, self.step
        _, total, sums = self.engine.fit_block(
            data.x, data.y, data.w, None, 0, data.n, data.n, np.full(1, rate)
        )
        return float(whole_loss(self.engine, [total, *sums])) / data.n

    def gradients(self):
        """Gradients of the loss with respect to the variables."""
        before = [v.numpy() for v in self.variables]
        self.loss(RATE)
        after = [v.numpy() for v in self.variables]
        for variable, value in zip(self.variables, before, strict=True):
            variable.assign(value)
        return [(b - a) / RATE for b, a in zip(before, after, strict=True)]

    @contextmanager
    def moving(self, variable, index):
        """``(loss as a function of one entry, its current value)``."""
        start = variable.numpy()
        moved = start.copy()

        def value(t):
            moved[index] = t
            variable.assign(moved)
            return self.loss()

        yield value, start[index]
        variable.assign(start)


def float64_copy(model):
    """An independent copy of `model`, for plain gradient descent, and its step."""
    twin = copy.deepcopy(model)
    step = 0 if twin._engine is None else twin._engine.step
    for variable in twin.weights:
        variable.cast(np.float64)
        if getattr(variable, "constraint", None) is not None:
            variable.constraint = None
    for layer in [twin, *twin.leaves()]:
        layer.dtype = "float64"
    twin.optimizer = optimizers.SGD(1.0)  # no clipping, no decay, no averages: only the gradient
    twin._engine = None
    return twin, step


def check_gradients(model, x, y, sample_weight, eps, per_layer_entries, tolerance):
    """`Model.check_gradients`."""
    need_compile(model, "check_gradients")
    arguments.samples(model, "x", x)  # builds the model
    with model._lock:
        return _check(model, x, y, sample_weight, eps, per_layer_entries, tolerance)


def _check(model, x, y, sample_weight, eps, per_layer_entries, tolerance):
    differences = Differences(eps, True, tolerance, float(np.finfo(np.float64).eps), summed=True)
    most = (
        ENTRIES if per_layer_entries is None else integer("per_layer_entries", per_layer_entries, 1)
    )
    probe = Probe(model, x, y, sample_weight)
    gradients, start = probe.gradients(), probe.loss()
    rng, entries = np.random.default_rng(0), []
    for variable, gradient in zip(probe.variables, gradients, strict=True):
        entry = EntryCheck(variable.name, variable.shape)
        chosen = range(variable.size)
        if variable.size > most:
            chosen = np.sort(rng.choice(variable.size, most, replace=False))
        for i in chosen:
            index = tuple(int(j) for j in np.unravel_index(i, variable.shape))
            with probe.moving(variable, index) as (value, at):
                differences.examine(entry, index, value, at, start, float(gradient[index]))
        entries.append(entry)
    return GradientCheck(entries, differences.tolerance)
