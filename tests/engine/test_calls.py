"""The short way of small batches: the bits of the long way, and the long way wherever anything is unusual."""

import os
import signal
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 6)).astype(np.float32)
Y = RNG.normal(size=(8, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, 8)


def model(loss="mse", last=None, metrics=None, optimizer="adam", middle=(), dtype=None):
    fastnn.set_random_seed(4)
    stack = [layers.Dense(9, "tanh", input_shape=(6,)), *middle, layers.Dense(3, last)]
    made = fastnn.Sequential(stack, dtype=dtype)
    made.compile(optimizer, loss, metrics=metrics)
    return made


def long_way(made):
    made._fast_path = False
    made._calls.clear()
    return made


def short_way(made):
    """Fails if a call goes the long way though it was said not to."""

    def refuse(*a, **k):
        raise AssertionError("this went the long way")

    made.engine = refuse
    return made


def assert_same(a, b):
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("options", [
    {}, {"loss": "sparse_categorical_crossentropy", "last": "softmax", "metrics": ["accuracy"]},
    {"metrics": ["mae", "rmse"]}, {"optimizer": fastnn.SGD(0.1, momentum=0.9)}, {"middle": ("bn", "drop")},
    {"middle": ("bn",)}, {"dtype": "float64"},
])  # fmt: skip
def test_bits_of_the_long_way(options, n):
    options = dict(options)
    made = {"bn": layers.BatchNormalization, "drop": lambda: layers.Dropout(0.5)}
    pair = [model(**options | {"middle": [made[m]() for m in options.get("middle", ())]}) for _ in range(2)]
    dtype = options.get("dtype", "float32")
    x, y = X[:n].astype(dtype), LABELS[:n] if "last" in options else Y[:n].astype(dtype)
    first = [m.train_on_batch(x, y) for m in pair]
    assert first[0] == first[1]
    long_way(pair[1])
    for i in range(6):
        assert pair[0].train_on_batch(x, y) == pair[1].train_on_batch(x, y)
        for name in ("predict_on_batch", "forward", "predict"):
            np.testing.assert_array_equal(*(getattr(m, name)(x) for m in pair))
        assert pair[0].optimizer.iterations == pair[1].optimizer.iterations == i + 2
    assert_same(*pair)
    with_dict = pair[0].train_on_batch(x, y, return_dict=True)
    assert list(with_dict) == pair[0].metrics_names
    short_way(pair[0])
    if "middle" not in options:  # a folded batch normalisation is made anew after each step
        pair[0].predict_on_batch(x)
    pair[0].train_on_batch(x, y)


def test_weights_that_are_assigned_are_seen():
    made = model()
    made.predict_on_batch(X)
    before = made.predict_on_batch(X)
    made.layers[0].kernel.assign(2 * made.layers[0].kernel.numpy())
    after = made.predict_on_batch(X)
    assert (before != after).all()
    np.testing.assert_array_equal(after, long_way(made).predict_on_batch(X))


def test_weights_that_another_model_trains_are_seen():
    made = model()
    other = fastnn.Sequential([*made.layers])
    other.compile(fastnn.SGD(0.5), "mse")
    for m in (made, other, made, other):
        m.predict_on_batch(X)
        m.train_on_batch(X, Y)
    for _ in range(3):
        other.train_on_batch(X, Y)
        np.testing.assert_array_equal(made.predict_on_batch(X), other.predict_on_batch(X))


def test_freezing_compiling_and_rates_are_seen():
    made = model()
    for _ in range(3):
        made.train_on_batch(X, Y)
    made.layers[0].trainable = False
    before = made.layers[0].get_weights()
    made.train_on_batch(X, Y)
    np.testing.assert_array_equal(before[0], made.layers[0].get_weights()[0])
    made.optimizer.learning_rate = 0.0
    before = made.get_weights()
    made.train_on_batch(X, Y)
    made.train_on_batch(X, Y)
    for u, v in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    made.compile(fastnn.SGD(1.0), "mae")
    expected = abs(made.predict(X, verbose=0) - Y).mean()
    assert made.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)
    made.compile("sgd")
    with pytest.raises(ValueError, match="loss"):
        made.fit(X, Y)


def test_schedules_and_folded_statistics_go_on():
    rate = fastnn.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    pair = [model(optimizer=fastnn.SGD(rate), middle=[layers.BatchNormalization()]) for _ in range(2)]
    long_way(pair[1])
    for _ in range(5):
        assert pair[0].train_on_batch(X, Y) == pair[1].train_on_batch(X, Y)
        np.testing.assert_array_equal(pair[0].predict_on_batch(X), pair[1].predict_on_batch(X))
    assert_same(*pair)


@pytest.mark.parametrize("x, y, message", [
    (X[:, :5], Y, r"x: expected shape \(n, 6\), got \(8, 5\)"),
    (X, Y[:5], "y: expected 8 rows"),
    (X, Y[:, :2], r"y: expected shape \(n, 3\)"),
    (X, None, "y: expected targets, got None"),
])  # fmt: skip
def test_errors_are_those_of_the_long_way(x, y, message):
    made = model()
    made.train_on_batch(X, Y)
    made.train_on_batch(X, Y)
    with pytest.raises((ValueError, TypeError), match=message):
        made.train_on_batch(x, y)


def test_class_numbers_out_of_range_are_refused():
    made = model("sparse_categorical_crossentropy", "softmax")
    for kind in (np.int64, np.int32):
        made.train_on_batch(X, LABELS.astype(kind))
        made.train_on_batch(X, LABELS.astype(kind))
        for wrong in (3, -1):
            labels = LABELS.astype(kind)
            labels[5] = wrong
            with pytest.raises(ValueError, match=f"got {wrong} in row 5"):
                made.train_on_batch(X, labels)
    with pytest.raises(ValueError, match="integer class labels"):
        made.train_on_batch(X, LABELS + 0.5)


def test_arrays_of_other_kinds_give_the_same():
    made = model()
    made.predict_on_batch(X)
    expected = made.predict_on_batch(X)
    wide = np.zeros((8, 12), np.float32)
    wide[:, ::2] = X
    for same in (X.tolist(), X.astype(np.float64), np.asfortranarray(X), wide[:, ::2], X.astype(">f4"), X[::-1][::-1]):
        np.testing.assert_allclose(made.predict_on_batch(same), expected, rtol=1e-6)


def test_nothing_is_shared_between_results():
    made = model()
    first, second = made.predict_on_batch(X), made.predict_on_batch(X)
    third = made.predict_on_batch(X)
    assert not np.shares_memory(second, third)
    np.testing.assert_array_equal(first, third)


def test_penalties_accumulation_and_constraints():
    pair = []
    for _ in range(2):
        fastnn.set_random_seed(4)
        rules = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm"}
        stack = [layers.Dense(9, "relu", input_shape=(6,), **rules), layers.Dense(3)]
        made = fastnn.Sequential(stack, weight_decay=0.1)
        made.compile(fastnn.Adam(0.1, gradient_accumulation_steps=2, clipnorm=0.5), "mse")
        pair.append(made)
    long_way(pair[1])
    for _ in range(7):
        assert pair[0].train_on_batch(X, Y) == pair[1].train_on_batch(X, Y)
    assert_same(*pair)


def test_shapes_that_the_long_way_refuses_stay_refused():
    made = fastnn.Sequential([layers.Flatten(input_shape=(2, 3)), layers.Dense(3)])
    made.compile("sgd", "mse")
    for _ in range(3):
        made.predict_on_batch(X.reshape(8, 2, 3))
        made.train_on_batch(X.reshape(8, 2, 3), Y)
    for call in (lambda: made.predict_on_batch(X), lambda: made.train_on_batch(X, Y)):
        with pytest.raises(ValueError, match=r"x: expected shape \(n, 2, 3\)"):
            call()


def test_ctrl_c_comes_before_a_step_or_after_its_count():
    """The mean absolute error far from its target moves the bias by the rate: so it counts the steps."""
    made = fastnn.Sequential([layers.Dense(1, kernel_initializer="zeros", input_shape=(6,))])
    made.compile(fastnn.SGD(2.0**-10), "mae")
    x, y = np.zeros((8, 6), np.float32), np.full((8, 1), 1e4, np.float32)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for i in range(20):
            timer = threading.Timer(0.005 + 0.0007 * i, lambda: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                timer.start()  # which waits for the thread, on a busy machine for longer than that
                while True:
                    made.train_on_batch(x, y)
            assert made.layers[0].bias.numpy()[0] * 2**10 == made._engine.step
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("columns", [1, 2])
def test_targets_that_are_columns_of_a_larger_array(columns):
    """The short way after such a batch reads contiguous targets where they are."""
    x, wide = np.eye(4, 3, dtype="f4"), np.arange(16, dtype="f4").reshape(4, 4)
    made = fastnn.Sequential([layers.Dense(columns, input_shape=(3,), kernel_initializer="zeros")])
    made.compile(fastnn.SGD(0.0), "mse", seed=0)
    y = np.ones((4, columns), "f4")
    for _ in range(2):
        assert made.train_on_batch(x, wide[:, :columns]) == pytest.approx(np.mean(wide[:, :columns] ** 2))
        assert [made.train_on_batch(x, y) for _ in range(2)] == [1.0, 1.0]


def test_no_rows():
    made = model()
    x, y = np.zeros((0, 6), "f4"), np.zeros((0, 3), "f4")
    for _ in range(2):  # the second call would go the short way
        assert made.predict_on_batch(x).shape == (0, 3)
        with pytest.raises(ValueError, match="x: expected at least one row"):
            made.train_on_batch(x, y)


def test_an_assignment_right_after_the_run_reaches_the_next_one():
    """The short way is noted after the hooks, one of which assigns."""
    layer = layers.Dense(2, input_shape=(3,))
    made, x = fastnn.Sequential([layer]), np.ones((4, 3), "f4")
    hook = fastnn.callbacks.LambdaCallback(
        on_predict_end=lambda logs: layer.set_weights([np.full((3, 2), 5.0), np.zeros(2)])
    )
    made.predict(x, callbacks=[hook])
    assert (made.predict(x) == 15).all()


def test_ctrl_c_right_after_a_step_leaves_no_old_folds():
    made = model(middle=[layers.BatchNormalization()], optimizer=fastnn.SGD(1.0))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6)).astype("f4"), rng.normal(size=(8, 3)).astype("f4")
    for _ in range(2):
        made.train_on_batch(x, y)
        made.predict(x)
    [key] = [k for k in made._calls if k[0] == "train"]
    call, program = made._calls[key]

    class Interrupted:
        core, is_outdated = call.core, call.is_outdated

        def train(self, *args):
            assert call.train(*args)
            raise KeyboardInterrupt

    made._calls[key] = Interrupted(), program
    with pytest.raises(KeyboardInterrupt):
        made.train_on_batch(x, y)
    found = made.predict(x)
    fresh = fastnn.models.clone_model(made)
    fresh.set_weights(made.get_weights())
    np.testing.assert_array_equal(found, fresh.predict(x))


def test_compile_in_another_thread():
    """Every call is one of the old model or of the new one."""
    made, stop, errors = model(), [], []
    x, y = np.ones((8, 6), "f4"), np.ones((8, 3), "f4")

    def compiles():
        while not stop:
            made.compile("sgd", "mse")

    thread = threading.Thread(target=compiles)
    thread.start()
    try:
        for _ in range(1000):
            made.train_on_batch(x, y)
            made.predict(x)
    except Exception as error:
        errors.append(error)
    stop.append(1)
    thread.join()
    assert not errors
