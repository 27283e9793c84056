"""Layers, losses and metrics in NumPy in the middle of a program."""

import numpy as np
import pytest

import fastnn
from fastnn import layers


class Scale(layers.Layer):
    """y = scale * x: a layer of a user's, in plain NumPy."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=input_shape[1:], initializer="ones")

    def call(self, x, training=False):
        self.x = x
        return x * self.scale.numpy()

    def backward(self, dy):
        self.grads = [(dy * self.x).sum(0)]
        return dy * self.scale.numpy()


def test_a_layer_in_numpy_trains_like_the_compiled_ones():
    """Against a central difference of the loss in every weight of the model."""
    model = fastnn.Sequential(
        [fastnn.Input((6,)), layers.Dense(5, activation="tanh"), Scale(), layers.Dense(3, activation="softmax")],
        dtype="float64")  # fmt: skip
    model.compile(fastnn.SGD(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 6)), rng.integers(0, 3, 9)
    before = model.get_weights()

    def loss():
        return model.test_on_batch(x, y)[0]

    slopes = []
    for i, w in enumerate(before):
        slope = np.zeros_like(w)
        for at in np.ndindex(w.shape):
            values = []
            for step in (1e-6, -1e-6):
                changed = [v.copy() for v in before]
                changed[i][at] += step
                model.set_weights(changed)
                values.append(loss())
            slope[at] = (values[0] - values[1]) / 2e-6
        slopes.append(slope)
    model.set_weights(before)
    first, accuracy = model.train_on_batch(x, y)
    assert 0 <= accuracy <= 1
    assert first == pytest.approx(loss_of(before, x, y))
    for w, b, s in zip(model.get_weights(), before, slopes, strict=True):
        np.testing.assert_allclose(b - w, s, atol=1e-8)


def loss_of(weights, x, y):
    w1, b1, scale, w2, b2 = weights
    z = np.tanh(x @ w1 + b1) * scale @ w2 + b2
    z -= z.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def test_a_loss_and_a_metric_in_numpy():
    """The same function as the built-in one gives the same training."""

    def mean_square(y_true, y_pred):
        difference = y_pred - y_true
        return (difference**2).mean(1), 2 * difference / difference.shape[1]

    def largest_error(y_true, y_pred):
        return np.abs(y_pred - y_true).max(1)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 6)), rng.normal(size=(100, 2))
    results = []
    for loss in ("mse", mean_square):
        fastnn.set_random_seed(3)
        stack = [fastnn.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(2)]
        model = fastnn.Sequential(stack, dtype="float64")
        model.compile("adam", loss, metrics=[largest_error], seed=1)
        history = model.fit(x, y, epochs=3, verbose=0, sample_weight=np.linspace(0, 2, 100))
        results.append((model.get_weights(), history.history["loss"], model.evaluate(x, y, verbose=0)))
        expected = np.abs(model.predict(x, verbose=0) - y).max(1).mean()
        assert results[-1][2][1] == pytest.approx(expected)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)
    for a, b in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
