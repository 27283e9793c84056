"""Manual training loops: the short way of forward, backward and apply_gradients has the numbers of the long one."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(29)
X = RNG.normal(size=(8, 4))
T = RNG.normal(size=(8, 2))


def model(optimizer="adam", middle=(), dtype="float32"):
    fastnn.set_random_seed(3)
    made = fastnn.Sequential(
        [layers.Dense(5, "tanh", input_shape=(4,)), *middle, layers.Dense(2)], dtype=dtype
    )
    made.compile(optimizer, seed=1)
    return made


def long_way(made):
    made._fast_path = False
    made._calls.clear()
    return made


def short_way(made):
    """Fails if a call goes the long way."""

    def refuse(*a, **k):
        raise AssertionError("this went the long way")

    made.engine = refuse
    return made


def step(made, x, t):
    y = made.forward(x, training=True)
    dx = made.backward((2 * (y - t) / len(x)).astype(y.dtype))
    made.apply_gradients()
    return y, dx


def assert_same(a, b):
    for u, v in zip(a, b, strict=True):
        np.testing.assert_array_equal(u, v)


def test_numbers_of_gradient_descent_written_in_numpy():
    made = model(fastnn.SGD(0.1), dtype="float64")
    w1, b1, w2, b2 = made.get_weights()
    for i in range(5):
        h = np.tanh(X @ w1 + b1)
        y = h @ w2 + b2
        dy = 2 * (y - T) / len(X)
        dh = (dy @ w2.T) * (1 - h**2)
        if i == 1:
            short_way(made)
        found = step(made, X, T)
        np.testing.assert_allclose(found[0], y, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found[1], dh @ w1.T, rtol=1e-12, atol=1e-14)
        w1, b1 = w1 - 0.1 * X.T @ dh, b1 - 0.1 * dh.sum(0)
        w2, b2 = w2 - 0.1 * h.T @ dy, b2 - 0.1 * dy.sum(0)
    for mine, theirs in zip(made.get_weights(), (w1, b1, w2, b2), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("options", [
    {}, {"optimizer": fastnn.SGD(0.1, momentum=0.9)}, {"dtype": "float64"}, {"middle": ("bn",)}, {"middle": ("drop",)},
    {"optimizer": lambda: fastnn.Adam(gradient_accumulation_steps=2)},
    {"optimizer": lambda: fastnn.Adam(clipnorm=0.1, weight_decay=0.1)},
])  # fmt: skip
def test_bits_of_the_long_way(options, n):
    made, pair = {"bn": layers.BatchNormalization, "drop": lambda: layers.Dropout(0.5)}, []
    for _ in range(2):
        chosen = dict(options)
        if callable(chosen.get("optimizer")):
            chosen["optimizer"] = chosen["optimizer"]()
        elif "optimizer" in chosen:
            chosen["optimizer"] = fastnn.SGD(0.1, momentum=0.9)
        chosen["middle"] = [made[m]() for m in options.get("middle", ())]
        pair.append(model(**chosen))
    long_way(pair[1])
    x, t = X[:n].astype(options.get("dtype", "float32")), T[:n].astype(options.get("dtype", "float32"))
    for i in range(6):
        if i == 1:
            engine = pair[0].engine
            short_way(pair[0])
        assert_same(step(pair[0], x, t), step(pair[1], x, t))
        if i:
            pair[0].engine = engine
        assert_same(pair[0].gradients(), pair[1].gradients())
        assert pair[0].optimizer.iterations == pair[1].optimizer.iterations
    assert_same(pair[0].get_weights(), pair[1].get_weights())


def test_other_arrays_and_given_gradients():
    a, b = model(), long_way(model())
    for x, dy in [(X.astype(np.float32), T), (X, T.astype("<f4")), (X[::-1], T[::-1]), (X.astype(">f8"), T.tolist())]:
        for _ in range(2):
            assert_same([a.forward(x, training=True)], [b.forward(x, training=True)])
            assert_same([a.backward(dy)], [b.backward(dy)])
            given = [2 * g for g in b.gradients()]
            for made in (a, b):
                made.apply_gradients(given)
    assert_same(a.get_weights(), b.get_weights())


def test_what_changes_in_between_is_seen():
    a, b = model(), long_way(model())
    x, t = X.astype(np.float32), T.astype(np.float32)
    changes = [
        lambda m: m.layers[0].kernel.assign(2 * m.layers[0].kernel.numpy()),
        lambda m: setattr(m.layers[0], "trainable", False),
        lambda m: setattr(m.layers[0], "trainable", True),
        lambda m: setattr(m.optimizer, "learning_rate", 0.5),
        lambda m: m.compile(fastnn.SGD(0.1), seed=1),
        lambda m: m.predict(x[:3], verbose=0),
    ]
    for change in changes:
        for _ in range(3):
            assert_same(step(a, x, t), step(b, x, t))
        change(a)
        change(b)
    assert_same(step(a, x, t), step(b, x, t))
    assert_same(a.get_weights(), b.get_weights())


def test_weights_assigned_to_another_model_leave_the_short_way_as_it_is():
    """A target network, as reinforcement learning has it."""
    made, target, x = model(), model(), X.astype(np.float32)
    made.compile("adam", "mse", seed=1)
    for _ in range(2):
        made.train_on_batch(x, T.astype(np.float32))
        made.predict_on_batch(x)
        step(made, x, T)
    short_way(made)
    for _ in range(3):
        target.set_weights(made.get_weights())
        step(made, x, T)
        target.set_weights(made.get_weights())
        made.train_on_batch(x, T.astype(np.float32))
        target.set_weights(made.get_weights())
        np.testing.assert_array_equal(made.predict_on_batch(x), target.predict(x, verbose=0))


def test_a_layer_frozen_after_the_forward_pass_is_an_error_as_on_the_long_way():
    made, x = model(), X.astype(np.float32)
    for _ in range(2):
        step(made, x, T)
    made.forward(x, training=True)
    made.layers[0].trainable = False
    with pytest.raises(RuntimeError, match="forward"):
        made.backward(T.astype(np.float32))


def test_errors_are_those_of_the_long_way():
    made, x = model(), X.astype(np.float32)
    with pytest.raises(RuntimeError, match="forward"):
        made.backward(T)
    for _ in range(2):
        step(made, x, T)
    made.forward(x, training=True)
    with pytest.raises(RuntimeError, match="gradients"):
        made.apply_gradients()
    with pytest.raises(ValueError, match="dy: expected 8 rows"):
        made.backward(T[:5])
    with pytest.raises(ValueError, match=r"dy: expected shape \(n, 2\)"):
        made.backward(X)
    with pytest.raises(ValueError, match=r"x: expected shape \(n, 4\)"):
        made.forward(x[:, :2], training=True)


def test_threads_from_the_environment():
    """As Python reads numbers: what is no number from 1 on counts for nothing."""
    code = "from fastnn._core.threads import available_threads as n; print(n())"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": ""}, capture_output=True)
    free = int(free.stdout)
    assert 1 <= free <= cores
    for text, asked in [("1", 1), (" 1 , 4", 1), ("0", None), ("-1", None), ("x", None), ("1x", None), ("", None),
                        ("9999999999999", None), ("1.5", None), (",1", None), ("64", 64)]:  # fmt: skip
        env = {**os.environ, "OMP_NUM_THREADS": text}
        found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert int(found.stdout) == (free if asked is None else min(free, asked)), text


@pytest.mark.parametrize("what, call", [
    ("backward", lambda m: m.backward(X)), ("gradients", lambda m: m.gradients()),
    ("apply_gradients", lambda m: m.apply_gradients()), ("apply_gradients", lambda m: m.apply_gradients([X])),
])  # fmt: skip
def test_a_model_that_has_seen_no_data_says_what_is_missing(what, call):
    made = fastnn.Sequential([layers.Dense(2)])
    made.compile("sgd")
    expected = rf"^{what}: expected a call of forward\(x, training=True\) before it.*not built"
    with pytest.raises(RuntimeError, match=expected):
        call(made)
    assert made.forward(X, training=True).shape == (8, 2)
    made.backward(T)
    made.apply_gradients()


@pytest.mark.parametrize("takes", ["inputs", "inputs, training", "inputs, training=None", "inputs, **options"])
def test_call_of_a_numpy_layer_may_omit_training_as_in_keras(takes):
    class Double(layers.Layer):
        seen = None

        def backward(self, dy):
            return 2 * dy

    def output(self, inputs, training=None):
        self.seen = training
        return 2 * inputs

    space = {"output": output}
    passed = {"inputs": "None", "inputs, **options": "options['training']"}.get(takes, "training")
    exec(f"def call(self, {takes}): return output(self, inputs, {passed})", space)
    double = type("Double", (Double,), {"call": space["call"]})(input_shape=(4,))
    made = fastnn.Sequential([double, layers.Dense(2)])
    made.compile("sgd", "mse")
    before = made.predict(X, verbose=0)
    assert double.seen is (None if takes == "inputs" else False)
    np.testing.assert_allclose(before, 2 * X @ made.get_weights()[0], rtol=1e-5, atol=1e-6)
    assert made.check_gradients(X, T).passed
    made.fit(X, T, verbose=0)
    assert double.seen is (None if takes == "inputs" else True)
    assert type("Triple", (type(double),), {})._takes_training == (takes != "inputs")
