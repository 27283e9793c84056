"""Metrics of the whole vocabulary, through `compile`, `fit` and `evaluate`."""

import numpy as np
import pytest
import reference
from vocabulary_tools import CLASSES, INPUTS, network, numbers

import fastnn
from fastnn import losses, metrics, ops, optimizers


def f_scores(t, yes, beta):
    tp, fp, fn = ((a * b).sum(axis=0) for a, b in ((t, yes), (1 - t, yes), (t, 1 - yes)))
    return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp), t.sum(axis=0)


def roc_area(t, y):
    """Share of pairs (positive, negative) in the right order."""
    a, b = y[t == 1][:, None], y[t == 0][None]
    return np.mean((a > b) + 0.5 * (a == b))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_metrics_of_sums(threads):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, INPUTS))
    t = (rng.random((500, CLASSES)) < 0.4).astype(float)
    asked = [
        metrics.Precision(), metrics.Recall(), metrics.Precision(thresholds=0.3, class_id=2, name="third"),
        metrics.F1Score("macro", 0.5), metrics.FBetaScore("weighted", 2.0, 0.5, name="f2"),
        metrics.F1Score("micro", 0.5, name="micro"), "R2Score", "AUC", metrics.AUC(curve="PR", name="pr"), "rmse",
        "cosine_similarity", "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "log_loss",
    ]  # fmt: skip
    model = network("sigmoid")
    model.compile("sgd", "bce", metrics=asked, threads=threads)
    found = model.evaluate(x, t, batch_size=77, verbose=0, return_dict=True)
    y = model.predict(x, verbose=0)
    yes = (y > 0.5) * 1.0
    scores, sizes = f_scores(t, yes, 1)
    f2, _ = f_scores(t, yes, 2)
    precision, recall = (t * yes).sum() / yes.sum(), (t * yes).sum() / t.sum()
    residual, spread = ((t - y) ** 2).sum(axis=0), ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    assert list(found)[1:4] == ["precision", "recall", "third"]
    wanted = {
        "precision": precision,
        "recall": recall,
        "third": (t * (y > 0.3))[:, 2].sum() / (y > 0.3)[:, 2].sum(),
        "f1_score": scores.mean(),
        "f2": np.average(f2, weights=sizes),
        "micro": 2 * precision * recall / (precision + recall),
        "R2Score": np.mean(1 - residual / spread),
        "rmse": np.sqrt(np.mean((t - y) ** 2)),
        "cosine_similarity": -reference.cosine_similarity(t, y)[0].mean(),
        "TruePositives": (t * yes).sum(),
        "FalsePositives": ((1 - t) * yes).sum(),
        "TrueNegatives": ((1 - t) * (1 - yes)).sum(),
        "FalseNegatives": (t * (1 - yes)).sum(),
        "log_loss": reference.categorical_crossentropy(t, y)[0].mean(),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    assert found["AUC"] == pytest.approx(roc_area(t.ravel(), y.ravel()), abs=0.01)
    assert 0 < found["pr"] < 1
    history = model.fit(x, t, batch_size=32, epochs=2, shuffle=False, verbose=0).history
    assert all(np.isfinite(history[name]).all() for name in found)


def test_metrics_of_an_epoch_do_not_depend_on_its_pieces():
    """Sums of a fit in one piece are those of single batches, where a callback looks at each."""
    x, y = numbers()
    y = np.eye(CLASSES)[y]
    got = []
    for hooks in ([], [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]):
        fastnn.set_random_seed(0)
        model = network()
        model.compile("adam", "categorical_crossentropy", metrics=["AUC", "accuracy", "R2Score"], seed=1)
        got.append(model.fit(x, y, epochs=2, verbose=0, callbacks=hooks).history)
    assert got[0] == got[1]


def test_auc_of_keras_documentation():
    """The example of keras.metrics.AUC: 3 thresholds, 0.75."""
    sums = ops.metric("histogram", np.array([[0.0, 0, 1, 1]]).T, np.array([[0, 0.5, 0.3, 0.9]]).T, num_thresholds=3)
    assert metrics.AUC(num_thresholds=3).result(sums, 4) == 0.75


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds: expected an integer of at least 2"),
        (lambda: metrics.AUC(curve="ROK"), "Did you mean 'ROC'"),
        (lambda: metrics.Precision([]), "expected a number, or a list of numbers"),
        (lambda: metrics.Recall([0.2, 0.7], class_id=1), "class_id: expected None with several thresholds"),
        (lambda: metrics.Recall(class_id=3).check(3), "class_id: expected 0 to 2"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power"),
        (lambda: losses.Huber(delta=0), "delta: expected a finite number above 0"),
        (lambda: losses.get("hubber"), "Did you mean 'Huber'"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("PrecisionAtRecall", "recall", "precision"),
        ("RecallAtPrecision", "precision", "recall"),
        ("SensitivityAtSpecificity", "specificity", "recall"),
        ("SpecificityAtSensitivity", "recall", "specificity"),
    ],
)
def test_metrics_at_the_best_threshold(name, given, wanted):
    rng = np.random.default_rng(4)
    t, y = (rng.random((300, 3)) < 0.4) * 1.0, rng.random((300, 3))
    for thresholds in (2, 11, 200):
        rates = {"precision": [], "recall": [], "specificity": []}
        for k in range(thresholds):
            # the kernel, like Keras, takes an output as above a threshold k / (n - 1) that it does not reach
            yes = (y > k / (thresholds - 1)) | (k == 0)
            rates["precision"].append((t * yes).sum() / max(yes.sum(), 1))
            rates["recall"].append((t * yes).sum() / t.sum())
            rates["specificity"].append(((1 - t) * ~yes).sum() / (1 - t).sum())
        for least in (0.0, 0.3, 0.45, 0.9, 1.0):
            right = max([w for w, g in zip(rates[wanted], rates[given], strict=True) if g >= least], default=0.0)
            metric = getattr(metrics, name)(least, num_thresholds=thresholds)
            sums = ops.metric(metric.row, t, y, **dict(zip(metric.parameters, metric.params, strict=True)))
            assert metric.result(sums, len(t)) == pytest.approx(right, rel=1e-12)


def test_adjusted_r2():
    rng = np.random.default_rng(0)
    t, y = rng.normal(size=(2, 40, 1))
    sums = ops.metric("squares", t, y)
    plain, adjusted = metrics.R2Score().result(sums, 40), metrics.R2Score(num_regressors=3).result(sums, 40)
    assert adjusted == pytest.approx(1 - (1 - plain) * 39 / 36)
    assert metrics.R2Score(num_regressors=39).result(sums, 40) == plain
