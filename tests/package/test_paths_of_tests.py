"""Where test files lie, and that whoever names one names a file that exists."""

import re
from collections import Counter

import pytest
from places import ROOT, TESTS

if not (ROOT / "setup.py").is_file():
    pytest.skip("needs a checkout", allow_module_level=True)

FILES = sorted(TESTS.rglob("test_*.py"))
# Folders of tests/ that are no package of fastnn: what they have is in CONTRIBUTING.md.
NO_PACKAGE = {"core", "catalogues", "peers", "docs", "benchmarks", "package"}
READ = {".py", ".pyi", ".pyx", ".pxd", ".h", ".c", ".md", ".toml", ".txt", ".in", ".cfg", ".json", ".ipynb", ""}
GENERATED = {".git", ".asv", "_build", "reference", "build", "dist", "include", "__pycache__"}


def texts():
    """Relative path -> text, of what somebody wrote: .ci, documents, sources, tests."""
    tops = [".ci", "benchmarks", "docs", "examples", "fastnn", "src_c", "tests"]
    found = [p for p in ROOT.iterdir() if p.is_file()] + [p for top in tops for p in (ROOT / top).rglob("*")]
    for path in found:
        name = path.relative_to(ROOT)
        cython = path.suffix == ".c" and path.with_suffix(".pyx").exists()
        if path.is_file() and path.suffix in READ and not cython and not GENERATED & set(name.parts):
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # data without a suffix: saved models
                continue


def test_files_that_are_named_exist():
    """Both paths below tests/, in whatever file, and the bare names of test files."""
    names, named = {p.name for p in FILES}, Counter()
    lost, tested = [], 0
    for name, text in texts():
        for line, content in enumerate(text.split("\n"), 1):
            for path in re.findall(r"(?<![\w/])tests/[\w/]*\w\.(?:pyi?|txt|json|npz)\b", content):
                named[path] += 1
                lost += [f"{name}:{line}: {path}"] if not (ROOT / path).is_file() else []
            for path, test in re.findall(r"(?<![\w/])(tests/[\w/]+\.py)::(\w+)", content):
                tested += 1
                lost += [] if f"def {test}(" in (ROOT / path).read_text() else [f"{name}:{line}: {path}::{test}"]
            for base in re.findall(r"(?<![\w/])test_\w+\.py\b", content):
                lost += [f"{name}:{line}: {base}"] if base not in names else []
    assert not lost, "\n".join(lost)
    # files that name tests have been read: .ci, documents, C, tests
    assert len(named) > 40 and named["tests/engine/test_determinism.py"] > 3 and named["tests/core/test_math.py"] > 2
    assert tested


def test_folders_mirror_the_package():
    packages = {p.parent.name for p in (ROOT / "fastnn").glob("[a-z]*/__init__.py")}
    folders = {p.parent for p in FILES}
    assert all(folder.parent == TESTS for folder in folders), "test files are in folders, right in tests/"
    assert {folder.name for folder in folders} <= packages | NO_PACKAGE
    assert not NO_PACKAGE & packages
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert not [name for name in NO_PACKAGE if f"`{name}`" not in contributing]


def test_names_of_files_are_unique():
    """The folders are all on sys.path; see import-mode in pyproject.toml."""
    names = Counter(p.name for p in TESTS.rglob("*.py") if p.parent == TESTS or p.parent in {f.parent for f in FILES})
    assert len(names) > 90
    assert not [name for name, n in names.items() if n > 1 and name != "conftest.py"]  # pytest tells those apart
    assert not list(TESTS.rglob("__init__.py"))
