"""Base class of the metrics, and metrics made of a loss or of a function in NumPy."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import refuse_keywords, takes
from .._base.config import CoreRow, float_dtype, snake_case
from .._core.kernels import metric_rows
from . import outputs

if TYPE_CHECKING:
    from typing import Any, Never

    from .._base.types import AnyArray, ArrayFunction, FloatArray, FloatType
    from ..losses.loss import Loss


class Metric(CoreRow):
    """Base class of the built-in metrics; `better` is the direction of improvement, "up" or "down".

    Parameters
    ----------
    dtype : {"float32", "float64"}, optional
        Accepted as in Keras. Values are computed in the model's dtype and summed in float64 either way.
    name : str, optional
    """

    rows = metric_rows()
    better: str | None = "up"
    threshold_argument: str | None = None  # name of the argument with the threshold for outputs

    def __init__(
        self, dtype: FloatType | None = None, name: str | None = None, **kwargs: Never
    ) -> None:
        refuse_keywords(type(self), kwargs)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.name = name or snake_case(type(self).__name__)

    def for_core(self) -> Any:
        """The metric for the engine: ``(row, parameters, target)``, or a function."""
        return self.row, self.params, self.target

    def check(self, n_outputs: int) -> None:
        """Raise a ValueError if the metric is undefined for a model with this number of outputs."""

    def follow(self, kind: str | None, n_outputs: int) -> None:
        """Set the arguments of a metric given by name to match the outputs and their kind (`outputs.kind_of`)."""
        if self.threshold_argument and kind in (outputs.LOGITS, outputs.MARGINS):
            setattr(self, self.threshold_argument, 0.0)
        if kind in (outputs.LOGITS, outputs.LOG_PROBABILITIES) and getattr(self, "from_logits", None) is False:
            self.from_logits = True

    def remedy(self, kind: str | None) -> str | None:
        """The argument that makes this metric match outputs of a kind; None if it matches already."""
        logits = getattr(self, "from_logits", None)
        if logits is not None and kind == (outputs.PROBABILITIES if logits else outputs.LOGITS):
            return f"from_logits={not logits}"
        threshold = None if self.threshold_argument is None else self.params[0]
        if threshold is None or threshold == inf:
            return None
        if kind in (outputs.LOGITS, outputs.MARGINS) and 0 < threshold < 1:
            return f"{self.threshold_argument}=0"
        return f"{self.threshold_argument}=0.5" if kind == outputs.PROBABILITIES and not 0 < threshold < 1 else None

    def result(self, sums: Any, n: float) -> float:
        """Compute the metric of n samples from the core's sums, a scalar or an array (pairs, 2); NaN if undefined.

        With sample weights, n is the sum of the weights."""
        return float(sums) / n if n else nan


class _LossMetric(Metric):
    """A loss as a metric."""

    better = "down"

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        if loss.reduction == "sum" or getattr(loss, "ignore_class", None) is not None:
            raise ValueError(f"metric {loss.name}: expected a loss that is a mean over all samples, got one with"
                             " reduction='sum' or ignore_class")  # fmt: skip
        self.loss, self.name = loss, name or loss.name
        self.target, self.over_a_row = loss.target, loss.over_a_row

    @property  # type: ignore[override]
    def from_logits(self) -> bool | None:
        return self.loss.from_logits if self.loss.logits_row and "from_logits" in vars(self.loss) else None

    @from_logits.setter
    def from_logits(self, value: bool) -> None:
        self.loss.from_logits = value

    def for_core(self) -> Any:
        loss = self.loss
        return (loss.logits_row if loss.from_logits else loss.row), loss.params, loss.target


class PythonMetric(Metric):
    """A custom metric in NumPy; its result is reduced to one value per sample."""

    target = better = None

    def __init__(self, function: ArrayFunction, name: str | None = None) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if not takes(function, 2):
            raise TypeError(f"metric {self.name}: expected a function (y_true, y_pred), got one with other arguments")

    def __call__(self, y_true: AnyArray, y_pred: AnyArray) -> FloatArray:
        n = len(y_pred)
        values = np.asarray(self.function(y_true, y_pred), np.float64)
        if values.ndim == 0:
            return np.full(n, values)
        if len(values) != n:
            raise ValueError(f"metric {self.name}: expected shape ({n},), got {values.shape}")
        return values.reshape(n, -1).mean(axis=1)

    def for_core(self) -> Any:
        return self
