"""Jacobians by inputs and weights, and gradients of each sample, for every kind of layer."""

import numpy as np
import pytest
from derivative_tools import (
    BY_MIDDLE,
    LABELS,
    MODELS,
    WEIGHTS,
    X,
    Y,
    made_of,
    model,
    python_loss,
    warm,
)

import fastnn
from fastnn import layers

RNG = np.random.default_rng(12)


def as_list(value):
    return value if isinstance(value, list) else [value]


def rows_of(x, rows):
    return [a[rows] for a in x] if isinstance(x, list) else x[rows]


def flat(outputs):
    """All outputs of a sample side by side."""
    return np.concatenate([p.reshape(len(p), -1) for p in as_list(outputs)], axis=1)


@pytest.mark.parametrize("name", MODELS)
def test_jacobian_by_central_differences(name):
    made, x, _ = made_of(name)
    inputs, eps = as_list(x), 1e-6
    found = made.jacobian(x)
    rows = found if isinstance(made.out_shape[0], tuple) or len(as_list(made.predict(x, verbose=0))) > 1 else [found]
    for port, given in enumerate(inputs):
        ours = np.concatenate([
            (row if len(inputs) == 1 else row[port]).reshape(len(given), -1, given[0].size) for row in rows
        ], axis=1)  # fmt: skip
        for at in np.ndindex(given.shape[1:]):
            values = []
            for step in (eps, -eps):
                moved = [a.copy() for a in inputs]
                moved[port][(slice(None), *at)] += step
                values.append(flat(made.predict(moved if len(inputs) > 1 else moved[0], verbose=0)))
            expected = (values[0] - values[1]) / (2 * eps)
            place = int(np.ravel_multi_index(at, given.shape[1:]))
            np.testing.assert_allclose(ours[:, :, place], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_parameter_jacobian_by_central_differences(name):
    made, x, _ = made_of(name)
    theta, eps = made.get_parameters(), 1e-6
    before = made.get_weights()
    found = np.concatenate([j.reshape(37, -1, len(theta)) for j in as_list(made.parameter_jacobian(theta + 0.1, x))], 1)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for i in range(0, len(theta), 3):
        values = []
        for step in (eps, -eps):
            moved = theta + 0.1
            moved[i] += step
            made.set_parameters(moved)
            values.append(flat(made.predict(x, verbose=0)))
        np.testing.assert_allclose(found[:, :, i], (values[0] - values[1]) / (2 * eps), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_each_sample_are_those_of_the_sample_alone(name):
    made, x, y = made_of(name)
    for v in made.weights:  # penalties on weights belong to no sample
        v.regularizer = None
    theta = made.get_parameters()
    found, norms = made.per_sample_gradients(x, y), made.per_sample_gradient_norms(x, y)
    assert found.shape == (37, len(theta)) and found.dtype == np.float64
    for i in range(37):
        rows = slice(i, i + 1)
        expected = made.loss_and_grad(theta, rows_of(x, rows), rows_of(y, rows))[1]
        np.testing.assert_allclose(found[i], expected, rtol=1e-11, atol=1e-13)
    few = made.per_sample_gradients(rows_of(x, slice(2)), rows_of(y, slice(2)))
    np.testing.assert_allclose(few, found[:2], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(norms, np.linalg.norm(found, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.mean(axis=0), made.loss_and_grad(theta, x, y)[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss, last", [
    ("sparse_categorical_crossentropy", "softmax"), ("categorical_crossentropy", "softmax"), ("huber", "sigmoid"),
    (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), None), (python_loss, None),
    (fastnn.losses.MeanSquaredError(reduction="sum"), None),
    (fastnn.losses.MeanSquaredError(reduction="mean_with_sample_weight"), None),
])  # fmt: skip
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_each_sample(loss, last, weighted):
    made = warm(model(loss=loss, last=last))
    y = LABELS if "parse" in str(loss) else abs(Y) / abs(Y).sum(1, keepdims=True)
    w = WEIGHTS if weighted else None
    theta = made.get_parameters()
    found = made.per_sample_gradients(X, y, w)
    for i in range(37):
        one, factor = slice(i, i + 1), 1.0
        expected = made.loss_and_grad(theta, X[one], y[one])[1]
        if weighted:
            factor = w[i]
        np.testing.assert_allclose(found[i], factor * expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 63, 511, 4095, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_rows(rows, dtype):
    """More rows than a block has, fewer than a panel: each row is what it is alone, to rounding."""
    x = np.random.default_rng(0).normal(size=(rows, 6)).astype(dtype)
    y = np.random.default_rng(1).normal(size=(rows, 3)).astype(dtype)
    made = warm(model([layers.Dense(9, "tanh")], dtype=dtype))
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
    jacobian, theta = made.jacobian(x), made.get_parameters()
    by_weights = made.parameter_jacobian(theta, x).reshape(rows, 3, -1)
    gradients = made.per_sample_gradients(x, y)
    assert {a.dtype.name for a in (jacobian, by_weights, gradients)} == {dtype}
    for i in {0, rows // 2, rows - 1}:
        np.testing.assert_allclose(made.jacobian(x[i : i + 1])[0], jacobian[i], **tolerance)
        np.testing.assert_allclose(made.parameter_jacobian(theta, x[i : i + 1]), by_weights[i], **tolerance)
        alone = made.loss_and_grad(theta, x[i : i + 1], y[i : i + 1])[1]
        np.testing.assert_allclose(alone, gradients[i], **tolerance)


def test_bits_of_every_thread_count():
    x, y = np.random.default_rng(2).normal(size=(600, 6)), np.random.default_rng(3).normal(size=(600, 3))
    found = set()
    for n in (1, 2, 3, 8):
        made = warm(model([layers.LayerNormalization(), layers.Dense(30, "tanh")], threads=n))
        results = (made.jacobian(x), made.parameter_jacobian(None, x), made.per_sample_gradients(x, y),
                   made.per_sample_gradient_norms(x, y))  # fmt: skip
        found.add(b"".join(a.tobytes() for a in results))
    assert len(found) == 1


@pytest.mark.parametrize("name", ["shared", "last axis", "activities"])
def test_bits_of_models_with_branches(name):
    found = set()
    for n in (1, 2, 3, 8):
        made, x, y = made_of(name)
        made.threads = n
        made._compile_clock.tick()
        results = (*as_list(made.parameter_jacobian(None, x)), made.per_sample_gradients(x, y),
                   made.loss_and_grad(made.get_parameters(), x, y)[1])  # fmt: skip
        found.add(b"".join(a.tobytes() for a in results))
    assert len(found) == 1


def test_types_and_shapes():
    made = model(dtype="float32")
    theta, size = made.get_parameters(), made.count_params()
    assert made.parameter_jacobian(theta, X).dtype == np.float32
    assert made.parameter_jacobian(theta.astype("f8"), X).dtype == np.float64
    assert made.parameter_jacobian(None, X.tolist()).shape == (37 * 3, size)
    assert made.jacobian(X[:0]).shape == (0, 3, 6) and made.parameter_jacobian(None, X[:0]).shape == (0, size)
    made.layers[0].trainable = False
    assert made.parameter_jacobian(None, X).shape == (111, 24)
    np.testing.assert_array_equal(made.per_sample_gradients(X, Y).shape, (37, 24))


def test_training_goes_on_as_if_nothing_had_been_asked():
    pair = [model([layers.Dropout(0.5), layers.BatchNormalization()], dtype="float32") for _ in range(2)]
    for made in pair:
        for _ in range(3):
            made.fit(X, Y, epochs=1, verbose=0)
            made.forward(X, training=True)
            if made is pair[0]:
                made.jacobian(X)
                made.parameter_jacobian(made.get_parameters() + 1, X)
                made.per_sample_gradients(X, Y)
            made.backward(Y)
            if made is pair[0]:
                made.per_sample_gradient_norms(X, Y)
            made.apply_gradients()
    for a, b in zip(pair[0].get_weights(), pair[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_more_programs_are_planned_for_the_same_rows():
    made = model()
    for _ in range(3):
        made.jacobian(X), made.parameter_jacobian(None, X), made.per_sample_gradients(X, Y)
    assert len(made.engine()._programs) == 2


def test_flat_vectors_of_branches_are_in_the_order_of_the_weights():
    """And not in that in which the layers were called."""
    a = layers.Input((3,))
    first, second, short = (layers.Dense(2, name=name) for name in ("first", "second", "short"))
    long = second(first(a))
    made = fastnn.Model(a, layers.Add()([short(a), long]), dtype="float64")
    made.compile("sgd", "mse")
    x, y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
    theta = made.get_parameters()
    gradient, eps = made.loss_and_grad(theta, x, y)[1], 1e-6
    for i in range(len(theta)):
        step = eps * (np.arange(len(theta)) == i)
        ends = []
        for moved in (theta + step, theta - step):
            made.set_parameters(moved)
            ends.append(made.evaluate(x, y, verbose=0))
        assert gradient[i] == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=1e-6, abs=1e-8)
    made.set_parameters(theta)
    p = made.forward(x, training=True)
    made.backward(2 * (p - y) / p.size)
    np.testing.assert_allclose(np.concatenate([g.ravel() for g in made.gradients()]), gradient, rtol=1e-12)


def test_errors():
    made = model()
    with pytest.raises(ValueError, match=r"theta: expected shape \(73,\)"):
        made.parameter_jacobian(np.zeros(3), X)
    with pytest.raises(ValueError, match="x: expected"):
        made.jacobian(X[:, :2])
    with pytest.raises(ValueError, match="at least one row"):
        made.per_sample_gradients(X[:0], Y[:0])
    made.compile("sgd")
    with pytest.raises(ValueError, match="loss"):
        made.per_sample_gradient_norms(X, Y)


def test_an_error_in_python_leaves_the_weights():
    class Fails(layers.Layer):
        def call(self, x):
            return x

        def backward(self, dy):
            raise ZeroDivisionError

    made = model([Fails()])
    theta = made.get_parameters()
    for call in (lambda: made.parameter_jacobian(theta + 1, X), lambda: made.per_sample_gradients(X, Y)):
        with pytest.raises(ZeroDivisionError):
            call()
    np.testing.assert_array_equal(made.get_parameters(), theta)


def test_every_kind_of_layer_is_there():
    assert set(BY_MIDDLE) < set(MODELS)
