"""`fit`: order of the data, validation, weights, what a loss and a metric of one's own get, Ctrl-C, repeatability."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn.layers import BatchNormalization, Dense, Dropout
from fastnn.models import Sequential
from fastnn.training import fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = RNG.normal(size=(50, 1))


def linear(loss="mse", **options):
    model = Sequential([Dense(1, input_shape=(4,))], dtype="float64")
    model.set_weights([np.ones((4, 1)), [0.5]])
    model.compile(options.pop("optimizer", "sgd"), loss, **options)
    return model


def mse(x, y, w=1.0):
    return np.mean(w * (x.sum(1) + 0.5 - y[:, 0]) ** 2)


def test_history_and_validation_split_takes_the_end():
    model = linear(optimizer=fastnn.SGD(0.0), metrics=["mae"])
    history = model.fit(X, Y, epochs=2, validation_split=0.3, batch_size=8, verbose=0)
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"] == list(history.history)
    assert history is model.history and history.epoch == [0, 1]
    np.testing.assert_allclose(history.history["loss"], mse(X[:35], Y[:35]), rtol=1e-12)
    np.testing.assert_allclose(history.history["val_loss"], mse(X[35:], Y[35:]), rtol=1e-12)


def test_validation_data_wins_and_may_be_weighted():
    model, w = linear(optimizer=fastnn.SGD(0.0)), RNG.uniform(size=20)
    history = model.fit(X, Y, validation_split=0.3, validation_data=(X[:20], Y[:20], w), verbose=0)
    assert history.history["loss"][0] == pytest.approx(mse(X, Y), rel=1e-12)
    assert history.history["val_loss"][0] == pytest.approx(mse(X[:20], Y[:20], w[:]), rel=1e-12)


def test_validation_freq():
    for freq, n in ((2, 2), ([1, 4], 2), ((5,), 1)):
        history = linear().fit(X, Y, epochs=5, validation_split=0.2, validation_freq=freq, verbose=0)
        assert len(history.history["val_loss"]) == n and len(history.history["loss"]) == 5


def test_weights_scale_the_loss_and_not_the_divisor():
    w = RNG.uniform(size=50)
    model = linear(optimizer=fastnn.SGD(0.0), metrics=["mse"])
    history = model.fit(X, Y, batch_size=7, sample_weight=w, verbose=0).history
    assert history["loss"][0] == pytest.approx(mse(X, Y, w), rel=1e-12)
    assert history["mse"][0] == pytest.approx(mse(X, Y), rel=1e-12)  # metrics are unweighted
    assert model.evaluate(X, Y, sample_weight=w, verbose=0)[0] == pytest.approx(mse(X, Y, w), rel=1e-12)


def test_class_weight_is_sample_weight():
    labels = RNG.integers(0, 3, 50)
    results = []
    for options in ({"class_weight": {0: 2.0, 2: 0.25}}, {"sample_weight": np.array([2, 1, 0.25])[labels]}):
        fastnn.set_random_seed(3)
        model = Sequential([Dense(3, "softmax", input_shape=(4,))], dtype="float64")
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, labels, verbose=0, **options)
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(*results)


def test_class_weights_are_not_for_validation():
    labels = RNG.integers(0, 3, 50)
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], dtype="float64")
    model.compile(fastnn.SGD(0.0), "sparse_categorical_crossentropy")
    options = {"class_weight": {0: 5.0, 1: 0.0}, "sample_weight": np.arange(50.0), "verbose": 0}
    history = model.fit(X, labels, validation_split=0.3, **options).history
    weights = np.arange(50.0)
    expected = model.evaluate(X[35:], labels[35:], sample_weight=weights[35:], verbose=0)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-12)
    weights *= np.array([5, 0, 1])[labels]
    expected = model.evaluate(X[:35], labels[:35], sample_weight=weights[:35], verbose=0)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_batches_far_larger_than_the_data():
    results = []
    for size in (50, 10**12, 2**70):
        model = linear(optimizer=fastnn.SGD(0.1))
        history = model.fit(X, Y, batch_size=size, validation_split=0.2, validation_batch_size=size, verbose=0).history
        results.append([*history["loss"], *history["val_loss"], model.evaluate(X, Y, batch_size=size, verbose=0)])
        model.predict(X, batch_size=size, verbose=0)
    np.testing.assert_allclose(results[1:], [results[0]] * 2, rtol=1e-12)


def test_a_metric_that_needs_arguments_says_so():
    with pytest.raises(TypeError, match=r"'precision_at_recall' requires arguments; pass PrecisionAtRecall\(\.\.\.\)"):
        linear(metrics=["precision_at_recall"]).fit(X, Y, verbose=0)


def orders(n=50, epochs=3, **options):
    """The order in which a Python loss sees the samples, epoch by epoch."""
    seen = []

    def look(y_true, y_pred):
        seen.extend(y_true[:, 0])
        return np.zeros(len(y_pred)), np.zeros_like(y_pred)

    seed = options.pop("seed", 5)
    model = linear(look, seed=seed)
    model.fit(X[:n], np.arange(n), epochs=epochs, batch_size=8, verbose=0, **options)
    return np.reshape(seen, (epochs, -1)).astype(int)


def test_shuffling():
    plain, shuffled = orders(shuffle=False), orders()
    np.testing.assert_array_equal(plain, [np.arange(50)] * 3)
    assert (np.sort(shuffled, axis=1) == np.arange(50)).all()
    assert len({tuple(row) for row in shuffled}) == 3
    np.testing.assert_array_equal(orders(), shuffled)
    assert (orders(seed=6) != shuffled).any()
    assert orders(steps_per_epoch=2).shape == (3, 16)
    np.testing.assert_array_equal(orders(steps_per_epoch=2), shuffled[:, :16])


def test_two_fits_of_one_epoch_are_one_fit_of_two():
    results = []
    for parts in ([4], [1, 1, 2]):
        fastnn.set_random_seed(9)
        model = Sequential([Dense(8, "relu", input_shape=(4,)), BatchNormalization(), Dropout(0.3), Dense(1)])
        model.compile("adam", "mse")
        for epochs in parts:
            model.fit(X, Y, epochs=epochs, batch_size=16, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_initial_epoch_and_no_epochs():
    model = linear()
    assert model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    before = model.get_weights()[0]
    assert model.fit(X, Y, epochs=0, verbose=0).history == {}
    np.testing.assert_array_equal(before, model.get_weights()[0])


@pytest.mark.parametrize("options, words", [
    ({"validation_split": 1.0}, "validation_split.*below 1"),
    ({"validation_split": 0.99}, "validation_split: expected a fraction that leaves rows"),
    ({"validation_data": X}, "validation_data: expected .x, y."),
    ({"validation_data": (X[:, :2], Y)}, r"validation_data\[0\]: expected shape"),
    ({"validation_data": (X, Y[:3])}, r"validation_data\[1\]: expected 50 rows"),
    ({"steps_per_epoch": 5}, "steps_per_epoch: expected at most 2"),
    ({"shuffle": "batch"}, "shuffle: expected True or False"),
    ({"validation_freq": 0}, "validation_freq"),
])  # fmt: skip
def test_bad_arguments(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        linear().fit(X, Y, verbose=0, **options)


# --- losses and metrics -------------------------------------------------------------------------


def test_a_loss_of_ones_own_trains_like_ours():
    def own(y_true, y_pred):
        assert y_true.shape == y_pred.shape == (len(y_pred), 1)
        return (y_pred - y_true)[:, 0] ** 2, 2 * (y_pred - y_true)

    ours, theirs, w = linear(seed=1), linear(own, seed=1), RNG.uniform(size=50)
    a = ours.fit(X, Y[:, 0], epochs=3, batch_size=8, sample_weight=w, verbose=0)
    b = theirs.fit(X, Y[:, 0], epochs=3, batch_size=8, sample_weight=w, verbose=0)
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-12)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-12)
    assert theirs.evaluate(X, Y, verbose=0) == pytest.approx(ours.evaluate(X, Y, verbose=0), rel=1e-12)


@pytest.mark.parametrize("result, words", [
    (lambda t, y: ((y - t) ** 2).mean(), r"expected \(values, gradient\)"),
    (lambda t, y: (np.zeros(3), y), r"values of shape \(32,\), got \(3,\)"),
    (lambda t, y: (np.zeros(len(y)), y[:, 0]), r"gradient of shape \(32, 1\)"),
])  # fmt: skip
def test_a_loss_of_ones_own_is_checked(result, words):
    with pytest.raises((TypeError, ValueError), match=words):
        linear(result).fit(X, Y, verbose=0)


def test_metrics_of_ones_own():
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=1)

    def bias(y_true, y_pred):
        return y_pred - y_true

    model = linear(optimizer=fastnn.SGD(0.0), metrics=[worst, bias, "mse"])
    history = model.fit(X, Y, batch_size=8, verbose=0).history
    e = X.sum(1) + 0.5 - Y[:, 0]
    assert history["worst"][0] == pytest.approx(np.abs(e).mean(), rel=1e-12)
    assert history["bias"][0] == pytest.approx(e.mean(), rel=1e-12)
    assert history["mse"][0] == pytest.approx(history["loss"][0], rel=1e-12)
    assert model.metrics_names == ["loss", "worst", "bias", "mse"]


@pytest.mark.parametrize("outputs, last, loss, kind", [
    (3, "softmax", "sparse_categorical_crossentropy", "SparseCategoricalAccuracy"),
    (3, "softmax", "categorical_crossentropy", "CategoricalAccuracy"),
    (1, "sigmoid", "binary_crossentropy", "BinaryAccuracy"),
    (3, None, "mse", "CategoricalAccuracy"),
    (3, None, lambda t, y: (np.zeros(len(y)), 0 * y), "SparseCategoricalAccuracy"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_is_the_kind_that_fits(outputs, last, loss, kind, name):
    labels = RNG.integers(0, max(outputs, 2), 50)
    model = Sequential([Dense(outputs, last, input_shape=(4,))], dtype="float64")
    model.compile("sgd", loss, metrics=[name])
    y = np.eye(3)[labels] if kind == "CategoricalAccuracy" else labels
    result = model.evaluate(X, y, return_dict=True, verbose=0)
    p = model.predict(X, verbose=0)
    right = (p[:, 0] > 0.5) == labels if outputs == 1 else p.argmax(1) == labels
    assert result[name] == right.mean() and type(model.metrics[0]).__name__ == kind


def test_metrics_that_do_not_fit_the_loss():
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["mae"])
    with pytest.raises(ValueError, match="metric 'mae' needs 3 values per sample, the loss needs class labels"):
        model.fit(X, np.zeros(50, int), verbose=0)
    with pytest.raises(ValueError, match="distinct names"):
        linear(metrics=["mse", "mse"]).fit(X, Y, verbose=0)


# --- Ctrl-C and threads -------------------------------------------------------------------------


def big():
    fastnn.set_random_seed(0)
    model = Sequential([Dense(64, "relu", input_shape=(32,)), Dense(64, "relu"), Dense(1)])
    model.compile("adam", "mse")
    return model, np.ones((100_000, 32), np.float32), np.zeros(100_000)


def test_ctrl_c_keeps_what_was_trained():
    model, x, y = big()
    model.fit(x[:64], y[:64], verbose=0)
    start, sent = model.optimizer.iterations, []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.35, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10_000, batch_size=32, verbose=0)
    # 0.2 s of our own work; a busy machine may add to it
    assert time.perf_counter() - sent[0] < 1.0
    assert model.optimizer.iterations == model.engine().step > start
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model.history is not None and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model.fit(x[:64], y[:64], verbose=0)  # and it goes on


def test_weights_assigned_between_two_blocks_are_trained_on(monkeypatch):
    """By another thread, say: several epochs go on from them."""
    model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    model.compile(fastnn.SGD(0.1), "mse", threads=1)  # a team of several ends a block one step later
    x = np.ones((64, 3), np.float32)
    model.fit(x, x[:, :1], verbose=0)
    monkeypatch.setattr(fit, "BLOCK_SECONDS", 1e-9)
    engine, calls = model.engine(), []
    real = engine.fit_epochs

    def assigning(*arguments):
        reached = real(*arguments)
        calls.append(reached)
        if len(calls) == 1:
            model.layers[0].kernel.assign(np.full((3, 1), 7.0))
        return reached

    engine.fit_epochs = assigning
    model.fit(x, x[:, :1], epochs=3, verbose=0)
    assert len(calls) == 6
    assert (model.layers[0].kernel.numpy() < 7).all()


def test_ctrl_c_in_a_block_leaves_whole_steps(monkeypatch):
    model, x, y = big()
    block = type(model.engine()).fit_block

    def interrupted(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return block(self, *arguments)

    monkeypatch.setattr(type(model.engine()), "fit_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x[:640], y[:640], verbose=0)
    assert model.optimizer.iterations == model.engine().step == 20


def test_ctrl_c_waits_for_the_end_of_a_block():
    reached = False
    with pytest.raises(KeyboardInterrupt):
        with fit.InterruptLater():
            os.kill(os.getpid(), signal.SIGINT)
            reached = True
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program's own choice is left alone
    try:
        with fit.InterruptLater():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, own)


def test_one_model_from_two_threads():
    model, x, y = big()
    failed = []

    def ask():
        try:
            for _ in range(50):
                assert np.isfinite(model.predict(x[:32], verbose=0)).all()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for t in threads:
        t.start()
    model.fit(x[:20_000], y[:20_000], verbose=0)
    for t in threads:
        t.join()
    assert not failed


def test_steps_before_an_error_in_python_are_counted():
    """The weights have them; rates and Adam's corrections have to."""
    calls = []

    def loss(t, p):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("in the fourth batch")
        return (p - t)[:, 0] ** 2, 2 * (p - t)

    model = Sequential([Dense(1, input_shape=(1,))])
    model.compile("adam", loss)
    x, y = np.ones((32, 1)), np.ones(32)
    with pytest.raises(RuntimeError, match="fourth"):
        model.fit(x, y, batch_size=4, verbose=0)
    assert model.optimizer.iterations == model.engine().step == 3


@pytest.mark.parametrize("held_out", [0.0, 0.1])
def test_steps_before_a_signal_that_raises_are_counted(held_out):
    """A handler of one's own: the weight w_k = 1 - (1 - 2 rate)^k says how many steps there were."""
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="zeros", input_shape=(1,))], dtype="float64")
    model.compile(fastnn.SGD(1e-8), "mse")
    x = np.ones((32000, 1))

    def handler(number, frame):
        raise SystemExit

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(SystemExit):
            model.fit(x, x, batch_size=1, epochs=10**5, verbose=0, validation_split=held_out)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    steps = round(float(np.log1p(-model.get_weights()[0][0, 0]) / np.log1p(-2e-8)))
    assert steps == model.optimizer.iterations == model.engine().step > 0


def test_a_layer_frozen_by_another_thread_is_frozen_from_the_next_block_on(monkeypatch):
    """Epochs that nobody looks at run in blocks; the model of the next one is the model as it is then."""
    monkeypatch.setattr(fit, "BLOCK_SECONDS", 1e-9)
    model = Sequential([Dense(8, "tanh", input_shape=(3,)), Dense(1)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)), rng.normal(size=64)
    engine, steps = model.engine, []

    def engine_after_a_while():
        steps.append(1)
        if len(steps) == 20:  # what another thread does between two blocks
            model.layers[0].trainable = False
            steps.append(model.layers[0].get_weights())
        return engine()

    monkeypatch.setattr(model, "engine", engine_after_a_while)
    model.fit(x, y, batch_size=16, epochs=100, verbose=0)
    [then] = [s for s in steps if s != 1]
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], then[0])
    assert model.optimizer.iterations == engine().step == 400


def test_another_thread_may_use_the_model_in_any_hook():
    model = linear()
    x, found = np.ones((8, 4)), []  # whether each of four threads got through while its hook waited

    def predict(*_):
        thread = threading.Thread(target=lambda: model.predict(x, verbose=0), daemon=True)
        thread.start()
        thread.join(5)
        found.append(not thread.is_alive())

    hooks = fastnn.callbacks.LambdaCallback(
        on_train_batch_begin=lambda b, logs: predict(), on_train_batch_end=lambda b, logs: predict()
    )
    model.fit(x, np.ones(8), batch_size=4, verbose=0, callbacks=[hooks])
    assert found == [True] * 4


def test_fit_within_a_hook_keeps_the_outer_history():
    model = linear()
    x, y = np.ones((8, 4)), np.ones(8)
    inner = fastnn.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.fit(x, y, epochs=7, verbose=0)
    )
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[inner])
    assert history is model.history and len(history.history["loss"]) == 3
