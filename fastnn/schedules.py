"""Learning rates that change with the step, under Keras' names where it has them.

A schedule is a function of the step (0, 1, …). The ones here take an array of steps as well, so
that `fit` hands the core the rates of many steps at once. One of your own is a subclass with
``__call__(step)``, or any function; it is called step by step unless it says ``vectorized = True``.
"""

from math import pi

import numpy as np

from ._checks import integer, number, one_of, suggest
from ._config import Configurable


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
    if not np.isfinite(values).all():
        step = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"schedule: the rate of step {first + step} is {values[step]}")
    return values


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
        self.staircase, self.name = bool(staircase), name

    def rate(self, step):
        p = step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (
            np.floor(p) if self.staircase else p
        )


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
        decayed = top * ((1 - self.alpha) * 0.5 * (1 + np.cos(pi * done)) + self.alpha)
        return np.where(step < warm, start + (top - start) * step / max(warm, 1), decayed)


class OneCycle(_Vectorized):
    """From max_lr / div_factor up to max_lr, then down to max_lr / div_factor / final_div_factor.

    Parameters
    ----------
    max_lr : float
    total_steps : int
        Of the whole cycle: epochs times steps of an epoch. Later steps keep the last rate.
    pct_start : float
        Share of the steps in which the rate rises, above 0 and below 1.
    anneal_strategy : {"cos", "linear"}
    div_factor, final_div_factor : float
    three_phase : bool
        Come down to the initial rate as one went up, and only then to the final one.

    References
    ----------
    Smith & Topin 2018; the numbers are those of PyTorch's ``OneCycleLR``.

    Examples
    --------
    >>> schedule = OneCycle(max_lr=0.1, total_steps=10)
    >>> schedule([0, 2, 9]).round(7).tolist()
    [0.004, 0.1, 4e-07]
    """

    def __init__(
        self,
        max_lr,
        total_steps,
        pct_start=0.3,
        anneal_strategy="cos",
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
    ):
        self.max_lr = number("max_lr", max_lr, 0)
        self.total_steps = integer("total_steps", total_steps, 1)
        self.pct_start = number("pct_start", pct_start, 0, 1)
        self.anneal_strategy = one_of("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = number("div_factor", div_factor, 0, open_low=True)
        self.final_div_factor = number("final_div_factor", final_div_factor, 0, open_low=True)
        self.three_phase = bool(three_phase)

    def rate(self, step):
        first, top = self.max_lr / self.div_factor, self.max_lr
        up, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        knots, values = [0, up, end], [first, top, first / self.final_div_factor]
        if self.three_phase:
            knots[2:2], values[2:2] = [2 * up], [first]
        result = np.full(np.shape(step), values[0])
        for a, b, start, stop in zip(knots, knots[1:], values, values[1:], strict=False):
            part = np.clip((step - a) / (b - a), 0, 1) if b > a else np.ones(np.shape(step))
            if self.anneal_strategy == "cos":
                part = 0.5 * (1 - np.cos(pi * part))
            result = np.where(step >= a, start + (stop - start) * part, result)
        return result
