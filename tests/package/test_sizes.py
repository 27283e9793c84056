"""No module above 500 lines, no body of a function above 60; what is still above is listed with its size.

Needs the sources beside it (a checkout or an sdist); imports nothing of fastnn.
"""

import ast
import re
from pathlib import Path

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "fastnn").is_dir())
LONGEST_MODULE, LONGEST_BODY = 500, 60
# To be split, {path or path::function: its current size}: it can only become smaller, and goes once it is within the
# limit.
STILL_TOO_LONG = {}


def python_bodies(text):
    """(name, lines of the body without docstring) of every function and method."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0


CYTHON_FUNCTION = re.compile(r"( *)(?:async def|def|cdef|cpdef)\b(?! *(?:class|struct|union|enum|extern|packed)\b)(.*)")


def cython_bodies(text):
    """The same of Cython, by indentation: a header ends at the first colon outside of brackets at the end of a line."""
    lines = re.sub(r'""".*?"""', lambda m: "\n" * m[0].count("\n"), text, flags=re.S).split("\n")
    for at, line in enumerate(lines):
        found = CYTHON_FUNCTION.match(line)
        if not found:
            continue
        end, header = at, _code(line)
        while header.count("(") > header.count(")"):
            end += 1
            header += " " + _code(lines[end])
        named = re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*\(", header)
        if not named or not header.rstrip().endswith(":"):
            continue  # a variable, a pointer to a function, or a declaration
        inside = []
        for number in range(end + 1, len(lines)):
            if lines[number].strip() and len(lines[number]) - len(lines[number].lstrip()) <= len(found[1]):
                break
            inside += [number] if _code(lines[number]).strip() else []
        yield named[1], inside[-1] - inside[0] + 1 if inside else 0


def _code(line):
    """A line without its comment (as far as that can be told without reading strings)."""
    return re.sub(r"(?:^|\s)#.*", "", line)


def sizes():
    """{path or path::function: lines} of all modules and functions; of functions of one name, the longest."""
    found = {}
    for path in sorted([*(ROOT / "fastnn").rglob("*.py"), *(ROOT / "fastnn").rglob("*.pyx")]):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        found[name] = text.count("\n")
        for function, lines in (python_bodies if path.suffix == ".py" else cython_bodies)(text):
            key = f"{name}::{function}"
            found[key] = max(lines, found.get(key, 0))
    return found


def complaints(found, exceptions):
    for key, lines in found.items():
        most = LONGEST_BODY if "::" in key else LONGEST_MODULE
        listed = exceptions.get(key)
        if listed is None and lines > most:
            yield f"{key}: {lines} lines, at most {most}: split it along what it does"
        elif listed is not None and lines <= most:
            yield f"{key}: {lines} lines, within the limit of {most}: remove its entry"
        elif listed is not None and lines != listed:
            yield f"{key}: {lines} lines, the entry says {listed}: " + (
                "it must not grow" if lines > listed else "lower the entry"
            )
    yield from (f"{key}: is gone: remove its entry" for key in exceptions if key not in found)


def test_modules_and_functions_are_short():
    assert list(complaints(sizes(), STILL_TOO_LONG)) == []


def test_sizes_are_found():
    found = sizes()
    assert sum(key.endswith(".pyx") for key in found) > 10 and len(found) > 1000
    assert found["fastnn/_base/checks.py::suggest"] > 10
    assert found["fastnn/_core/executor.pyx::work"] > 20 and found["fastnn/_core/executor.pyx::__cinit__"] > 20


def test_python_functions_are_measured():
    text = '''
class A:
    @property
    def one(self):
        """Two

        lines."""
        # why
        x = [
            1,
        ]
        def inner(): return 2
        return x

    async def empty(self):
        """Nothing."""
'''
    assert dict(python_bodies(text)) == {"one": 5, "inner": 1, "empty": 0}


def test_cython_functions_are_measured():
    text = '''
cdef int number = 3
cdef extern from "x.h":
    int declared(int)
cdef class A:
    """Text
    def not_this(): 1
    """
    cdef double *values
    cdef int method(self, int a,
                    int b=f(1)) except -1:
        """Doc."""

        # why
        if a:

            return b
        return a  # the last: line

    def other(self): # why
        return 1
cdef void (*pointer)(int) noexcept nogil
cdef inline T generic(T x) noexcept nogil:
    return x

cdef inline const char *text(): return ""
'''
    assert dict(cython_bodies(text)) == {"method": 4, "other": 1, "generic": 1}


def test_what_is_too_long_is_reported():
    """New, grown, shrunk, within the limit, gone; what is listed as it is and what is short are right."""
    found = {"a.py": 501, "b.py": 602, "c.py": 598, "d.py": 500, "e.py": 600, "f.py": 500, "a.py::g": 61, "a.py::h": 60}
    exceptions = {"b.py": 600, "c.py": 600, "d.py": 600, "e.py": 600, "z.py": 700}
    text = "\n".join(complaints(found, exceptions))
    for part in ("a.py: 501 lines, at most 500", "b.py: 602 lines, the entry says 600: it must not grow",
                 "c.py: 598 lines, the entry says 600: lower", "d.py: 500 lines, within", "z.py: is gone",
                 "a.py::g: 61 lines, at most 60"):  # fmt: skip
        assert part in text
    assert text.count("\n") == 5
