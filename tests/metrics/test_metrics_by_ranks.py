"""Metrics by ranks against scikit-learn, where they are undefined, and that they stream."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, metrics

sklearn = pytest.importorskip("sklearn.metrics")

RNG = np.random.default_rng(11)


def data(n=400, outputs=1, scale=1e-3, ties=True):
    """Scores that a grid of thresholds from 0 to 1 cannot tell apart, targets that they tell a little about."""
    rng = np.random.default_rng(11)
    t = (rng.random((n, outputs)) < 0.3) * 1.0
    y = np.clip(0.35 * t + rng.normal(0.3, 0.2, t.shape), 0, 1)
    return scale * (np.round(y, 2) if ties else y), t, rng.integers(0, 4, n) * 0.5


def scores_model(asked=(), weighted=(), outputs=1, dtype="float64", loss="mse"):
    model = fastnn.Sequential([layers.Activation("linear", input_shape=(outputs,))], dtype=dtype)
    model.compile("sgd", loss, metrics=list(asked), weighted_metrics=list(weighted) or None)
    return model


def davis_goadrich(t, y, w):
    """Integral of TP / (TP + FP) over the recall, with false positives in proportion between two thresholds."""
    total, tp, fp = 0.0, 0.0, 0.0
    for value in np.unique(y)[::-1]:
        more, less = (w * t)[y == value].sum(), (w * (1 - t))[y == value].sum()
        share = (np.arange(20000) + 0.5) / 20000
        a, b = tp + more * share, fp + less * share
        if more > 0:
            total += more * np.mean(a / (a + b))
        tp, fp = tp + more, fp + less
    return total / tp


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_area_is_that_of_scikit_learn(batch_size, dtype):
    y, t, w = data()
    y = y.astype(dtype)
    steps = metrics.AUC(curve="PR", summation_method="step", name="pr")
    model = scores_model([metrics.AUC(), steps], [metrics.AUC(), steps], dtype=dtype)
    found = model.evaluate(y, t, batch_size=batch_size, sample_weight=w, verbose=0, return_dict=True)
    assert list(found) == ["loss", "auc", "pr", "weighted_auc", "weighted_pr"]
    right = {
        "auc": sklearn.roc_auc_score(t, y),
        "pr": sklearn.average_precision_score(t, y),
        "weighted_auc": sklearn.roc_auc_score(t, y, sample_weight=w),
        "weighted_pr": sklearn.average_precision_score(t, y, sample_weight=w),
    }
    assert 0.7 < right["auc"] < 0.95 and abs(right["auc"] - right["weighted_auc"]) > 1e-9
    for name, value in right.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_a_grid_is_what_was_asked_for():
    y, t, _ = data()
    model = scores_model([metrics.AUC(num_thresholds=200, name="grid"), "auc"])
    grid, exact = model.evaluate(y, t, verbose=0)[1:]
    assert grid == 0.5  # all scores are in the first of Keras' buckets
    assert exact == pytest.approx(sklearn.roc_auc_score(t, y), rel=1e-12)


def test_precision_is_interpolated_as_by_davis_and_goadrich():
    y, t, w = data(120)
    model = scores_model([], [metrics.AUC(curve="PR")])
    found = model.evaluate(y, t, sample_weight=w, verbose=0)[1]
    assert found == pytest.approx(davis_goadrich(t[:, 0], y[:, 0], w), rel=1e-6)


def test_all_outputs_count_together():
    y, t, w = data(150, outputs=3, ties=False)
    model = scores_model(["auc"], ["auc"], outputs=3)
    plain, weighted = model.evaluate(y, t, sample_weight=w, verbose=0)[1:]
    assert plain == pytest.approx(sklearn.roc_auc_score(t.ravel(), y.ravel()), rel=1e-12)
    right = sklearn.roc_auc_score(t.ravel(), y.ravel(), sample_weight=np.repeat(w, 3))
    assert weighted == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("least", [0.0, 0.3, 0.62, 0.95, 1.0])
def test_best_rate_over_all_thresholds(least):
    y, t, w = data()
    precision, recall, _ = sklearn.precision_recall_curve(t, y, sample_weight=w)
    # a threshold at the next larger score finds what one above all does: no precision is defined there
    precision, recall = precision[:-1], recall[:-1]
    fpr, tpr, _ = sklearn.roc_curve(t, y, sample_weight=w, drop_intermediate=False)
    pairs = {
        "PrecisionAtRecall": (precision, recall),
        "RecallAtPrecision": (recall, precision),
        "SensitivityAtSpecificity": (tpr, 1 - fpr),
        "SpecificityAtSensitivity": (1 - fpr, tpr),
    }
    model = scores_model([], [getattr(metrics, name)(least) for name in pairs])
    found = model.evaluate(y, t, sample_weight=w, verbose=0, batch_size=50)[1:]
    for (name, (wanted, given)), value in zip(pairs.items(), found, strict=True):
        right = max(wanted[given >= least - 1e-15], default=0.0)
        assert value == pytest.approx(right, rel=1e-12), name


def sigmoid_model(asked):
    fastnn.set_random_seed(3)
    model = fastnn.Sequential([layers.Dense(8, "tanh", input_shape=(5,)), layers.Dense(1, "sigmoid")])
    model.compile(fastnn.SGD(0.0), "bce", metrics=asked, seed=1)
    return model


def test_it_streams_over_the_batches_of_fit():
    """Of weights that do not change, all epochs, blocks, batches and generators give the area of `predict`."""
    x, t = RNG.normal(size=(700, 5)), (RNG.random(700) < 0.4) * 1.0
    right = sklearn.roc_auc_score(t, sigmoid_model(["auc"]).predict(x, verbose=0))
    seen = []
    hooks = [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["auc"]))]
    options = {"epochs": 2, "verbose": 0, "validation_data": (x, t)}
    for callbacks in ([], hooks):
        history = sigmoid_model(["auc"]).fit(x, t, batch_size=64, callbacks=callbacks, **options).history
        assert history["auc"] + history["val_auc"] == pytest.approx([right] * 4, rel=1e-12)
    assert len(seen) == 22 and seen[10] == pytest.approx(right, rel=1e-12)
    model = sigmoid_model(["auc"])
    for found in (
        model.fit(((x[i : i + 50], t[i : i + 50]) for i in range(0, 700, 50)), verbose=0).history["auc"][0],
        model.evaluate(((x[i : i + 50], t[i : i + 50]) for i in range(0, 700, 50)), verbose=0)[1],
    ):
        assert found == pytest.approx(right, rel=1e-12)
    assert model.train_on_batch(x, t)[1] == model.test_on_batch(x, t)[1] == pytest.approx(right, rel=1e-12)
    assert model.train_on_batch(x, t)[1] == pytest.approx(right, rel=1e-12)  # by the short way, if there is one


@pytest.mark.parametrize("python", [False, True])
def test_weights_do_not_depend_on_it(python):
    """What is kept for the area changes nothing in the training, and no thread count changes the area."""
    x, t = RNG.normal(size=(300, 5)), (RNG.random(300) < 0.4) * 1.0
    more = [lambda t, p: np.abs(t - p).mean(axis=1)] if python else []
    found = []
    for asked, threads in ((more, 1), ([*more, "auc"], 1), ([*more, "auc"], 3)):
        fastnn.set_random_seed(3)
        model = fastnn.Sequential([layers.Dense(8, "tanh", input_shape=(5,)), layers.Dense(1, "sigmoid")])
        model.compile("adam", "bce", metrics=asked, seed=1, threads=threads)
        history = model.fit(x, t, epochs=3, batch_size=32, verbose=0).history
        found.append((model.get_weights(), history.get("auc")))
    for weights, _ in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(weights, found[0][0], strict=True))
    assert found[1][1] == found[2][1] and len(set(found[1][1])) == 3


def test_of_a_softmax_and_a_python_loss():
    """Where the loss makes the probabilities, and where it is no kernel."""
    x, labels = RNG.normal(size=(90, 5)), RNG.integers(0, 3, 90)
    t = np.eye(3)[labels]

    def squares(y_true, y_pred):
        return ((y_pred - y_true) ** 2).mean(axis=1), 2 * (y_pred - y_true) / y_pred.shape[1]

    for loss in ("categorical_crossentropy", squares):
        model = fastnn.Sequential([layers.Dense(3, "softmax", input_shape=(5,))])
        model.compile(fastnn.SGD(0.0), loss, metrics=["auc"])
        right = sklearn.roc_auc_score(t.ravel(), model.predict(x, verbose=0).ravel())
        assert model.fit(x, t, verbose=0).history["auc"] == pytest.approx([right], rel=1e-12)
        assert model.evaluate(x, t, verbose=0)[1] == pytest.approx(right, rel=1e-12)


# --- undefined ------------------------------------------------------------------------------------

ONES, NONE = np.ones((6, 1)), np.zeros((6, 1))
SPREAD = np.linspace(0.1, 0.9, 6)[:, None]


@pytest.mark.parametrize("grid", [None, 50])
@pytest.mark.parametrize(
    ("make", "targets", "outputs"),
    [
        (lambda n: metrics.AUC(n), ONES, SPREAD),
        (lambda n: metrics.AUC(n), NONE, SPREAD),
        (lambda n: metrics.AUC(n, curve="PR"), NONE, SPREAD),
        (lambda n: metrics.AUC(n, curve="PR", summation_method="majoring"), NONE, SPREAD),
        (lambda n: metrics.PrecisionAtRecall(0.5, n), NONE, SPREAD),
        (lambda n: metrics.RecallAtPrecision(0.5, n), NONE, SPREAD),
        (lambda n: metrics.SensitivityAtSpecificity(0.5, n), NONE, SPREAD),
        (lambda n: metrics.SensitivityAtSpecificity(0.5, n), ONES, SPREAD),
        (lambda n: metrics.SpecificityAtSensitivity(0.5, n), NONE, SPREAD),
        (lambda n: metrics.SpecificityAtSensitivity(0.5, n), ONES, SPREAD),
        (lambda n: metrics.Precision(), ONES, 0 * SPREAD),
        (lambda n: metrics.Recall(), NONE, SPREAD),
        (lambda n: metrics.F1Score(threshold=0.5), NONE, 0 * SPREAD),
        (lambda n: metrics.FBetaScore("weighted", threshold=0.5), NONE, SPREAD),
        (lambda n: metrics.R2Score(), ONES, SPREAD),
        (lambda n: metrics.R2Score("variance_weighted_average"), NONE, SPREAD),
    ],
)
def test_undefined_is_nan(make, targets, outputs, grid):
    assert np.isnan(scores_model([make(grid)]).evaluate(outputs, targets, verbose=0)[1])


def test_defined_is_not_nan():
    """Where a value is the limit of others, or there is a convention that cannot mislead."""
    half = np.array([[0, 1, 0, 1, 0, 1.0]]).T
    found = scores_model(
        [
            metrics.AUC(curve="PR", name="no negatives"), metrics.Recall(name="nothing found"),
            metrics.F1Score(threshold=0.95), metrics.RecallAtPrecision(0.9, name="out of reach"),
        ]
    )  # fmt: skip
    assert found.evaluate(SPREAD, ONES, verbose=0)[1] == 1
    assert found.evaluate(0 * SPREAD, half, verbose=0, return_dict=True)["nothing found"] == 0
    assert found.evaluate(SPREAD, half, verbose=0, return_dict=True)["f1_score"] == 0
    worst = found.evaluate(SPREAD, half[::-1], verbose=0, return_dict=True)
    assert worst["out of reach"] == 0


def test_classes_that_do_not_occur_are_left_out_of_a_mean():
    t, y = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0.0]]), np.eye(3)[[0, 1, 1, 1]]
    model = scores_model([metrics.F1Score("macro"), metrics.R2Score()], outputs=3)
    f1, r2 = model.evaluate(y, t, verbose=0)[1:]
    assert f1 == pytest.approx(sklearn.f1_score(t.argmax(axis=1), y.argmax(axis=1), average="macro"), rel=1e-12)
    assert r2 == pytest.approx(sklearn.r2_score(t[:, :2], y[:, :2]), rel=1e-12)


def test_f_scores_are_exact():
    t, y = (RNG.random((50, 3)) < 0.5) * 1.0, RNG.random((50, 3))
    for average in ("micro", "macro", "weighted"):
        model = scores_model([metrics.FBetaScore(average, 2.0, 0.5)], outputs=3)
        right = sklearn.fbeta_score(t, y > 0.5, beta=2.0, average=average)
        assert model.evaluate(y, t, verbose=0)[1] == pytest.approx(right, rel=1e-14)


def test_outputs_that_are_nan():
    y, t, _ = data(50)
    y[7] = np.nan
    asked = [metrics.AUC(), metrics.AUC(curve="PR", name="pr"), metrics.PrecisionAtRecall(0.1)]
    logs = scores_model(asked).evaluate(y, t, verbose=0)
    assert np.isnan(logs[1:]).all()


def test_no_samples_have_no_metrics():
    found = scores_model(["mse", "auc", "precision", metrics.R2Score()]).test_on_batch(np.ones((0, 1)), np.ones((0, 1)))
    assert np.isnan(found).all()


@pytest.mark.parametrize("callback", [fastnn.callbacks.EarlyStopping, fastnn.callbacks.ReduceLROnPlateau])
def test_nan_is_never_an_improvement(callback):
    x, t = RNG.normal(size=(20, 5)), np.ones(20)
    model = sigmoid_model(["auc"])
    model.compile(fastnn.SGD(0.1), "bce", metrics=["auc"], seed=1)
    watch = callback(monitor="auc", mode="max", patience=2)
    history = model.fit(x, t, epochs=6, verbose=0, callbacks=[watch]).history
    assert np.isnan(history["auc"]).all()
    if callback is fastnn.callbacks.EarlyStopping:
        assert len(history["auc"]) < 6
    else:
        assert model.optimizer.learning_rate < 0.1
