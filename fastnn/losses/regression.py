"""Losses of regression: errors and their robust variants, quantiles, cosine similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer, number
from .._base.numbers import as_array
from .loss import Loss

if TYPE_CHECKING:
    from typing import Any, Never

    from .._base.types import AnyArray, FloatType, Reduction


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


class GaussianNLL(Loss):
    r"""Negative log-likelihood of normal distributions, of which the model predicts mean and variance.

    For K targets the model has 2K outputs: K means μ, then K variances v. The loss is the mean over the targets of
    :math:`\frac12 (\log v + (t - \mu)^2 / v)`.

    Parameters
    ----------
    full : bool
        Add the constant :math:`\frac12 \log 2 \pi`.
    eps : float
        Smaller variances count as this one (their gradient is that of this one, so that they recover).
    reduction, name, dtype
        As for `Loss`.

    Notes
    -----
    Variances must be positive: let them come from "softplus" or "exponential". Built-in metrics would compare all
    outputs with the targets; use a custom one, such as ``lambda t, y: abs(t[:, :1] - y[:, :1])``.

    References
    ----------
    Nix & Weigend 1994, eq. 3.

    Examples
    --------
    >>> from fastnn.layers import Concatenate, Dense, Input
    >>> x = Input((3,))
    >>> hidden = Dense(16, "tanh")(x)
    >>> model = fastnn.Model(x, Concatenate()([Dense(1)(hidden), Dense(1, "softplus")(hidden)]))
    >>> model.compile("adam", fastnn.losses.GaussianNLL())
    >>> history = model.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0)
    >>> mean, variance = model.predict(np.ones((8, 3)), verbose=0).T
    """

    row, over_a_row = "gaussian_nll", True
    aliases = ("gaussian_nll", "gaussian_nll_loss")
    of_half = True  # there are half as many targets as outputs

    def __init__(
        self,
        full: bool = False,
        eps: float = 1e-6,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "gaussian_nll",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.full = flag("full", full)
        self.eps = number("eps", eps, 0, open_low=True)

    def _values(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = as_array("y_pred", y_pred)
        return super()._values(whole_targets("y_true", as_array("y_true", y_true), y_pred.shape[-1]), y_pred)


def whole_targets(name: str, y: AnyArray, outputs: int) -> AnyArray:
    """Targets (n, K) of a loss with 2K outputs, with as many columns; those for the variances are not read."""
    if outputs % 2:
        raise ValueError(f"{name}: expected a model with means and variances as outputs, an even number, got {outputs}")
    y = y.reshape(len(y), -1) if y.ndim != 2 else y
    if y.shape[1] == outputs // 2:
        y = np.concatenate([y, np.zeros_like(y)], axis=1)
    if y.shape[1] != outputs:
        raise ValueError(f"{name}: expected {outputs // 2} values per row, half the outputs, got {y.shape[1]}")
    return y
