"""Maxout: the largest of several linear pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer
from ._weights import KernelAndBias, features_of
from .checked import Checked

if TYPE_CHECKING:
    from typing import Any, Unpack

    from .._base.types import (
        BatchShape,
        ConstraintLike,
        InitializerLike,
        OtherOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor


class Maxout(KernelAndBias):
    """A dense layer whose units are each the maximum of `k` linear pieces: a learned convex activation.

    ``y[j] = max over i of (x @ kernel + bias)[j * k + i]``

    Parameters
    ----------
    units : int
        Size of the result, at least 1.
    k : int
        Linear pieces per unit, at least 1. Two pieces, one of them zero, are a ReLU.
    use_bias : bool
    kernel_initializer, bias_initializer : str, Initializer or function
    kernel_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        Penalties on the weights and on the result (`fastnn.regularizers`).
    kernel_constraint, bias_constraint : str or Constraint, optional
        Constraints applied to the weights after each step (`fastnn.constraints`).
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (inputs, units * k)
    bias : Variable (units * k,) or None

    Notes
    -----
    If several pieces are equal, the first receives the gradient.

    References
    ----------
    Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, eq. 1.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Maxout(3, k=4, input_shape=(2,))])
    >>> model.output_shape, [w.shape for w in model.get_weights()]
    ((None, 3), [(2, 12), (12,)])
    """

    units, k = Checked(integer, minimum=1, for_good=True), Checked(integer, minimum=1, for_good=True)

    def __init__(
        self,
        units: int,
        k: int = 2,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Unpack[OtherOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units, self.k = units, k
        self._keep(locals())

    def build(self, input_shape: BatchShape) -> None:
        self._add(features_of(self, input_shape), self.units * self.k)

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.units)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        z = graph.dense(x, self.kernel, self.bias, self.trainable)
        return graph.node("maxout", [z], (self.units,), {"k": self.k})
