"""The table of a `Health`, as text and for notebooks.

(a) A line per layer; each quantity has a sparkline of its epochs and its last number. Sparklines are as long as `LINE`
    allows; there are two tables with the same layers, one of gradients and one of outputs (more, if names are long).
(b) All sparklines of a column have one scale, so that layers can be compared. Norms and ratios are shown on a
    logarithmic scale: what matters are powers of ten. Epochs without a sampled step are left out.
(c) The marks are reading aids, with thresholds that papers on the subject use; findings look at more than one number.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._base import html as html_tables
from .._base.text import cut, left, right, width

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._base.types import FloatArray

LINE = 100
NAME, KIND = 24, 24  # longest names and kinds, in columns; others are truncated
SPARK = (8, 3)  # longest and shortest sparkline
BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.,-~=+#"  # the latter for streams that cannot encode the former

NOT_APPLICABLE, NOT_SAMPLED, DIVERGED = REASONS = "does not apply", "no step was sampled", "not a number"
SIGNS = {NOT_APPLICABLE: "-", NOT_SAMPLED: "?", DIVERGED: "nan"}
WHY = {
    NOT_APPLICABLE: "does not apply to the layer",
    NOT_SAMPLED: "no step of the epoch was sampled",
    DIVERGED: "not a number: the training diverged",
}


def reasons(health: Any, name: str) -> Any:
    """See `Health.reasons`."""
    missing = np.isnan(getattr(health, name))
    sampled = np.array(health.sampled, bool)
    gradients = np.isfinite(health.gradient_norm).any(axis=0)
    broken = sampled & ~np.isfinite(health.total_gradient_norm) & ~gradients
    # Fractions of units are counts: they are never NaN because numbers are.
    counted = name in ("dead", "saturated")
    judged = sampled if counted else sampled & ~broken
    never = missing.all(axis=1)
    if not judged.any() and not counted:  # nothing but NaN, so only the kind of the layer tells
        never &= np.array([name == "drift" and not kind.startswith("BatchNorm") for kind in health.kinds], bool)
        never |= missing.all(axis=1) & ~broken.any()
    found = np.where(missing, DIVERGED, "").astype(f"<U{max(map(len, REASONS))}")
    found[missing & ~sampled] = NOT_SAMPLED
    found[never] = NOT_APPLICABLE
    return found


def measured(health: Any, name: str, epoch: int = -1) -> int:
    """The position of the last epoch, up to `epoch`, that a quantity was measured in; dead units are counted in all.

    Returns
    -------
    int
        `epoch` if there is none.
    """
    at = range(len(health))[epoch]
    return at if name == "dead" else next((e for e in range(at, -1, -1) if health.sampled[e]), at)


def _apart(values):
    """How far values are from each other's last, in powers of ten."""
    return np.abs(np.log10(np.maximum(values, 1e-300) / max(values[-1], 1e-300)))


def _from(usual):
    return lambda values: np.abs(np.log10(np.maximum(values, 1e-300) / usual))


@dataclass
class Column:
    """A quantity in the table.

    Attributes
    ----------
    title : str
    scale : {"log", "linear", "fraction"}
    usual : (float, float)
        Other values are marked.
    worst : function, optional
        Of the finite values of the layers; the layer with the largest result is marked.
    relative : bool
        Whether `usual` is relative to the last layer.
    """

    title: str
    scale: str
    usual: tuple[float, float] = (-np.inf, np.inf)
    worst: Callable[[FloatArray], FloatArray] | None = None
    relative: bool = False


# Of 1e-3 and 70: AUTOTRAINER (Zhang et al. 2021); 1e-5 and 1e-1: DeepDiagnosis (Wardat et al. 2022); half of the units:
# SageMaker Debugger.
COLUMNS = {
    "gradient_norm": Column("gradient", "log", (1e-3, 70), _apart, relative=True),
    "output_gradient_norm": Column("grad. at output", "log", (1e-3, 70), _apart, relative=True),
    "update_ratio": Column("update/weight", "log", (1e-5, 1e-1), _from(1e-3)),
    "weight_norm": Column("weights", "linear"),
    "activation_mean": Column("output mean", "linear"),
    "activation_std": Column("output std", "log", (0.05, 10), _from(1)),
    "dead": Column("dead", "fraction", (0, 0.5), np.asarray),
    "saturated": Column("saturated", "fraction", (0, 0.5), np.asarray),
    "drift": Column("drift", "linear", (0, 1), np.asarray),
}


def marks(health: Any, name: str, epoch: int = -1) -> list[str]:
    """Marks of the layers in an epoch: "*" the worst, "!" outside the usual range, "!!" both, or "".

    Returns
    -------
    list of str
    """
    epoch = measured(health, name, epoch)
    column, values = COLUMNS[name], getattr(health, name)[:, epoch]
    finite = np.isfinite(values)
    outside = np.isinf(values) | (reasons(health, name)[:, epoch] == DIVERGED)
    worst = None
    if finite.any():
        some = values[finite]
        reference = max(some[-1], 1e-300) if column.relative else 1.0
        low, high = column.usual
        outside[finite] = (some < low * reference) | (some > high * reference)
        scores = None if column.worst is None else column.worst(some)
        if scores is not None and scores.max() > scores.min():
            worst = np.flatnonzero(finite)[scores.argmax()]
    return [
        ("!!" if bad else "*") if i == worst else "!" if bad else "" for i, bad in enumerate(outside)
    ]


def gradient_ratio(health: Any, epoch: int = -1) -> float | None:
    """The gradient norm of the first layer with weights divided by that of the last one.

    Returns
    -------
    float or None
        Of the last epoch up to `epoch` with sampled steps; None if there is none, or not two such layers.
    """
    norms = health.gradient_norm[:, measured(health, "gradient_norm", epoch)]
    norms = norms[~np.isnan(norms)]
    return float(norms[0] / norms[-1]) if len(norms) > 1 and norms[-1] > 0 and np.isfinite(norms[-1]) else None


def number(value: float, fraction: bool = False) -> str:
    """A number in few characters; fractions in per cent, of which only zero is 0 % and only all is 100 %."""
    if fraction and np.isfinite(value):
        if 0 < value < 0.005 or 0.995 < value < 1:
            return "<1%" if value < 0.5 else ">99%"
        return f"{100 * value:.0f}%"
    if value == 0 or 1e-3 <= abs(value) < 1e4 or not np.isfinite(value):
        return f"{value:.3g}" if abs(value) < 1000 or not np.isfinite(value) else f"{value:.0f}"
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")


def scale_of(values: Any, scale: str) -> tuple[float, float]:
    """The smallest and the largest value that a scale shows.

    A logarithmic one spans at least a power of ten, so that it does not magnify what is nearly constant.
    """
    values = np.asarray(values)[np.isfinite(values)]
    if scale == "fraction" or not len(values):
        return 0.0, 1.0
    if scale == "log":
        values = values[values > 0]
        if not len(values):
            return 1.0, 10.0
        low, high = float(values.min()), float(values.max())
        middle = np.sqrt(low) * np.sqrt(high)
        return min(low, middle / np.sqrt(10)), max(high, middle * np.sqrt(10))
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return low, high if high > low else low + 1.0


def spark(values: Any, limits: tuple[float, float], scale: str, length: int = SPARK[0]) -> str:
    """A sparkline of values by epoch; of many epochs, some at equal distances. Non-finite values are "x", missing " ".

    Returns
    -------
    str
    """
    signs = BLOCKS if _can_encode(BLOCKS) else PLAIN
    values = np.asarray(values, np.float64)
    if len(values) > length:
        values = values[np.linspace(0, len(values) - 1, length).round().astype(int)]
    low, high = np.log10(limits) if scale == "log" else limits
    text = ""
    for value in values:
        if np.isnan(value):
            text += " "
        elif np.isinf(value):
            text += "x"
        else:
            place = value if scale != "log" else np.log10(value) if value > 0 else low
            text += signs[int(np.clip((place - low) / (high - low) * len(signs), 0, len(signs) - 1))]
    return text


def _can_encode(text):
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def text(health: Any) -> str:
    """The table as text, at most `LINE` columns wide.

    Returns
    -------
    str
    """
    if not len(health) or not health.layers:
        return f"Health of {_count(len(health.layers), 'layer')}: no epoch yet"
    names = ["layer", *(_cut(name, NAME) for name in health.layers)]
    kinds = ["kind", *(_cut(kind, KIND) for kind in health.kinds)]
    lines = [_title(health)]
    for part in (("gradient", "update", "weight", "output_gradient"), ("activation", "dead", "saturated", "drift")):
        shown = [name for name in _shown(health) if name.startswith(part)]
        heads = [names, kinds] if part[0] == "gradient" else [names]
        for table in _tables(heads, shown, health):
            lines += ["", *(line.rstrip() for line in table)]
    return "\n".join([*lines, "", *_wrapped(notes(health))])


def _shown(health):
    """Quantities that apply to any layer and were measured, even if they are not numbers."""
    return [name for name in COLUMNS if np.isin(reasons(health, name), ("", DIVERGED)).any()]


def _tables(heads, shown, health):
    """Lists of lines with the columns side by side; one list if they can be made to fit."""
    heads = [[left(cell, max(map(width, column))) for cell in column] for column in heads]
    start = sum(2 + width(column[0]) for column in heads) - 2
    for length in range(SPARK[0], SPARK[1] - 1, -1):
        columns = [_column(health, name, min(length, len(health))) for name in shown]
        if start + sum(2 + len(column[0]) for column in columns) <= LINE:
            break
    used, tables = LINE, []
    for column in columns:
        if used + 2 + len(column[0]) > LINE:
            tables.append(list(heads))
            used = start
        tables[-1].append(column)
        used += 2 + len(column[0])
    return [["  ".join(line) for line in zip(*table, strict=True)] for table in tables]


def _column(health, name, length):
    """The cells of a quantity, of equal widths: the title, then a cell for each layer."""
    column, values = COLUMNS[name], getattr(health, name)
    at = measured(health, name)
    limits, why = scale_of(values, column.scale), reasons(health, name)[:, at]
    known = [e for e, sampled in enumerate(health.sampled) if sampled or name == "dead"]
    cells = []
    for i, mark in enumerate(marks(health, name)):
        last = values[i, at]
        shown = SIGNS.get(why[i]) or number(last, column.scale == "fraction")
        line = spark(values[i, known], limits, column.scale, length)
        cells.append((left(line, length), shown, mark))
    widest, longest = (max(len(cell[k]) for cell in cells) for k in (1, 2))
    texts = [f"{line} {right(shown, widest)} {left(mark, longest)}".rstrip() for line, shown, mark in cells]
    size = max(len(column.title), *map(len, texts))
    return [left(each, size) for each in (column.title, *texts)]


def _cut(text, columns):
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if width(text) <= columns else cut(text, columns - 3) + "..."


def _count(n, what):
    return f"{n} {what}{'s' * (n != 1)}"


def _title(health):
    return f"Health of {_count(len(health.layers), 'layer')}, {_epochs(health)}"


def _epochs(health):
    first, last = health.epoch[0] + 1, health.epoch[-1] + 1
    return f"epoch {last}" if len(health) == 1 else f"epochs {first} to {last}"


def notes(health: Any, sparklines: bool = True) -> list[str]:
    """What the table does not say of itself: the whole gradient, sampling, marks, and why numbers are missing.

    Returns
    -------
    list of str
    """
    at = measured(health, "gradient_norm")
    total, clipped = health.total_gradient_norm[at], health.clip_rate[at]
    whole = f"Gradient of the whole model: {number(total)}"
    whole += "" if np.isnan(clipped) else f"; clipped in {number(clipped, True)} of the sampled steps"
    every = "every step is" if health.every == 1 else f"one step in {health.every} is"
    last, counted = (health.epoch[e] + 1 for e in (at, -1))
    dead = not np.isnan(health.dead).all()
    also = f", those of dead units of epoch {counted}" if dead and counted != last else ""
    found = [f"{whole}. Values are those of epoch {last}{also}."]
    if not any(health.sampled):
        found = ['No step was sampled: fit(health="every") measures every step.']
    if len(health) > 1 and sparklines:
        some = ", those with sampled steps" if 0 in health.sampled else ""
        found.append(f"Sparklines: {_epochs(health)}{some}; one scale per column.")
    found.append(
        f"Sampling: {every} measured, {health.sampled[at]} in epoch {last}"
        + ("; dead units are counted in every step." if dead else ".")
    )
    names = _shown(health)
    signs = {mark for name in names for mark in marks(health, name)}
    if signs & {"*", "!!"}:
        both = "; !! also outside the usual range." if "!!" in signs else "."
        found.append(f"* the worst layer of its column{both}")
    if signs & {"!", "!!"}:
        ranges = [_range(COLUMNS[name]) for name in names if {"!", "!!"} & set(marks(health, name))]
        found.append(f"! outside the usual range: {', '.join(ranges)}.")
    return found + [f"{SIGNS[why]} {WHY[why]}." for why in _missing(health, names)]


def _missing(health, names):
    last = {why for name in names for why in reasons(health, name)[:, measured(health, name)].tolist()}
    return [why for why in REASONS if why in last]


def _range(column):
    low, high = column.usual
    if column.scale == "fraction":
        return f"{column.title} up to {number(high, True)}"
    times = " times that of the last layer" if column.relative else ""
    return f"{column.title} {f'{number(low)} to ' if low else 'up to '}{number(high)}{times}"


def _wrapped(lines):
    """Lines of at most `LINE` columns, broken at spaces."""
    for line in lines:
        part = ""
        for word in line.split(" "):
            if part and len(part) + 1 + len(word) > LINE:
                yield part
                part = "  " + word
            else:
                part += (" " if part else "") + word
        yield part


def html(health: Any, foot: bool = True) -> str:
    """The table for notebooks: the first and the last number of each quantity; with `notes` as its foot.

    Returns
    -------
    str
    """
    if not len(health) or not health.layers:
        return html_tables.table(text(health), ["layer", "kind"], zip(health.layers, health.kinds, strict=True))
    shown = _shown(health)
    columns = [_changes(health, name) for name in shown]
    rows = zip(health.layers, health.kinds, *columns, strict=True)
    head = ["layer", "kind", *(COLUMNS[name].title for name in shown)]
    below = notes(health, sparklines=False) if foot else []
    return html_tables.table(_title(health), head, rows, foot=below, text=(0, 1))


def _changes(health, name):
    values, fraction, why = getattr(health, name), COLUMNS[name].scale == "fraction", reasons(health, name)
    first = 0 if name == "dead" else next((e for e, sampled in enumerate(health.sampled) if sampled), 0)
    texts, epochs = [], (first, measured(health, name))
    for i, mark in enumerate(marks(health, name)):
        ends = [SIGNS.get(why[i, k]) or number(values[i, k], fraction) for k in epochs]
        texts.append((ends[-1] if ends[0] == ends[-1] else " → ".join(ends)) + (f" {mark}" if mark else ""))
    return texts
