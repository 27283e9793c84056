"""The report of a training: one valid page that loads nothing, escapes everything and can be read by all."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("jinja2")
matplotlib = pytest.importorskip("matplotlib")

import report_tools as tools  # noqa: E402

from fastnn.diagnostics import report, report_page  # noqa: E402


class Page(HTMLParser):
    """(tag, attributes, text directly inside) of every element; text as readers see it."""

    VOID = {"meta", "br", "hr", "img", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in self.VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        if self.open:
            self.elements[self.open[-1]][2] += data

    def all(self, *tags):
        return [e for e in self.elements if e[0] in tags]


@pytest.fixture(scope="module")
def sick():
    return tools.trained()


@pytest.fixture(scope="module")
def text(sick):
    return report.page(sick[1], findings=tools.FINDINGS)


@pytest.fixture(scope="module")
def bare():
    return report.page(tools.bare())


@pytest.fixture(params=["text", "bare"])
def page(request):
    return request.getfixturevalue(request.param)


def test_nothing_is_loaded_and_nothing_runs(page):
    assert "http" not in page and "//" not in page.replace("//*", "")
    found = Page(page)
    assert not found.all("script", "link", "iframe", "object", "embed", "img", "base", "form", "video", "audio")
    for _, attributes, _ in found.elements:
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("src", "srcset", "action", "data", "poster")
            if name == "href":
                assert value.startswith(("#", "data:image/png;base64,"))
            assert "url(" not in (value or "").replace("url(#", "")
    style = found.all("style")
    assert len(style) == 1 and not re.search(r"@import|url\(|expression", style[0][2])


def test_large_maps_are_bitmaps_inside_the_page():
    history = tools.bare()
    health = tools.Health([f"l{i}" for i in range(60)], ["Dense"] * 60)
    for e in range(120):
        health.append(e, 1, {"gradient_norm": np.arange(1, 61)}, 1.0)
    history.health = health
    page = report.page(history)
    test_nothing_is_loaded_and_nothing_runs(page)
    assert "data:image/png;base64," in page and len(page) < 800_000


def test_it_is_valid(page):
    html5lib = pytest.importorskip("html5lib")
    parser = html5lib.HTMLParser(strict=True)  # raises at the first error
    parser.parse(page)
    found = Page(page)
    identifiers = [a["id"] for _, a, _ in found.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers)) > 5
    named = re.findall(r'(?:href="#|url\(#)([^")]+)|aria-labelledby="([^"]+)"', page)
    assert {a or b for a, b in named} <= set(identifiers) and len(named) > 5


def test_everything_is_escaped(text):
    found = Page(text)
    assert not found.all("script") and "alert(" in text
    values = [a.get(n, "") for _, a, _ in found.elements for n in a] + [t for _, _, t in found.elements]
    assert sum(tools.HOSTILE in (v or "") for v in values) >= 8  # headings, texts, the table, pictures, evidence
    assert report.page(tools.bare(), title=tools.HOSTILE).count("&lt;script&gt;") == 2


def test_it_can_be_heard(page):
    """Language, headings without gaps, names of pictures and of regions that scroll, heads of tables."""
    found = Page(page)
    assert found.all("html")[0][1]["lang"] == "en" and len(found.all("h1", "title")) >= 2
    levels = [int(tag[1]) for tag, _, _ in found.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels), default=0) <= 1
    assert any(a.get("name") == "viewport" and "width=device-width" in a["content"] for _, a, _ in found.all("meta"))
    names = {a.get("id"): t for _, a, t in found.elements}
    for _, attributes, _ in found.all("svg"):
        assert attributes["role"] == "img" and len(names[attributes["aria-labelledby"]]) > 20
    assert all(a["aria-label"] and a["tabindex"] == "0" for _, a, _ in found.elements if a.get("role") == "region")
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(a.get("scope") in ("row", "col") for _, a, _ in found.all("th"))
    assert len(found.all("svg")) == page.count("<figure>") >= 1


def contrast(a, b):
    """As WCAG 2 defines it."""

    def luminance(colour):
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [report_page.LIGHT, report_page.DARK], ids=["light", "dark"])
def test_contrast_of_text_and_curves(colours):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name in ("text", "soft", "error", "warning", "note"):
        assert min(contrast(colours[name], colours[place]) for place in ("page", "card")) >= 4.5, name
    for colour in (report.BLUE, report.GREY, report.ORANGE):
        assert contrast(colour, colours["page"]) >= 3


def test_pictures_take_the_colour_of_the_page(text):
    assert report.MARK not in text and text.count("currentColor") > 50
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.S))
    white = re.findall(r"(?:fill|stroke): #f{6}\b|#000000", drawn)
    assert not white and "<text" in drawn  # text stays text


def test_findings_come_most_severe_first_and_once(sick):
    found = Page(report.page(sick[1], findings=[*tools.FINDINGS, *tools.FINDINGS]))
    severities = [t for _, a, t in found.elements if a.get("class") == "severity"]
    assert severities == ["error", "warning", "note"]
    texts = [t for _, _, t in found.elements]
    assert "3.25e-13" in texts and "0, 1, 2, 3, 4, 5, 6, 7, …" in texts and "example.org/paper" in texts
    assert any("5 epochs; loss" in t and "1 error, 1 warning, 1 note" in t for t in texts)
    assert "No findings." in [t for _, _, t in Page(report.page(sick[1])).elements] or sick[1].findings


def test_what_is_told_is_what_was_measured(sick, text):
    _, history = sick
    health, found = history.health, Page(text)
    cells = [t for _, _, t in found.all("td", "th")]
    assert cells.count("Dense sigmoid") == 20 and "largest" in cells
    assert f"{history.history['val_loss'][-1]:.5g}" in cells
    first, last = health.gradient_norm[0, -1], health.gradient_norm[-1, -1]
    said = [t for _, _, t in found.all("title") if "Heat map" in t]
    assert len(said) == 2 and f"{first:.1e}" in said[0] and f"it is {first:.1e} in {tools.HOSTILE}" in said[0]
    assert f"{last:.1e} in output" in said[0]
    assert f"{first / last:.1e}" in text
    names = [t for _, _, t in found.all("dt", "dd")]
    assert ("optimizer", "Adam") in zip(names, names[1:], strict=False)
    assert ("learning rate", "0.0125") in zip(names, names[1:], strict=False)
    assert names[names.index("loss") + 1].startswith("SparseCategoricalCrossentropy(from_logits=False")
    assert ("epochs", "5") in zip(names, names[1:], strict=False) and "net" in text


def test_without_health_and_without_the_model(bare):
    assert "no longer exists" in bare and "Gradients" not in bare and "Loss and metrics" in bare
    history = tools.bare()
    history.health = tools.Health(["a"], ["Dense"])  # no epoch yet
    assert "Gradients" not in report.page(history)
    from fastnn.callbacks import History

    assert "0 epochs" in report.page(History())


def test_settings_of_matplotlib_are_left_alone_and_the_page_is_reproducible(sick, text):
    before = dict(matplotlib.rcParams)
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({"text.usetex": False, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert report.page(sick[1], findings=tools.FINDINGS).count("<svg") == text.count("<svg")
    assert dict(matplotlib.rcParams) == before and plt.get_fignums() == []
    assert report.page(sick[1], findings=tools.FINDINGS) == text


def test_a_file_is_written_and_replaced(sick, tmp_path):
    path = tmp_path / "보고서.html"
    path.write_text("old")
    assert sick[1].report(path, title="실험 1") is None
    written = path.read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>") and "<title>실험 1</title>" in written
    with pytest.raises(OSError, match="missing"):
        sick[1].report(tmp_path / "missing" / "run.html")


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_without_the_extra_the_error_names_it(module):
    code = f"""
import sys
sys.modules[{module!r}] = None
from fastnn.callbacks import History
try:
    History().report("run.html")
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == f"History.report needs {module}: pip install 'fastnn-cpu[plot]'\n"


# --- in a browser ------------------------------------------------------------------------------------

FRAME = """<!DOCTYPE html><html><body style="margin: 0"><iframe id="f" width="{width}" height="900" style="border: 0"
 srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = function () {{
  const page = this.contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll("body *")].filter(e => !e.closest(".scroll") && !e.closest("svg") &&
    e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.tagName + "." + e.className);
  const maps = [...page.querySelectorAll("svg")].map(e => Math.round(e.getBoundingClientRect().width));
  document.title = JSON.stringify({{scroll: root.scrollWidth, inner: root.clientWidth, wide: wide, pictures: maps,
    height: root.scrollHeight, colour: getComputedStyle(page.body).backgroundColor}});
}};</script></body></html>"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_in_a_browser_nothing_is_wider_than_the_window(text, tmp_path, width, dark):
    import html
    import json

    (tmp_path / "frame.html").write_text(FRAME.format(width=width, page=html.escape(text)), encoding="utf-8")
    seen = tools.browse(tmp_path, (tmp_path / "frame.html").as_uri(), "--dump-dom", "--window-size=1300,900", dark=dark)
    found = json.loads(html.unescape(re.search("<title>(.*?)</title>", seen, re.S)[1]))
    assert found["inner"] == width and found["scroll"] == width and found["wide"] == []
    assert found["height"] > 2000 and len(found["pictures"]) > 6 and min(found["pictures"]) > 200
    page = (report_page.DARK if dark else report_page.LIGHT)["page"]
    assert found["colour"] == f"rgb({', '.join(str(int(page[i : i + 2], 16)) for i in (1, 3, 5))})"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_the_heat_map_is_seen(text, tmp_path, dark):
    """Colours of viridis from end to end, and text of the page's colour on the page's colour."""
    (tmp_path / "run.html").write_text(text, encoding="utf-8")
    shot = tmp_path / "shot.png"
    options = (f"--screenshot={shot}", "--window-size=1200,4000")
    tools.browse(tmp_path, (tmp_path / "run.html").as_uri(), *options, dark=dark)
    pixels = (matplotlib.image.imread(shot)[..., :3] * 255).round().astype(int)
    assert pixels.shape[1] == 1200

    def count(colour):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return int((np.abs(pixels - rgb).max(axis=-1) <= 2).sum())

    colours = report_page.DARK if dark else report_page.LIGHT
    assert count(colours["page"]) > 0.3 * pixels[..., 0].size and count(colours["text"]) > 2000
    for colour in ("#440154", "#21918c"):  # the low end and the middle of viridis, as published
        assert count(colour) > 300, colour
    red, green, blue = np.moveaxis(pixels, -1, 0)
    assert ((red > 180) & (green > 210) & (blue < 60)).sum() > 300  # near the high end, #fde725
