"""Group normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer, number
from ._weights import GammaAndBeta, features_of
from .checked import Checked

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import (
        BatchShape,
        ConstraintLike,
        InitializerLike,
        LayerOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor


def _groups(name, groups):
    groups = integer(name, groups)
    if groups != -1 and groups < 1:
        raise ValueError(f"{name}: expected at least 1, or -1 for one group for each feature, got {groups}")
    return groups


class GroupNormalization(GammaAndBeta):
    r"""Normalise groups of features of a sample: :math:`y = \gamma (x - \mu_g) / \sqrt{\sigma_g^2 + \epsilon} + \beta`.

    Layer normalisation is one group, with other values of γ and β for each feature.

    Parameters
    ----------
    groups : int
        Number of groups of neighbouring features; it must divide the number of features. −1: one for each feature.
    axis : int
        Of the features: the last one, of flat samples.
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
    gamma, beta : Variable (features,)

    References
    ----------
    Wu & He 2018, eq. 7.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.GroupNormalization(2, input_shape=(4,))])
    >>> model.predict([[1.0, 3.0, 10.0, 50.0]], verbose=0).round(2).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    groups = Checked(_groups, for_good=True)
    axis = Checked(integer, for_good=True)
    epsilon = Checked(number, 0, open_low=True)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        self.groups, self.axis, self.epsilon = groups, axis, epsilon
        self._keep(locals())

    def build(self, input_shape: BatchShape) -> None:
        features = features_of(self, input_shape)
        if self.axis not in (-1, 1):
            raise ValueError(f"axis: expected the axis of the features, -1 or 1, got {self.axis}")
        self.count = features if self.groups == -1 else self.groups
        if features % self.count:
            raise ValueError(f"groups: expected a divisor of the {features} features, got {self.groups}")
        self.length = features // self.count
        self._add((features,))

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.layer_norm(
            x, self.gamma, self.beta, self.length, self.epsilon, self.trainable, runs=self.count
        )
