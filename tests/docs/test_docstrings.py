"""Every example in a docstring runs and gives what it says; everything public is described."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from page_code import OPTIONS

import fastnn


def modules():
    for info in pkgutil.walk_packages(fastnn.__path__, "fastnn."):
        if "_core" not in info.name and not info.name.endswith("__main__"):
            yield info.name


MODULES = ["fastnn", *modules()]


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


@pytest.mark.parametrize("name", [m for m in MODULES if hasattr(importlib.import_module(m), "__all__")])
def test_everything_public_is_described(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for key in module.__all__:
        thing = getattr(module, key)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{key} has no docstring"
