"""Normalisation by the size of a sample: its root mean square, or its Euclidean norm."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING

from .._base.checks import number
from .base import Layer
from .checked import Checked
from .layer_normalization import axes_of, last_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor
    from ..variables import Variable

LEAST_NORM = 1e-12  # Keras' lower bound of the norm


class RMSNormalization(Layer):
    r"""Divide each sample by its root mean square: :math:`y = s \cdot x / \sqrt{\overline{x^2} + \epsilon}`.

    Layer normalisation without the mean, and so a little cheaper.

    Parameters
    ----------
    axis : int or list of int
        Axes of the mean square: the last axis, or the last few.
    epsilon : float
        Above 0.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    scale : Variable
        s, with the shape of those axes; ones at first.

    References
    ----------
    Zhang & Sennrich 2019, eq. 4.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.RMSNormalization(input_shape=(2,), dtype="float64")])
    >>> model.predict([[1.0, 7.0]], verbose=0).round(3).tolist()
    [[0.2, 1.4]]
    """

    axis = Checked(axes_of, for_good=True)
    epsilon = Checked(number, 0, open_low=True)

    scale: Variable

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, epsilon

    def build(self, input_shape: BatchShape) -> None:
        shape = last_axes(self.axis, input_shape)
        self.length = prod(shape)
        self.scale = self.add_weight(shape, "ones", name="scale")

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.layer_norm(x, self.scale, None, self.length, self.epsilon, self.trainable, centred=False)


class UnitNormalization(Layer):
    r"""Divide each sample by its Euclidean norm: :math:`y = x / \max(\|x\|, 10^{-12})`.

    Parameters
    ----------
    axis : int or list of int
        Axes of the norm: the last axis, or the last few.
    **kwargs
        `name`, `dtype`, `input_shape` (see `Layer`).

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.UnitNormalization(input_shape=(2,), dtype="float64")])
    >>> model.predict([[3.0, 4.0], [0.0, 0.0]], verbose=0).round(3).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """

    axis = Checked(axes_of, for_good=True)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: BatchShape) -> None:
        self.length = prod(last_axes(self.axis, input_shape))

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        # by the root mean square, where the bound disappears in rounding, and its factor to the norm
        y = graph.layer_norm(x, None, None, self.length, LEAST_NORM**2 / self.length, centred=False)
        return graph.affine(y, 1 / sqrt(self.length), 0.0)
