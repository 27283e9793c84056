"""Another shape of the same numbers."""

from math import prod

from .._checks import integer, one_of
from .base import Layer


class Flatten(Layer):
    """A sample as one row of features: (28, 28) becomes (784,). Free of charge.

    Parameters
    ----------
    data_format : {None, "channels_last"}
        The order of the features: as they lie.

    Examples
    --------
    >>> fastnn.Sequential([fastnn.layers.Flatten(input_shape=[28, 28])]).output_shape
    (None, 784)
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = one_of("data_format", data_format, (None, "channels_last"))

    def compute_output_shape(self, input_shape):
        features = input_shape[1:]
        return input_shape[0], None if None in features else prod(features)

    def emit(self, graph, x):
        return graph.reshape(x, self.sample_shape(x.shape))


class Reshape(Layer):
    """A sample in another shape.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch axis; one entry may be -1 and is found from the others.

    Raises
    ------
    ValueError
        If the sizes do not fit; the message shows both shapes.
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        sizes = target_shape if hasattr(target_shape, "__iter__") else (target_shape,)
        self.target_shape = tuple(
            -1 if n == -1 else integer(f"target_shape[{i}]", n, minimum=1)
            for i, n in enumerate(sizes)
        )
        if self.target_shape.count(-1) > 1:
            raise ValueError(f"target_shape: expected at most one -1, got {self.target_shape}")

    def compute_output_shape(self, input_shape):
        rows, *input_shape = input_shape
        size, known = prod(input_shape), prod(n for n in self.target_shape if n != -1)
        shape = tuple(size // known if n == -1 else n for n in self.target_shape)
        if prod(shape) != size:
            raise ValueError(
                f"{self.name}: cannot reshape {tuple(input_shape)} ({size} numbers) to {self.target_shape}"
            )
        return rows, *shape

    def emit(self, graph, x):
        return graph.reshape(x, self.sample_shape(x.shape))
