"""Where training prints: terminals, pipes, files, no stream at all; and in processes of their own."""

import os
import re
import subprocess
import sys

import pytest
from progress_tools import OutStream, Stream, Terminal, X, Y, kept, model, screen

from fastnn.callbacks import progress


def test_streams(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")

    class Colab(OutStream):
        pass

    kinds = [(Terminal(), "terminal"), (Stream(), None), (OutStream(), "notebook"), (Colab(), "notebook"), (None, None)]
    for stream, kind in kinds:
        assert progress.screen(stream) == kind
    monkeypatch.setenv("TERM", "dumb")
    assert progress.screen(Terminal()) is None and progress.screen(OutStream()) == "notebook"


def test_verbose_2_is_a_line_an_epoch_everywhere(live):
    out = live()
    model().fit(X, Y, epochs=40, verbose=2)
    assert kept(out) == list(range(1, 41)) and len(out.calls) == 40 and "\r" not in out.getvalue()


def test_no_stream_at_all(monkeypatch):
    """As under pythonw."""
    monkeypatch.setattr("sys.stdout", None)
    model().fit(X, Y, epochs=2)


def test_a_stream_that_can_only_write(monkeypatch):
    class Log:
        text = ""

        def write(self, text):
            self.text += text

    log = Log()
    monkeypatch.setattr("sys.stdout", log)
    model().fit(X, Y, epochs=2)
    assert log.text.count("\n") == 2


# --- in processes of their own ------------------------------------------------------------------------

CODE = """
import numpy as np, fastnn
x = np.random.default_rng(0).normal(size=(64, 3))
model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
model.compile("sgd", "mse", seed=0)
history = model.fit(x, np.cos(9 * x[:, 0]), epochs=200, verbose={verbose})
print(f"{{history.history['loss'][-1]:.4f}}")
"""


def in_terminal(code, **env):
    """What a child writes to a terminal of its own."""
    mine, its = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=its, stderr=its, env={**os.environ, **env}
    )
    os.close(its)
    found = b""
    while True:
        try:
            part = os.read(mine, 65536)
        except OSError:  # Linux: the child has ended
            part = b""
        if not part:
            break
        found += part
    os.close(mine)
    assert child.wait(timeout=60) == 0, found
    return found.decode().replace("\r\n", "\n")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("more", [{}, {"NO_COLOR": "1"}], ids=["colour", "NO_COLOR"])
def test_200_short_epochs_on_a_terminal(more):
    text = in_terminal(CODE.format(verbose="'auto'"), TERM="xterm-256color", COLUMNS="100", **more)
    lines = screen(text)
    assert re.match(r"Epoch 200/200 - [\d.]+ms - loss: " + lines[-2], lines[-3]), lines
    assert len(lines) < 30 and "\x1b" not in text  # of 200; a busy machine may keep a line a second
    assert "\r" in text


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_dumb_terminal_gets_lines():
    text = in_terminal(CODE.format(verbose=1), TERM="dumb")
    assert "\r" not in text and len(text.splitlines()) == 201


@pytest.mark.parametrize("verbose, lines", [("'auto'", 200), (1, 200), (2, 200), (0, 0)])
def test_200_short_epochs_in_a_file(tmp_path, verbose, lines):
    path = tmp_path / "log.txt"
    with open(path, "wb") as file:
        subprocess.run([sys.executable, "-c", CODE.format(verbose=verbose)], stdout=file, check=True, timeout=60)
    text = path.read_bytes().decode()
    assert "\r" not in text and "\x1b" not in text
    *epochs, loss = text.splitlines()
    assert len(epochs) == lines
    assert not epochs or re.match(rf"Epoch 200/200 - [\d.]+m?s - loss: {loss}", epochs[-1])
