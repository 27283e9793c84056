"""Learning rates: those of a schedule by step, and the losses of a range test by rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer
from . import axes

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes


def schedule(schedule: Any, steps: int, ax: Axes | None = None) -> Axes:
    """Plot the learning rates of the first steps of a schedule.

    Parameters
    ----------
    schedule : LearningRateSchedule, or function of a step
    steps : int
    ax : matplotlib Axes, optional
        Default: pyplot's current axes.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from fastnn.optimizers import schedules
    >>> ax = fastnn.plot.schedule(schedules.OneCycle(0.1, 1000), steps=1000)  # doctest: +SKIP
    """
    if hasattr(schedule, "plot"):
        return schedule.plot(steps, ax)
    if not callable(schedule):
        raise TypeError(f"schedule: expected a schedule or a function of a step, got {schedule!r}")
    return draw([float(schedule(step)) for step in range(integer("steps", steps, 1))], ax)


def lr_finder(finder: Any, ax: Axes | None = None) -> Axes:
    """Plot the loss by learning rate of a range test, with the suggestion marked.

    Parameters
    ----------
    finder : LearningRateFinder
        What `Model.find_learning_rate` returns.
    ax : matplotlib Axes, optional
        Default: pyplot's current axes.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> ax = fastnn.plot.lr_finder(model.find_learning_rate(x, y))  # doctest: +SKIP
    """
    if not hasattr(finder, "suggestion"):
        raise TypeError(f"finder: expected a LearningRateFinder, such as find_learning_rate returns, got {finder!r}")
    return finder.plot(ax)


def draw(rates: Any, ax: Axes | None = None) -> Axes:
    """See `LearningRateSchedule.plot`; `rates` are those of steps 0, 1, …"""
    ax = axes.current(ax, "schedule.plot")
    ax.plot(np.arange(len(rates)), rates, marker=axes.marker(len(rates)), markersize=4)
    axes.finish(ax, "step (batches)", "learning rate")
    return ax
