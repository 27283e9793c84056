"""Batch normalisation beyond a training step: tiny batches, recalibration, folding at inference."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

RNG = np.random.default_rng(0)


def pair(stack, spec, dtype="float64", shape=(5,)):
    """(model, reference network) with equal, unspecial weights."""
    fastnn.set_random_seed(2)
    model = fastnn.Sequential([fastnn.Input(shape), *stack], dtype=dtype)
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    model.compile(fastnn.SGD(0.1), "mse", seed=1)
    net = reference.Net(spec, model.get_weights(), "mean_squared_error", reference.SGD(0.1))
    return model, net


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize(("n", "batch"), [(5, 1), (33, 16), (17, 16), (9, 8)])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}])
def test_one_row_and_a_short_last_batch(options, n, batch, isa):
    """A row alone has variance 0 and gives beta; each batch counts alike in the moving averages, as in Keras."""
    bn = {"momentum": 0.9, **options}
    model, net = pair(
        [layers.Dense(7, "tanh"), layers.BatchNormalization(**bn), layers.Dense(3)],
        [("dense", {"activation": "tanh"}), ("batch_norm", bn), ("dense", {})],
    )
    x, y = RNG.normal(size=(n, 5)), RNG.normal(size=(n, 3))
    engine_of(model, isa=isa).fit_block(x, y, None, None, 0, n, batch, np.full(-(-n // batch), 0.1))
    net.train([(x[i : i + batch], y[i : i + batch]) for i in range(0, n, batch)])
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11)


def test_a_row_alone_gives_beta_and_no_gradient():
    layer = layers.BatchNormalization(beta_initializer="ones", input_shape=(4,))
    model = fastnn.Sequential([layer], dtype="float64")
    model.compile("sgd")
    np.testing.assert_array_equal(model.forward(RNG.normal(size=(1, 4)), training=True), np.ones((1, 4)))
    np.testing.assert_array_equal(model.backward(np.ones((1, 4))), np.zeros((1, 4)))


def stack():
    return [
        layers.BatchNormalization(), layers.Dense(6, "tanh"), layers.BatchNormalization(),
        layers.Dense(9, use_bias=False), layers.BatchNormalization(scale=False), layers.Activation("elu"),
        layers.Dropout(0.4), layers.Dense(2)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_recalibrated_statistics_are_those_of_the_whole_data_as_one_batch(dtype):
    model = fastnn.Sequential([fastnn.Input((5,)), *stack()], dtype=dtype)
    x = (RNG.normal(size=(20_001, 5)) * 3 + 100).astype(dtype)
    model.compile("sgd", "mse")
    assert model.recalibrate(x) == 3
    h = x.astype(np.float64)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for layer in model.layers:
        w = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            mean, variance = reference.batch_norm_stats(h)
            np.testing.assert_allclose(w[-2], mean, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(w[-1], variance, rtol=10 * tolerance)
            h = (h - mean) / np.sqrt(variance + 1e-3)
        elif isinstance(layer, layers.Dense):
            h = reference.activation(layer.activation.__name__, h @ w[0] + (w[1] if len(w) > 1 else 0))
        elif isinstance(layer, layers.Activation):
            h = reference.activation("elu", h)
    np.testing.assert_allclose(model.predict(x, verbose=0), h, rtol=100 * tolerance, atol=100 * tolerance)


def test_recalibration_inside_a_residual_block_and_of_frozen_layers():
    inner, after, frozen = (layers.BatchNormalization() for _ in range(3))
    frozen.trainable = False
    block = layers.Residual([layers.Dense(5), inner])
    stack = [fastnn.Input((5,)), layers.Dense(5), block, after, frozen]
    model = fastnn.Sequential(stack, dtype="float64")
    x = RNG.normal(size=(300, 5)) + 4
    assert model.recalibrate(x, batch_size=64) == 2
    w = model.get_weights()
    z = x @ w[0] + w[1]
    h = z @ w[2] + w[3]
    np.testing.assert_allclose(inner.moving_mean.numpy(), h.mean(0), rtol=1e-10)
    z = z + (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-3)
    np.testing.assert_allclose(after.moving_variance.numpy(), z.var(0), rtol=1e-10)
    assert (frozen.moving_variance.numpy() == 1).all()
    with pytest.raises(ValueError, match="x: expected at least one sample"):
        model.recalibrate(np.ones((0, 5)))


SPEC = [("batch_norm", {}), ("dense", {"activation": "tanh"}), ("batch_norm", {}), ("dense", {"use_bias": False}),
        ("batch_norm", {"scale": False}), ("activation", {"name": "elu"}), ("dense", {})]  # fmt: skip


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_folding_changes_nothing_but_the_last_digits(dtype, tolerance, isa):
    model, net = pair(stack(), SPEC, dtype)
    engine = engine_of(model, isa=isa)
    x, y = RNG.normal(size=(203, 5)).astype(dtype), RNG.normal(size=(203, 2)).astype(dtype)
    np.testing.assert_allclose(engine.predict(x, 100), net.forward(x), rtol=tolerance, atol=tolerance)
    (program,) = engine._programs.values()
    names = [op[0] for op in program.plan.ops]
    assert names.count("bn_infer") == 1  # that of the raw input; of the others one is before a dense layer, one after
    assert [(f.before is not None, f.after is not None) for f in program.folds] == [(True, True)]
    n, loss, _ = engine.evaluate(x, y, None, 100)
    np.testing.assert_allclose(loss / n, np.mean((net.forward(x) - y) ** 2), rtol=10 * tolerance)


def test_folded_weights_follow_training_and_assignment():
    model, net = pair(stack(), SPEC)
    x, y = RNG.normal(size=(64, 5)), RNG.normal(size=(64, 2))
    model.layers[6].rate = 0  # the reference has no dropout here
    model.predict(x, verbose=0)
    for _ in range(3):
        model.fit(x, y, batch_size=64, shuffle=False, verbose=0)
        net.train([(x, y)])
        np.testing.assert_allclose(model.predict(x, verbose=0), net.forward(x), rtol=1e-9, atol=1e-11)
    model.layers[4].moving_mean.assign(np.full(9, 2.0))
    changed = model.predict(x, verbose=0)
    net.weights = [np.array(w) for w in model.get_weights()]
    np.testing.assert_allclose(changed, net.forward(x), rtol=1e-9, atol=1e-11)
    p = model.forward(x, training=True)
    model.backward(p - y)
    model.apply_gradients()
    net.weights = [np.array(w) for w in model.get_weights()]
    np.testing.assert_allclose(model.predict(x, verbose=0), net.forward(x), rtol=1e-9, atol=1e-11)


def test_a_result_that_others_read_is_not_folded_away():
    """The dense layer's own result passes the batch normalisation by."""
    bn = layers.BatchNormalization()
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(5), layers.Residual([bn])], dtype="float64")
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    x = RNG.normal(size=(30, 5))
    w, b, gamma, beta, mean, variance = model.get_weights()
    z = x @ w + b
    expected = z + reference.batch_norm(z, gamma, beta, mean, variance)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-12)


def test_folding_reaches_through_a_sigmoid_read_by_its_loss():
    """The loss wants the logits, which are now the folded dense layer's."""
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(1), layers.BatchNormalization(),
                               layers.Activation("sigmoid")], dtype="float64")  # fmt: skip
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    model.compile("sgd", "binary_crossentropy")
    x, y = RNG.normal(size=(30, 5)), RNG.integers(0, 2, 30)
    p = model.predict(x, verbose=0).ravel()
    expected = -np.mean(np.where(y == 1, np.log(p), np.log1p(-p)))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-9)
