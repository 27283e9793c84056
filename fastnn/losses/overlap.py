"""Losses of overlap, of a whole batch or of each sample; they run in NumPy, between the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, number
from .._base.numbers import as_array, cast
from .loss import MEANS, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import AnyArray, FloatType, Reduction

EPS = 1e-7  # Keras' backend.epsilon()


class _Overlap(Loss):
    """Base class; sums are over `axis`: None for all elements of a batch, or all axes but that of the samples."""

    row = None
    target = "values"
    over_a_row = False

    def __init__(
        self,
        reduction: Reduction | None,
        name: str | None,
        axis: int | Sequence[int] | None,
        dtype: FloatType | None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if self.reduction not in MEANS:
            raise ValueError(f"reduction: expected a mean for {type(self).__name__}, got {reduction!r}")
        axes = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
        self._axes = None if axis is None else tuple(integer("axis", a) for a in axes)

    @property
    def axis(self) -> Any:  # of the sums, not of classes
        return self._axes

    @axis.setter
    def axis(self, value: Any) -> None:
        raise AttributeError("axis: expected the argument of the constructor")

    def _values_and_slopes(self, t: AnyArray, p: AnyArray, axes: Any) -> tuple[AnyArray, AnyArray]:
        """Values without the axes of the sums, and their derivatives by p."""
        raise NotImplementedError

    def in_numpy(self) -> Any:
        """The loss as `PythonLoss` has it: ``(y_true, y_pred)`` to values of each sample and their gradient."""
        return _OfBatch(self) if self._axes is None else _OfSamples(self)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the loss of arrays of equal shape.

        Parameters
        ----------
        y_true, y_pred : array_like (n, ...)
        sample_weight : array_like, optional
            Factors of the values; for sums over the batch a single one.
        """
        p = as_array("y_pred", y_pred)
        p = cast("y_pred", p, self.dtype or (p.dtype if p.dtype.kind == "f" else np.float32))
        t = cast("y_true", as_array("y_true", y_true), p.dtype)
        if t.shape != p.shape:
            raise ValueError(f"y_true: expected shape {p.shape}, like y_pred, got {t.shape}")
        values, _ = self._values_and_slopes(t, p, self._axes)
        weight = 1.0 if sample_weight is None else as_array("sample_weight", sample_weight)
        return float(np.mean(values * weight))


class _OfBatch:
    """One value for the batch, which each sample has; its gradient is divided by their number."""

    of_batch = True

    def __init__(self, loss: _Overlap) -> None:
        self.loss, self.name = loss, loss.name

    def __call__(self, t: AnyArray, p: AnyArray) -> tuple[AnyArray, AnyArray]:
        value, slope = self.loss._values_and_slopes(np.reshape(t, p.shape).astype(p.dtype), p, None)
        return np.full(len(p), float(value)), len(p) * slope


class _OfSamples(_OfBatch):
    """A value for each sample."""

    of_batch = False

    def __call__(self, t: AnyArray, p: AnyArray) -> tuple[AnyArray, AnyArray]:
        axes = tuple(a % p.ndim for a in self.loss._axes or ())
        if sorted(axes) != list(range(1, p.ndim)):
            raise ValueError(f"axis: expected None or all axes but 0 of outputs of shape {p.shape}, got {axes}")
        return self.loss._values_and_slopes(np.reshape(t, p.shape).astype(p.dtype), p, axes)


class Dice(_Overlap):
    r"""Dice loss, :math:`1 - 2 \sum t p / (\sum t + \sum p)`: from the overlap of targets and predictions.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight"}
    name : str, optional
    axis : tuple of int, optional
        Axes of the sums. None: all elements of a batch together, so that a batch is one value; sample weights are
        refused then. ``1`` for flat outputs: of each sample.
    dtype : {"float32", "float64"}, optional

    Notes
    -----
    It is computed in NumPy, for which the core stops in every step.

    References
    ----------
    Milletari, Navab & Ahmadi 2016, section 3.

    Examples
    --------
    >>> round(fastnn.losses.Dice()([[0.0, 1.0]], [[0.5, 0.5]]), 6)
    0.5
    """

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: int | Sequence[int] | None = None,
        dtype: FloatType | None = None,
    ) -> None:
        super().__init__(reduction, name, axis, dtype)

    def _values_and_slopes(self, t: AnyArray, p: AnyArray, axes: Any) -> tuple[AnyArray, AnyArray]:
        both = (t * p).sum(axis=axes, keepdims=True)
        total = t.sum(axis=axes, keepdims=True) + p.sum(axis=axes, keepdims=True) + EPS
        value = np.where(total == 0, 1, 1 - 2 * both / total)
        return np.squeeze(value, axis=axes), -2 * (t * total - both) / total**2


class Tversky(_Overlap):
    r"""Tversky loss, :math:`1 - I / (I + \alpha \sum t (1 - p) + \beta \sum p (1 - t))` with :math:`I = \sum t p`.

    With α = β = ½ it is `Dice`. As in Keras, α is the factor of the missed and β that of the wrong positives.

    Parameters
    ----------
    alpha, beta : float
        At least 0.
    reduction, name, axis, dtype
        As for `Dice`.

    References
    ----------
    Salehi, Erdogmus & Gholipour 2017, eq. 3.

    Examples
    --------
    >>> round(fastnn.losses.Tversky(alpha=0.9, beta=0.1)([[0.0, 1.0]], [[0.5, 0.5]]), 6)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: int | Sequence[int] | None = None,
        dtype: FloatType | None = None,
    ) -> None:
        super().__init__(reduction, name, axis, dtype)
        self.alpha, self.beta = number("alpha", alpha, 0), number("beta", beta, 0)

    def _values_and_slopes(self, t: AnyArray, p: AnyArray, axes: Any) -> tuple[AnyArray, AnyArray]:
        both = (t * p).sum(axis=axes, keepdims=True)
        missed, wrong = (t * (1 - p)).sum(axis=axes, keepdims=True), (p * (1 - t)).sum(axis=axes, keepdims=True)
        total = both + self.alpha * missed + self.beta * wrong + EPS
        slope = t - self.alpha * t + self.beta * (1 - t)  # of the divisor
        return np.squeeze(1 - both / total, axis=axes), -(t * total - both * slope) / total**2


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: int | Sequence[int] | None = None) -> Any:
    """Compute `Dice` of arrays: one value, or one for each index of the axes that are not summed.

    Examples
    --------
    >>> fastnn.losses.dice([[0.0, 1.0]], [[0.5, 0.5]], axis=1).round(6)
    array([0.5])
    """
    return _function(Dice(axis=axis), y_true, y_pred)


def tversky(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | Sequence[int] | None = None,
) -> Any:
    """Compute `Tversky` of arrays: one value, or one for each index of the axes that are not summed.

    Examples
    --------
    >>> fastnn.losses.tversky([[0.0, 1.0]], [[0.5, 0.5]], axis=1).round(6)
    array([0.5])
    """
    return _function(Tversky(alpha, beta, axis=axis), y_true, y_pred)


def _function(loss, y_true, y_pred):
    p, t = (np.asarray(as_array(name, a), np.float64) for name, a in (("y_pred", y_pred), ("y_true", y_true)))
    return loss._values_and_slopes(t, p, loss._axes)[0][()]
