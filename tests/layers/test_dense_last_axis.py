"""Dense on samples of several axes: it acts on the last one, on every index of the others alike.

References: float64 NumPy, written out; for bits, the same layer on the groups as samples of their own.
"""

import numpy as np
import pytest
import reference
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

RNG = np.random.default_rng(11)
FEATURES, HIDDEN, OUT = 5, 19, 3
SIZES = [1, 2, 15, 33, 70]  # of batches, with and without a partial panel


def data(n, steps, dtype="float64"):
    x, y = RNG.normal(size=(n, steps, FEATURES)), RNG.normal(size=(n, steps, OUT))
    return x.astype(dtype), y.astype(dtype)


def model_of(steps, dtype="float64", optimizer="sgd", **dense):
    fastnn.set_random_seed(2)
    stack = [fastnn.Input((steps, FEATURES)), layers.Dense(HIDDEN, "tanh", **dense), layers.Dense(OUT)]
    model = fastnn.Sequential(stack, dtype=dtype)
    model.compile(optimizer, "mse", seed=1)
    return model


def numpy_step(weights, x, y):
    """Loss and gradients of mean squared error over everything."""
    w1, b1, w2, b2 = weights
    h = np.tanh(x @ w1 + b1)
    error = h @ w2 + b2 - y
    d = 2 * error / error.size
    dh = (d @ w2.T) * (1 - h**2)
    into = [np.einsum("nti,nto->io", a, b) for a, b in ((x, dh), (h, d))]
    return np.mean(error**2), [into[0], dh.sum((0, 1)), into[1], d.sum((0, 1))]


def numpy_training(weights, optimizer, x, y, batch, epochs):
    weights, losses = [w.astype(float) for w in weights], []
    for _ in range(epochs):
        total = 0.0
        for at in range(0, len(x), batch):
            part = slice(at, at + batch)
            loss, gradients = numpy_step(weights, x[part], y[part])
            total += loss * len(x[part])
            optimizer.apply(weights, gradients)
        losses.append(total / len(x))
    return weights, losses


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("n", SIZES)
def test_results_are_those_of_numpy(n, steps):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        model, (x, _) = model_of(steps, dtype), data(n, steps, dtype)
        w1, b1, w2, b2 = model.get_weights()
        np.testing.assert_allclose(model.predict(x), np.tanh(x @ w1 + b1) @ w2 + b2, rtol=0, atol=tolerance)


def test_several_axes_and_the_shape_of_the_result():
    model = fastnn.Sequential([fastnn.Input((2, 3, FEATURES)), layers.Dense(4)], dtype="float64")
    x = RNG.normal(size=(6, 2, 3, FEATURES))
    w, b = model.get_weights()
    assert w.shape == (FEATURES, 4) and model.output_shape == (None, 2, 3, 4)
    np.testing.assert_allclose(model.predict(x), x @ w + b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("batch", SIZES)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_agrees_with_numpy(name, batch, schedule):
    """Updates fused into the kernel of the gradient, or after chunks; n is no multiple of the batch."""
    x, y = data(71, 3)
    options = {"momentum": 0.9} if name == "SGD" else {}
    model = model_of(3, optimizer=getattr(fastnn, name)(0.01, **options))
    before, engine = model.get_weights(), engine_of(model, schedule=schedule)
    losses, per_epoch = [], -(-71 // batch)
    for _ in range(3):
        _, loss, _ = engine.fit_block(x, y.reshape(71, -1), None, None, 0, 71, batch, np.full(per_epoch, 0.01))
        losses.append(loss / 71)
    optimizer = getattr(reference, name)(0.01, **options)
    expected, of_numpy = numpy_training(before, optimizer, x, y, batch, 3)
    np.testing.assert_allclose(losses, of_numpy, rtol=1e-10)
    for found, right in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("batch", [2, 33])
def test_a_layer_of_many_inputs_agrees_with_numpy(batch):
    """The inputs go in several parts, each with blocks of its own for the groups of the partial panel."""
    inputs, rate = 700, 0.3
    model = fastnn.Sequential([fastnn.Input((3, inputs)), layers.Dense(40)], dtype="float64")
    model.compile(fastnn.SGD(rate), "mse", seed=1)
    x, y = RNG.normal(size=(batch, 3, inputs)), RNG.normal(size=(batch, 3, 40))
    w, b = model.get_weights()
    d = 2 * (x @ w + b - y) / y.size
    model.train_on_batch(x, y)
    found = model.get_weights()
    np.testing.assert_allclose(found[0], w - rate * np.einsum("nti,nto->io", x, d), rtol=0, atol=1e-13)
    np.testing.assert_allclose(found[1], b - rate * d.sum((0, 1)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("extra", [{"clipnorm": 0.05}, {"kernel_regularizer": fastnn.regularizers.L2(0.1)}, {}])
def test_gradients_are_those_of_finite_differences(extra):
    clip = {k: v for k, v in extra.items() if k == "clipnorm"}
    dense = {k: v for k, v in extra.items() if k != "clipnorm"}
    model = model_of(4, optimizer=fastnn.SGD(0.1, **clip), **dense)
    x, y = data(9, 4)
    assert model.check_gradients(x, y).passed
    np.testing.assert_allclose(
        model.input_gradient(x, y)[0, 0, 0], difference(lambda a: model.evaluate(a, y, verbose=0), x), rtol=1e-5
    )


def difference(f, x, step=1e-6):
    up, down = x.copy(), x.copy()
    up[0, 0, 0] += step
    down[0, 0, 0] -= step
    return (f(up) - f(down)) / (2 * step)


def trained(threads, schedule, isa, dtype, batch):
    fastnn.set_random_seed(3)
    stack = [fastnn.Input((6, FEATURES)), layers.Dense(HIDDEN, "elu"), layers.Dropout(0.2), layers.Dense(33, "relu")]
    model = fastnn.Sequential([*stack, layers.Flatten(), layers.Dense(4, "softmax")], dtype=dtype)
    model.compile("adam", "sparse_categorical_crossentropy", seed=4)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 6, FEATURES)).astype(dtype), rng.integers(0, 4, 300).astype(np.int32)
    engine = engine_of(model, threads=threads, schedule=schedule, isa=isa)
    for _ in range(2):
        engine.fit_block(x.reshape(300, -1), y, None, None, 0, 300, batch, np.full(-(-300 // batch), 0.01))
    return digest(engine)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("batch", [7, 40, 290])
def test_same_bits_for_any_number_of_threads(batch, schedule, isa):
    for dtype in ("float32", "float64"):
        one = trained(1, schedule, isa, dtype, batch)
        for threads in (2, 3, 8):
            assert trained(threads, schedule, isa, dtype, batch) == one, (dtype, threads)


@pytest.mark.parametrize("n", [1, 2, 31, 64])
def test_a_group_has_the_bits_that_it_has_as_a_sample(n):
    x, _ = data(n, 6, "float32")
    grouped, flat = model_of(6, "float32"), model_of(1, "float32")
    flat.set_weights(grouped.get_weights())
    alone = np.concatenate([flat.predict(x[:, t : t + 1]) for t in range(6)], axis=1)
    assert grouped.predict(x).tobytes() == alone.tobytes()


def test_a_normalisation_of_all_values_is_not_folded_into_it():
    """Its features are those of all groups, the layer's units those of one."""
    stack = [layers.Dense(4), layers.Flatten(), layers.BatchNormalization(), layers.Reshape((3, 4)), layers.Dense(2)]
    model = fastnn.Sequential([fastnn.Input((3, FEATURES)), *stack], dtype="float64")
    rng = np.random.default_rng(5)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    w1, b1, gamma, beta, mean, variance, w2, b2 = model.get_weights()
    x, _ = data(8, 3)
    h = ((x @ w1 + b1).reshape(8, 12) - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(model.predict(x), h.reshape(8, 3, 4) @ w2 + b2, rtol=0, atol=1e-12)
    model.compile("sgd", "mse")
    assert model.check_gradients(x, RNG.normal(size=(8, 3, 2))).passed


def test_it_is_saved_cloned_and_trained_by_fit(tmp_path):
    x, y = data(40, 3, "float32")
    model = model_of(3, "float32", "adam")
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0, health="every").history
    assert history["loss"][-1] < history["loss"][0]
    figures = model.history.health
    assert np.isfinite(figures.gradient_norm).all() and (figures.activation_std > 0).all()
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    again.fit(x, y, epochs=1, verbose=0)
    model.fit(x, y, epochs=1, verbose=0)
    assert [a.tobytes() for a in again.get_weights()] == [a.tobytes() for a in model.get_weights()]
    assert fastnn.models.clone_model(model).output_shape == (None, 3, OUT)


def test_an_input_of_other_features_and_a_loss_of_rows_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(n, 3, 5\), got \(4, 3, 6\)"):
        model_of(3).predict(np.zeros((4, 3, 6)))
    with pytest.raises(ValueError, match="expected an input with features"):
        fastnn.Sequential([fastnn.Input(()), layers.Dense(2)])
    model = model_of(3)
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match="end the model with Flatten"):
        model.fit(*data(4, 3), verbose=0)
