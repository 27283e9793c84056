"""Every example in a docstring, in the README and in docs/ runs and gives what it says; all of it is described."""

import doctest
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
from places import ROOT

import fastnn

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    for info in pkgutil.walk_packages(fastnn.__path__, "fastnn."):
        if "_core" not in info.name and not info.name.endswith("__main__"):
            yield info.name


MODULES = ["fastnn", *modules()]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    for test in finder.find(module, extraglobs={"fastnn": fastnn, "np": np}):
        fastnn.set_random_seed(0)
        output = []
        doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=output.append)
        assert not output, "".join(output)


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(len(t.examples) for m in MODULES for t in finder.find(importlib.import_module(m)))
    assert found >= 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """One after the other in one namespace, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    space = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        fastnn.set_random_seed(0)
        exec(compile(block, page.name, "exec"), space)  # noqa: S102


@pytest.mark.parametrize("name", [m for m in MODULES if hasattr(importlib.import_module(m), "__all__")])
def test_everything_public_is_described(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for key in module.__all__:
        thing = getattr(module, key)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{key} has no docstring"
