"""Learning rates that change with the step, under Keras' names where it has them.

A schedule is a function of the step (0, 1, …). The ones here take an array of steps as well, so
that `fit` hands the core the rates of many steps at once. One of your own is a subclass with
``__call__(step)``, or any function; it is called step by step unless it says ``vectorized = True``.

Cosines, powers and logarithms come from libm, number by number. NumPy's own round differently by CPU, and by
whether they get an array or a number: a rate would then depend on how many steps were asked for at once.
"""

import math
from math import inf, pi

import numpy as np

from .._base.checks import (
    flag,
    integer,
    module_attributes,
    number,
    one_of,
    refuse_keywords,
    suggest,
)
from .._base.config import Configurable, is_description


def _by_number(function, count=1):
    """A function of `count` numbers as one of arrays, float64."""
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


_cos, _log1p, _power = _by_number(math.cos), _by_number(math.log1p), _by_number(_pow, 2)


class LearningRateSchedule(Configurable):
    """Base of the schedules; subclasses write ``__call__(step)``.

    Examples
    --------
    >>> class Halving(fastnn.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 100)
    >>> Halving()(250)
    0.025
    """

    vectorized = False

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} must write __call__(step)")

    def plot(self, steps, ax=None):
        """Draw the rates of the first `steps` steps.

        Parameters
        ----------
        steps : int
        ax : matplotlib Axes, optional
            Default: pyplot's current ones.

        Returns
        -------
        matplotlib Axes
        """
        from ..plot import schedule

        return schedule.draw(rates(self, 0, integer("steps", steps, 1)), ax)


class _Vectorized(LearningRateSchedule):
    """Subclasses write ``rate(steps)`` for a float64 array."""

    vectorized = True

    def __call__(self, step):
        """The rate at a step (int → float) or at each of an array of steps."""
        steps = np.asarray(step, np.float64)
        rates = np.broadcast_to(np.asarray(self.rate(steps), np.float64), steps.shape)
        return rates.copy() if steps.ndim else float(rates)


def rates(schedule, first, n):
    """Rates of steps first … first + n − 1.

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
        If a rate is not a finite number.
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
        raise ValueError(f"schedule: the rate of step {first + step} is {values[step]}")
    return values


def momenta(schedule, first, n):
    """Momenta of steps first … first + n − 1, float64 (n,); None if the schedule leaves the momentum alone."""
    if isinstance(schedule, WarmUp):
        steps = np.maximum(np.arange(first, first + n) - schedule.warmup_steps, 0)
        found = momenta(schedule.schedule, 0, 1)  # None of any step, if of one
        return found if found is None else np.concatenate([momenta(schedule.schedule, int(s), 1) for s in steps])
    if getattr(schedule, "base_momentum", None) is None:
        return None
    return np.asarray(schedule.momentum(np.arange(first, first + n)), np.float64)


def from_description(description):
    """The schedule for ``{"class_name": ..., "config": ...}``; ValueError for an unknown name."""
    known = {
        n: v
        for n, v in globals().items()
        if isinstance(v, type) and issubclass(v, LearningRateSchedule) and n[0] != "_"
    }
    name = description["class_name"]
    if name not in known:
        raise ValueError(
            f"unknown schedule {name!r}.{suggest(name, known)} Known: {', '.join(sorted(known))}"
        )
    return known[name].from_config(description["config"])


class Constant(_Vectorized):
    """The same rate at every step.

    Parameters
    ----------
    learning_rate : float
    """

    def __init__(self, learning_rate):
        self.learning_rate = number("learning_rate", learning_rate, 0)

    def rate(self, step):
        return self.learning_rate


class ExponentialDecay(_Vectorized):
    r""":math:`\eta_0 \cdot decay\_rate^{\,step / decay\_steps}`.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    decay_rate : float
    staircase : bool
        Round step / decay_steps down: a jump every `decay_steps`.
    name : str

    Examples
    --------
    Half every 50 steps, at steps 0, 49, 50, 100, 150:

    >>> schedule = ExponentialDecay(0.1, 50, 0.5, staircase=True)
    >>> schedule([0, 49, 50, 100, 150]).tolist()
    [0.1, 0.1, 0.05, 0.025, 0.0125]
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        decay_rate,
        staircase=False,
        name="ExponentialDecay",
    ):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.decay_rate = number("decay_rate", decay_rate, 0)
        self.staircase, self.name = flag("staircase", staircase), name

    def rate(self, step):
        p = step / self.decay_steps
        return self.initial_learning_rate * _power(self.decay_rate, np.floor(p) if self.staircase else p)


class PiecewiseConstantDecay(_Vectorized):
    """``values[i]`` up to and with step ``boundaries[i]``, the last value after all of them.

    Parameters
    ----------
    boundaries : list of int
        Increasing.
    values : list of float
        One more.
    name : str
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        self.boundaries = [number(f"boundaries[{i}]", b) for i, b in enumerate(boundaries)]
        self.values = [number(f"values[{i}]", v, 0) for i, v in enumerate(values)]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values: expected one more than boundaries, {len(self.boundaries) + 1}, got {len(self.values)}"
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"boundaries: expected increasing steps, got {boundaries!r}")

    def rate(self, step):
        return np.asarray(self.values)[np.searchsorted(self.boundaries, step, side="left")]


class CosineDecay(_Vectorized):
    r"""Half a cosine from the initial rate to `alpha` times it, with or without linear warm-up.

    :math:`\eta_0 ((1 - \alpha) (1 + \cos(\pi\, step / decay\_steps)) / 2 + \alpha)`.
    With `warmup_target`, the rate
    first rises from `initial_learning_rate` to it in `warmup_steps` steps, and decays from there.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Not counting the warm-up.
    alpha : float
    name : str
    warmup_target : float, optional
    warmup_steps : int

    References
    ----------
    Loshchilov & Hutter 2017, eq. 5, without restarts.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.alpha, self.name = number("alpha", alpha, 0), name
        self.warmup_target = (
            None if warmup_target is None else number("warmup_target", warmup_target, 0)
        )
        self.warmup_steps = integer("warmup_steps", warmup_steps, 0)
        if self.warmup_steps and warmup_target is None:
            raise ValueError(
                "warmup_target: expected a rate to rise to, because warmup_steps is given; got None"
            )

    def rate(self, step):
        start, warm = self.initial_learning_rate, self.warmup_steps
        top = start if self.warmup_target is None else self.warmup_target
        done = np.clip((step - warm) / self.decay_steps, 0, 1)
        decayed = top * ((1 - self.alpha) * 0.5 * (1 + _cos(pi * done)) + self.alpha)
        return np.where(step < warm, start + (top - start) * step / max(warm, 1), decayed)


class InverseTimeDecay(_Vectorized):
    r"""The rate divided by a number that grows linearly.

    :math:`\eta_0 / (1 + decay\_rate \cdot step / decay\_steps)`; with `staircase` the quotient is cut to a
    whole number.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
    decay_rate : float
    staircase : bool
    name : str
    """

    def __init__(
        self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"
    ):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.decay_rate = number("decay_rate", decay_rate, 0)
        self.staircase, self.name = flag("staircase", staircase), name

    def rate(self, step):
        part = step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (np.floor(part) if self.staircase else part))


class PolynomialDecay(_Vectorized):
    r"""From the initial rate to the end rate in `decay_steps` steps.

    :math:`(\eta_0 - \eta_1) (1 - step / decay\_steps)^{power} + \eta_1`, and η₁ from there on.
    With `cycle`, `decay_steps` is replaced by its first multiple that is not below the step, so that the rate jumps up
    again and again.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
    end_learning_rate : float
        η₁.
    power : float
        1: a straight line.
    cycle : bool
    name : str
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = number("decay_steps", decay_steps, 0, open_low=True)
        self.end_learning_rate = number("end_learning_rate", end_learning_rate, 0)
        self.power, self.cycle, self.name = number("power", power, 0), flag("cycle", cycle), name

    def rate(self, step):
        steps = self.decay_steps
        if self.cycle:
            steps = steps * np.maximum(np.ceil(step / steps), 1)
        part = np.minimum(step / steps, 1)
        first, last = self.initial_learning_rate, self.end_learning_rate
        return (first - last) * _power(1 - part, self.power) + last


class CosineDecayRestarts(_Vectorized):
    """Half a cosine from the initial rate down to `alpha` times it, again and again, each time longer and lower.

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : float
        Length of the first period.
    t_mul : float
        Each period is so many times as long as the one before; at least 1.
    m_mul : float
        Each starts at so many times the rate of the one before.
    alpha : float
        The least rate, as a fraction of the initial one.
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
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.first_decay_steps = number("first_decay_steps", first_decay_steps, 0, open_low=True)
        self.t_mul, self.m_mul = number("t_mul", t_mul, 1), number("m_mul", m_mul, 0)
        self.alpha, self.name = number("alpha", alpha, 0), name

    def rate(self, step):
        part, ratio = step / self.first_decay_steps, self.t_mul
        if ratio == 1:
            period = np.floor(part)
            within = part - period
        else:
            # A sum of powers: 1 + r + ... + r^(k-1).  The logarithm may be off by one ulp just at a restart.
            def begin(k):
                return (_power(ratio, k) - 1) / (ratio - 1)

            period = np.floor(_log1p(part * (ratio - 1)) / math.log(ratio))
            period = np.where(part >= begin(period + 1), period + 1, period)
            period = np.where(part < begin(period), period - 1, period)
            within = (part - begin(period)) / _power(ratio, period)
        cosine = 0.5 * _power(self.m_mul, period) * (1 + _cos(pi * within))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


class StepDecay(_Vectorized):
    """The rate multiplied by `factor` after every `every` steps, or epochs of `steps_per_epoch` steps.

    Parameters
    ----------
    initial_learning_rate : float
    factor : float
    every : int
        Steps, or epochs.
    steps_per_epoch : int
        1: `every` counts steps.

    Examples
    --------
    The note's: 0.1, halved every 50 epochs of 20 steps.

    >>> schedule = StepDecay(0.1, 0.5, 50, steps_per_epoch=20)
    >>> schedule(np.array([0, 49, 50, 100, 150]) * 20).tolist()
    [0.1, 0.1, 0.05, 0.025, 0.0125]
    """

    def __init__(self, initial_learning_rate, factor, every, steps_per_epoch=1):
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, 0)
        self.factor = number("factor", factor, 0)
        self.every = integer("every", every, 1)
        self.steps_per_epoch = integer("steps_per_epoch", steps_per_epoch, 1)

    def rate(self, step):
        return self.initial_learning_rate * _power(self.factor, step // (self.every * self.steps_per_epoch))


class WarmUp(LearningRateSchedule):
    """Another schedule, or a number, after a linear rise from `start` to its first value.

    Step `warmup_steps` is the other schedule's step 0; a momentum that it has waits at that of its step 0.

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

    def __init__(self, schedule, warmup_steps, start=0.0):
        self.schedule = from_description(schedule) if is_description(schedule) else schedule
        if not callable(self.schedule):
            self.schedule = Constant(self.schedule)
        self.warmup_steps = integer("warmup_steps", warmup_steps, 0)
        self.start = number("start", start, 0)

    def __call__(self, step):
        steps = np.atleast_1d(np.asarray(step, np.int64))
        later = steps >= self.warmup_steps
        values = np.empty(len(steps))
        values[later] = [rates(self.schedule, int(s) - self.warmup_steps, 1)[0] for s in steps[later]]
        top = rates(self.schedule, 0, 1)[0]
        values[~later] = self.start + (top - self.start) * steps[~later] / max(self.warmup_steps, 1)
        return values if np.ndim(step) else float(values[0])


class OneCycle(_Vectorized):
    """From max_learning_rate / div_factor up to it, then down to the first rate / final_div_factor.

    Parameters
    ----------
    max_learning_rate : float
        PyTorch's name `max_lr` works too.
    total_steps : int
        Of the whole cycle: epochs times steps of an epoch. Later steps keep the last rate.
    pct_start : float
        Share of the steps in which the rate rises, above 0 and below 1.
    anneal_strategy : {"cos", "linear"}
    div_factor, final_div_factor : float
    three_phase : bool
        Come down to the initial rate as one went up, and only then to the final one.
    base_momentum, max_momentum : float, optional
        Both or none: the optimizer's momentum (β₁ of Adam and its kin) goes down from `max_momentum`
        to `base_momentum` while the rate rises, and back. (PyTorch does so unless told not to, with
        0.85 and 0.95.)

    References
    ----------
    Smith & Topin 2018; the numbers are those of PyTorch's ``OneCycleLR``.

    Examples
    --------
    >>> schedule = OneCycle(max_learning_rate=0.1, total_steps=10)
    >>> schedule([0, 2, 9]).round(7).tolist()
    [0.004, 0.1, 4e-07]
    """

    def __init__(
        self,
        max_learning_rate=None,
        total_steps=None,
        pct_start=0.3,
        anneal_strategy="cos",
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        base_momentum=None,
        max_momentum=None,
        **kwargs,
    ):
        if "max_lr" in kwargs:
            if max_learning_rate is not None:
                raise TypeError("max_lr: another name of max_learning_rate; expected one of the two, got both")
            max_learning_rate = kwargs.pop("max_lr")
        refuse_keywords(type(self), kwargs, also=["max_lr"])
        self.three_phase = flag("three_phase", three_phase)
        self.max_learning_rate = number("max_learning_rate", max_learning_rate, 0)
        self.total_steps = integer("total_steps", total_steps, 1)
        self.pct_start = number("pct_start", pct_start, 0, 1, open_high=True)
        self.anneal_strategy = one_of("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = number("div_factor", div_factor, 0, open_low=True)
        self.final_div_factor = number("final_div_factor", final_div_factor, 0, open_low=True)
        if (base_momentum is None) != (max_momentum is None):
            raise ValueError("base_momentum, max_momentum: expected both or none")
        given = (("base_momentum", base_momentum), ("max_momentum", max_momentum))
        self.base_momentum, self.max_momentum = (n if n is None else number(name, n, 0) for name, n in given)

    @property
    def max_lr(self):
        """PyTorch's name of `max_learning_rate`."""
        return self.max_learning_rate

    def rate(self, step):
        first, top = self.max_learning_rate / self.div_factor, self.max_learning_rate
        return self._through(step, first, top, first / self.final_div_factor)

    def momentum(self, step):
        """The momentum at an array of steps."""
        return self._through(step, self.max_momentum, self.base_momentum, self.max_momentum)

    def _through(self, step, first, top, last):
        up, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        knots, values = [0, up, end], [first, top, last]
        if self.three_phase:
            knots[2:2], values[2:2] = [2 * up], [first]
        result = np.full(np.shape(step), values[0])
        for a, b, start, stop in zip(knots, knots[1:], values, values[1:], strict=False):
            part = np.clip((step - a) / (b - a), 0, 1) if b > a else np.ones(np.shape(step))
            if self.anneal_strategy == "cos":
                part = 0.5 * (1 - _cos(pi * part))
            result = np.where(step >= a, start + (stop - start) * part, result)
        return result


_classes = [thing for thing in globals().values() if isinstance(thing, type)]
__all__ = [c.__name__ for c in _classes if issubclass(c, LearningRateSchedule) and c.__name__[0] != "_"]
__getattr__, __dir__ = module_attributes(__name__, __all__)
