"""Custom losses and metrics in `fit`, and the accuracy that fits a loss."""

import numpy as np
import pytest
from fit_tools import RNG, X, Y, linear

import fastnn
from fastnn.layers import Dense
from fastnn.models import Sequential


def test_a_loss_of_ones_own_trains_like_ours():
    def own(y_true, y_pred):
        assert y_true.shape == y_pred.shape == (len(y_pred), 1)
        return (y_pred - y_true)[:, 0] ** 2, 2 * (y_pred - y_true)

    ours, theirs, w = linear(seed=1), linear(own, seed=1), RNG.uniform(size=50)
    a = ours.fit(X, Y[:, 0], epochs=3, batch_size=8, sample_weight=w, verbose=0)
    b = theirs.fit(X, Y[:, 0], epochs=3, batch_size=8, sample_weight=w, verbose=0)
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-12)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-12)
    assert theirs.evaluate(X, Y, verbose=0) == pytest.approx(ours.evaluate(X, Y, verbose=0), rel=1e-12)


@pytest.mark.parametrize("result, words", [
    (lambda t, y: ((y - t) ** 2).mean(), r"expected \(values, gradient\)"),
    (lambda t, y: (np.zeros(3), y), r"values of shape \(32,\), got \(3,\)"),
    (lambda t, y: (np.zeros(len(y)), y[:, 0]), r"gradient of shape \(32, 1\)"),
])  # fmt: skip
def test_a_loss_of_ones_own_is_checked(result, words):
    with pytest.raises((TypeError, ValueError), match=words):
        linear(result).fit(X, Y, verbose=0)


def test_metrics_of_ones_own():
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=1)

    def bias(y_true, y_pred):
        return y_pred - y_true

    model = linear(optimizer=fastnn.SGD(0.0), metrics=[worst, bias, "mse"])
    history = model.fit(X, Y, batch_size=8, verbose=0).history
    e = X.sum(1) + 0.5 - Y[:, 0]
    assert history["worst"][0] == pytest.approx(np.abs(e).mean(), rel=1e-12)
    assert history["bias"][0] == pytest.approx(e.mean(), rel=1e-12)
    assert history["mse"][0] == pytest.approx(history["loss"][0], rel=1e-12)
    assert model.metrics_names == ["loss", "worst", "bias", "mse"]


@pytest.mark.parametrize("outputs, last, loss, kind", [
    (3, "softmax", "sparse_categorical_crossentropy", "SparseCategoricalAccuracy"),
    (3, "softmax", "categorical_crossentropy", "CategoricalAccuracy"),
    (1, "sigmoid", "binary_crossentropy", "BinaryAccuracy"),
    (3, None, "mse", "CategoricalAccuracy"),
    (3, None, lambda t, y: (np.zeros(len(y)), 0 * y), "SparseCategoricalAccuracy"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_is_the_kind_that_fits(outputs, last, loss, kind, name):
    labels = RNG.integers(0, max(outputs, 2), 50)
    model = Sequential([Dense(outputs, last, input_shape=(4,))], dtype="float64")
    model.compile("sgd", loss, metrics=[name])
    y = np.eye(3)[labels] if kind == "CategoricalAccuracy" else labels
    result = model.evaluate(X, y, return_dict=True, verbose=0)
    p = model.predict(X, verbose=0)
    right = (p[:, 0] > 0.5) == labels if outputs == 1 else p.argmax(1) == labels
    assert result[name] == right.mean() and type(model.metrics[0]).__name__ == kind


def test_metrics_that_do_not_fit_the_loss():
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["mae"])
    expected = "metric 'mae': expected targets with 3 values per sample, but the loss has class labels$"
    with pytest.raises(ValueError, match=expected):
        model.fit(X, np.zeros(50, int), verbose=0)
    one = Sequential([Dense(1, "sigmoid", input_shape=(4,))])
    with pytest.warns(fastnn.diagnostics.ConsistencyWarning, match="FN107"):
        one.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ValueError, match="'accuracy': .* 1 value per sample.* use binary_crossentropy"):
        one.fit(X, np.zeros(50, int), verbose=0)
    with pytest.raises(ValueError, match="distinct names"):
        linear(metrics=["mse", "mse"]).fit(X, Y, verbose=0)
