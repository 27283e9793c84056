"""``class_weight``: what scikit-learn makes of it, and an error for targets whose rows have no class."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(4)
N = 60
X = RNG.normal(size=(N, 5))
LABELS = RNG.integers(0, 3, N)
WEIGHTS = {0: 0.25, 2: 4.0}


def network(outputs, loss, activation="linear"):
    fastnn.set_random_seed(2)
    model = fastnn.Sequential([layers.Dense(outputs, activation, input_shape=(5,))], dtype="float64")
    model.compile(fastnn.SGD(0.1), loss, seed=1)
    return model


def squares(t, y):
    """A custom loss, whose targets are free."""
    t = np.reshape(t, (len(y), -1)).astype(float)
    return ((y - t) ** 2).mean(axis=1), 2 * (y - t) / y.shape[1]


def trained(model, y, by, how):
    """Weights after training by arrays, batches or a single batch."""
    if how == "arrays":
        model.fit(X, y, batch_size=20, epochs=2, shuffle=False, verbose=0, **by)
    elif how == "batches":
        weights = by.pop("sample_weight", None)
        rows = [slice(i, i + 20) for i in range(0, N, 20)] * 2
        feed = ((X[r], y[r], *([] if weights is None else [weights[r]])) for r in rows)
        model.fit(feed, epochs=2, steps_per_epoch=3, verbose=0, **by)
    else:
        model.train_on_batch(X, y, **by)
    return model.get_weights()


ONE_HOT = np.eye(3)[LABELS]
BINARY = (LABELS == 2) * 1.0
SIGNS = np.where(LABELS == 2, 1, -1)
GOOD = {
    "labels": (3, "sparse_categorical_crossentropy", "softmax", LABELS, LABELS),
    "column of labels": (3, "sparse_categorical_crossentropy", "softmax", LABELS[:, None], LABELS),
    "one-hot": (3, "categorical_crossentropy", "softmax", ONE_HOT, LABELS),
    "smoothed": (3, "categorical_crossentropy", "softmax", 0.9 * ONE_HOT + 0.1 / 3, LABELS),
    "one-hot of sigmoids": (3, "binary_crossentropy", "sigmoid", ONE_HOT, LABELS),
    "binary": (1, "binary_crossentropy", "sigmoid", BINARY, BINARY),
    "bool": (1, "binary_crossentropy", "sigmoid", BINARY[:, None] == 1, BINARY),
    "signs": (1, "hinge", "linear", SIGNS, SIGNS),
    "custom loss": (1, squares, "linear", LABELS, LABELS),
}


@pytest.mark.parametrize("how", ["arrays", "batches", "a batch"])
@pytest.mark.parametrize("kind", GOOD)
def test_as_the_sample_weights_of_scikit_learn(kind, how):
    compute_sample_weight = pytest.importorskip("sklearn.utils.class_weight").compute_sample_weight
    outputs, loss, activation, y, classes = GOOD[kind]
    named = {int(c): 1.0 for c in np.unique(classes)}
    by_class = {min(named): 0.25, max(named): 4.0}
    weights = compute_sample_weight(named | by_class, classes)
    found = trained(network(outputs, loss, activation), y, {"class_weight": by_class}, how)
    wanted = trained(network(outputs, loss, activation), y, {"sample_weight": weights}, how)
    plain = trained(network(outputs, loss, activation), y, {}, how)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert not np.allclose(found[0], plain[0])


INDEPENDENT = (RNG.random((N, 3)) < 0.5) * 1.0
INDEPENDENT[:3] = [[0, 1, 0], [1, 0, 0], [1, 0, 1]]  # the first that has no one class is row 2
NONE = ONE_HOT.copy()
NONE[2] = 0
HALVES, SUMS = ONE_HOT.copy(), ONE_HOT.copy()
HALVES[2], SUMS[2] = [0.5, 0, 0.5], [1.5, 0.5, 0.5]
BETWEEN = BINARY.copy()
BETWEEN[2] = 0.25
BAD = {
    "independent labels": (3, "binary_crossentropy", "sigmoid", INDEPENDENT, r"\[1.0, 0.0, 1.0\]"),
    "no label": (3, "binary_crossentropy", "sigmoid", NONE, r"\[0.0, 0.0, 0.0\]"),
    "two labels of equal weight": (3, "categorical_crossentropy", "softmax", HALVES, r"\[0.5, 0.0, 0.5\]"),
    "several numbers": (3, "mse", "linear", SUMS, r"\[1.5, 0.5, 0.5\]"),
    "probabilities": (1, "binary_crossentropy", "sigmoid", BETWEEN, "0.25"),
    "numbers": (1, "mse", "linear", BETWEEN[:, None], "0.25"),
    "custom loss": (3, squares, "linear", INDEPENDENT, r"\[1.0, 0.0, 1.0\]"),
}  # fmt: skip


@pytest.mark.parametrize("how", ["arrays", "batches", "a batch"])
@pytest.mark.parametrize("kind", BAD)
def test_rows_without_one_class_are_refused(kind, how):
    outputs, loss, activation, y, got = BAD[kind]
    model = network(outputs, loss, activation)
    before = model.get_weights()
    message = rf"class_weight: expected targets with one class per row.*got {got} in row 2; .*sample_weight"
    with pytest.raises(ValueError, match=message):
        trained(model, y, {"class_weight": {0: 0.1, 1: 0.9}}, how)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_targets_of_a_sweep_too():
    with pytest.raises(ValueError, match="class_weight: expected targets with one class per row"):
        fastnn.sweep(
            lambda: network(3, "binary_crossentropy", "sigmoid"), [{}, {}], X, INDEPENDENT,
            class_weight={0: 0.1}, verbose=0,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("labels", 3, "expected classes 0 to 2, got 3"),
        ("one-hot", 3, "expected classes 0 to 2, got 3"),
        ("binary", 2, "expected classes 0 to 1, got 2"),
        ("signs", 0, "expected classes that occur in the targets, got 0"),
        ("custom loss", 7, "expected classes that occur in the targets, got 7"),
    ],
)
def test_classes_that_there_are_not(kind, key, message):
    outputs, loss, activation, y, _ = GOOD[kind]
    with pytest.raises(ValueError, match=f"class_weight: {message}"):
        network(outputs, loss, activation).fit(X, y, class_weight={key: 2.0}, verbose=0)


def test_a_class_may_be_absent_from_a_batch():
    model = network(3, "sparse_categorical_crossentropy", "softmax")
    model.fit(X[LABELS != 2], LABELS[LABELS != 2], class_weight=WEIGHTS, verbose=0)
    model.train_on_batch(X[LABELS == 1], LABELS[LABELS == 1], class_weight=WEIGHTS)
    network(1, "hinge").train_on_batch(X[SIGNS == 1], SIGNS[SIGNS == 1], class_weight={-1: 2.0})
