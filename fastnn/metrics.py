"""What is measured beside the loss: metrics, under Keras' names.

Each is a mean over the samples of an epoch and runs in the core. Any loss is a metric too, and so
is a function in NumPy, ``function(y_true, y_pred)``, that returns one number for each sample (or
for each output, or for the batch).
"""

import numpy as np

from . import losses
from ._checks import CAN_PASS_OBJECT, Registry, module_attributes, number, refuse_keywords, suggest
from ._config import CoreRow, is_description, snake_case
from ._core.kernels import metric_rows

_registry = Registry("metric")
BY_SHAPE = ("accuracy", "acc")


class Metric(CoreRow):
    """Base of the metrics that run in the core; `better` says which way is: "up" or "down"."""

    rows = metric_rows()
    better = "up"

    def __init__(self, name=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.name = name or snake_case(type(self).__name__)

    def for_core(self):
        """What the engine takes: ``(row, parameters, target)``, or a function."""
        return self.row, self.params, self.target


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of `threshold`.

    Parameters
    ----------
    threshold : float
    name : str, optional
    """

    row = "binary_accuracy"

    def __init__(self, name=None, threshold=0.5, **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = number("threshold", threshold)


class CategoricalAccuracy(Metric):
    """Share of samples whose largest output is where the largest target is (one-hot)."""

    row = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest output is at the class number."""

    row = "sparse_accuracy"


class MeanSquaredError(Metric):
    """Mean of ``(y_pred - y_true) ** 2``."""

    row, better, aliases = "mean_squared_error", "down", ("mse",)


class MeanAbsoluteError(Metric):
    """Mean of ``|y_pred - y_true|``."""

    row, better, aliases = "mean_absolute_error", "down", ("mae",)


class _LossMetric(Metric):
    """A loss, measured."""

    better = "down"

    def __init__(self, loss, name=None):
        self.loss, self.name = loss, name or loss.name
        self.target = loss.target

    def for_core(self):
        loss = self.loss
        return (loss.logits_row if loss.from_logits else loss.row), loss.params, loss.target


class PythonMetric(Metric):
    """A function of the user's own; one number a sample is made of whatever it returns."""

    target = better = None

    def __init__(self, function, name=None):
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)

    def __call__(self, y_true, y_pred):
        n = len(y_pred)
        values = np.asarray(self.function(y_true, y_pred), np.float64)
        if values.ndim == 0:
            return np.full(n, values)
        if len(values) != n:
            raise ValueError(f"metric {self.name}: expected shape ({n},), got {values.shape}")
        return values.reshape(n, -1).mean(axis=1)

    def for_core(self):
        return self


def get(identifier):
    """The metric for a name in any case, a description, an object, a class or a function.

    ``"accuracy"`` depends on the model and is resolved by `resolve`.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, losses.Loss):
        return _LossMetric(identifier)
    if isinstance(identifier, str):
        return _by_name(identifier)
    if is_description(identifier):
        return _registry.find(identifier["class_name"]).from_config(identifier["config"])
    if isinstance(identifier, type):
        return get(identifier())
    if not callable(identifier):
        raise TypeError(
            f"metric: expected a name, a Metric or a function (y_true, y_pred), got {identifier!r}"
        )
    return PythonMetric(identifier)


def _by_name(name):
    try:
        return _registry.find(name)(name=name)
    except ValueError:
        pass
    try:
        return _LossMetric(losses.get(name), name)
    except ValueError:
        known = sorted({*names(), *losses.names(), "accuracy"})
        raise ValueError(
            f"unknown metric {name!r}.{suggest(name, known)} Known: {', '.join(known)}. {CAN_PASS_OBJECT}"
        ) from None


def resolve(identifier, target, n_outputs):
    """`get`, and for ``"accuracy"`` the kind that fits, by Keras' rule.

    Parameters
    ----------
    identifier : as for `get`
    target : {"labels", "dense"}
        Class numbers, or as many numbers as there are outputs.
    n_outputs : int
    """
    if not isinstance(identifier, str) or identifier.lower() not in BY_SHAPE:
        return get(identifier)
    if n_outputs == 1:
        return BinaryAccuracy(identifier)
    return (
        SparseCategoricalAccuracy(name=identifier)
        if target == "labels"
        else CategoricalAccuracy(name=identifier)
    )


def names():
    """Names of the metrics, as classes; any case, with or without underscores, is found."""
    return _registry.names()


_registry.add_classes(globals(), Metric)
__all__ = ["Metric", "PythonMetric", "get", "names"]
__all__.extend(names())
__getattr__, __dir__ = module_attributes(__name__, __all__)
