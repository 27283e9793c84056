"""Metrics, under Keras' names.

Each runs in the core, which accumulates sums; the value is computed from them in Python (`Metric.result`), for most
metrics as the mean over the samples of an epoch. Any loss is a metric too, and so
is a function in NumPy, ``function(y_true, y_pred)``, that returns one value for each sample (or
for each output, or for the batch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import suggest
from .._base.registry import CAN_PASS_OBJECT, Registry, deserialized
from ..losses import catalogue as losses
from . import accuracy, aggregates, confusion, margins, probabilistic, regression, thresholds
from .accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from .metric import Metric, PythonMetric, _LossMetric
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from .._base.types import Config, MetricLike
    from .._declared.metrics_catalogue import *  # noqa: F403 - what is made below

_registry = Registry("metric")


def get(identifier: MetricLike) -> Any:
    """Return the metric for a name (in any case), a description, an object, a class or a function; None for None.

    ``"accuracy"`` depends on the model and is resolved by `resolve`.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    if isinstance(identifier, str):
        return _by_name(identifier)
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is None or isinstance(found, Metric):
        return found
    if isinstance(found, losses.Loss):
        return _LossMetric(found)
    if hasattr(found, "loss_class"):
        return _LossMetric(found.loss_class(), found.__name__)
    if hasattr(found, "metric_class"):
        return found.metric_class()
    if not callable(found):
        raise TypeError(f"metric: expected a name, a Metric or a function (y_true, y_pred), got {found!r}")
    return PythonMetric(found)


def _by_name(name):
    try:
        cls = _registry.find(name)
    except ValueError:
        cls = None
    if cls is not None:
        try:
            return cls(name=name)
        except TypeError as error:  # it has an argument without a default
            raise TypeError(f"metrics: {name!r} requires arguments; pass {cls.__name__}(...) ({error})") from None
    try:
        return _LossMetric(losses.get(name), name)
    except ValueError:
        known = sorted({*names(), *losses.names(), *BY_SHAPE})
        raise ValueError(
            f"unknown metric {name!r}.{suggest(name, known)} Known: {', '.join(known)}. {CAN_PASS_OBJECT}"
        ) from None


def resolve(
    identifier: MetricLike,
    target: Literal["labels", "values"],
    n_outputs: int,
    kind: str | None = None,
) -> Metric:
    """Return the metric as `get` does, for ``"accuracy"`` and ``"crossentropy"`` the matching kind, by Keras' rule.

    A metric given by name is adapted to the outputs: it takes logits where they are logits.

    Parameters
    ----------
    identifier : as for `get`
    target : {"labels", "values"}
        Class labels, or one value for each output.
    n_outputs : int
    kind : str, optional
        Kind of the outputs, see `outputs.kind_of`.
    """
    by_name = isinstance(identifier, str)
    kinds = BY_SHAPE.get(identifier.lower()) if isinstance(identifier, str) else None
    if kinds is None:
        metric = get(identifier)
    else:
        binary, sparse, dense = kinds
        metric = (binary if n_outputs == 1 else sparse if target == "labels" else dense)(name=identifier)
    if by_name:
        metric.follow(kind, n_outputs)
    metric.check(n_outputs)
    return metric


_ACCURACY = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
_LOG_LOSS = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)
# names that stand for the metric that matches the model
BY_SHAPE: dict[str, tuple[Any, Any, Any]] = {**dict.fromkeys(("accuracy", "acc"), _ACCURACY)}
BY_SHAPE |= dict.fromkeys(("crossentropy", "ce", "log_loss"), _LOG_LOSS)


def names() -> list[str]:
    """Return the class names of the metrics; lookups ignore case and underscores."""
    return _registry.names()


def serialize(metric: Metric) -> Config:
    """Return the description of a metric, for `deserialize` and `get`."""
    return metric.describe()


def deserialize(config: str | Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the metric for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, config, custom_objects)


for _module in (accuracy, confusion, margins, probabilistic, regression, thresholds):
    _registry.add_classes(vars(_module), Metric)
_found = {name: _registry.find(name) for name in names()}
_found |= accuracy.FUNCTIONS
for _name, _thing in list(vars(aggregates).items()):
    if _name[0] != "_" and getattr(_thing, "__module__", None) == aggregates.__name__:
        _found[_name] = _thing
        if isinstance(_thing, type):
            _registry.add(_thing, _name, listed=False)
# every loss is a metric, also as a function
_found |= {name: getattr(losses, name) for name in losses.__all__ if hasattr(getattr(losses, name), "loss_class")}
globals().update(_found)
__all__ = ["Metric", "PythonMetric", "get", "names", "serialize", "deserialize"]
__all__.extend(_found)
