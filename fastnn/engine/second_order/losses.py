"""Derivatives of losses by the predictions in complex NumPy: those of src_c/formulas/losses.inl.h and rows.inl.h.

``LOSSES[row](p, t, *parameters)`` is the gradient (n, K) of the sum of the rows' losses; p is complex, t has targets
(n, K) or labels (n,).
"""

from functools import partial

import numpy as np

from .activations import chosen, exp, log1p, sigmoid, softplus, tanh

EPS = 1e-7  # FNN_LOSS_EPS


def _inside(p, low=EPS, high=1 - EPS):
    """Where a clip to [low, high] is not at work."""
    return (p.real >= low) & (p.real <= high)


def _smooth(t, smoothing, classes=2):
    return t + smoothing * (1 / classes - t)


def _binary(p, t, smoothing):
    safe = chosen(_inside(p), p, 0.5)
    return chosen(_inside(p), (safe - _smooth(t, smoothing)) / (safe * (1 - safe)), 0)


def _binary_value(p, t, smoothing):
    p, t = chosen(p.real < EPS, EPS, chosen(p.real > 1 - EPS, 1 - EPS, p)), _smooth(t, smoothing)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def _power(q, exponent):
    return exp(exponent * np.log(q)) if exponent else np.ones(())


def _focal(p, t, balance, alpha, gamma, smoothing):
    y = _smooth(t, smoothing)
    q = y * (1 - p) + (1 - y) * p
    q = chosen(q.real > 1, 1, chosen(q.real < EPS, EPS, q))
    slope = gamma * _power(q, gamma - 1) * (1 - 2 * y) * _binary_value(p, t, smoothing)
    both = _power(q, gamma) * _binary(p, t, smoothing) + slope
    return chosen(_inside(p), _balance(y, balance, alpha) * both, 0)


def _focal_logits(x, t, balance, alpha, gamma, smoothing):
    y, p, n = _smooth(t, smoothing), sigmoid(x), sigmoid(-x)
    q = y * n + (1 - y) * p
    q = chosen(q.real < 2.3e-308, 2.3e-308, q)
    value = softplus(x) - x * y
    slope = gamma * _power(q, gamma - 1) * (1 - 2 * y) * p * n * value
    return _balance(y, balance, alpha) * (_power(q, gamma) * (p - y) + slope)


def _balance(y, balance, alpha):
    return alpha * y + (1 - alpha) * (1 - y) if balance else 1.0


def _sign(d):
    return np.sign(d.real)


def _msle(p, t):
    ratio = log1p(chosen(p.real < EPS, EPS, p)) - np.log1p(np.maximum(t, EPS))
    return chosen(p.real < EPS, 0, 2 * ratio / (1 + p))


def _huber(p, t, delta):
    d = p - t
    return chosen(np.abs(d.real) > delta, delta * _sign(d), d)


def _margin(p, t):
    t = np.where(t == 0, -1, t)
    return t, 1 - t * p


def _hinge(p, t):
    t, margin = _margin(p, t)
    return np.where(margin.real > 0, -t, 0)


def _squared_hinge(p, t):
    t, margin = _margin(p, t)
    return chosen(margin.real > 0, -2 * t * margin, 0)


def _quantile(p, t, q):
    e = (t - p).real
    return np.where(e > 0, -q, np.where(e < 0, 1 - q, 0))


def _kl(p, t):
    inside = _inside(p, EPS, 1)
    return chosen(inside, -np.clip(t, EPS, 1) / chosen(inside, p, 1), 0)


POINTWISE = dict(  # means over the outputs
    mean_squared_error=lambda p, t: 2 * (p - t),
    mean_absolute_error=lambda p, t: _sign(p - t),
    binary_crossentropy=_binary,
    binary_crossentropy_logits=lambda x, t, smoothing: sigmoid(x) - _smooth(t, smoothing),
    mean_absolute_percentage_error=lambda p, t: 100 * _sign(p - t) / np.maximum(np.abs(t), EPS),
    mean_squared_logarithmic_error=_msle,
    huber=_huber,
    log_cosh=lambda p, t: tanh(p - t),
    hinge=_hinge,
    squared_hinge=_squared_hinge,
    poisson=lambda p, t: 1 - t / (p + EPS),
    quantile=_quantile,
    binary_focal_crossentropy=_focal,
    binary_focal_crossentropy_logits=_focal_logits,
)


def _mean(formula, p, t, *params):
    return formula(p, t, *params) / p.shape[1]


def softmax(x):
    e = exp(x - x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _one_hot(labels, classes):
    return (np.arange(classes) == labels[:, None]).astype(float)


def _softmax_crossentropy(x, t, smoothing):
    t = _smooth(t, smoothing, x.shape[1])
    return softmax(x) * t.sum(axis=1, keepdims=True) - t


def _crossentropy(y, t, smoothing):
    total, t = y.sum(axis=1, keepdims=True), _smooth(t, smoothing, y.shape[1])
    o = y / total
    inside = _inside(o)
    free = np.where(inside, t, 0).sum(axis=1, keepdims=True)
    return (free - chosen(inside, t / chosen(inside, o, 1), 0)) / total


def _categorical_hinge(y, t):
    other = ((1 - t) * y).real
    margin = other.max(axis=1) - (t * y).real.sum(axis=1) + 1
    at = _one_hot(other.argmax(axis=1), y.shape[1])
    return (at * (1 - t) - t) * (margin > 0)[:, None]


def _cosine(y, t):
    norm = np.sqrt((y * y).sum(axis=1, keepdims=True))
    small = norm.real < EPS
    safe, nt = chosen(small, EPS, norm), np.maximum(np.sqrt((t * t).sum(axis=1, keepdims=True)), EPS)
    along = (y * t).sum(axis=1, keepdims=True) / (safe * nt)
    return chosen(small, -t / (nt * safe), -(t / nt - y / safe * along) / safe)


def _focal_class(o, t, alpha, gamma):
    """The derivative by the shares o of alpha t (1 - o)^gamma (-log o)."""
    inside = _inside(o)
    c = chosen(inside, o, 0.5)
    slope = alpha * t * (gamma * _power(1 - c, gamma - 1) * np.log(c) - _power(1 - c, gamma) / c)
    return chosen(inside, slope, 0)


def _categorical_focal(y, t, alpha, gamma, smoothing):
    total = y.sum(axis=1, keepdims=True)
    d = _focal_class(y / total, _smooth(t, smoothing, y.shape[1]), alpha, gamma)
    return (d - (d * y / total).sum(axis=1, keepdims=True)) / total


def _categorical_focal_logits(x, t, alpha, gamma, smoothing):
    o = softmax(x)
    d = _focal_class(o, _smooth(t, smoothing, x.shape[1]), alpha, gamma)
    return o * (d - (d * o).sum(axis=1, keepdims=True))


def _gaussian_nll(y, t, full, eps):
    m = y.shape[1] // 2
    given, e = y[:, m : 2 * m], y[:, :m] - t[:, :m]
    v = chosen(given.real < eps, eps, given)
    slope = (1 - e * e / v) / (2 * v)
    return np.concatenate([e / v, slope, np.zeros_like(y[:, 2 * m :])], axis=1) / max(m, 1)


LOSSES = {name: partial(_mean, formula) for name, formula in POINTWISE.items()} | dict(
    kl_divergence=_kl,
    softmax_crossentropy=_softmax_crossentropy,
    sparse_softmax_crossentropy=lambda x, t, _: softmax(x) - _one_hot(t, x.shape[1]),
    crossentropy=_crossentropy,
    sparse_crossentropy=lambda y, t, _: _crossentropy(y, _one_hot(t, y.shape[1]), 0.0),
    nll=lambda y, t, _: -_one_hot(t, y.shape[1]),
    categorical_hinge=_categorical_hinge,
    cosine_similarity=_cosine,
    categorical_focal=_categorical_focal,
    categorical_focal_logits=_categorical_focal_logits,
    gaussian_nll=_gaussian_nll,
)
