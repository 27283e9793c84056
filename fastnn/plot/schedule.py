"""The learning rates of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import axes

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes


def draw(rates: Any, ax: Axes | None = None) -> Axes:
    """See `LearningRateSchedule.plot`; `rates` are those of steps 0, 1, …"""
    ax = axes.current(ax, "schedule.plot")
    ax.plot(np.arange(len(rates)), rates, marker=axes.marker(len(rates)), markersize=4)
    axes.finish(ax, "step (batches)", "learning rate")
    return ax
