"""What training prints, exactly: lines of epochs, durations, what is cut."""

import sys

import pytest
from progress_tools import Stream, Terminal, screen

from fastnn.callbacks.progress import Progress


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


class MeasuredLogs(dict):
    """Logs of an epoch whose health was measured."""

    def __init__(self, logs, health):
        super().__init__(logs)
        self.health = health


def test_the_gradient_of_the_first_layer_relative_to_the_last_one(clock, monkeypatch):
    """Of layers with weights, in the epoch of the line; it is computed for lines that are written only."""
    from fastnn.callbacks import health_table
    from fastnn.diagnostics import Health

    out, calls = Terminal(), []
    monkeypatch.setattr("sys.stdout", out)
    ratio = health_table.gradient_ratio
    monkeypatch.setattr(health_table, "gradient_ratio", lambda *a: calls.append(a) or ratio(*a))
    health = Health(["a", "b", "c", "d"], ["Activation relu", "Dense", "BatchNormalization", "Dense"])
    nan = float("nan")
    with Progress(1) as line:
        for epoch in range(1000):
            line.start(f"Epoch {epoch + 1}/1000", 10)
            clock.now += 0.001
            measured = epoch % 100 == 50  # one step in many is sampled: the last ratio that is known
            health.append(epoch, int(measured), {"gradient_norm": [nan, 3e-9, 7.0, 50.0 + epoch]} if measured else {})
            line.finish(MeasuredLogs({"loss": 0.5}, health), keep=False)
    assert out.getvalue().endswith("Epoch 1000/1000 - 1.00ms - loss: 0.5000 - first/last gradient: 3e-12 - 10,000/s\n")
    assert len(calls) <= 15


@pytest.mark.parametrize("norms", [[], [1.0], [float("nan")] * 2, [1.0, 0.0], [1.0, float("inf")]])
def test_no_ratio_where_there_is_none(clock, monkeypatch, norms):
    from fastnn.diagnostics import Health

    out = Stream()
    monkeypatch.setattr("sys.stdout", out)
    health = Health(list("ab"[: len(norms)]), ["Dense"] * len(norms))
    line = Progress(2)
    for measured in (False, True):
        if measured:
            health.append(0, 1, {"gradient_norm": norms})
        line.start("Epoch 1/2", 10)
        clock.now += 1
        line.finish(MeasuredLogs({"loss": 0.5}, health))
    assert out.calls == ["Epoch 1/2 - 1.00s - loss: 0.5000 - 10/s\n"] * 2
