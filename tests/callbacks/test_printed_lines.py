"""The lines that `fit` prints, in a pipe and on a terminal."""

import io
import re

import pytest
from callback_tools import X, Y, model

from fastnn.callbacks.progress import Progress


def test_lines_in_a_pipe(capsys):
    model(metrics=["mae"]).fit(X, Y, epochs=3, validation_split=0.2)
    out = capsys.readouterr().out
    assert not re.search(r"[^\n -~]", out)  # no control characters
    lines = out.splitlines()
    assert len(lines) == 3
    pattern = r"Epoch 1/3 - \d.*s - loss: [\d.]+ - mae: [\d.]+ - val_loss: [\d.]+ - val_mae: [\d.]+ - [\d,]+/s"
    assert re.fullmatch(pattern, lines[0])


@pytest.mark.parametrize("verbose, lines", [("auto", 1), (0, 0), (1, 1), (2, 1)])
def test_verbose(capsys, verbose, lines):
    m = model()
    m.fit(X, Y, verbose=verbose)
    assert len(capsys.readouterr().out.splitlines()) == lines
    m.evaluate(X, Y, verbose=verbose)
    assert len(capsys.readouterr().out.splitlines()) == lines
    m.predict(X, verbose=verbose)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="verbose"):
        m.fit(X, Y, verbose=3)


def test_no_live_line_in_a_pipe(monkeypatch):
    monkeypatch.setattr("fastnn.callbacks.progress.EVERY", 0.0)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    progress = Progress(1)
    progress.start("Epoch 1/1", 100)
    progress.update(50, {"loss": 0.5})
    progress.finish({"loss": 0.125})
    assert progress.out.getvalue().count("Epoch") == 1 and "\r" not in progress.out.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_live_line(monkeypatch):
    monkeypatch.setattr("fastnn.callbacks.progress.EVERY", 0.0)
    monkeypatch.setattr("sys.stdout", Terminal())
    progress = Progress("auto")
    progress.start("Epoch 1/1", 100)
    progress.update(50, {"loss": 0.5})
    progress.update(90, {"loss": 0.25})
    progress.finish({"loss": 0.125})
    screen = progress.out.getvalue().split("\r")
    assert "50/100" in screen[1] and "loss: 0.5000" in screen[1] and "==========." in screen[1]
    assert screen[-1].startswith("Epoch 1/1") and screen[-1].endswith("/s\n")
    progress = Progress("auto")
    progress.start("Sweep", 100)
    progress.update(0, {})
    assert "0/100" in progress.out.getvalue().split("\r")[-1] and "left" not in progress.out.getvalue().split("\r")[-1]
    progress.finish({"stopped": 4})
    assert " - stopped: 4 - " in progress.out.getvalue()
    assert max(map(len, screen)) < 200 and "\x1b" not in progress.out.getvalue()
