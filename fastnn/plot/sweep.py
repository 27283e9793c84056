"""The monitored values of the networks of a sweep by epoch."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from . import axes

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes

FAR = 100  # values larger than the 0.9 quantile by this factor are off the scale
COLOURS = {"done": "C7", "stopped": "C9", "diverged": "C3", "error": "C5"}
MARKERS = {"done": ".", "stopped": "|", "diverged": "x", "error": "x"}


def draw(histories: Any, statuses: Any, best: Any, monitor: str, ax: Axes | None = None) -> Axes:
    """See `SweepResult.plot`.

    Parameters
    ----------
    histories : list of list of float
        Values of each network by epoch; may be empty.
    statuses : list of str
    best : int
        Network to draw on top.
    monitor : str
    ax : matplotlib Axes, optional
    """
    curves = [[(e, v) for e, v in enumerate(values, 1) if isfinite(v)] for values in histories]
    drawn = [k for k, curve in enumerate(curves) if curve]
    if not drawn:
        raise ValueError(f"sweep: expected at least one network with a finite {monitor!r} to plot, got none")
    ax = axes.current(ax, "SweepResult.plot")
    from matplotlib.collections import LineCollection

    top = reach(ax, curves, best)
    shown = [v for curve in curves for _, v in curve if v <= top]
    axes.scale(ax, shown)
    for status, colour in COLOURS.items():
        some = [k for k in drawn if statuses[k] == status and k != best]
        if not some:
            continue
        lines = LineCollection([np.array(curves[k]) for k in some], colors=colour, linewidths=0.8, alpha=0.5)
        ax.add_collection(lines)
        ends = np.array([curves[k][-1] for k in some])
        off = int((ends[:, 1] > top).sum())
        label = f"{len(some)} {status}" + (f", {off} off the scale" if off else "")
        ax.plot(*ends.T, MARKERS[status], color=colour, markersize=5, label=label)
    if curves[best]:
        epochs, values = zip(*curves[best], strict=True)
        label = f"network {best}, the best: {values[-1]:.4g}"
        ax.plot(epochs, values, color="C0", linewidth=2, marker=axes.marker(len(values)), markersize=4, label=label)
    ax.autoscale_view()
    if top < np.inf:
        margin = 0.05 * (top - min(shown))
        ax.set_ylim(min(shown) * 0.9 if ax.get_yscale() == "log" else min(shown) - margin, top + margin)
    axes.whole_epochs(ax)
    axes.finish(ax, "epoch", monitor)
    return ax


def reach(ax: Axes, curves: Any, best: Any) -> float:
    """The largest value to show: the maximum, or less if a few outliers would compress the others."""
    values = np.array([v for curve in curves for _, v in curve])
    most = max([np.quantile(values, 0.9), *(v for _, v in curves[best])])
    if ax.has_data() or most <= 0 or values.max() <= FAR * most:
        return np.inf
    return float(values[values <= FAR * most].max())
