"""What layers of several inputs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.config import float_dtype
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar, Unpack

    from .._base.types import FloatType, LayerOptions
    from ..engine.graph import Graph, Tensor


class Merge(Layer):
    """Base class of layers that join several inputs; called on a list of symbolic tensors.

    Subclasses override `join`.
    """

    takes_several = True
    least: ClassVar[int] = 2  # inputs
    most: ClassVar[int | None] = None

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)

    def result_shapes(self, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        found = [tuple(shape) for shape in shapes]
        if len(shapes) < self.least or len(shapes) != (self.most or len(shapes)):
            expected = f"{self.most}" if self.most else f"at least {self.least}"
            raise ValueError(f"{self.name}: expected a list of {expected} inputs, got {len(shapes)}")
        return [self.joined_shape(found)]

    def joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """The shape of a sample of the result."""
        raise NotImplementedError(f"{type(self).__name__} must implement joined_shape(shapes)")

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the output shape for a list of input shapes, all with the batch axis."""
        rows = input_shape[0][0]
        return rows, *self.result_shapes([shape[1:] for shape in input_shape])[0]

    def ensure_built(self, input_shape: Any, dtype: FloatType | None = None) -> None:
        """No weights; any number of uses, of any shapes."""
        if not all(isinstance(shape, (tuple, list)) for shape in input_shape):
            raise ValueError(f"{self.name}: expected a list of inputs, as in fastnn.Model, got shape {input_shape}")
        shapes = tuple(tuple(shape) for shape in input_shape)
        self.out_shape = self.result_shapes(shapes)[0]
        self.in_shape, self.dtype, self.built = shapes, float_dtype(dtype or self.dtype), True

    @property
    def input_shape(self) -> Any:
        """A list of shapes, each with the batch axis; None before the layer is built."""
        return None if self.in_shape is None else [(self._rows, *shape) for shape in self.in_shape]

    def emit(self, graph: Graph, x: Any) -> Tensor:
        return self.join(graph, x)

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        """Declare the computation on a list of tensors."""
        raise NotImplementedError(f"{type(self).__name__} must implement join(graph, x)")


class Elementwise(Merge):
    """Base class of layers that join inputs element by element.

    Inputs of different shapes are broadcast, as in NumPy: (1, 5) and (3, 1) become (3, 5)."""

    def joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        try:
            return tuple(np.broadcast_shapes(*shapes))
        except ValueError:
            text = ", ".join(map(str, shapes))
            expected = "expected inputs of equal shape, or that can be broadcast"
            raise ValueError(f"{self.name}: {expected}, got {text}") from None

    def emit(self, graph: Graph, x: Any) -> Tensor:
        shape = self.joined_shape([t.shape for t in x])
        return self.join(graph, [t if t.shape == shape else widened(graph, t, shape) for t in x])


def widened(graph: Graph, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor, broadcast to a shape."""
    return graph.node("broadcast", [x], shape, {"shape": x.shape})
