"""Changes of shape: Flatten, Reshape, Permute and RepeatVector."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .._base.checks import integer, one_of
from ._weights import features_of
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, Unpack

    from .._base.types import BatchShape, LayerOptions, SampleShape
    from ..engine.graph import Graph, Tensor


class Flatten(Layer):
    """Flatten each sample to a vector of features: (28, 28) becomes (784,). No run-time cost.

    Parameters
    ----------
    data_format : {None, "channels_last"}
        Both keep the order of the features in memory.

    Examples
    --------
    >>> fastnn.Sequential([fastnn.layers.Flatten(input_shape=[28, 28])]).output_shape
    (None, 784)
    """

    data_format = Checked(one_of, (None, "channels_last"))

    def __init__(
        self, data_format: Literal["channels_last"] | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        features = input_shape[1:]
        return input_shape[0], None if None in features else prod(features)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.reshape(x, self.sample_shape(x.shape))


def _target(name, shape):
    sizes = enumerate(shape if hasattr(shape, "__iter__") else (shape,))
    shape = tuple(-1 if n == -1 else integer(f"{name}[{i}]", n, minimum=1) for i, n in sizes)
    if shape.count(-1) > 1:
        raise ValueError(f"{name}: expected at most one -1, got {shape}")
    return shape


class Reshape(Layer):
    """Reshape each sample.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch axis; one entry may be -1 and is inferred from the others.

    Raises
    ------
    ValueError
        If the sizes do not match; the message shows both shapes.
    """

    target_shape = Checked(_target, for_good=True)

    def __init__(self, target_shape: SampleShape, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.target_shape = target_shape

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        rows, *input_shape = input_shape
        size, known = prod(input_shape), prod(n for n in self.target_shape if n != -1)
        shape = tuple(size // known if n == -1 else n for n in self.target_shape)
        if prod(shape) != size:
            raise ValueError(
                f"{self.name}: cannot reshape {tuple(input_shape)} ({size} values) to {self.target_shape}"
            )
        return rows, *shape

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.reshape(x, self.sample_shape(x.shape))


def _dims(name, dims):
    dims = tuple(integer(f"{name}[{i}]", n) for i, n in enumerate(dims)) if hasattr(dims, "__iter__") else dims
    if not isinstance(dims, tuple) or sorted(dims) != list(range(1, len(dims) + 1)):
        raise ValueError(f"{name}: expected each of 1, 2, ..., rank once, such as (2, 1), got {dims!r}")
    return dims


class Permute(Layer):
    """Permute the axes of each sample: with (2, 1), shape (T, features) becomes (features, T).

    Parameters
    ----------
    dims : tuple of int
        Axes of the input in their new order, each once; the first axis of a sample is 1.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        If `dims` is not a permutation, or the rank of the input differs.

    Examples
    --------
    >>> fastnn.Sequential([fastnn.layers.Permute((2, 1), input_shape=(10, 64))]).output_shape
    (None, 64, 10)
    """

    dims = Checked(_dims, for_good=True)

    def __init__(self, dims: Sequence[int], **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.dims = dims

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"{self.name}: expected samples of {len(self.dims)} axes, as many as dims={self.dims} has, got shape"
                f" {tuple(input_shape[1:])}"
            )
        return input_shape[0], *(input_shape[axis] for axis in self.dims)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        attrs = {"shape": x.shape, "axes": tuple(axis - 1 for axis in self.dims)}
        return graph.node("permute", [x], self.sample_shape(x.shape), attrs)


class RepeatVector(Layer):
    """Repeat the features of each sample: (features,) becomes (n, features).

    Parameters
    ----------
    n : int
        At least 1.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        For an input that is not flat.

    Examples
    --------
    >>> fastnn.Sequential([fastnn.layers.RepeatVector(3, input_shape=(4,))]).output_shape
    (None, 3, 4)
    """

    n = Checked(integer, minimum=1, for_good=True)

    def __init__(self, n: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.n = n

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        return input_shape[0], self.n, features_of(self, input_shape)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.node("broadcast", [x], self.sample_shape(x.shape), {"shape": x.shape})
