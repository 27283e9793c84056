"""Maxout, PReLU, residual blocks, activity penalties, fixed normalisation: what only they do."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maxout_of_zero_and_x_is_relu_bit_for_bit(dtype):
    """Forward, and the gradient of the piece that is x; -0 and NaN included.

    32 units are whole panels everywhere: in a panel with few units dW is summed in another order."""
    x = RNG.normal(size=(37, 19)).astype(dtype)
    x[3] = -0.0
    relu = fastnn.Sequential([fastnn.Input((19,)), layers.Dense(32, "relu")], dtype=dtype)
    maxout = fastnn.Sequential([fastnn.Input((19,)), layers.Maxout(32, 2)], dtype=dtype)
    w, b = (RNG.normal(size=v.shape) for v in relu.get_weights())
    b[:3] = 0, -0.0, 0
    relu.set_weights([w, b])
    pieces = [np.zeros((19, 64)), np.zeros(64)]
    pieces[0][:, 1::2], pieces[1][1::2] = w, b
    maxout.set_weights(pieces)
    assert relu.forward(x).tobytes() == maxout.forward(x).tobytes()
    dy, found = RNG.normal(size=(37, 32)), []
    for model in (relu, maxout):
        model.compile("sgd")
        model.forward(x, training=True)
        model.backward(dy)
        found.append(model.gradients())
    assert found[0][0].tobytes() == np.ascontiguousarray(found[1][0][:, 1::2]).tobytes()
    assert found[0][1].tobytes() == np.ascontiguousarray(found[1][1][1::2]).tobytes()
    one = fastnn.Sequential([fastnn.Input((2,)), layers.Maxout(1, 2, use_bias=False)], dtype=dtype)
    one.set_weights([np.eye(2)])
    for row in ([0.0, np.nan], [np.nan, 0.0], [np.nan, 1.0]):
        assert np.isnan(one.forward(np.array([row]))).all()


def test_prelu_weights_are_those_of_keras():
    for options, shape in (({}, (3, 4)), ({"shared_axes": [1]}, (1, 4)), ({"shared_axes": 2}, (3, 1)),
                           ({"shared_axes": [1, 2]}, (1, 1))):  # fmt: skip
        model = fastnn.Sequential([layers.PReLU(**options, input_shape=(3, 4))])
        assert [w.shape for w in model.get_weights()] == [shape]
    stack = [layers.Flatten(input_shape=(28, 28)), layers.Dense(300), layers.PReLU(), layers.Dense(100)]
    assert fastnn.Sequential([*stack, layers.PReLU(), layers.Dense(10)]).count_params() == 267_010


def test_a_residual_block_is_its_layers_and_the_input():
    inner = layers.Dense(5, "tanh", name="inner")
    block = layers.Residual([inner, layers.Dropout(0.5)], name="block")
    model = fastnn.Sequential([fastnn.Input((5,)), block, layers.Dense(2)], dtype="float64")
    assert block.weights == inner.weights and model.count_params() == 30 + 12
    x = RNG.normal(size=(9, 5))
    assert list(model.leaves())[:2] == block.layers
    model.compile("sgd", "mse", seed=3)
    y = model.forward(x, training=True)
    w = model.get_weights()
    h = np.tanh(x @ w[0] + w[1]) * reference.dropout_mask(9, 5, 0.5, seed=3, step=0, layer=1)
    np.testing.assert_allclose(y, (x + h) @ w[2] + w[3], rtol=1e-12)
    clone = fastnn.models.clone_model(model)
    assert clone.layers[0].layers[0] is not inner and clone.layers[0].get_config() == block.get_config()
    clone.set_weights(w)
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    block.trainable = False
    assert not inner.trainable and block.trainable_weights == []
    model.fit(x, y[:, :2], verbose=0)
    for before, after in zip(w[:2], inner.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert (model.get_weights()[2] != w[2]).any()


def test_a_block_in_a_block():
    block = layers.Residual([layers.Residual([layers.Dense(4)]), layers.Residual([layers.Dense(4)])])
    model = fastnn.Sequential([fastnn.Input((4,)), block], dtype="float64")
    x, w = RNG.normal(size=(6, 4)), model.get_weights()
    h = x + x @ w[0] + w[1]
    np.testing.assert_allclose(model.predict(x, verbose=0), x + h + h @ w[2] + w[3], rtol=1e-12)
    assert len(list(model.leaves())) == 2


@pytest.mark.parametrize("where", ["hidden", "result", "softmax", "alone"])
@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_activity_penalty_is_part_of_the_loss(where, schedule):
    """Value and gradient as those of a loss written out; a short last batch divides by its own size."""
    penalty, l1, l2 = layers.ActivityRegularization(0.3, 0.2), 0.3, 0.2
    stack = [fastnn.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(3, "softmax" if where == "softmax" else None)]
    stack.insert(2 if where == "hidden" else 3, penalty)
    fastnn.set_random_seed(1)
    model = fastnn.Sequential(stack, dtype="float64")
    x, y = RNG.normal(size=(20, 5)), RNG.normal(size=(20, 3))
    loss = "categorical_crossentropy" if where == "softmax" else "mse"
    if where == "softmax":
        y = np.eye(3)[RNG.integers(0, 3, 20)]
    if where == "alone":
        def loss(t, p):  # a loss in NumPy: the penalty is the only one of the core
            return ((p - t) ** 2).mean(1), 2 * (p - t) / 3
    model.compile(fastnn.SGD(0.1), loss, seed=2)

    def value(w, x, y):
        h = np.tanh(x @ w[0] + w[1])
        p = h @ w[2] + w[3]
        p = reference.softmax(p) if where == "softmax" else p
        a = h if where == "hidden" else p
        main = reference.categorical_crossentropy(y, p)[0] if where == "softmax" else ((p - y) ** 2).mean(1)
        return main.mean() + (l1 * np.abs(a).sum() + l2 * (a**2).sum()) / len(x)

    w = model.get_weights()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(value(w, x, y), rel=1e-12)
    reported = 0
    for rows in (slice(0, 16), slice(16, 20)):
        reported += value(w, x[rows], y[rows]) * (rows.stop - rows.start) / 20
        slopes = [reference.central_difference(lambda: value(w, x[rows], y[rows]), v) for v in w]  # noqa: B023
        w = [v - 0.1 * s for v, s in zip(w, slopes, strict=True)]
    if where == "alone":
        history = model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        assert history.history["loss"][0] == pytest.approx(reported, rel=1e-8)
    else:
        engine = engine_of(model, schedule=schedule, threads=2)
        _, loss, _ = engine.fit_block(x, y, None, None, 0, 20, 16, np.full(2, 0.1))
        assert loss / 20 == pytest.approx(reported, rel=1e-8)
    for ours, theirs in zip(model.get_weights(), w, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_normalization_adapts():
    x = RNG.normal(3.0, 2.0, size=(20_000, 4, 3)).astype(np.float32) + 1000
    for axis, away in ((-1, (0, 1)), ((1, 2), (0,)), (None, (0, 1, 2)), (1, (0, 2))):
        layer = layers.Normalization(axis)
        layer.adapt(x)
        exact = x.astype(np.float64)
        np.testing.assert_allclose(layer.mean.numpy(), exact.mean(away), rtol=1e-6)
        np.testing.assert_allclose(layer.variance.numpy(), exact.var(away), rtol=1e-6)
        model = fastnn.Sequential([layer])
        y = model.predict(x, verbose=0)
        assert abs(y.mean(dtype=float)) < 1e-3 and y.std(dtype=float) == pytest.approx(1, abs=1e-3)
        assert model.trainable_weights == [] and len(model.get_weights()) == 2
        layer.adapt(x - 1000)  # again, from the start; the model sees it
        assert abs(model.predict(x[:9] - 1000, verbose=0)).max() < 10
    batches = layers.Normalization()
    batches.adapt((x[i : i + 700], None) for i in range(0, len(x), 700))
    np.testing.assert_allclose(batches.variance.numpy(), exact.var((0, 1)), rtol=1e-6)
    back = layers.Normalization(mean=batches.mean.numpy(), variance=batches.variance.numpy(), invert=True)
    again = fastnn.Sequential([fastnn.Input((4, 3)), batches, back], dtype="float32").predict(x[:50], verbose=0)
    np.testing.assert_allclose(again, x[:50], rtol=1e-6)
    with pytest.raises(ValueError, match=r"data: expected samples of shape \(4, 3\), got \(4, 2\)"):
        batches.adapt(x[:, :, :2])
    with pytest.raises(ValueError, match="adapt: expected a layer without given mean and variance"):
        back.adapt(x)


def test_layers_that_only_train_cost_nothing_at_inference():
    model = fastnn.Sequential([fastnn.Input((5,)), layers.GaussianNoise(1.0), layers.Dense(3), layers.AlphaDropout(0.2),
                               layers.GaussianDropout(0.5), layers.ActivityRegularization(1.0)])  # fmt: skip
    model.predict(np.ones((4, 5)), verbose=0)
    (program,) = model.engine()._programs.values()
    assert [op[0] for op in program.plan.ops] == ["gather", "dense_fwd", "scatter"]
