"""Identity: the input, unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Layer

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import LayerOptions
    from ..engine.graph import Graph, Tensor


class Identity(Layer):
    """Return the input unchanged: a place in a model for another layer, or a name for a tensor. No run-time cost.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Identity(input_shape=(2,))])
    >>> model.predict([[1.0, 2.0]], verbose=0).tolist()
    [[1.0, 2.0]]
    """

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.reshape(x, x.shape)
