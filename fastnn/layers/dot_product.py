"""Dot: sums of products over an axis of each of two inputs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .._base.checks import flag, integer
from ._merge import Merge
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from .._base.types import LayerOptions
    from ..engine.graph import Graph, Tensor

LEAST_NORM = 1e-7  # Keras' epsilon: vectors shorter than that are not scaled up further


def _axes(name, axes):
    if not isinstance(axes, (list, tuple)):
        return integer(name, axes)
    if len(axes) != 2:
        raise ValueError(f"{name}: expected an axis, or one for each of the two inputs, got {axes!r}")
    return tuple(integer(f"{name}[{i}]", axis) for i, axis in enumerate(axes))


class Dot(Merge):
    """Products of two inputs, summed over an axis of each: of vectors (n,) the dot product (1,).

    The result has the other axes of the first input, then those of the second: with ``axes=(2, 1)``, inputs of shapes
    (2, 3) and (3, 4) become (2, 4), their matrix product.

    Parameters
    ----------
    axes : int or (int, int)
        Of the inputs with their batch axis, which is 0; the two must have the same size.
    normalize : bool
        Scale both inputs to unit length along their axis first: the result is the cosine of their angle.
    **kwargs
        `name`, `trainable`, `dtype` (see `Layer`).

    Raises
    ------
    ValueError
        If the sizes of the axes differ; the message shows both shapes.

    Examples
    --------
    >>> from fastnn.layers import Dot, Input
    >>> model = fastnn.Model(inputs := [Input((2,)), Input((2,))], Dot(axes=1)(inputs))
    >>> model.predict([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])], verbose=0)
    array([[13.]], dtype=float32)
    """

    most = 2
    axes = Checked(_axes, for_good=True)
    normalize = Checked(flag)

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def _places(self, shapes):
        """The axis of a sample of each input."""
        given = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        places = [axis + len(shape) if axis < 0 else axis - 1 for axis, shape in zip(given, shapes, strict=True)]
        text = " and ".join(map(str, shapes))
        for at, shape in zip(places, shapes, strict=True):
            if not 0 <= at < len(shape):
                expected = "expected axes of the inputs, not the batch axis"
                raise ValueError(f"{self.name}: {expected}, got {self.axes} of {text}")
        if shapes[0][places[0]] != shapes[1][places[1]]:
            raise ValueError(f"{self.name}: expected axes {self.axes} of equal size, got shapes {text}")
        return places

    def joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        places = self._places(shapes)
        rest = [n for at, shape in zip(places, shapes, strict=True) for i, n in enumerate(shape) if i != at]
        return tuple(rest) or (1,)

    def join(self, graph: Graph, x: list[Tensor]) -> Tensor:
        result, given = self.joined_shape([t.shape for t in x]), []
        for tensor, at in zip(x, self._places([t.shape for t in x]), strict=True):
            shape = tensor.shape
            if self.normalize:
                attrs = {"shape": shape, "axis": at, "least": LEAST_NORM}
                tensor = graph.node("unit", [tensor], shape, attrs)
            if prod(shape[:at]) > 1 and prod(shape[at + 1 :]) > 1:  # the kernel knows one stride of all other axes
                order = (*(i for i in range(len(shape)) if i != at), at)
                moved = tuple(shape[i] for i in order)
                tensor, shape, at = graph.node("permute", [tensor], moved, {"shape": shape, "axes": order}), moved, -1
            given.append((tensor, (shape, at % len(shape))))
        (a, of_a), (b, of_b) = given
        return graph.node("dot", [a, b], result, {"a": of_a, "b": of_b, "length": of_a[0][of_a[1]]})


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Products of a list of two symbolic tensors, summed over an axis of each: ``Dot(axes, **kwargs)(inputs)``.

    Examples
    --------
    >>> from fastnn.layers import Input, dot
    >>> a, b = Input((3,)), Input((3,))
    >>> fastnn.Model([a, b], dot([a, b], normalize=True)).output_shape
    (None, 1)
    """
    return Dot(axes, **kwargs)(inputs)
