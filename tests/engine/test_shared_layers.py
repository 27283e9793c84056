"""A layer that a model uses several times: its gradient is the sum over the uses, and it is updated after the last one.

References: float64 NumPy, written out, and central differences.
"""

import numpy as np
import pytest
from engine_tools import engine_of

import fastnn
from fastnn import layers

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(70, 6)), RNG.normal(size=(70, 6))
RATE, MOMENTUM = 0.1, 0.9


def model_of(*blocks, optimizer="sgd", **kwargs):
    model = fastnn.Sequential([layers.Input(shape=(6,)), *blocks], dtype="float64", **kwargs)
    model.compile(optimizer, "mse", seed=1)
    return model


def twice(optimizer="sgd", **dense):
    layer = layers.Dense(6, "tanh", **dense)
    return layer, model_of(layers.Residual([layer]), layers.Residual([layer]), optimizer=optimizer)


def numpy_step(w, b, x, y):
    """Loss and gradients of h = x + tanh(x w + b), out = h + tanh(h w + b), mean squared error."""
    t1 = np.tanh(x @ w + b)
    h = x + t1
    t2 = np.tanh(h @ w + b)
    error = h + t2 - y
    d_out = 2 * error / error.size
    d2 = d_out * (1 - t2**2)
    d1 = (d_out + d2 @ w.T) * (1 - t1**2)
    return np.mean(error**2), x.T @ d1 + h.T @ d2, d1.sum(0) + d2.sum(0)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("batch", [16, 70])
def test_training_is_that_of_the_sum_of_both_gradients(schedule, batch):
    layer, model = twice(fastnn.SGD(RATE, momentum=MOMENTUM))
    w, b = (a.astype(float) for a in model.get_weights())
    engine = engine_of(model, schedule=schedule)
    engine.fit_block(X, Y, None, None, 0, 70, batch, np.full(-(-70 // batch), RATE))
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for start in range(0, 70, batch):
        _, dw, db = numpy_step(w, b, X[start : start + batch], Y[start : start + batch])
        vw, vb = MOMENTUM * vw - RATE * dw, MOMENTUM * vb - RATE * db
        w, b = w + vw, b + vb
    for found, expected in zip(model.get_weights(), (w, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_manual_steps_and_the_flat_gradient_agree_with_numpy():
    layer, model = twice()
    w, b = model.get_weights()
    loss, dw, db = numpy_step(w, b, X, Y)
    value, gradient = model.loss_and_grad(model.get_parameters(), X, Y)
    assert value == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(gradient, np.concatenate([dw.ravel(), db]), rtol=1e-10, atol=1e-13)
    out = model.forward(X, training=True)
    model.backward(2 * (out - Y) / Y.size)
    for found, expected in zip(model.gradients(), (dw, db), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


SHARED = {
    "dense": lambda: layers.Dense(6, "sigmoid"),
    "no bias": lambda: layers.Dense(6, "tanh", use_bias=False),
    "batch norm": lambda: layers.BatchNormalization(),
    "layer norm": lambda: layers.LayerNormalization(),
    "prelu": lambda: layers.PReLU(),
    "maxout": lambda: layers.Maxout(6, 2),
    "penalty": lambda: layers.Dense(6, "elu", kernel_regularizer="l2", bias_regularizer="l1"),
}


@pytest.mark.parametrize("kind", SHARED)
def test_gradients_agree_with_central_differences(kind):
    layer = SHARED[kind]()
    block = layers.Residual([layers.Dense(6, "tanh"), layer])
    model = model_of(layers.Dense(6), layer, block, layers.Residual([layer]))
    model.fit(X, Y, epochs=1, verbose=0)
    report = model.check_gradients(X[:20], Y[:20])
    assert report.passed, report


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_same_bits_for_any_number_of_threads(kind, schedule):
    from fastnn._core import threads

    def trained(team):
        layer = SHARED[kind]()
        model = model_of(layers.Dense(6), layer, layers.Dropout(0.2), layers.Residual([layer]), optimizer="adam")
        model.set_weights([np.linspace(-0.5, 0.9, w.size).reshape(w.shape) for w in model.get_weights()])
        engine = engine_of(model, schedule=schedule)
        with threads.using(team):
            for _ in range(3):
                engine.fit_block(X, Y, None, None, 0, 70, 70, np.full(1, 0.01))
        return b"".join(w.tobytes() for w in model.get_weights())

    assert trained(1) == trained(2) == trained(3) == trained(8)


def test_clipping_by_norm_sees_the_whole_gradient():
    layer, model = twice(fastnn.SGD(1.0, clipnorm=1e-3))
    w, b = model.get_weights()
    _, dw, db = numpy_step(w, b, X, Y)
    model.train_on_batch(X, Y)
    for found, start, gradient in zip(model.get_weights(), (w, b), (dw, db), strict=True):
        np.testing.assert_allclose(found, start - 1e-3 * gradient / np.linalg.norm(gradient), rtol=1e-9, atol=1e-12)


def test_two_uses_of_a_dropout_layer_draw_apart():
    """As in Keras, where each call has numbers of its own: x + x m1 + (x + x m1) m2 with two masks of 0 or 2."""
    drop = layers.Dropout(0.5)
    model = model_of(layers.Residual([drop]), layers.Residual([drop]))
    found, counts = np.unique(model.forward(np.ones((400, 6)), training=True), return_counts=True)
    assert found.tolist() == [1.0, 3.0, 9.0]  # without one mask it would be 1 or 9
    np.testing.assert_allclose(counts / counts.sum(), [0.25, 0.5, 0.25], atol=0.04)


def test_saving_says_that_files_have_no_shared_layers(tmp_path):
    layer, model = twice()
    with pytest.raises(ValueError, match="expected a model that uses each layer once"):
        model.save(tmp_path / "m.fnn")
