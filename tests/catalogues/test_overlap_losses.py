"""Dice and Tversky: values and gradients next to NumPy and Keras, of batches and of samples, in models."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses

RNG = np.random.default_rng(8)
T, P = RNG.integers(0, 2, (12, 6)).astype(float), RNG.uniform(size=(12, 6))


def dice(t, p, axis):
    return 1 - 2 * (t * p).sum(axis) / (t.sum(axis) + p.sum(axis) + 1e-7)


def tversky(t, p, axis, alpha=0.7, beta=0.2):
    both = (t * p).sum(axis)
    return 1 - both / (both + alpha * (t * (1 - p)).sum(axis) + beta * (p * (1 - t)).sum(axis) + 1e-7)


KINDS = {"dice": (losses.Dice, dice, {}), "tversky": (losses.Tversky, tversky, {"alpha": 0.7, "beta": 0.2})}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("axis", [None, 1, (-1,)])
def test_values_and_gradients(name, axis):
    cls, reference, options = KINDS[name]
    of = axis[0] if isinstance(axis, tuple) else axis
    loss = cls(axis=axis, **options)
    assert loss(T, P) == pytest.approx(np.mean(reference(T, P, of)), rel=1e-12)
    np.testing.assert_allclose(getattr(losses, name)(T, P, axis=axis, **options), reference(T, P, of), rtol=1e-12)
    values, gradient = loss.in_numpy()(T, P)
    np.testing.assert_allclose(values.mean(), np.mean(reference(T, P, of)), rtol=1e-12)
    for at in np.ndindex(P.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = P.copy()
            moved[at] += step
            ends.append(np.mean(reference(T, moved, of)))
        assert gradient[at] / len(P) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("axis", [None, 1])
def test_in_a_model(name, axis, tmp_path):
    cls, reference, options = KINDS[name]
    fastnn.set_random_seed(1)
    model = fastnn.Sequential([layers.Dense(6, "sigmoid", input_shape=(4,))], dtype="float64")
    model.compile(fastnn.Adam(0.05), cls(axis=axis, **options))
    x = RNG.normal(size=(12, 4))
    expected = np.mean(reference(T, model.predict(x, verbose=0), axis))
    assert model.evaluate(x, T, verbose=0) == pytest.approx(expected, rel=1e-12)
    assert model.check_gradients(x, T).passed
    history = model.fit(x, T, batch_size=12, epochs=60, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-12) and history[-1] < 0.8 * history[0]
    model.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert loaded.evaluate(x, T, verbose=0) == model.evaluate(x, T, verbose=0)
    if axis is None:
        with pytest.raises(ValueError, match="sample_weight: expected None"):
            model.train_on_batch(x, T, np.ones(12))
        with pytest.raises(ValueError, match="a value for each sample"):
            model.per_sample_gradients(x, T)
    else:
        assert model.per_sample_gradients(x, T).shape == (12, 30)


def test_names_and_errors():
    assert isinstance(losses.get("dice"), losses.Dice) and isinstance(losses.get("Tversky"), losses.Tversky)
    with pytest.raises(ValueError, match="reduction"):
        losses.Dice(reduction="sum")
    with pytest.raises(ValueError, match="y_true: expected shape"):
        losses.Dice()(T[:3], P)


def test_next_to_keras():
    keras = pytest.importorskip("keras")
    for name, (_, _, options) in KINDS.items():
        for axis in (None, 1):
            theirs = np.array(getattr(keras.losses, name)(T.astype("f4"), P.astype("f4"), axis=axis, **options))
            np.testing.assert_allclose(getattr(losses, name)(T, P, axis=axis, **options), theirs, rtol=1e-5)
