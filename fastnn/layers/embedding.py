"""Embedding: a vector for each of a range of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import constraints, initializers, regularizers
from .._base.checks import integer
from .._base.signatures import check_without_effect
from ._weights import add, keep
from .base import Layer
from .checked import Checked, Chosen, Rule

if TYPE_CHECKING:
    from typing import Any, ClassVar, Unpack

    from numpy.typing import ArrayLike

    from .._base.types import (
        BatchShape,
        ConstraintLike,
        InitializerLike,
        LayerOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor
    from ..variables import Variable

EXACT = {"float32": 2**24, "float64": 2**53}  # integers below are exact


def _penalty(value):
    """A penalty that is a sum over elements: kernels that compare rows expect the layout of a dense layer."""
    found = regularizers.get(value)
    if isinstance(found, regularizers.OrthogonalRegularizer):
        raise ValueError(f"embeddings_regularizer: expected L1, L2 or L1L2, got {found}")
    return found


class Embedding(Layer):
    """A row of a trained table for each integer: samples (n,) of integers become (n, output_dim).

    Parameters
    ----------
    input_dim : int
        Number of rows: inputs are the integers 0 to input_dim - 1, in arrays of any numeric dtype.
    output_dim : int
        Length of a row.
    embeddings_initializer : str, Initializer or function
    embeddings_regularizer : str or Regularizer, optional
    embeddings_constraint : str or Constraint, optional
    weights : array_like (input_dim, output_dim), optional
        Values with which the table begins, or a list of these alone.
    mask_zero, lora_rank, lora_alpha, quantization_config
        For compatibility with Keras; only the defaults are accepted.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    embeddings : Variable (input_dim, output_dim)

    Raises
    ------
    ValueError
        For sizes below 1, and in ``fit``, ``evaluate`` and ``predict`` for an integer that is not a row: the message
        names it.

    Notes
    -----
    Each step updates the whole table, as rows that do not occur move too with most optimizers: moments decay, and so
    do weights with `weight_decay`.

    Examples
    --------
    >>> from fastnn.layers import Dense, Embedding, Flatten, Input
    >>> model = fastnn.Sequential([Input((3,)), Embedding(100, 8), Flatten(), Dense(1)])
    >>> model.predict(np.array([[4, 20, 99]]), verbose=0).shape
    (1, 1)
    """

    without_effect: ClassVar[dict[str, Any]] = {
        **Layer.without_effect, "mask_zero": False,
        **dict.fromkeys(("lora_rank", "lora_alpha", "quantization_config")),
    }  # fmt: skip
    only_at_first = ("weights",)
    input_dim = Checked(integer, minimum=1, for_good=True)
    output_dim = Checked(integer, minimum=1, for_good=True)
    embeddings_initializer = Chosen(initializers.get)
    embeddings_regularizer = Rule(_penalty)
    embeddings_constraint = Rule(constraints.get)
    embeddings: Variable  # None before the layer is built

    def __init__(  # type: ignore[misc]  # of other layers, input_dim is Keras 2's name for the shape of a sample
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike = None,
        embeddings_constraint: ConstraintLike = None,
        mask_zero: bool = False,
        weights: ArrayLike | None = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_without_effect(self, locals())
        self.input_dim, self.output_dim = input_dim, output_dim
        keep(self, locals(), "embeddings")
        self.embeddings = None  # type: ignore[assignment]
        self._given = weights if weights is None or not isinstance(weights, (list, tuple)) else weights[0]

    def build(self, input_shape: BatchShape) -> None:
        most = EXACT[self.dtype or "float32"]
        if self.input_dim > most:
            raise ValueError(f"input_dim: expected at most {most} in {self.dtype}, got {self.input_dim}; use float64")
        self.embeddings = add(self, "embeddings", (self.input_dim, self.output_dim))
        if self._given is not None:
            self.set_weights([self._given])
            self._given = None

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        return (*input_shape, self.output_dim)

    def kept_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return ()

    def row_limits(self) -> list[int | None]:
        return [self.input_dim]

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        variables = {"embeddings": self.embeddings}
        return graph.node("embedding", [x], (*x.shape, self.output_dim), None, variables, self.trainable)
