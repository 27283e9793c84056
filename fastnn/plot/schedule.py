"""The learning rates of a schedule."""

import numpy as np

from . import axes


def draw(rates, ax=None):
    """See `LearningRateSchedule.plot`; `rates` are those of steps 0, 1, …"""
    ax = axes.current(ax, "schedule.plot")
    ax.plot(np.arange(len(rates)), rates, marker=axes.marker(len(rates)), markersize=4)
    axes.finish(ax, "step (batches)", "learning rate")
    return ax
