"""Base class of the losses, and custom losses in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import one_of, refuse_keywords, takes
from .._base.config import CoreRow, float_dtype, snake_case
from .._base.numbers import as_array, cast
from .._core.kernels import loss_rows

if TYPE_CHECKING:
    from typing import Any, Never

    from numpy.typing import ArrayLike

    from .._base.types import AnyArray, ArrayFunction, FloatType, Reduction

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = (*MEANS, "sum", "none")


class Loss(CoreRow):
    """Base class of the built-in losses.

    Parameters
    ----------
    name : str, optional
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none"}
        Quantity to minimise: the mean over the batch (the first two), the weighted mean, or the sum.
        "none" or None: training minimises the mean, but `train_on_batch`, `test_on_batch`, `evaluate` and the
        loss object itself return the loss of every row, times its sample weight: for prioritised replay.
    dtype : {"float32", "float64"}, optional
        Dtype used when the object is called; default: that of `y_pred`. A model uses its own dtype.

    Attributes
    ----------
    row, logits_row : str or None
        Rows in the kernels, for predictions and for logits.
    target : {"labels", "values"}
        Class labels, or one value for each output of the model.
    through : str or None
        Output activation that this loss is fused with: after it, training uses the logits
        directly.
    """

    rows = loss_rows()
    logits_row: str | None = None
    through: str | None = None
    shares = False  # whether targets must be probabilities, in [0, 1]
    from_logits = False
    axis = -1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.variants = (cls.logits_row,)

    def __init__(
        self,
        name: str | None = None,
        reduction: Reduction | None = "sum_over_batch_size",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        refuse_keywords(type(self), kwargs)
        self.reduction = one_of("reduction", "none" if reduction is None else reduction, REDUCTIONS)
        self.name = name or snake_case(type(self).__name__)
        self.dtype = None if dtype is None else float_dtype(dtype)

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Compute the loss of arrays.

        Parameters
        ----------
        y_true : array_like (..., K) or class labels (...)
        y_pred : array_like (..., K)
        sample_weight : array_like (...), optional

        Returns
        -------
        float or ndarray (...)
            An array if the reduction is "none".

        Examples
        --------
        >>> fastnn.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]])
        0.5
        """
        values, valid = self._values(y_true, y_pred)
        dtype = values.dtype
        weight = np.ones((), dtype) if sample_weight is None else as_array("sample_weight", sample_weight)
        weight = np.broadcast_to(weight.reshape(np.shape(weight)[: values.ndim]), values.shape) * valid
        values = np.where(weight == 0, 0, values * weight)
        if self.reduction == "none":
            return values.astype(dtype, copy=False)
        divisor = {"sum": 1, "mean_with_sample_weight": weight.sum()}.get(self.reduction, valid.sum())
        return float(values.sum() / divisor) if divisor else 0.0

    def _last(self, y_pred, y_true):
        """Arrays with `axis` as the last one."""
        if not -y_pred.ndim <= self.axis < y_pred.ndim:
            raise ValueError(f"axis: expected an axis of y_pred of shape {y_pred.shape}, got {self.axis}")
        if y_true.ndim == y_pred.ndim:  # class labels may have one axis less
            y_true = np.moveaxis(y_true, self.axis, -1)
        return np.moveaxis(y_pred, self.axis, -1), y_true

    def _values(self, y_true, y_pred):
        """The loss of each row, and whether the row is included."""
        from .. import ops

        y_pred = as_array("y_pred", y_pred)
        y_pred = cast("y_pred", y_pred, self.dtype or (y_pred.dtype if y_pred.dtype.kind == "f" else np.float32))
        y_true = as_array("y_true", y_true)
        if self.axis not in (-1, y_pred.ndim - 1):
            y_pred, y_true = self._last(y_pred, y_true)
        if self.target == "labels":
            if y_true.dtype.kind == "f" and (np.trunc(y_true) != y_true).any():
                raise ValueError("y_true: expected integer class labels")
            y_true = y_true.astype(np.int64).reshape(y_pred.shape[:-1])
            valid = y_true != getattr(self, "ignore_class", None)
            y_true = np.where(valid, y_true, 0)
        else:
            y_true, valid = cast("y_true", y_true, y_pred.dtype), np.True_
            if y_true.shape not in (y_pred.shape, (*y_pred.shape, 1)) and (*y_true.shape, 1) != y_pred.shape:
                raise ValueError(f"y_true: expected shape {y_pred.shape}, like y_pred, got {y_true.shape}")
            y_true = y_true.reshape(y_pred.shape)
        row = self.logits_row if self.from_logits else self.row
        values, _ = ops.loss(row, y_true, y_pred, **dict(zip(self.parameters, self.params, strict=True)))
        return values, np.broadcast_to(valid, values.shape)


class PythonLoss:
    """A custom loss in NumPy.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns ``(values, gradient)``: the loss of each sample, shape
        (B,), and its derivative with respect to the predictions of that sample, shaped like
        `y_pred`. The model applies sample weights and divides by the batch size.

    Raises
    ------
    TypeError, ValueError
        During training, if the function returns anything else.

    Examples
    --------
    >>> def cubic(y_true, y_pred):
    ...     e = y_pred - y_true
    ...     return (abs(e) ** 3).mean(axis=1), 3 * e * abs(e) / e.shape[1]
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", loss=cubic)
    """

    target = None

    def __init__(self, function: ArrayFunction) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        if not takes(function, 2):
            raise TypeError(f"loss {self.name}: expected a function (y_true, y_pred), got one with other arguments")

    def __call__(self, y_true: AnyArray, y_pred: AnyArray) -> tuple[AnyArray, AnyArray]:
        result = self.function(y_true, y_pred)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"loss {self.name}: expected (values, gradient): the loss of each sample, shape ({len(y_pred)},), and"
                f" its derivative, shape {y_pred.shape}; got {type(result).__name__}"
            )
        values, gradient = np.asarray(result[0]), np.asarray(result[1])
        for what, array, shape in (
            ("values", values, (len(y_pred),)),
            ("gradient", gradient, y_pred.shape),
        ):
            if array.shape != shape:
                raise ValueError(
                    f"loss {self.name}: expected {what} of shape {shape}, got {array.shape}"
                )
        return values, gradient
