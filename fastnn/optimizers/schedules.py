"""Learning rate schedules, under Keras' names where it has them.

A schedule is a function of the step (0, 1, …). The built-in ones also take an array of steps, so
that `fit` passes the rates of many steps to the core at once. A custom schedule is a subclass with
``__call__(step)``, or any function; it is called step by step unless it has ``vectorized = True``.
"""

from __future__ import annotations

import math
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer, module_attributes, number
from .._base.config import is_description
from .._base.registry import Registry
from .one_cycle import OneCycle as OneCycle
from .schedule import LearningRateSchedule, _Vectorized, cos, log1p, power, rates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import AnyArray, Config, ScheduleLike

_registry = Registry("schedule")


def momenta(schedule: Any, first: int, n: int) -> AnyArray | None:
    """Return the momenta of steps first … first + n − 1, float64 (n,); None if the schedule has no momentum."""
    if isinstance(schedule, WarmUp):
        steps = np.maximum(np.arange(first, first + n) - schedule.warmup_steps, 0)
        found = momenta(schedule.schedule, 0, 1)  # None for all steps, if for one
        return found if found is None else np.concatenate([momenta(schedule.schedule, int(s), 1) for s in steps])
    if isinstance(schedule, OverBudget):
        steps = schedule.position(np.arange(first, first + n))
        distinct, which = np.unique(steps, return_inverse=True)
        each = [momenta(schedule.schedule, int(step), 1) for step in distinct]
        known = [values for values in each if values is not None]  # of all, or of none
        return np.concatenate(known)[which] if known else None
    if getattr(schedule, "base_momentum", None) is None:
        return None
    return np.asarray(schedule.momentum(np.arange(first, first + n)), np.float64)


def from_description(description: Config) -> LearningRateSchedule:
    """Return the schedule for ``{"class_name": ..., "config": ...}``; ValueError for an unknown name."""
    return _registry.find(description["class_name"]).from_config(description["config"])


class Constant(_Vectorized):
    """Constant learning rate.

    Parameters
    ----------
    learning_rate : float
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = number("learning_rate", learning_rate, 0)

    def rate(self, step: Any) -> Any:
        return self.learning_rate


class ExponentialDecay(_Vectorized):
    r"""Exponential decay: :math:`\eta_0 \cdot decay\_rate^{\,step / decay\_steps}`.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    decay_rate : float
    staircase : bool
        Round step / decay_steps down, so that the rate changes every `decay_steps` steps.
    name : str

    Examples
    --------
    Halved every 50 steps, at steps 0, 49, 50, 100, 150:

    >>> schedule = ExponentialDecay(0.1, 50, 0.5, staircase=True)
    >>> schedule([0, 49, 50, 100, 150]).tolist()
    [0.1, 0.1, 0.05, 0.025, 0.0125]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.decay_rate = number("decay_rate", decay_rate, 0)
        self.staircase, self.name = flag("staircase", staircase), name

    def rate(self, step: Any) -> Any:
        p = step / self.decay_steps
        return self.initial_learning_rate * power(self.decay_rate, np.floor(p) if self.staircase else p)


class PiecewiseConstantDecay(_Vectorized):
    """Piecewise constant rate: ``values[i]`` up to and including step ``boundaries[i]``, then the last value.

    Parameters
    ----------
    boundaries : list of int
        In increasing order.
    values : list of float
        One more than boundaries.
    name : str

    Examples
    --------
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule([0, 100, 101, 300]).tolist()
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(
        self,
        boundaries: Sequence[int],
        values: Sequence[float],
        name: str | None = "PiecewiseConstant",
    ) -> None:
        self.boundaries = [number(f"boundaries[{i}]", b) for i, b in enumerate(boundaries)]
        self.values = [number(f"values[{i}]", v, 0) for i, v in enumerate(values)]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values: expected {len(self.boundaries) + 1} values, one more than boundaries, got {len(self.values)}"
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"boundaries: expected increasing steps, got {boundaries!r}")

    def rate(self, step: Any) -> Any:
        return np.asarray(self.values)[np.searchsorted(self.boundaries, step, side="left")]


class CosineDecay(_Vectorized):
    r"""Cosine decay from the initial rate to `alpha` times it, optionally with linear warm-up.

    :math:`\eta_0 ((1 - \alpha) (1 + \cos(\pi\, step / decay\_steps)) / 2 + \alpha)`.
    With `warmup_target`, the rate first rises from `initial_learning_rate` to `warmup_target` in `warmup_steps` steps,
    and decays from there.

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps : int
        Number of steps of the decay, without the warm-up; later steps keep the last rate.
    alpha : float
        Final rate, as a fraction of the rate at which the decay begins.
    name : str
    warmup_target : float, optional
        Rate at the end of the warm-up; required if `warmup_steps` is not 0.
    warmup_steps : int

    References
    ----------
    Loshchilov & Hutter 2017, eq. 5, without restarts.

    Examples
    --------
    >>> schedule = CosineDecay(0.1, decay_steps=100, alpha=0.1)
    >>> schedule([0, 50, 100, 200]).round(4).tolist()
    [0.1, 0.055, 0.01, 0.01]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.alpha, self.name = number("alpha", alpha, 0), name
        self.warmup_target = (
            None if warmup_target is None else number("warmup_target", warmup_target, 0)
        )
        self.warmup_steps = integer("warmup_steps", warmup_steps, 0)
        if self.warmup_steps and warmup_target is None:
            raise ValueError(
                f"warmup_target: expected a number, as warmup_steps is {self.warmup_steps}, got None"
            )

    def rate(self, step: Any) -> Any:
        start, warm = self.initial_learning_rate, self.warmup_steps
        top = start if self.warmup_target is None else self.warmup_target
        done = np.clip((step - warm) / self.decay_steps, 0, 1)
        decayed = top * ((1 - self.alpha) * 0.5 * (1 + cos(pi * done)) + self.alpha)
        return np.where(step < warm, start + (top - start) * step / max(warm, 1), decayed)


class InverseTimeDecay(_Vectorized):
    r"""Inverse time decay: the initial rate divided by a factor that grows linearly.

    :math:`\eta_0 / (1 + decay\_rate \cdot step / decay\_steps)`; with `staircase`, step / decay_steps is
    rounded down.

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps : float
    decay_rate : float
    staircase : bool
    name : str

    Examples
    --------
    >>> schedule = InverseTimeDecay(0.1, decay_steps=100, decay_rate=1.0)
    >>> schedule([0, 100, 300]).round(4).tolist()
    [0.1, 0.05, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.decay_rate = number("decay_rate", decay_rate, 0)
        self.staircase, self.name = flag("staircase", staircase), name

    def rate(self, step: Any) -> Any:
        part = step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (np.floor(part) if self.staircase else part))


class PolynomialDecay(_Vectorized):
    r"""Polynomial decay from the initial rate to the end rate in `decay_steps` steps.

    :math:`(\eta_0 - \eta_1) (1 - step / decay\_steps)^{power} + \eta_1`, and η₁ after that.
    With `cycle`, `decay_steps` is replaced by its smallest multiple that is at least the step, so that the rate jumps
    up repeatedly.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
    end_learning_rate : float
        η₁.
    power : float
        1: linear decay.
    cycle : bool
    name : str

    Examples
    --------
    >>> schedule = PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.02)
    >>> schedule([0, 50, 100, 200]).round(4).tolist()
    [0.1, 0.06, 0.02, 0.02]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.end_learning_rate = number("end_learning_rate", end_learning_rate, 0)
        self.power, self.cycle, self.name = number("power", power, 0), flag("cycle", cycle), name

    def rate(self, step: Any) -> Any:
        steps = self.decay_steps
        if self.cycle:
            steps = steps * np.maximum(np.ceil(step / steps), 1)
        part = np.minimum(step / steps, 1)
        first, last = self.initial_learning_rate, self.end_learning_rate
        return (first - last) * power(1 - part, self.power) + last


class CosineDecayRestarts(_Vectorized):
    """Cosine decay with warm restarts; each period is `t_mul` times as long as the one before.

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : float
        Length of the first period.
    t_mul : float
        Ratio of the length of each period to the one before; at least 1.
    m_mul : float
        Ratio of the initial rate of each period to the one before.
    alpha : float
        Minimum rate, as a fraction of the initial rate.
    name : str

    References
    ----------
    Loshchilov & Hutter 2017, eq. 5.

    Examples
    --------
    >>> schedule = CosineDecayRestarts(1.0, 10, t_mul=2.0)
    >>> schedule([0, 5, 10, 20, 30]).round(6).tolist()
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.first_decay_steps = number("first_decay_steps", first_decay_steps, 0, open_low=True)
        self.t_mul, self.m_mul = number("t_mul", t_mul, 1), number("m_mul", m_mul, 0)
        self.alpha, self.name = number("alpha", alpha, 0), name

    def rate(self, step: Any) -> Any:
        part, ratio = step / self.first_decay_steps, self.t_mul
        if ratio == 1:
            period = np.floor(part)
            within = part - period
        else:
            # A sum of powers: 1 + r + ... + r^(k-1).  The logarithm may be off by one ulp exactly at a restart.
            def begin(k):
                return (power(ratio, k) - 1) / (ratio - 1)

            period = np.floor(log1p(part * (ratio - 1)) / math.log(ratio))
            period = np.where(part >= begin(period + 1), period + 1, period)
            period = np.where(part < begin(period), period - 1, period)
            within = (part - begin(period)) / power(ratio, period)
        cosine = 0.5 * power(self.m_mul, period) * (1 + cos(pi * within))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


class StepDecay(_Vectorized):
    """Step decay: the rate is multiplied by `factor` every `every` steps, or epochs of `steps_per_epoch` steps.

    Parameters
    ----------
    initial_learning_rate : float
    factor : float
    every : int
        Number of steps, or of epochs.
    steps_per_epoch : int
        1 (default): `every` counts steps.

    Examples
    --------
    0.1, halved every 50 epochs of 20 steps:

    >>> schedule = StepDecay(0.1, 0.5, 50, steps_per_epoch=20)
    >>> schedule(np.array([0, 49, 50, 100, 150]) * 20).tolist()
    [0.1, 0.1, 0.05, 0.025, 0.0125]
    """

    def __init__(
        self, initial_learning_rate: float, factor: float, every: int, steps_per_epoch: int = 1
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.factor = number("factor", factor, 0)
        self.every = integer("every", every, 1)
        self.steps_per_epoch = integer("steps_per_epoch", steps_per_epoch, 1)

    def rate(self, step: Any) -> Any:
        return self.initial_learning_rate * power(self.factor, step // (self.every * self.steps_per_epoch))


class WarmUp(LearningRateSchedule):
    """Linear warm-up from `start` to the first value of another schedule, or to a number.

    Step `warmup_steps` is step 0 of the other schedule; during the warm-up, its momentum is that of its step 0.

    Parameters
    ----------
    schedule : float or schedule
    warmup_steps : int
    start : float
        The rate of step 0.

    References
    ----------
    Goyal et al. 2017, section 2.2, "gradual warmup".

    Examples
    --------
    >>> schedule = WarmUp(StepDecay(0.4, 0.5, 10), warmup_steps=4)
    >>> [schedule(step) for step in (0, 1, 4, 13, 14)]
    [0.0, 0.1, 0.4, 0.4, 0.2]
    """

    vectorized = True

    def __init__(self, schedule: ScheduleLike, warmup_steps: int, start: float = 0.0) -> None:
        found: Any = from_description(schedule) if is_description(schedule) else schedule
        self.schedule = found if callable(found) else Constant(found)
        self.warmup_steps = integer("warmup_steps", warmup_steps, 0)
        self.start = number("start", start, 0)

    def __call__(self, step: ArrayLike) -> Any:
        steps = np.atleast_1d(np.asarray(step, np.int64))
        later = steps >= self.warmup_steps
        values = np.empty(len(steps))
        values[later] = [rates(self.schedule, int(s) - self.warmup_steps, 1)[0] for s in steps[later]]
        top = rates(self.schedule, 0, 1)[0]
        values[~later] = self.start + (top - self.start) * steps[~later] / max(self.warmup_steps, 1)
        return values if np.ndim(step) else float(values[0])


class OverBudget(LearningRateSchedule):
    """A schedule stretched over the time of ``fit(max_seconds=...)``: the rate follows the fraction that has passed.

    Without `max_seconds`, it is stretched over the steps of all epochs of `fit`. The rates that were used are in
    ``history.record``, so that a run of limited time can be replayed.

    Parameters
    ----------
    schedule : schedule
    steps : int, optional
        Length of the schedule, of which the first step comes at the beginning and the last at the end; default: its
        `total_steps` or `decay_steps`.

    Raises
    ------
    ValueError
        If `steps` is missing and the schedule does not say how long it is; in `fit`, if neither `max_seconds` nor the
        number of steps is known.

    Examples
    --------
    One cycle over two seconds, or over all steps without `max_seconds`:

    >>> schedule = OverBudget(OneCycle(0.1, total_steps=1000))
    >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
    >>> model.compile(fastnn.SGD(schedule), "mse")
    >>> history = model.fit(np.ones((64, 4)), np.ones((64, 1)), epochs=5, verbose=0)
    >>> schedule([0, 3, 9]).round(4).tolist()
    [0.004, 0.0994, 0.0]
    """

    vectorized = True

    def __init__(self, schedule: ScheduleLike, steps: int | None = None) -> None:
        found: Any = from_description(schedule) if is_description(schedule) else schedule
        self.schedule = found if callable(found) else Constant(found)
        own = getattr(self.schedule, "total_steps", None) or getattr(self.schedule, "decay_steps", None)
        if steps is None and own is None:
            raise ValueError("steps: expected the length of the schedule, as it has no total_steps or decay_steps")
        self.steps = integer("steps", own if steps is None else steps, 1)
        self._fraction: float | None = 0.0
        self._first, self._total = 0, 1

    def begin(self, step: int, total: int | None) -> None:
        """Called by `fit`: stretch over `total` steps from `step` on, or over the time if None."""
        self._fraction = 0.0 if total is None else None
        self._first, self._total = step, total or 1

    def advance(self, fraction: float) -> None:
        """Called by `fit`: the fraction of the time that has passed."""
        self._fraction = min(max(fraction, 0.0), 1.0)

    def position(self, step: ArrayLike) -> AnyArray:
        """Return the steps of the schedule that stand for steps of the training."""
        steps = np.asarray(step, np.float64)
        part = (steps - self._first) / max(self._total - 1, 1) if self._fraction is None else self._fraction
        return np.rint(np.clip(np.broadcast_to(part, steps.shape), 0, 1) * (self.steps - 1)).astype(np.int64)

    def __call__(self, step: ArrayLike) -> Any:
        steps = self.position(step)
        distinct, which = np.unique(steps, return_inverse=True)
        values = np.array([rates(self.schedule, int(s), 1)[0] for s in distinct])[which].reshape(steps.shape)
        return values if steps.ndim else float(values)


_registry.add_classes(globals(), LearningRateSchedule)
__all__ = ["LearningRateSchedule"]
__all__.extend(_registry.names())
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
