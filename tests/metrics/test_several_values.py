"""Metrics with a value for each of several thresholds, or for each class."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, metrics

RNG = np.random.default_rng(9)
P, T, W = RNG.uniform(size=(70, 3)), RNG.integers(0, 2, (70, 3)).astype(float), RNG.uniform(0, 2, 70)
P[:9] = 0.25  # equal to a threshold: not above it
LIMITS = [0.0, 0.25, 0.5, 0.9, 1.0]


def model(chosen, weighted=None, dtype="float64"):
    dense = layers.Dense(3, use_bias=False, kernel_initializer="identity", input_shape=(3,))
    made = fastnn.Sequential([dense], dtype=dtype)
    made.compile("sgd", "mse", metrics=chosen, weighted_metrics=weighted)
    return made


def counts(limit, w=None):
    w = np.ones(70) if w is None else w
    above, true, w = P > limit, T > 0, w[:, None]
    return [float((w * both).sum()) for both in (above & true, above & ~true, ~above & true, ~above & ~true)]


FORMULAS = {
    metrics.Precision: lambda tp, fp, fn, tn: tp / (tp + fp) if tp + fp else np.nan,
    metrics.Recall: lambda tp, fp, fn, tn: tp / (tp + fn),
    metrics.TruePositives: lambda tp, fp, fn, tn: tp,
    metrics.FalsePositives: lambda tp, fp, fn, tn: fp,
    metrics.TrueNegatives: lambda tp, fp, fn, tn: tn,
    metrics.FalseNegatives: lambda tp, fp, fn, tn: fn,
}


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_thresholds(kind, weighted):
    made = model(None, [kind(LIMITS)]) if weighted else model([kind(LIMITS)])
    found = made.evaluate(P, T, batch_size=16, sample_weight=W if weighted else None, verbose=0)[1]
    expected = [FORMULAS[kind](*counts(limit, W if weighted else None)) for limit in LIMITS]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    alone = [model([kind(limit)]).evaluate(P, T, verbose=0)[1] for limit in LIMITS]
    if not weighted:
        np.testing.assert_allclose(found, alone, rtol=1e-12)


def test_training_history_progress_and_saving(tmp_path, capsys):
    made = model([metrics.Precision([0.2, 0.7], name="p"), metrics.F1Score(threshold=0.5, name="f")])
    log = callbacks.CSVLogger(tmp_path / "log.csv")
    history = made.fit(P, T, epochs=3, validation_data=(P, T), verbose=2, callbacks=[log])
    assert [np.shape(v) for v in history.history["val_p"]] == [(2,)] * 3
    assert [np.shape(v) for v in history.history["f"]] == [(3,)] * 3
    line = [line for line in capsys.readouterr().out.splitlines() if "p: [" in line][-1]
    assert ", ".join(f"{v:.4f}" for v in history.history["val_p"][-1]) in line
    assert "[" in (tmp_path / "log.csv").read_text() and history._repr_html_()
    made.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    for a, b in zip(loaded.evaluate(P, T, verbose=0), made.evaluate(P, T, verbose=0), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="monitor: expected a name with one value per epoch, got 'val_p', which has 2"):
        made.fit(P, T, validation_data=(P, T), verbose=0, callbacks=[callbacks.EarlyStopping("val_p", mode="max")])


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_classes(beta):
    sklearn = pytest.importorskip("sklearn.metrics")
    made = model([metrics.FBetaScore(None, beta, 0.5)])
    found = made.evaluate(P, T, batch_size=16, verbose=0)[1]
    expected = sklearn.fbeta_score(T > 0, P > 0.5, beta=beta, average=None)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    one = fastnn.Sequential([layers.Identity(input_shape=(1,))], dtype="float64")
    one.compile("sgd", "mse", metrics=[metrics.FBetaScore(None, beta, 0.5)])
    found = one.evaluate(P[:, :1], T[:, :1], verbose=0)[1]
    assert isinstance(found, float) and found == pytest.approx(expected[0], rel=1e-12)


def test_an_output_of_nan():
    broken = P.copy()
    broken[3, 1] = np.nan
    found = model([metrics.Precision(LIMITS)])
    assert np.isnan(curves_of(broken)).all() and found is not None


def curves_of(p):
    from fastnn.metrics.curves import Scores

    scores = Scores()
    scores.add(p, T)
    return metrics.Precision(LIMITS).result(scores, len(p))
