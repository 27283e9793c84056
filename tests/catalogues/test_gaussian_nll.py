"""The Gaussian negative log-likelihood in models, and ensembles of them."""

import numpy as np
import pytest
from scipy.stats import norm

import fastnn
from fastnn import layers, losses

RNG = np.random.default_rng(2)
X = RNG.uniform(-1, 1, (400, 1))
Y = 2 * X + RNG.normal(size=X.shape) * np.exp(X)


def network(seed=1):
    fastnn.set_random_seed(seed)
    x = layers.Input((1,))
    hidden = layers.Dense(8, "tanh")(x)
    made = fastnn.Model(x, layers.Concatenate()([layers.Dense(1)(hidden), layers.Dense(1, "softplus")(hidden)]),
                        dtype="float64")  # fmt: skip
    made.compile(fastnn.Adam(0.02), losses.GaussianNLL(full=True))
    return made


def test_it_is_the_log_density_of_scipy():
    made = network()
    mean, variance = made.predict(X, verbose=0).T
    expected = -norm.logpdf(Y[:, 0], mean, np.sqrt(variance))
    assert made.evaluate(X, Y, verbose=0) == pytest.approx(expected.mean(), rel=1e-12)
    assert losses.GaussianNLL(full=True)(Y, made.predict(X, verbose=0)) == pytest.approx(expected.mean(), rel=1e-12)
    assert made.check_gradients(X[:20], Y[:20]).passed


def test_it_learns_the_spread():
    made = network()
    made.fit(X, Y, epochs=120, verbose=0)
    mean, variance = made.predict(np.array([[-0.9], [0.9]]), verbose=0).T
    np.testing.assert_allclose(mean, [-1.8, 1.8], atol=0.6)
    assert np.sqrt(variance[1] / variance[0]) > 2  # e^1.8 is 6


def test_errors():
    made = fastnn.Sequential([layers.Dense(3, input_shape=(1,))])
    made.compile("sgd", losses.GaussianNLL())
    with pytest.raises(ValueError, match="y: expected a model with means and variances.*, got 3"):
        made.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="y: expected 1 values per row, half the outputs, got 3"):
        network().fit(X, np.ones((400, 3)), verbose=0)


def test_mean_and_deviation_of_an_ensemble():
    result = fastnn.sweep(network, [{"seed": s} for s in range(4)], X, Y, epochs=3, keep="all", verbose=0)
    stacked = result.predict(X)
    mean, std = result.predict_mean_std(X)
    np.testing.assert_allclose(mean, stacked.mean(axis=0))
    np.testing.assert_allclose(std, stacked.std(axis=0), atol=1e-12)
    mean, std = result.predict_mean_std(X, with_variance=True)
    means, variances = stacked[..., :1], stacked[..., 1:]
    np.testing.assert_allclose(mean, means.mean(axis=0))
    second = (variances + means**2).mean(axis=0)  # moments of the mixture
    np.testing.assert_allclose(std**2, second - mean**2, rtol=1e-9)
