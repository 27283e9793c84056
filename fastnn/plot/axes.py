"""Code shared by all plots: axes, scales, legends."""

import numpy as np

WIDE = 50  # positive values that differ by this factor get a logarithmic scale
MANY = 30  # curves with more points have no markers
PANEL = (4.6, 3.4)  # inches of one of several panels


def need_matplotlib(what):
    """ImportError with instructions, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{what} needs matplotlib: pip install 'fastnn-cpu[plot]'") from error


def current(ax, what):
    """The axes to draw on: the given axes, or pyplot's current axes."""
    return panels(1, ax, what)[0]


def panels(n, ax, what):
    """A list of n axes to draw on, which may be identical.

    `ax` is one Axes for all, a sequence of n, or None: then they are panels of pyplot's current figure if that is
    empty or has n axes, or its current axes."""
    need_matplotlib(what)
    if ax is None:
        from matplotlib import pyplot

        size = (n * PANEL[0], PANEL[1]) if n > 1 else None
        figure = pyplot.gcf() if pyplot.get_fignums() else pyplot.figure(figsize=size, layout="constrained")
        if n == 1:
            return [figure.gca()]
        found = figure.axes or list(figure.subplots(1, n))
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
