"""Curves of the loss and the metrics by epoch."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from .._base.checks import suggest
from . import axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes


def history(
    history: Any, names: str | Sequence[str] | None = None, ax: Axes | Sequence[Axes] | None = None
) -> Any:
    """Plot loss and metrics by epoch, with their validation values.

    Parameters
    ----------
    history : History, or a trained model
    names : str or list of str, optional
        Names to plot, such as "loss" or "accuracy"; default: all.
    ax : matplotlib Axes, or a sequence of one Axes per name, optional
        Default: pyplot's current axes for one name, panels of its current figure for several.

    Returns
    -------
    matplotlib Axes, or a list of Axes for several names

    Examples
    --------
    >>> ax = fastnn.plot.history(history, "loss")  # doctest: +SKIP
    """
    return axes.history_of(history).plot(names, ax)


def draw(
    history: Any,
    names: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    validation: str = "validation",
) -> list[Axes]:
    """See `History.plot`; `validation` is the label of the validation curves.

    Returns
    -------
    list of matplotlib Axes
        One for each name.
    """
    found = {name: values for name, values in history.history.items() if is_drawn(values)}
    if not found:
        raise ValueError("history: expected at least one trained epoch to plot, got none")
    groups = [name for name in found if not name.startswith("val_") or name[4:] not in found]
    names = groups if names is None else [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in found:
            raise ValueError(
                f"names: expected names in the history, got {name!r}.{suggest(name, found)}"
                f" Available: {', '.join(found)}"
            )
    where = axes.panels(len(names), ax, "History.plot")
    shared = len({id(each) for each in where}) < len(names)
    for each, name in zip(where, names, strict=True):
        kinds = {name: "training", f"val_{name}": validation} if name in groups else {name: validation}
        kinds = {key: kind for key, kind in kinds.items() if key in found}
        axes.scale(each, [v for key in kinds for v in found[key]])
        for key, kind in kinds.items():
            epochs, values = history.epochs_of(key), found[key]
            label = f"{name.removeprefix('val_')}, {kind}" if shared else kind
            each.plot([e + 1 for e in epochs], values, marker=axes.marker(len(values)), markersize=4, label=label)
        axes.whole_epochs(each)
        axes.finish(each, "epoch", "value" if shared else name)
    return where


def is_drawn(values: Sequence[Any]) -> bool:
    """Whether values are numbers, not vectors, as of some metrics."""
    return len(values) > 0 and all(isinstance(value, Real) for value in values)
