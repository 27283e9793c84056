"""Metrics beside a loss of logits: names follow the loss, objects that cannot know are named."""

import warnings

import numpy as np
import pytest
from consistency_tools import BINARY, LABELS, RNG, SPARSE, T, X, Z, codes, stack, warned

from fastnn import layers, losses, metrics
from fastnn.diagnostics import ConsistencyWarning

LOGITS = losses.BinaryCrossentropy(from_logits=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def entropy(t, p):
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("accuracy", 1.0), ("acc", 1.0), ("binary_accuracy", 1.0), ("BinaryAccuracy", 1.0), ("precision", 1.0),
        ("recall", 1.0), ("true_positives", 4.0), ("false_negatives", 0.0), ("f1_score", 1.0), ("auc", 1.0),
        ("bce", entropy(T, sigmoid(Z[:, 0]))), ("crossentropy", entropy(T, sigmoid(Z[:, 0]))),
        ("binary_crossentropy", entropy(T, sigmoid(Z[:, 0]))),
    ],
)  # fmt: skip
def test_names_follow_the_logits(name, right):
    model = stack(layers.Activation("linear"), shape=(1,))
    for asked in ({"metrics": [name]}, {"weighted_metrics": [name]}):
        found = []
        assert warned(lambda: model.compile("sgd", LOGITS, **asked)) == []  # noqa: B023
        assert warned(lambda: found.append(model.evaluate(Z, T, verbose=0))) == []  # noqa: B023
        assert found[0][1] == pytest.approx(right, rel=1e-12)


def test_names_follow_the_logits_of_classes():
    sklearn = pytest.importorskip("sklearn.metrics")
    z = RNG.normal(size=(40, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    model = stack(layers.Activation("linear"), shape=(3,))
    model.compile("sgd", SPARSE(from_logits=True), metrics=["accuracy", "ce", "log_loss"])
    right = [sklearn.accuracy_score(LABELS, p.argmax(axis=1)), *[sklearn.log_loss(LABELS, p)] * 2]
    assert model.evaluate(z, LABELS, verbose=0)[1:] == pytest.approx(right, rel=1e-12)
    t = np.eye(3)[LABELS]
    smooth = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile("sgd", smooth, metrics=["categorical_crossentropy"])
    assert model.evaluate(z, t, verbose=0)[1] == pytest.approx(right[1], rel=1e-12)


def test_names_follow_a_loss_that_is_compiled_later():
    """And objects of the user stay as they are."""
    own = metrics.BinaryAccuracy(name="own")
    model = stack(layers.Activation("linear"), shape=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistencyWarning)
        for loss, right in (("mse", 0.5), (LOGITS, 1.0), ("mse", 0.5), ("hinge", 1.0)):
            model.compile("sgd", loss, metrics=["binary_accuracy", own])
            y = 2 * T - 1 if loss == "hinge" else T
            assert model.evaluate(Z, y, verbose=0)[1:] == [right, 0.5]
    assert own.threshold == 0.5


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (metrics.BinaryAccuracy, "threshold=0"),
        (metrics.Precision, "thresholds=0"),
        (metrics.Recall, "thresholds=0"),
        (metrics.FalseNegatives, "thresholds=0"),
        (lambda: metrics.F1Score(threshold=0.5), "threshold=0"),
        (lambda: metrics.AUC(num_thresholds=200), "from_logits=True"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=200), "no num_thresholds"),
        (metrics.BinaryCrossentropy, "from_logits=True"),
        (lambda: losses.binary_crossentropy, "from_logits=True"),
        (lambda: losses.BinaryFocalCrossentropy(), "from_logits=True"),
        (metrics.KLDivergence, "a softmax"),
    ],
)
def test_objects_that_cannot_know(make, remedy):
    model = stack(layers.Dense(1))
    for asked in ({"metrics": [make()]}, {"weighted_metrics": [make()]}):
        with pytest.warns(ConsistencyWarning, match=f"does not match .* logits. Use {remedy}") as caught:
            model.compile("sgd", LOGITS, **asked)
        assert codes(caught) == ["metric-of-other-outputs"]
        assert warned(lambda: model.fit(X, BINARY, verbose=0)) == []


def test_each_object_is_named():
    model = stack(layers.Dense(1))
    asked = [metrics.BinaryAccuracy(), metrics.Precision(), metrics.BinaryAccuracy(name="b")]
    with pytest.warns(ConsistencyWarning) as caught:
        model.compile("sgd", LOGITS, metrics=asked)
    assert [str(w.message).split()[0] for w in caught] == ["BinaryAccuracy", "Precision"]


def test_the_other_way_round():
    """Metrics of logits beside a model of probabilities."""
    model = stack(layers.Dense(1, "sigmoid"))
    asked = [metrics.BinaryCrossentropy(from_logits=True), metrics.AUC(50, from_logits=True)]
    asked += [metrics.BinaryAccuracy(threshold=0)]
    assert warned(lambda: model.compile("sgd", "bce", metrics=asked)) == ["metric-of-other-outputs"] * 3


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (metrics.BinaryAccuracy(), "binary-accuracy-of-classes"),
        (metrics.Accuracy(), "accuracy-by-equality"),
        (metrics.TopKCategoricalAccuracy(3), "top-k-of-all"),
    ],
)
def test_accuracies_that_mislead(asked, code):
    model = stack(layers.Dense(3, "softmax"))
    assert warned(lambda: model.compile("sgd", "categorical_crossentropy", metrics=[asked])) == [code]
