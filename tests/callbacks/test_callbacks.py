"""Callbacks: which hooks are called when, and with what."""

import numpy as np
import pytest
from callback_tools import X, Y, model

import fastnn
from fastnn import callbacks as cb


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


def test_what_is_not_a_callback():
    for wrong in (cb.History, "early", 3):  # a class, and things that are none
        with pytest.raises(TypeError, match=r"callbacks\[0\]: expected a Callback"):
            model().fit(X, Y, callbacks=[wrong], verbose=0)
    with pytest.raises(TypeError, match="Did you mean 'on_epoch_end'"):
        cb.LambdaCallback(on_epoch_edn=print)


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
