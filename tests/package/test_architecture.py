"""The rooms of the house: arrows go one way, each question is asked in one place, each list is written once.

Needs the sources beside it (a checkout or an sdist); imports nothing of fastnn.
"""

import ast
import re
from pathlib import Path

import pytest
from places import ROOT

PACKAGE = ROOT / "fastnn"
C_FILES = sorted(p for p in (ROOT / "src_c").rglob("*.[ch]"))
CYTHON_FILES = sorted(p for p in (PACKAGE / "_core").glob("*.p[yx][xd]"))
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))

# Which room a module is in, and what each room may import. The first part of a module's name decides:
# fastnn/layers/dense.py -> "layers". A new module must be given a room here.
ROOMS = {
    "core": {"_core"},
    "base": {"_base", "_declared"},
    "ops": {"ops"},
    "plot": {"plot"},
    "parts": {"variables", "initializers", "activations", "losses", "metrics", "optimizers", "regularizers",
              "constraints", "callbacks", "layers"},
    "engine": {"engine"},
    "training": {"training", "derivatives", "diagnostics"},
    "saving": {"saving"},
    "models": {"models"},
    "sweeps": {"sweeps"},
    "face": {"__init__", "__main__"},
    "data": {"datasets", "utils"},
}  # fmt: skip
BELOW = {
    "core": (),
    "base": ("core",),
    "ops": ("core", "base"),
    "plot": ("base",),
    "parts": ("core", "base", "ops", "plot"),
    "engine": ("core", "base", "ops", "parts"),
    "training": ("core", "base", "ops", "plot", "parts", "engine"),
    "saving": ("core", "base", "parts", "engine", "training"),
    "models": ("core", "base", "ops", "parts", "engine", "training", "saving"),
    "sweeps": ("core", "base", "plot", "parts", "engine", "training", "saving", "models"),
    "face": ("core", "base", "ops", "plot", "parts", "engine", "training", "saving", "models", "sweeps", "data"),
    "data": ("base",),
}
# (file, module): imported when it is first asked for. A saved file may name the classes of `models`, and a history
# writes a report of itself and finds out what is wrong with it.
LATE = {("fastnn.saving", "fastnn.models"), ("fastnn.callbacks.history", "fastnn.diagnostics.report"),
        ("fastnn.callbacks.history", "fastnn.diagnostics.doctor.check")}  # fmt: skip


def room_of(module):
    """Room of 'fastnn.layers.dense'; the package itself is the face."""
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else "__init__"
    for room, names in ROOMS.items():
        if name in names:
            return room
    raise AssertionError(f"{module}: give this module a room in {Path(__file__).name}")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def package_of(path):
    return path.relative_to(ROOT).parent.parts


def exists(parts):
    """Whether fastnn.a.b names a module (else b is a name inside of a)."""
    if len(parts) == 2 and any(parts[1] in names for names in ROOMS.values()):
        return True
    base = ROOT.joinpath(*parts)
    return base.is_dir() or any(base.with_suffix(s).exists() for s in (".py", ".pyx"))


def absolute(path, level, module, names):
    """The fastnn modules that `from <dots><module> import <names>` reads."""
    if level:
        package = package_of(path)
        base = list(package[: len(package) - (level - 1)])
    elif (module or "").split(".")[0] == "fastnn":
        base = []
    else:
        return
    base += module.split(".") if module else []
    for name in names:
        yield ".".join(base + [name] if exists([*base, name]) else base)


def python_imports(path, typing_too=False):
    """(line, module of fastnn) that a Python file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "fastnn":
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            for module in absolute(path, node.level, node.module, names):
                yield node.lineno, module


CYTHON_FROM = re.compile(r"^\s*from\s+(\.*)([\w.]*)\s+c?import\s+(.+)$")
CYTHON_IMPORT = re.compile(r"^\s*c?import\s+(fastnn[\w.]*)")


def cython_imports(path):
    text = re.sub(r'""".*?"""', lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        if found := CYTHON_FROM.match(line):
            names = [n.split()[0] for n in re.split(r"[,()]", found[3]) if n.split()]
            for module in absolute(path, len(found[1]), found[2], names or ["*"]):
                yield number, module
        elif found := CYTHON_IMPORT.match(line):
            yield number, found[1]


def test_there_is_something_to_check():
    assert len(C_FILES) > 8 and len(CYTHON_FILES) > 2 and len(PYTHON_FILES) > 10


@pytest.mark.parametrize(
    "path", PYTHON_FILES + CYTHON_FILES, ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_go_one_way(path):
    room = room_of(module_of(path))
    imports = python_imports(path) if path.suffix == ".py" else cython_imports(path)
    for line, module in imports:
        # Names that fastnn/__init__.py defines itself; reaching for them from below is a cycle.
        target = room_of(module)
        if (module_of(path), module) in LATE:
            continue
        assert target == room or target in BELOW[room], (
            f"{path.relative_to(ROOT)}:{line}: {room} must not import {module} ({target})"
        )


def circles(imports):
    """Sets of modules that import each other, of {module: modules it imports} (Tarjan 1972)."""
    number, low, path, found = {}, {}, [], []

    def visit(module):
        number[module] = low[module] = len(number)
        path.append(module)
        for other in sorted(imports.get(module, ())):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in path:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            at = path.index(module)
            if len(path) - at > 1:
                found.append(set(path[at:]))
            del path[at:]

    for module in sorted(imports):
        if module not in number:
            visit(module)
    return found


def test_no_circle_of_files():
    """Imports within functions count; those for type checkers do not."""
    imports = {}
    for path in PYTHON_FILES + CYTHON_FILES:
        module = module_of(path)
        found = python_imports(path) if path.suffix == ".py" else cython_imports(path)
        imports.setdefault(module, set()).update(name for _, name in found if name not in (module, "fastnn"))
    assert circles(imports) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "e"}, "e": {"d"}}) == [{"b", "c"}, {"d", "e"}]


def test_the_check_of_imports_can_fail(tmp_path):
    path = PACKAGE / "layers" / "dense.py"
    assert list(absolute(path, 1, "base", ["Layer"])) == ["fastnn.layers.base"]
    assert list(absolute(path, 2, "engine", ["program"])) == ["fastnn.engine.program"]
    assert list(absolute(path, 2, "engine.engine", ["Engine"])) == ["fastnn.engine.engine"]
    assert list(absolute(path, 0, "numpy", ["array"])) == []
    assert room_of("fastnn.engine.program") not in BELOW[room_of("fastnn.layers.dense")]
    assert room_of("fastnn.ops") not in BELOW[room_of("fastnn._core.executor")]


# --- models: verbs that are functions ---------------------------------------------------------------

MODEL = PACKAGE / "models" / "model.py"
LIMITED = [p for p in PYTHON_FILES if p.parent.name in ("models", "training", "data", "saving")]
LIMITED += [PACKAGE / "engine" / "engine.py"]


def length(function):
    """Lines of the body of a function, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", LIMITED, ids=lambda p: str(p.relative_to(ROOT)))
def test_lengths(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    assert [f.name for f in functions_of(ast.parse(text)) if length(f) > 60] == []


def test_methods_of_models_are_documented_and_short():
    """What they do is in functions that take the model."""
    for path in (MODEL, MODEL.with_name("base.py")):
        [cls] = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
        assert len(cls.bases) == 1, f"{cls.name}: expected a single base class, got mixins"
        for method in functions_of(cls):
            if not method.name.startswith("_") and ast.get_docstring(method):
                assert length(method) <= 9, f"{method.name} of {cls.name}"


# --- src_c ----------------------------------------------------------------------------------------

LIBC = {
    "emmintrin.h", "float.h", "limits.h", "math.h", "sched.h", "signal.h", "stdalign.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdlib.h", "string.h", "time.h", "immintrin.h", "cpuid.h", "arm_neon.h", "unistd.h",
    "errno.h", "sys/syscall.h", "complex.h",
}  # fmt: skip


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)


@pytest.mark.parametrize("path", C_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_c_core_needs_libc_only(path):
    text = without_comments(path.read_text())
    for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", text, re.M):
        assert name in LIBC, f"{path.name} includes <{name}>"
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M):
        places = (path.parent / name, ROOT / "src_c" / name, ROOT / "src_c" / "include" / name)
        inside = [p for p in places if p.exists() and (ROOT / "src_c") in p.resolve().parents]
        assert inside, f'{path.name} includes "{name}", which is not in src_c'
    # Serial, silent, and without an allocation: threads, messages and memory belong to those above.
    for word in (
        "malloc",
        "calloc",
        "realloc",
        "free",
        "printf",
        "fprintf",
        "puts",
        "exit",
        "abort",
    ):
        assert not re.search(rf"\b{word}\s*\(", text), f"{path.name} calls {word}"
    assert "#pragma omp" not in text and "Py_" not in text


# --- one place for each question --------------------------------------------------------------------


def users(pattern):
    """Modules (without the suffix) whose text, comments left out, has the pattern."""
    found = set()
    for path in PYTHON_FILES + CYTHON_FILES:
        text = re.sub(r'"""(?!\n    #).*?"""', "", path.read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"#(?!include).*", "", text)
        if re.search(pattern, text):
            found.add(module_of(path))
    return found


def test_openmp_is_asked_in_one_module():
    assert users(r"\bomp_\w+\(|cimport openmp|include <omp\.h>") <= {"fastnn._core.threads"}


def test_no_blas():
    """Its threads break equal bits, oversubscribe, and hang after a fork."""
    assert users(r"cython_blas|cython_lapack") == set()


def test_the_c_core_has_one_window():
    assert users(r'extern from "fnn\.h"') == {"fastnn._core.kernels"}


def test_files_that_run_code_are_never_read():
    assert users(r"\bimport (pickle|marshal|shelve|dill|cloudpickle)\b|allow_pickle=True") == set()


def test_reference_is_independent():
    path = ROOT / "tests" / "reference.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        assert all(m.split(".")[0] in {"numpy", "math", "__future__"} for m in modules), modules


# --- a list is written once -------------------------------------------------------------------------


def rows():
    """{list: names} of every X-macro list in src_c/formulas and src_c/loops that Python has names for."""
    lists = {}
    for path in C_FILES:
        text = path.read_text().replace("\\\n", " ")
        for name, body in re.findall(r"^#\s*define\s+(FNN_\w+)\(X\)(.*)$", text, re.M):
            if name in {"FNN_ACTIVATIONS", "FNN_OPTIMIZERS", "FNN_POINT_LOSSES", "FNN_ROW_LOSSES"}:
                names = re.findall(r"\bX\(\s*(\w+)", body)
                if names:
                    lists.setdefault(name, set()).update(names)
    return lists


def literal_names(path):
    """Every literal list, tuple, set or dict of a file, as (line, the strings in it or its keys)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = node.elts
        elif isinstance(node, ast.Dict):
            items = node.keys
        else:
            continue
        names = {
            i.value.lower()
            for i in items
            if isinstance(i, ast.Constant) and isinstance(i.value, str)
        }
        yield node.lineno, names


def test_rows_are_found():
    found = rows()
    assert {"relu", "elu", "selu", "tanh"} <= found["FNN_ACTIVATIONS"]
    assert {"sgd", "adam"} <= found["FNN_OPTIMIZERS"]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_formula_list_is_written_twice(path):
    if module_of(path) == "fastnn":
        pytest.skip("the face re-exports classes by name")
    for line, names in literal_names(path):
        for table, members in rows().items():
            again = names & members
            assert len(again) < max(3, len(members) / 2), (
                f"{path.relative_to(ROOT)}:{line} repeats the rows of {table}: {sorted(again)}"
            )
