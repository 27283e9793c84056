"""Gradients by the input in inference mode: float64 differences, NumPy written out, and what must not change."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(9, 5)), RNG.integers(0, 3, 9)
NOISY = [
    lambda: layers.Dropout(0.5), lambda: layers.GaussianNoise(0.3), lambda: layers.GaussianDropout(0.2),
    lambda: layers.AlphaDropout(0.1), lambda: layers.RReLU(),
]  # fmt: skip


def trained(*stack, loss="sparse_categorical_crossentropy", y=LABELS, dtype="float64"):
    fastnn.set_random_seed(1)
    model = fastnn.Sequential([layers.Dense(7, "tanh", input_shape=(5,)), *stack], dtype=dtype)
    model.compile(fastnn.Adam(0.05), loss)
    model.fit(X, y, epochs=3, batch_size=4, verbose=0)
    return model


def differences(function, x, eps=1e-6):
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = eps
        result[index] = (function(x + step) - function(x - step)) / (2 * eps)
    return result


@pytest.mark.parametrize("noise", NOISY, ids=lambda make: type(make()).__name__)
def test_of_the_loss_by_differences(noise):
    model = trained(layers.BatchNormalization(), noise(), layers.Dense(6), layers.LayerNormalization(),
                    layers.PReLU(), layers.Dense(3, "softmax", activity_regularizer="l2"))  # fmt: skip
    wanted = differences(lambda x: model.evaluate(x, LABELS, verbose=0), X)
    assert abs(wanted).max() > 1e-3
    np.testing.assert_allclose(model.input_gradient(X, LABELS), wanted, atol=1e-8)


@pytest.mark.parametrize("noise", NOISY, ids=lambda make: type(make()).__name__)
def test_of_the_results_by_differences(noise):
    model = trained(noise(), layers.BatchNormalization(), layers.Maxout(4, 2), noise(),
                    layers.Dense(3, "softmax", activity_regularizer="l2"))  # fmt: skip
    dy = RNG.normal(size=(9, 3))
    wanted = differences(lambda x: (dy * model.predict(x, verbose=0)).sum(), X)
    np.testing.assert_allclose(model.input_gradient(X, dy=dy), wanted, atol=1e-8)


@pytest.mark.parametrize("rows", [1, 9, 300])
def test_batch_normalisation_and_dropout_written_out(rows):
    """z = xW + b; a = tanh(z); n = gamma (a - mean) / sqrt(var + eps) + beta; y = nV + c, squared error."""
    model = trained(layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2), loss="mse",
                    y=RNG.normal(size=(9, 2)))  # fmt: skip
    w, b, gamma, beta, mean, var, v, c = model.get_weights()
    x, t = RNG.normal(size=(rows, 5)), RNG.normal(size=(rows, 2))
    a, scale = np.tanh(x @ w + b), gamma / np.sqrt(var + model.layers[1].epsilon)
    y = ((a - mean) * scale + beta) @ v + c
    dy = 2 * (y - t) / (rows * 2)
    wanted = ((dy @ v.T) * scale * (1 - a**2)) @ w.T
    np.testing.assert_allclose(model.input_gradient(x, t), wanted, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(model.input_gradient(x, dy=dy), wanted, rtol=1e-10, atol=1e-14)


def test_with_the_statistics_of_the_batch():
    model = trained(layers.BatchNormalization(), layers.Dense(2), loss="mse", y=RNG.normal(size=(9, 2)))
    w, b, gamma, beta, _, _, v, c = model.get_weights()

    def results(x):
        a = np.tanh(x @ w + b)
        return ((a - a.mean(0)) / np.sqrt(a.var(0) + model.layers[1].epsilon) * gamma + beta) @ v + c

    dy, t = RNG.normal(size=(9, 2)), RNG.normal(size=(9, 2))
    wanted = differences(lambda x: (dy * results(x)).sum(), X)
    np.testing.assert_allclose(model.input_gradient(X, dy=dy, training=True), wanted, atol=1e-8)
    wanted = differences(lambda x: ((results(x) - t) ** 2).mean(), X)
    np.testing.assert_allclose(model.input_gradient(X, t, training=True), wanted, atol=1e-8)


def test_training_has_the_masks_of_the_next_step():
    model = trained(layers.Dropout(0.5), layers.Dense(3))
    dy = RNG.normal(size=(9, 3))
    asked = model.input_gradient(X, dy=dy, training=True)
    model.forward(X, training=True)
    np.testing.assert_array_equal(asked, model.backward(dy))
    assert (asked != model.input_gradient(X, dy=dy)).any()


class Cube(layers.Layer):
    """In NumPy, with another slope while training."""

    def call(self, x, training):
        self.slope = 3 * x**2 * (2 if training else 1)
        return x**3 * (2 if training else 1)

    def backward(self, dy):
        return dy * self.slope


def cross_entropy(y_true, y_pred):
    return (y_pred - y_true).sum(axis=1) ** 2, 2 * (y_pred - y_true).sum(axis=1, keepdims=True) + 0 * y_pred


def test_layers_and_losses_in_numpy():
    model = trained(Cube(), layers.Dense(3), loss=cross_entropy, y=RNG.normal(size=(9, 3)))
    t = RNG.normal(size=(9, 3))
    wanted = differences(lambda x: ((model.predict(x, verbose=0) - t).sum(axis=1) ** 2).mean(), X)
    np.testing.assert_allclose(model.input_gradient(X, t), wanted, atol=1e-7)
    wanted = differences(lambda x: (model.predict(x, verbose=0) * t).sum(), X)
    np.testing.assert_allclose(model.input_gradient(X, dy=t), wanted, atol=1e-7)


@pytest.mark.parametrize("training", [False, True])
def test_nothing_of_the_model_changes(training):
    model = trained(layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3, "softmax"))
    twin = trained(layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3, "softmax"))
    model.forward(X, training=True)
    twin.forward(X, training=True)
    before = model.get_weights()
    model.input_gradient(X, LABELS, training=training)
    model.input_gradient(X[:3], dy=np.ones((3, 3)), training=training)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    dy = RNG.normal(size=(9, 3))
    np.testing.assert_array_equal(model.backward(dy), twin.backward(dy))
    for m in (model, twin):
        m.apply_gradients()
        m.fit(X, LABELS, epochs=2, batch_size=4, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_layers_and_weights_of_now():
    model = trained(layers.Dense(3))
    dy = np.ones((9, 3))
    old = model.input_gradient(X, dy=dy)
    model.layers[0].trainable = False
    np.testing.assert_array_equal(model.input_gradient(X, dy=dy), old)
    model.set_weights([2 * w for w in model.get_weights()])
    wanted = differences(lambda x: model.predict(x, verbose=0).sum(), X)
    np.testing.assert_allclose(model.input_gradient(X, dy=dy), wanted, atol=1e-7)


def test_shapes_dtypes_and_no_rows():
    model = fastnn.Sequential([layers.Flatten(input_shape=(2, 3)), layers.Dense(4)])
    kernel = model.get_weights()[0]
    found = model.input_gradient(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), dy=np.ones((2, 4)))
    assert found.dtype == np.float32 and found.shape == (2, 2, 3)
    np.testing.assert_allclose(found[1], kernel.sum(axis=1).reshape(2, 3), rtol=1e-5, atol=1e-6)
    assert model.input_gradient(np.zeros((0, 2, 3)), dy=np.ones((0, 4))).shape == (0, 2, 3)


def test_refusals():
    model = fastnn.Sequential([layers.Dense(3, input_shape=(5,))])
    with pytest.raises(ValueError, match="input_gradient: expected either y .* or dy, got neither"):
        model.input_gradient(X)
    with pytest.raises(ValueError, match="got both"):
        model.input_gradient(X, LABELS, dy=np.ones((9, 3)))
    with pytest.raises(ValueError, match="input_gradient: expected a compiled model"):
        model.input_gradient(X, LABELS)
    with pytest.raises(ValueError, match="dy: expected 9 rows"):
        model.input_gradient(X, dy=np.ones((8, 3)))
    with pytest.raises(ValueError, match="dy: .* got nan in row 0, column 1"):
        model.input_gradient(X[:1], dy=[[0, np.nan, 0]])
