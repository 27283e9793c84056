"""Dense: a fully connected layer."""

from .. import activations, initializers
from .._checks import integer
from .base import Layer


class Dense(Layer):
    """A fully connected layer: ``y = activation(x @ kernel + bias)``.

    Parameters
    ----------
    units : int
        Size of the result, at least 1.
    activation : str, activation or activation layer, optional
        Default: linear.
    use_bias : bool
        Leave it out before batch normalisation, which subtracts it again.
    kernel_initializer, bias_initializer : str, Initializer or function
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (inputs, units)
    bias : Variable (units,) or None

    Raises
    ------
    ValueError
        For units below 1, unknown names, or an input that is not flat.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(3, "relu", input_shape=(2,))])
    >>> [w.shape for w in model.get_weights()]
    [(2, 3), (3,)]
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = integer("units", units, minimum=1)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel = self.bias = None

    def build(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.name}: expected a flat input (features,), got shape {input_shape};"
                " put a Flatten layer before it"
            )
        shape = (*input_shape, self.units)
        self.kernel = self.add_weight(
            shape, self.kernel_initializer, name="kernel", layout="kernel"
        )
        if self.use_bias:
            init = self.bias_initializer
            self.bias = self.add_weight((self.units,), init, name="bias", layout="bias")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def emit(self, graph, x):
        y = graph.dense(x, self.kernel, self.bias, self.trainable)
        return self.activation.emit(graph, y)
