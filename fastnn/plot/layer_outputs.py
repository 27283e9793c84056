"""The outputs of the layers: their mean and spread in training, or their distribution for given samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import axes

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

SHOWN = 4  # epochs, at most
BINS = 80
EDGE = 0.001  # fraction of the values of a layer beyond each end of the axis, at most


def activations(source: Any, x: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Plot the outputs of the layers, the first layer at the top.

    Without `x`: mean and standard deviation of the outputs during training, in up to four epochs from the first to the
    last. With `x`: the distribution of the outputs of each layer for these samples, in inference mode.

    Where a network starts well, all layers have about the same standard deviation. If it shrinks from layer to layer,
    or if values accumulate at the ends of a sigmoid or tanh, the initialisation is unsuitable.

    Parameters
    ----------
    source : Health, History, or a trained model; with `x` any built `Sequential`
    x : array_like (n, *input_shape), optional
    ax : matplotlib Axes, optional
        Default: pyplot's current axes.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the health of the training was not measured, or no layer has outputs.

    Examples
    --------
    >>> ax = fastnn.plot.activations(history)  # doctest: +SKIP
    >>> ax = fastnn.plot.activations(model, x[:1000])  # doctest: +SKIP
    """
    if x is None:
        return _by_epoch(axes.health_of(source), ax)
    if not hasattr(source, "_outputs_of_layers"):
        raise TypeError(f"source: expected a Sequential with x, got {source!r}")
    return _distributions(source._outputs_of_layers(x), ax)


def _size(rows):
    return 6.4, max(3.0, min(12.0, 1.4 + 0.3 * rows))


def _by_epoch(health, ax):
    mean, std = health.activation_mean, health.activation_std
    rows = np.flatnonzero(np.isfinite(mean).any(axis=1))
    epochs = np.flatnonzero(np.isfinite(mean).any(axis=0))
    if not len(rows):
        raise ValueError(f"health: expected finite activation_mean to plot, got none{axes.unsampled(health)}")
    ax = axes.current(ax, "fastnn.plot.activations", _size(len(rows)))
    chosen = epochs[np.unique(np.linspace(0, len(epochs) - 1, SHOWN).round().astype(int))]
    for k, epoch in enumerate(chosen):
        colour = axes.colour(k / max(len(chosen) - 1, 1))
        place = np.arange(len(rows)) + 0.6 * ((k + 0.5) / len(chosen) - 0.5)
        ax.errorbar(mean[rows, epoch], place, xerr=std[rows, epoch], fmt="o", color=colour, markersize=3.5,
                    elinewidth=1.6, label=f"epoch {health.epoch[epoch] + 1}")  # fmt: skip
    axes.layer_labels(ax, [health.layers[i] for i in rows])
    axes.finish(ax, "output: mean ± standard deviation", "layer, first at the top")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=SHOWN, frameon=False, borderaxespad=0.2)
    return ax


def _distributions(outputs, ax):
    """A ridge for each layer, each of its own height."""
    values = {name: np.asarray(v, np.float64).ravel() for name, v in outputs}
    values = {name: v[np.isfinite(v)] for name, v in values.items()}
    if not any(map(len, values.values())):
        raise ValueError("x: expected samples for which a layer has finite outputs, got none")
    ax = axes.current(ax, "fastnn.plot.activations", _size(len(values)))
    ends = np.array([np.quantile(v, [EDGE, 1 - EDGE]) for v in values.values() if len(v)])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    bins = np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, BINS + 1)
    n = len(values)
    for i, each in enumerate(values.values()):
        counts = np.histogram(each, bins)[0].astype(float)
        heights = 0.85 * counts / max(counts.max(), 1)
        colour = axes.colour(i / max(n - 1, 1))
        ax.stairs(i + 0.4 - heights, bins, baseline=i + 0.4, fill=True, color=colour, alpha=0.75)
        ax.stairs(i + 0.4 - heights, bins, baseline=i + 0.4, color=colour, linewidth=1)
    axes.layer_labels(ax, list(values))
    ax.set_xlim(bins[0], bins[-1])
    axes.finish(ax, "output", "layer, first at the top")
    right = ax.secondary_yaxis("right")
    labels = {round(y): None for y in ax.get_yticks()}
    spreads = [v.std() if len(v) else np.nan for v in values.values()]
    right.set_yticks(list(labels), [f"std {spreads[i]:.2g}" for i in labels], fontsize="small")
    right.tick_params(length=0)
    return ax
