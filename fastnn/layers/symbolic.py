"""Symbolic tensors: what a layer returns that was called on the declaration of an input.

A tensor knows the call that makes it, and a call its layer and the tensors it reads; so a model follows them from its
outputs back to its inputs. Nothing is computed, and weights are created by the model.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, ClassVar

    from .base import Layer


class Operand:
    """What stands for a symbolic tensor, with the operators of these."""

    __slots__ = ()
    __array_ufunc__ = None  # so that NumPy makes no array of it
    joined: ClassVar[Callable[[str, Any, Any], Any]]  # set by `layers.arithmetic`

    def __add__(self, other: Any) -> Any:
        return Operand.joined("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return Operand.joined("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return Operand.joined("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return Operand.joined("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return Operand.joined("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return Operand.joined("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return Operand.joined("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return Operand.joined("/", other, self)

    def __neg__(self) -> Any:
        return Operand.joined("*", self, -1.0)


class SymbolicTensor(Operand):
    """The result of calling a layer on symbolic tensors, for `fastnn.Model`.

    ``a + b``, ``a - b``, ``a * b`` and ``a / b`` of two tensors are the layers `Add`, `Subtract`, `Multiply` and
    `Divide`; of a tensor and a number, as ``a / 2`` and ``-a``, they are `Rescaling`.

    Attributes
    ----------
    shape : tuple
        ``(None, ...)``, with the batch axis.
    """

    __slots__ = ("call", "index")
    __iter__ = None

    def __init__(self, call: Call, index: int) -> None:
        self.call, self.index = call, index

    # A call keeps no tensors, which keep it: a tensor is one of the equal objects that stand for a result.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolicTensor) and (self.call, self.index) == (other.call, other.index)

    def __hash__(self) -> int:
        return hash((self.call, self.index))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Without the batch axis."""
        return self.call.shapes[self.index]

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, *self.sample_shape)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.call.layer.name

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.shape} of {self.name}>"


class Call:
    """One use of a layer; all uses of the declaration of an input are one.

    Attributes
    ----------
    layer : Layer
    inputs : tuple of SymbolicTensor
    shapes : tuple of tuple
        Of samples of the results.
    """

    __slots__ = ("__weakref__", "inputs", "layer", "shapes")

    def __init__(self, layer: Layer, inputs: Sequence[SymbolicTensor], shapes: Sequence[Sequence[int]]) -> None:
        self.layer, self.inputs, self.shapes = layer, tuple(inputs), tuple(map(tuple, shapes))

    def __eq__(self, other: object) -> bool:
        both_inputs = isinstance(other, Call) and not self.inputs and not other.inputs
        return self is other or both_inputs and self.layer is other.layer  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return object.__hash__(self) if self.inputs else hash(self.layer)

    @property
    def outputs(self) -> tuple[SymbolicTensor, ...]:
        """The results."""
        return tuple(SymbolicTensor(self, i) for i in range(len(self.shapes)))


def tensor(value: Any) -> SymbolicTensor | None:
    """The symbolic tensor that a value is, or that the declaration of an input stands for; else None."""
    return value if isinstance(value, SymbolicTensor) else getattr(type(value), "tensor_of", lambda _: None)(value)


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic tensor, an `Input`, or a list of these."""
    many = isinstance(value, (list, tuple)) and len(value) > 0
    return all(tensor(v) is not None for v in (value if many else [value]))


def called(layer: Layer, inputs: Any) -> Any:
    """The result of calling a layer on a symbolic tensor, or on a list of several."""
    if not is_symbolic(inputs):
        many = ", or a list" * (layer.takes_several or layer.takes_more)
        what = "a symbolic tensor, such as Input(shape) or the result of a layer" + many
        raise TypeError(
            f"{layer.name}: expected {what}, got {type(inputs).__name__}; to compute values, make a model of the layer"
        )
    several = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    given = [found for found in map(tensor, several) if found is not None]
    if len(given) > 1 and not (layer.takes_several or layer.takes_more):
        raise ValueError(f"{layer.name}: expected one input, got {len(given)}; Add or Concatenate joins several")
    results = Call(layer, given, layer.result_shapes([t.sample_shape for t in given])).outputs
    return results[0] if len(results) == 1 else list(results)


_models: WeakKeyDictionary[Layer, list[weakref.ref[Any]]] = WeakKeyDictionary()  # that a layer was put into


def belongs(layer: Layer, model: Any) -> None:
    """A layer was put into a model, which can name its symbolic tensors."""
    _models[layer] = [ref for ref in _models.get(layer, ()) if ref() is not None] + [weakref.ref(model)]


def of_layer(layer: Layer, what: str) -> Any:
    """What a layer reads or makes ("input", "output") in its model, the first of several: a symbolic tensor, or a list.

    Raises
    ------
    ValueError
        If it is in no built model, or used several times there.
    """
    uses: list[Call] = []
    for ref in _models.get(layer, ()):
        model = ref()
        if not uses and model is not None and model.built:
            uses = [call for call in model.symbolic_calls() if call.layer is layer]
    if len(uses) != 1:
        how = f"one that is used {len(uses)} times" if uses else "one that is in no built model"
        raise ValueError(f"{layer.name}.{what}: expected a layer that is used once in a model, got {how}")
    found = list(uses[0].outputs if what == "output" or not uses[0].inputs else uses[0].inputs)
    return found[0] if len(found) == 1 else found
