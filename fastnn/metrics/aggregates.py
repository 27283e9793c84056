"""Metrics with a state of their own: means and sums of values, functions as metrics, correlation, overlap of classes.

`update_state` adds values, `result` is what they make, `reset_state` forgets them. Those of targets and predictions are
metrics for `compile` too; then the state is that of an epoch.
"""

from __future__ import annotations

from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer
from .._base.numbers import as_array
from . import curves
from .metric import Metric, PythonMetric

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import Config, FloatArray, FloatType


class Sum(Metric):
    """Sum of values; a metric to be used by hand, in manual training loops.

    Parameters
    ----------
    name, dtype
        As for `Metric`.

    Examples
    --------
    >>> total = fastnn.metrics.Sum()
    >>> total.update_state([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    >>> total.result()
    4.0
    """

    better: str | None = None

    def __init__(self, name: str | None = "sum", dtype: FloatType | None = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add values.

        Parameters
        ----------
        values : array_like (n,) or (n, ...)
            Of each row of several values, the mean counts (of `Sum`, the sum).
        sample_weight : array_like (n,), optional
        """
        values = self._of_rows(as_array("values", values).astype(np.float64))
        weights = np.ones_like(values)
        if sample_weight is not None:
            weights = np.broadcast_to(as_array("sample_weight", sample_weight), values.shape)
        self._total += float(np.sum(values * weights, where=weights != 0))
        self._count += float(weights.sum())

    def _of_rows(self, values):
        return values.reshape(len(values), -1).sum(axis=1) if values.ndim else values

    def reset_state(self) -> None:
        """Forget all values."""
        self._total = self._count = 0.0

    def result(self, sums: Any = None, n: Any = None) -> float:
        """Return what the values so far make."""
        return self._total

    def for_core(self) -> Any:
        raise TypeError(
            f"metrics: expected metrics of targets and predictions, got {type(self).__name__}, which is for values of"
            " your own; use MeanMetricWrapper, or a function (y_true, y_pred)"
        )


class Mean(Sum):
    """Mean of values, weighted if weights are given; a metric to be used by hand, in manual training loops.

    Parameters
    ----------
    name, dtype
        As for `Metric`.

    Examples
    --------
    >>> mean = fastnn.metrics.Mean()
    >>> for batch in ([1.0, 3.0], [5.0, 7.0]):
    ...     mean.update_state(batch)
    >>> mean.result()
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype: FloatType | None = None) -> None:
        super().__init__(name, dtype)

    def _of_rows(self, values):
        return values.reshape(len(values), -1).mean(axis=1) if values.ndim else values

    def result(self, sums: Any = None, n: Any = None) -> float:
        if sums is not None:  # of the core
            return float(sums) / n if n else nan
        return self._total / self._count if self._count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    In `compile`, a function alone does the same; this class gives it a name and arguments.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` in NumPy returns one value for each sample, or for each output.
    name, dtype
        As for `Metric`; default name: that of the function.
    **kwargs
        Further arguments of the function.

    Examples
    --------
    >>> def errors_above(y_true, y_pred, limit):
    ...     return abs(y_true - y_pred) > limit
    >>> metric = fastnn.metrics.MeanMetricWrapper(errors_above, limit=0.5)
    >>> metric.update_state(np.array([[0.0], [1.0]]), np.array([[0.9], [1.1]]))
    >>> metric.result()
    0.5
    """

    target = None

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: FloatType | None = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise TypeError(f"fn: expected a function (y_true, y_pred), got {fn!r}")
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), dtype)
        self.fn, self.kwargs = fn, kwargs

    def update_state(  # type: ignore[override]  # of predictions, as in Keras
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the values of a batch.

        Parameters
        ----------
        y_true, y_pred : array_like (n, ...)
        sample_weight : array_like (n,), optional
        """
        y_true, y_pred = as_array("y_true", y_true), as_array("y_pred", y_pred)
        super().update_state(self.fn(y_true, y_pred, **self.kwargs), sample_weight)

    def for_core(self) -> Any:
        return PythonMetric(partial(self.fn, **self.kwargs), self.name)

    def get_config(self) -> Config:
        return {"fn": self.fn, "name": self.name, "dtype": self.dtype, **self.kwargs}


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> FloatArray:
    """Pearson's correlation coefficient of `y_true` and `y_pred` along an axis; NaN where one of them is constant.

    Examples
    --------
    >>> fastnn.metrics.pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).round(6)
    array([1.])
    """
    t, y = (as_array(name, a).astype(np.float64) for name, a in (("y_true", y_true), ("y_pred", y_pred)))
    t, y = (a - a.mean(axis=axis, keepdims=True) for a in (t, y))
    return curves.ratio((t * y).sum(axis=axis), np.sqrt((t * t).sum(axis=axis) * (y * y).sum(axis=axis)))


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> FloatArray:
    """Lin's concordance correlation coefficient along an axis: 1 only if the values are equal.

    References
    ----------
    Lin 1989, "A concordance correlation coefficient to evaluate reproducibility".

    Examples
    --------
    >>> fastnn.metrics.concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4)
    array([0.9756])
    """
    t, y = (as_array(name, a).astype(np.float64) for name, a in (("y_true", y_true), ("y_pred", y_pred)))
    means = [a.mean(axis=axis, keepdims=True) for a in (t, y)]
    covariance = ((t - means[0]) * (y - means[1])).mean(axis=axis)
    spread = t.var(axis=axis) + y.var(axis=axis) + np.squeeze((means[0] - means[1]) ** 2, axis=axis)
    return 2 * covariance / (spread + 1e-7)  # Keras' epsilon


class _Correlation(MeanMetricWrapper):
    """Mean over the samples of a correlation of their outputs."""

    better, over_a_row = "up", True

    def get_config(self) -> Config:
        return {"name": self.name, "dtype": self.dtype, "axis": self.axis}

    def _keep(self, axis):
        self.axis = integer("axis", axis)
        if self.axis not in (-1, 1):
            raise ValueError(f"axis: expected the axis of the outputs of a sample, -1 or 1, got {axis}")
        self.kwargs = {"axis": self.axis}


class PearsonCorrelation(_Correlation):
    """Mean over the samples of Pearson's correlation of targets and predictions, over the outputs of a sample.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    axis : int
        Of the outputs of a sample.

    Examples
    --------
    >>> metric = fastnn.metrics.PearsonCorrelation()
    >>> metric.update_state(np.array([[0.0, 1.0, 0.5]]), np.array([[0.1, 0.9, 0.5]]))
    >>> round(metric.result(), 6)
    1.0
    """

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: FloatType | None = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype)
        self._keep(axis)


class ConcordanceCorrelation(_Correlation):
    """Mean over the samples of Lin's concordance correlation of targets and predictions, over the outputs of a sample.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    axis : int
        Of the outputs of a sample.

    Examples
    --------
    >>> metric = fastnn.metrics.ConcordanceCorrelation()
    >>> metric.update_state(np.array([[0.0, 1.0, 0.5]]), np.array([[0.1, 0.9, 0.5]]))
    >>> round(metric.result(), 4)
    0.9756
    """

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: FloatType | None = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype)
        self._keep(axis)


class MeanIoU(Metric):
    """Mean over the classes of the intersection over union, tp / (tp + fp + fn).

    Classes that occur neither among targets nor among predictions are left out; NaN if there are no others.

    Parameters
    ----------
    num_classes : int
    name, dtype
        As for `Metric`.
    ignore_class : int, optional
        Samples of this class are left out; only in `update_state`.
    sparse_y_true, sparse_y_pred : bool
        Whether targets and predictions are class labels; otherwise the class is that of the largest value along `axis`.
        In `compile` both must be False: one-hot targets.
    axis : int

    References
    ----------
    Jaccard 1912.

    Examples
    --------
    >>> metric = fastnn.metrics.MeanIoU(2)
    >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(metric.result(), 4)
    0.3333
    """

    over_a_row = True

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: FloatType | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name or "mean_io_u")
        self.num_classes, self.axis = integer("num_classes", num_classes, 1), integer("axis", axis)
        self.ignore_class = None if ignore_class is None else integer("ignore_class", ignore_class)
        self.sparse_y_true = flag("sparse_y_true", sparse_y_true)
        self.sparse_y_pred = flag("sparse_y_pred", sparse_y_pred)
        self.target = "values"
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all samples."""
        self._counts = np.zeros((self.num_classes, self.num_classes))

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count the classes of a batch.

        Parameters
        ----------
        y_true, y_pred : array_like
            Class labels of one shape, or values with one axis more (`axis`), see `sparse_y_true`.
        sample_weight : array_like, optional
            Of the shape of the labels.
        """
        found = []
        for name, given, sparse in (
            ("y_true", y_true, self.sparse_y_true), ("y_pred", y_pred, self.sparse_y_pred)
        ):  # fmt: skip
            array = as_array(name, given)
            array = array if sparse else array.argmax(axis=self.axis)
            found.append(array.astype(np.int64).reshape(-1))
        t, p = found
        if t.shape != p.shape:
            raise ValueError(f"y_true, y_pred: expected equal numbers of labels, got {t.size} and {p.size}")
        weights = np.ones(t.size) if sample_weight is None else as_array("sample_weight", sample_weight)
        weights = np.broadcast_to(np.reshape(weights, -1), t.shape)
        valid = (t >= 0) & (t < self.num_classes) & (p >= 0) & (p < self.num_classes)
        if self.ignore_class is not None:
            valid &= t != self.ignore_class
        np.add.at(self._counts, (t[valid], p[valid]), weights[valid])

    def result(self, sums: Any = None, n: Any = None) -> float:
        """Return the mean over the classes so far."""
        if sums is not None:
            tp, fp, fn, _ = np.reshape(sums, (-1, 4)).T
        else:
            tp = np.diag(self._counts)
            fp, fn = self._counts.sum(axis=0) - tp, self._counts.sum(axis=1) - tp
        return curves.mean_of_defined(curves.ratio(tp, tp + fp + fn))

    def check(self, n_outputs: int) -> None:
        if n_outputs != self.num_classes:
            raise ValueError(f"num_classes: expected {n_outputs}, the outputs of the model, got {self.num_classes}")

    def for_core(self) -> Any:
        if self.sparse_y_true or self.sparse_y_pred or self.ignore_class is not None:
            raise ValueError(
                "MeanIoU: expected sparse_y_true=False, sparse_y_pred=False and no ignore_class in compile, which has"
                " one-hot targets and one output for each class"
            )
        return "confusion", (inf,), "values"
