"""Functional models: layers called on symbolic tensors, with branches, shared layers, several inputs and outputs.

(a) A model is a list of calls in an order in which they can run: a layer, the numbers of the values that it reads, and
    of those it makes. The values of the inputs come first. So a model keeps no symbolic tensors, and copies of deep
    models do not recurse; it remembers those that live elsewhere, and makes the others when they are asked for.
(b) Layers are in Keras' order: by their distance from the outputs, then in the order in which they are found from
    there. So `set_weights` takes the weights of the same model in Keras.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .. import layers as layer_classes
from .._base.checks import flag, refuse_keywords
from .._base.config import float_dtype
from ..layers import symbolic
from ..layers.base import Layer
from ..layers.input import InputLayer
from ..training import arguments, planning
from ..training.compiling import forget_targets
from ..training.ports import Output, Ports, by_port
from .layered import LayeredModel, with_layers
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Never, Self

    from .._base.types import BatchShape, Config, FloatType
    from ..engine.graph import Graph


class Functional(LayeredModel):
    """A model of layers that were called on symbolic tensors; made by ``fastnn.Model(inputs, outputs)``.

    Parameters
    ----------
    inputs : Input, list or dict of these
        Data are given in this order, or as a dict by the names of the inputs (a dict gives them its keys).
    outputs : symbolic tensor, list or dict of these
        Results of layers. Losses, metrics and targets are given in this order, or as a dict by the names of the
        outputs: of the layers that make them, or the keys of a dict. `predict` returns a list in this order, of one
        output an array.
    name : str, optional
    trainable : bool
    dtype : {"float32", "float64"}, optional
    weight_decay : float, optional
        As in `compile`.

    Raises
    ------
    TypeError
        For anything else than symbolic tensors.
    ValueError
        For an output that needs another input, an input that no output needs, and layers with the same name.

    Examples
    --------
    >>> from fastnn.layers import Concatenate, Dense, Input
    >>> wide, deep = Input((5,), name="wide"), Input((6,), name="deep")
    >>> h = Dense(30, "relu")(deep)
    >>> h = Dense(30, "relu")(h)
    >>> value = Dense(1, name="value")(Concatenate()([wide, h]))
    >>> check = Dense(1, name="check")(h)
    >>> model = fastnn.Model([wide, deep], [value, check])
    >>> model.compile("adam", "mse", loss_weights={"value": 0.9, "check": 0.1})
    >>> x = {"wide": np.ones((8, 5)), "deep": np.ones((8, 6))}
    >>> list(model.fit(x, [np.zeros(8), np.zeros(8)], verbose=0).history)
    ['loss', 'value_loss', 'check_loss']
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        name: str | None = None,
        trainable: bool = True,
        dtype: FloatType | None = None,
        *,
        weight_decay: float | None = None,
        **kwargs: Never,
    ) -> None:
        refuse_keywords(type(self), kwargs)
        self._layers: list[Layer] = []
        super().__init__(name=name, dtype=dtype, weight_decay=weight_decay)
        into, outof = _tensors("inputs", inputs), _tensors("outputs", outputs)
        if len({tensor for _, tensor in into}) < len(into):
            raise ValueError(f"inputs: expected distinct inputs, got {[tensor.name for _, tensor in into]}")
        starts = {tensor: _start(tensor) for _, tensor in into}
        self._inputs = [starts[tensor].call.layer for _, tensor in into]
        if isinstance(inputs, dict):
            for layer, key in zip(self._inputs, inputs, strict=True):
                layer.name = str(key)
        calls, found_at = _ordered(starts, [tensor for _, tensor in outof])
        self._layers = _in_layer_order(calls, found_at, starts)
        numbers = {tensor: i for i, (_, tensor) in enumerate(into)}
        count = len(numbers)
        for call in calls:
            for tensor in call.outputs if call.inputs else ():
                numbers.setdefault(tensor, count)  # an inner tensor that is an input has its number already
                count += 1
        place = {layer: i for i, layer in enumerate(self._layers)}
        self._steps, made = [], len(into)
        for call in calls:
            if call.inputs:
                results = tuple(range(made, made + len(call.shapes)))
                self._steps.append((place[call.layer], tuple(numbers[t] for t in call.inputs), results))
                made += len(results)
        self._out = [numbers[tensor] for _, tensor in outof]
        self._named = isinstance(outputs, dict)
        self._out_names = _distinct(list(outputs) if self._named else [t.name for _, t in outof])
        self._refuse_equal_names()
        known = all(tensor == start for tensor, start in starts.items())  # else the calls lead on to other inputs
        self._symbols = [weakref.ref(call) for call in calls if call.inputs] if known else []
        self._create()
        if not flag("trainable", trainable):
            self.trainable = False

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once; as in Keras with an `InputLayer` for each input."""
        return list(self._layers)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [layer.name for layer in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return list(self._out_names)

    def __call__(self, x: Any, training: bool = False) -> Any:
        """Call `forward`; of symbolic tensors, a list or a dict: use the model as a layer of another `Model`."""
        if not isinstance(x, dict) or not x or not symbolic.is_symbolic(list(x.values())):
            found = super().__call__(x, training)
        else:
            given = [tensor for _, tensor in by_port("inputs", x, self.input_names)]
            found = super().__call__(given if len(given) > 1 else given[0], training)
        if not self._named or isinstance(found, dict):
            return found
        return dict(zip(self._out_names, found if isinstance(found, list) else [found], strict=True))

    def _refuse_equal_names(self):
        names = [layer.name for layer in self._layers]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"{self.name}: expected distinct names of layers, got two layers called {name!r}")

    def _calls_of_layers(self):
        return self._inputs, [(self._layers[at], given, made) for at, given, made in self._steps], self._out

    def _create(self):
        """Build the layers, in the order of the calls."""
        given = next((layer.dtype for layer in self._layers if layer.dtype is not None), None)
        self.dtype = float_dtype(self.dtype or given)
        shapes = {i: layer.shape for i, layer in enumerate(self._inputs)}
        for layer in self._inputs:
            layer.ensure_built(layer.shape, self.dtype)
        for at, given, results in self._steps:
            layer, read = self._layers[at], [shapes[i] for i in given]
            layer.ensure_built(layer.as_read(read), self.dtype)
            found = layer.out_shape if len(results) > 1 else [layer.out_shape]
            shapes |= dict(zip(results, found, strict=True))
        inputs, outputs = [layer.shape for layer in self._inputs], [tuple(shapes[i]) for i in self._out]
        self.takes_several, self._rows = len(inputs) > 1, self._inputs[0]._rows
        self.in_shape = tuple(inputs) if len(inputs) > 1 else inputs[0]
        self.out_shape = tuple(outputs) if len(outputs) > 1 else outputs[0]
        for layer in self._layers:
            layer._rows = self._rows
            symbolic.belongs(layer, self)
        if len(inputs) > 1 or len(outputs) > 1 or self._named:
            self.with_ports()
        self.built = True
        forget_targets(self)

    def with_ports(self) -> None:
        """Let data, losses and metrics be those of named inputs and outputs, even if there is one of each."""
        shapes = self.out_shape if len(self._out) > 1 else [self.out_shape]
        named = {layer.name: layer.shape for layer in self._inputs}
        each = zip(self._out_names, shapes, self._out, strict=True)
        outputs = [Output(name, tuple(shape), self._leading(at)) for name, shape, at in each]
        self._ports = Ports(named, outputs, self._named)

    def _leading(self, value):
        """The layers that lead to a value, back to where several inputs join."""
        made_by, found = {i: step for step in self._steps for i in step[2]}, []
        while value in made_by:
            at, read, _ = made_by[value]
            found.append(self._layers[at])
            if len(read) > 1:
                break
            value = read[0]
        return found[::-1]

    def leaves(self) -> Iterator[Layer]:
        """Iterate over the layers but for inputs, with nested models replaced by their layers."""
        for layer in self._layers:
            if not isinstance(layer, InputLayer):
                yield from layer.leaves()

    def emit(self, graph: Graph, x: Any) -> Any:
        values = self._emitted(graph, x)
        found = [values[i] for i in self._out]
        return found if len(found) > 1 else found[0]

    def _emitted(self, graph, x):
        """The tensor of each value."""
        values = dict(enumerate(x if isinstance(x, list) else [x]))
        for at, given, results in self._steps:
            layer, read = self._layers[at], [values[i] for i in given]
            found = layer.declare(graph, layer.as_read(read))
            values |= dict(zip(results, found if isinstance(found, list) else [found], strict=True))
        return values

    def _outputs_of_layers(self, x: Any) -> list[tuple[str, Any]]:
        """(name, outputs) of the layers that have weights or an activation, for `x` in inference mode."""
        shown = [
            (self._layers[at].name, results[0]) for at, _, results in self._steps
            if self._layers[at].weights or hasattr(type(self._layers[at]), "activation")
        ]  # fmt: skip
        names, numbers = zip(*shown, strict=True) if shown else ((self.name,), (self._out[0],))

        def chosen(graph, into):
            values = self._emitted(graph, into)
            return [values[number] for number in numbers]

        return list(zip(names, planning.results(self, arguments.samples(self, "x", x), chosen), strict=True))

    # --- shapes ---

    def row_limits(self) -> list[int | None]:
        limits: list[int | None] = [None] * len(self._inputs)
        for at, given, _ in self._steps:
            for value, limit in zip(given, self._layers[at].row_limits(), strict=False):
                if limit is not None and value < len(limits):
                    limits[value] = min(limit, limits[value] or limit)
        return limits

    def result_shapes(self, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        expected = [layer.shape for layer in self._inputs]
        if [tuple(shape) for shape in shapes] != expected:
            raise ValueError(f"{self.name}: expected inputs of shapes {expected}, got {list(shapes)}")
        return list(self.out_shape) if len(self._out) > 1 else [self.out_shape]

    def build(self, input_shape: BatchShape | None = None) -> None:
        """Nothing to do: the model is built when it is created."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output shape for an input shape, or lists of several; all with the batch axis."""
        shapes = input_shape if self.takes_several else [input_shape]
        found = [(shapes[0][0], *shape) for shape in self.result_shapes([shape[1:] for shape in shapes])]
        return found if len(found) > 1 else found[0]

    @property
    def input_shape(self) -> Any:
        """``(None, ...)``, or a list of several."""
        found = [(self._rows, *layer.shape) for layer in self._inputs]
        return found if len(found) > 1 else found[0]

    @property
    def output_shape(self) -> Any:
        """``(None, ...)``, or a list of several."""
        shapes = self.out_shape if len(self._out) > 1 else [self.out_shape]
        found = [(self._rows, *shape) for shape in shapes]
        return found if len(found) > 1 else found[0]

    def connected_to(self, layer: Layer) -> str:
        """Names of the layers that a layer reads, of all of its uses; for `summary`."""
        makers = {i: each.name for i, each in enumerate(self._inputs)}
        makers |= {i: self._layers[at].name for at, _, results in self._steps for i in results}
        read = [makers[i] for at, given, _ in self._steps if self._layers[at] is layer for i in given]
        return ", ".join(read) or "-"

    # --- configuration ---

    def get_config(self) -> Config:
        """Return layers, their connections and the other arguments, as plain Python values."""
        return {
            "name": self.name,
            "layers": [layer.describe() for layer in self._layers],
            "inputs": [self._layers.index(layer) for layer in self._inputs],
            "calls": [[at, list(given)] for at, given, _ in self._steps],
            "outputs": dict(zip(self._out_names, self._out, strict=True)),
            "named": self._named,
            "dtype": self.dtype,
            "weight_decay": self._own_weight_decay,
            "trainable": self._trainable,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create a model from its `get_config`, with new weights; `custom_objects` maps names to custom classes."""
        config = with_layers(config, custom_objects)
        parts = config["layers"]
        inputs = [parts[i] for i in config["inputs"]]
        values: list[Any] = [layer.tensor_of() for layer in inputs]
        for at, given in config["calls"]:
            layer = parts[at]
            read = [values[i] for i in given]
            found = symbolic.called(layer, layer.as_read(read))
            values += found if isinstance(found, list) else [found]
        names = list(config["outputs"])
        outputs: Any = [values[i] for i in config["outputs"].values()]
        if config.get("named"):
            outputs = dict(zip(names, outputs, strict=True))
        decay = config.get("weight_decay")
        model = cls(inputs, outputs, name=config["name"], dtype=config["dtype"], weight_decay=decay)
        model._trainable = config.get("trainable", True)  # each layer has its own
        return model


def _tensors(argument, given):
    """``[(name for errors, symbolic tensor)]`` of a tensor, a list or a dict."""
    if isinstance(given, dict):
        named = [(f"{argument}[{key!r}]", value) for key, value in given.items()]
    elif isinstance(given, (list, tuple)):
        named = [(f"{argument}[{i}]", value) for i, value in enumerate(given)]
    else:
        named = [(argument, given)]
    if not named:
        raise ValueError(f"{argument}: expected at least one symbolic tensor, got none")
    for label, value in named:
        if symbolic.tensor(value) is None:
            raise TypeError(
                f"{label}: expected a symbolic tensor, from Input(shape) or the result of a layer, got"
                f" {type(value).__name__}"
            )
    return [(label, symbolic.tensor(value)) for label, value in named]


def _start(tensor):
    """What stands for an input: itself, or for the result of a layer a new `Input` of its shape."""
    made_by = tensor.call.layer
    return tensor if isinstance(made_by, InputLayer) else InputLayer(tensor.sample_shape).tensor_of()


def _distinct(names):
    """Names, with a number after all but the first of equal ones."""
    found = []
    for name in names:
        number, distinct = 0, name
        while distinct in found:
            number += 1
            distinct = f"{name}_{number}"
        found.append(distinct)
    return found


def _ordered(starts, outputs):
    """All calls between the two, in an order in which they can run; and when each was found from the outputs."""
    found, state, read = [], {}, set(outputs)
    stack = [(starts.get(tensor, tensor).call, False) for tensor in reversed(outputs)]
    while stack:  # depth first, inputs of a call before itself
        call, done = stack.pop()
        if done:
            found.append(call)
            continue
        if call in state:
            continue
        state[call] = len(state)
        stack.append((call, True))
        read.update(call.inputs)
        stack += [(starts.get(tensor, tensor).call, False) for tensor in reversed(call.inputs)]
        if not call.inputs and not any(call == start.call for start in starts.values()):
            raise ValueError(f"inputs: expected all inputs that the outputs need, got none for {call.layer.name!r}")
    unused = [tensor.name for tensor in starts if tensor not in read]
    if unused:
        raise ValueError(f"inputs: expected inputs that an output needs, got {unused[0]!r}, which no output depends on")
    return found, state


def _in_layer_order(calls, found_at, starts):
    """Each layer once: the farthest from the outputs first, then in the order in which they were found."""
    of_call, of_layer, first = {}, {}, {}
    for call in reversed(calls):
        depth = max(of_call.get(call, 0), of_layer.get(call.layer, 0))
        of_call[call] = of_layer[call.layer] = depth
        for tensor in call.inputs:
            before = starts.get(tensor, tensor).call
            of_call[before] = max(depth + 1, of_call.get(before, 0))
    for call in sorted(calls, key=found_at.get):
        first.setdefault(call.layer, found_at[call])
    return sorted(first, key=lambda layer: (-of_layer[layer], first[layer]))


Model._functional = Functional
layer_classes.register(Functional, "Functional")
