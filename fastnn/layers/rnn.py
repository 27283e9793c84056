"""RNN: a recurrent layer over a custom cell in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag
from .._base.signatures import check_without_effect
from ._block import layer_of
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from typing import Any, ClassVar, Unpack

    from .._base.types import AnyArray, LayerOptions
    from ..engine.graph import Graph, Tensor


class RNN(Layer):
    """A recurrent layer whose cell is written in NumPy, at the speed of NumPy and Python.

    The cell is a `Layer` with an attribute `state_size` (a number, or a list of several), `build` for the shape of one
    step, and two methods. ``call(x, states)`` returns ``(output, states)`` after a step. ``backward(x, states,
    d_output, d_states)``, of what `call` was given and the gradients of what it returned, returns ``(dx, d_states,
    gradients)``, the last like `trainable_weights`. Both have lists of states, and begin from zeros.

    Parameters
    ----------
    cell : Layer
    return_sequences : bool
        Return the outputs of all steps instead of the last one.
    return_state : False
        For compatibility with Keras, as `stateful`, `unroll` and `zero_output_for_mask`; only the default is accepted.
    go_backwards : bool
        Take the steps from the last to the first; outputs are in that order.
    stateful, unroll, zero_output_for_mask : False
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    TypeError
        For a cell without these.

    Examples
    --------
    A leaky integrator with one weight per feature, h' = w h + x:

    >>> class Leaky(fastnn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.state_size = input_shape[-1]
    ...         self.w = self.add_weight(input_shape[1:], "ones", name="w")
    ...     def call(self, x, states):
    ...         h = self.w.numpy() * states[0] + x
    ...         return h, [h]
    ...     def backward(self, x, states, d_output, d_states):
    ...         dh = d_output + d_states[0]
    ...         return dh, [dh * self.w.numpy()], [(dh * states[0]).sum(axis=0)]
    >>> model = fastnn.Sequential([fastnn.layers.RNN(Leaky(), input_shape=(3, 1))])
    >>> model.predict(np.array([[[1.0], [2.0], [3.0]]]), verbose=0)
    array([[6.]], dtype=float32)
    """

    return_sequences, go_backwards = Checked(flag, for_good=True), Checked(flag, for_good=True)
    without_effect: ClassVar[dict[str, Any]] = {
        **Layer.without_effect,
        **dict.fromkeys(("return_state", "stateful", "unroll", "zero_output_for_mask"), False),
    }

    def __init__(
        self,
        cell: Layer,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_without_effect(self, locals())
        self.cell = layer_of("cell", cell)
        for method in ("call", "backward"):
            if getattr(type(self.cell), method) is getattr(Layer, method):
                got = type(self.cell).__name__
                raise TypeError(f"cell: expected a layer with methods call and backward, got {got}")
        self.return_sequences, self.go_backwards = return_sequences, go_backwards

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"{self.name}: expected an input of time steps, (steps, features), got shape {tuple(input_shape[1:])}"
            )
        self.cell.ensure_built(input_shape[2:], self.dtype)
        size = getattr(self.cell, "state_size", None)
        if size is None:
            raise TypeError(f"cell of {self.name}: expected an attribute state_size, got none")
        self._sizes = list(size) if isinstance(size, (list, tuple)) else [size]
        self._weights = self.cell._weights

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        units = getattr(self.cell, "output_size", self._sizes[0])
        return (*input_shape[:2], units) if self.return_sequences else (input_shape[0], units)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        if x.mask is not None:
            raise ValueError(
                f"{self.name}: expected an input without masked time steps; a custom cell does not see them"
            )
        return graph.python(self, x)

    def _order(self, steps):
        return range(steps - 1, -1, -1) if self.go_backwards else range(steps)

    def call(self, inputs: AnyArray, training: bool) -> Any:
        states = [np.zeros((len(inputs), size), inputs.dtype) for size in self._sizes]
        self._kept, outputs = [], []
        for t in self._order(inputs.shape[1]):
            self._kept.append((t, inputs[:, t], states))
            output, states = self.cell.call(inputs[:, t], states)  # type: ignore[arg-type]
            states = list(states)
            outputs.append(output)
        self._shape = inputs.shape
        return np.stack(outputs, axis=1) if self.return_sequences else outputs[-1]

    def backward(self, dy: AnyArray) -> Any:
        dx = np.zeros(self._shape, dy.dtype)
        d_states = [np.zeros((len(dy), size), dy.dtype) for size in self._sizes]
        total: list[Any] = [0.0] * len(self.cell.trainable_weights)
        for s, (t, x, states) in reversed(list(enumerate(self._kept))):
            last = s == len(self._kept) - 1
            d_output = dy[:, s] if self.return_sequences else dy if last else np.zeros_like(dy)
            dx[:, t], d_states, gradients = self.cell.backward(x, states, d_output, d_states)  # type: ignore[call-arg]
            total = [a + b for a, b in zip(total, gradients, strict=True)]
        self.grads = dict(zip(self.cell.trainable_weights, total, strict=True))
        return dx
