"""The loss by learning rate of a range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


def draw(
    learning_rates: Sequence[float],
    losses: Sequence[float],
    suggestion: float | None,
    ax: Axes | None = None,
) -> Axes:
    """See `LearningRateFinder.plot`."""
    if not losses:
        raise ValueError("learning rate finder: expected at least one batch with a finite loss to plot, got none")
    ax = axes.current(ax, "LearningRateFinder.plot")
    axes.scale(ax, losses)
    ax.set_xscale("log")
    ax.plot(learning_rates, losses, marker=axes.marker(len(losses)), markersize=4)
    if suggestion is not None:
        ax.axvline(suggestion, color="C1", linestyle="--", label=f"suggestion: {suggestion:.2g}")
    axes.finish(ax, "learning rate", "loss (smoothed)")
    return ax
