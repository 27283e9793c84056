"""All quantities of the health of a training, one panel each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import one_of
from . import axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes

COLUMNS = 3
FEW = 5  # curves of more points have no markers
NAMED = 8  # up to this number of layers, each is in the legend
TITLES = {
    "gradient_norm": "gradient norm, weights",
    "output_gradient_norm": "gradient norm, output",
    "update_ratio": "updates / weights",
    "weight_norm": "norm of the weights",
    "activation_mean": "mean of the outputs",
    "activation_std": "std of the outputs",
    "dead": "dead units",
    "saturated": "saturated units",
    "drift": "drift of batch statistics",
}
LOGARITHMIC = ("gradient_norm", "output_gradient_norm", "update_ratio", "activation_std")
FRACTIONS = ("dead", "saturated")


def health(health: Any, names: str | Sequence[str] | None = None, ax: Axes | Sequence[Axes] | None = None) -> Any:
    """Plot the health of a training: a panel for each quantity, a curve for each layer.

    The first layer is the darkest curve, the last one the brightest.

    Parameters
    ----------
    health : Health, History, or a trained model
    names : str or list of str, optional
        Quantities of `fastnn.diagnostics.Health`; default: all that apply to any layer.
    ax : matplotlib Axes, or a sequence of one Axes per quantity, optional
        Default: panels of pyplot's current figure.

    Returns
    -------
    matplotlib Axes, or a list of Axes for several quantities

    Examples
    --------
    >>> panels = fastnn.plot.health(history)  # doctest: +SKIP
    >>> ax = fastnn.plot.health(history, "dead")  # doctest: +SKIP
    """
    health = axes.health_of(health)
    found = [name for name in health.QUANTITIES if np.isfinite(getattr(health, name)).any()]
    names = found if names is None else [names] if isinstance(names, str) else list(names)
    for name in names:
        if one_of("names", name, health.QUANTITIES) not in found:
            raise ValueError(f"names: expected quantities with finite numbers, got {name!r}, which has none")
    if not names:
        raise ValueError(f"health: expected finite values to plot, got none{axes.unsampled(health)}")
    where = axes.panels(len(names), ax, "fastnn.plot.health", columns=COLUMNS)
    for i, (each, name) in enumerate(zip(where, names, strict=True)):
        _panel(each, health, name, i == 0)
    return where if len(where) > 1 else where[0]


def _panel(ax, health, name, first):
    values, epochs = getattr(health, name), np.asarray(health.epoch) + 1
    if name in LOGARITHMIC and (values[np.isfinite(values)] > 0).any():
        ax.set_yscale("log", nonpositive="mask")
    n = len(health.layers)
    for i, layer in enumerate(health.layers):
        if not np.isfinite(values[i]).any():
            continue
        known = ~np.isnan(values[i])  # curves go on over epochs of which no step was sampled
        colour = axes.colour(i / max(n - 1, 1))
        ends = i in (0, n - 1)
        label = axes.shortened(layer) if n <= NAMED or ends else None
        ax.plot(epochs[known], values[i][known], color=colour, linewidth=1.8 if ends else 1.1, label=label,
                marker="o" if len(epochs) <= FEW else None, markersize=3)  # fmt: skip
    if name in FRACTIONS and ax.get_yscale() == "linear":  # it may be the panel of another quantity too
        from matplotlib.ticker import PercentFormatter

        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    axes.whole_epochs(ax)
    ax.set(xlabel="epoch", ylabel=TITLES[name])
    ax.grid(alpha=0.3)
    if first:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2, fontsize="small")
