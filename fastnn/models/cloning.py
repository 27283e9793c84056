"""Models of the same layers with weights of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag
from .._base.signatures import only_default
from ..layers._block import Block
from ..layers.base import Layer
from ..layers.input import InputLayer
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sequential import Sequential


def clone_model(
    model: Sequential,
    input_tensors: None = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: None = None,
    recursive: bool = False,
) -> Sequential:
    """Create a model with the same layers and newly initialised weights; it is not compiled.

    To copy the weights too, call ``clone.set_weights(model.get_weights())``.

    Parameters
    ----------
    model : Sequential or Functional
    clone_function : callable, optional
        ``clone_function(layer)`` returns the layer that replaces each layer, such as one with another dropout
        rate, or the layer itself, which is then shared.
    recursive : bool
        Call `clone_function` with the layers of nested models instead of those models.
    input_tensors, call_function : None
        For compatibility with Keras; only the defaults are accepted.

    Returns
    -------
    Sequential or Functional
        Of the same class as `model`.

    Raises
    ------
    TypeError
        If `clone_function` returns something other than a layer.

    Examples
    --------
    >>> from fastnn.layers import Dense, Dropout
    >>> model = fastnn.Sequential([Dense(4, input_shape=(3,)), Dropout(0.5)])
    >>> def milder(layer):
    ...     return Dropout(0.1) if isinstance(layer, Dropout) else layer.from_config(layer.get_config())
    >>> fastnn.models.clone_model(model, clone_function=milder).layers[1].rate
    0.1
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a model, got {model!r}")
    only_default("input_tensors", input_tensors, None)
    only_default("call_function", call_function, None)
    recursive = flag("recursive", recursive)
    if clone_function is None:
        return _clone(model)
    if not callable(clone_function):
        raise TypeError(f"clone_function: expected a function of a layer, got {clone_function!r}")

    def one(layer):
        if isinstance(layer, InputLayer) or (recursive and isinstance(layer, Model)):
            return _clone(layer, one)
        made = clone_function(layer)
        if not isinstance(made, Layer):
            raise TypeError(f"clone_function: expected a function that returns a layer, got {made!r} for {layer.name}")
        return made

    return _clone(model, one)


def _clone(layer, one=None):
    """Nested layers are cloned as objects, so that custom classes need not be registered."""
    one = _clone if one is None else one
    config, parts = layer.get_config(), {}
    if isinstance(layer, Model):
        parts = {"layers": layer._layers}
    elif isinstance(layer, Block):
        parts = {name: getattr(layer, name) for name in layer.contents}
    for name in parts.keys() & config.keys():  # a custom class may create its layers itself
        part = parts[name]
        config[name] = [one(p) for p in part] if isinstance(part, list) else part and one(part)
    return type(layer).from_config(config)
