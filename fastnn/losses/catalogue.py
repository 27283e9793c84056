"""Losses by name, and as functions on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.config import snake_case
from .._base.registry import Registry, deserialized
from .._base.signatures import function_of
from . import margins, overlap, probabilistic, regression
from .loss import Loss, PythonLoss
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from .._base.types import Config, LossLike
    from .._declared.losses_catalogue import *  # noqa: F403 - what is made below

_registry = Registry("loss")
BY_TARGETS = ("crossentropy", "ce", "log_loss")  # names for `compile`, see `resolve`


def get(identifier: LossLike) -> Any:
    """Return the loss for a name (in any case), a description, an object, a class or a function.

    Parameters
    ----------
    identifier : str, dict, Loss, class, function or None

    Returns
    -------
    Loss, PythonLoss or None

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    if by_targets(identifier):
        raise ValueError(
            f"loss: expected 'BinaryCrossentropy', 'SparseCategoricalCrossentropy' or 'CategoricalCrossentropy',"
            f" got {identifier!r}, which depends on the model and its targets; pass this name to compile"
        )
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is None or isinstance(found, (Loss, PythonLoss)):
        return found
    if hasattr(found, "loss_class"):
        return found.loss_class()
    if not callable(found):
        raise TypeError(f"loss: expected a name, a Loss or a function (y_true, y_pred), got {found!r}")
    return PythonLoss(found)


def by_targets(identifier: Any) -> bool:
    """Whether this name stands for a loss that depends on the model and its targets, see `resolve`."""
    return isinstance(identifier, str) and identifier.lower() in BY_TARGETS


def resolve(target: Literal["labels", "values"], n_outputs: int, activation: str | None) -> Loss:
    """Return the cross-entropy that matches model and targets: the meaning of the names `BY_TARGETS`.

    Parameters
    ----------
    target : {"labels", "values"}
        Class labels, or one value for each output.
    n_outputs : int
    activation : str or None
        Kernel row of the last activation. After "sigmoid", several outputs are independent; without an activation,
        outputs are logits. (So are log-probabilities: softmax leaves them unchanged.)
    """
    from_logits = activation in ("linear", "log_softmax")
    if n_outputs == 1 or target == "values" and activation == "sigmoid":
        return BinaryCrossentropy(from_logits=from_logits)
    return (SparseCategoricalCrossentropy if target == "labels" else CategoricalCrossentropy)(from_logits=from_logits)


def names() -> list[str]:
    """Return the class names of the losses; lookups ignore case and underscores."""
    return _registry.names()


def serialize(loss: Loss) -> Config:
    """Return the description of a loss, for `deserialize` and `get`."""
    return loss.describe()


def deserialize(name: str | Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the loss for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, name, custom_objects)


def _function(cls):
    def run(y_true, y_pred, settings):
        return cls(reduction="none", **settings)(y_true, y_pred)

    doc = f"Compute the loss of each row; parameters, positional or by name, as for `{cls.__name__}`."
    left_out = ("reduction", "name", "dtype")
    function = function_of(cls, snake_case(cls.__name__), ("y_true", "y_pred"), left_out, run, doc)
    function.loss_class, function.__module__ = cls, __name__
    return function


for _module in (margins, probabilistic, regression):
    _registry.add_classes(vars(_module), Loss)
_found = {name: _registry.find(name) for name in names()}
_found |= {made.__name__: made for made in map(_function, _found.values())}
for _name in ("Dice", "Tversky"):
    _registry.add(getattr(overlap, _name), _name, listed=False)
    _found |= {_name: getattr(overlap, _name), _name.lower(): getattr(overlap, _name.lower())}
globals().update(_found)
__all__ = ["Loss", "PythonLoss", "get", "names", "serialize", "deserialize"]
__all__.extend(_found)
