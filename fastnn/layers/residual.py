"""Residual block: layers with a skip connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.config import is_description
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Self, Unpack

    from .._base.types import BatchShape, Config, LayerOptions
    from ..engine.graph import Graph, Tensor
    from ..variables import Variable


class Residual(Layer):
    """Residual block: ``y = x + F(x)``, F a stack of layers, or ``y = shortcut(x) + F(x)``.

    Parameters
    ----------
    layers : list of Layer
        F. Its output must have the shape of the input, or that of the output of the shortcut.
    shortcut : Layer, optional
        Projection of the input, if F changes its size: usually a `Dense` without an activation.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        If the two shapes differ; the message shows both.

    References
    ----------
    He, Zhang, Ren & Sun 2016, eq. 1 and 2.

    Examples
    --------
    >>> from fastnn.layers import Dense, Residual
    >>> block = Residual([Dense(8, "relu"), Dense(4)], input_shape=(4,))
    >>> fastnn.Sequential([block]).output_shape
    (None, 4)
    """

    def __init__(
        self, layers: Sequence[Layer], shortcut: Layer | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(layers, Layer) or not hasattr(layers, "__iter__"):
            raise TypeError(f"layers: expected a list of layers, got {layers!r}")
        self.layers = [_layer(f"layers[{i}]", layer) for i, layer in enumerate(layers)]
        self.shortcut = None if shortcut is None else _layer("shortcut", shortcut)
        if not self._trainable:
            self.trainable = False

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create the block that `get_config` described; each of its layers has its own `trainable`."""
        thawed = {**config, **({"trainable": True} if "trainable" in config else {})}
        block = super().from_config(thawed, custom_objects)
        block._trainable = config.get("trainable", block._trainable)
        return block

    @property
    def parts(self) -> list[Layer]:
        """All layers of the block, the shortcut last."""
        return self.layers + ([] if self.shortcut is None else [self.shortcut])

    @property
    def weights(self) -> list[Variable]:
        """All variables, layer by layer, each once; the shortcut's last."""
        return list(dict.fromkeys(v for layer in self.parts for v in layer.weights))

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that training updates."""
        return list(dict.fromkeys(v for layer in self.parts for v in layer.trainable_weights))

    @property
    def trainable(self) -> bool:
        """False freezes every layer of the block; True unfreezes them."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]  # a property, for Python
        for layer in self.parts:
            layer.trainable = value

    def leaves(self) -> Iterator[Layer]:
        """Iterate over the layers of the block, recursively."""
        for layer in self.parts:
            yield from layer.leaves()

    def build(self, input_shape: BatchShape) -> None:
        shape = passed = input_shape = tuple(input_shape[1:])
        for layer in self.layers:
            layer.ensure_built(shape, self.dtype)
            shape = layer.out_shape
        if self.shortcut is not None:
            self.shortcut.ensure_built(input_shape, self.dtype)
            passed = self.shortcut.out_shape
        if shape != passed:
            raise ValueError(
                f"{self.name}: expected equal output shapes of layers and skip connection, got {shape} and {passed};"
                " use shortcut to change the shape"
            )

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return tuple(input_shape)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers:
            y = layer.declare(graph, y)
        return graph.add(x if self.shortcut is None else self.shortcut.declare(graph, x), y)


def _layer(name, value):
    from . import from_description  # not at the top: the registry imports this module

    value = from_description(value) if is_description(value) else value
    if not isinstance(value, Layer):
        raise TypeError(f"{name}: expected a layer, got {value!r} of type {type(value).__name__}")
    return value
