"""The experiments on the claims of the notes run in the small setting, and what is stable over seeds comes out."""

import importlib
import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from places import ROOT
from scipy import stats

FOLDER = ROOT / "examples" / "claims"
PAGE = ROOT / "docs" / "claims.md"
# Verdicts that no seed, instruction set or load of the machine changes: effects far above their margins, exact
# statements, counter-examples. Timings and differences near the margin are not among them.
STABLE = {
    "vanishing_gradients": {"sigmoid-vanishes": "holds", "glorot-sigmoid": "does not hold",
                            "tanh-vanishes": "does not hold", "diverges": "does not hold"},
    "initialisation": {"too-small-or-large": "holds", "uniform-too-wide": "depends", "glorot-tanh": "holds",
                       "glorot-relu": "holds", "he-relu": "holds", "variance-kept": "depends"},
    "zero_initialisation": {"no-update": "does not hold", "useless": "holds", "only-last": "does not hold"},
    "dying_relus": {"normal": "does not hold"},
    "bias_001": {"at-start": "does not hold"},
    "maxout_and_sparsity": {"maxout-is-relu": "holds", "maxout-lives": "holds", "maxout-weights": "holds",
                            "sparse-weights": "does not hold", "sparse-outputs": "holds"},
    "zero_centred": {"one-image": "holds", "batch": "does not hold", "tanh": "holds", "zig-zag": "holds",
                     "quarter": "holds"},
    "batch_norm_noise": {"noise": "holds", "noise-size": "holds"},
    "exploding_gradients": {"relu-explodes": "holds", "elu-does-not": "does not hold"},
    "clipping_direction": {"value-turns": "holds", "norm-turns": "depends", "global-norm-turns": "does not hold"},
    "softmax": {"log-of-softmax": "depends", "softmax-vanishes-mse": "holds", "softmax-vanishes": "depends",
                "log-softmax-cures": "holds", "nll": "holds"},
    "gradient_checking": {"example": "holds", "orders": "holds", "constant": "depends", "twice": "holds",
                          "smaller-better": "does not hold"},
}  # fmt: skip


@pytest.fixture(scope="module")
def claims():
    """The modules of the folder, by name; scripts import each other as they do when they are run."""
    sys.path.insert(0, str(FOLDER))
    try:
        names = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "__main__")
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))


def scripts(claims):
    return {name: module for name, module in claims.items() if name != "protocol"}


@pytest.mark.parametrize("name", [p.stem for p in FOLDER.glob("*.py") if p.stem in STABLE])
def test_stable_verdicts(claims, name, tmp_path):
    pytest.importorskip("matplotlib")
    script, protocol = claims[name], claims["protocol"]
    found, values = script.run(small=True)
    assert list(found) == list(script.CLAIMS)
    verdicts = {key: protocol.verdict(outcomes) for key, outcomes in found.items()}
    assert {key: verdicts[key] for key in STABLE[name]} == STABLE[name], "\n".join(protocol.lines(script.CLAIMS, found))
    protocol.write(script.draw(values), tmp_path / "a.svg")
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
@pytest.mark.parametrize("name", [p.stem for p in FOLDER.glob("[a-z]*.py") if p.stem not in {*STABLE, "protocol"}])
def test_the_others_run(claims, name, tmp_path):
    pytest.importorskip("matplotlib")
    script, protocol = claims[name], claims["protocol"]
    found, values = script.run(small=True)
    assert list(found) == list(script.CLAIMS)
    assert all(protocol.verdict(outcomes) for outcomes in found.values())
    protocol.write(script.draw(values), tmp_path / "a.svg")


def test_pictures_are_short_but_not_what_is_read_in_them(claims, tmp_path):
    """Coordinates have one decimal; texts are as drawn. A legend above the axes covers none of them."""
    pytest.importorskip("matplotlib")
    protocol = claims["protocol"]
    picture, ax = protocol.figure()
    protocol.bars(ax, ["a 0.125", "b"], {"rate 0.01": [0.31, 0.42], "rate 0.0125": [0.325, 0.275]})
    ax.set_xticks([0.125, 0.25], ["0.125", "0.25"])
    protocol.legend(ax)
    protocol.write(picture, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    read = {element.text for element in ET.fromstring(text).iter() if element.text and element.text.strip()}
    assert {"a 0.125", "0.125", "0.25", "rate 0.01", "rate 0.0125"} <= read
    assert not re.search(r"\d\.\d\d", re.sub(">[^<]*<", "><", text))
    box, legend = ax.get_tightbbox(), picture.legends[0].get_window_extent()
    assert legend.y0 >= box.y1 - 1


def test_the_rule(claims):
    """Against SciPy's paired t-test, and on cases that can be seen."""
    protocol = claims["protocol"]
    rng = np.random.default_rng(3)
    for shift in (-0.02, -0.004, 0.0, 0.004, 0.02):
        a, b = rng.normal(0.9, 0.01, 8) + shift, rng.normal(0.9, 0.01, 8)
        low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
        np.testing.assert_allclose(protocol.interval(a - b), (low, high), rtol=1e-10)
    base = np.array([0.90, 0.91, 0.92, 0.93])
    wobble = np.array([1, -1, 1, -1]) * 1e-4
    words = {0.02: "better", -0.02: "worse", 0.001: "equal"}
    assert {g: protocol.compare("", base + g + wobble, base).word for g in words} == words
    assert protocol.compare("", base + [0.05, -0.05, 0.05, -0.05], base).word == "undecided"
    assert protocol.compare("", base + 0.02 + wobble, base, margin=0.05).word == "equal"
    assert protocol.not_worse("", base - 0.005 + wobble, base).word == "true"
    assert protocol.not_worse("", base - 0.05 + wobble, base).word == "false"
    words = [protocol.check("", values, lambda x: x > 1).word for values in ([2, 3], [0, 1], [0, 2])]
    assert words == ["true", "false", "undecided"]


@pytest.mark.parametrize("words, verdict", [
    (["better", "true"], "holds"), (["better", "equal"], "depends"), (["true", "undecided"], "depends"),
    (["equal", "undecided"], "does not hold"), (["worse"], "does not hold"), (["undecided"] * 2, "undecided"),
])  # fmt: skip
def test_verdicts(claims, words, verdict):
    protocol = claims["protocol"]
    assert protocol.verdict([protocol.Outcome("", word, "") for word in words]) == verdict


def test_the_page_is_that_of_the_scripts(claims):
    """Every claim, protocol and plot is on the page, the verdict in the table is the one below the plot."""
    page = PAGE.read_text(encoding="utf-8")
    words, table = " ".join(page.split()), page.partition("<!-- end of verdicts -->")[0]
    count = 0
    for name, script in scripts(claims).items():
        title, _, text = script.__doc__.partition("\n\n")
        assert " ".join(text.split()) in words and " ".join(script.MEANING.split()) in words, name
        assert f"](claims/{name}.svg)" in page and (PAGE.parent / "claims" / f"{name}.svg").stat().st_size < 40_000
        for notes, says in script.CLAIMS.values():
            (verdict,) = re.findall(rf"^\| {notes} \| {re.escape(says)} \| \*\*([a-z ]+)\*\* \|", table, re.M)
            assert f"\n- {says} **{verdict.capitalize()}.**\n" in page, (name, says)
            assert re.fullmatch(r"00[0-4](, 00[0-4])*", notes)
            count += 1
    assert count == len(re.findall(r"^\| 00", table, re.M)) > 80
    for name, expected in STABLE.items():
        for key, verdict in expected.items():
            assert f"{claims[name].CLAIMS[key][1]} | **{verdict}** |" in table, (name, key)


def test_every_script_is_in_the_order(claims):
    main = (FOLDER / "__main__.py").read_text(encoding="utf-8")
    order = re.search(r'ORDER = """(.*?)"""', main, re.S)[1].split()
    assert sorted(order) == sorted(scripts(claims))
