"""Bidirectional: a recurrent layer from both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.signatures import check_without_effect
from . import symbolic
from ._block import Block, layer_of
from ._recurrent import Recurrent, with_states
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar, Unpack

    from .._base.types import FloatType, LayerOptions
    from ..engine.graph import Graph, Tensor

MODES = ("concat", "sum", "mul", "ave", None)


def _mode(name, value):
    if value not in MODES:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, MODES))}, got {value!r}")
    return value


class Bidirectional(Block):
    """Two recurrent layers, one from the first step on and one from the last, and their results joined.

    With `return_sequences`, the result of the second is put into the order of the steps before.

    Parameters
    ----------
    layer : SimpleRNN, LSTM or GRU
        The first; a copy of it. The second is another copy, with `go_backwards` the other way.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        Side by side, sum, product, mean; None: a list of both results.
    weights : None
        For compatibility with Keras; only the default is accepted.
    backward_layer : SimpleRNN, LSTM or GRU, optional
        The second layer, if it is to differ otherwise.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    forward_layer, backward_layer : Layer
        Weights are those of the one, then those of the other.

    Raises
    ------
    TypeError
        For other layers.
    ValueError
        For two layers that go the same way or whose results differ in kind.

    References
    ----------
    Schuster & Paliwal 1997.

    Examples
    --------
    >>> from fastnn.layers import LSTM, Bidirectional
    >>> model = fastnn.Sequential([Bidirectional(LSTM(4, return_sequences=True), input_shape=(10, 3))])
    >>> model.output_shape, [w.shape for w in model.get_weights()]
    ((None, 10, 8), [(3, 16), (4, 16), (16,), (3, 16), (4, 16), (16,)])

    With `return_state`, the states of the first layer and then those of the second follow the result.
    """

    merge_mode = Checked(_mode, for_good=True)
    takes_more = True
    without_effect: ClassVar[dict[str, Any]] = {**Layer.without_effect, "weights": None}

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: None = None,
        backward_layer: Layer | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_without_effect(self, locals())
        self.layer, self.merge_mode = _recurrent("layer", layer), merge_mode
        self._given = None if backward_layer is None else _recurrent("backward_layer", backward_layer)
        config = self.layer.get_config()
        other = self._given.get_config() if self._given else {**config, "go_backwards": not config["go_backwards"]}
        kinds = [(type(each), c["return_sequences"], c["return_state"], c["units"])
                 for each, c in ((self.layer, config), (self._given or self.layer, other))]  # fmt: skip
        if config["go_backwards"] == other["go_backwards"] or kinds[0][1:3] != kinds[1][1:3]:
            raise ValueError(
                f"backward_layer of {self.name}: expected equal return_sequences and return_state, and the other"
                f" go_backwards, got {self._given!r}"
            )
        make = type(self.layer).from_config
        self.forward_layer = make({**config, "name": f"forward_{config['name']}"})
        make = type(self._given or self.layer).from_config
        self.backward_layer = make({**other, "name": f"backward_{other['name']}"})
        self.backward_layer.flipped = True
        self._freeze_parts()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain Python values."""
        given = self._given and self._given.describe()
        return {**super().get_config(), "layer": self.layer.describe(), "backward_layer": given}

    @property
    def parts(self) -> list[Layer]:
        """Both layers."""
        return [self.forward_layer, self.backward_layer]

    def __call__(self, inputs: Any, initial_state: Any = None) -> Any:
        """Use the layer in a `fastnn.Model`.

        Parameters
        ----------
        inputs : SymbolicTensor
            Of shape (None, steps, features); or a list of it and the initial states.
        initial_state : list of SymbolicTensor, optional
            Those of the forward layer, then those of the backward layer.

        Returns
        -------
        SymbolicTensor, or a list
        """
        return symbolic.called(self, with_states(inputs, initial_state))

    def _halves(self, values):
        """What each layer reads, of x and the first states of both."""
        x, *states = values
        if len(states) % 2:
            raise ValueError(f"{self.name}: expected initial states of both layers, got {len(states)}")
        half = len(states) // 2
        return [x, *states[:half]], [x, *states[half:]]

    def ensure_built(self, input_shape: Any, dtype: FloatType | None = None) -> None:
        """`Layer.ensure_built`, for the shape of x or of x and the initial states."""
        shapes = list(input_shape) if isinstance(input_shape[0], (tuple, list)) else [tuple(input_shape)]
        for part, read in zip(self.parts, self._halves(shapes), strict=True):
            part.ensure_built(part.as_read(read), dtype or self.dtype)
        super().ensure_built(shapes[0], dtype)
        results = self.result_shapes(shapes)
        self.out_shape = tuple(results) if len(results) > 1 else results[0]

    def build(self, input_shape: Any) -> None:
        """Nothing to do: `ensure_built` builds both layers."""
        for part in self.parts:
            part.ensure_built(tuple(input_shape[1:]), self.dtype)

    def result_shapes(self, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        reads = self._halves([tuple(shape) for shape in shapes])
        (y, *states), (z, *more) = (part.result_shapes(r) for part, r in zip(self.parts, reads, strict=True))
        if self.merge_mode is None:
            return [y, z, *states, *more]
        if self.merge_mode != "concat" and y != z:
            raise ValueError(f"{self.name}: expected results of equal shape for {self.merge_mode!r}, got {y} and {z}")
        joined = (*y[:-1], y[-1] + z[-1]) if self.merge_mode == "concat" else y
        return [joined, *states, *more]

    def sample_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        return self.result_shapes([input_shape])[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output shape for an input shape, with the batch axis; a list of several results."""
        first = input_shape[0] if isinstance(input_shape[0], (tuple, list)) else input_shape
        found = [(first[0], *shape) for shape in self.result_shapes([first[1:]])]
        return found if len(found) > 1 else found[0]

    @property
    def output_shape(self) -> Any:
        """``(None, ...)``, or a list of several; None before the layer is built."""
        if self.out_shape is None or not isinstance(self.out_shape[0], tuple):
            return super().output_shape
        return [(self._rows, *shape) for shape in self.out_shape]

    def emit(self, graph: Graph, x: Any) -> Any:
        x = x if isinstance(x, list) else [x]
        made = [part.declare(graph, part.as_read(read)) for part, read in zip(self.parts, self._halves(x), strict=True)]
        (y, *states), (z, *more) = (found if isinstance(found, list) else [found] for found in made)
        joined = [y, z] if self.merge_mode is None else [self._joined(graph, y, z)]
        found = [*joined, *states, *more]
        if len(y.shape) == 2:
            for tensor in joined:
                tensor.mask = x[0].mask
        return found if len(found) > 1 else found[0]

    def _joined(self, graph: Graph, y: Tensor, z: Tensor) -> Tensor:
        if self.merge_mode == "concat":
            groups = y.shape[0] if len(y.shape) == 2 else 1
            return graph.node("concatenate", [y, z], (*y.shape[:-1], y.shape[-1] + z.shape[-1]), {"groups": groups})
        if self.merge_mode == "mul":
            return graph.node("multiply", [y, z], y.shape)
        total = graph.add(y, z)
        return graph.affine(total, 0.5, 0.0) if self.merge_mode == "ave" else total


def _recurrent(name, value):
    value = layer_of(name, value)
    if not isinstance(value, Recurrent):
        raise TypeError(f"{name}: expected SimpleRNN, LSTM or GRU, got {value!r} of type {type(value).__name__}")
    return value
