"""Tables, pictures and commands of the benchmarks' pages: names agree, and no command needs more than it installs."""

import ast
import json
import re
import sys
import tomllib

from benchmark_tools import BENCHMARKS, ROOT

import tasks  # isort: skip
from suite.rows import ROWS  # isort: skip


def test_readme_calls_the_rows_as_peers_does():
    shapes = {name: row.shape for name, row in ROWS.items()} | {name: t.shape for name, t in tasks.TASKS.items()}
    table = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.M)
    assert dict(table) == shapes


def test_picture_calls_the_rows_as_peers_does(tmp_path, monkeypatch):
    import plot
    from matplotlib.figure import Figure

    results = {n: {"shape": f"shape {n}", "summary": {"by_peer": {"jax": 2.0}}} for n in ("rl", "epoch")}
    results["sweep"] = {"summary": {"by_peer": {"sklearn": 20.0}}}  # of a file that has no shapes
    source = tmp_path / "peers.json"
    source.write_text(json.dumps({"repeats": 5, "cpu": "a CPU", "cpus": 2, "results": results}))
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: drawn.append(figure))
    plot.main(source, tmp_path / "peers.png")
    labels = [text.get_text() for text in drawn[0].axes[0].get_yticklabels()]
    assert labels == ["sweep", "epoch\nshape epoch", "rl\nshape rl"]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", BENCHMARKS / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = {"sklearn": "scikit-learn"}  # import name: distribution, where they differ


def extras():
    """{extra: names of its distributions}, those of extras that it includes too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["optional-dependencies"]

    def names(requirements):
        for text in requirements:
            inner = re.fullmatch(rf"{project['name']}\[(.*)\]", text)
            if inner:
                for extra in inner[1].split(","):
                    yield from names(listed[extra])
            else:
                yield re.match(r"[\w-]+", text)[0]

    return {extra: set(names(r)) for extra, r in listed.items()} | {"": set(names(project["dependencies"]))}


def imports(path, inside=True):
    """Distributions that a script needs: what it imports anywhere, and the files beside it as soon as they are read."""
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree) if inside else tree.body:
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module]
        for module in modules:
            beside = BENCHMARKS / f"{module.replace('.', '/')}.py"
            found |= imports(beside, False) if beside.exists() else {module.split(".")[0]}
    return {PACKAGES.get(name, name) for name in found - {*sys.stdlib_module_names, "fastnn", "suite"}}


def documented():
    """[(page, extras installed, scripts run)] of the commands that set up their environment."""
    for page in PAGES:
        for line in page.read_text().splitlines():
            if "pip install" in line and ("python -P benchmarks/" in line or "python -m benchmarks." in line):
                installed = re.search(r"pip install --quiet (?:--editable )?'?\.(?:\[([\w,]+)\])?'?", line)
                scripts = re.findall(r"python -P (benchmarks/[\w/]+\.py)", line)
                packages = re.findall(r"python -m (benchmarks\.\w+)", line)  # editable: from the checkout, built there
                scripts += [f"{name.replace('.', '/')}/__main__.py" for name in packages]
                yield page.name, (installed[1] or "").split(","), scripts


def test_documented_commands_install_what_they_import():
    known, lacking, ran = extras(), {}, set()
    for page, chosen, scripts in documented():
        ran.update(scripts)
        there = known[""].union(*(known[extra] for extra in chosen))
        for script in scripts:
            missing = imports(ROOT / script) - there
            if missing:
                lacking[page, script] = missing
    assert not lacking
    programs = {p for p in BENCHMARKS.rglob("*.py") if '__name__ == "__main__"' in p.read_text()}
    programs -= {BENCHMARKS / "count_results.py"}  # of .ci/run
    unknown = {str(p.relative_to(ROOT)) for p in programs} - ran
    assert not unknown, f"documented nowhere with what to install: {unknown}"


def test_tools_of_documented_commands_are_called_where_they_were_installed():
    """A bare `asv` is not found: the environment is not activated."""
    lines = [(page.name, line) for page in PAGES for line in page.read_text().splitlines() if line.startswith("    ")]
    bare = [(page, line) for page, line in lines if re.match(r"    (asv|pytest|ruff|pip|cython-lint) ", line)]
    assert not [each for each in bare if each[1] != "    pip install ."]
