"""Runs the Python code of a page, block by block in one namespace, and compares what is printed with the comments."""

import ast
import contextlib
import doctest
import io
import re

import fastnn

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def expected_output(lines, statement):
    """The comment after a statement, or the lines of comments below it; None if there is neither."""
    rest = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode().strip()
    if rest:
        return rest.removeprefix("#").strip()
    below = []
    for line in lines[statement.end_lineno :]:
        if not line.startswith("#"):
            break
        below.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(below) or None


def prints(statement):
    """Whether there is a call of ``print`` on the last line of a statement."""
    calls = (n for n in ast.walk(statement) if isinstance(n, ast.Call) and n.end_lineno == statement.end_lineno)
    return any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls)


def run_block(block, space, name, compare=True):
    """Run a block, statement by statement; how many outputs were compared with a comment."""
    fastnn.set_random_seed(0)
    lines, compared = block.splitlines(), 0
    for statement in ast.parse(block).body:
        output = io.StringIO()
        code = compile(ast.Module([statement], []), name, "exec")
        with contextlib.redirect_stdout(output):
            exec(code, space)  # noqa: S102
        wanted = expected_output(lines, statement) if compare and prints(statement) else None
        if wanted is not None:
            got = output.getvalue()
            source = ast.get_source_segment(block, statement)
            same = doctest.OutputChecker().check_output(wanted + "\n", got, OPTIONS)
            assert same, f"{name}: {source}\nprints\n{got}and its comment says\n{wanted}"
            compared += 1
    return compared


def run_page(page, compare=True):
    """Run a page as a reader would type it; how many outputs were compared with a comment.

    compare: whether the comment after a ``print`` is what it prints, and no explanation."""
    space, blocks = {}, BLOCK.findall(page.read_text(encoding="utf-8"))
    return sum(run_block(block, space, page.name, compare) for block in blocks)
