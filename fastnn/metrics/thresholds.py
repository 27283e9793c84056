"""Metrics over all thresholds: areas under curves, and the best rate where another is at least a given value."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer, number, one_of
from .._base.signatures import check_without_effect
from . import curves, outputs
from .metric import Metric

if TYPE_CHECKING:
    from typing import Any, Literal, Never

    from .._base.types import FloatType


class _Curve(Metric):
    """Metrics computed from the counts at all thresholds: by ranks, or on a grid."""

    row = "histogram"
    from_logits: bool = False
    num_thresholds: int | None

    def remedy(self, kind: str | None) -> str | None:
        found = None if self.num_thresholds is None else super().remedy(kind)
        return found and f"{found}, or no num_thresholds"

    @property
    def params(self) -> tuple[float, ...]:
        return float(self.num_thresholds or 0), float(self.from_logits)

    def for_core(self) -> Any:
        if self.num_thresholds is None:
            return curves.BY_RANKS, (), self.target
        return super().for_core()

    def counts(self, sums: Any) -> Any:
        """True and false positives at each threshold, the lowest first."""
        if isinstance(sums, curves.Scores):
            return sums.counts()
        return np.cumsum(np.reshape(sums, (-1, 2))[::-1], axis=0)[::-1].T


class AUC(_Curve):
    """Area under the ROC or precision-recall curve, exact, from the ranks of the outputs. All outputs are pooled.

    NaN where the curve is undefined: without a positive target, for "ROC" also without a negative one.

    Parameters
    ----------
    num_thresholds : int, optional
        Use Keras' approximation by a histogram with this number of evenly spaced thresholds from 0 to 1
        (Keras' default: 200). Its error is of the order of 1 / `num_thresholds` for outputs that fill
        [0, 1], and unbounded for others.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring", "step"}
        Trapezoidal rule ("PR": Davis & Goadrich); the lower or the upper end of each step; the end
        of each step with more positives, which is scikit-learn's average precision.
    name, dtype
        As for `Metric`.
    thresholds, multi_label, num_labels, label_weights
        For compatibility with Keras; only the defaults are accepted.
    from_logits : bool
        Whether the outputs are logits; otherwise they are in [0, 1]. By ranks it makes no difference.

    Notes
    -----
    By ranks, the outputs of an epoch are kept until it ends: 5 bytes for each output of a float32 model, 9 with
    sample weights, and 24 for each distinct output if the value is requested during the epoch. Computing the
    value takes a sort; this happens after each batch only if a callback has batch hooks.

    References
    ----------
    Davis & Goadrich 2006, for the interpolation of precision and recall.
    """

    without_effect = {"thresholds": None, "multi_label": False, "num_labels": None, "label_weights": None}

    def __init__(
        self,
        num_thresholds: int | None = None,
        curve: Literal["ROC", "PR"] = "ROC",
        summation_method: Literal["interpolation", "minoring", "majoring", "step"] = "interpolation",
        name: str | None = None,
        dtype: FloatType | None = None,
        thresholds: None = None,
        multi_label: bool = False,
        num_labels: None = None,
        label_weights: None = None,
        from_logits: bool = False,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.num_thresholds = _thresholds(num_thresholds)
        self.curve = one_of("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring", "step")
        self.summation_method = one_of("summation_method", summation_method, methods)
        self.from_logits = flag("from_logits", from_logits)

    def result(self, sums: Any, n: float) -> float:
        tp, fp = self.counts(sums) if n else (None, None)
        return curves.area(tp, fp, self.curve, self.summation_method) if n else nan


class _AtThreshold(_Curve):
    """The best value of one rate where another is at least a given value; NaN where one is undefined everywhere."""

    wanted: Any = None
    given: Any = None
    without_effect = {"class_id": None}

    def follow(self, kind: str | None, n_outputs: int) -> None:
        """Nothing to set: by name, thresholds are ranks."""

    def remedy(self, kind: str | None) -> str | None:
        grid = self.num_thresholds is not None and kind not in (None, outputs.PROBABILITIES)
        return "no num_thresholds" if grid else None

    def _ask(self, least, num_thresholds, class_id, name, dtype, kwargs):
        """The constructor of all of them, whose first argument has the name of the given rate."""
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, {"class_id": class_id})
        setattr(self, self.given, number(self.given, least, 0, 1))
        self.num_thresholds = _thresholds(num_thresholds)

    def result(self, sums: Any, n: float) -> float:
        if not n:
            return nan
        tp, fp = self.counts(sums)
        rates = {
            "precision": curves.ratio(tp, tp + fp),
            "recall": curves.ratio(tp, tp[0]),
            "specificity": curves.ratio(fp[0] - fp, fp[0]),
        }
        rates["sensitivity"] = rates["recall"]
        wanted, given = rates[self.wanted], rates[self.given]
        if np.isnan(wanted).all() or np.isnan(given).all():
            return nan
        enough = (given >= getattr(self, self.given)) & ~np.isnan(wanted)
        return float(np.max(wanted, where=enough, initial=0.0))


def _thresholds(value):
    return None if value is None else integer("num_thresholds", value, 2)


class PrecisionAtRecall(_AtThreshold):
    """The largest precision over all thresholds where the recall is at least `recall`.

    NaN if one of the two is undefined at every threshold.

    Parameters
    ----------
    recall : float
        0 to 1.
    num_thresholds : int, optional
        Default: every output is a threshold; memory and time are as for `AUC`. Otherwise Keras' approximation
        (its default: 200) with this number of thresholds, at least 2, evenly spaced from 0 to 1; an output is above a
        threshold if it is larger; 0 is above 0.
    class_id : None
        For compatibility with Keras; only the default is accepted.
    name, dtype
        As for `Metric`.
    """

    wanted, given = "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int | None = None,
        class_id: None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        self._ask(recall, num_thresholds, class_id, name, dtype, kwargs)


class RecallAtPrecision(_AtThreshold):
    """The largest recall over all thresholds where the precision is at least `precision`; 0 if there is none.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int | None = None,
        class_id: None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        self._ask(precision, num_thresholds, class_id, name, dtype, kwargs)


class SensitivityAtSpecificity(_AtThreshold):
    """The largest sensitivity, tp / (tp + fn), over all thresholds where the specificity is at least `specificity`.

    Specificity is tn / (tn + fp). 0 if there is no such threshold.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int | None = None,
        class_id: None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        self._ask(specificity, num_thresholds, class_id, name, dtype, kwargs)


class SpecificityAtSensitivity(_AtThreshold):
    """The largest specificity, tn / (tn + fp), over all thresholds where the sensitivity is at least `sensitivity`.

    Sensitivity is tp / (tp + fn). 0 if there is no such threshold.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int | None = None,
        class_id: None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        self._ask(sensitivity, num_thresholds, class_id, name, dtype, kwargs)
