"""Heat maps of layers × epochs: the gradient norms of a training, the picture of a vanishing or exploding gradient.

(a) The colours are those of viridis, which is perceptually uniform and readable with any colour vision: its lightness
    alone tells large from small. The dark end is small.
(b) The scale is logarithmic and spans at least `DECADES` powers of ten, so a healthy network is of one colour and only
    a gradient that vanishes runs through all of them. At most `MOST` are shown: what is below, and zero, is black.
(c) A missing number is hatched, each reason in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import one_of
from . import axes

if TYPE_CHECKING:
    from typing import Any, Literal

    from matplotlib.axes import Axes

    _Norm = Literal["gradient_norm", "output_gradient_norm", "update_ratio", "weight_norm"]

DECADES, MOST = 6, 16
TITLES = {
    "gradient_norm": "gradient norm\nof the layer's weights",
    "output_gradient_norm": "gradient norm\nat the layer's output",
    "update_ratio": "norm of the updates /\nnorm of the weights",
    "weight_norm": "norm of the weights",
}
FEW = 0.2  # fraction of the epochs without sampled steps up to which these are hatched
VECTOR = 4000  # cells; in a vector graphic, larger maps are bitmaps
HATCHES = {"does not apply": "///", "no step was sampled": "...", "not a number": "xxxx"}


def gradients(health: Any, quantity: _Norm = "gradient_norm", ax: Axes | None = None) -> Axes:
    """Plot a heat map of the gradient norms of the layers by epoch, on a logarithmic scale.

    The first layer is at the top. A gradient that vanishes on its way back is dark at the top; in a healthy network all
    layers have about the same colour. The values at the right are those of the last epoch. Layers without weights are
    left out, other missing values are hatched, zero is black. If more than a few epochs have no sampled step, only the
    other epochs are drawn, wider, so that they fill the gaps.

    Parameters
    ----------
    health : Health, History, or a trained model
    quantity : {"gradient_norm", "output_gradient_norm", "update_ratio", "weight_norm"}
        What to draw; see `fastnn.diagnostics.Health`.
    ax : matplotlib Axes, optional
        Default: pyplot's current axes.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If no layer has such a value, or the health of the training was not measured.

    Examples
    --------
    >>> history = model.fit(x, y, epochs=20)  # doctest: +SKIP
    >>> ax = fastnn.plot.gradients(history)  # doctest: +SKIP
    """
    one_of("quantity", quantity, (*TITLES,))
    health = axes.health_of(health)
    values, why = getattr(health, quantity), health.reasons(quantity)
    rows = np.flatnonzero((why != "does not apply").any(axis=1))
    if not np.isfinite(values).any():
        raise ValueError(f"health: expected a finite {quantity} to plot, got none{axes.unsampled(health)}")
    values, why, names = values[rows], why[rows], [health.layers[i] for i in rows]
    ax = axes.current(ax, "fastnn.plot.gradients", (7.2, max(3.0, min(12.0, 1.4 + 0.24 * len(rows)))))
    epochs = np.asarray(health.epoch)
    unmeasured = (why == "no step was sampled").any(axis=0)
    if unmeasured.mean() > FEW:
        values, why, epochs = values[:, ~unmeasured], why[:, ~unmeasured], epochs[~unmeasured]
    edges = _edges(epochs, health.epoch)
    image = _cells(ax, values, edges)
    _hatched(ax, why, edges)
    _legend(ax, image, values)
    axes.layer_labels(ax, names)
    axes.whole_epochs(ax)
    ax.set(xlabel="epoch", ylabel="layer, first at the top", xlim=(edges[0], edges[-1]))
    ax.set_title(_title(values, epochs), loc="left", fontsize="medium")
    last = np.flatnonzero((why != "no step was sampled").any(axis=0))[-1]
    _numbers(ax, values[:, last], why[:, last])
    _colour_bar(ax, image, values, TITLES[quantity])
    return ax


def _edges(epochs, trained):
    """Left and right ends of the cells of epochs, counted from 1, over all that were trained."""
    at = epochs + 1.0
    between = (at[1:] + at[:-1]) / 2
    return np.concatenate([[trained[0] + 0.5], between, [trained[-1] + 1.5]])


def limits(values: Any) -> tuple[float, float]:
    """The ends of the scale, powers of ten.

    Returns
    -------
    low, high : float
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not len(positive):
        return 10.0**-DECADES, 1.0
    high = int(np.ceil(np.log10(positive.max()) - 1e-9))
    low = int(np.floor(np.log10(positive.min()) + 1e-9))
    return 10.0 ** max(min(low, high - DECADES), high - MOST), 10.0**high


def _cells(ax, values, edges):
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    low, high = limits(values)
    colours = colormaps["viridis"].with_extremes(bad="none", under="black", over="red")
    # LogNorm masks what is not positive or infinite; both have colours of their own.
    shown = np.where(values <= 0, low / 10, np.where(np.isposinf(values), high * 10, values))
    rows = np.arange(len(values) + 1) - 0.5
    # Edges of the cells' own colours close the seams that renderers of vector graphics leave.
    return ax.pcolormesh(
        edges, rows, np.ma.masked_where(np.isnan(shown), shown), norm=LogNorm(low, high), cmap=colours,
        edgecolors="face", linewidth=0.4, rasterized=values.size > VECTOR,
    )  # fmt: skip


def _hatched(ax, why, edges):
    """Rectangles over the cells without a number, one for neighbours in a row."""
    from matplotlib.patches import Rectangle

    named = set()
    for i, row in enumerate(why):
        start = 0
        for e in range(1, len(row) + 1):
            if e < len(row) and row[e] == row[start]:
                continue
            if row[start]:
                label = None if row[start] in named else row[start]
                named.add(row[start])
                ax.add_patch(
                    Rectangle((edges[start], i - 0.5), edges[e] - edges[start], 1, facecolor="none", label=label,
                              edgecolor="0.55", linewidth=0, hatch=HATCHES[row[start]])  # fmt: skip
                )
            start = e


def _legend(ax, image, values):
    """Below the axes: what hatches and the colours beyond the scale mean."""
    from matplotlib.patches import Patch

    handles = ax.get_legend_handles_labels()[0]
    low = image.norm.vmin
    if (values == 0).any():
        handles.append(Patch(facecolor="black", edgecolor="0.5", label="zero"))
    elif (values < low).any():
        handles.append(Patch(facecolor="black", edgecolor="0.5", label=f"below {low:.0e}"))
    if np.isposinf(values).any():
        handles.append(Patch(facecolor="red", label="infinite"))
    if handles:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=4.6, ncols=2,
                  frameon=False, fontsize="small")  # fmt: skip


def _title(values, epochs):
    """How the gradient changes from the last layer to the first one, in the last epoch that has numbers."""
    known = np.flatnonzero(np.isfinite(values).any(axis=0))[-1]
    column = values[:, known]
    column = column[np.isfinite(column)]
    if len(column) < 2 or column[-1] <= 0:
        return ""
    return f"first layer / last layer, epoch {epochs[known] + 1}: {column[0] / column[-1]:.1e}"


def _numbers(ax, last, why):
    """The numbers of the last epoch, at the right of their rows."""
    labels = {round(y): None for y in ax.get_yticks()}
    right = ax.secondary_yaxis("right")
    texts = ["" if why[i] else f"{last[i]:.1e}" for i in labels]
    right.set_yticks(list(labels), texts, fontsize="small")
    right.tick_params(length=0)


def _colour_bar(ax, image, values, label):
    from matplotlib.ticker import LogLocator, NullLocator

    low = image.norm.vmin
    below, above = bool((values < low).any()), bool(np.isposinf(values).any())
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    # A layout engine leaves room for the numbers between the axes and the bar, otherwise it is asked for here.
    pad = 0.15 if ax.figure.get_layout_engine() is None else 0.02
    bar = ax.figure.colorbar(image, ax=ax, extend=extend, pad=pad, fraction=0.05, aspect=30)
    bar.set_label(label)
    bar.ax.yaxis.set_major_locator(LogLocator(10, numticks=9))
    bar.ax.yaxis.set_minor_locator(NullLocator())
