"""What tools see: stubs that list the public names, signatures that are true, annotations on everything public.

mypy and stubtest run where they are installed; FASTNN_REQUIRE_MYPY=1 makes their absence an error.
"""

import ast
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from places import ROOT, TESTS

import fastnn
from fastnn._base import lazy, stubs

PACKAGE = Path(fastnn.__file__).parent
SCRIPTS = TESTS / "typing"
STUBS = sorted(p for p in PACKAGE.rglob("__init__.pyi") if p.parent.name != "_core")


def module_of(path):
    return ".".join(["fastnn", *path.relative_to(PACKAGE).parent.parts])


# --- names ----------------------------------------------------------------------------------------


def test_stubs_have_what_the_registries_have():
    """After a change of a registry: ``python -m fastnn._base.stubs``."""
    for path, text in stubs.stubs().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python -m fastnn._base.stubs"


def test_there_are_stubs():
    assert {"fastnn", "fastnn.layers", "fastnn.ops", "fastnn.metrics", "fastnn.saving"} <= set(map(module_of, STUBS))
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("path", STUBS, ids=module_of)
def test_the_loader_reads_the_names_that_python_reads(path):
    package = module_of(path)
    expected = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                if alias.asname == alias.name:
                    base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                    module = f"{base}.{node.module}" if node.module else f"{base}.{alias.name}"
                    expected[alias.name] = module, not node.module
    module = importlib.import_module(package)
    assert lazy.public_names(package) == expected
    assert {n for n in dir(module) if n[0] != "_"} == set(expected)
    for name, (home, whole) in expected.items():
        there = importlib.import_module(home)
        assert getattr(module, name) is (there if whole else getattr(there, name))


def test_lines_that_are_no_names():
    """Only ``from .module import Name as Name``: others are for type checkers."""
    for line in ("", "from typing import Any as Any", "from .base import Layer", "from .base import Layer as Base",
                 "import numpy as np", "__version__: str"):  # fmt: skip
        assert lazy._name_in(line, "fastnn.layers") is None
    assert lazy._name_in("from .base import Layer as Layer", "a.b") == ("Layer", ("a.b.base", False))
    assert lazy._name_in("from ..base import Layer as Layer", "a.b") == ("Layer", ("a.base", False))
    assert lazy._name_in("from . import base as base", "a.b") == ("base", ("a.b.base", True))


def test_a_stub_that_is_missing_says_so(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "__init__.py").write_text("from fastnn._base.lazy import attach\nattach(__name__)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"__init__\.pyi, the list of the names of bare, is missing"):
        importlib.import_module("bare")


def test_a_new_layer_is_noticed(monkeypatch):
    """The comparison can fail."""
    made = type("Novel", (fastnn.layers.Layer,), {"__module__": "fastnn.layers.dense"})
    monkeypatch.setattr(sys.modules["fastnn.layers.dense"], "Novel", made, raising=False)
    text = stubs.stubs()[PACKAGE / "layers" / "__init__.pyi"]
    assert "from .dense import Novel as Novel" in text
    assert text != (PACKAGE / "layers" / "__init__.pyi").read_text(encoding="utf-8")


def test_importing_a_layer_imports_no_other():
    code = "import sys; from fastnn.layers import Dense; print('fastnn.layers.noise' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]


# --- signatures -----------------------------------------------------------------------------------


def public():
    """{full name: object} of everything public but modules, by their home."""
    found, modules = {}, [fastnn]
    for module in modules:  # grows
        for name in dir(module):
            thing = getattr(module, name)
            if name[0] == "_":
                continue
            if isinstance(thing, types.ModuleType):
                modules.append(thing)
            elif callable(thing):
                found[f"{module.__name__}.{name}"] = thing
    return found


PUBLIC = public()


def methods(cls):
    """(name, function) of the public methods and properties that fastnn defines for a class."""
    for name in dir(cls):
        owner = next((b for b in cls.__mro__ if name in vars(b)), None)
        if owner is None or not owner.__module__.startswith("fastnn.") or (name[0] == "_" and name not in SPECIAL):
            continue
        value = vars(owner)[name]
        value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if inspect.isfunction(value):
            yield f"{owner.__qualname__}.{name}", value


SPECIAL = ("__init__", "__call__", "__len__", "__getitem__", "__enter__", "__exit__")


@pytest.mark.parametrize("name", PUBLIC)
def test_module_and_qualname_lead_to_the_object(name):
    """Tools, and pickle, find an object again by these two."""
    thing = PUBLIC[name]
    if is_compiled(thing):
        assert thing.__module__.startswith("fastnn._core.")
        return
    found = sys.modules[thing.__module__]
    for part in thing.__qualname__.split("."):
        found = getattr(found, part)
    assert found is thing
    assert thing.__doc__ and thing.__name__ == thing.__qualname__


@pytest.mark.parametrize("name", [n for n in PUBLIC if n.rpartition(".")[0] in
                                  ("fastnn.ops", "fastnn.losses", "fastnn.metrics", "fastnn.activations")
                                  and not inspect.isclass(PUBLIC[n])])  # fmt: skip
def test_a_signature_has_what_can_be_passed(name):
    """An argument of the signature is accepted by its name, any other is an error that names it."""
    function = PUBLIC[name]
    known = inspect.signature(function).parameters
    for key in known:
        if known[key].kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            try:
                function(**{key: object()})
            except Exception as error:
                assert "unexpected keyword" not in str(error)
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        positional = [object()] * sum(p.default is p.empty for p in known.values())
        with pytest.raises((TypeError, ValueError)):
            function(*positional, no_such_argument=1)


def test_parameters_of_rows_in_signatures():
    """By the paper or Keras: names and defaults of what kernel rows take."""
    def shown(function):
        return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty}

    assert shown(fastnn.ops.elu_grad) == {"out": None, "threads": None, "alpha": 1.0}
    assert shown(fastnn.ops.huber) == {"sample_weight": None, "out": None, "threads": None, "delta": 1.0}
    adam = {"t": 1, "threads": None, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert shown(fastnn.ops.adam_step) == adam
    assert shown(fastnn.activations.gelu) == {"approximate": False}
    assert shown(fastnn.losses.huber) == {"delta": 1.0}
    assert str(inspect.signature(fastnn.activations.softmax)) == "(x: 'ArrayLike', axis: 'int' = -1) -> 'FloatArray'"


def is_compiled(thing):
    """Whether a stub has its annotations."""
    return "cython" in type(thing).__name__ or inspect.isbuiltin(thing)


def functions():
    for name, thing in PUBLIC.items():
        if inspect.isclass(thing):
            yield from ((f"{thing.__module__}.{n}", f) for n, f in methods(thing))
        elif not is_compiled(thing):
            yield name, thing


def unannotated(function):
    signature = inspect.signature(function)
    bare = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in ("self", "cls")]
    return bare + ["return"] * (signature.return_annotation is inspect.Signature.empty)


FUNCTIONS = dict(functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_public_is_annotated(name):
    assert not unannotated(FUNCTIONS[name])


# --- mypy -----------------------------------------------------------------------------------------


def tool(name):
    """The command of a tool of mypy, in the environment of this Python."""
    path = shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        if os.environ.get("FASTNN_REQUIRE_MYPY"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


def run(command, folder):
    env = dict(os.environ)
    if PACKAGE.parent.name != "site-packages":  # otherwise it is found like any installed package
        env |= {"MYPYPATH": str(PACKAGE.parent), "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def checked(script, tmp_path):
    """What ``mypy --strict`` says of a script of a user; the package itself is not reported on."""
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\n[mypy-fastnn.*]\nignore_errors = true\n")
    command = [tool("mypy"), "--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(script)]
    return run(command, tmp_path)


def test_a_strict_user_script(tmp_path):
    found = checked(SCRIPTS / "user_script.py", tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_wrong_calls_are_errors(tmp_path):
    script = SCRIPTS / "wrong_calls.py"
    lines = enumerate(script.read_text(encoding="utf-8").splitlines(), 1)
    expected = {i: m[1] for i, line in lines if (m := re.search("# E: (.+)", line))}
    found = checked(script, tmp_path).stdout
    codes = {int(m[1]): m[2] for m in re.finditer(r"wrong_calls\.py:(\d+): error: .*\[([\w-]+)\]$", found, re.M)}
    assert len(expected) > 20
    assert codes == expected, found


def test_the_script_runs(tmp_path, monkeypatch):
    """`assert_type` does nothing when a script runs; the rest of it is what users write."""
    source = (SCRIPTS / "user_script.py").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(compile(source.partition("assert_type(fastnn.layers")[0], "user_script", "exec"), space)
    assert len(space["history"].history["loss"]) >= 1


def test_the_package_itself(tmp_path):
    """The sources next to the tests, with the options of pyproject.toml."""
    found = run([tool("mypy"), "--config-file", "pyproject.toml", "--cache-dir", str(tmp_path)], ROOT)
    assert found.returncode == 0, found.stdout + found.stderr


def test_stubs_agree_with_the_package(tmp_path):
    allowed = SCRIPTS / "stubtest_allowlist.txt"
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nallow_redefinition = true\nignore_errors = true\nignore_missing_imports = true\n")
    command = [tool("stubtest"), "fastnn", "--allowlist", str(allowed), "--mypy-config-file", str(config), "--concise"]
    found = run(command, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
