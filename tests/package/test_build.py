"""How the package is built: what the commands leave in a checkout, and what they compile again.

A compiler that writes empty files stands in for the real one; Cython and setuptools are the real ones.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import ROOT

pytest.importorskip("Cython")
if int(pytest.importorskip("setuptools").__version__.split(".")[0]) < 77:
    pytest.skip("needs setuptools >= 77, as pyproject.toml says", allow_module_level=True)
if not (ROOT / "setup.py").is_file() or os.name != "posix":
    pytest.skip("needs a checkout", allow_module_level=True)

COMPILER = """\
import sys, pathlib
out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1]) if "-o" in sys.argv else None
with open({log!r}, "a") as log:
    log.write(" ".join(a for a in sys.argv if a.endswith((".c", ".so"))) + "\\n")
if out:
    out.write_bytes(b"")
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy, with two small modules for the large ones, which Cython takes seconds for."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    built = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "*.c", "*.html", "include")
    shutil.copytree(ROOT / "fastnn", folder / "fastnn", ignore=built)
    shutil.copytree(ROOT / "src_c", folder / "src_c")
    for path in [*(folder / "fastnn" / "_core").glob("*.p[yx][xd]")]:
        path.unlink()
    for name in ("kernels", "packing"):
        (folder / "fastnn" / "_core" / f"{name}.pyx").write_text("N = 1\n")
    return folder


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts}


def run(checkout, *command, more=""):
    """Run Python in a checkout, with `more` code in the compiler; the files that the compiler was called for."""
    log = checkout.parent / "compiled"
    log.write_text("")
    compiler = checkout.parent / "compiler.py"
    compiler.write_text(COMPILER.format(log=str(log)) + more)
    temporary = checkout.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "CC": f"{sys.executable} {compiler}", "TMPDIR": str(temporary)}
    environment.pop("PYTHONPATH", None)
    found = subprocess.run([sys.executable, *command], cwd=checkout, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert not list(temporary.glob("fastnn-build-*"))
    return [Path(name).stem for line in log.read_text().splitlines() for name in line.split() if name.endswith(".c")]


def hook(name, *arguments):
    """A step of pip's: a function of the backend, in a process of its own (PEP 517, PEP 660)."""
    return ["-c", f"from setuptools import build_meta; build_meta.{name}(*{arguments!r})"]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_pip_leaves_nothing_but_modules_of_editable_installs(checkout, kind):
    before = files(checkout)
    out = checkout.parent / "out"
    out.mkdir()
    run(checkout, *hook(f"get_requires_for_build_{kind}"))
    run(checkout, *hook(f"prepare_metadata_for_build_{kind}", str(out)))
    assert files(checkout) == before
    compiled = run(checkout, *hook(f"build_{kind}", str(out)))
    assert {"unit_scalar", "cpu", "kernels", "packing"} <= {*compiled} and len({*compiled}) == len(compiled)
    new = files(checkout) - before
    [wheel] = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        modules = [n for n in archive.namelist() if n.endswith(".so")]
    if kind == "wheel":
        assert not new
        assert {Path(n).name.split(".")[0] for n in modules} == {"kernels", "packing"}
    else:
        assert {Path(n).suffix for n in new} == {".so"} and not modules
        assert {Path(n).name.split(".")[0] for n in new} == {"kernels", "packing"}


def test_an_sdist_has_the_metadata_and_the_checkout_has_not(checkout):
    before = files(checkout)
    out = checkout.parent / "out"
    out.mkdir()
    run(checkout, *hook("get_requires_for_build_sdist"))
    run(checkout, *hook("build_sdist", str(out)))
    assert files(checkout) == before
    [archive] = out.glob("*.tar.gz")
    shutil.unpack_archive(archive, out)
    [folder] = [p for p in out.iterdir() if p.is_dir()]
    assert (folder / "PKG-INFO").is_file() and (folder / "fastnn" / "_core" / "packing.pyx").is_file()
    assert not list(folder.rglob("*.so")) and not (folder / "build").exists()


def test_an_sdist_has_the_sources_of_the_site_and_nothing_generated(checkout):
    generated = shutil.ignore_patterns("reference", "_build", "__pycache__")
    shutil.copytree(ROOT / "docs", checkout / "docs", ignore=generated)
    for name in ("_build/index.html", "reference/index.rst", "reference/names/fastnn.layers.Dense.rst"):
        path = checkout / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("generated")
    sources = {n for n in files(checkout / "docs") if (ROOT / "docs" / n).is_file() and not n.startswith("reference")}
    out = checkout.parent / "out"
    out.mkdir()
    run(checkout, *hook("build_sdist", str(out)))
    [archive] = out.glob("*.tar.gz")
    shutil.unpack_archive(archive, out)
    [folder] = [p for p in out.iterdir() if p.is_dir()]
    assert {n for n in files(folder / "docs") if (folder / "docs" / n).is_file()} == sources
    assert {"conf.py", "api_pages.py", "index.md", "guides/dropout.md"} <= sources


def test_in_place_what_has_changed_is_compiled_again(checkout):
    build = ["setup.py", "build_ext", "--inplace"]
    assert {"unit_scalar", "kernels", "packing"} <= {*run(checkout, *build)}
    assert {p.name.split(".")[0] for p in (checkout / "fastnn" / "_core").glob("*.so")} == {"kernels", "packing"}
    assert not list(checkout.glob("*.egg-info"))
    assert [n for n in run(checkout, *build) if n != "probe"] == []
    path = checkout / "fastnn" / "_core" / "packing.pyx"
    path.write_text("N = 2\n")
    assert [n for n in run(checkout, *build) if n != "probe"] == ["packing"]


def test_files_are_compiled_at_the_same_time(checkout):
    """Each compiler of two waits until the other is there: one after the other they would not end."""
    meeting = checkout.parent / "meeting"
    meeting.mkdir()
    wait = (
        f"import os, time\nmeeting = pathlib.Path({str(meeting)!r})\n"
        "if any(a.endswith('.c') and 'probe' not in a for a in sys.argv):\n"
        "    (meeting / str(os.getpid())).write_text('')\n"
        "    end = time.monotonic() + 60\n"
        "    while len(list(meeting.iterdir())) < 2:\n"
        "        time.sleep(0.01)\n"
        "        if time.monotonic() > end: sys.exit('alone')\n"
    )
    run(checkout, "setup.py", "build_ext", "--inplace", "--parallel", "2", more=wait)
    assert len(list(meeting.iterdir())) > 2
