"""The site without Sphinx: its examples run and print what they say; every public name and every page is in it."""

import importlib.util
import inspect
import re
import subprocess
import types

import numpy as np
import pytest
from page_code import run_block, run_page
from places import ROOT
from scipy import special

import fastnn

DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *GUIDES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore::fastnn.diagnostics.ConsistencyWarning")
def test_examples_print_what_they_say(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare = page in (DOCS / "index.md", *GUIDES)
    assert run_page(page, compare) > 0 or not compare


def test_a_wrong_comment_is_found():
    assert run_block("print(1)  # 1\nprint('a\\nb')\n# a\n# b\nx = 1  # one\n", {}, "page") == 2
    for block in ("print(1)  # 2\n", "print(1)\n# 2\n", "for i in range(2):\n    print(i)\n# 0\n"):
        with pytest.raises(AssertionError, match="its comment says"):
            run_block(block, {}, "page")


@pytest.fixture(scope="module")
def api():
    spec = importlib.util.spec_from_file_location("api_pages", DOCS / "api_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(module, name="fastnn"):
    """Full names of all that ``dir()`` shows, modules too, and of what it shows of those."""
    names = {name}
    for key in dir(module):
        if not key.startswith("_"):
            value = getattr(module, key)
            inner = f"{name}.{key}"
            names |= shown(value, inner) if isinstance(value, types.ModuleType) else {inner}
    return names


def test_every_public_name_has_its_entry(api):
    described = re.compile(r"^\.\. (?:py:|auto)(?:module|class|function|data):: ([\w.]+)(?:\(\.\.\.\))?$", re.M)
    found = [name for text in api.pages().values() for name in described.findall(text)]
    assert len(found) == len(set(found)), "described twice"
    public = shown(fastnn)
    assert set(found) == public, sorted(set(found) ^ public)
    assert len(public) > 350
    assert public >= {
        "fastnn.Adam",
        "fastnn.SweepResult",
        "fastnn.datasets.digits.load_data",
        "fastnn.layers.Dense",
        "fastnn.ops.elu_grad",
        "fastnn.optimizers.schedules.OneCycle",
    }


def test_pages_of_modules_lead_to_every_name(api):
    """By the menu, the table of the module, or the entry that says which other name a thing has."""
    pages = api.pages()
    menu = set(pages["index.rst"].split())
    for name in shown(fastnn):
        module, _, key = name.rpartition(".")
        table = pages.get(f"{module}.rst", "").splitlines()
        entry = any(line.removesuffix("(...)").endswith(f":: {name}") for line in table)
        assert name in menu or f"   {key}" in table or entry, name


def test_an_object_is_described_where_it_is_defined(api):
    canonical = api.canonical_names(api.entries())
    pairs = {
        "fastnn.Adam": "fastnn.optimizers.Adam",
        "fastnn.initializers.he_normal": "fastnn.initializers.HeNormal",
        "fastnn.metrics.hinge": "fastnn.losses.hinge",
        "fastnn.check_gradient": "fastnn.diagnostics.check_gradient",
        "fastnn.sweep": "fastnn.sweep",
        "fastnn.models.load_model": "fastnn.saving.load_model",
    }
    assert {name: canonical[name] for name in pairs} == pairs


def test_short_names_of_docstrings(api):
    short = api.short_names()
    pairs = {
        "Dense": "fastnn.layers.Dense",
        "losses.NLLLoss": "fastnn.losses.NLLLoss",
        "metrics.hinge": "fastnn.losses.hinge",
    }
    model = short["Model.recalibrate"].removesuffix(".recalibrate")
    assert model in api.entries() and short["evaluate"] == f"{model}.evaluate"
    assert {name: short.get(name) for name in pairs} == pairs
    assert not {"BinaryCrossentropy", "metrics", "trainable", "x"} & set(short)  # two classes; arguments


def test_methods_are_on_the_page_of_their_class_or_of_a_public_base(api):
    classes = api.public_classes()
    chosen = {c: set(api.members(c, classes)) for c in classes}
    assert {"fit", "evaluate", "predict", "save", "summary", "get_weights", "weights"} <= chosen[fastnn.Sequential]
    assert "build" in chosen[fastnn.layers.Layer] and "build" not in chosen[fastnn.layers.Dense]
    checked = 0
    for cls in classes:
        for key, value in inspect.getmembers_static(cls):
            function = getattr(value, "__func__", value)
            ours = isinstance(function, types.FunctionType) and function.__module__.startswith("fastnn")
            if ours and function.__doc__ and not key.startswith("_") and key not in api.PLUMBING:
                assert any(key in chosen.get(base, ()) for base in cls.__mro__), f"{cls.__name__}.{key}"
                checked += 1
    assert checked > 500


def test_references_of_guides_exist(api):
    """Sphinx is silent about them."""
    entries = api.entries()
    classes = api.public_classes()
    members = {f"{n}.{m}" for n, v in entries.items() if v in classes for m in api.members(v, classes)}
    known = {*entries, *api.public_modules(), *members}
    checked = 0
    for page in GUIDES:
        for text in re.findall(r"\{py:\w+\}`(.*?)`", page.read_text(encoding="utf-8"), re.S):
            target = re.sub(r"^.*<(.*)>$", r"\1", text, flags=re.S)
            assert target in known, f"{page.name}: {target}"
            checked += 1
    assert checked > 40


def test_names_in_tables_of_other_libraries_exist(api):
    """The last column is fastnn's: of its names those of classes, and those with the module before them."""
    public = {*api.entries(), *api.public_modules()}
    last_parts = {name.rpartition(".")[2] for name in public}
    page = (DOCS / "guides/coming-from.md").read_text(encoding="utf-8")
    cells = [line.split(" | ")[-1] for line in page.splitlines() if line.startswith("| ")]
    code = " ".join(re.findall(r"`(.*?)`", " ".join(cells)))
    qualified = set(re.findall(r"\bfastnn(?:\.\w+)+", code))
    classes = set(re.findall(r"(?<![\w.\"])[A-Z]\w*[a-z]\w*", code))
    classes -= {"False", "None", "True", "LabelEncoder", "ParameterGrid", "ParameterSampler"}
    assert qualified <= public, sorted(qualified - public)
    assert classes <= last_parts, sorted(classes - last_parts)
    assert len(qualified) > 8 and len(classes) > 15
    methods = set(re.findall(r"\bmodel\.(\w+)", code))
    assert methods and all(hasattr(fastnn.Sequential, name) for name in methods), methods


def test_every_page_is_in_a_table_of_contents():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.M | re.S)
    listed = {word for tree in trees for word in tree.split()}
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in [*DOCS.glob("*.md"), *GUIDES]} - {"index"}
    assert pages <= listed, f"docs/index.md does not list {sorted(pages - listed)}"


def test_formulas_of_activations():
    """The table has every name, and its formulas are those of the functions."""
    page = (DOCS / "guides/activations.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| `([^`]+)`(?:, `([\w=., ]+)`)?.*\|$", page, re.M)
    assert {name for name, _, _ in table} == set(fastnn.activations.names()) and len(table) > 25
    x = np.linspace(-8.03, 8.03, 214)[None]  # not at a kink
    for name, formula, parameters in table:
        space = {**vars(np), "Phi": special.ndtr, "x": x} | eval(f"dict({parameters})")
        found = getattr(fastnn.activations, name)(x)
        np.testing.assert_allclose(found, eval(formula, space), rtol=1e-4, atol=1e-12, err_msg=name)


def test_included_sections_exist():
    found = [re.findall(r"^```\{include\} (\S+)\n```$", page.read_text(), re.M) for page in DOCS.glob("*.md")]
    found = [name.partition("#") for names in found for name in names]
    assert len(found) > 3 and any(anchor for _, _, anchor in found)
    for name, _, anchor in found:
        headings = re.findall(r"^## (.*)$", (DOCS / name).read_text(encoding="utf-8"), re.M)
        assert not anchor or [h.lower().replace(" ", "-") for h in headings].count(anchor) == 1


def test_generated_pages_are_ignored(api, tmp_path):
    """They are neither committed nor in an sdist; those that nobody needs any more are removed."""
    api.write(tmp_path)
    (tmp_path / "fastnn.gone.rst").write_text("")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.rst")}
    api.write(tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.rst")} == {
        p: t for p, t in before.items() if p.name != "fastnn.gone.rst"
    }
    if (DOCS.parent / ".git").exists():
        paths = ["docs/reference/index.rst", "docs/reference/names/fastnn.layers.Dense.rst", "docs/_build/index.html"]
        command = ["git", "check-ignore", *paths]
        found = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True)
        assert found.stdout.split() == paths, found.stderr
