"""A few samples are multiplied one by one (`forward_few`): each gets the bits that it has among many."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

FEW = range(1, 8)  # some more than go one by one
SIZES = [(20, 64, 64, 4), (3, 70, 17), (300, 33, 1), (1, 160, 130, 2), (20, 52, 4)]


def net(sizes, activation, dtype, *, use_bias=True, normalized=False):
    fastnn.set_random_seed(3)
    made = fastnn.Sequential([layers.Input((sizes[0],), dtype=dtype)])
    for units in sizes[1:]:
        made.add(layers.Dense(units, activation, use_bias=use_bias, bias_initializer="normal", dtype=dtype))
        if normalized:
            made.add(layers.BatchNormalization(dtype=dtype))
    made.compile("sgd", "mse")
    return made


def samples(n, features, dtype):
    return np.random.default_rng(n).normal(size=(n, features)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [None, "tanh", "gelu", "softmax"])
@pytest.mark.parametrize("sizes", SIZES)
def test_a_sample_among_few_is_what_it_is_among_many(sizes, activation, dtype):
    model, x = net(sizes, activation, dtype), samples(70, sizes[0], dtype)
    y = model.predict(x, batch_size=70, verbose=0)
    for n in FEW:
        np.testing.assert_array_equal(model.predict(x[:n], verbose=0), y[:n])
        np.testing.assert_array_equal(model.predict_on_batch(x[n : 2 * n]), y[n : 2 * n])
    # 64 and a few: a panel of its own at the end of a batch
    np.testing.assert_array_equal(model.predict(x[:66], batch_size=66, verbose=0), y[:66])


@pytest.mark.parametrize("options", [{"use_bias": False}, {"normalized": True}])
def test_without_bias_and_with_folded_batch_normalization(options):
    model, x = net((20, 64, 33), "relu", "float32", **options), samples(40, 20, "float32")
    model.fit(x, samples(40, 33, "float32"), batch_size=10, epochs=2, verbose=0)
    y = model.predict(x, batch_size=40, verbose=0)
    for n in FEW:
        np.testing.assert_array_equal(model.predict(x[:n], verbose=0), y[:n])


@pytest.mark.parametrize("activation", ["gelu", "relu", "tanh"])
def test_gradients_of_few(activation):
    """gelu's derivative needs what came before it."""
    model, x, dy = net((20, 64, 33), activation, "float32"), samples(40, 20, "float32"), samples(40, 33, "float32")
    model.forward(x, training=True)
    dx = model.backward(dy)
    for n in FEW:
        model.forward(x[:n], training=True)
        np.testing.assert_array_equal(model.backward(dy[:n]), dx[:n])


def test_the_last_panel_of_a_batch_may_be_all_that_a_thread_has():
    x, t = samples(66, 20, "float32"), samples(66, 4, "float32")
    found = []
    for threads in (1, 2, 5, 8):
        model = net((20, 16, 4), "tanh", "float32")
        model.compile("sgd", "mse", threads=threads)
        model.fit(x, t, batch_size=66, epochs=3, verbose=0, shuffle=False)
        found.append(model.get_weights())
    for weights in zip(*found, strict=True):
        for other in weights[1:]:
            np.testing.assert_array_equal(weights[0], other)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_sample_against_float64(sizes):
    model, x = net(sizes, "tanh", "float32"), samples(1, sizes[0], "float32")
    y = x.astype(np.float64)
    weights = model.get_weights()
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        y = np.tanh(y @ w.astype(np.float64) + b)
    np.testing.assert_allclose(model.predict_on_batch(x), y, rtol=1e-5, atol=1e-6)
