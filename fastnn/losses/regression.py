"""Losses of regression: errors and their robust variants, quantiles, cosine similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer, number
from .loss import Loss

if TYPE_CHECKING:
    from typing import Never

    from .._base.types import FloatType, Reduction


class MeanSquaredError(Loss):
    """Mean of ``(y_pred - y_true) ** 2`` over the outputs of a sample. Alias: ``"mse"``.

    Examples
    --------
    >>> fastnn.losses.get("mse").name
    'mean_squared_error'
    """

    row = "mean_squared_error"
    aliases = ("mse",)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class MeanAbsoluteError(Loss):
    """Mean of ``|y_pred - y_true|`` over the outputs of a sample; slope 0 at 0. Alias: "mae"."""

    row = "mean_absolute_error"
    aliases = ("mae",)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class MeanAbsolutePercentageError(Loss):
    """Mean of ``100 * |y_true - y_pred| / max(|y_true|, 1e-7)``. Alias: ``"mape"``."""

    row = "mean_absolute_percentage_error"
    aliases = ("mape",)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class MeanSquaredLogarithmicError(Loss):
    """Mean of ``(log(1 + y_pred) - log(1 + y_true)) ** 2``, both clipped to at least 1e-7. Alias: "msle"."""

    row = "mean_squared_logarithmic_error"
    aliases = ("msle",)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class Huber(Loss):
    """Mean of e² / 2 where |e| ≤ δ and of δ |e| − δ² / 2 elsewhere; e = y_pred − y_true.

    Parameters
    ----------
    delta : float
        Above 0.

    References
    ----------
    Huber 1964.
    """

    row, aliases = "huber", ("huber_loss",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.delta = number("delta", delta, 0, open_low=True)


class LogCosh(Loss):
    """Mean of ``log(cosh(y_pred - y_true))``."""

    row = "log_cosh"

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class CosineSimilarity(Loss):
    """Negative cosine similarity of `y_pred` and `y_true`: −1 if they have the same direction.

    Parameters
    ----------
    axis : int
        Axis of the vectors. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    over_a_row = True
    row = "cosine_similarity"

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.axis = integer("axis", axis)


class Quantile(Loss):
    """Mean of ``max(q * e, (q - 1) * e)``, e = y_true − y_pred: minimised by the q-quantile. Alias: "pinball".

    Parameters
    ----------
    quantile : float
        Between 0 and 1.

    References
    ----------
    Koenker & Bassett 1978.
    """

    row, aliases = "quantile", ("pinball", "quantile_loss")

    def __init__(
        self,
        quantile: float = 0.5,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "quantile",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.quantile = number("quantile", quantile, 0, 1, open_low=True, open_high=True)
