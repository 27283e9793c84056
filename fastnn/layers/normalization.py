"""Normalization: features standardised to mean 0 and standard deviation 1 by fixed statistics."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag
from .._base.numbers import as_array, cast, check_finite, is_batches
from ..variables import Variable
from .base import Layer
from .checked import Checked
from .layer_normalization import positive_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from numpy.typing import ArrayLike

    from .._base.types import BatchShape, Config, Data, LayerOptions
    from ..engine.graph import Graph, Tensor

ROWS = 8192  # of data read at a time


class Normalization(Layer):
    """Standardise inputs: ``(x - mean) / sqrt(variance)``, with statistics from `adapt` or the constructor.

    Parameters
    ----------
    axis : int, tuple of int or None
        Axes with separate statistics for each index; -1: one mean and variance for each feature of
        the last axis, None: a single mean and variance.
    mean, variance : float or array_like, optional
        Statistics, in place of `adapt`; both or neither.
    invert : bool
        Apply the inverse: ``mean + x * sqrt(variance)``.
    **kwargs
        `name`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    mean, variance : Variable
        Not trained. Part of `get_weights` unless they were given to the constructor. (Keras keeps an
        unused third, `count`.)

    Notes
    -----
    A constant feature has variance 0; it is divided by 1e-7, as in Keras.

    Examples
    --------
    >>> import numpy as np
    >>> layer = fastnn.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> fastnn.Sequential([layer]).predict(np.array([[3.0, 20.0]]), verbose=0).tolist()
    [[1.0, 0.0]]
    """

    axis = Checked(lambda name, axis: list(axis) if isinstance(axis, (list, tuple)) else axis, for_good=True)
    invert = Checked(flag)

    input_mean: Any
    input_variance: Any

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.invert = axis, invert
        if (mean is None) != (variance is None):
            raise ValueError(
                f"mean, variance: expected both or neither, got {mean!r} and {variance!r}"
            )
        self.input_mean = None if mean is None else cast("mean", mean, np.float64, finite=True)
        self.input_variance = None if variance is None else cast("variance", variance, np.float64, finite=True)
        if variance is not None and np.any(self.input_variance < 0):
            raise ValueError(f"variance: expected non-negative numbers, got {variance!r}")
        self._mean: Any = None
        self._variance: Any = None
        self.adapted = False  # of this object: a file does not say

    @property
    def mean(self) -> Any:
        return self.input_mean if self._mean is None else self._mean

    @property
    def variance(self) -> Any:
        return self.input_variance if self._variance is None else self._variance

    def get_config(self) -> Config:
        config = super().get_config()
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return config | {k: None if v is None else v.tolist() for k, v in given.items()}

    def build(self, input_shape: BatchShape) -> None:
        rank, input_shape = len(input_shape), tuple(input_shape[1:])
        self.kept = [] if self.axis in (None, []) else positive_axes("axis", self.axis, rank)
        self.broadcast = tuple(n if i in self.kept else 1 for i, n in enumerate(input_shape, 1))
        shape = tuple(n for i, n in enumerate(input_shape, 1) if i in self.kept)
        if self.input_mean is None:
            self._mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self._variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            return
        for name, given in (("mean", self.input_mean), ("variance", self.input_variance)):
            try:
                value = np.broadcast_to(given, shape)
            except ValueError:
                raise ValueError(
                    f"{name}: expected shape {shape} for axis {self.axis}, got {given.shape}"
                ) from None
            value = cast(name, value, self.dtype or "float32")
            setattr(self, f"_{name}", Variable(value, f"{self.name}/{name}", False))

    def adapt(self, data: Data) -> None:
        """Compute mean and variance from data, replacing previous values.

        Parameters
        ----------
        data : array_like (n, ...), or iterable of such batches
            Statistics are exact, in float64 and two passes over an array; batches of an iterable
            are merged in one pass.
        """
        if self.input_mean is not None:
            raise ValueError("adapt: expected a layer without given mean and variance, got one with both")
        total, mean, squares = 0, 0.0, 0.0
        for batch in _batches(data):
            if not self.built:
                self.ensure_built(batch.shape[1:])
            if len(batch.shape) != 1 + len(self.in_shape) or batch.shape[1:] != self.in_shape:
                raise ValueError(
                    f"data: expected samples of shape {self.in_shape}, got {batch.shape[1:]}"
                )
            if not len(batch):
                continue
            check_finite("data", batch, off="")
            away = tuple(i for i in range(batch.ndim) if i not in self.kept)
            # Chan, Golub & LeVeque 1983, eq. 2.1: a batch about its own mean, then the means
            own = batch.mean(axis=away, dtype=np.float64, keepdims=True)
            about = ((batch - own) ** 2).sum(axis=away)
            n = prod(batch.shape[i] for i in away)
            step = own.reshape(self._mean.shape) - mean
            squares = squares + about + step**2 * (total * n / (total + n))
            total += n
            mean = mean + step * (n / total)
        if not total:
            raise ValueError("data: expected at least one sample, got none")
        self._mean.assign(mean)
        self._variance.assign(squares / total)
        self.adapted = True

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.normalize(x, self._mean, self._variance, self.broadcast, self.invert)


def _batches(data):
    """Slices of an array, or the arrays of an iterable; of (x, y, ...) the first."""
    if is_batches(data):
        for batch in data:
            yield as_array("data", batch[0] if isinstance(batch, tuple) else batch)
        return
    # slice by slice, where possible: data on disk, or of another dtype, must not be in memory as a whole
    sliced = isinstance(data, np.ndarray) or all(hasattr(data, n) for n in ("shape", "__getitem__", "__len__"))
    array = data if sliced else as_array("data", data)
    for at in range(0, len(array), ROWS):
        yield as_array("data", array[at : at + ROWS])
