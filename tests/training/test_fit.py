"""`fit`: order of the data, validation, weights, repeatability."""

import numpy as np
import pytest
from fit_tools import RNG, X, Y, linear

import fastnn
from fastnn.layers import BatchNormalization, Dense, Dropout
from fastnn.models import Sequential


def mse(x, y, w=1.0):
    return np.mean(w * (x.sum(1) + 0.5 - y[:, 0]) ** 2)


def test_history_and_validation_split_takes_the_end():
    model = linear(optimizer=fastnn.SGD(0.0), metrics=["mae"])
    history = model.fit(X, Y, epochs=2, validation_split=0.3, batch_size=8, verbose=0)
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"] == list(history.history)
    assert history is model.history and history.epoch == [0, 1]
    np.testing.assert_allclose(history.history["loss"], mse(X[:35], Y[:35]), rtol=1e-12)
    np.testing.assert_allclose(history.history["val_loss"], mse(X[35:], Y[35:]), rtol=1e-12)


def test_validation_data_wins_and_may_be_weighted():
    model, w = linear(optimizer=fastnn.SGD(0.0)), RNG.uniform(size=20)
    history = model.fit(X, Y, validation_split=0.3, validation_data=(X[:20], Y[:20], w), verbose=0)
    assert history.history["loss"][0] == pytest.approx(mse(X, Y), rel=1e-12)
    assert history.history["val_loss"][0] == pytest.approx(mse(X[:20], Y[:20], w[:]), rel=1e-12)


def test_validation_freq():
    for freq, n in ((2, 2), ([1, 4], 2), ((5,), 1)):
        history = linear().fit(X, Y, epochs=5, validation_split=0.2, validation_freq=freq, verbose=0)
        assert len(history.history["val_loss"]) == n and len(history.history["loss"]) == 5


def test_weights_scale_the_loss_and_not_the_divisor():
    w = RNG.uniform(size=50)
    model = linear(optimizer=fastnn.SGD(0.0), metrics=["mse"])
    history = model.fit(X, Y, batch_size=7, sample_weight=w, verbose=0).history
    assert history["loss"][0] == pytest.approx(mse(X, Y, w), rel=1e-12)
    assert history["mse"][0] == pytest.approx(mse(X, Y), rel=1e-12)  # metrics are unweighted
    assert model.evaluate(X, Y, sample_weight=w, verbose=0)[0] == pytest.approx(mse(X, Y, w), rel=1e-12)


def test_class_weight_is_sample_weight():
    labels = RNG.integers(0, 3, 50)
    results = []
    for options in ({"class_weight": {0: 2.0, 2: 0.25}}, {"sample_weight": np.array([2, 1, 0.25])[labels]}):
        fastnn.set_random_seed(3)
        model = Sequential([Dense(3, "softmax", input_shape=(4,))], dtype="float64")
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, labels, verbose=0, **options)
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(*results)


def test_class_weights_are_not_for_validation():
    labels = RNG.integers(0, 3, 50)
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], dtype="float64")
    model.compile(fastnn.SGD(0.0), "sparse_categorical_crossentropy")
    options = {"class_weight": {0: 5.0, 1: 0.0}, "sample_weight": np.arange(50.0), "verbose": 0}
    history = model.fit(X, labels, validation_split=0.3, **options).history
    weights = np.arange(50.0)
    expected = model.evaluate(X[35:], labels[35:], sample_weight=weights[35:], verbose=0)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-12)
    weights *= np.array([5, 0, 1])[labels]
    expected = model.evaluate(X[:35], labels[:35], sample_weight=weights[:35], verbose=0)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_batches_far_larger_than_the_data():
    results = []
    for size in (50, 10**12, 2**70):
        model = linear(optimizer=fastnn.SGD(0.1))
        history = model.fit(X, Y, batch_size=size, validation_split=0.2, validation_batch_size=size, verbose=0).history
        results.append([*history["loss"], *history["val_loss"], model.evaluate(X, Y, batch_size=size, verbose=0)])
        model.predict(X, batch_size=size, verbose=0)
    np.testing.assert_allclose(results[1:], [results[0]] * 2, rtol=1e-12)


def test_a_metric_that_needs_arguments_says_so():
    with pytest.raises(TypeError, match=r"'precision_at_recall' requires arguments; pass PrecisionAtRecall\(\.\.\.\)"):
        linear(metrics=["precision_at_recall"]).fit(X, Y, verbose=0)


def orders(n=50, epochs=3, **options):
    """The order in which a Python loss sees the samples, epoch by epoch."""
    seen = []

    def look(y_true, y_pred):
        seen.extend(y_true[:, 0])
        return np.zeros(len(y_pred)), np.zeros_like(y_pred)

    seed = options.pop("seed", 5)
    model = linear(look, seed=seed)
    model.fit(X[:n], np.arange(n), epochs=epochs, batch_size=8, verbose=0, **options)
    return np.reshape(seen, (epochs, -1)).astype(int)


def test_shuffling():
    plain, shuffled = orders(shuffle=False), orders()
    np.testing.assert_array_equal(plain, [np.arange(50)] * 3)
    assert (np.sort(shuffled, axis=1) == np.arange(50)).all()
    assert len({tuple(row) for row in shuffled}) == 3
    np.testing.assert_array_equal(orders(), shuffled)
    assert (orders(seed=6) != shuffled).any()
    assert orders(steps_per_epoch=2).shape == (3, 16)
    np.testing.assert_array_equal(orders(steps_per_epoch=2), shuffled[:, :16])


def test_two_fits_of_one_epoch_are_one_fit_of_two():
    results = []
    for parts in ([4], [1, 1, 2]):
        fastnn.set_random_seed(9)
        model = Sequential([Dense(8, "relu", input_shape=(4,)), BatchNormalization(), Dropout(0.3), Dense(1)])
        model.compile("adam", "mse")
        for epochs in parts:
            model.fit(X, Y, epochs=epochs, batch_size=16, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_initial_epoch_and_no_epochs():
    model = linear()
    assert model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    before = model.get_weights()[0]
    assert model.fit(X, Y, epochs=0, verbose=0).history == {}
    np.testing.assert_array_equal(before, model.get_weights()[0])


@pytest.mark.parametrize("options, words", [
    ({"validation_split": 1.0}, "validation_split.*below 1"),
    ({"validation_split": 0.99}, "validation_split: expected a fraction that leaves rows"),
    ({"validation_data": X}, "validation_data: expected .x, y."),
    ({"validation_data": (X[:, :2], Y)}, r"validation_data\[0\]: expected shape"),
    ({"validation_data": (X, Y[:3])}, r"validation_data\[1\]: expected 50 rows"),
    ({"steps_per_epoch": 5}, "steps_per_epoch: expected at most 2"),
    ({"shuffle": "batch"}, "shuffle: expected True or False"),
    ({"validation_freq": 0}, "validation_freq"),
])  # fmt: skip
def test_bad_arguments(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        linear().fit(X, Y, verbose=0, **options)
