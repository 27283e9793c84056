"""Changes of shape: Flatten and Reshape."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .._base.checks import integer, one_of
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
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
