"""Models: the Sequential model and functions on models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import layers as layer_classes
from .._base.checks import batch_shape, flag, refuse_keywords
from .._base.config import float_dtype
from .._base.signatures import only_default
from .._core.clocks import NAMES
from ..layers import symbolic
from ..layers.base import Layer
from ..layers.input import InputLayer
from ..training.compiling import forget_targets
from .layered import LayeredModel, with_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Never, Self

    from .._base.types import BatchShape, Config, FloatType
    from ..engine.graph import Graph, Tensor


class Sequential(LayeredModel):
    """A stack of layers.

    It is built, that is, has weights, as soon as the shape of a sample is known: from `Input` or
    ``input_shape=`` of the first layer, from a first layer that was built elsewhere, from `build`,
    or from the first data.

    Parameters
    ----------
    layers : list of Layer, optional
        Layers of another model are shared, including their weights: ``Sequential(other.layers[:-1])``. (While one
        of the two models trains, do not use the other one in another thread: updates could be lost.)
    trainable : bool
    name : str, optional
    dtype : {"float32", "float64"}, optional
    weight_decay : float, optional
        As in `compile`.

    Raises
    ------
    TypeError
        If an element is not a layer; the message names its position.
    ValueError
        For layers with the same name, or incompatible shapes.

    Examples
    --------
    >>> from fastnn.layers import Dense, Flatten
    >>> model = fastnn.Sequential([Flatten(input_shape=[28, 28]), Dense(10, activation="softmax")])
    >>> model.count_params()
    7850
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: FloatType | None = None,
        *,
        weight_decay: float | None = None,
        **kwargs: Never,
    ) -> None:
        refuse_keywords(type(self), kwargs)
        self._layers: list[Layer] = []
        super().__init__(name=name, dtype=dtype, weight_decay=weight_decay)
        layers = [] if layers is None else layers
        if isinstance(layers, Layer) or not hasattr(layers, "__iter__"):
            raise TypeError(f"layers: expected a list of layers, got {layers!r}")
        for layer in layers:
            self.add(layer)
        if not flag("trainable", trainable):
            self.trainable = False

    @property
    def layers(self) -> list[Layer]:
        """The layers, without an `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def add(self, layer: Layer, rebuild: bool = True) -> None:
        """Add a layer at the end of the stack.

        Parameters
        ----------
        layer : Layer
        rebuild : True
            For compatibility with Keras; only the default is accepted.
        """
        only_default("rebuild", rebuild, True)
        at = len(self._layers)
        if not isinstance(layer, Layer):
            what = (
                f"the class {layer.__name__}; write {layer.__name__}(...)"
                if isinstance(layer, type)
                else None
            )
            what = what or f"{layer!r} of type {type(layer).__name__}"
            raise TypeError(f"layers[{at}]: expected a layer, got {what}")
        if isinstance(layer, InputLayer) and at:
            raise ValueError(f"layers[{at}]: expected an Input only as the first layer, got one at position {at}")
        other = self._names().get(layer.name)
        if other is not None:
            same = "is the same layer as" if other is layer else "has the name of"
            raise ValueError(
                f"layers[{at}] ({layer.name}) {same} layers[{self._layers.index(other)}]; expected distinct names"
            )
        if at == 0:
            self.in_shape = layer.in_shape if layer.built else layer.given_shape
        if layer.dtype is not None:
            if self.dtype not in (None, layer.dtype):
                raise ValueError(
                    f"layers[{at}] ({layer.name}): expected dtype {self.dtype} like the model, got {layer.dtype}"
                )
            self.dtype = layer.dtype
        with self._lock:  # not in the middle of a step of another thread
            if self.in_shape is not None:
                layer.ensure_built(self.out_shape if at else self.in_shape, self.dtype)
                _check_result(layer)
                self.dtype, self.out_shape, self.built = layer.dtype or self.dtype, layer.out_shape, True
            if at == 0:
                self._rows = layer._rows
            layer._rows = self._rows
            self._names()[layer.name] = layer
            self._layers.append(layer)
            symbolic.belongs(layer, self)
            forget_targets(self)

    def _names(self):
        """Layers by name: a dict, as a linear search for each added layer would be quadratic."""
        when, found = self.__dict__.get("_by_name", (-1, {}))
        if when != NAMES.now or len(found) != len(self._layers):
            when = NAMES.now  # before the names are read
            found = {layer.name: layer for layer in self._layers}
            self._by_name = when, found
        return found

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it; of Keras' `rebuild` only the default is accepted."""
        only_default("rebuild", rebuild, True)
        if not self.layers:
            raise ValueError(f"pop: expected a model with layers, got {self.name} without any")
        with self._lock:
            layer = self._layers.pop()
            self._names().pop(layer.name, None)
            if self._layers:
                self.out_shape = self._layers[-1].out_shape
            else:
                self.built, self.in_shape, self.out_shape = False, None, None
                self.feature_names = None
            forget_targets(self)
        return layer

    def build(self, input_shape: BatchShape | None = None) -> None:
        """Create the weights.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of a batch, batch size first: None for any, as in ``(None, 28, 28)``. A batch size is shown in
            `summary`, but any other works as well. Default: the input shape of the first layer.

        Raises
        ------
        ValueError
            For a shape without the batch axis, or one that the layers do not accept.

        Examples
        --------
        >>> from fastnn.layers import Dense, Flatten
        >>> model = fastnn.Sequential([Flatten(), Dense(10)])
        >>> model.build((32, 28, 28))
        >>> model.count_params(), model.output_shape
        (7850, (32, 10))
        """
        if input_shape is None and self.in_shape is not None:
            input_shape = (self._rows, *self.in_shape)
        rows, shape = batch_shape("input_shape", input_shape)
        self._build(shape)
        self._set_rows(rows)

    def _set_rows(self, rows):
        for each in (self, *self._layers):
            each._rows = rows

    def _build(self, shape):
        """`build` for samples of a shape."""
        if not self._layers:
            raise ValueError(f"build: expected a model with layers, got {self.name} without any")
        dtype = float_dtype(self.dtype)
        for layer in self._layers:
            layer.ensure_built(shape if layer is self._layers[0] else self.out_shape, dtype)
            _check_result(layer)
            self.out_shape = layer.out_shape
        self.in_shape, self.dtype, self.built = tuple(shape), dtype, True
        forget_targets(self)

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        """Return the output shape for an input shape, both with the batch axis."""
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return tuple(input_shape)

    def _calls_of_layers(self):
        layers = self.layers
        first = self._layers[0] if layers != self._layers else self.__dict__.get("_made_input")
        if first is None or first.shape != self.in_shape:
            first = self._made_input = InputLayer(self.in_shape, name=f"{self.name}_input")
        return [first], [(layer, (i,), (i + 1,)) for i, layer in enumerate(layers)], [len(layers)]

    def row_limits(self) -> list[int | None]:
        layers = self.layers
        return layers[0].row_limits() if layers else [None]

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer.declare(graph, x)
        return x

    def _outputs_of_layers(self, x: Any) -> list[tuple[str, Any]]:
        """(name, outputs) of the layers that have weights or an activation, for `x` in inference mode."""
        found: list[tuple[str, Any]] = []
        for layer in self.layers:
            x = Sequential([layer]).predict(x, verbose=0)
            if layer.weights or hasattr(layer, "activation") or not found and layer is self.layers[-1]:
                found.append((layer.name, x))
        return found

    def get_config(self) -> Config:
        """Return name, layers, input shape and dtype, as plain Python values."""
        layers = [layer.describe() for layer in self._layers]
        return {
            "name": self.name,
            "layers": layers,
            "input_shape": self.in_shape,
            "rows": self._rows,
            "dtype": self.dtype,
            "weight_decay": self._own_weight_decay,
            "trainable": self._trainable,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create a model from its `get_config`, with new weights; `custom_objects` maps names to custom classes."""
        config = with_layers(config, custom_objects)
        decay = config.get("weight_decay")
        model = cls(config["layers"], name=config["name"], dtype=config["dtype"], weight_decay=decay)
        if config.get("input_shape") and not model.built:
            model._build(tuple(config["input_shape"]))
        model._set_rows(config.get("rows"))
        model._trainable = config.get("trainable", True)  # each layer has its own
        return model


def _check_result(layer):
    """ValueError for a layer with several results."""
    if layer.out_shape and isinstance(layer.out_shape[0], tuple):
        raise ValueError(
            f"{layer.name}: expected a layer with one result, got one with {len(layer.out_shape)} (of return_state or"
            " merge_mode=None); use fastnn.Model"
        )


layer_classes.register(Sequential, "Sequential")
