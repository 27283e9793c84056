"""Rescaling of inputs."""

from .._base.checks import number
from .base import Layer
from .checked import Checked


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

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def emit(self, graph, x):
        return graph.affine(x, self.scale, self.offset)
