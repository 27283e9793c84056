"""Layers that join several inputs: Add, Subtract, Multiply, …; and functions that use them once."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING

from .._base.checks import integer
from ._merge import Elementwise, Merge
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from .._base.types import LayerOptions
    from ..engine.graph import Graph, Tensor


class Add(Elementwise):
    """Sum of the inputs, which are broadcast if their shapes differ.

    Examples
    --------
    >>> from fastnn.layers import Add, Dense, Input
    >>> x = Input((4,))
    >>> model = fastnn.Model(x, Add()([x, Dense(4, "relu")(x)]))
    >>> model.output_shape
    (None, 4)
    """

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return reduce(graph.add, x)


class Subtract(Elementwise):
    """Difference of two inputs: the first minus the second."""

    most = 2

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return graph.add(x[0], graph.affine(x[1], -1.0, 0.0))


class Average(Elementwise):
    """Mean of the inputs."""

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return graph.affine(reduce(graph.add, x), 1.0 / len(x), 0.0)


class Multiply(Elementwise):
    """Product of the inputs, element by element."""

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: graph.node("multiply", [a, b], a.shape), x)


class Divide(Elementwise):
    """Quotient of two inputs: the first divided by the second; what ``a / b`` of symbolic tensors is.

    Examples
    --------
    >>> from fastnn.layers import Divide, Input
    >>> model = fastnn.Model(inputs := [Input((2,)), Input((1,))], Divide()(inputs))
    >>> model.predict([np.array([[1.0, 5.0]]), np.array([[4.0]])], verbose=0)
    array([[0.25, 1.25]], dtype=float32)
    """

    most = 2

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return graph.node("divide", x, x[0].shape)


class Maximum(Elementwise):
    """Largest of the inputs, element by element; equal ones share the gradient.

    Examples
    --------
    >>> from fastnn.layers import Input, Maximum
    >>> model = fastnn.Model(inputs := [Input((2,)), Input((2,))], Maximum()(inputs))
    >>> model.predict([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])], verbose=0)
    array([[3., 5.]], dtype=float32)
    """

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: graph.node("maximum", [a, b], a.shape), x)


class Minimum(Elementwise):
    """Smallest of the inputs, element by element; equal ones share the gradient."""

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        return reduce(lambda a, b: graph.node("minimum", [a, b], a.shape), x)


class Concatenate(Merge):
    """Inputs side by side: (3,) and (4,) become (7,).

    Parameters
    ----------
    axis : int
        Of the inputs with their batch axis, which is 0; their other axes must agree.
    **kwargs
        `name`, `trainable`, `dtype` (see `Layer`).

    Examples
    --------
    >>> from fastnn.layers import Concatenate, Input
    >>> fastnn.Model(inputs := [Input((3,)), Input((4,))], Concatenate()(inputs)).output_shape
    (None, 7)
    """

    axis = Checked(integer, for_good=True)

    def __init__(self, axis: int = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _axis(self, rank):
        """The axis of a sample."""
        at = self.axis + rank if self.axis < 0 else self.axis - 1
        if not 0 <= at < rank:
            raise ValueError(f"{self.name}: expected an axis 1 to {rank} or -1 to {-rank}, got {self.axis}")
        return at

    def joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        at = self._axis(len(shapes[0]))
        others = {(len(shape), shape[:at], shape[at + 1 :]) for shape in shapes}
        if len(others) > 1:
            text = ", ".join(map(str, shapes))
            raise ValueError(f"{self.name}: expected inputs that differ only in axis {self.axis}, got {text}")
        return (*shapes[0][:at], sum(shape[at] for shape in shapes), *shapes[0][at + 1 :])

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        shape = self.joined_shape([t.shape for t in x])
        return graph.node("concatenate", x, shape, {"groups": prod(shape[: self._axis(len(shape))])})


def add(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """Sum of a list of symbolic tensors: ``Add(**kwargs)(inputs)``.

    Examples
    --------
    >>> from fastnn.layers import Dense, Input, add
    >>> x = Input((4,))
    >>> fastnn.Model(x, add([x, Dense(4, "relu")(x)])).output_shape
    (None, 4)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """First minus second of a list of two symbolic tensors: ``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def divide(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """First divided by the second of a list of two symbolic tensors: ``Divide(**kwargs)(inputs)``."""
    return Divide(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """Mean of a list of symbolic tensors: ``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """Product of a list of symbolic tensors: ``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """Largest of a list of symbolic tensors: ``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Unpack[LayerOptions]) -> Any:
    """Smallest of a list of symbolic tensors: ``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Unpack[LayerOptions]) -> Any:
    """A list of symbolic tensors side by side: ``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)
