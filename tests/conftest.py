"""The tests see the installed package, never the source folder of the same name beside them.

Only where fastnn is not installed at all, a build in place (setup.py build_ext --inplace) is taken.
"""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# This process: `python -m pytest` put the checkout's root first.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
# Child processes: `python -c` and `-m` put the current folder first.
os.environ["PYTHONSAFEPATH"] = "1"
if find_spec("fastnn") is None:
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)

# A shell that starts a command with "&" has it, and all of its children, ignore Ctrl-C: tests of it would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_figures():
    """A test meets no figure of pyplot's that another test left open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def force_threads(n):
    """Have every run that is free to choose use n threads, however few cores there are, and however little pays off."""
    import fastnn
    from fastnn.engine.thread_tuner import Team

    chosen = Team.next
    fastnn.set_num_threads(n)
    Team.is_alone = lambda team: team.fixed == 1
    Team.next = lambda team: (n, 0.0) if team.fixed is None else chosen(team)


if os.environ.get("FASTNN_TEST_THREADS"):
    force_threads(int(os.environ["FASTNN_TEST_THREADS"]))
