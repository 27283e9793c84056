"""What every layer is: a declaration of weights, shapes and computation."""

import numpy as np

from .. import constraints, initializers, regularizers
from .._checks import flag, refuse_keywords, shape_of, suggest
from .._config import float_dtype, unique_name
from ..variables import Variable, blank
from .weighted import Weighted

OF_MODELS = {"compile", "fit", "evaluate", "predict", "summary", "add", "pop", "train_on_batch"}


class Layer(Weighted):
    """Base of all layers. Shapes are tuples without the batch axis.

    A layer of the library overrides `emit`, which says what to compute through the methods of
    `fastnn.graph.Graph`. A layer of your own may stay in NumPy, at a NumPy pace: override
    ``call(x, training)`` and ``backward(dy)``, and keep on the layer what the second needs.

    Parameters
    ----------
    name : str, optional
        Default: the class' name in snake case, numbered.
    trainable : bool
    dtype : {"float32", "float64"}, optional
        Default: the model's.
    activity_regularizer : str or Regularizer, optional
        A penalty on what the layer puts out, divided by the batch, as `ActivityRegularization`.
    input_shape : tuple of int, optional
        Builds a Sequential model at once. Keras 2's `input_dim`, `batch_input_shape` work too.

    Examples
    --------
    >>> class Scale(fastnn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(input_shape, "ones", name="factor")
    ...     def call(self, x, training):
    ...         self.x = x
    ...         return x * self.factor.numpy()
    ...     def backward(self, dy):
    ...         self.grads = [(dy * self.x).sum(axis=0)]
    ...         return dy * self.factor.numpy()
    """

    def __init__(self, *, name=None, trainable=True, dtype=None, input_shape=None,
                 activity_regularizer=None, **kwargs):  # fmt: skip
        self.built, self._weights, self._trainable = False, [], flag("trainable", trainable)
        if "batch_input_shape" in kwargs:
            input_shape = kwargs.pop("batch_input_shape")[1:]
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        refuse_keywords(type(self), kwargs, also=["input_dim", "batch_input_shape"])
        self.name = unique_name(type(self).__name__) if name is None else str(name)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.given_shape = None if input_shape is None else shape_of("input_shape", input_shape)
        self.activity_regularizer = regularizers.activity(
            "activity_regularizer", activity_regularizer
        )
        self.in_shape = self.out_shape = None
        self.position = 0  # in the model that is being planned: the stream of a random layer
        self.grads = []  # of a NumPy layer: like trainable_weights, or {variable: array}

    def build(self, input_shape):
        """Create the weights with `add_weight`; called once."""

    def compute_output_shape(self, input_shape):
        """Shape of the result."""
        return tuple(input_shape)

    def emit(self, graph, x):
        """Declare the computation on tensor `x`; returns a tensor."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"{type(self).__name__} must write call(x, training) and backward(dy), or emit"
            )
        return graph.python(self, x)

    def declare(self, graph, x):
        """`emit`, and the penalty on its result: what models call."""
        y, penalty = self.emit(graph, x), self.activity_regularizer
        if penalty is None or not (penalty.l1 or penalty.l2):
            return y
        return graph.activity(y, penalty.l1, penalty.l2)

    def call(self, x, training):
        """The result for a batch ``(B, *input_shape)``."""
        raise NotImplementedError(f"{type(self).__name__} must write call(x, training)")

    def backward(self, dy):
        """The gradient by the input of the last `call`; also sets ``self.grads``."""
        raise NotImplementedError(f"{type(self).__name__} must write backward(dy) to be trained")

    def gradients(self):
        """``(variable, gradient)`` pairs of `grads`."""
        if isinstance(self.grads, dict):
            return list(self.grads.items())
        if len(self.grads) != len(self.trainable_weights):
            raise ValueError(
                f"{self.name}.grads: expected {len(self.trainable_weights)} arrays, as"
                f" trainable_weights, got {len(self.grads)}"
            )
        return list(zip(self.trainable_weights, self.grads, strict=True))

    def add_weight(self, shape=(), initializer="glorot_uniform", dtype=None, trainable=True, *,
                   name="weight", layout="vector", regularizer=None, constraint=None):  # fmt: skip
        """A new `Variable`; `layout` ("kernel", "bias", "vector") is how the kernels keep it."""
        shape, dtype = tuple(shape), float_dtype(dtype or self.dtype)
        make = blank.get() or initializers.get(initializer)
        value = np.asarray(make(shape, dtype=dtype), dtype)
        if value.shape != shape:
            raise ValueError(f"initializer of {name}: expected shape {shape}, got {value.shape}")
        rules = regularizers.get(regularizer), constraints.get(constraint)
        for kind, rule in zip(("regularizer", "constraint"), rules, strict=True):
            if rule is not None:
                rule.check(f"{kind} of {self.name}/{name}", shape)
        path = f"{self.name}/{name}"
        self._weights.append(Variable(value, path, flag("trainable", trainable), layout, *rules))
        return self._weights[-1]

    def ensure_built(self, input_shape, dtype=None):
        """Build for inputs of a shape, or check that the layer was built for just that."""
        input_shape, dtype = tuple(input_shape), float_dtype(dtype or self.dtype)
        if self.built and (self.in_shape, self.dtype or dtype) != (input_shape, dtype):
            raise ValueError(
                f"{self.name} was built for inputs of shape {self.in_shape} and {self.dtype},"
                f" got shape {input_shape} and {dtype}"
            )
        if self.dtype not in (None, dtype):
            raise ValueError(f"{self.name}: expected {dtype} like the model, got {self.dtype}")
        if not self.built:
            self.dtype = dtype
            self.build(input_shape)
            self.in_shape, self.built = input_shape, True
            self.out_shape = tuple(self.compute_output_shape(input_shape))

    def leaves(self):
        """The layers this one consists of: itself, unless it contains others."""
        yield self

    @property
    def input_shape(self):
        """``(None, ...)``, None for the batch; None before the layer is built."""
        return None if self.in_shape is None else (None, *self.in_shape)

    @property
    def output_shape(self):
        """``(None, ...)``; None before the layer is built."""
        return None if self.out_shape is None else (None, *self.out_shape)

    def get_config(self):
        """The constructor's arguments, as plain Python values."""
        return {**super().get_config(), "input_shape": self.given_shape}

    def __getattr__(self, name):
        cls = type(self).__name__
        if "built" not in self.__dict__ and name[:2] != "__":
            text = f"{cls}.__init__ must call super().__init__(**kwargs) before anything else"
        elif name in OF_MODELS:
            text = f"this is a {cls} layer, not a model; use model.add"
        else:
            text = f"{cls!r} object has no attribute {name!r}.{suggest(name, dir(type(self)))}"
        raise AttributeError(text, name=name, obj=self)

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}, {'' if self.built else 'not '}built>"
