"""Activations as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import activations
from .._base.checks import integer, number
from .base import Layer
from .checked import Checked, Chosen

if TYPE_CHECKING:
    from typing import Any, Unpack

    from .._base.types import ActivationLike, BatchShape, LayerOptions
    from ..activations import ActivationFunction
    from ..engine.graph import Graph, Tensor


class Activation(Layer):
    """Apply an activation: ``y = f(x)``.

    Parameters
    ----------
    activation : str, activation or activation layer

    Examples
    --------
    >>> fastnn.layers.Activation("ReLU").activation
    <activation relu>
    """

    activation = Chosen(activations.get)

    def __init__(self, activation: ActivationLike, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.activation = activation

    @property
    def function(self) -> ActivationFunction:
        """The activation function, for ``activation=`` of another layer."""
        return self.activation

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return self.activation.emit(graph, x)


class _Fixed(Layer):
    """A layer that consists of one activation; subclasses create `function` from their arguments."""

    function: Any

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return self.function.emit(graph, x)


class ReLU(_Fixed):
    """Rectified linear unit: ``max(x, 0)``.

    In general ``max_value`` for x ≥ max_value, x above `threshold`, and
    ``negative_slope * (x - threshold)`` below.

    Parameters
    ----------
    max_value : float, optional
    negative_slope, threshold : float
        All three are at least 0.

    References
    ----------
    Nair & Hinton 2010.
    """

    max_value = Checked(lambda name, value: None if value is None else number(name, value, 0))
    negative_slope, threshold = Checked(number, 0), Checked(number, 0)

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    @property
    def function(self) -> ActivationFunction:
        return activations.get("relu").using(
            max_value=self.max_value,
            negative_slope=self.negative_slope,
            threshold=self.threshold,
        )


class LeakyReLU(_Fixed):
    """Leaky ReLU: x above 0, ``negative_slope * x`` below.

    Parameters
    ----------
    negative_slope : float
        The default is 0.3, as in Keras' layer; the *name* ``"leaky_relu"`` stands for a slope of 0.2.
    alpha : float, optional
        Keras 2's name of `negative_slope`.

    References
    ----------
    Maas, Hannun & Ng 2013.

    Examples
    --------
    >>> fastnn.layers.LeakyReLU(alpha=0.2).negative_slope
    0.2
    """

    negative_slope = Checked(number)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs and negative_slope != 0.3:
            raise TypeError("alpha, negative_slope: expected one of the two (alpha is an alias), got both")
        self.negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)

    @property
    def function(self) -> ActivationFunction:
        return activations.get("leaky_relu").using(negative_slope=self.negative_slope)


class ELU(_Fixed):
    """Exponential linear unit: x above 0, ``alpha * (exp(x) - 1)`` below.

    Parameters
    ----------
    alpha : float
        At least 0; the limit for x → −∞ is −`alpha`.

    References
    ----------
    Clevert, Unterthiner & Hochreiter 2016, eq. 15.
    """

    alpha = Checked(number, 0)

    def __init__(self, alpha: float = 1.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    @property
    def function(self) -> ActivationFunction:
        return activations.get("elu").using(alpha=self.alpha)


class Softmax(_Fixed):
    """``exp(x) / sum(exp(x))`` over the last axis of a sample.

    Parameters
    ----------
    axis : int
        The last axis: -1, or its index, where the batch axis is 0.
    """

    axis = Checked(integer, for_good=True)
    function = activations.get("softmax")

    def __init__(self, axis: int = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: BatchShape) -> None:
        last = len(input_shape) - 1
        if self.axis not in (-1, last):
            raise ValueError(
                f"axis: expected the last axis, -1 or {last}, for samples of shape"
                f" {tuple(input_shape[1:])}, got {self.axis}"
            )
