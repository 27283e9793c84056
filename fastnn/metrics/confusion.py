"""Metrics of true and false positives and negatives at one threshold: precision, recall, F-scores."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, number, one_of
from .._base.signatures import check_without_effect
from . import curves
from .metric import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, Never

    from .._base.types import Config, FloatType


class _Confusion(Metric):
    """Base class of metrics of true and false positives and negatives.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Outputs above it are positive; default 0.5.
    top_k : None
        For compatibility with Keras; only the default is accepted.
    class_id : int, optional
        Evaluate this output only.
    """

    row, threshold_argument = "confusion", "thresholds"

    without_effect = {"top_k": None}

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        """The metric, of the counts."""
        raise NotImplementedError

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.thresholds = _thresholds(thresholds)
        self.class_id = None if class_id is None else integer("class_id", class_id, 0)
        if self.several and self.class_id is not None:
            raise ValueError(f"class_id: expected None with several thresholds, got {class_id}")

    @property
    def several(self) -> bool:
        """Whether there are several thresholds: then there is a value for each."""
        return isinstance(self.thresholds, list)

    @property
    def params(self) -> tuple[float, ...]:
        return (0.5 if self.thresholds is None else self.thresholds[0] if self.several else self.thresholds,)

    def for_core(self) -> Any:
        return (curves.BY_RANKS, (), self.target) if self.several else super().for_core()

    def check(self, n_outputs: int) -> None:
        if self.class_id is not None and self.class_id >= n_outputs:
            raise ValueError(
                f"class_id: expected 0 to {n_outputs - 1}, as the model has {n_outputs} outputs, got {self.class_id}"
            )

    def result(self, sums: Any, n: float) -> Any:
        """Compute the metric from the core's sums: a float, or an array with a value for each of several thresholds."""
        if self.several:
            if not isinstance(sums, curves.Scores):  # of no sample
                sums = curves.Scores()
            (tp, fp), (positives, negatives) = sums.at(self.thresholds)
            return np.asarray(self.value(tp, fp, positives - tp, negatives - fp), np.float64)
        by_class = np.reshape(sums, (-1, 4))
        counts = by_class.sum(axis=0) if self.class_id is None else by_class[self.class_id]
        return float(self.value(*counts))


def _thresholds(given):
    """A number, a list of several, or None."""
    if isinstance(given, (list, tuple)) and len(given) != 1:
        if not given:
            raise ValueError("thresholds: expected a number, or a list of numbers, got an empty list")
        return [number(f"thresholds[{i}]", each, 0, 1) for i, each in enumerate(given)]
    given = given[0] if isinstance(given, (list, tuple)) else given
    return None if given is None else number("thresholds", given, 0, 1)


class Precision(_Confusion):
    """Precision, tp / (tp + fp): the fraction of positive predictions that are correct; NaN without any.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Outputs above it are positive; default 0.5. Of several thresholds the result is an array, a value for each; then
        the outputs of all samples of an epoch are kept.
    top_k : None
        For compatibility with Keras; only the default is accepted.
    class_id : int, optional
        Evaluate this output only.
    name, dtype
        As for `Metric`.
    """

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return curves.ratio(tp, tp + fp)


class Recall(_Confusion):
    """Recall, tp / (tp + fn): the fraction of positives found; NaN without any. Parameters as for `Precision`."""

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return curves.ratio(tp, tp + fn)


class _Count(_Confusion):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(thresholds, None, None, name, dtype, **kwargs)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["class_id"]
        return config


class TruePositives(_Count):
    """Number of outputs above the threshold whose target is 1."""

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return tp


class FalsePositives(_Count):
    """Number of outputs above the threshold whose target is 0."""

    better = "down"

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return fp


class TrueNegatives(_Count):
    """Number of outputs not above the threshold whose target is 0."""

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return tn


class FalseNegatives(_Count):
    """Number of outputs not above the threshold whose target is 1."""

    better = "down"

    def value(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return fn


class FBetaScore(Metric):
    """F-beta score, (1 + β²) precision · recall / (β² precision + recall), per class or averaged.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        "micro": from the counts of all classes together; "macro": mean over classes; "weighted": mean
        weighted by class size. A class that occurs neither in
        the targets nor in the predictions is left out of the mean, as in scikit-learn; NaN if no
        class remains. None: an array, a value for each class; a number for models with one output.
    beta : float
    threshold : float, optional
        Outputs above it are positive; default: the largest output of a sample is. Required for
        models with one output.
    name : str, optional
    """

    row, threshold_argument = "confusion", "threshold"

    def __init__(
        self,
        average: Literal["micro", "macro", "weighted"] | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self.average = one_of("average", average, (None, "micro", "macro", "weighted"))
        self.beta = number("beta", beta, 0, open_low=True)
        self.threshold = None if threshold is None else number("threshold", threshold, 0, 1)

    @property
    def params(self) -> tuple[float, ...]:
        return (inf if self.threshold is None else self.threshold,)

    def follow(self, kind: str | None, n_outputs: int) -> None:
        if n_outputs == 1:
            self.threshold = 0.5
            super().follow(kind, n_outputs)

    def check(self, n_outputs: int) -> None:
        if self.threshold is None and n_outputs == 1:
            raise ValueError(
                f"threshold: expected a number for a model with one output (else every sample is positive), got None;"
                f" pass {type(self).__name__}(threshold=0.5), or 0 for logits"
            )

    def result(self, sums: Any, n: float) -> Any:
        """Compute the metric from the core's sums: a float, or an array with a value for each class."""
        tp, fp, fn, _ = np.reshape(sums, (-1, 4)).T
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        square, sizes = self.beta**2, tp + fn
        score = curves.ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average == "weighted":
            return float(curves.ratio(np.sum(score * sizes, where=sizes != 0), sizes.sum()))
        if self.average is None and len(tp) > 1:
            return np.asarray(score)
        return curves.mean_of_defined(score)


class F1Score(FBetaScore):
    """F1 score, 2 precision · recall / (precision + recall); parameters as for `FBetaScore`."""

    def __init__(
        self,
        average: Literal["micro", "macro", "weighted"] | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype, **kwargs)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["beta"]
        return config
