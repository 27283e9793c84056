"""The report of a training: one HTML page that stands alone.

(a) Findings come first, then the curves, the heat maps of gradients, the other figures of the layers, and the model.
(b) Pictures are SVG inside the page. matplotlib draws text, axes and grids in one marked colour, which becomes
    ``currentColor``: they follow the page, light or dark. Colours of curves have a contrast of 3 on both.
(c) Each picture has its content as a text for screen readers. Identifiers are unique over all pictures of the page.
"""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from .._base import html
from .._base.files import naming
from ..callbacks import health_table
from ..plot import axes, curves, heat_map, quantities
from . import report_page
from .doctor.finding import SEVERITIES, named

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MARK = "#010203"  # what is drawn in this colour gets the colour of the page's text
BLUE, ORANGE, GREY = "#3b82c4", "#cf6f12", "#857f86"
MAPS = ("gradient_norm", "output_gradient_norm")
ABOUT_MAPS = {
    "gradient_norm": "Norm of the gradient of each layer's weights. Layers of about one colour learn at the same pace; "
    "a gradient that is dark at the top vanishes on its way back to the first layers.",
    "output_gradient_norm": "Norm of the gradient that arrives at each layer's output.",
}


def write(
    history: Any, filepath: Any, title: str | None = None, findings: Iterable[Any] | None = None
) -> Path:
    """See `History.report`."""
    path = Path(filepath)
    text = page(history, title, findings)
    with naming(path):
        path.write_text(text, encoding="utf-8")
    return path


def page(history: Any, title: str | None = None, findings: Iterable[Any] | None = None) -> str:
    """The report as HTML.

    Returns
    -------
    str
    """
    environment = _environment()
    model, health = history.model, history.health
    measured = health is not None and len(health) > 0 and len(health.layers) > 0
    found = _findings([*(findings or []), *getattr(history, "findings", [])])
    with _style():
        names = [name for name, values in history.history.items() if curves.is_drawn(values)]
        drawn = {
            "curves": [_curve(history, name, i) for i, name in enumerate(_groups(names))],
            "maps": [_map(health, name) for name in MAPS if measured and _any(health, name)],
            "panels": [_panel(health, name) for name in _paneled(health)] if measured else [],
        }
    template = environment.from_string(report_page.TEMPLATE)
    markup = _markup()
    name = "a model that no longer exists" if model is None else model.name
    text = template.render(
        drawn,
        title=f"Training of {name}" if title is None else str(title),
        summary=_summary(history, found),
        style=markup(report_page.STYLE),
        findings=found,
        results=markup(_results(history, names)),
        table=markup(health_table.html(health, foot=False)) if measured else "",
        notes=health_table.notes(health, sparklines=False) if measured else [],
        summary_table="" if model is None else markup(model._repr_html_()),
        settings=[] if model is None else _settings(model, history),
        foot=_foot(),
    )
    return text + "\n" * (not text.endswith("\n"))


def _environment():
    axes.need_matplotlib("History.report")
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ImportError("History.report needs jinja2: pip install 'fastnn-cpu[plot]'") from error
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _markup():
    from markupsafe import Markup

    return Markup


# --- text --------------------------------------------------------------------------------------------


def _findings(found):
    """What the template shows of findings, the most severe first; each once."""
    shown, seen = [], []
    order = {severity: i for i, severity in enumerate(SEVERITIES)}
    for finding in sorted(found, key=lambda f: order.get(f.severity, len(order))):
        key = (finding.code, finding.layer, finding.message)
        if key in seen:
            continue
        seen.append(key)
        shown.append(
            {
                "severity": finding.severity if finding.severity in order else "note",
                "title": named(finding.fault),
                "layer": finding.layer,
                "message": _sentence(finding.message),
                "why": _sentence(finding.why),
                "fix": _sentence(finding.fix),
                "code": finding.code,
                # Addresses are text here: the page refers to nothing outside.
                "reference": str(finding.reference or "").replace("https://", "").replace("http://", ""),
                "evidence": [(name.replace("_", " "), _shown(v)) for name, v in finding.evidence.items()],
            }
        )
    return shown


def _sentence(text):
    text = str(text or "").strip()
    return text + "." if text and text[-1] not in ".!?:" else text


def _shown(value):
    if isinstance(value, Real) and not isinstance(value, (bool, int)):
        return f"{float(value):.4g}"
    if isinstance(value, (list, tuple, np.ndarray)):
        items = [_shown(each) for each in list(value)[:8]]
        return ", ".join(items) + (", …" if len(value) > 8 else "")
    return str(value)


def _summary(history, found):
    n = len(history.epoch)
    parts = [f"{n} epoch{'s' * (n != 1)}"]
    for name in ("loss", "val_loss"):
        values = history.history.get(name)
        if values and isinstance(values[-1], Real):
            first, last = (_shown(float(values[i])) for i in (0, -1))
            parts.append(f"{name.replace('val_', 'validation ')} {first} → {last}")
    counts = [(sum(f["severity"] == s for f in found), s) for s in SEVERITIES]
    said = [f"{count} {s}{'s' * (count != 1)}" for count, s in counts if count]
    return "; ".join(parts) + ". Findings: " + (", ".join(said) if said else "none") + "."


def _groups(names):
    return [name for name in names if not name.startswith("val_") or name[4:] not in names]


def _results(history, names):
    rows = []
    for name in names:
        values = np.asarray(history.history[name], np.float64)
        known = values[np.isfinite(values)]
        ends = [html.number(float(values[0])), html.number(float(values[-1]))]
        extremes = [html.number(float(f(known))) if len(known) else "nan" for f in (np.min, np.max)]
        rows.append([name, *ends, *extremes])
    return html.table("Over the epochs", ["name", "first", "last", "smallest", "largest"], rows)


def _settings(model, history):
    """(name, value) of what the model was compiled and trained with."""
    found = []
    optimizer = model.optimizer
    if optimizer is not None:
        found.append(("optimizer", type(optimizer).__name__))
        config = {name: value for name, value in optimizer.get_config().items() if value is not None}
        config.pop("name", None)
        found += [(name.replace("_", " "), _setting(value)) for name, value in config.items()]
    if model.loss is not None:
        found.append(("loss", _setting(model.loss)))
    metrics = [name for name in history.history if name != "loss" and not name.startswith("val_")]
    found += [("metrics", ", ".join(metrics))] if metrics else []
    found.append(("dtype", str(model.dtype)))
    params = history.params or {}
    found += [(name, str(params[name])) for name in ("epochs", "steps") if params.get(name) is not None]
    return found


def _setting(value):
    if isinstance(value, dict):  # of a schedule
        name = value.get("class_name")
        inside = value.get("config") if name else value
        listed = ", ".join(f"{k}={_setting(v)}" for k, v in (inside or {}).items())
        return f"{name}({listed})" if name else listed
    if isinstance(value, float):
        return f"{value:.6g}"
    return getattr(value, "__name__", None) or str(value)


def _foot():
    version = sys.modules["fastnn"].__version__
    return f"Written by fastnn {version}. This page loads nothing and contains no scripts."


# --- pictures ----------------------------------------------------------------------------------------


@contextmanager
def _style():
    """matplotlib's settings while pictures are drawn; those of the user are left alone."""
    from matplotlib import cycler, rc_context
    from matplotlib.colors import to_rgb

    marked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    clear = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    settings: dict[Any, Any] = (
        dict.fromkeys(marked, MARK)
        | dict.fromkeys(clear, "none")
        | {
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE]),
            "svg.fonttype": "none",
            "svg.hashsalt": "fastnn",
            "font.size": 9,
            "font.family": "sans-serif",
            "text.usetex": False,
            "axes.formatter.use_mathtext": False,
        }
    )
    before = axes.ENDS.set(tuple(map(to_rgb, (BLUE, GREY, ORANGE))))
    try:
        with rc_context(settings):
            yield
    finally:
        axes.ENDS.reset(before)


def _figure(width, height):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _any(health, name):
    return np.isfinite(getattr(health, name)).any()


def _paneled(health):
    return [name for name in health.QUANTITIES if name not in MAPS and _any(health, name)]


def _curve(history, name, i):
    figure, ax = _figure(3.9, 2.8)
    curves.draw(history, name, ax)
    parts = []
    for key in (name, f"val_{name}"):
        values = history.history.get(key, ())
        if curves.is_drawn(values):
            parts.append(f"{key} from {_shown(float(values[0]))} to {_shown(float(values[-1]))}")
    return _picture(figure, f"curve-{i}", f"Curves of {name} by epoch: {', '.join(parts)}.")


def _map(health, name):
    n = len(health.layers)
    figure, ax = _figure(5.4, max(2.6, min(10.0, 1.3 + 0.2 * n)))
    heat_map.gradients(health, name, ax)
    values = getattr(health, name)
    known = np.flatnonzero(np.isfinite(values).any(axis=0))[-1]
    rows = np.flatnonzero(np.isfinite(values[:, known]))
    first, last = rows[0], rows[-1]
    what = heat_map.TITLES[name].replace("\n", " ")
    text = (
        f"Heat map, layers by epochs: {what}. In epoch {health.epoch[known] + 1} it is {values[first, known]:.1e} in"
        f" {health.layers[first]} and {values[last, known]:.1e} in {health.layers[last]}."
    )
    return _picture(figure, f"map-{name}", text, ABOUT_MAPS[name])


def _panel(health, name):
    figure, ax = _figure(3.9, 2.8)
    quantities.health(health, name, ax)
    values = getattr(health, name)
    finite = values[np.isfinite(values)]
    text = (
        f"Curves of the layers by epoch: {quantities.TITLES[name]}, from {_shown(float(finite.min()))} to"
        f" {_shown(float(finite.max()))}. The numbers are in the table above."
    )
    return _picture(figure, f"panel-{name}", text)


def _picture(figure, prefix, text, caption=""):
    out = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(out, format="svg", metadata=nothing, dpi=144)
    return {"svg": _markup()(inlined(out.getvalue(), prefix, text)), "caption": caption}


def inlined(svg: str, prefix: str, text: str) -> str:
    """An SVG file as part of a page: without namespaces and sizes, in the page's colour, with unique identifiers.

    Returns
    -------
    str
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
        for key in list(each.attrib):
            value = each.attrib.pop(key).replace("url(#", f"url(#{prefix}-")
            name = key.rpartition("}")[2]
            if name == "id":
                value = f"{prefix}-{value}"
            elif name == "href" and value.startswith("#"):
                value = f"#{prefix}-{value[1:]}"
            elif name in ("style", "fill", "stroke"):
                value = value.replace(MARK, "currentColor")
            each.set(name, value)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    title = ElementTree.Element("title", {"id": f"{prefix}-title"})
    title.text, title.tail = text, "\n"
    root.insert(0, title)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    return ElementTree.tostring(root, encoding="unicode")
