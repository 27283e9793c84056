"""Everything that rules may know about a model, its data and its training; computed when it is first asked for."""

from __future__ import annotations

import copy
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..._base.numbers import check_finite
from ..._base.random import unchanged
from ...training.data import arrays
from . import baseline, neighbours, start
from .data_facts import ROWS, Inputs, Targets, array_of, common, some_rows
from .parts import Parts

if TYPE_CHECKING:
    from typing import Any

WORK = 3e7  # operations of a step: of larger models, fewer rows are used
LEAST = 64


class Facts(Parts):
    """The facts of a model and its data.

    Parameters
    ----------
    model : Model
    x, y, sample_weight : array_like, optional
    validation : (x, y), optional
    training : Training, optional
        See `training_facts`.
    n : int, optional
        Number of rows, if `x` and `y` are a sample of them.
    whole : bool
        Whether to look for non-finite values in all rows.
    """

    def __init__(self, model: Any, x: Any = None, y: Any = None, sample_weight: Any = None, validation: Any = None,
                 training: Any = None, n: int | None = None, whole: bool = True) -> None:  # fmt: skip
        self.wrong: dict[str, Exception] = {}  # name: why it is not an array
        self.inputs = self._given("x", x, lambda a: Inputs(a, n))
        self.targets = self._given("y", y, lambda a: Targets(a, self._weights(sample_weight, len(a)), n))
        self.validation = self._pair(validation)
        self.training, self.whole, self.given = training, whole, model
        super().__init__(self._built(model))
        if self.targets is not None and self.model.built:
            several = self.n > 1 and (self.targets.y.ndim == 1 or self.targets.y.shape[1:] == (1,))
            self.target_kind_by_shape = "labels" if several else "values"

    def _given(self, name, value, make):
        if value is None:
            return None
        array, error = array_of(name, value)
        if error is not None:
            self.wrong[name] = error
            return None
        return make(array) if len(array) else None

    def _weights(self, w, n):
        w = None if w is None else array_of("sample_weight", w)[0]
        return None if w is None or w.shape not in ((n,), (n, 1)) else w.reshape(n)

    def _pair(self, given):
        if given is None or not isinstance(given, (tuple, list)) or len(given) < 2:
            return None
        x, y = (self._given(f"validation_data[{i}]", given[i], kind) for i, kind in enumerate((Inputs, Targets)))
        return None if x is None or y is None else (x, y)

    def _built(self, model):
        """The model, or a built copy of one that the data build; with the weights that it would get."""
        if model.built or self.inputs is None:
            return model
        try:
            with unchanged():
                twin = copy.deepcopy(model)
                shape = self.inputs.x.shape[1:]
                twin._build(shape if len(shape) or self.inputs.x.ndim > 1 else (1,))
        except (TypeError, ValueError) as error:
            self.wrong["model"] = error
            return model
        return twin

    @cached_property
    def known(self) -> frozenset[str]:
        """What is known: some of `registry.NEEDS`."""
        found = {
            "built": self.model.built, "compiled": self.model.compiled and self.loss is not None,
            "x": self.inputs is not None, "y": self.targets is not None, "validation": self.validation is not None,
            "history": self.training is not None and (self.training.epochs > 0 or self.training.seen.diverged),
        }  # fmt: skip
        known = {name for name, is_known in found.items() if is_known}
        return frozenset(known | {"start"} if {"built", "compiled", "x", "y"} <= known else known)

    # --- do model and data match ---

    @cached_property
    def x_fits(self):
        """Whether samples have the shape that the model takes."""
        shape, expected = self.inputs.x.shape, tuple(self.model.in_shape)
        return shape[1:] == expected or (len(shape) == 1 and expected == (1,))

    @cached_property
    def target_kind(self):
        """What the loss compares outputs with: "labels", "values", or None if it takes anything."""
        return getattr(self.loss, "target", None)

    @cached_property
    def y_fits(self):
        """Whether targets have the shape that the loss takes."""
        shape, out = self.targets.y.shape, tuple(self.shape)
        if self.target_kind == "labels":
            return shape[1:] in ((), (1,))
        return shape[1:] == out or (len(shape) == 2 and shape[1] == prod(out)) or (len(shape) == 1 and prod(out) == 1)

    @cached_property
    def same_length(self):
        """Whether inputs and targets have the same number of rows."""
        return len(self.inputs.x) == len(self.targets.y)

    @cached_property
    def non_finite(self):
        """``{"x" or "y": the error that names the first non-finite value}``."""
        found = {}
        for name, data in (("x", self.inputs), ("y", self.targets)):
            if data is None:
                continue
            try:
                check_finite(name, data.x if name == "x" else data.y, self.model.dtype if self.model.built else None)
            except ValueError as error:
                found[name] = str(error)
        return found

    # --- what a step shows ---

    @cached_property
    def start(self) -> Any:
        """See `start.Start`; None if the step is impossible, as data do not match."""
        return self._start(1.0)

    @cached_property
    def slower_start(self) -> Any:
        """The same at half the rate: what happens there too is no coincidence."""
        return self._start(0.5)

    def _start(self, scale):
        if not self.x_fits or not self.y_fits or not self.same_length or self.non_finite or self.wrong:
            return None
        model, x, y = self.model, self.inputs.x, self.targets.y
        rows = some_rows(len(x), max(LEAST, min(ROWS, int(WORK / (6 * max(1, model.count_params()))))))
        w = None if self.targets.w is None or len(self.targets.w) != len(y) else self.targets.w[rows]
        try:
            given = arrays.samples("x", x[rows], model.in_shape, model.dtype)
            wanted = self._checked_targets(y[rows])
            w = None if w is None else arrays.weights("sample_weight", w, len(given), model.dtype)
            with np.errstate(all="ignore"):
                return start.step(model, self.loss, given, wanted, w, scale)
        except (TypeError, ValueError, NotImplementedError, FloatingPointError):
            return None

    def _checked_targets(self, y):
        model = self.model
        if self.target_kind == "labels":
            return arrays.labels("y", y, self.n, getattr(self.loss, "ignore_class", None))
        if self.target_kind == "values":
            return arrays.targets("y", y, model.out_shape, model.dtype)
        return arrays.free_targets("y", y, model.out_shape)

    @cached_property
    def constant_loss(self):
        """The loss of the best predictor that gives every sample the same; None if it is unknown."""
        if self.targets is None or not self.y_fits or "y" in self.non_finite:
            return None
        return baseline.constant_loss(self.loss, self.targets, self.limits, self.n)

    @cached_property
    def constant_validation_loss(self):
        """The same of the validation targets of a training."""
        seen = None if self.training is None else self.training.seen
        y = None if seen is None else seen.validation_y
        if y is None or self.targets is None or y.shape[1:] != self.targets.y.shape[1:]:
            return None
        return baseline.constant_loss(self.loss, Targets(y, None, seen.validation_rows), self.limits, self.n)

    # --- what rules have in common ---

    @cached_property
    def autoencoder(self):
        """Whether targets are the inputs."""
        if self.inputs is None or self.targets is None or not self.same_length:
            return False
        x, y = self.inputs.x, self.targets.y
        if y is x:
            return True
        rows = slice(0, 16)
        return x[0].size == y[0].size and bool(np.allclose(x[rows].reshape(-1), y[rows].reshape(-1), equal_nan=True))

    @cached_property
    def scaled_columns(self):
        """(root mean square, std) of each column as the first layer with a kernel gets it; of images those of all
        columns together. None if the model normalises."""
        mean, deviation, _, _ = self.inputs.columns
        if self.inputs.image:
            deviation = np.array([np.sqrt(np.mean(deviation**2 + (mean - mean.mean()) ** 2))])
            mean = np.array([mean.mean()])
        for layer in self.layers:
            kind = type(layer).__name__
            if kind in ("BatchNormalization", "LayerNormalization"):
                return None
            if kind == "Normalization":
                if layer.built and (layer.input_mean is not None or layer.adapted or np.any(layer.mean.numpy())):
                    return None
            elif kind == "Rescaling":
                scale, offset = float(layer.scale), float(layer.offset)
                mean, deviation = mean * scale + offset, deviation * abs(scale)
            elif layer.weights or kind == "Activation":
                break
        return np.sqrt(mean**2 + deviation**2), deviation

    @cached_property
    def leak(self):
        """(share of validation rows that occur in training, share of training rows that occur elsewhere in
        training)."""
        x, other = self.inputs.x, self.validation[0].x
        if not self.whole or self.non_finite:
            return None, 0.0
        share = common(x, other)
        sample = self.inputs
        return share, 1 - sample.different / len(sample.sample) if share else 0.0

    @cached_property
    def validation_gap(self):
        """The last validation loss divided by the last training loss; None if it is unknown."""
        valid = () if self.training is None else self.training.curve("val_loss")
        if not len(valid) or not self.training.finite or not np.isfinite(valid[-1]) or self.training.last <= 0:
            return None
        return float(valid[-1] / self.training.last)

    @cached_property
    def untrained(self):
        """Whether the weights are those it started with."""
        return self.training is None and (self.model._engine is None or self.model._engine.step == 0)

    @cached_property
    def start_or_none(self):
        """`start`, where a step was done already or is possible."""
        return self.start if self.training is None and "start" in self.known else None

    @cached_property
    def signal_ratio(self):
        """Standard deviation of the outputs of the last hidden layer divided by that of the first; None if unknown."""
        hidden = [b.layer.name for b in self.blocks[:-1]]
        start = self.start_or_none
        stds = [] if start is None else [v for n, v in start.of("activation_std") if n in hidden]
        return stds[-1] / stds[0] if len(stds) > 1 and stds[0] > 0 else None

    @cached_property
    def gradient_ratio(self):
        """The gradient at the first layer with a kernel divided by that at the last one; None if unknown."""
        start = self.start_or_none
        norms = [] if start is None else [v for n, v in start.of("output_gradient_norm") if n in self.kernel_layers]
        return norms[0] / norms[-1] if len(norms) > 1 and norms[-1] > 0 else None

    @cached_property
    def overflows(self):
        """Whether outputs are not finite before the first step."""
        start = self.start_or_none
        return start is not None and not np.isfinite(start.outputs).all()

    @cached_property
    def learned_before(self):
        """Whether the model is better than a constant predictor before this training."""
        start, constant = self.start_or_none, self.constant_loss
        return start is not None and bool(constant) and start.loss - start.penalty < 0.8 * constant

    @cached_property
    def probe_falls(self):
        """Whether the loss of a batch falls in the first steps on it."""
        start = self.start_or_none
        if start is None:
            return False
        losses = np.array(start.losses)
        return bool(np.isfinite(losses).all() and losses[-1] < 0.95 * losses[0] and losses.max() < 1.1 * losses[0])

    @cached_property
    def linear_fit(self):
        """Share of the variance of the targets that a least-squares fit of the inputs explains; None if unknown."""
        if self.inputs is None or self.targets is None or not self.same_length or self.non_finite:
            return None
        x, y = self.inputs.table, self.targets.y[some_rows(len(self.targets.y))].reshape(len(self.inputs.table), -1)
        if x.shape[1] > 64 or len(x) <= 2 * x.shape[1] or self.target_kind == "labels":
            return None
        x = np.column_stack([x, np.ones(len(x))])
        y = y.astype(np.float64)
        rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        spread = y.var(axis=0).sum()
        return float(1 - rest.var(axis=0).sum() / spread) if spread > 0 else None

    @cached_property
    def learned(self):
        """Whether the training has become better than a constant predictor by 20 %; None if that is unknown."""
        training, constant = self.training, self.constant_loss
        if training is None or constant is None or constant <= 0 or not np.isfinite(training.loss).any():
            return None
        return bool(self.settled_loss < 0.8 * constant)

    @cached_property
    def settled_loss(self):
        """The smallest loss of the last fifth of the epochs, at least two, without the penalties as they are now."""
        loss = self.training.loss[np.isfinite(self.training.loss)]
        return float(loss[-max(2, len(loss) // 5) :].min()) - self.penalty

    @cached_property
    def best_loss(self):
        """The smallest loss of an epoch, without the penalties as they are now."""
        return float(np.nanmin(self.training.loss)) - self.penalty

    @cached_property
    def harmed(self):
        """Whether training has failed so far: not better than a constant predictor, or not finite."""
        if self.training is None:
            return False
        if not self.training.finite:
            return True
        if self.learned is not None:
            return not self.learned
        loss = self.training.loss
        return len(loss) > 2 and bool(loss[-1] > 0.95 * loss[0])

    @cached_property
    def poor(self):
        """Whether the last loss is not half of that of a constant predictor."""
        constant = self.constant_loss
        if self.harmed:
            return True
        return constant is not None and constant > 0 and self.training.last - self.penalty > 0.5 * constant

    @cached_property
    def neighbour_score(self):
        """(how well the nearest neighbours predict, what they would reach by chance at most): accuracy, or
        correlation."""
        if self.inputs is None or self.targets is None or not self.same_length or self.non_finite:
            return None
        rows = some_rows(len(self.inputs.x), 512)
        y = self.targets.y[rows].reshape(len(self.inputs.x[rows]), -1).astype(np.float64)
        return neighbours.score(self.inputs.x[rows], y, self.targets.labels is not None)

    @property
    def neighbours_know(self):
        """Whether the nearest neighbours of a sample know something about its target; None if that is unknown."""
        score = self.neighbour_score
        return None if score is None else bool(score[0] > score[1])

    @cached_property
    def output_trains(self):
        """Whether gradients come to the last layer: otherwise small updates are no fault of the rate."""
        norms = self.training.recent("gradient_norm")
        known = [] if norms is None else norms[np.isfinite(norms).all(axis=1)]
        return len(known) == 0 or bool((known[-1] > 1e-6).all())

    @property
    def learns_well(self):
        """Whether a training has come to something."""
        return self.training is not None and not self.harmed
