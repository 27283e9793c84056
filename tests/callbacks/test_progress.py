"""What training prints: on a terminal, in a notebook, in a file; what stays on the screen, and what never gets lost."""

import re
import sys

import pytest
from progress_tools import Stream, Terminal, X, Y, kept, model, screen

import fastnn
from fastnn import callbacks as cb
from fastnn.callbacks.progress import Progress


class Takes(cb.Callback):
    """Lets epochs take so many seconds of a clock."""

    def __init__(self, clock, seconds, then=lambda epoch: None):
        super().__init__()
        self.clock, self.seconds, self.then = clock, seconds, then

    def on_epoch_begin(self, epoch, logs=None):
        self.clock.now += self.seconds

    def on_epoch_end(self, epoch, logs=None):
        self.then(epoch)


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
