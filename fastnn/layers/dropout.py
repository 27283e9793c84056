"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer, number
from .._base.random import check_seed
from .._core import kernels
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor

RUNS = kernels.MAX_NUMBERS - 4  # limited by the numbers of an operation, four of which `op_words` uses
OWN_SEED = 2**31  # streams below it belong to positions in a model, streams above it to seeds


def random_stream(layer: Any) -> int:
    """Index of the layer's random stream: its position in the model, or derived from its seed."""
    if layer.seed is None:
        return layer.position
    return OWN_SEED + check_seed("seed", layer.seed) % OWN_SEED


def checked_noise_shape(name: str, noise_shape: BatchShape | None) -> tuple[int | None, ...] | None:
    """Keras' `noise_shape` as a tuple of positive integers and None; None for none."""
    if noise_shape is None:
        return None
    if isinstance(noise_shape, str) or not hasattr(noise_shape, "__iter__"):
        raise TypeError(f"{name}: expected the shape of a batch, such as (None, 1, 8), got {noise_shape!r}")
    sizes = enumerate(noise_shape)
    return tuple(None if n is None else integer(f"{name}[{i}]", n, minimum=1) for i, n in sizes)


def checked_seed(name: str, seed: int | None) -> int | None:
    """A seed of a layer, or None."""
    return None if seed is None else check_seed(name, seed)


def shared_runs(noise_shape: BatchShape | None, shape: Sequence[int]) -> tuple[int, ...]:
    """A `noise_shape` for the kernels, for samples of a shape: () or (number of runs, samples share, *runs).

    Neighbouring axes are one run; runs that share a random number have negative sizes."""
    if noise_shape is None:
        return ()
    expected = f"noise_shape: expected 1, None or the size itself for each axis of {(None, *shape)}"
    if len(noise_shape) != 1 + len(shape):
        raise ValueError(f"{expected}, got {noise_shape}")
    runs: list[int] = []
    for size, n in zip(shape, noise_shape[1:], strict=True):
        if n not in (None, 1, size):
            raise ValueError(f"{expected}, got {noise_shape}")
        if size > 1:
            sign = -1 if n == 1 else 1
            if runs and (runs[-1] > 0) == (sign > 0):
                runs[-1] *= size
            else:
                runs.append(sign * size)
    if len(runs) > RUNS:
        raise ValueError(f"noise_shape: expected at most {RUNS - 1} changes of sharing between axes, got {noise_shape}")
    samples = noise_shape[0] == 1
    runs = runs or [1]
    return (len(runs), int(samples), *runs) if samples or min(runs) < 0 else ()


class Dropout(Layer):
    """Dropout: in training, set each feature to 0 with probability `rate` and divide the others by 1 − rate.

    The mask depends only on the seed of the model, the step and the position in the model. It does not depend
    on the thread count and is the same when training is resumed.

    Parameters
    ----------
    rate : float
        At least 0, below 1.
    noise_shape : tuple of int and None, optional
        Shape of the mask, with the batch axis: elements along an axis of size 1 are dropped or kept together, such as
        ``(None, 1, 8)`` for batches of shape (n, 5, 8). Other entries are None or the size of the axis; for the batch
        axis any number above 1 stands for its size.
    seed : int, optional
        Seed of this layer's random stream, which is then independent of its position in the model.

    References
    ----------
    Srivastava et al. 2014; scaled in training ("inverted dropout"), so that inference needs no scaling.
    """

    rate = Checked(number, 0, 1, open_high=True)
    noise_shape, seed = Checked(checked_noise_shape), Checked(checked_seed)

    def __init__(
        self,
        rate: float,
        noise_shape: BatchShape | None = None,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def build(self, input_shape: BatchShape) -> None:
        shared_runs(self.noise_shape, tuple(input_shape[1:]))

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        if self.rate == 0:
            return x
        return graph.dropout(x, self.rate, random_stream(self), shared_runs(self.noise_shape, x.shape))
