"""Layer normalisation."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .._base.checks import integer, number
from ._weights import GammaAndBeta
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from .._base.types import (
        BatchShape,
        ConstraintLike,
        InitializerLike,
        LayerOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor


def positive_axes(name: str, axis: int | Sequence[int], rank: int) -> list[int]:
    """Sorted non-negative axes of an array of `rank`, batch axis included, from one or several axes."""
    given = axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = sorted({integer(name, a) % rank if -rank <= a < rank else -1 for a in given})
    if not axes or axes[0] < 1 or len(axes) != len(given):
        raise ValueError(
            f"{name}: expected distinct axes of a batch with {rank} axes, other than 0, got {axis!r}"
        )
    return axes


def axes_of(name: str, axis: int | Sequence[int]) -> int | list[int]:
    """The argument `axis`, checked."""
    return list(axis) if isinstance(axis, (list, tuple)) else integer(name, axis)


def last_axes(axis: int | Sequence[int], input_shape: BatchShape) -> tuple[int, ...]:
    """The shape of the axes, which must be the last ones of a sample."""
    rank = len(input_shape)
    axes = positive_axes("axis", axis, rank)
    if axes != list(range(axes[0], rank)):
        raise ValueError(
            f"axis: expected the last axes of a sample, such as -1, got {axis!r}"
            f" for samples of shape {tuple(input_shape[1:])}"
        )
    return tuple(input_shape[axes[0] :])


class LayerNormalization(GammaAndBeta):
    r"""Layer normalisation of each sample: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`.

    Training and inference are the same, for any batch size, including one sample.

    Parameters
    ----------
    axis : int or list of int
        Axes of the mean and variance: the last axis, or the last few (``[1, 2]`` for samples of two axes).
    epsilon : float
        Added to the variance; above 0.
    center, scale : bool
        Whether to use β and γ.
    beta_initializer, gamma_initializer : str, Initializer or function
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    gamma, beta : Variable
        With the shape of those axes; in this order in `get_weights`.

    References
    ----------
    Ba, Kiros & Hinton 2016, eq. 4.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.LayerNormalization(input_shape=(2,))])
    >>> model.predict([[1.0, 3.0], [5.0, 5.0]], verbose=0).round(2).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    axis = Checked(axes_of, for_good=True)
    epsilon = Checked(number, 0, open_low=True)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, epsilon
        self._keep(locals())

    def build(self, input_shape: BatchShape) -> None:
        shape = last_axes(self.axis, input_shape)
        self.length = prod(shape)
        self._add(shape)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.layer_norm(x, self.gamma, self.beta, self.length, self.epsilon, self.trainable)
