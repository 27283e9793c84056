"""The one-cycle schedule; public as `fastnn.optimizers.schedules.OneCycle`."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer, number, one_of, refuse_keywords
from .schedule import _Vectorized, cos

if TYPE_CHECKING:
    from typing import Any, Literal


class OneCycle(_Vectorized):
    """One-cycle schedule: up from max_learning_rate / div_factor, then down to the initial rate / final_div_factor.

    Parameters
    ----------
    max_learning_rate : float
        PyTorch's name `max_lr` is accepted too.
    total_steps : int
        Length of the cycle: epochs times steps per epoch. Later steps keep the last rate.
    pct_start : float
        Fraction of the steps in which the rate rises, above 0 and below 1.
    anneal_strategy : {"cos", "linear"}
    div_factor, final_div_factor : float
    three_phase : bool
        Decay to the initial rate in as many steps as the rise took, then to the final rate.
    base_momentum, max_momentum : float, optional
        Both or neither: the momentum of the optimizer (β₁ of Adam and its variants) falls from
        `max_momentum` to `base_momentum` while the rate rises, and back. (PyTorch does so by default,
        with 0.85 and 0.95.)

    References
    ----------
    Smith & Topin 2018; defaults as in PyTorch's ``OneCycleLR``.

    Examples
    --------
    >>> schedule = OneCycle(max_learning_rate=0.1, total_steps=10)
    >>> schedule([0, 2, 9]).round(7).tolist()
    [0.004, 0.1, 4e-07]
    """

    def __init__(
        self,
        max_learning_rate: float | None = None,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        base_momentum: float | None = None,
        max_momentum: float | None = None,
        **kwargs: Any,
    ) -> None:
        if "max_lr" in kwargs:
            if max_learning_rate is not None:
                raise TypeError("max_lr, max_learning_rate: expected one of the two (max_lr is an alias), got both")
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
            raise ValueError(
                f"base_momentum, max_momentum: expected both or neither, got {base_momentum!r} and {max_momentum!r}"
            )
        given = (("base_momentum", base_momentum), ("max_momentum", max_momentum))
        self.base_momentum, self.max_momentum = (n if n is None else number(name, n, 0) for name, n in given)

    @property
    def max_lr(self) -> float:
        """Alias of `max_learning_rate`, as in PyTorch."""
        return self.max_learning_rate

    def rate(self, step: Any) -> Any:
        first, top = self.max_learning_rate / self.div_factor, self.max_learning_rate
        return self._through(step, first, top, first / self.final_div_factor)

    def momentum(self, step: Any) -> Any:
        """Return the momentum at an array of steps."""
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
                part = 0.5 * (1 - cos(pi * part))
            result = np.where(step >= a, start + (stop - start) * part, result)
        return result
