"""What a model is for, derived from the targets, and figures that can be compared across losses and encodings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._base.random import generator
from ...metrics.outputs import LOGITS, wanted_by

if TYPE_CHECKING:
    from typing import Any

    from ...layers.base import Layer

CLASSES, ONE_HOT, BINARY, LABELS, VALUES = "classes", "one-hot", "binary", "labels", "values"
MOST_CLASSES = 100
TINY = 1e-7
RANDOM = 200  # features of the yardstick
REGRESSIONS = ("Mean", "Huber", "LogCosh", "Quantile", "CosineSimilarity")


def regression(loss):
    """Whether it is a loss of values."""
    name = loss if isinstance(loss, str) else type(loss).__name__
    name = name.title().replace("_", "") if isinstance(loss, str) else name
    return name.startswith(REGRESSIONS) or name.lower() in ("mse", "mae", "mape", "msle")


@dataclass(frozen=True)
class Figures:
    """How well a model does its task on validation data.

    Attributes
    ----------
    score : float
        Accuracy, or explained variance (R²).
    loss : float
        Cross-entropy of the predictions read as probabilities, or mean squared error / variance of the targets.
    margin : float
        Differences of the score below it mean nothing.
    """

    score: float
    loss: float
    margin: float = 0.0

    def better_than(self, other):
        """Whether the score is clearly higher, or as high with a loss that is clearly lower."""
        if abs(self.score - other.score) > self.margin:
            return self.score > other.score
        return self.loss < 0.97 * other.loss

    def as_dict(self, task):
        """By name; nothing, of predictions that are not finite."""
        if not np.isfinite(self.loss):
            return {}
        name = "r2" if task.kind == VALUES else "accuracy"
        return {name: self.score, "loss": self.loss}


WORST = Figures(-np.inf, np.inf)


def mean_of(figures):
    """Means over several epochs."""
    if len(figures) == 1:
        return figures[0]
    return Figures(*(float(np.mean([getattr(f, name) for f in figures])) for name in ("score", "loss", "margin")))


@dataclass(frozen=True)
class Task:
    """What the targets ask for.

    Attributes
    ----------
    kind : str
    width : int
        Outputs that it needs: classes, labels or values.
    low, high : float
        The two values of binary targets.
    mean, std : arrays (width,)
        Of values.
    """

    kind: str
    width: int
    low: float = 0.0
    high: float = 1.0
    mean: Any = 0.0
    std: Any = 1.0

    @classmethod
    def of(cls, y, units, loss):
        """Of targets and of the units and the loss of the model at hand."""
        flat = y.reshape(len(y), -1).astype(np.float64)
        if flat.shape[1] > 1:
            binary = bool(np.isin(flat, (0.0, 1.0)).all())
            if binary and np.all(flat.sum(axis=1) == 1):
                return cls(ONE_HOT, flat.shape[1])
            if binary:
                return cls(LABELS, flat.shape[1])
            return cls(VALUES, flat.shape[1], mean=flat.mean(axis=0), std=flat.std(axis=0))
        distinct = np.unique(flat)
        integral = bool(np.all(distinct == np.round(distinct))) and len(distinct) <= MOST_CLASSES
        several = units > 1 or len(distinct) > 2
        if integral and len(distinct) > 1 and several and distinct[0] >= 0 and (units > 1 or not regression(loss)):
            return cls(CLASSES, max(int(distinct[-1]) + 1, 2))
        if len(distinct) == 2:
            return cls(BINARY, 1, float(distinct[0]), float(distinct[1]))
        return cls(VALUES, 1, mean=flat.mean(axis=0), std=flat.std(axis=0))

    @property
    def unusual_binary(self):
        return self.kind == BINARY and (self.low, self.high) != (0.0, 1.0)

    def constant(self, y):
        """Figures of the best constant predictor."""
        flat = y.reshape(len(y), -1)
        if self.kind == VALUES:
            return Figures(0.0, 1.0, 0.003)
        if self.kind == LABELS:
            share = np.clip(flat.mean(axis=0), TINY, 1 - TINY)
            loss = -np.mean(share * np.log(share) + (1 - share) * np.log1p(-share))
            return Figures(float(np.mean(np.maximum(share, 1 - share))), float(loss), margin_of(len(y)))
        shares = np.bincount(self._classes(flat), minlength=2) / len(y)
        loss = -np.sum(shares * np.log(np.maximum(shares, TINY)))
        return Figures(float(shares.max()), float(loss), margin_of(len(y)))

    def _classes(self, flat):
        if self.kind == ONE_HOT:
            return flat.argmax(axis=1)
        if self.kind == BINARY:
            return (flat[:, 0] > (self.low + self.high) / 2).astype(int)
        return flat[:, 0].astype(int)

    def figures(self, prediction, y, model):
        """Of predictions for validation rows."""
        p, flat = prediction.reshape(len(y), -1).astype(np.float64), y.reshape(len(y), -1)
        if not np.isfinite(p).all():
            return WORST
        if self.kind == VALUES:
            return self._of_values(p, flat)
        p = self._probabilities(p, model)
        if self.kind == LABELS:
            if p.shape != flat.shape:
                return WORST
            right, inside = np.mean((p > 0.5) == flat), np.clip(np.where(flat > 0, p, 1 - p), TINY, 1)
            return Figures(float(right), float(-np.mean(np.log(inside))), margin_of(len(y)))
        classes = self._classes(flat)
        if p.shape[1] == 1:
            p = np.concatenate([1 - p, p], axis=1)
        if classes.max() >= p.shape[1]:
            return WORST
        rows = np.arange(len(y))
        return Figures(float(np.mean(p.argmax(axis=1) == classes)),
                       float(-np.mean(np.log(np.clip(p[rows, classes], TINY, 1)))), margin_of(len(y)))  # fmt: skip

    def _of_values(self, p, flat):
        if p.shape != flat.shape:
            return WORST
        variance = np.maximum(flat.var(axis=0), 1e-300)
        error = float(np.mean(np.mean((p - flat) ** 2, axis=0) / variance))
        return Figures(max(-1.0, 1 - error), min(error, 1e300), 0.003)

    def _probabilities(self, p, model):
        """Of outputs of any kind: logits through their activation, other outputs between the two classes, or clipped"""
        if self.kind == BINARY and p.shape[1] == 1:
            if logits(model):
                return 1 / (1 + np.exp(-np.clip(p, -700, 700)))
            low, high = (0.0, 1.0) if ends_with(model) == "sigmoid" else (self.low, self.high)
            return np.clip((p - low) / (high - low), 0, 1)
        if logits(model):
            if self.kind == LABELS:
                return 1 / (1 + np.exp(-np.clip(p, -700, 700)))
            p = np.exp(p - p.max(axis=1, keepdims=True))
        elif self.kind == LABELS:
            return np.clip(p, 0, 1)
        elif ends_with(model) == "log_softmax":
            p = np.exp(p)
        elif p.min() < 0:  # of no kind: the order counts
            p = p - p.min(axis=1, keepdims=True)
        return p / np.maximum(p.sum(axis=1, keepdims=True), TINY)


def margin_of(n):
    """A sample, or a few of many."""
    return max(0.003, 1.0 / n)


def logits(model):
    return wanted_by(model.loss) == LOGITS


def ends_with(model):
    """Name of the activation of the last layer."""
    last: Layer = list(model.leaves())[-1]
    found = last.function if hasattr(type(last), "function") else last.__dict__.get("activation")
    return getattr(found, "__name__", "linear")


def yardstick(task, x, y, xv, yv):
    """The best of three simple methods on at most 2000 rows: linear least squares, the same with `RANDOM` random tanh
    features (an untrained hidden layer), and the five nearest neighbours; a score."""
    rows = np.linspace(0, len(x) - 1, min(len(x), 2000)).astype(int)
    x, y = x.reshape(len(x), -1)[rows].astype(np.float64), y.reshape(len(y), -1)[rows].astype(np.float64)
    held = np.linspace(0, len(xv) - 1, min(len(xv), 1000)).astype(int)
    xv, yv = xv.reshape(len(xv), -1)[held].astype(np.float64), yv.reshape(len(yv), -1)[held]
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[std < 1e-12 + 1e-6 * np.abs(mean)] = np.inf  # constant columns say nothing
    x, xv = (x - mean) / std, (xv - mean) / std
    wanted = y if task.kind in (ONE_HOT, LABELS, VALUES) else np.eye(max(task.width, 2))[task._classes(y)]
    rng = generator(0)
    weights, bias = rng.normal(size=(x.shape[1], RANDOM)) * 1.5 / np.sqrt(x.shape[1]), rng.normal(size=RANDOM)
    ones, ones_v = np.ones((len(x), 1)), np.ones((len(xv), 1))
    linear = _least_squares([x, ones], wanted, [xv, ones_v])
    random = _least_squares([np.tanh(x @ weights + bias), x, ones], wanted, [np.tanh(xv @ weights + bias), xv, ones_v])
    distance = (xv**2).sum(axis=1)[:, None] - 2 * xv @ x.T + (x**2).sum(axis=1)
    near = np.argpartition(distance, min(5, len(x)) - 1, axis=1)[:, :5]
    return max(_score(task, found, yv) for found in (linear, random, wanted[near].mean(axis=1)))


def _least_squares(columns, wanted, held):
    a = np.concatenate(columns, axis=1)
    ridge = 1e-3 * len(a) * np.eye(a.shape[1])
    return np.concatenate(held, axis=1) @ np.linalg.solve(a.T @ a + ridge, a.T @ wanted)


def _score(task, found, y):
    if task.kind == VALUES:
        return task._of_values(found, y).score
    if task.kind == LABELS:
        return float(np.mean((found > 0.5) == y))
    return float(np.mean(found.argmax(axis=1) == task._classes(y)))
