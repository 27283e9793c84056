"""Metrics by ranks: the outputs of all samples are kept, so that no grid of thresholds is needed.

(a) `Scores` collects the outputs batch by batch. `counts` sorts new outputs, merges them into those sorted before,
    and keeps one entry for each distinct output: so memory is at most 24 bytes for each
    distinct output, and 5 to 17 bytes for each output since the last call.
(b) `counts` are true and false positives at every possible threshold, the lowest first, in the same form as those of
    a histogram with a fixed grid.
"""

from math import nan

import numpy as np

BY_RANKS = "by ranks"  # instead of a kernel row: the engine keeps the outputs, see `Scores`


class Scores:
    """Outputs of the model with targets and weights."""

    def __init__(self):
        self._new = []
        self._values, self._weights = np.empty(0), np.empty((0, 2))  # sorted; of positives and negatives

    def add(self, outputs, targets, weights=None):
        """Add a batch.

        Parameters
        ----------
        outputs, targets : ndarray (n, outputs)
            Targets other than 0 are positive.
        weights : ndarray (n,), optional
        """
        weights = None if weights is None else np.repeat(weights, outputs.shape[1])
        self._new.append((outputs.reshape(-1), (targets != 0).reshape(-1), weights))

    def counts(self):
        """True and false positives, (thresholds + 1,) each: for all outputs, …, for none. NaN if an output is NaN."""
        self._merge()
        if np.isnan(self._values[-1:]).any():
            return np.full((2, 2), np.nan)
        above = np.cumsum(self._weights[::-1], axis=0)[::-1]
        return np.concatenate([above, np.zeros((1, 2))]).T

    def at(self, thresholds):
        """True and false positives of the outputs above each of some thresholds, and positives and negatives."""
        self._merge()
        if np.isnan(self._values[-1:]).any():
            return np.full((2, len(thresholds)), np.nan), np.full(2, np.nan)
        above = np.concatenate([np.cumsum(self._weights[::-1], axis=0)[::-1], np.zeros((1, 2))])
        return above[np.searchsorted(self._values, thresholds, side="right")].T, above[0]

    def _merge(self):
        if not self._new:
            return
        values = np.concatenate([new[0] for new in self._new]).astype(np.float64)
        positive = np.concatenate([new[1] for new in self._new])
        weights = np.zeros((len(values), 2))
        given = [np.ones(len(new[0])) if new[2] is None else new[2] for new in self._new]
        weights[np.arange(len(values)), 1 - positive] = np.concatenate(given)
        order = np.argsort(values, kind="stable")
        values = np.concatenate([self._values, values[order]])
        weights = np.concatenate([self._weights, weights[order]])
        order = np.argsort(values, kind="stable")  # of two sorted runs: linear
        values, weights = values[order], weights[order]
        first = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)  # of each different value; NaN differs from all
        self._values, self._weights = values[first], np.add.reduceat(weights, first) if len(first) else weights
        self._new = []


def ratio(a, b):
    """a / b; NaN for 0 / 0."""
    with np.errstate(all="ignore"):
        return np.divide(a, b, dtype=np.float64)


def mean_of_defined(values):
    """Mean of the values that are not NaN; NaN if all are."""
    defined = np.asarray(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else nan


def area(tp, fp, curve, method):
    """Area under a curve from counts at thresholds, the lowest first; NaN where the curve is undefined."""
    positives, negatives = tp[0], fp[0]
    if not positives > 0 or (curve == "ROC" and not negatives > 0):
        return np.nan
    if curve == "PR" and method == "interpolation":
        return _precision_interpolated(tp, fp, positives)
    recall = tp / positives
    if curve == "ROC":
        x, y = fp / negatives, recall
    else:
        x, y = recall, ratio(tp, tp + fp)
        y = np.where(tp + fp > 0, y, 0.0)  # at the threshold above all outputs, as in Keras
    heights = {
        "interpolation": lambda: (y[:-1] + y[1:]) / 2,
        "minoring": lambda: np.minimum(y[:-1], y[1:]),
        "majoring": lambda: np.maximum(y[:-1], y[1:]),
        "step": lambda: y[:-1],
    }[method]()
    return float(np.sum((x[:-1] - x[1:]) * heights))


def _precision_interpolated(tp, fp, positives):
    """Davis & Goadrich 2006: between two thresholds the counts, not the precision, are interpolated."""
    found = tp + fp
    step, hits = found[:-1] - found[1:], tp[:-1] - tp[1:]
    slope = np.where(step > 0, ratio(hits, step), 0.0)
    start = tp[1:] - slope * found[1:]
    both = (found[:-1] > 0) & (found[1:] > 0)
    growth = np.where(both, ratio(found[:-1], found[1:]), 1.0)
    return float(np.sum(slope * (hits + start * np.log(growth))) / positives)
