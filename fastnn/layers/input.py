"""Input: what shape a sample has."""

from .base import Layer


class InputLayer(Layer):
    """The input of a model; computes nothing and does not show in ``model.layers``."""

    def __init__(self, shape, **kwargs):
        super().__init__(input_shape=shape, **kwargs)
        self.shape = self.given_shape

    def get_config(self):
        config = super().get_config()
        del config["input_shape"]  # it is `shape`
        return config

    def ensure_built(self, input_shape, dtype=None):
        """No weights, so no dtype but a given one: that of the model is the next layer's choice."""
        given = self.dtype
        super().ensure_built(input_shape, dtype)
        self.dtype = given

    def emit(self, graph, x):
        return x


def Input(shape=None, batch_size=None, dtype=None, name=None, *, batch_shape=None):
    """Declare the shape of a sample, as the first entry of a Sequential model.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    batch_size : int, optional
        Accepted for Keras' sake; any number of rows works.
    dtype : str, optional
        Data of any number type is converted on its way in; this is what Keras calls it.
    name : str, optional
    batch_shape : tuple, optional
        Instead of `shape`, with the batch axis.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.Input((784,)), fastnn.layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    """
    if (shape is None) == (batch_shape is None):
        raise TypeError("Input: expected either shape or batch_shape")
    return InputLayer(batch_shape[1:] if shape is None else shape, name=name)
