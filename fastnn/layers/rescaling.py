"""Rescaling of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import LayerOptions
    from ..engine.graph import Graph, Tensor


class Rescaling(Layer):
    """Rescale inputs: ``y = x * scale + offset``.

    Parameters
    ----------
    scale, offset : float

    Examples
    --------
    Images of bytes stay bytes in memory and are scaled to [0, 1] inside the model:

    >>> layer = fastnn.layers.Rescaling(1 / 255, input_shape=(28, 28))
    """

    scale, offset = Checked(number), Checked(number)

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.affine(x, self.scale, self.offset)
