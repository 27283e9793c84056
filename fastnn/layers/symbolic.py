"""Symbolic tensors: what a layer returns that was called on the declaration of an input.

A tensor knows the call that makes it, and a call its layer and the tensors it reads; so a model follows them from its
outputs back to its inputs. Nothing is computed, and weights are created by the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .base import Layer


class SymbolicTensor:
    """The result of calling a layer on symbolic tensors, for `fastnn.Model`.

    Attributes
    ----------
    shape : tuple
        ``(None, ...)``, with the batch axis.
    """

    __slots__ = ("call", "index", "sample_shape")
    __iter__ = None
    __array_ufunc__ = None  # so that NumPy makes no array of it

    def __init__(self, call: Call, index: int, sample_shape: Sequence[int]) -> None:
        self.call, self.index, self.sample_shape = call, index, tuple(sample_shape)

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
    """One use of a layer.

    Attributes
    ----------
    layer : Layer
    inputs, outputs : tuple of SymbolicTensor
    """

    __slots__ = ("inputs", "layer", "outputs")

    def __init__(self, layer: Layer, inputs: Sequence[SymbolicTensor], shapes: Sequence[Sequence[int]]) -> None:
        self.layer, self.inputs = layer, tuple(inputs)
        self.outputs = tuple(SymbolicTensor(self, i, shape) for i, shape in enumerate(shapes))


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
        what = "a symbolic tensor, such as Input(shape) or the result of a layer" + ", or a list" * layer.takes_several
        raise TypeError(
            f"{layer.name}: expected {what}, got {type(inputs).__name__}; to compute values, make a model of the layer"
        )
    several = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    given = [found for found in map(tensor, several) if found is not None]
    if len(given) > 1 and not layer.takes_several:
        raise ValueError(f"{layer.name}: expected one input, got {len(given)}; Add or Concatenate joins several")
    results = Call(layer, given, layer.result_shapes([t.sample_shape for t in given])).outputs
    return results[0] if len(results) == 1 else list(results)
