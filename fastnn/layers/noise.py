"""Layers that are random in training: noise, and an activation with a random slope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .base import Layer
from .checked import Checked
from .dropout import checked_noise_shape, checked_seed, random_stream, shared_runs

if TYPE_CHECKING:
    from typing import Any, Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor


class _Noise(Layer):
    """A layer that draws a number for each element, which depends only on seed, step and position, as for `Dropout`.

    Subclasses set `row` and `params()`; the numbers come from Philox, see src_c/loops/noise.inl.h."""

    row = ""
    noise_shape: Any = None
    seed = Checked(checked_seed)

    def params(self) -> tuple[float, ...]:
        """Parameters of the row."""
        raise NotImplementedError

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.noise(x, self.row, self.params(), random_stream(self), shared_runs(self.noise_shape, x.shape))


class GaussianNoise(_Noise):
    """In training, add normal noise of mean 0.

    Parameters
    ----------
    stddev : float
        At least 0.
    seed : int, optional
        Seed of this layer's random stream, which is then independent of its position in the model.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.GaussianNoise(0.1, input_shape=(2,))])
    >>> model.predict([[1.0, 2.0]], verbose=0).tolist()
    [[1.0, 2.0]]
    """

    row = "gaussian_noise"
    stddev = Checked(number, 0)

    def __init__(
        self, stddev: float, seed: int | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.stddev, self.seed = stddev, seed

    def params(self) -> tuple[float, ...]:
        return (self.stddev,)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return super().emit(graph, x) if self.stddev > 0 else x


class GaussianDropout(_Noise):
    """In training, multiply by normal noise of mean 1 and variance ``rate / (1 - rate)``, the variance of dropout.

    Parameters
    ----------
    rate : float
        At least 0, below 1.
    seed : int, optional

    References
    ----------
    Srivastava et al. 2014, section 10.
    """

    row = "gaussian_dropout"
    rate = Checked(number, 0, 1, open_high=True)

    def __init__(
        self, rate: float, seed: int | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed

    def params(self) -> tuple[float, ...]:
        return (self.rate,)

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return super().emit(graph, x) if self.rate > 0 else x


class AlphaDropout(GaussianDropout):
    """Dropout for SELU networks: preserves mean 0 and variance 1.

    In training, a feature is set to SELU's lower limit −1.7581 with probability `rate`; then
    ``a * x + b`` restores mean and variance.

    Parameters
    ----------
    rate : float
        At least 0, below 1; works in steps of 2⁻²⁴.
    noise_shape : tuple of int and None, optional
        As for `Dropout`.
    seed : int, optional

    References
    ----------
    Klambauer et al. 2017, section 2.
    """

    row = "alpha_dropout"
    noise_shape = Checked(checked_noise_shape)

    def __init__(
        self,
        rate: float,
        noise_shape: BatchShape | None = None,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = noise_shape

    def build(self, input_shape: BatchShape) -> None:
        shared_runs(self.noise_shape, tuple(input_shape[1:]))


class RReLU(_Noise):
    """Randomized leaky ReLU: x above 0, ``slope * x`` below.

    In training, the slope of each element is drawn from [lower, upper); in inference it is the
    mean, ``(lower + upper) / 2``.

    Parameters
    ----------
    lower, upper : float
        Defaults as in PyTorch, 1/8 and 1/3; the paper divides by 3 to 8, which is the same range.
    seed : int, optional

    References
    ----------
    Xu, Wang, Chen & Li 2015.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.RReLU(0.25, 0.75, input_shape=(2,))])
    >>> model.predict([[-1.0, 2.0]], verbose=0).tolist()
    [[-0.5, 2.0]]
    """

    row = "rrelu"
    lower, upper = Checked(number), Checked(number)

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.lower = lower
        self.upper = number("upper", upper, self.lower)
        self.seed = seed

    def params(self) -> tuple[float, ...]:
        return self.lower, number("upper", self.upper, self.lower)
