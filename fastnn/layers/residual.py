"""Residual block: layers with a skip connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._block import Block, layer_of
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor


class Residual(Block):
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

    contents = ("layers", "shortcut")

    contents = ("layers", "shortcut")

    def __init__(
        self, layers: Sequence[Layer], shortcut: Layer | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(layers, Layer) or not hasattr(layers, "__iter__"):
            raise TypeError(f"layers: expected a list of layers, got {layers!r}")
        self.layers = [layer_of(f"layers[{i}]", layer) for i, layer in enumerate(layers)]
        self.shortcut = None if shortcut is None else layer_of("shortcut", shortcut)
        self._freeze_parts()

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
