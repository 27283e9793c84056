"""Base class of all layers: a declaration of weights, shapes and computation."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING

from .. import constraints, initializers, regularizers
from .._base.checks import batch_shape, flag, integer, refuse_keywords, shape_of, suggest
from .._base.config import float_dtype, unique_name
from .._base.numbers import cast
from .._base.signatures import check_without_effect, only_default
from .._core.clocks import NAMES, Clock
from ..variables import Variable, blank
from . import symbolic
from .checked import Checked
from .weighted import Weighted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, ClassVar, Literal

    from .._base.types import (
        AnyArray,
        BatchShape,
        Config,
        ConstraintLike,
        FloatType,
        InitializerLike,
        RegularizerLike,
        SampleShape,
    )
    from ..engine.graph import Graph, Tensor

OF_MODELS = {"compile", "fit", "evaluate", "predict", "summary", "add", "pop", "train_on_batch"}


def _takes_training(call):
    """Whether `call` has an argument `training`, which Keras' layers may omit."""
    parameters = inspect.signature(call).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def _built_once(build):
    """`build` for callers: creates the weights once, for one shape, and marks the layer as built."""

    @wraps(build)
    def wrapper(self, input_shape):
        if self._building:  # by `ensure_built`, or by the `build` of a subclass
            return build(self, input_shape)
        rows, shape = batch_shape("input_shape", input_shape)
        self.ensure_built(shape)
        self._rows = rows

    return wrapper


class Layer(Weighted):
    """Base class of all layers.

    As in Keras, the shapes that `build` and `compute_output_shape` take, and the one that the latter returns, begin
    with the batch axis, which is None unless known; `input_shape=` of the constructor is the shape of a sample.

    A built-in layer overrides `emit`, which declares the computation through the methods of
    `fastnn.engine.graph.Graph`. A custom layer can be written in NumPy, at the speed of NumPy: override
    ``call(x, training)``, or ``call(x)``, and ``backward(dy)``, and store on the layer what `backward` needs.

    Parameters
    ----------
    activity_regularizer : str or Regularizer, optional
        Penalty on the output of the layer, divided by the batch size, as `ActivityRegularization`.
    trainable : bool
    dtype : {"float32", "float64"}, optional
        Default: the dtype of the model.
    autocast : True
        For compatibility with Keras; only the default is accepted.
    name : str, optional
        Default: the class name in snake case, numbered.
    input_shape : tuple of int, optional
        Shape of a sample; builds a Sequential model immediately. Keras 2's `input_dim` and
        `batch_input_shape` are accepted too.

    Examples
    --------
    >>> class Scale(fastnn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(input_shape[1:], "ones", name="factor")
    ...     def call(self, x, training):
    ...         self.x = x
    ...         return x * self.factor.numpy()
    ...     def backward(self, dy):
    ...         self.grads = [(dy * self.x).sum(axis=0)]
    ...         return dy * self.factor.numpy()
    """

    without_effect: ClassVar[dict[str, Any]] = {"autocast": True}
    activity_regularizer = Checked(regularizers.activity)
    builds_itself = False  # a model, whose `build` does what `ensure_built` does
    takes_several = False  # whether it is called on a list of tensors
    takes_more = False  # whether it may be called on a list of several, else on one
    _takes_training = True  # `call` of a NumPy layer
    built: bool
    dtype: Literal["float32", "float64"] | None
    in_shape: Any  # (...) of a sample, None before the layer is built
    out_shape: Any
    grads: Any  # of a NumPy layer: like trainable_weights, or {variable: array}
    _rows: int | None = None  # batch size, if one was given; any other works too

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls) and not cls.builds_itself:
            cls.build = _built_once(cls.build)  # type: ignore[method-assign]
        if "call" in vars(cls):
            cls._takes_training = _takes_training(cls.call)

    def __init__(
        self,
        *,
        activity_regularizer: RegularizerLike = None,
        trainable: bool = True,
        dtype: FloatType | None = None,
        autocast: bool = True,
        name: str | None = None,
        input_shape: SampleShape | None = None,
        **kwargs: Any,
    ) -> None:
        self.built, self._weights, self._trainable = False, [], flag("trainable", trainable)
        self._attribute_clock, self._call_clock = Clock(), Clock()
        self._building = False
        check_without_effect(self, {"autocast": autocast})
        if "batch_input_shape" in kwargs:
            self._rows, input_shape = batch_shape("batch_input_shape", kwargs.pop("batch_input_shape"))
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        refuse_keywords(type(self), kwargs, also=["input_dim", "batch_input_shape"])
        self.name = unique_name(type(self).__name__) if name is None else str(name)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.given_shape = None if input_shape is None else shape_of("input_shape", input_shape)
        self.activity_regularizer = activity_regularizer
        self.in_shape = self.out_shape = None
        self.position = 0  # in the model that is being planned: the stream of a random layer
        self.grads = []

    @property
    def name(self) -> str:
        """Name of the layer in messages, files and `get_layer`."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if "_name" in self.__dict__:
            NAMES.tick()
        self._name = name

    @_built_once
    def build(self, input_shape: BatchShape) -> None:
        """Create the weights with `add_weight`, once; `input_shape` is ``(None, ...)``, None for the batch axis."""

    def _build(self, shape):
        """`build` for samples of a shape."""
        self._building = True
        try:
            self.build((None, *shape))
        finally:
            self._building = False

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        """Return the output shape for an input shape, both with the batch axis."""
        return tuple(input_shape)

    def sample_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """`compute_output_shape` without the batch axis."""
        return tuple(self.compute_output_shape((None, *input_shape)))[1:]

    def result_shapes(self, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        """Shapes of samples of the results, for those of the inputs."""
        return [self.sample_shape(shape) for shape in shapes]

    def row_limits(self) -> list[int | None]:
        """Of each input that has to be integers, as an `Embedding` reads them, the number of rows; else None."""
        return [None]

    def __call__(self, inputs: Any, *more: Any) -> Any:
        """Use the layer in a `fastnn.Model`: the result is a symbolic tensor.

        Parameters
        ----------
        inputs : SymbolicTensor, or a list of these
            `Input`, or results of other layers. Several calls of a layer share its weights.
        """
        if more:
            got = 1 + len(more)
            raise TypeError(f"{self.name}: expected one argument, several inputs as a list, got {got} arguments")
        return symbolic.called(self, inputs)

    def as_read(self, values: Sequence[Any]) -> Any:
        """What the layer reads, as its methods take it: a list of `values`, or the only one."""
        return list(values) if self.takes_several or len(values) > 1 else values[0]

    @property
    def input(self) -> Any:
        """What the layer reads in its model: a symbolic tensor, or a list; an error if it is used several times."""
        return symbolic.of_layer(self, "input")

    @property
    def output(self) -> Any:
        """What the layer makes in its model: a symbolic tensor, or a list; an error if it is used several times.

        Examples
        --------
        >>> from fastnn.layers import Dense, Input
        >>> model = fastnn.Sequential([Input((4,)), Dense(3, "relu", name="hidden"), Dense(1)])
        >>> features = fastnn.Model(model.input, model.get_layer("hidden").output)
        >>> features.output_shape
        (None, 3)
        """
        return symbolic.of_layer(self, "output")

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        """Declare the computation on tensor `x`; returns a tensor."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"{type(self).__name__} must implement call(x, training) and backward(dy), or emit"
            )
        return graph.python(self, x)

    def declare(self, graph: Graph, x: Tensor) -> Tensor:
        """`emit`, and the penalty on its result; called by models."""
        outer, graph.layer = graph.layer, (self.name, type(self).__name__)
        y, penalty = self.emit(graph, x), self.activity_regularizer
        graph.layer = outer
        if penalty is None or not (penalty.l1 or penalty.l2):
            return y
        return graph.activity(y, penalty.l1, penalty.l2)

    def call(self, inputs: AnyArray, training: bool) -> Any:
        """Compute the output for a batch ``(B, *input_shape)``."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(x, training)")

    def backward(self, dy: AnyArray) -> Any:
        """Compute the gradient with respect to the input of the last `call`; also sets ``self.grads``."""
        raise NotImplementedError(f"{type(self).__name__} must implement backward(dy) to be trained")

    def gradients(self) -> list[tuple[Variable, AnyArray]]:
        """Return the ``(variable, gradient)`` pairs of `grads`."""
        if isinstance(self.grads, dict):
            return list(self.grads.items())
        if len(self.grads) != len(self.trainable_weights):
            raise ValueError(
                f"{self.name}.grads: expected {len(self.trainable_weights)} arrays, like"
                f" trainable_weights, got {len(self.grads)}"
            )
        return list(zip(self.trainable_weights, self.grads, strict=True))

    def add_weight(
        self,
        shape: SampleShape | None = None,
        initializer: InitializerLike | None = None,
        dtype: FloatType | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
        aggregation: Literal["none"] = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        *,
        layout: Literal["vector", "kernel", "bias"] = "vector",
    ) -> Variable:
        """Create a `Variable`.

        Parameters
        ----------
        shape : tuple of int
            Default: (), a scalar.
        initializer : str, Initializer or function
            Default: "glorot_uniform".
        dtype : {"float32", "float64"}, optional
            Default: the dtype of the layer.
        trainable : bool
        regularizer, constraint : str or object, optional
        autocast, aggregation, overwrite_with_gradient
            For compatibility with Keras; only the defaults are accepted.
        name : str, optional
            Default: "weight".
        layout : {"vector", "kernel", "bias"}
            Memory layout in the kernels.

        Returns
        -------
        Variable
        """
        only_default("autocast", autocast, True)
        only_default("aggregation", aggregation, "none")
        only_default("overwrite_with_gradient", overwrite_with_gradient, False)
        shape, name = _weight_shape(shape), "weight" if name is None else name
        dtype = float_dtype(dtype or self.dtype)
        make: Any = blank.get() or initializers.get("glorot_uniform" if initializer is None else initializer)
        value = cast(f"initializer of {self.name}/{name}", make(shape, dtype=dtype), dtype)
        if value.shape != shape:
            raise ValueError(f"initializer of {name}: expected shape {shape}, got {value.shape}")
        rules = regularizers.get(regularizer), constraints.get(constraint)
        for kind, rule in zip(("regularizer", "constraint"), rules, strict=True):
            if rule is not None:
                rule.check(f"{kind} of {self.name}/{name}", shape)
        path = f"{self.name}/{name}"
        self._weights.append(Variable(value, path, flag("trainable", trainable), layout, *rules))
        return self._weights[-1]

    def ensure_built(self, input_shape: Sequence[int], dtype: FloatType | None = None) -> None:
        """Build for inputs of a shape, or check that the layer was built for the same shape."""
        input_shape, dtype = tuple(input_shape), float_dtype(dtype or self.dtype)
        known = self.built and self.kept_shape(self.in_shape)
        if self.built and (known, self.dtype or dtype) != (self.kept_shape(input_shape), dtype):
            raise ValueError(
                f"{self.name}: expected inputs of shape {self.in_shape} and dtype {self.dtype}, for which it was built,"
                f" got shape {input_shape} and dtype {dtype}"
            )
        if self.dtype not in (None, dtype):
            raise ValueError(f"{self.name}: expected dtype {dtype} like the model, got {self.dtype}")
        if not self.built:
            self.dtype = dtype
            self._build(input_shape)
            self.in_shape, self.built = input_shape, True
            self.out_shape = self.sample_shape(input_shape)
        elif self.in_shape != input_shape:  # another use
            self.in_shape, self.out_shape = input_shape, self.sample_shape(input_shape)

    def kept_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """What all uses of the layer must have in common, of the shape of a sample: what its weights depend on."""
        own = type(self)
        return () if own.build is Layer.build and own.call is Layer.call else input_shape

    def leaves(self) -> Iterator[Layer]:
        """Iterate over the layers this one consists of: itself, unless it contains others."""
        yield self

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """``(None, ...)``, None for the batch axis unless its size was given; None before the layer is built."""
        return None if self.in_shape is None else (self._rows, *self.in_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        """``(None, ...)``; None before the layer is built."""
        return None if self.out_shape is None else (self._rows, *self.out_shape)

    def get_config(self) -> Config:
        """The constructor's arguments, as plain Python values."""
        return {**super().get_config(), "input_shape": self.given_shape}

    if not TYPE_CHECKING:  # for type checkers, an unknown attribute is an error

        def __getattr__(self, name):
            cls = type(self).__name__
            if "built" not in self.__dict__ and name[:2] != "__":
                text = f"{cls}.__init__ must call super().__init__(**kwargs) first"
            elif name in OF_MODELS:
                text = f"this is a {cls} layer, not a model; use model.add"
            else:
                text = f"{cls!r} object has no attribute {name!r}.{suggest(name, dir(type(self)))}"
            raise AttributeError(text, name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, {'' if self.built else 'not '}built>"


def _weight_shape(shape):
    if isinstance(shape, str):
        raise TypeError(f"shape: expected a shape such as (3, 4), got {shape!r}; give the name as name={shape!r}")
    shape = () if shape is None else tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    if None in shape:
        raise ValueError(
            f"shape: expected integers, got {shape}; the `input_shape` of build begins with the batch axis:"
            " use input_shape[1:], or input_shape[-1] for the number of features"
        )
    return tuple(integer(f"shape[{i}]", n, minimum=0) for i, n in enumerate(shape))
