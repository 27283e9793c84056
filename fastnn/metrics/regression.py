"""Metrics of regression: errors, cosine similarity and R²."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, one_of
from . import curves
from .metric import Metric

if TYPE_CHECKING:
    from typing import Any, Literal, Never

    from .._base.types import FloatType


class MeanSquaredError(Metric):
    """Mean of ``(y_pred - y_true) ** 2``."""

    row, better, aliases = "mean_squared_error", "down", ("mse",)

    def __init__(
        self, name: str | None = "mean_squared_error", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class MeanAbsoluteError(Metric):
    """Mean of ``|y_pred - y_true|``."""

    row, better, aliases = "mean_absolute_error", "down", ("mae",)

    def __init__(
        self, name: str | None = "mean_absolute_error", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class MeanAbsolutePercentageError(Metric):
    """Mean of ``100 * |y_true - y_pred| / max(|y_true|, 1e-7)``."""

    row, better, aliases = "mean_absolute_percentage_error", "down", ("mape",)

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class MeanSquaredLogarithmicError(Metric):
    """Mean of ``(log(1 + y_pred) - log(1 + y_true)) ** 2``."""

    row, better, aliases = "mean_squared_logarithmic_error", "down", ("msle",)

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class RootMeanSquaredError(Metric):
    """Square root of the mean of ``(y_pred - y_true) ** 2`` over all samples and outputs."""

    row, better, aliases = "mean_squared_error", "down", ("rmse",)

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)

    def result(self, sums: Any, n: float) -> float:
        return float(np.sqrt(super().result(sums, n)))


class LogCoshError(Metric):
    """Mean of ``log(cosh(y_pred - y_true))``."""

    row, better, aliases = "log_cosh", "down", ("logcosh",)

    def __init__(
        self, name: str | None = "logcosh", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class CosineSimilarity(Metric):
    """Cosine similarity of `y_pred` and `y_true`: 1 if they have the same direction.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    axis : int
        Axis of the vectors: the last one.
    """

    over_a_row = True
    row = "cosine_similarity"

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: FloatType | None = None,
        axis: int = -1,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self.axis = integer("axis", axis)

    def result(self, sums: Any, n: float) -> float:
        return -super().result(sums, n)


class R2Score(Metric):
    """Coefficient of determination, 1 − Σ (y_true − y_pred)² / Σ (y_true − mean)²: 1 is perfect, 0 as good as the mean.

    Outputs with constant targets are left out; NaN if no others remain. Targets whose mean is a million times their
    spread count as constant: subtract the mean first.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"}
        How to average over outputs.
    num_regressors : int
        Number p of model inputs for the adjusted score 1 − (1 − R²) (n − 1) / (n − p − 1); 0: no adjustment. As in
        Keras, n is the number of targets, that is, samples times outputs; with too few of them there is no adjustment.
    name : str, optional
    """

    row = "squares"

    def __init__(
        self,
        class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self.num_regressors = integer("num_regressors", num_regressors, 0)
        kinds = ("uniform_average", "variance_weighted_average")
        self.class_aggregation = one_of("class_aggregation", class_aggregation, kinds)

    def result(self, sums: Any, n: float) -> float:
        total, square, residual, count = np.reshape(sums, (-1, 4)).T
        with np.errstate(all="ignore"):
            spread = square - total * (total / count)
            spread = np.where(spread <= 1e-12 * square, 0.0, spread)  # nothing but rounding
            score = 1 - residual / spread
        score = np.where(spread == 0, nan, score)
        if self.class_aggregation == "uniform_average":
            score = curves.mean_of_defined(score)
        else:
            score = float(curves.ratio(np.sum(score * spread, where=spread != 0), spread.sum()))
        n = float(np.sum(count))
        freedom = n - self.num_regressors - 1
        return score if not self.num_regressors or freedom < 1 else 1 - (1 - score) * (n - 1) / freedom
