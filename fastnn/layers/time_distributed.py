"""TimeDistributed: one layer for each time step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._block import Block, layer_of
from .activation import Activation
from .base import Layer
from .dense import Dense

if TYPE_CHECKING:
    from typing import Any, Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor

OF_LAST_AXIS = (Dense, Activation)  # whose result for a sample of features is that for each group of features


class TimeDistributed(Block):
    """Apply a layer or a model to each time step of a sample, with the same weights: (T, ...) becomes (T, ...).

    Parameters
    ----------
    layer : Layer
        Of one input and one output, for samples without the time axis.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    TypeError
        For anything else than a layer.
    ValueError
        For samples of fewer than two axes.

    Notes
    -----
    `Dense` acts on the last axis anyway. Any other layer is computed step by step; batch normalisation then takes the
    statistics of each time step by itself.

    Examples
    --------
    >>> from fastnn.layers import Dense, Maxout, TimeDistributed
    >>> fastnn.Sequential([TimeDistributed(Maxout(3), input_shape=(10, 4))]).output_shape
    (None, 10, 3)
    """

    contents = ("layer",)

    def __init__(self, layer: Layer, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.layer = layer_of("layer", layer)
        self._freeze_parts()

    def _inner(self, input_shape):
        if len(input_shape) < 3:
            got = tuple(input_shape[1:])
            raise ValueError(f"{self.name}: expected samples (T, ...) of at least two axes, got {got}")
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: BatchShape) -> None:
        self.layer.ensure_built(self._inner(input_shape)[1:], self.dtype)

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        rows, *shape = self.layer.compute_output_shape(self._inner(input_shape))
        return (rows, input_shape[1], *shape)

    def row_limits(self) -> list[int | None]:
        return self.layer.row_limits()

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        if isinstance(self.layer, OF_LAST_AXIS) and self.layer.activity_regularizer is None:
            return self.layer.declare(graph, x)
        steps, shape = x.shape[0], x.shape[1:]
        size = x.size // steps
        parts = [graph.node("slice", [x], shape, {"first": t * size}) for t in range(steps)]
        found = [self.layer.declare(graph, part) for part in parts]
        return graph.node("concatenate", found, (steps, *found[0].shape), {"groups": 1})
