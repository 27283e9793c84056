"""``compile(weighted_metrics=...)``: weights count there and nowhere else, in Keras' names and order."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, metrics

sklearn = pytest.importorskip("sklearn.metrics")

RNG = np.random.default_rng(21)
N, INPUTS, CLASSES = 203, 5, 3
X = RNG.normal(size=(N, INPUTS))
LABELS = RNG.integers(0, CLASSES, N)
T = np.eye(CLASSES)[LABELS]
W = RNG.integers(0, 5, N) * 0.25


def absolute(t, y):
    return np.abs(t - y).mean(axis=1)


def network(asked=(), weighted=(), loss="categorical_crossentropy", rate=0.0, dtype="float64", **options):
    fastnn.set_random_seed(3)
    end = layers.Dense(CLASSES, "softmax")
    model = fastnn.Sequential([layers.Dense(8, "tanh", input_shape=(INPUTS,)), end], dtype=dtype)
    model.compile(fastnn.SGD(rate), loss, metrics=asked, weighted_metrics=weighted, seed=1, **options)
    return model


def asked_for():
    return [
        "accuracy", metrics.BinaryAccuracy(), metrics.TopKCategoricalAccuracy(2, name="top2"), "mse", "rmse",
        "log_loss", "cosine_similarity", metrics.Precision(0.4), metrics.Recall(0.4), metrics.TruePositives(0.4),
        metrics.F1Score("macro"), metrics.FBetaScore("weighted", 2.0, 0.4, name="f2"), metrics.R2Score(),
        metrics.R2Score("variance_weighted_average", name="r2_of_variances"), "auc", metrics.AUC(50, name="grid"),
        fastnn.losses.Huber(0.1), absolute,
    ]  # fmt: skip


def values(t, y, w):
    """Of the metrics above, by scikit-learn or NumPy."""
    def mean(v):
        return np.average(v, weights=w)

    yes, flat, many = (y > 0.4) * 1.0, t.ravel(), np.repeat(w, CLASSES)
    labels, largest = t.argmax(axis=1), y.argmax(axis=1)
    own = np.take_along_axis(y, labels[:, None], axis=1)
    error = np.abs(t - y)
    unit = y / np.linalg.norm(y, axis=1, keepdims=True)
    counts = np.array([[(w * t[:, k] * yes[:, k]).sum(), (w * t[:, k]).sum(), (w * yes[:, k]).sum()] for k in range(3)])
    f2 = 5 * counts[:, 0] / (4 * counts[:, 1] + counts[:, 2])
    return {
        "accuracy": sklearn.accuracy_score(labels, largest, sample_weight=w),
        "binary_accuracy": mean(((y > 0.5) == t).mean(axis=1)),
        "top2": mean((y > own).sum(axis=1) < 2),
        "mse": sklearn.mean_squared_error(t, y, sample_weight=w),
        "rmse": np.sqrt(sklearn.mean_squared_error(t, y, sample_weight=w)),
        "log_loss": sklearn.log_loss(labels, y, sample_weight=w),
        "cosine_similarity": mean((t * unit).sum(axis=1)),
        "precision": sklearn.precision_score(flat, yes.ravel(), sample_weight=many),
        "recall": sklearn.recall_score(flat, yes.ravel(), sample_weight=many),
        "true_positives": (many * flat * yes.ravel()).sum(),
        "f1_score": sklearn.f1_score(labels, largest, average="macro", sample_weight=w),
        "f2": np.average(f2, weights=counts[:, 1]),
        "r2_score": sklearn.r2_score(t, y, sample_weight=w),
        "r2_of_variances": sklearn.r2_score(t, y, sample_weight=w, multioutput="variance_weighted"),
        "auc": sklearn.roc_auc_score(flat, y.ravel(), sample_weight=many),
        "grid": sklearn.roc_auc_score(flat, np.ceil(y.ravel() * 49), sample_weight=many),
        "huber_loss": mean(np.where(error <= 0.1, error**2 / 2, 0.1 * error - 0.005).mean(axis=1)),
        "absolute": mean(error.mean(axis=1)),
    }


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_metric_by_weights(dtype, threads):
    model = network(asked_for(), asked_for(), dtype=dtype, threads=threads)
    found = model.evaluate(X, T, batch_size=32, sample_weight=W, verbose=0, return_dict=True)
    y, count = model.predict(X, verbose=0).astype(np.float64), len(asked_for())
    plain, weighted = values(T, y, np.ones(N)), values(T, y, W)
    assert list(found) == ["loss", *plain, *[f"weighted_{name}" for name in weighted]] == model.metrics_names
    assert len(found) == 1 + 2 * count
    tolerance = 1e-11 if dtype == "float64" else 1e-5
    for name, value in plain.items():
        assert found[name] == pytest.approx(value, rel=tolerance), name
        assert found[f"weighted_{name}"] == pytest.approx(weighted[name], rel=tolerance), name
        assert name == "true_positives" or abs(value - weighted[name]) > 1e-5 * abs(value), "a test that cannot fail"


def test_of_class_labels():
    weighted = ["accuracy", "sparse_top_k_categorical_accuracy", "ce"]
    model = network(["accuracy"], weighted, "sparse_categorical_crossentropy")
    found = model.evaluate(X, LABELS, sample_weight=W, verbose=0, return_dict=True)
    y = model.predict(X, verbose=0)
    assert found["accuracy"] == pytest.approx(np.mean(y.argmax(axis=1) == LABELS), rel=1e-12)
    assert found["weighted_accuracy"] == pytest.approx(np.average(y.argmax(axis=1) == LABELS, weights=W), rel=1e-12)
    assert found["ce"] == pytest.approx(sklearn.log_loss(LABELS, y, sample_weight=W), rel=1e-12)
    assert found["loss"] == pytest.approx(found["ce"] * W.mean(), rel=1e-12)


@pytest.mark.parametrize("hook", [False, True])
@pytest.mark.parametrize("python", [False, True])
def test_in_fit(hook, python):
    """Sample and class weights in training, sample weights alone in validation; the same in blocks and by batches."""
    by_class, more = {0: 0.5, 2: 3.0}, [absolute] if python else []
    hooks = [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] * hook
    model = network(["accuracy", *more], ["accuracy", "mse", "auc", *more])
    history = model.fit(
        X[:150], T[:150], batch_size=16, epochs=2, sample_weight=W[:150], class_weight=by_class, verbose=0,
        validation_data=(X[150:], T[150:], W[150:]), callbacks=hooks,
    ).history  # fmt: skip
    y = model.predict(X, verbose=0)
    w = W * np.array([0.5, 1, 3])[LABELS]
    names = ["accuracy", "weighted_accuracy", "mse", "auc"]
    if python:
        names = ["accuracy", "absolute", "weighted_accuracy", "mse", "auc", "weighted_absolute"]
    assert list(history) == ["loss", *names, "val_loss", *[f"val_{name}" for name in names]]
    for prefix, part, weights in (("", slice(150), w), ("val_", slice(150, N), W)):
        right = values(T[part], y[part], weights[part])
        plain = values(T[part], y[part], np.ones(N)[part])
        for name in names:
            given = name.removeprefix("weighted_")
            wanted = plain[given] if name in ("accuracy", "absolute") else right[given]
            assert history[prefix + name] == pytest.approx([wanted] * 2, rel=1e-11), prefix + name


def test_of_batches_and_single_batches():
    model = network(["mse"], ["mse", "accuracy"])
    y = model.predict(X, verbose=0)
    plain, right = values(T, y, np.ones(N)), values(T, y, W)
    wanted = [plain["mse"], right["mse"], right["accuracy"]]
    feed = lambda: ((X[i : i + 40], T[i : i + 40], W[i : i + 40]) for i in range(0, N, 40))  # noqa: E731
    assert model.evaluate(feed(), verbose=0)[1:] == pytest.approx(wanted, rel=1e-11)
    history = model.fit(feed(), verbose=0).history
    assert [history[name][0] for name in ("mse", "weighted_mse", "accuracy")] == pytest.approx(wanted, rel=1e-11)
    assert model.test_on_batch(X, T, sample_weight=W)[1:] == pytest.approx(wanted, rel=1e-11)
    logs = model.train_on_batch(X, T, sample_weight=W, return_dict=True)
    assert list(logs) == ["loss", "mse", "weighted_mse", "accuracy"]
    assert list(logs.values())[1:] == pytest.approx(wanted, rel=1e-11)
    by_class = model.train_on_batch(X, T, class_weight={1: 4.0})[2]
    assert by_class == pytest.approx(values(T, y, np.array([1, 4, 1.0])[LABELS])["mse"], rel=1e-11)
    for _ in range(3):  # the short way of small batches that were there before
        found = model.train_on_batch(X[:9], T[:9])
        assert found[2] == pytest.approx(found[1], rel=1e-12)


def test_without_weights_they_are_as_the_others():
    model = network(asked_for(), asked_for(), rate=0.1)
    history = model.fit(X, T, epochs=3, batch_size=20, verbose=0).history
    for name in values(T, T, np.ones(N)):
        assert history[f"weighted_{name}"] == pytest.approx(history[name], rel=1e-12), name


def test_training_does_not_depend_on_them():
    results = []
    for weighted in ([], asked_for()[:-1]):
        model = network((), weighted, rate=0.1, dtype="float32")
        model.fit(X, T, epochs=2, batch_size=32, sample_weight=W, verbose=0)
        results.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_samples_that_weigh_nothing():
    """No weights at all: nothing is known (Keras: 0). A value that weighs nothing may be NaN."""
    model = network((), ["mse", "accuracy", "auc", metrics.Precision(), metrics.R2Score(), absolute])
    assert np.isnan(model.evaluate(X, T, sample_weight=np.zeros(N), verbose=0)[1:]).all()
    x, w = X.copy(), W.copy()
    x[3], w[3] = np.nan, 0
    model = network((), ["mse", absolute])
    found = model.evaluate(x, T, sample_weight=w, verbose=0)
    y = model.predict(X, verbose=0)
    assert found[1:] == pytest.approx([values(T, y, w)[name] for name in ("mse", "absolute")], rel=1e-11)


def test_saved_with_the_model(tmp_path):
    model = network(["accuracy"], ["accuracy", metrics.AUC(curve="PR"), "mse"])
    model.fit(X, T, sample_weight=W, verbose=0)
    before = model.evaluate(X, T, sample_weight=W, verbose=0, return_dict=True)
    model.save(tmp_path / "model.fastnn")
    again = fastnn.models.load_model(tmp_path / "model.fastnn")
    assert again.metrics_names == ["loss", "accuracy", "weighted_accuracy", "auc", "mse"]
    assert again.evaluate(X, T, sample_weight=W, verbose=0, return_dict=True) == before
    assert again.metrics_names == model.metrics_names


def test_names_before_and_after_the_first_data():
    own = metrics.AUC(name="area")
    model = network(["acc", own], ["acc", own, "mae"])
    names = ["loss", "acc", "area", "weighted_acc", "weighted_area", "mae"]
    assert model.metrics_names == names
    assert list(model.evaluate(X, T, verbose=0, return_dict=True)) == names == model.metrics_names
    assert own.name == "area" and [m.name for m in model.metrics] == names[1:]
    assert network((), "mse").metrics_names == ["loss", "mse"]
    stop = fastnn.callbacks.EarlyStopping(monitor="val_weighted_acc", patience=1)
    history = model.fit(X, T, epochs=5, validation_split=0.3, callbacks=[stop], verbose=0).history
    assert len(history["val_weighted_acc"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weighted_metrics": ["acuracy"]}, "Did you mean 'accuracy'"),
        ({"weighted_metrics": ["mse"] * 3}, "metrics: expected distinct names"),
        ({"weighted_metrics": ["sparse_categorical_accuracy"]}, "expected targets with class labels"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        model = network()
        model.compile("sgd", "mse", **options)
        model.evaluate(X, T, verbose=0)


def test_as_keras():
    """All of it, against the installed Keras."""
    keras = pytest.importorskip("keras")
    rng, batch = np.random.default_rng(5), 29
    y, t = rng.random((4 * batch, 3)).astype(np.float32), np.eye(3)[rng.integers(0, 3, 4 * batch)].astype(np.float32)
    y /= y.sum(axis=1, keepdims=True)
    w = rng.integers(0, 4, len(y)).astype(np.float32) * np.float32(0.5)

    def logs(library):
        m = library.metrics
        make = lambda: [  # noqa: E731 - with names, of which Keras counts up its own
            "accuracy", "mse", m.Precision(thresholds=0.4, name="precision"), m.Recall(thresholds=0.4, name="recall"),
            m.F1Score("macro"), m.R2Score(), m.AUC(num_thresholds=50, name="roc"),
            m.AUC(num_thresholds=50, curve="PR", name="pr"), m.TruePositives(thresholds=0.4, name="hits"),
            m.PrecisionAtRecall(0.5, num_thresholds=50, name="precision_at"),
            m.SensitivityAtSpecificity(0.5, num_thresholds=50, name="sensitivity_at"), "categorical_crossentropy",
        ]  # fmt: skip
        model = library.Sequential([library.layers.Input((3,)), library.layers.Activation("linear")])
        model.compile(loss="categorical_crossentropy", metrics=make(), weighted_metrics=make())
        options = {"batch_size": batch, "sample_weight": w, "verbose": 0}
        found = [model.evaluate(y, t, return_dict=True, **options)]
        history = model.fit(y, t, shuffle=False, validation_data=(y, t, w), **options)
        options = {"batch_size": batch, "class_weight": {0: 0.5, 1: 2.0}, "verbose": 0}
        model.compile(loss="categorical_crossentropy", metrics=make(), weighted_metrics=make())
        found.append({k: v[0] for k, v in model.fit(y, t, shuffle=False, **options).history.items()})
        return [*found, {k: v[0] for k, v in history.history.items()}]

    for ours, theirs in zip(logs(fastnn), logs(keras), strict=True):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
