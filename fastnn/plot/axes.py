"""Code shared by all plots: axes, scales, legends."""

from contextvars import ContextVar

import numpy as np

from .._base.text import cut, width

WIDE = 50  # positive values that differ by this factor get a logarithmic scale
MANY = 30  # curves with more points have no markers
ENDS = ContextVar("ENDS", default=())  # colours (RGB) that those of `colour` lie between; by default, viridis
PANEL = (4.6, 3.4)  # inches of one of several panels


def need_matplotlib(what):
    """ImportError with instructions, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{what} needs matplotlib: pip install 'fastnn-cpu[plot]'") from error


def history_of(value):
    """The History of a model, or of itself."""
    found = value if isinstance(getattr(value, "history", None), dict) else getattr(value, "history", None)
    if not hasattr(found, "epochs_of"):
        raise TypeError(f"history: expected a History, such as fit returns, or a trained model, got {value!r}")
    return found


def health_of(value):
    """The Health of a model or a History, or of itself, with at least one epoch."""
    found = value if hasattr(value, "output_gradient_norm") else history_of(value).health
    if found is None:
        raise ValueError("health: expected a training whose health was measured, got one of fit(health=False)")
    if not len(found):
        raise ValueError("health: expected at least one trained epoch to plot, got none")
    return found


def unsampled(health):
    """What to do if nothing was measured, for messages."""
    return "" if any(health.sampled) else "; no step was sampled, fit(health='every') measures every step"


def current(ax, what, size=None):
    """The axes to draw on: the given axes, or pyplot's current axes; of a new figure, `size` is in inches."""
    return panels(1, ax, what, size)[0]


def panels(n, ax, what, size=None, columns=None):
    """A list of n axes to draw on, which may be identical.

    `ax` is one Axes for all, a sequence of n, or None: then they are panels of pyplot's current figure if that is
    empty or has n axes, or its current axes. They are side by side, or in rows of `columns`."""
    need_matplotlib(what)
    if ax is None:
        from matplotlib import pyplot

        columns = min(n, columns or n)
        rows = -(-n // columns)
        size = size or ((columns * PANEL[0], rows * PANEL[1]) if n > 1 else None)
        figure = pyplot.gcf() if pyplot.get_fignums() else pyplot.figure(figsize=size, layout="constrained")
        if n == 1:
            return [figure.gca()]
        found = figure.axes or [figure.add_subplot(rows, columns, i + 1) for i in range(n)]
        return found if len(found) == n else [figure.gca()] * n
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return [ax] * n
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(given) != n or not all(isinstance(each, Axes) for each in given):
        several = f", or a sequence of {n}" if n > 1 else ""
        got = f"a sequence of {len(given)}" if all(isinstance(each, Axes) for each in given) else repr(ax)
        raise TypeError(f"ax: expected matplotlib Axes{several}, got {got}")
    return given


def scale(ax, values):
    """Set a logarithmic scale for values that span orders of magnitude, unless the axes have data already."""
    values = np.asarray(values, np.float64).ravel()
    values = values[np.isfinite(values)]
    if not ax.has_data() and len(values) and values.min() > 0 and values.max() > WIDE * values.min():
        ax.set_yscale("log")


def colour(place):
    """The colour of a curve by its place between the first (0) and the last (1), as RGB."""
    ends = np.array(ENDS.get() or [])
    if not len(ends):
        from matplotlib import colormaps

        return colormaps["viridis"](0.92 * place)[:3]
    at = place * (len(ends) - 1)
    return tuple(float(np.interp(at, np.arange(len(ends)), channel)) for channel in ends.T)


def layer_labels(ax, names, room=None):
    """Names of layers as labels of the y axis, the first layer at the top; of many, some."""
    n = len(names)
    height = ax.get_window_extent().height * 72 / ax.figure.dpi  # in points
    every = max(1, -(-n * 9 // max(int(height), 1)))
    shown = sorted({*range(0, n - every // 2, every), n - 1})
    ax.set_yticks(shown, [shortened(names[i]) for i in shown])
    ax.set_ylim(n - 0.5, -0.5)


def shortened(name, columns=22):
    """A name with at most so many columns, and without what matplotlib takes for a formula."""
    name = "".join(c if c.isprintable() else "?" for c in name).replace("$", r"\$")
    return name if width(name) <= columns else cut(name, columns - 1) + "…"


def marker(n):
    """A marker if there are few points; a single point would be invisible without."""
    return "o" if n <= MANY else None


def whole_epochs(ax):
    """Set ticks only at whole epochs."""
    from matplotlib.ticker import MaxNLocator

    locator = ax.xaxis.get_major_locator()
    if isinstance(locator, MaxNLocator):
        locator.set_params(integer=True)


def finish(ax, xlabel, ylabel):
    """Add labels, a grid, and a legend above the axes, where it covers nothing."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
