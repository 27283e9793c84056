"""Metrics with a state of their own, by hand and in `compile`, next to NumPy, scikit-learn and Keras."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, metrics

RNG = np.random.default_rng(5)
T, Y = RNG.normal(size=(40, 4)), RNG.normal(size=(40, 4))
W = RNG.uniform(0, 2, 40)


def test_means_and_sums():
    mean, total = metrics.Mean(), metrics.Sum()
    assert mean.result() == 0 and (mean.name, total.name) == ("mean", "sum")
    values = RNG.normal(size=30)
    for at in (slice(0, 7), slice(7, 30)):
        mean.update_state(values[at], W[at])
        total.update_state(values[at])
    assert mean.result() == pytest.approx(np.average(values, weights=W[:30]))
    assert total.result() == pytest.approx(values.sum())
    mean.reset_state()
    mean.update_state(T)
    mean.update_state(3.0)
    assert mean.result() == pytest.approx((T.mean(1).sum() + 3) / 41)
    mean.reset_state()
    mean.update_state([1.0, np.nan], [1.0, 0.0])  # a NaN of weight 0 does not matter
    assert mean.result() == 1
    with pytest.raises(TypeError, match="Mean, which is for values of your own"):
        compiled(metrics.Mean())


def compiled(*chosen):
    model = fastnn.Sequential([layers.Identity(input_shape=(4,))], dtype="float64")
    model.compile("sgd", "mse", metrics=list(chosen))
    model.evaluate(Y, T, batch_size=16, verbose=0)
    return model


def test_a_function_with_arguments():
    metric = metrics.MeanMetricWrapper(lambda t, y, power: abs(t - y) ** power, "cubes", power=3)
    metric.update_state(T[:9], Y[:9])
    metric.update_state(T[9:], Y[9:])
    expected = (abs(T - Y) ** 3).mean()
    assert metric.result() == pytest.approx(expected)
    found = compiled(metric).evaluate(Y, T, batch_size=16, verbose=0, return_dict=True)
    assert found["cubes"] == pytest.approx(expected, rel=1e-12)


def expected_correlations():
    pearson = np.array([np.corrcoef(t, y)[0, 1] for t, y in zip(T, Y, strict=True)])
    concordance = np.array([
        2 * np.cov(t, y, ddof=0)[0, 1] / (t.var() + y.var() + (t.mean() - y.mean()) ** 2 + 1e-7)
        for t, y in zip(T, Y, strict=True)
    ])  # fmt: skip
    return {metrics.PearsonCorrelation: pearson, metrics.ConcordanceCorrelation: concordance}


@pytest.mark.parametrize("kind", [metrics.PearsonCorrelation, metrics.ConcordanceCorrelation])
def test_correlations(kind):
    expected, metric = expected_correlations()[kind], kind()
    metric.update_state(T[:7], Y[:7], W[:7])
    metric.update_state(T[7:], Y[7:], W[7:])
    assert metric.result() == pytest.approx(np.average(expected, weights=W), rel=1e-12)
    found = compiled(kind()).evaluate(Y, T, batch_size=16, verbose=0)
    assert found[1] == pytest.approx(expected.mean(), rel=1e-12)
    by_name = compiled(metric.name).evaluate(Y, T, verbose=0)
    assert by_name[1] == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_iou(weighted):
    sklearn = pytest.importorskip("sklearn.metrics")
    t, p = RNG.integers(0, 3, 60), RNG.integers(0, 3, 60)
    w = RNG.uniform(size=60) if weighted else None
    metric = metrics.MeanIoU(4)
    for at in (slice(0, 10), slice(10, 60)):
        metric.update_state(t[at], p[at], None if w is None else w[at])
    assert metric.result() == pytest.approx(sklearn.jaccard_score(t, p, average="macro", sample_weight=w))
    dense = metrics.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False)
    dense.update_state(np.eye(3)[t], np.eye(3)[p])
    model = fastnn.Sequential([layers.Identity(input_shape=(3,))])
    model.compile("sgd", "mse", metrics=[metrics.MeanIoU(3, "iou", None, None, False, False)])
    found = model.evaluate(np.eye(3)[p] + 0.1, np.eye(3)[t], batch_size=16, verbose=0, return_dict=True)
    assert found["iou"] == pytest.approx(dense.result(), rel=1e-6)
    ignoring = metrics.MeanIoU(3, ignore_class=1)
    ignoring.update_state(t, p)
    kept = t != 1
    counts = np.array([[((t == i) & (p == j) & kept).sum() for j in range(3)] for i in range(3)])
    tp = np.diag(counts)
    assert ignoring.result() == pytest.approx(np.mean(tp / (counts.sum(0) + counts.sum(1) - tp)))


def test_errors():
    with pytest.raises(ValueError, match="sparse_y_true=False"):
        compiled(metrics.MeanIoU(4))
    with pytest.raises(ValueError, match="num_classes: expected 4"):
        compiled(metrics.MeanIoU(3, None, None, None, False, False))
    with pytest.raises(TypeError, match="fn: expected a function"):
        metrics.MeanMetricWrapper(3)
    with pytest.raises(ValueError, match="axis"):
        metrics.PearsonCorrelation(axis=0)


def test_next_to_keras():
    keras = pytest.importorskip("keras")
    for name in ("PearsonCorrelation", "ConcordanceCorrelation"):
        ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
        for each in (ours, theirs):
            each.update_state(T.astype("f4"), Y.astype("f4"))
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-4)
    ours, theirs = metrics.MeanIoU(3), keras.metrics.MeanIoU(3)
    t, p = RNG.integers(0, 3, 60), RNG.integers(0, 3, 60)
    for each in (ours, theirs):
        each.update_state(t, p)
    assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-6)


def test_they_are_saved_with_a_model(tmp_path):
    model = compiled(metrics.PearsonCorrelation(), metrics.MeanIoU(4, "iou", None, None, False, False))
    model.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert loaded.evaluate(Y, T, verbose=0) == model.evaluate(Y, T, verbose=0)
