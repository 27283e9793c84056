"""How `fit`, `evaluate` and `predict` end: no data left, stops by callbacks, averages, models changed meanwhile."""

import signal
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, LambdaCallback

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 2))


def small(optimizer="sgd", metrics=None):
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(4, "tanh", input_shape=(3,)), layers.Dense(2)], dtype="float64")
    model.compile(optimizer, "mse", metrics=metrics, seed=0)
    return model


def batches(n):
    for i in range(n):
        yield X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


# --- a generator that ends ---


@pytest.mark.parametrize("hooks", [[], [LambdaCallback(on_train_batch_end=lambda batch, logs: None)]])
def test_a_generator_that_is_gone_after_the_first_epoch(hooks):
    model = small()
    with pytest.warns(UserWarning, match="x: the generator ended, training stops after epoch 1 of 3.*steps_per_epoch"):
        history = model.fit(batches(3), epochs=3, callbacks=hooks, verbose=0)
    assert history.epoch == [0] and len(history.history["loss"]) == 1 and model.epochs_done == 1
    assert repr(history).startswith("<History of 1 epoch")


def test_a_generator_that_ends_between_two_epochs():
    with pytest.warns(UserWarning, match="x: expected 3 batches, got 0 before the generator ended"):
        history = small().fit(batches(3), epochs=3, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0]


@pytest.mark.parametrize("source, epochs", [(lambda: batches(3), 1), (lambda: list(map(tuple, batches(3))), 2)])
def test_no_warning_where_nothing_is_missing(source, epochs):
    class Again:
        def __iter__(self):
            return iter(source())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = source() if epochs == 1 else Again()
        assert small().fit(data, epochs=epochs, verbose=0).epoch == list(range(epochs))


# --- stops ---


def endless():
    while True:
        yield X[:8], Y[:8]


class Stop(Callback):
    def __init__(self, flag, after):
        super().__init__()
        self.flag, self.after, self.seen, self.ended = flag, after, [], 0

    def _end(self, batch, logs=None):
        self.seen.append(batch)
        if batch + 1 == self.after:
            setattr(self.model, self.flag, True)

    def _over(self, logs=None):
        self.ended += 1

    on_test_batch_end = on_predict_batch_end = _end
    on_test_end = on_predict_end = _over


@pytest.mark.parametrize("x", [X, "endless"])
def test_stop_evaluating(x):
    model, stop = small(metrics=["mae"]), Stop("stop_evaluating", 2)
    how = {"x": endless()} if isinstance(x, str) else {"x": X, "y": Y, "batch_size": 8}
    found = model.evaluate(**how, callbacks=[stop], verbose=0, return_dict=True)
    assert stop.seen == [0, 1] and stop.ended == 1
    rows = np.r_[0:8, 0:8] if isinstance(x, str) else slice(0, 16)
    error = model.predict(X[rows], verbose=0) - Y[rows]
    np.testing.assert_allclose(list(found.values()), [(error**2).mean(), abs(error).mean()])
    assert model.evaluate(X, Y, verbose=0, return_dict=True) != found  # the next one goes to the end


@pytest.mark.parametrize("x", [X, "endless"])
def test_stop_predicting(x):
    model, stop = small(), Stop("stop_predicting", 2)
    wanted = model.predict(X[np.r_[0:8, 0:8]] if isinstance(x, str) else X[:16], verbose=0)
    how = {"x": endless()} if isinstance(x, str) else {"x": X, "batch_size": 8}
    found = model.predict(**how, callbacks=[stop], verbose=0)
    assert stop.seen == [0, 1] and stop.ended == 1
    np.testing.assert_array_equal(found, wanted)
    assert len(model.predict(X, batch_size=8, verbose=0)) == 24


def test_a_stopped_validation_does_not_stop_training():
    stop = Stop("stop_evaluating", 1)
    history = small().fit(X, Y, epochs=2, validation_data=(X, Y), validation_batch_size=8, callbacks=[stop], verbose=0)
    assert history.epoch == [0, 1] and stop.seen == [0, 0] and stop.ended == 2


# --- averages of weights, at every end ---


def averaged(model, x=X, y=Y, batch=8, steps=3, start=None):
    """SGD with an average of momentum 0.5, as in Keras that of the first step alone first: (weights, average)."""
    w = [np.array(a) for a in (start or model.get_weights())]
    mean = [np.array(a) for a in w]
    for step in range(steps):
        rows = slice(step * batch % 24, step * batch % 24 + batch)
        a = np.tanh(x[rows] @ w[0] + w[1])
        dz = 2 * (a @ w[2] + w[3] - y[rows]) / (batch * 2)
        da = dz @ w[2].T * (1 - a**2)
        gradient = [x[rows].T @ da, da.sum(0), a.T @ dz, dz.sum(0)]
        w = [v - 0.1 * g for v, g in zip(w, gradient, strict=True)]
        mean = [0.5 * m + 0.5 * v if step else v for m, v in zip(mean, w, strict=True)]
    return w, mean


def ema():
    return small(fastnn.SGD(0.1, use_ema=True, ema_momentum=0.5))


def same(model, wanted):
    for a, b in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}


def test_a_checkpoint_of_the_last_epoch_with_none_left(tmp_path):
    """As Keras' fit, which finalizes whenever epochs > 0."""
    model = ema()
    weights, average = averaged(model)
    path = tmp_path / "last.fastnn"
    model.fit(X, Y, epochs=1, callbacks=[fastnn.callbacks.ModelCheckpoint(path)], **FIT)
    same(model, average)
    again = fastnn.models.load_model(path)
    same(again, weights)
    again.fit(X, Y, epochs=1, initial_epoch=1, **FIT)
    same(again, average)
    again.fit(X, Y, epochs=0, **FIT)
    same(again, average)


class At(Callback):
    """Does something at the end of a batch, of all that have been."""

    def __init__(self, n, action):
        super().__init__()
        self.n, self.action, self.seen = n, action, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.n:
            self.action(self.model)


def stop(model):
    model.stop_training = True


def fail(model):
    raise OSError("no space")


def interrupt(model):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("action, error", [(stop, None), (fail, OSError), (interrupt, KeyboardInterrupt)])
def test_averages_after_a_training_that_ended_early(action, error):
    model = ema()
    _, average = averaged(model, steps=2)
    try:
        model.fit(X, Y, epochs=5, callbacks=[At(2, action)], **FIT)
        assert error is None
    except BaseException as raised:
        assert type(raised) is error
    same(model, average)
    assert model.history.epoch == ([0] if error is None else [])


def test_averages_when_no_data_are_left():
    model = ema()
    _, average = averaged(model)
    with pytest.warns(UserWarning, match="ended"):
        model.fit(batches(3), epochs=4, verbose=0)
    same(model, average)


def test_weights_that_a_callback_has_restored_stay():
    """Whatever comes after it at the end of the training."""
    model = ema()
    best = [w + 7 for w in model.get_weights()]
    hooks = [LambdaCallback(on_train_end=lambda logs: model.set_weights(best)),
             LambdaCallback(on_train_end=lambda logs: fail(model))]  # fmt: skip
    with pytest.raises(OSError, match="no space"):
        model.fit(X, Y, callbacks=hooks, **FIT)
    same(model, best)


# --- a model that is changed meanwhile ---


def add(model):
    model.add(layers.Dense(50))


def pop(model):
    model.pop()


def compile_again(model):
    model.compile("adam", "mae", metrics=["mse", "mae"])


CHANGES = [add, pop, compile_again]
HOOKS = ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end",
         "on_test_begin", "on_test_batch_end", "on_test_end"]  # fmt: skip


def once(action, model):
    def hook(*args, **kwargs):
        if not done:
            done.append(1)
            action(model)

    done = []
    return hook


@pytest.mark.parametrize("validation", [None, (X, Y)])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_during_fit(change, hook, validation):
    if validation is None and "test" in hook:
        return
    model = small(metrics=["mae"])
    callback = LambdaCallback(**{hook: once(change, model)})
    what = "evaluate" if hook in ("on_test_begin", "on_test_batch_end") else "fit"
    with pytest.raises(RuntimeError, match=f"{what}: expected an unchanged model.*changed by add, pop"):
        model.fit(X, Y, epochs=2, batch_size=8, validation_data=validation, validation_batch_size=8,
                  callbacks=[callback], verbose=0)  # fmt: skip
    if change is compile_again:
        model.fit(X, Y, verbose=0)  # the new one works


@pytest.mark.parametrize("change", CHANGES)
def test_changes_during_fit_of_batches(change):
    model = small()
    with pytest.raises(RuntimeError, match="fit: expected an unchanged model"):
        model.fit(batches(3), callbacks=[At(1, change)], verbose=0)


@pytest.mark.parametrize("validation", [None, (X, Y)])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_with_which_training_ends(change, validation):
    def end(model):
        model.stop_training = True
        change(model)

    model = small()
    history = model.fit(X, Y, epochs=5, validation_data=validation, callbacks=[At(1, end)], verbose=0)
    assert history.epoch == [0]
    model.predict(X, verbose=0)


@pytest.mark.parametrize("hook", ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end"])
@pytest.mark.parametrize("change", [add, pop])
@pytest.mark.parametrize("data", [X, "batches"])
def test_changes_during_predict(change, hook, data):
    """Results of another width would go past the end of the array."""
    model = small()
    hooks = [LambdaCallback(**{hook: once(change, model)})]
    with pytest.raises(RuntimeError, match="predict: expected an unchanged model"):
        model.predict(batches(3) if isinstance(data, str) else X, callbacks=hooks, verbose=0,
                      **({} if isinstance(data, str) else {"batch_size": 8}))  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_changes_during_evaluate(change):
    model = small()
    with pytest.raises(RuntimeError, match="evaluate: expected an unchanged model"):
        model.evaluate(X, Y, batch_size=8, verbose=0,
                       callbacks=[LambdaCallback(on_test_batch_end=once(change, model))])  # fmt: skip
