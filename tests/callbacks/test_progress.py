"""What training prints: on a terminal, in a notebook, in a file; what stays on the screen, and what never gets lost."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import callbacks as cb
from fastnn.callbacks import progress
from fastnn.callbacks.progress import Progress

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ np.ones((3, 1))


class Stream(io.StringIO):
    """Text as a whole, and call by call."""

    terminal = False

    def __init__(self):
        super().__init__()
        self.calls, self.flushed = [], 0

    def write(self, text):
        self.calls.append(text)
        return super().write(text)

    def flush(self):
        self.flushed += 1

    def isatty(self):
        return self.terminal


class Terminal(Stream):
    terminal = True


class OutStream(Stream):
    """As ipykernel's, which is no terminal."""


OutStream.__module__ = "ipykernel.iostream"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


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


def screen(text):
    """What a terminal shows of a text with carriage returns."""
    lines, at = [""], 0
    for part in re.split(r"([\r\n])", text):
        if part == "\r":
            at = 0
        elif part == "\n":
            lines.append("")
            at = 0
        else:
            lines[-1] = lines[-1][:at] + part + lines[-1][at + len(part) :]
            at += len(part)
    return [line.rstrip() for line in lines]


def model():
    fastnn.set_random_seed(0)
    m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    m.compile("sgd", "mse")
    return m


class Takes(cb.Callback):
    """Lets epochs take so many seconds of a clock."""

    def __init__(self, clock, seconds, then=lambda epoch: None):
        super().__init__()
        self.clock, self.seconds, self.then = clock, seconds, then

    def on_epoch_begin(self, epoch, logs=None):
        self.clock.now += self.seconds

    def on_epoch_end(self, epoch, logs=None):
        self.then(epoch)


def kept(stream):
    """The epochs whose lines are on the screen."""
    lines = screen(stream.getvalue())
    assert lines[-1] == ""  # the cursor is in an empty line
    return [int(re.match(r"Epoch (\d+)/", line)[1]) for line in lines[:-1]]


# --- exact texts --------------------------------------------------------------------------------------


def test_a_long_epoch_has_a_live_line(clock, monkeypatch):
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    line = Progress(1)
    line.start("Epoch 1/2", 1000)
    for now, done in ((0.05, 100), (0.2, 250), (0.25, 300), (0.4, 500)):
        clock.now = 100 + now
        line.update(done, {"loss": 0.5})
    clock.now = 100.8
    line.finish({"loss": 0.25, "accuracy": 1e-5})
    bar = "Epoch 1/2 - [{:.<20}] {}/1000 - loss: 0.5000 - {} left - 1,250/s"
    first, second = bar.format("=====", 250, "1s"), bar.format("==========", 500, "0s")
    last = "Epoch 1/2 - 800ms - loss: 0.2500 - accuracy: 1e-05 - 1,250/s"
    assert out.calls == ["\r" + first, "\r" + second, "\r" + " " * len(second) + "\r" + last + "\n"]
    assert screen(out.getvalue()) == [last, ""]


def test_short_epochs_share_a_line(clock, monkeypatch):
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    with Progress("auto") as line:
        for epoch in range(1, 5):
            line.start(f"Epoch {epoch}/4", 10)
            clock.now += 0.06
            line.finish({"loss": epoch / 10}, keep=False)
    text = "Epoch {}/4 - 60.0ms - loss: 0.{}000 - 167/s"
    # 0.06 s and 0.12 s apart: the second and fourth come too soon after the one before
    wipe = "\r" + " " * len(text.format(3, 3)) + "\r"
    assert out.calls == ["\r" + text.format(1, 1), "\r" + text.format(3, 3), wipe + text.format(4, 4) + "\n"]


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_a_file_gets_every_epoch_and_one_call_a_line(clock, monkeypatch, verbose):
    out = Stream()
    monkeypatch.setattr("sys.stdout", out)
    with Progress(verbose) as line:
        assert sys.stdout is out  # nothing to guard
        for epoch in range(1, 4):
            line.start(f"Epoch {epoch}/200", 10)
            clock.now += 0.004
            line.update(5, {"loss": 1.0})
            line.finish({"loss": epoch / 10}, keep=False)
    assert out.calls == [f"Epoch {e}/200 - 4.00ms - loss: 0.{e}000 - 2,500/s\n" for e in (1, 2, 3)]
    assert out.flushed == 3


@pytest.mark.parametrize(
    "seconds, text",
    [(0.00012, "0.12ms"), (0.0034, "3.40ms"), (0.01234, "12.3ms"), (0.4567, "457ms"), (0.99949, "999ms"),
     (0.9996, "1.00s"), (1.234, "1.23s"), (9.999, "10.0s"), (59.94, "59.9s"), (59.96, "1m00s"), (125.4, "2m05s"),
     (3599.6, "1h00m"), (3725, "1h02m"), (90061, "25h01m")],
)  # fmt: skip
def test_durations(clock, monkeypatch, seconds, text):
    out = Stream()
    monkeypatch.setattr("sys.stdout", out)
    clock.now = 0.0
    line = Progress(2)
    line.start("Epoch 1/1", 1)
    clock.now = seconds
    line.finish({})
    assert out.getvalue().split(" - ")[1] == text


def test_a_long_line_is_cut_on_a_terminal_while_it_lives(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    line = Progress(1)
    line.start("Epoch 1/1", 10)
    clock.now += 1
    line.update(5, {f"metric_{i}": 1.0 for i in range(10)})
    assert len(out.calls[0]) == 1 + 39
    line.finish({f"metric_{i}": 1.0 for i in range(10)})
    assert "metric_9: 1.0000 - 10/s\n" in out.calls[1]


# --- fit ----------------------------------------------------------------------------------------------


def test_few_epochs_keep_their_lines(clock, live):
    out = live()
    model().fit(X, Y, epochs=20, callbacks=[Takes(clock, 0.001)])
    assert kept(out) == list(range(1, 21))


def test_of_many_short_epochs_about_one_a_second_is_kept_and_the_last(clock, live):
    out = live()
    model().fit(X, Y, epochs=75, callbacks=[Takes(clock, 0.0625)])
    assert kept(out) == [16, 32, 48, 64, 75]  # 16 epochs are a second


def test_of_many_long_epochs_all_are_kept(clock, live):
    out = live()
    model().fit(X, Y, epochs=30, callbacks=[Takes(clock, 1.5)])
    assert kept(out) == list(range(1, 31))


def test_the_line_moves_between_short_epochs(clock, live):
    out = live()
    model().fit(X, Y, epochs=75, callbacks=[Takes(clock, 0.0625)])
    seen = set(re.findall(r"Epoch (\d+)/75", out.getvalue()))
    assert len(seen) >= (35 if isinstance(out, Terminal) else 9)  # every 0.1 s of 4.7, every 0.5 s
    assert len(out.calls) <= 48 + 5 and all(call.count("\n") <= 1 for call in out.calls)
    assert (out.flushed > 0) == isinstance(out, Terminal)  # a kernel waits in flush


@pytest.mark.parametrize("how", ["stop", "error", "interrupt"])
def test_the_last_epoch_is_kept_however_it_ends(clock, live, how):
    out = live()
    m = model()

    def then(epoch):
        if epoch == 36:
            if how == "stop":
                m.stop_training = True
            else:
                raise ValueError("no") if how == "error" else KeyboardInterrupt

    hooks = [Takes(clock, 0.001, then)]
    if how == "stop":
        m.fit(X, Y, epochs=100, callbacks=hooks)
    else:
        with pytest.raises(ValueError if how == "error" else KeyboardInterrupt):
            m.fit(X, Y, epochs=100, callbacks=hooks)
    assert kept(out) == [37] and sys.stdout is out
    loss = model().fit(X, Y, epochs=37, verbose=0).history["loss"][36]
    assert f"loss: {loss:.4f}" in screen(out.getvalue())[0] or f"loss: {loss:.4g}" in screen(out.getvalue())[0]


def test_an_epoch_that_is_interrupted_leaves_that_before_it(clock, live):
    """The live line of the epoch at hand stands where the last one's was."""

    out = live()
    class Interrupt(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock.now += 0.4
            if self.model.epochs_done == 25 and batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model().fit(X, Y, epochs=100, batch_size=4, callbacks=[Interrupt()])
    assert "Epoch 26/100 - [" in out.getvalue() and kept(out)[-1] == 25


def test_what_callbacks_print_has_its_own_lines(clock, live, monkeypatch):
    out = live()
    errors = Stream()
    monkeypatch.setattr("sys.stderr", errors)

    def then(epoch):
        if epoch in (3, 4):
            print("hello", epoch)
        if epoch == 7:
            print("careful", file=sys.stderr)

    model().fit(X, Y, epochs=50, callbacks=[Takes(clock, 0.01, then)])
    lines = screen(out.getvalue())
    heads = [line.split("/")[0] for line in lines]
    assert heads == ["Epoch 4", "hello 3", "Epoch 5", "hello 4", "Epoch 8", "Epoch 50", ""]
    assert errors.getvalue() == "careful\n" and sys.stdout is out and sys.stderr is errors


def test_what_callbacks_add_to_the_logs_afterwards_is_not_shown(clock, live):
    """Whether the line was written before they did or after."""
    out = live()
    add = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(more=1.0))
    model().fit(X, Y, epochs=30, callbacks=[Takes(clock, 0.01), add])
    assert "more" not in out.getvalue() and kept(out) == [30]


def test_the_bar_of_an_epoch_that_has_ended_goes_away(clock, live):
    out = live()
    line = Progress(1)
    line.start("Epoch 1/30", 10)
    clock.now += 0.6
    line.update(9, {})
    clock.now += 0.01
    line.finish({"loss": 1.0}, keep=False)
    assert screen(out.getvalue()) == ["Epoch 1/30 - 610ms - loss: 1.0000 - 16/s"]


def test_two_at_a_time_leave_the_streams_as_they_were(clock, live):
    """As threads do, whichever ends first."""
    out = live()
    for order in ((0, 1), (1, 0)):
        lines = [Progress(1), Progress(1)]
        for line in lines:
            line.__enter__()
        for i in order:
            lines[i].__exit__(None, None, None)
        assert sys.stdout is out


def test_fit_within_fit(clock, live):
    out = live()
    def then(epoch):
        if epoch == 30:
            model().fit(X, Y, epochs=40, callbacks=[Takes(clock, 0.001)])

    model().fit(X, Y, epochs=50, callbacks=[Takes(clock, 0.001, then)])
    heads = [line.split(" - ")[0] for line in screen(out.getvalue())]
    assert heads == ["Epoch 31/50", "Epoch 40/40", "Epoch 50/50", ""]
    assert sys.stdout is out


def test_a_stream_that_a_callback_puts_in_its_place_stays(clock, live):
    out = live()
    other = Stream()
    model().fit(X, Y, epochs=2, callbacks=[Takes(clock, 1, lambda epoch: setattr(sys, "stdout", other))])
    assert sys.stdout is other and kept(out) == [1, 2]


def test_validation_and_evaluate_and_predict(clock, live):
    out = live()
    m = model()
    m.fit(X, Y, epochs=2, validation_data=(X, Y))
    assert all("val_loss" in line for line in screen(out.getvalue())[:2])
    out.truncate(0)
    out.seek(0)

    class Slow(cb.Callback):
        def on_test_batch_end(self, batch, logs=None):
            clock.now += 1

        on_predict_batch_end = on_test_batch_end

    m.evaluate(X, Y, batch_size=5, callbacks=[Slow()])
    assert "Evaluation - [" in out.getvalue() and "Evaluation - 4.00s - loss" in screen(out.getvalue())[0]
    out.truncate(0)
    out.seek(0)
    m.predict(X, batch_size=5, callbacks=[Slow()])
    assert "Prediction - [" in out.getvalue() and screen(out.getvalue()) == [""]
    with pytest.raises(ZeroDivisionError):
        m.predict(X, callbacks=[cb.LambdaCallback(on_predict_begin=lambda logs: 1 / 0)])
    assert sys.stdout is out


def test_a_long_validation_has_its_live_line(clock, live):
    out = live()

    class Slow(cb.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            clock.now += 1

    model().fit(X, Y, validation_data=(X, Y), validation_batch_size=4, validation_steps=4, callbacks=[Slow()])
    moving = [call.strip("\r ") for call in out.calls[:-1]]
    assert moving[0] == "Epoch 1/1 - validation - [=====...............] 4/16 - 3s left - 4/s"
    assert len(moving) == 4 and kept(out) == [1] and "Epoch 1/1 - 4.00s - loss" in out.calls[-1]


def test_steps_of_evaluate_are_what_is_counted(clock, live):
    out = live()

    class Slow(cb.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            clock.now += 1

    model().evaluate(X, Y, batch_size=4, steps=2, callbacks=[Slow()])
    assert "Evaluation - [==========..........] 4/8 - 1s left - 4/s" in out.calls[0]
    assert out.calls[-1].endswith(" - 4/s\n")  # 8 in 2 s


def test_a_sweep_and_what_its_callbacks_print(live):
    out = live()
    def build():
        m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
        m.compile("sgd", "mse")
        return m

    hook = cb.LambdaCallback(on_train_end=lambda logs: print("trained"))
    fastnn.sweep(build, 3, X, Y, callbacks=lambda: [hook], seed=0)
    lines = screen(out.getvalue())
    assert lines[:3] == ["trained"] * 3 and lines[3].startswith("Sweep - ") and sys.stdout is out


# --- which streams ------------------------------------------------------------------------------------


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
