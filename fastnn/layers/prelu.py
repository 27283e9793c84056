"""PReLU: a leaky ReLU with learned slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import constraints, initializers, regularizers
from . import _weights
from .base import Layer
from .checked import Checked, Chosen, Rule
from .layer_normalization import positive_axes

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
    from ..variables import Variable


def _axes(name, axes):
    return axes if axes is None else list(axes) if isinstance(axes, (list, tuple)) else [axes]


class PReLU(Layer):
    """Parametric ReLU: x above 0, ``alpha * x`` below, with trainable `alpha`.

    Parameters
    ----------
    alpha_initializer : str, Initializer or function
        Default: zeros, as in Keras. (The paper and PyTorch start at 0.25.)
    alpha_regularizer : str or Regularizer, optional
    alpha_constraint : str or Constraint, optional
    shared_axes : int or list of int, optional
        Axes, counted from 1, along which the slope is shared: ``[1]`` for flat samples is a single
        slope. Default: one slope per feature. (PyTorch's default is a single slope.)
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    alpha : Variable
        With the shape of a sample, 1 along shared axes.

    Notes
    -----
    The derivative at x = 0 is the left derivative.

    References
    ----------
    He, Zhang, Ren & Sun 2015, eq. 1 and 3.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.PReLU("ones", shared_axes=[1], input_shape=(3,))])
    >>> [w.shape for w in model.get_weights()], model.predict([[-1.0, 0.0, 2.0]], verbose=0).tolist()
    ([(1,)], [[-1.0, 0.0, 2.0]])
    """

    shared_axes = Checked(_axes, for_good=True)
    alpha_initializer = Chosen(initializers.get)
    alpha_regularizer = Rule(regularizers.get)
    alpha_constraint = Rule(constraints.get)

    alpha: Variable  # None before the layer is built

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike = None,
        alpha_constraint: ConstraintLike = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        _weights.keep(self, locals(), "alpha")
        self.shared_axes = shared_axes
        self.alpha = None  # type: ignore[assignment]

    def build(self, input_shape: BatchShape) -> None:
        shape = list(input_shape[1:])
        if self.shared_axes:
            for axis in positive_axes("shared_axes", self.shared_axes, 1 + len(shape)):
                shape[axis - 1] = 1
        self.alpha = _weights.add(self, "alpha", shape)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.prelu(x, self.alpha, self.alpha.shape, self.trainable)
