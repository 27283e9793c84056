"""Losses with ``reduction=None``: the loss of every row, from training and evaluation."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(2500, 5)), RNG.normal(size=(2500, 3))
W = RNG.uniform(0.2, 2, 2500)


def pair(loss=losses.MeanSquaredError, dtype="float64", last=None, **options):
    """The same model with a loss of each row and with its mean."""
    for reduction in (None, "sum_over_batch_size"):
        fastnn.set_random_seed(2)
        made = fastnn.Sequential([layers.Dense(7, "tanh", input_shape=(5,)), layers.Dense(3, last)], dtype=dtype)
        made.compile("adam", loss(reduction=reduction), seed=1, **options)
        yield made


def squares(made, x=X, y=Y):
    return ((made.predict(x, verbose=0) - y) ** 2).mean(axis=1)


@pytest.mark.parametrize("rows", [1, 5, 40, 700])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_steps(rows, dtype):
    by_rows, by_mean = pair(dtype=dtype)
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12}
    for _ in range(4):
        expected = squares(by_rows, X[:rows], Y[:rows])
        found = by_rows.train_on_batch(X[:rows], Y[:rows])
        mean = by_mean.train_on_batch(X[:rows], Y[:rows])
        assert found.shape == (rows,) and found.dtype == dtype
        np.testing.assert_allclose(found, expected, **close)
        assert mean == pytest.approx(expected.mean(), rel=1e-4)
    for a, b in zip(by_rows.get_weights(), by_mean.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # trained on the mean


def test_evaluation_weights_and_metrics():
    by_rows, by_mean = pair(metrics=["mae"])
    for batch_size in (None, 7, 333):
        loss, mae = by_rows.evaluate(X, Y, batch_size, verbose=0)
        np.testing.assert_allclose(loss, squares(by_rows), rtol=1e-12)
        assert mae == pytest.approx(by_mean.evaluate(X, Y, verbose=0)[1], rel=1e-12)
    found = by_rows.evaluate(X, Y, sample_weight=W, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], W * squares(by_rows), rtol=1e-12)
    loss, _ = by_rows.test_on_batch(X[:9], Y[:9], W[:9])
    np.testing.assert_allclose(loss, (W * squares(by_rows))[:9], rtol=1e-12)
    loss, _ = by_rows.train_on_batch(X[:9], Y[:9], W[:9])
    np.testing.assert_allclose(loss, (W[:9] * squares(by_mean, X[:9], Y[:9])), rtol=1e-12)
    batches = [(X[:10], Y[:10]), (X[10:15], Y[10:15])]
    np.testing.assert_allclose(by_rows.evaluate(iter(batches), verbose=0)[0], squares(by_rows)[:15], rtol=1e-12)


def test_fit_reports_means():
    by_rows, by_mean = pair()
    each = [m.fit(X, Y, epochs=3, validation_split=0.2, verbose=0).history for m in (by_rows, by_mean)]
    assert each[0] == each[1]


def test_classes_that_are_ignored_count_as_zero():
    made = fastnn.Sequential([layers.Dense(3, "softmax", input_shape=(5,))], dtype="float64")
    made.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=1, reduction=None))
    labels = RNG.integers(0, 3, 50)
    p = made.predict(X[:50], verbose=0)[np.arange(50), labels]
    np.testing.assert_allclose(made.test_on_batch(X[:50], labels), np.where(labels == 1, 0, -np.log(p)), rtol=1e-12)


def test_several_outputs():
    a = layers.Input((5,))
    made = fastnn.Model(a, [layers.Dense(3, name="one")(a), layers.Dense(3, name="two")(a)], dtype="float64")
    made.compile("sgd", losses.MeanSquaredError(reduction=None), loss_weights=[1.0, 0.25])
    one, two = made.predict(X[:20], verbose=0)
    expected = ((one - Y[:20]) ** 2).mean(1) + 0.25 * ((two - Y[:20]) ** 2).mean(1)
    found = made.test_on_batch(X[:20], [Y[:20], Y[:20]])
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    made.compile("sgd", [losses.MeanSquaredError(reduction=None), "mse"])
    with pytest.raises(ValueError, match="reduction None for the losses of all outputs or for none"):
        made.test_on_batch(X[:20], [Y[:20], Y[:20]])


def test_bits_of_every_thread_count():
    found = set()
    for n in (1, 2, 3, 8):
        made = next(pair())
        made.compile("adam", losses.MeanSquaredError(reduction=None), seed=1, threads=n)
        found.add(made.train_on_batch(X, Y).tobytes() + made.evaluate(X, Y, verbose=0).tobytes())
    assert len(found) == 1
