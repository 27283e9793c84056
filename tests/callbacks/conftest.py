"""Fixtures of the tests of what is printed."""

import pytest
from progress_tools import Clock, OutStream, Terminal

from fastnn.callbacks import progress


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "clock", clock)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    return clock


@pytest.fixture(params=[Terminal, OutStream], ids=["terminal", "notebook"])
def live(request, monkeypatch):
    """Puts a screen in the place of stdout; to be called in the test, as pytest sets stdout itself before each."""

    def put():
        stream = request.param()
        monkeypatch.setattr("sys.stdout", stream)
        return stream

    return put
