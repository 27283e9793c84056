"""What the right answer is: float64 NumPy written from the equations, importing nothing of ours.

(a) Batch first: activations are (B, F), kernels (I, O).  A prefix d marks the gradient of the loss.
(b) Every forward function has its backward beside it; nothing is fused, blocked or reordered on purpose.
(c) Conventions are Keras 3's: moving averages, biased variance, epsilons, divisors, optimizer formulas, weight order.
(d) `Net` strings the functions together and trains on the batches it is given.
"""

import math

import numpy as np

KERAS_EPSILON = 1e-7  # keras.config.epsilon(): probabilities are clipped to [epsilon, 1 - epsilon]
SELU_ALPHA, SELU_SCALE = 1.6732632423543778, 1.0507009873554805


# --- dense ----------------------------------------------------------------------------------------


def dense(x, kernel, bias=None):
    """y = x W + b."""
    return x @ kernel if bias is None else x @ kernel + bias


def dense_backward(x, kernel, dy):
    """dx = dy Wᵀ, dW = xᵀ dy, db = Σ_batch dy."""
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


# --- activations ----------------------------------------------------------------------------------


def sigmoid(x):
    """1 / (1 + e^-x), through e^-|x| so that nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def softmax(x):
    """e^x / Σ e^x over the last axis, shifted by the maximum."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    """x − log Σ e^x; the maximum is taken off first, not last, or logits of 1e8 would lose 8 digits."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def _relu(x, max_value=np.inf, negative_slope=0.0, threshold=0.0):
    return np.where(x > threshold, np.minimum(x, max_value), negative_slope * (x - threshold))


def _relu_d(x, max_value=np.inf, negative_slope=0.0, threshold=0.0):
    return np.where(x > threshold, np.where(x < max_value, 1.0, 0.0), negative_slope)


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_d(x, alpha=1.0):
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def normal_cdf(x):
    """Φ(x) = erfc(−x / √2) / 2."""
    return 0.5 * _erfc(-np.asarray(x, np.float64) / np.sqrt(2.0))


def softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _gelu(x, approximate=False):
    if not approximate:
        return x * normal_cdf(x)
    x = np.maximum(x, -30)
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * np.clip(x, -30, 30) ** 3)))


def _gelu_d(x, approximate=False):
    if not approximate:
        return normal_cdf(x) + x * np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)
    x, c = np.clip(x, -30, 30), np.sqrt(2.0 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t**2) * c * (1.0 + 3 * 0.044715 * x**2)


def _mish_d(x):
    t = np.tanh(softplus(x))
    return t + x * (1.0 - t**2) * sigmoid(x)


def _inside(x, low, high):
    return np.where((x > low) & (x < high), 1.0, 0.0)


# name -> (f, f'), both of the input x.  At a kink f' is the slope of the left side, as in Keras.
ACTIVATIONS = {
    "linear": (lambda x: x, np.ones_like),
    "relu": (_relu, _relu_d),
    "leaky_relu": (
        lambda x, negative_slope=0.2: _relu(x, negative_slope=negative_slope),
        lambda x, negative_slope=0.2: _relu_d(x, negative_slope=negative_slope),
    ),
    "elu": (_elu, _elu_d),
    "selu": (
        lambda x: SELU_SCALE * _elu(x, SELU_ALPHA),
        lambda x: SELU_SCALE * _elu_d(x, SELU_ALPHA),
    ),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "tanh": (np.tanh, lambda x: 1.0 / np.cosh(np.clip(x, -350, 350)) ** 2),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x: _inside(x, 0, 6)),
    "softplus": (softplus, sigmoid),
    "softsign": (lambda x: x / (1.0 + np.abs(x)), lambda x: 1.0 / (1.0 + np.abs(x)) ** 2),
    "hard_sigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: _inside(x, -3, 3) / 6),
    "sparse_sigmoid": (lambda x: 0.5 * np.clip(x + 1, 0, 2), lambda x: 0.5 * _inside(x, -1, 1)),
    "exponential": (np.exp, np.exp),
    "silu": (
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
    ),
    "hard_silu": (
        lambda x: np.maximum(x, -3) * (np.clip(x + 3, 0, 6) / 6),
        lambda x: np.where(x > 3, 1.0, _inside(x, -3, 3) * (2 * np.clip(x, -3, 3) + 3) / 6),
    ),
    "gelu": (_gelu, _gelu_d),
    "mish": (lambda x: x * np.tanh(softplus(x)), _mish_d),
    "celu": (
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
        lambda x, alpha=1.0: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / alpha)),
    ),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), lambda x: _inside(x, -1, 1)),
    "log_sigmoid": (lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    "tanh_shrink": (lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "soft_shrink": (
        lambda x, threshold=0.5: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
        lambda x, threshold=0.5: np.where(np.abs(x) > threshold, 1.0, 0.0),
    ),
    "hard_shrink": (
        lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0.0),
        lambda x, threshold=0.5: np.where(np.abs(x) > threshold, 1.0, 0.0),
    ),
    "threshold": (
        lambda x, threshold=0.0, default_value=0.0: np.where(x > threshold, x, default_value),
        lambda x, threshold=0.0, default_value=0.0: np.where(x > threshold, 1.0, 0.0),
    ),
    "squareplus": (
        lambda x, b=4.0: 0.5 * x + 0.5 * np.hypot(x, np.sqrt(b)),
        lambda x, b=4.0: 0.5 * (1.0 + x / np.hypot(x, np.sqrt(b))),
    ),
    "sparse_plus": (
        lambda x: np.where(x <= -1, 0.0, np.where(x >= 1, x, (np.clip(x, -1, 1) + 1) ** 2 / 4)),
        lambda x: (np.clip(x, -1, 1) + 1) / 2,
    ),
}


def activation(name, x, **params):
    """f(x); softmax and log_softmax work along the last axis."""
    x = np.asarray(x, np.float64)
    if name in ("softmax", "log_softmax"):
        return softmax(x) if name == "softmax" else log_softmax(x)
    return ACTIVATIONS[name][0](x, **params)


def activation_backward(name, x, dy, **params):
    """dx = dy f'(x); softmax: p (dy − Σ dy p); log_softmax: dy − p Σ dy."""
    x = np.asarray(x, np.float64)
    if name == "softmax":
        p = softmax(x)
        return p * (dy - (dy * p).sum(axis=-1, keepdims=True))
    if name == "log_softmax":
        return dy - softmax(x) * np.sum(dy, axis=-1, keepdims=True)
    return dy * ACTIVATIONS[name][1](x, **params)


# --- batch normalisation (Ioffe & Szegedy 2015, algorithm 1) --------------------------------------


def batch_norm_stats(x):
    """μ = mean, σ² = mean (x − μ)² over the batch: biased, two passes."""
    mean = x.mean(axis=0)
    return mean, np.mean((x - mean) ** 2, axis=0)


def batch_norm(x, gamma, beta, mean, variance, epsilon=1e-3):
    """y = γ x̂ + β, x̂ = (x − μ) / √(σ² + ε).  Training passes the batch's μ, σ², inference the moving averages."""
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def moving_average(average, value, momentum=0.99):
    """v̂ ← v̂ momentum + v (1 − momentum)."""
    return average * momentum + value * (1.0 - momentum)


def batch_norm_backward(x, gamma, dy, epsilon=1e-3):
    """Training mode, through μ and σ²: dx = γ/√(σ²+ε) (dy − mean dy − x̂ mean(dy x̂)), dγ = Σ dy x̂, dβ = Σ dy."""
    mean, variance = batch_norm_stats(x)
    scale = 1.0 / np.sqrt(variance + epsilon)
    xhat = (x - mean) * scale
    dx = gamma * scale * (dy - dy.mean(axis=0) - xhat * np.mean(dy * xhat, axis=0))
    return dx, np.sum(dy * xhat, axis=0), dy.sum(axis=0)


# --- dropout and its random numbers ---------------------------------------------------------------


def philox4x32(counter, key):
    """Philox4x32-10 (Salmon et al. 2011).  counter: four words, key: two, broadcast; returns uint32 (..., 4)."""
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    words = (np.asarray(w, np.uint64) & mask for w in (*counter, *key))
    c0, c1, c2, c3, k0, k1 = np.broadcast_arrays(*words)
    for _ in range(10):
        m0, m1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (m1 >> shift) ^ c1 ^ k0, m1 & mask, (m0 >> shift) ^ c3 ^ k1, m0 & mask
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def dropout_mask(batch, features, rate, seed=0, step=0, layer=0):
    """(B, F) of 0 or 1/(1 − rate): one random word per element, kept if word ≥ rate 2³².

    counter = (feature, sample // 4, step, layer), key = (seed low, seed high), word = sample % 4.
    """
    sample = np.arange(batch)[:, None]
    key = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    words = philox4x32((np.arange(features), sample // 4, step & 0xFFFFFFFF, layer), key)
    word = words[sample, np.arange(features), sample % 4]
    return np.where(word >= rate * 2.0**32, 1.0 / (1.0 - rate), 0.0)


def dropout(x, mask):
    """y = x · mask; the mask holds the factor 1/(1 − rate), so dx = dy · mask and inference is the identity."""
    return x * mask


# --- layers that draw numbers while training ------------------------------------------------------


def random_words(batch, features, seed=0, step=0, layer=0):
    """(B, F) of uint32, the words that dropout compares with its rate (see `dropout_mask`)."""
    sample = np.arange(batch)[:, None]
    key = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    words = philox4x32((np.arange(features), sample // 4, step & 0xFFFFFFFF, layer), key)
    return words[sample, np.arange(features), sample % 4]


def standard_normal(words):
    """Φ⁻¹((word + 1/2) / 2³²), by bisection of erfc."""
    erfc = np.vectorize(math.erfc)
    u = (np.asarray(words, np.float64) + 0.5) / 2.0**32
    tail, low, high = np.minimum(u, 1.0 - u), np.full(u.shape, 0.0), np.full(u.shape, 7.0)
    for _ in range(54):
        middle = (low + high) / 2.0
        below = 0.5 * erfc(middle / math.sqrt(2.0)) > tail
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(u < 0.5, -low, low)


def uniform(words):
    """The upper 24 bits as a number in [0, 1)."""
    return (np.asarray(words) >> 8) / 2.0**24


def gaussian_noise(x, words, stddev):
    """(y, dy/dx): x + σ z."""
    return x + stddev * standard_normal(words), np.ones_like(x)


def gaussian_dropout(x, words, rate):
    """(y, dy/dx): x (1 + z √(rate / (1 − rate)))."""
    factor = 1.0 + standard_normal(words) * np.sqrt(rate / (1.0 - rate))
    return x * factor, factor


def alpha_dropout(x, words, rate):
    """(y, dy/dx): a x' + b, x' = −αλ where dropped; a = ((1−r)(1+r α²λ²))^−½, b = a αλ r."""
    limit = SELU_ALPHA * SELU_SCALE
    a = ((1.0 - rate) * (1.0 + rate * limit**2)) ** -0.5
    keep = uniform(words) >= rate
    return a * np.where(keep, x, -limit) + a * limit * rate, a * keep


def rrelu(x, words, lower, upper):
    """(y, dy/dx): x above 0, else x times a slope from [lower, upper)."""
    slope = np.where(x > 0, 1.0, lower + (upper - lower) * uniform(words))
    return x * slope, slope


NOISES = {f.__name__: f for f in (gaussian_noise, gaussian_dropout, alpha_dropout, rrelu)}


# --- layer normalisation, PReLU, maxout -----------------------------------------------------------


def group_norm(x, groups, gamma=1.0, beta=0.0, epsilon=1e-3):
    """gamma (x - mean) / sqrt(var + epsilon) + beta, by the mean and variance of each group of features."""
    runs = x.reshape(len(x), groups, -1)
    away = runs - runs.mean(axis=-1, keepdims=True)
    return gamma * (away / np.sqrt((away**2).mean(axis=-1, keepdims=True) + epsilon)).reshape(x.shape) + beta


def layer_norm(x, gamma, beta, axes=(-1,), epsilon=1e-3):
    """γ (x − μ) / √(σ² + ε) + β, μ and σ² of each sample over `axes`."""
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def prelu(x, alpha):
    """max(x, 0) + α min(x, 0)."""
    return np.maximum(x, 0) + alpha * np.minimum(x, 0)


def maxout(z, k):
    """The largest of each k neighbours."""
    return z.reshape(len(z), -1, k).max(axis=-1)


# --- losses: (value of each sample (B,), its derivative by y_pred (B, K)) -------------------------


def _pointwise(value, slope):
    """A loss that is the mean over the K outputs of a sample."""
    return value.mean(axis=-1), slope / value.shape[-1]


def mean_squared_error(t, y):
    """mean (y − t)²."""
    return _pointwise((y - t) ** 2, 2.0 * (y - t))


def mean_absolute_error(t, y):
    """mean |y − t|; slope 0 at 0."""
    return _pointwise(np.abs(y - t), np.sign(y - t))


def huber(t, y, delta=1.0):
    """mean of e²/2 where |e| ≤ δ, else δ|e| − δ²/2; e = y − t."""
    e = y - t
    a = np.abs(e)
    value = np.where(a <= delta, 0.5 * e**2, delta * a - 0.5 * delta**2)
    return _pointwise(value, np.clip(e, -delta, delta))


def binary_crossentropy(t, y, from_logits=False, label_smoothing=0.0):
    """mean of −t log p − (1 − t) log(1 − p).  Logits: max(z, 0) − z t + log(1 + e^-|z|), slope p − t."""
    t = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        return _pointwise(np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y))), sigmoid(y) - t)
    p = np.clip(y, KERAS_EPSILON, 1.0 - KERAS_EPSILON)  # no slope where the clip acts
    slope = np.where(p == y, (p - t) / (p * (1.0 - p)), 0.0)
    return _pointwise(-t * np.log(p) - (1.0 - t) * np.log1p(-p), slope)


def categorical_crossentropy(t, y, from_logits=False, label_smoothing=0.0):
    """−Σ t log p.  Logits: p = softmax, slope p Σt − t.  Probabilities: p = clip(y / Σy, ε, 1 − ε)."""
    t = t * (1.0 - label_smoothing) + label_smoothing / y.shape[-1]
    if from_logits:
        return -(t * log_softmax(y)).sum(axis=-1), softmax(y) * t.sum(axis=-1, keepdims=True) - t
    total = y.sum(axis=-1, keepdims=True)
    p = np.clip(y / total, KERAS_EPSILON, 1.0 - KERAS_EPSILON)
    live = np.where(p == y / total, t, 0.0)  # no slope where the clip acts
    return -(t * np.log(p)).sum(axis=-1), (live.sum(axis=-1, keepdims=True) - live / p) / total


def sparse_categorical_crossentropy(t, y, from_logits=False):
    """The same for class labels t (B,)."""
    return categorical_crossentropy(np.eye(y.shape[-1])[np.asarray(t, int).ravel()], y, from_logits)


def mean_absolute_percentage_error(t, y):
    """100 mean |t − y| / max(|t|, ε)."""
    size = np.maximum(np.abs(t), KERAS_EPSILON)
    return _pointwise(100 * np.abs(t - y) / size, 100 * np.sign(y - t) / size)


def mean_squared_logarithmic_error(t, y):
    """mean (log(1 + max(y, ε)) − log(1 + max(t, ε)))²."""
    e = np.log1p(np.maximum(y, KERAS_EPSILON)) - np.log1p(np.maximum(t, KERAS_EPSILON))
    return _pointwise(e**2, np.where(y < KERAS_EPSILON, 0.0, 2 * e / (1 + np.maximum(y, 0))))


def log_cosh(t, y):
    """mean log cosh(y − t)."""
    return _pointwise(np.log(np.cosh(y - t)), np.tanh(y - t))


def _signs(t):
    return np.where(t == 0, -1.0, t)


def hinge(t, y):
    """mean max(1 − t y, 0); t = 0 means −1."""
    t = _signs(t)
    margin = np.maximum(1 - t * y, 0)
    return _pointwise(margin, np.where(margin > 0, -t, 0.0))


def squared_hinge(t, y):
    """mean max(1 − t y, 0)²."""
    t = _signs(t)
    margin = np.maximum(1 - t * y, 0)
    return _pointwise(margin**2, -2 * margin * t)


def poisson(t, y):
    """mean y − t log(y + ε)."""
    return _pointwise(y - t * np.log(y + KERAS_EPSILON), 1 - t / (y + KERAS_EPSILON))


def quantile(t, y, quantile=0.5):
    """mean max(q e, (q − 1) e), e = t − y."""
    e = t - y
    slope = np.where(e > 0, -quantile, np.where(e < 0, 1 - quantile, 0.0))
    return _pointwise(np.maximum(quantile * e, (quantile - 1) * e), slope)


def binary_focal_crossentropy(t, y, apply_class_balancing=0, alpha=0.25, gamma=2.0, label_smoothing=0.0,
                              from_logits=False):  # fmt: skip
    """mean a (1 − p_t)^γ BCE; p_t = t p + (1 − t)(1 − p), a = α t + (1 − α)(1 − t) or 1."""
    s = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    p = sigmoid(y) if from_logits else y
    q = 1 - (s * p + (1 - s) * (1 - p))
    a = alpha * s + (1 - alpha) * (1 - s) if apply_class_balancing else 1.0
    bce = -s * np.log(p) - (1 - s) * np.log1p(-p)
    dq = 1 - 2 * s
    slope = gamma * q ** (gamma - 1) * dq * bce + q**gamma * (p - s) / (p * (1 - p))
    return _pointwise(a * q**gamma * bce, a * slope * (p * (1 - p) if from_logits else 1.0))


def categorical_focal_crossentropy(t, y, alpha=0.25, gamma=2.0, label_smoothing=0.0, from_logits=False):
    """−α Σ t (1 − o)^γ log o; o = clip(p, ε, 1 − ε), p = y / Σy, of logits softmax."""
    t = t * (1.0 - label_smoothing) + label_smoothing / y.shape[-1]
    total = 1.0 if from_logits else y.sum(axis=-1, keepdims=True)
    p = softmax(y) if from_logits else y / total
    o = np.clip(p, KERAS_EPSILON, 1.0 - KERAS_EPSILON)
    slope = alpha * t * (gamma * (1 - o) ** (gamma - 1) * np.log(o) - (1 - o) ** gamma / o)
    d = np.where(o == p, slope, 0.0)
    along = (d * p).sum(axis=-1, keepdims=True)
    value = -alpha * (t * (1 - o) ** gamma * np.log(o)).sum(axis=-1)
    return value, (p * (d - along) if from_logits else (d - along) / total)


def gaussian_nll(t, y, full=0, eps=1e-6):
    """mean ½ (log v + (m − t)² / v + log 2π if full), v ≥ eps; y has the means, then the variances; t the targets.

    The slope by a variance below eps is that at eps."""
    count = y.shape[-1] // 2
    slope = np.zeros_like(y)
    if count == 0:
        return np.zeros(len(y)) + (np.log(2 * np.pi) / 2 if full else 0), slope
    v, e = np.maximum(y[:, count : 2 * count], eps), y[:, :count] - t[:, :count]
    slope[:, :count], slope[:, count : 2 * count] = e / v / count, (1 - e**2 / v) / (2 * v) / count
    return (0.5 * (np.log(v) + e**2 / v + (np.log(2 * np.pi) if full else 0))).mean(axis=-1), slope


def kl_divergence(t, y):
    """Σ t log(t / y), both clipped to [ε, 1]."""
    t, p = np.clip(t, KERAS_EPSILON, 1), np.clip(y, KERAS_EPSILON, 1)
    return (t * np.log(t / p)).sum(axis=-1), np.where(p == y, -t / p, 0.0)


def categorical_hinge(t, y):
    """max(max (1 − t) y − Σ t y + 1, 0)."""
    other = (1 - t) * y
    margin = other.max(axis=-1) - (t * y).sum(axis=-1) + 1
    first = np.arange(y.shape[-1]) == other.argmax(axis=-1)[..., None]
    return np.maximum(margin, 0), np.where(margin[..., None] > 0, first * (1 - t) - t, 0.0)


def cosine_similarity(t, y):
    """−Σ t y / (‖t‖ ‖y‖), a norm below ε as ε."""
    norms = [np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), KERAS_EPSILON) for a in (t, y)]
    u, v = t / norms[0], y / norms[1]
    c = (u * v).sum(axis=-1, keepdims=True)
    return -c[..., 0], -(u - c * v) / norms[1]


def negative_log_likelihood(t, y, ignore_class=None):
    """−y_t for class labels t; 0 for the class that is ignored."""
    t = np.asarray(t, int).ravel()
    hot = np.eye(y.shape[-1])[t] * (t != ignore_class)[:, None]
    return -(hot * y).sum(axis=-1), -hot


def ignoring(function):
    """A loss of class labels, 0 where the number is that to ignore."""

    def loss(t, y, ignore_class=None, **options):
        value, slope = function(t, y, **options)
        counts = np.asarray(t).ravel() != ignore_class
        return value * counts, slope * counts[:, None]

    return loss


LOSSES = {
    f.__name__: f
    for f in (
        mean_squared_error,
        mean_absolute_error,
        huber,
        binary_crossentropy,
        categorical_crossentropy,
        sparse_categorical_crossentropy,
        mean_absolute_percentage_error,
        mean_squared_logarithmic_error,
        log_cosh,
        hinge,
        squared_hinge,
        poisson,
        quantile,
        binary_focal_crossentropy,
        categorical_focal_crossentropy,
        gaussian_nll,
        kl_divergence,
        categorical_hinge,
        cosine_similarity,
    )
}


# --- metrics: one number per sample, the metric is their mean -------------------------------------


def top_k(t, y, k=5):
    """1 where the output of class t is among the k largest."""
    picked = np.take_along_axis(y, np.asarray(t, int).reshape(-1, 1), axis=-1)
    return ((y > picked).sum(axis=-1) < k) * 1.0


def confusion(t, y, threshold=0.5):
    """[[Σ t yes, Σ (1 − t) yes], [Σ t no, Σ (1 − t) no]] of each output: (2 K, 2)."""
    yes = y > threshold if threshold != np.inf else (y >= y.max(axis=-1, keepdims=True)) & (np.abs(y) > 1e-9)
    sums = [[(a * b).sum(axis=0) for b in (t, 1 - t)] for a in (yes, ~yes)]
    return np.moveaxis(np.array(sums), 2, 0).reshape(-1, 2)


def squares(t, y):
    """[[Σ t, Σ t²], [Σ (t − y)², n]] of each output: (2 K, 2)."""
    sums = [[t.sum(axis=0), (t**2).sum(axis=0)], [((t - y) ** 2).sum(axis=0), np.full(t.shape[1], len(t))]]
    return np.moveaxis(np.array(sums), 2, 0).reshape(-1, 2)


def histogram(t, y, num_thresholds=200, from_logits=False):
    """Number of positives and negatives of all outputs in each of the buckets (j, j + 1] / (n − 1)."""
    n = int(num_thresholds)
    y = sigmoid(y) if from_logits else y
    at = np.maximum(np.ceil(np.clip(y, 0, 1) * (n - 1)) - 1, 0).astype(int).ravel()
    return np.stack([np.bincount(at, wanted.ravel(), minlength=n) for wanted in (t != 0, t == 0)], 1)


METRICS = {
    "mean_squared_error": lambda t, y: mean_squared_error(t, y)[0],
    "mean_absolute_error": lambda t, y: mean_absolute_error(t, y)[0],
    "binary_accuracy": lambda t, y, threshold=0.5: np.mean((y > threshold) == t, axis=-1),
    "categorical_accuracy": lambda t, y: (t.argmax(axis=-1) == y.argmax(axis=-1)) * 1.0,
    "sparse_categorical_accuracy": lambda t, y: (np.asarray(t).ravel() == y.argmax(axis=-1)) * 1.0,
}


# --- clipping (Pascanu et al. 2013) ---------------------------------------------------------------


def clip_gradients(grads, clipvalue=None, clipnorm=None, global_clipnorm=None):
    """Elementwise to [−c, c]; each variable times min(1, c/‖g‖); all variables times min(1, c/√Σ‖g‖²)."""
    if clipnorm:
        return [g * (clipnorm / max(np.sqrt(np.sum(g**2)), clipnorm)) for g in grads]
    if global_clipnorm:
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        return [g * (global_clipnorm / max(norm, global_clipnorm)) for g in grads]
    return [np.clip(g, -clipvalue, clipvalue) for g in grads] if clipvalue else list(grads)


# --- penalties on weights and constraints ---------------------------------------------------------


def l1_l2(w, l1=0.0, l2=0.0):
    """(l1 Σ|w| + l2 Σw², l1 sign(w) + 2 l2 w)."""
    return l1 * np.abs(w).sum() + l2 * (w**2).sum(), l1 * np.sign(w) + 2.0 * l2 * w


def orthogonal_penalty(w, factor=0.01, mode="rows"):
    """f / pairs Σ_{i<j} |r̂ᵢ·r̂ⱼ| over rows (or columns) of length 1, and its gradient."""
    if mode == "columns":
        value, gradient = orthogonal_penalty(w.T, factor)
        return value, gradient.T
    n, norm = len(w), np.linalg.norm(w, axis=1, keepdims=True)
    cut = norm <= KERAS_EPSILON
    norm = np.maximum(norm, KERAS_EPSILON)
    r = w / norm
    products = r @ r.T - np.diag(np.sum(r * r, axis=1))
    np.fill_diagonal(products, 0.0)
    dr = factor / (n * (n - 1) / 2.0) * (np.sign(products) @ r)
    value = factor * 0.5 * np.abs(products).sum() / (n * (n - 1) / 2.0)
    return value, (dr - np.where(cut, 0.0, r * np.sum(r * dr, axis=1, keepdims=True))) / norm


def non_neg(w):
    return np.maximum(w, 0.0)


def min_max_norm(w, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
    """w (rate clip(n, min, max) + (1 − rate) n) / (ε + n), n the norms over `axis`."""
    n = np.sqrt(np.sum(w**2, axis=axis, keepdims=True))
    return w * (rate * np.clip(n, min_value, max_value) + (1.0 - rate) * n) / (KERAS_EPSILON + n)


def max_norm(w, max_value=2.0, axis=0):
    return min_max_norm(w, 0.0, max_value, 1.0, axis)


def unit_norm(w, axis=0):
    return w / (KERAS_EPSILON + np.sqrt(np.sum(w**2, axis=axis, keepdims=True)))


# --- optimizers -----------------------------------------------------------------------------------


class SGD:
    """v ← μ v − η g;  w ← w + v, with Nesterov w ← w + μ v − η g;  without momentum w ← w − η g.

    Options of every optimizer: the three clips; weight_decay λ (w ← w − η λ w before the step; not for the positions
    in `not_decayed`); gradient_accumulation_steps k (the mean gradient of k batches makes an update);
    ema_momentum μ (a ← μ a + (1 − μ) w, a = w in the first update; `ema_overwrite_frequency`: then w ← a).
    """

    states = 2

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **options):
        self.rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self.weight_decay = options.pop("weight_decay", None) or 0.0
        self.not_decayed = options.pop("not_decayed", ())
        self.every = options.pop("gradient_accumulation_steps", None) or 1
        self.ema = options.pop("ema_momentum", None)
        self.overwrite = options.pop("ema_overwrite_frequency", None)
        self.clip = options
        self.batches, self.steps, self.state = 0, 0, None

    def apply(self, weights, grads, constraints=None):
        """One step in place; state goes by position in the list.  A rate may be a function of the step (0, 1, …)."""
        if self.state is None:
            self.state = [tuple(np.zeros_like(w) for _ in range(self.states)) for w in weights]
            self.sums = [np.zeros_like(w) for w in weights]
            self.averages = [np.zeros_like(w) for w in weights]
        rate = self.rate(self.batches) if callable(self.rate) else self.rate
        updates = self.batches // self.every
        self.batches += 1
        for total, g in zip(self.sums, grads, strict=True):
            total += g
        if self.batches % self.every == 0:
            self.update(weights, [total / self.every for total in self.sums], rate)
            self.sums = [np.zeros_like(w) for w in weights]
        if self.ema is not None:
            for a, w in zip(self.averages, weights, strict=True):
                m = self.ema if updates else 0.0
                a[...] = m * a + (1.0 - m) * w
                if self.overwrite and (updates + 1) % self.overwrite == 0:
                    w[...] = a
        for w, constraint in zip(weights, constraints or [None] * len(weights), strict=True):
            if constraint is not None:
                w[...] = constraint(w)

    def update(self, weights, grads, rate):
        self.steps += 1
        grads = clip_gradients(grads, **self.clip)
        for i, (w, g, state) in enumerate(zip(weights, grads, self.state, strict=True)):
            if i not in self.not_decayed:
                w -= w * self.weight_decay * rate
            w += self.change(g, rate, *state, *([w] if isinstance(self, Ftrl) else []))

    def change(self, g, rate, velocity, _):
        velocity[...] = self.momentum * velocity - rate * g
        return self.momentum * velocity - rate * g if self.nesterov else velocity


class Adam(SGD):
    """m ← m + (1−β₁)(g − m), v ← v + (1−β₂)(g² − v), w ← w − η √(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε), t = 1, 2, …

    Kingma & Ba 2015 as at the end of their section 2, which is Keras': ε meets the uncorrected √v.
    """

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **clip):
        super().__init__(learning_rate, **clip)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def change(self, g, rate, m, v):
        m += (g - m) * (1.0 - self.beta_1)
        v += (g**2 - v) * (1.0 - self.beta_2)
        alpha = rate * np.sqrt(1.0 - self.beta_2**self.steps) / (1.0 - self.beta_1**self.steps)
        return -alpha * m / (np.sqrt(v) + self.epsilon)


class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov & Hutter 2019)."""

    def __init__(self, learning_rate=0.001, weight_decay=0.004, **options):
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


class AMSGrad(Adam):
    """Adam with the largest v so far (Reddi, Kale & Kumar 2018)."""

    states = 3

    def change(self, g, rate, m, v, largest):
        m += (g - m) * (1.0 - self.beta_1)
        v += (g**2 - v) * (1.0 - self.beta_2)
        largest[...] = np.maximum(largest, v)
        alpha = rate * np.sqrt(1.0 - self.beta_2**self.steps) / (1.0 - self.beta_1**self.steps)
        return -alpha * m / (np.sqrt(largest) + self.epsilon)


class Adamax(Adam):
    """u ← max(β₂ u, |g|), w ← w − η / (1 − β₁ᵗ) m / (u + ε)."""

    def change(self, g, rate, m, u):
        m += (g - m) * (1.0 - self.beta_1)
        u[...] = np.maximum(self.beta_2 * u, np.abs(g))
        return -rate * m / ((1.0 - self.beta_1**self.steps) * (u + self.epsilon))


class Nadam(Adam):
    """Dozat 2016 with Keras' momentum schedule μₜ = β₁ (1 − 0.96ᵗ / 2)."""

    def change(self, g, rate, m, v):
        t = self.steps
        mu = [self.beta_1 * (1.0 - 0.5 * 0.96**i) for i in range(1, t + 2)]
        now, ahead = np.prod(mu[:-1]), np.prod(mu)
        m += (g - m) * (1.0 - self.beta_1)
        v += (g**2 - v) * (1.0 - self.beta_2)
        mean = mu[-1] * m / (1.0 - ahead) + (1.0 - mu[-2]) * g / (1.0 - now)
        return -rate * mean / (np.sqrt(v / (1.0 - self.beta_2**t)) + self.epsilon)


class RMSprop(SGD):
    """v ← ρ v + (1−ρ) g², step = η g / √(v [− a²] + ε), a ← ρ a + (1−ρ) g; m ← μ m + step, w ← w − m."""

    states = 3

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **clip):
        super().__init__(learning_rate, momentum, **clip)
        self.rho, self.epsilon, self.centered = rho, epsilon, centered

    def change(self, g, rate, v, a, m):
        v[...] = self.rho * v + (1 - self.rho) * g**2
        a[...] = self.rho * a + (1 - self.rho) * g
        spread = v - a**2 if self.centered else v
        m[...] = self.momentum * m + rate * g / np.sqrt(spread + self.epsilon)
        return -m


class Adagrad(SGD):
    """a ← a + g², w ← w − η g / √(a + ε)."""

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **clip):
        super().__init__(learning_rate, **clip)
        self.initial, self.epsilon = initial_accumulator_value, epsilon

    def change(self, g, rate, a, _):
        a += g**2 + self.initial * (self.steps == 1)
        return -rate * g / np.sqrt(a + self.epsilon)


class Adadelta(SGD):
    """Zeiler 2012, algorithm 1, times η."""

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, **clip):
        super().__init__(learning_rate, **clip)
        self.rho, self.epsilon = rho, epsilon

    def change(self, g, rate, a, b):
        a[...] = self.rho * a + (1 - self.rho) * g**2
        d = -np.sqrt(b + self.epsilon) / np.sqrt(a + self.epsilon) * g
        b[...] = self.rho * b + (1 - self.rho) * d**2
        return rate * d


class Lion(SGD):
    """w ← w − η sign(β₁ m + (1−β₁) g), m ← β₂ m + (1−β₂) g."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, **clip):
        super().__init__(learning_rate, **clip)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def change(self, g, rate, m, _):
        step = -rate * np.sign(self.beta_1 * m + (1 - self.beta_1) * g)
        m[...] = self.beta_2 * m + (1 - self.beta_2) * g
        return step


class Rprop(SGD):
    """iRprop− (Igel & Hüsken 2000), the first step η."""

    def __init__(self, learning_rate=0.01, eta_minus=0.5, eta_plus=1.2, min_step=1e-6, max_step=50.0, **clip):
        super().__init__(learning_rate, **clip)
        self.etas, self.limits = (eta_minus, eta_plus), (min_step, max_step)

    def change(self, g, rate, before, step):
        if self.steps == 1:
            step[...] = rate
        turn = np.sign(g * before)
        factor = np.where(turn > 0, self.etas[1], np.where(turn < 0, self.etas[0], 1.0))
        step[...] = np.clip(step * factor, *self.limits)
        before[...] = np.where(turn < 0, 0.0, g)
        return -np.sign(before) * step


class Ftrl(SGD):
    """McMahan et al. 2013, algorithm 1, as in Keras."""

    def __init__(self, learning_rate=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1,
                 l1_regularization_strength=0.0, l2_regularization_strength=0.0,
                 l2_shrinkage_regularization_strength=0.0, beta=0.0, **clip):  # fmt: skip
        super().__init__(learning_rate, **clip)
        self.power, self.initial, self.beta = -learning_rate_power, initial_accumulator_value, beta
        self.l1, self.l2 = l1_regularization_strength, l2_regularization_strength
        self.shrinkage = l2_shrinkage_regularization_strength

    def change(self, g, rate, a, z, w):
        if self.steps == 1:
            a += self.initial
        more = a + g**2
        z += g + 2 * self.shrinkage * w - (more**self.power - a**self.power) / rate * w
        a[...] = more
        quadratic = more**self.power / rate + 2 * (self.l2 + self.beta / (2 * rate))
        return (np.clip(z, -self.l1, self.l1) - z) / quadratic - w


# --- initializers ---------------------------------------------------------------------------------

# Standard deviation of a standard normal cut at ±2: √(1 − 4 φ(2) / (2 Φ(2) − 1)).
TRUNCATED_STDDEV = 0.87962566103423978


def variance_scaling_sigma(fan_in, fan_out, scale=1.0, mode="fan_in"):
    """σ = √(scale / n), n = fan_in, fan_out or their mean: the standard deviation the weights really have.

    A uniform law reaches ±√3 σ; a normal cut at two deviations is drawn with σ / TRUNCATED_STDDEV.
    """
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
    return np.sqrt(scale / max(1.0, fans[mode]))


# --- a network ------------------------------------------------------------------------------------


class Net:
    """A stack of layers with its weights in Keras' `get_weights` order, trained on given batches.

    layers: (kind, options) pairs
        ("dense", {"activation": "relu" or ("elu", {"alpha": 1.0}), "use_bias": True, "l2": 0.0})   kernel, bias
        ("batch_norm", {"momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True})  gamma, beta, mean, var
        ("activation", {"name": "selu", ...parameters}), ("dropout", {"rate": 0.5, "id": 0}), ("flatten", {})
    each may say "trainable": False: its weights stay, and a batch_norm then uses its moving averages; and
    "penalties", "constraints": lists as long as its weights of None or functions, w -> (value, gradient) and w -> w.
    weight_decay: λ / 2 ΣW² over the dense kernels that are trained.
    weights: arrays (copied to float64); loss: a name of LOSSES, or (name, options); optimizer: SGD(...), Adam(...).
    A last softmax under a cross-entropy of probabilities trains through the logits: no clip at ε acts.
    """

    def __init__(self, layers, weights, loss="mean_squared_error", optimizer=None, seed=0, weight_decay=0.0):
        self.weight_decay = weight_decay
        name, options = (loss, {}) if isinstance(loss, str) else loss
        self.weights = [np.array(w, np.float64) for w in weights]
        self.optimizer, self.seed, self.steps = optimizer, seed, 0
        self.layers, at, dropouts = [], 0, 0  # (kind, options, slice of the weights)
        for kind, spec in layers:
            count = 0
            if kind == "dense":
                count = 1 + spec.get("use_bias", True)
            elif kind == "batch_norm":
                count = 2 + spec.get("scale", True) + spec.get("center", True)
            elif kind == "dropout":
                spec = {"id": dropouts, **spec}
                dropouts += 1
            part = {k: v for k, v in spec.items() if k != "activation"}
            self.layers.append((kind, part, slice(at, at + count)))
            at += count
            if spec.get("activation"):  # an activation inside dense is a layer of its own here
                act = spec["activation"]
                act = {"name": act} if isinstance(act, str) else {"name": act[0], **act[1]}
                self.layers.append(("activation", act, slice(at, at)))
        if at != len(self.weights):
            raise ValueError(f"the layers have {at} weights, {len(self.weights)} were given")
        crossentropy = name in ("categorical_crossentropy", "sparse_categorical_crossentropy")
        self.fused = crossentropy and not options.get("from_logits") and self._last() == "softmax"
        self.loss, self.loss_options = LOSSES[name], dict(options)
        if self.fused:
            self.loss_options["from_logits"] = True

    def _last(self):
        kind, spec, _ = self.layers[-1]
        return spec["name"] if kind == "activation" else kind

    def _parameters(self, spec, own):
        gamma = own.pop(0) if spec.get("scale", True) else 1.0
        return gamma, own.pop(0) if spec.get("center", True) else 0.0, *own

    def forward(self, x, training=False):
        """Predictions; keeps the input of each layer for `backward`.  Training updates the moving averages."""
        x = np.asarray(x, np.float64)
        self.inputs, self.masks, self.training = [], {}, training
        for i, (kind, spec, at) in enumerate(self.layers):
            self.inputs.append(x)
            own = self.weights[at]
            if kind == "dense":
                x = dense(x, *own)
            elif kind == "activation":
                x = activation(x=x, **spec)
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            elif kind == "dropout" and training:
                at_step = self.seed, self.steps, spec["id"]
                self.masks[i] = dropout_mask(*x.shape, spec["rate"], *at_step)
                x = dropout(x, self.masks[i])
            elif kind == "batch_norm":
                gamma, beta, mean, variance = self._parameters(spec, list(own))
                if training and spec.get("trainable", True):
                    now = batch_norm_stats(x)
                    for average, value in zip((mean, variance), now, strict=True):
                        average[...] = moving_average(average, value, spec.get("momentum", 0.99))
                    mean, variance = now
                x = batch_norm(x, gamma, beta, mean, variance, spec.get("epsilon", 1e-3))
        return x

    def backward(self, dy, skip_last=False):
        """From dL/dy of the last forward to dL/dx; leaves dL/dw in `self.grads` (None: not trainable)."""
        self.grads = [None] * len(self.weights)
        for i in reversed(range(len(self.layers) - skip_last)):
            (kind, spec, at), x = self.layers[i], self.inputs[i]
            own, trainable = self.weights[at], spec.get("trainable", True)
            if kind == "dense":
                dy, dw, db = dense_backward(x, own[0], dy)
                if trainable:
                    self.grads[at] = [dw, db][: len(own)]
            elif kind == "activation":
                dy = activation_backward(x=x, dy=dy, **spec)
            elif kind == "flatten":
                dy = dy.reshape(x.shape)
            elif kind == "dropout" and self.training:
                dy = dy * self.masks[i]
            elif kind == "batch_norm":
                gamma, _, _, variance = self._parameters(spec, list(own))
                epsilon = spec.get("epsilon", 1e-3)
                if self.training and trainable:
                    dy, dgamma, dbeta = batch_norm_backward(x, gamma, dy, epsilon)
                    wanted = [dgamma] * spec.get("scale", True) + [dbeta] * spec.get("center", True)
                    self.grads[at] = [*wanted, None, None]
                else:
                    dy = dy * gamma / np.sqrt(variance + epsilon)
        return dy

    def penalty(self):
        """Σ λ ΣW² over the kernels (Keras' L2(λ): gradient 2 λ W)."""
        return sum(value for _, value, _ in self.penalties())

    def penalties(self):
        """(position, value, gradient) of each penalty on a weight that is trained."""
        for kind, spec, at in self.layers:
            if not spec.get("trainable", True):
                continue
            rules = list(spec.get("penalties", ()))
            for i, rule in enumerate(rules):
                if rule is not None:
                    yield (at.start + i, *rule(self.weights[at.start + i]))
            if kind == "dense":
                w = self.weights[at.start]
                yield (at.start, *l1_l2(w, l2=spec.get("l2", 0.0) + self.weight_decay / 2.0))

    def constraints(self):
        """The constraint of each weight, or None."""
        found = [None] * len(self.weights)
        for _, spec, at in self.layers:
            for i, rule in enumerate(spec.get("constraints", ())):
                found[at.start + i] = rule
        return found

    def loss_and_grads(self, x, y, sample_weight=None, training=True):
        """Loss = Σ w loss / B + penalty, and the list of gradients aligned with `weights`."""
        pred = self.forward(x, training)
        scores = self.inputs[-1] if self.fused else pred
        y = np.asarray(y)
        if self.loss is not sparse_categorical_crossentropy:
            y = y.reshape(scores.shape)
        value, slope = self.loss(y, scores, **self.loss_options)
        w = np.ones(len(value)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        w = w / len(value)
        self.backward(w[:, None] * slope, skip_last=self.fused)
        for i, _, gradient in self.penalties():
            self.grads[i] = self.grads[i] + gradient
        return np.sum(w * value) + self.penalty(), self.grads

    def train(self, batches):
        """One optimizer step per (x, y) or (x, y, sample_weight); returns the loss before each step."""
        losses = []
        for batch in batches:
            loss, grads = self.loss_and_grads(*batch)
            rules = self.constraints()
            live = [r for r in zip(self.weights, grads, rules, strict=True) if r[1] is not None]
            self.optimizer.apply(*zip(*live, strict=True))
            self.steps += 1
            losses.append(loss)
        return losses


def central_difference(f, x, step=1e-6):
    """(f(x + h e) − f(x − h e)) / 2h for every element of x, which f reads in place; f returns a number."""
    grad, flat = np.zeros(x.size), x.reshape(-1)
    for i in range(x.size):
        old = flat[i]
        flat[i] = old + step
        plus = f()
        flat[i] = old - step
        grad[i] = (plus - f()) / (2.0 * step)
        flat[i] = old
    return grad.reshape(x.shape)
