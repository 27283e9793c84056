"""What the recurrent layers share: arguments, weights, shapes, states, and their nodes in a graph.

A layer is a dense node for what it reads, all time steps at once, and a node "recurrent" for the rest (see
engine/lowering/recurrent.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import activations, constraints, initializers, regularizers
from .._base.checks import flag, integer, number
from .._base.signatures import check_without_effect
from ..activations import ROW_WISE
from . import symbolic
from ._weights import add, keep
from .base import Layer
from .checked import Checked, Chosen, Rule
from .dropout import checked_seed, random_stream, shared_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, ClassVar

    from .._base.types import FloatType
    from ..engine.graph import Graph, Tensor
    from ..variables import Variable


def elementwise(name: str, value: Any) -> activations.ActivationFunction:
    """An activation of a gate; ValueError for one of all units at once."""
    found = activations.get(value)
    if found.row in ROW_WISE:
        raise ValueError(f"{name}: expected an elementwise activation, such as 'tanh', got {found.__name__!r}")
    return found


def optional_steps(name: str, value: int | None) -> int | None:
    """A number of time steps, or None."""
    return None if value is None else integer(name, value, minimum=1)


def with_states(inputs: Any, states: Any) -> Any:
    """What a layer is called on, of `inputs` and initial states, either of which may be a list."""
    if states is None:
        return inputs
    both = [v if isinstance(v, (list, tuple)) else [v] for v in (inputs, states)]
    return [*both[0], *both[1]]


class Recurrent(Layer):
    """Base class of the layers with a recurrent kernel; subclasses say what a cell is."""

    cell: ClassVar[str]  # of engine/lowering/recurrent.py
    gates: ClassVar[int]  # columns of the kernels, in units
    kinds: ClassVar[tuple[str, ...]] = ("h",)  # of states
    takes_more = True  # on [x, state, ...]

    units = Checked(integer, minimum=1, for_good=True)
    activation = Checked(elementwise)
    use_bias = Checked(flag, for_good=True)
    return_sequences, return_state = Checked(flag, for_good=True), Checked(flag, for_good=True)
    go_backwards = Checked(flag)
    dropout = Checked(number, 0, 1, open_high=True)
    recurrent_dropout = Checked(number, 0, 1, open_high=True)
    seed = Checked(checked_seed)
    truncate = Checked(optional_steps)
    kernel_initializer = Chosen(initializers.get)
    recurrent_initializer = Chosen(initializers.get)
    bias_initializer = Chosen(initializers.get)
    kernel_regularizer = Rule(regularizers.get)
    recurrent_regularizer = Rule(regularizers.get, "recurrent_kernel")
    bias_regularizer = Rule(regularizers.get)
    kernel_constraint = Rule(constraints.get)
    recurrent_constraint = Rule(constraints.get, "recurrent_kernel")
    bias_constraint = Rule(constraints.get)

    kernel: Variable  # None before the layer is built
    recurrent_kernel: Variable
    bias: Variable | None
    flipped = False  # results in the order of x even if steps are taken from the end; for `Bidirectional`

    without_effect: ClassVar[dict[str, Any]] = {**Layer.without_effect, "stateful": False, "unroll": False}

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Store the arguments of the constructor, its ``locals()``."""
        check_without_effect(self, given)
        names = "units activation use_bias dropout recurrent_dropout seed return_sequences return_state go_backwards"
        for name in [*names.split(), "truncate"]:
            setattr(self, name, given[name])
        keep(self, given, "kernel", "recurrent", "bias")
        self.kernel = self.recurrent_kernel = self.bias = None  # type: ignore[assignment]

    # --- shapes ---

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"{self.name}: expected an input of time steps, (steps, features), got shape {tuple(input_shape[1:])}"
            )
        columns = self.gates * self.units
        self.kernel = add(self, "kernel", (input_shape[-1], columns), "kernel")
        self.recurrent_kernel = add(
            self, "recurrent_kernel", (self.units, columns), "kernel", arguments="recurrent"
        )
        if self.use_bias:
            self._add_bias(columns)

    def _add_bias(self, columns: int) -> None:
        self.bias = add(self, "bias", (columns,), "bias")

    def ensure_built(self, input_shape: Any, dtype: FloatType | None = None) -> None:
        """`Layer.ensure_built`, for the shape of x or of x and the initial states."""
        several = isinstance(input_shape[0], (tuple, list)) if len(input_shape) else False
        shapes = [tuple(shape) for shape in input_shape] if several else [tuple(input_shape)]
        super().ensure_built(shapes[0], dtype)
        results = self.result_shapes(shapes)
        self.out_shape = tuple(results) if self.return_state else results[0]

    def _check_states(self, shapes):
        expected = [(self.units,)] * len(self.kinds)
        if shapes and shapes != expected:
            raise ValueError(f"{self.name}: expected initial states of shapes {expected}, got {shapes}")

    def result_shapes(self, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        self._check_states([tuple(shape) for shape in shapes[1:]])
        steps = tuple(shapes[0])[:1] if self.return_sequences else ()
        states = [(self.units,)] * len(self.kinds) if self.return_state else []
        return [(*steps, self.units), *states]

    def sample_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        return self.result_shapes([input_shape])[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output shape for an input shape, with the batch axis; with `return_state` a list of several."""
        first = input_shape[0] if isinstance(input_shape[0], (tuple, list)) else input_shape
        found = [(first[0], *shape) for shape in self.result_shapes([first[1:]])]
        return found if self.return_state else found[0]

    @property
    def output_shape(self) -> Any:
        """``(None, ...)``, or with `return_state` a list of several; None before the layer is built."""
        if self.out_shape is None or not self.return_state:
            return super().output_shape
        return [(self._rows, *shape) for shape in self.out_shape]

    # --- use ---

    def __call__(self, inputs: Any, initial_state: Any = None) -> Any:
        """Use the layer in a `fastnn.Model`.

        Parameters
        ----------
        inputs : SymbolicTensor
            Of shape (None, steps, features); or a list of it and the initial states.
        initial_state : SymbolicTensor or list of these, optional
            States before the first step, each (None, units), as another layer returned them with `return_state`.
            Default: zeros.

        Returns
        -------
        SymbolicTensor, or a list of results and last states with `return_state`
        """
        return symbolic.called(self, with_states(inputs, initial_state))

    def declare(self, graph: Graph, x: Any) -> Any:
        """`emit`, and the penalty on the results without the states."""
        outer, graph.layer = graph.layer, (self.name, type(self).__name__)
        found, penalty = self.emit(graph, x), self.activity_regularizer
        graph.layer = outer
        if penalty is not None and (penalty.l1 or penalty.l2):
            graph.activity(found[0] if self.return_state else found, penalty.l1, penalty.l2)
        return found

    def emit(self, graph: Graph, x: Any) -> Any:
        x, *first = x if isinstance(x, list) else [x]
        mask = x.mask
        if self.dropout > 0:
            runs = shared_runs((None, 1, x.shape[-1]), x.shape)
            x = graph.dropout(x, self.dropout, random_stream(self), runs)
        bias, more = self._biases()
        z = graph.dense(x, self.kernel, bias, self.trainable)
        steps = x.shape[0]
        attrs = {
            "cell": self.cell, "units": self.units, "groups": steps, "backwards": self.go_backwards,
            "act": self.activation.kernel_row, "gate": self._gate(), "sequences": self.return_sequences,
            "flipped": self.flipped, "states": len(self.kinds) if self.return_state else 0, "initial": len(first),
            "masked": mask is not None, "rate": self.recurrent_dropout, "truncate": self.truncate or 0,
            "reset_after": False,
            "id": graph.stream(random_stream(self)) if self.recurrent_dropout > 0 else 0,
        }  # fmt: skip
        attrs |= self._more()
        shapes = self.result_shapes([x.shape])
        size = sum(steps * self.units if len(shape) == 2 else self.units for shape in shapes)
        made = shapes[0] if not self.return_state else (size,)
        reads = [z, *first] if mask is None else [z, *first, mask]
        y = graph.node("recurrent", reads, made, attrs, {"kernel": self.recurrent_kernel} | more, self.trainable)
        found = self._parts(graph, y, shapes) if self.return_state else [y]
        if self.return_sequences and not self.go_backwards:
            found[0].mask = mask
        return found if self.return_state else found[0]

    def _parts(self, graph: Graph, y: Tensor, shapes: list[tuple[int, ...]]) -> list[Tensor]:
        """Results and last states, of a tensor that has them one after the other."""
        found, first = [], 0
        for shape in shapes:
            found.append(graph.node("slice", [y], shape, {"first": first}))
            first += found[-1].size
        return found

    def _biases(self) -> tuple[Variable | None, dict[str, Variable]]:
        """The bias of the dense node, and the variables of the other one."""
        return self.bias, {}

    def _gate(self) -> tuple[str, tuple[float, ...]] | None:
        """Row and parameters of the activation of gates."""
        return None

    def _more(self) -> dict[str, Any]:
        """What a cell adds to the attributes of its node."""
        return {}


class Gated(Recurrent):
    """Base class of the recurrent layers with gates."""

    recurrent_activation = Checked(elementwise)
    without_effect: ClassVar[dict[str, Any]] = {**Recurrent.without_effect, "use_cudnn": "auto"}

    def _keep(self, given: Mapping[str, Any]) -> None:
        super()._keep(given)
        self.recurrent_activation = given["recurrent_activation"]

    def _gate(self) -> tuple[str, tuple[float, ...]] | None:
        return self.recurrent_activation.kernel_row
