"""Callbacks: which hooks are called when, early stopping, schedules by epoch; and the lines `fit` prints."""

import io
import math
import re

import numpy as np
import pytest

import fastnn
from fastnn import callbacks as cb
from fastnn.callbacks.progress import Progress

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ np.ones((3, 1))


def model(optimizer="sgd", **options):
    fastnn.set_random_seed(0)
    m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    m.compile(optimizer, "mse", **options)
    return m


class Record(cb.Callback):
    """Every hook that is called, with what it is told."""

    def __init__(self, batches):
        super().__init__()
        self.seen = []
        kinds = ["train", "test", "predict"]
        names = [f"on_{k}_{w}" for k in kinds for w in ("begin", "end")]
        names += ["on_epoch_begin", "on_epoch_end"]
        if batches:
            names += [f"on_{k}_batch_{w}" for k in kinds for w in ("begin", "end")]
        for name in names:
            setattr(self, name, self.note(name))

    def note(self, name):
        return lambda *args: self.seen.append((name, *args[:-1]))


def test_hooks_of_fit_without_batches():
    record = Record(batches=False)
    model().fit(X, Y, epochs=2, batch_size=8, validation_split=0.2, callbacks=[record], verbose=0)
    epoch = [("on_epoch_begin", 0), ("on_test_begin",), ("on_test_end",), ("on_epoch_end", 0)]
    second = [(n, *(1 for _ in a)) for n, *a in epoch]
    assert record.seen == [("on_train_begin",), *epoch, *second, ("on_train_end",)]


def test_hooks_of_every_batch():
    record = Record(batches=True)
    m = model()
    m.fit(X, Y, batch_size=8, callbacks=[record], verbose=0)
    batches = [(f"on_train_batch_{w}", i) for i in range(3) for w in ("begin", "end")]
    assert record.seen[2:-2] == batches
    record.seen.clear()
    m.evaluate(X, Y, batch_size=16, callbacks=[record], verbose=0)
    m.predict(X, batch_size=16, callbacks=[record], verbose=0)
    assert [n for n, *_ in record.seen].count("on_test_batch_end") == 2
    assert [n for n, *_ in record.seen].count("on_predict_batch_end") == 2
    assert record.seen[-1] == ("on_predict_end",)


def test_single_batches_give_the_same_weights_and_history():
    fast, slow = model("adam"), model("adam")
    a = fast.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    b = slow.fit(X, Y, epochs=3, batch_size=8, verbose=0, callbacks=Record(batches=True))
    for u, v in zip(fast.get_weights(), slow.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-12)


def test_batch_hooks_are_only_called_if_overridden():
    plain, old = cb.LambdaCallback(on_epoch_end=print), cb.LambdaCallback(on_batch_end=print)
    lists = [cb.CallbackList([c]) for c in (plain, old, cb.History(), Record(True))]
    assert [hooks.per_batch("train") for hooks in lists] == [False, True, False, True]


def test_old_and_new_names_of_a_hook_are_one_call():
    calls = []

    class Both(cb.Callback):
        def on_batch_end(self, batch, logs=None):
            calls.append(("old", batch))

        def on_train_batch_end(self, batch, logs=None):
            calls.append(("new", batch))
            if batch:
                super().on_train_batch_end(batch, logs)

    model().fit(X, Y, batch_size=10, callbacks=[[Both()]], verbose=0)  # lists may be nested
    assert calls == [("new", 0), ("new", 1), ("old", 1)]


def test_list_for_a_loop_of_ones_own():
    record = Record(batches=True)
    hooks = cb.CallbackList(record, add_history=True, add_progbar=True, model=model(), epochs=3)
    assert [type(c).__name__ for c in hooks.callbacks] == ["Record", "History", "ProgbarLogger"]
    assert record.params == {"epochs": 3}
    assert record.model is hooks.callbacks[1].model
    inner = cb.CallbackList([hooks])
    assert inner.per_batch("train")
    inner.on_train_batch_begin(4)
    hooks.callbacks.pop()
    inner.on_epoch_end(2, {"loss": 1.5})
    assert record.seen == [("on_train_batch_begin", 4), ("on_epoch_end", 2)]
    assert hooks.callbacks[1].history == {"loss": [1.5]}
    with pytest.raises(TypeError, match=r"callbacks\[1\]: expected a Callback, got 'early'"):
        cb.CallbackList([record, "early"])


def test_freezing_in_a_hook_of_the_batch_holds_for_that_batch():
    m = model()
    before = m.get_weights()

    def freeze(batch, logs):
        m.layers[0].trainable = False

    m.fit(X, Y, batch_size=8, callbacks=cb.LambdaCallback(on_train_batch_begin=freeze), verbose=0)
    for old, new in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_nan_as_an_error():
    x = np.full((4, 3), np.nan)
    with pytest.raises(RuntimeError, match="batch 0: expected a finite loss, got nan"):
        model().fit(x, Y[:4], callbacks=cb.TerminateOnNaN(raise_error=True), check_finite=False, verbose=0)


def test_type_error_of_a_schedule_is_not_hidden():
    def schedule(epoch, rate):
        return rate + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        model().fit(X, Y, callbacks=cb.LearningRateScheduler(schedule), verbose=0)


def test_log_file_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,accuracy\n0,0.5\n")
    with pytest.raises(ValueError, match="expected a file with columns loss, .* got epoch, accuracy"):
        model().fit(X, Y, callbacks=cb.CSVLogger(path, append=True), verbose=0)
    assert path.read_text() == "epoch,accuracy\n0,0.5\n"


def test_logs_and_params():
    seen = {}

    class Look(cb.Callback):
        def on_train_begin(self, logs=None):
            seen.update(self.params)

        def on_epoch_end(self, epoch, logs=None):
            seen[epoch] = dict(logs)
            logs["of my own"] = 7.0

    history = model(metrics=["mae"]).fit(
        X, Y, batch_size=8, epochs=2, validation_split=0.2, callbacks=[Look()], verbose=0
    )
    assert (seen["epochs"], seen["steps"]) == (2, 2)
    assert seen["metrics"] == ["loss", "mae", "val_loss", "val_mae"] == list(seen[0])
    assert history.epoch == [0, 1]
    assert list(history.history) == [*seen["metrics"], "of my own"]  # History comes last, as in Keras


def test_logs_of_a_batch_are_the_means_so_far():
    seen, m = [], model(fastnn.SGD(0.0))
    note = cb.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    m.fit(X, Y, batch_size=8, callbacks=note, shuffle=False, verbose=0)
    squares = (m.predict(X, verbose=0) - Y) ** 2
    np.testing.assert_allclose(seen, [squares[:n].mean() for n in (8, 16, 20)], rtol=1e-5)


@pytest.mark.parametrize("as_batches", [False, True])
def test_logs_of_batches_of_evaluate_and_predict(as_batches):
    means, outputs, m = [], [], model()
    note = cb.LambdaCallback(
        on_test_batch_end=lambda batch, logs: means.append(logs),
        on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]),
    )
    parts = [slice(0, 8), slice(8, 16), slice(16, 20)]
    if as_batches:
        m.evaluate(((X[p], Y[p]) for p in parts), callbacks=note, verbose=0)
        y = m.predict(((X[p], Y[p]) for p in parts), callbacks=note, verbose=0)
    else:
        m.evaluate(X, Y, batch_size=8, callbacks=note, verbose=0)
        y = m.predict(X, batch_size=8, callbacks=note, verbose=0)
    squares = (y - Y) ** 2
    np.testing.assert_allclose([logs["loss"] for logs in means], [squares[:n].mean() for n in (8, 16, 20)], rtol=1e-5)
    for found, part in zip(outputs, parts, strict=True):
        np.testing.assert_array_equal(found, y[part])


def test_stop_training_and_lambda_callback():
    m, epochs = model(), []
    stop = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(m, "stop_training", epoch == 2))
    note = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    history = m.fit(X, Y, epochs=9, verbose=0, callbacks=[stop, note])
    assert epochs == history.epoch == [0, 1, 2]


class Feed(cb.Callback):
    """Overwrites a number in the logs, epoch by epoch; and counts epochs in the weights."""

    def __init__(self, values, name="loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.model.set_weights([np.full((3, 1), epoch), [0]])


def stopped(values, **options):
    m, name = model(metrics=["accuracy"]), options.pop("name", "loss")
    stop = cb.EarlyStopping(monitor=name, **options)
    history = m.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Feed(values, name), stop])
    return len(history.epoch), m.get_weights()[0][0, 0]


NAN = math.nan


@pytest.mark.parametrize(
    "values, options, epochs",
    [
        ([3, 2, 1, 1, 1, 1], {"patience": 2}, 5),
        ([3, 2, 2.5, 1, 2, 2], {"patience": 2}, 6),
        ([3, 2, 2, 1], {}, 3),
        ([3, 2.95, 2.9, 2.8], {"min_delta": 0.2}, 2),
        ([1, 2, 3, 2, 2], {"mode": "max", "patience": 1}, 4),
        ([1, 1.5, 1.9, 2.5], {"mode": "max", "min_delta": 1, "patience": 1}, 2),
        ([NAN, 5, 6, 7], {}, 3),
        ([1, 2, 3, 2, 2], {"name": "accuracy", "patience": 1}, 4),
        ([3, NAN, NAN, 1], {"patience": 2}, 3),
        ([NAN, NAN, 5, 4, 4], {"patience": 3}, 5),
        ([5, 4, 3, 2, 1], {"baseline": 0.5, "patience": 3}, 5),
        ([5, 6, 7, 8], {"start_from_epoch": 2, "patience": 1}, 4),
    ],
)
def test_early_stopping(values, options, epochs):
    assert stopped(values, **options)[0] == epochs


def test_early_stopping_restores_the_best():
    assert stopped([3, 1, 2, NAN, 2], patience=3, restore_best_weights=True) == (5, 1)
    assert stopped([3, 1, 2, NAN, 2], patience=3) == (5, 4)
    assert stopped([3, 2, 1], patience=3, restore_best_weights=True) == (3, 2)
    assert stopped([NAN, NAN], patience=3, restore_best_weights=True) == (2, 1)


def test_early_stopping_names_what_is_missing():
    with pytest.raises(ValueError, match="val_loss.*validation_data.*Available: loss"):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping())
    with pytest.raises(ValueError, match="mode: expected .max. or .min.*val_lss.*got .auto."):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping("val_lss"))
    with pytest.raises(ValueError, match="Did you mean 'loss'"):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping("lss", mode="min"))
    # an epoch without validation is not an error
    options = {"validation_split": 0.2, "validation_freq": 2, "epochs": 4, "verbose": 0}
    model().fit(X, Y, callbacks=cb.EarlyStopping(patience=9), **options)


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.5 ** (epoch + 1)])
def test_learning_rate_scheduler(schedule):
    m = model(fastnn.SGD(1.0))
    history = m.fit(X, Y, epochs=3, verbose=0, callbacks=cb.LearningRateScheduler(schedule))
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]
    assert m.optimizer.learning_rate == 0.125


def test_rate_set_between_batches_is_used():
    class Drop(cb.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 1.0 if batch == 0 else 0.0

    m = model(fastnn.SGD(1.0))
    m.compile(fastnn.SGD(1.0), lambda t, y: (y[:, 0], np.ones_like(y)))
    m.set_weights([np.zeros((3, 1)), [0]])
    m.fit(X, Y, batch_size=5, callbacks=Drop(), verbose=0)
    assert m.get_weights()[1][0] == -1.0


def test_what_is_not_a_callback():
    for wrong in (cb.History, "early", 3):  # a class, and things that are none
        with pytest.raises(TypeError, match=r"callbacks\[0\]: expected a Callback"):
            model().fit(X, Y, callbacks=[wrong], verbose=0)
    with pytest.raises(TypeError, match="Did you mean 'on_epoch_end'"):
        cb.LambdaCallback(on_epoch_edn=print)


# --- what is printed ----------------------------------------------------------------------------


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


def test_a_log_that_ends_in_the_middle_of_a_line_is_gone_on_with_on_the_next(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"epoch,loss\r\n0,1.0")
    model().fit(X, Y, callbacks=[cb.CSVLogger(path, append=True)], verbose=0)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["epoch,loss", "0,1.0"] and len(lines) == 3


@pytest.mark.parametrize("made, words", [
    (lambda: cb.LearningRateScheduler(3), "schedule: expected a function of the epoch, got 3"),
    (lambda: cb.LambdaCallback(on_epoch_end=3), "on_epoch_end: expected a function, got 3"),
])  # fmt: skip
def test_functions_are_asked_for(made, words):
    with pytest.raises(TypeError, match=words):
        made()


def test_the_rate_finder_weighs_a_short_last_batch_as_what_it_is():
    m = fastnn.Sequential([fastnn.layers.Dense(1, kernel_initializer="zeros", use_bias=False, input_shape=(1,))])
    m.compile("sgd", "mse", seed=0)
    x, y = np.zeros((3, 1)), np.array([[1.0], [1.0], [10.0]])
    found = m.find_learning_rate(x, y, batch_size=2, steps=4, min_lr=1e-12, max_lr=1e-11, smoothing=0.0,
                                 divergence=1e9)  # fmt: skip
    for pair in (found.losses[:2], found.losses[2:]):  # the last sample is one of two, or alone
        assert sorted(pair) == pytest.approx([1, 50.5]) or sorted(pair) == pytest.approx([1, 100])
    with pytest.raises(ValueError, match="x: expected at least one row"):
        m.find_learning_rate(x[:0], y[:0])


@pytest.mark.parametrize("made", [lambda: cb.EarlyStopping(3), lambda: cb.ReduceLROnPlateau(None)])
def test_a_monitor_is_a_name(made):
    with pytest.raises(TypeError, match="monitor: expected a name in the logs, got"):
        model().fit(np.ones((4, 3)), np.ones(4), verbose=0, callbacks=[made()])
