"""The tests see the installed package: never the source folder of the same name, unless built in place."""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _built_in_place():
    core = ROOT / "fastnn" / "_core"
    return any((core / f"kernels{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


# Child processes: a test's `python -c` or `-m` does not put the current folder on the path.
os.environ["PYTHONSAFEPATH"] = "1"
# This process: `python -m pytest` put the checkout's root there.
if not _built_in_place():
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
