"""Input: what shape a sample has."""

import numpy as np

from .._base.checks import batch_shape, integer, shape_of
from .._base.signatures import check_without_effect, only_default
from .base import Layer

LESS = {"sparse": None, "ragged": None, "input_tensor": None, "optional": False}


class InputLayer(Layer):
    """The input of a model; computes nothing and does not show in ``model.layers``.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    batch_size : int, optional
        Shown in `summary` and in shapes; any other number of rows works as well.
    dtype : str, optional
        Of the data: any kind of numbers, which are converted on their way in as they are without it.
    sparse, ragged, input_tensor, optional
        Keras'; only their defaults have a meaning here.
    batch_shape : tuple, optional
        Instead of `shape` and `batch_size`: both, the batch first, None for any number of rows.
    name : str, optional
    """

    without_effect = {**Layer.without_effect, **LESS}

    def __init__(
        self, shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, input_tensor=None,
        optional=False, name=None, **kwargs,
    ):  # fmt: skip
        check_without_effect(self, locals())
        shape, rows = _shape_and_rows(shape, batch_size, batch_shape)
        super().__init__(input_shape=shape, name=name, **kwargs)
        self.shape, self._rows, self.data_dtype = self.given_shape, rows, _dtype(dtype)

    def get_config(self):
        return {
            "shape": self.shape, "batch_size": self._rows, "dtype": self.data_dtype, "name": self.name,
            "trainable": self.trainable,
        }  # fmt: skip

    def ensure_built(self, input_shape, dtype=None):
        """No weights, so no dtype: that of the model is the next layer's choice."""
        super().ensure_built(input_shape, dtype)
        self.dtype = None

    def emit(self, graph, x):
        return x


def _shape_and_rows(shape, batch_size, whole):
    if (shape is None) == (whole is None):
        raise TypeError("Input: expected either shape or batch_shape")
    if whole is None:
        return shape_of("shape", shape), None if batch_size is None else integer("batch_size", batch_size, 1)
    if batch_size is not None:
        raise TypeError("Input: expected either batch_size or batch_shape")
    rows, shape = batch_shape("batch_shape", whole)
    return shape, rows


def _dtype(dtype):
    """The name of a dtype of numbers."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found is not None and found.kind not in "biuf":
        raise ValueError(f"dtype: expected one of numbers, such as 'float32' or 'uint8', got {dtype!r}")
    return found and found.name


def Input(
    shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None,
    optional=False,
):  # fmt: skip
    """Declare the shape of a sample, as the first entry of a Sequential model.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    batch_size : int, optional
        Shown in `summary` and in shapes; any other number of rows works as well.
    dtype : str, optional
        Of the data: any kind of numbers, which are converted on their way in as they are without it.
    batch_shape : tuple, optional
        Instead of `shape` and `batch_size`: both, the batch first, None for any number of rows.
    name : str, optional
    sparse, ragged, tensor, optional
        Keras'; only their defaults have a meaning here.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.Input((784,)), fastnn.layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    """
    only_default("tensor", tensor, None)
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, None, optional, name)
