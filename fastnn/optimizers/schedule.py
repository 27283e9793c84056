"""Base classes of the learning rate schedules, and the rates of many steps at once.

Cosines, powers and logarithms come from libm, one number at a time. NumPy's own functions round differently on
different CPUs, and for arrays and scalars: a rate would then depend on how many steps are computed at once.
"""

from __future__ import annotations

import math
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer
from .._base.config import Configurable

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from .._base.types import AnyArray


def _by_number(function, count=1):
    """A function of `count` numbers as a function of arrays, float64."""
    ufunc = np.frompyfunc(function, count, 1)

    def of_arrays(*arguments):
        with np.errstate(all="ignore"):
            return np.asarray(ufunc(*arguments), np.float64)

    return of_arrays


def _pow(base, exponent):
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return inf


cos, log1p, power = _by_number(math.cos), _by_number(math.log1p), _by_number(_pow, 2)


class LearningRateSchedule(Configurable):
    """Base class of the schedules; subclasses implement ``__call__(step)``.

    Examples
    --------
    >>> class Halving(fastnn.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 100)
    >>> Halving()(250)
    0.025
    """

    vectorized = False

    def __call__(self, step: ArrayLike) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(step)")

    def plot(self, steps: int, ax: Axes | None = None) -> Axes:
        """Plot the learning rates of the first `steps` steps.

        Parameters
        ----------
        steps : int
        ax : matplotlib Axes, optional
            Default: pyplot's current axes.

        Returns
        -------
        matplotlib Axes
        """
        from ..plot import learning_rates

        return learning_rates.draw(rates(self, 0, integer("steps", steps, 1)), ax)


class _Vectorized(LearningRateSchedule):
    """Subclasses implement ``rate(steps)`` for a float64 array."""

    vectorized = True

    def rate(self, step: Any) -> Any:
        """The rates at the steps of a float64 array."""
        raise NotImplementedError

    def __call__(self, step: ArrayLike) -> Any:
        """Return the rate at a step (int → float) or at each step of an array."""
        steps = np.asarray(step, np.float64)
        rates = np.broadcast_to(np.asarray(self.rate(steps), np.float64), steps.shape)
        return rates.copy() if steps.ndim else float(rates)


def rates(schedule: Any, first: int, n: int) -> AnyArray:
    """Return the rates of steps first … first + n − 1.

    Parameters
    ----------
    schedule : float or callable
    first, n : int

    Returns
    -------
    ndarray (n,), float64

    Raises
    ------
    ValueError
        If a rate is non-finite or negative.
    """
    if not callable(schedule):
        return np.full(n, schedule, np.float64)
    if getattr(schedule, "vectorized", False):
        values = np.asarray(schedule(np.arange(first, first + n)), np.float64)
        if values.shape != (n,):
            raise ValueError(f"schedule: expected rates of shape ({n},), got {values.shape}")
    else:
        values = np.array([schedule(step) for step in range(first, first + n)], np.float64).reshape(
            n
        )
    good = np.isfinite(values) & (values >= 0)
    if not good.all():
        step = int(np.argmin(good))
        raise ValueError(
            f"schedule: expected finite non-negative rates, got {values[step]} at step {first + step}"
        )
    return values
