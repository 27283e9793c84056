"""Batch normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import initializers
from .._base.checks import number, one_of
from .._base.signatures import check_without_effect
from ._weights import GammaAndBeta, features_of
from .base import Layer
from .checked import Checked, Chosen

if TYPE_CHECKING:
    from typing import Any, ClassVar, Literal, Unpack

    from .._base.types import (
        BatchShape,
        ConstraintLike,
        InitializerLike,
        LayerOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor
    from ..variables import Variable


class BatchNormalization(GammaAndBeta):
    r"""Batch normalisation: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`.

    In training, μ and σ² are the batch statistics (σ² biased, computed in two passes), and moving averages
    are updated: :math:`v \leftarrow v \cdot momentum + v_{batch} (1 - momentum)`. In inference and in
    a frozen layer, the moving averages are used. The layer can be placed before or after the activation.

    Parameters
    ----------
    axis : int
        Feature axis: -1 (or 1).
    momentum : float
        Weight of past values in the moving averages, 0 to 1. (PyTorch's `momentum` is 1 minus this.)
    epsilon : float
        Added to the variance; above 0.
    center, scale : bool
        Whether to use β and γ.
    beta_initializer, gamma_initializer : str, Initializer or function
    moving_mean_initializer, moving_variance_initializer : str, Initializer or function
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    renorm, renorm_clipping, renorm_momentum, synchronized
        For compatibility with Keras; only the defaults are accepted.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    gamma, beta, moving_mean, moving_variance : Variable (features,)
        In this order in `get_weights`; the first two are trained.

    Notes
    -----
    A batch of one sample, or of equal samples, has variance 0 and the output β; a batch of one sample passes no
    gradient to its input. All batches have equal weight in the moving averages, including a short last batch and a
    batch of one sample with its variance of 0, all as in Keras; `Model.recalibrate` replaces the moving averages by
    exact statistics. For inference the layer is folded into the dense layer before it (or the one after it, if
    another layer comes before it), which changes the results by rounding only.

    References
    ----------
    Ioffe & Szegedy 2015, algorithm 1; as in Keras, the moving variance is the biased variance.
    """

    axis = Checked(one_of, (-1, 1), for_good=True)
    momentum, epsilon = Checked(number, 0, 1), Checked(number, 0, open_low=True)
    moving_mean_initializer = Chosen(initializers.get)
    moving_variance_initializer = Chosen(initializers.get)

    without_effect: ClassVar[dict[str, Any]] = {
        **Layer.without_effect,
        "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99, "synchronized": False,
    }  # fmt: skip

    moving_mean: Variable
    moving_variance: Variable

    def __init__(
        self,
        axis: Literal[-1, 1] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        renorm: bool = False,
        renorm_clipping: None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_without_effect(self, locals())
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self._keep(locals())
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.moving_mean = self.moving_variance = None  # type: ignore[assignment]

    def build(self, input_shape: BatchShape) -> None:
        shape = (features_of(self, input_shape),)
        self._add(shape)
        for name in ("moving_mean", "moving_variance"):
            init = getattr(self, f"{name}_initializer")
            setattr(self, name, self.add_weight(shape, init, trainable=False, name=name))

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.batch_norm(
            x,
            self.gamma,
            self.beta,
            self.moving_mean,
            self.moving_variance,
            self.momentum,
            self.epsilon,
            frozen=not self.trainable,
        )
