"""Accuracies: how often the predicted class is the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, number
from .._base.config import snake_case
from .._base.numbers import as_array, cast
from .._base.signatures import check_without_effect, function_of
from .metric import Metric

if TYPE_CHECKING:
    from typing import Never

    from .._base.types import FloatType
    from .._declared.metrics_accuracy import *  # noqa: F403 - what is made below


class BinaryAccuracy(Metric):
    """Fraction of outputs on the correct side of `threshold`; targets are 0 or 1, or −1 or 1 as for `losses.Hinge`.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    threshold : float
    """

    row, threshold_argument = "binary_accuracy", "threshold"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: FloatType | None = None,
        threshold: float = 0.5,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self.threshold = number("threshold", threshold)


class CategoricalAccuracy(Metric):
    """Fraction of samples whose largest output is at the index of the largest target (one-hot)."""

    over_a_row = True
    row = "categorical_accuracy"

    def __init__(
        self, name: str | None = "categorical_accuracy", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class SparseCategoricalAccuracy(Metric):
    """Fraction of samples whose largest output is at the class label."""

    over_a_row = True
    row = "sparse_accuracy"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class Accuracy(Metric):
    """Fraction of outputs that equal their targets; the *name* "accuracy" selects the kind that matches the model."""

    row = "equal_accuracy"

    def __init__(
        self, name: str | None = "accuracy", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class TopKCategoricalAccuracy(Metric):
    """Fraction of samples whose one-hot target is among the k largest outputs (fewer than k outputs are larger).

    Parameters
    ----------
    k : int
    name, dtype
        As for `Metric`.
    """

    over_a_row = True
    row = "top_k_accuracy"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self.k = integer("k", k, 1)


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """`TopKCategoricalAccuracy` for class labels; of Keras' `from_sorted_ids` only the default is accepted."""

    row = "sparse_top_k_accuracy"
    without_effect = {"from_sorted_ids": False}

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: FloatType | None = None,
        from_sorted_ids: bool = False,
        **kwargs: Never,
    ) -> None:
        super().__init__(k, name, dtype, **kwargs)
        check_without_effect(self, locals())


def _function(cls):
    """The metric as a function on arrays: one value for each row."""

    def run(y_true, y_pred, settings):
        from .. import ops

        metric = cls(**settings)
        parameters = dict(zip(metric.parameters, metric.params, strict=True))
        y_pred = as_array("y_pred", y_pred)
        y_pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
        y_true = as_array("y_true", y_true)
        rows = y_pred.reshape(-1, y_pred.shape[-1])
        if metric.target == "labels":
            targets = y_true.astype(np.int64).reshape(len(rows), 1)
        else:
            targets = cast("y_true", y_true, y_pred.dtype).reshape(rows.shape)
        values = [  # one by one: a metric of the kernels is a mean
            ops.metric(metric.row, targets[i : i + 1], rows[i : i + 1], 1, **parameters) for i in range(len(rows))
        ]
        return np.array(values, y_pred.dtype).reshape(y_pred.shape[:-1])

    doc = f"""Compute the metric of each row; parameters as for `{cls.__name__}`."""
    function = function_of(cls, snake_case(cls.__name__), ("y_true", "y_pred"), ("name", "dtype"), run, doc)
    function.metric_class = cls
    return function


FUNCTIONS = {
    function.__name__: function
    for function in map(
        _function,
        (
            BinaryAccuracy,
            CategoricalAccuracy,
            SparseCategoricalAccuracy,
            TopKCategoricalAccuracy,
            SparseTopKCategoricalAccuracy,
        ),
    )
}
globals().update(FUNCTIONS)
__all__ = ["Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"]
__all__ += ["TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"]
__all__.extend(FUNCTIONS)
