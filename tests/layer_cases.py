"""One case a layer, or more: what tests of every layer loop over.

A new layer needs a case here. `layer_bodies.py` puts it into a network, where its gradients, its bits for any number of
threads and in any order of them, and float32 are tested.
"""

import numpy as np
import recurrent_reference
import reference

from fastnn.layers import (
    ELU,
    GRU,
    LSTM,
    Activation,
    ActivityRegularization,
    AlphaDropout,
    BatchNormalization,
    Bidirectional,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GroupNormalization,
    Identity,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Maxout,
    Normalization,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
    Residual,
    RMSNormalization,
    RReLU,
    SimpleRNN,
    Softmax,
    UnitNormalization,
)


def _halves(x, by):
    """The first half of the features, times a number."""
    return by * x[:, : x.shape[1] // 2]


def _halves_gradient(x, dy, by):
    return np.concatenate([by * dy, np.zeros_like(dy)], axis=1)


# (layer, shape of a sample, expected result in NumPy, of the input and the layer's weights)
CASES = [
    (Dense(3), (5,), lambda x, w: x @ w[0] + w[1]),
    (Dense(3, "relu", use_bias=False), (5,), lambda x, w: np.maximum(x @ w[0], 0)),
    (Dense(4, LeakyReLU(alpha=0.2)), (5,),
     lambda x, w: reference.activation("leaky_relu", x @ w[0] + w[1], negative_slope=0.2)),
    (Dense(3, "tanh"), (4, 5), lambda x, w: np.tanh(x @ w[0] + w[1])),
    (Dense(33, use_bias=False), (2, 3, 2), lambda x, w: x @ w[0]),
    (Dense(4, "Log_Softmax"), (5,), lambda x, w: reference.log_softmax(x @ w[0] + w[1])),
    (Activation("ReLU"), (7,), lambda x, w: np.maximum(x, 0)),
    (Activation("selu"), (3, 4), lambda x, w: reference.activation("selu", x)),
    (ReLU(), (7,), lambda x, w: np.maximum(x, 0)),
    (ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), (40,),
     lambda x, w: np.where(x >= 1, 1, np.where(x > 0.2, x, 0.1 * (x - 0.2)))),
    (LeakyReLU(), (7,), lambda x, w: np.where(x > 0, x, 0.3 * x)),
    (LeakyReLU(0.05), (7,), lambda x, w: np.where(x > 0, x, 0.05 * x)),
    (ELU(alpha=0.5), (7,), lambda x, w: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (Softmax(), (7,), lambda x, w: reference.softmax(x)),
    (Softmax(axis=2), (3, 4), lambda x, w: reference.softmax(x)),
    (Activation("log_softmax"), (3, 4), lambda x, w: reference.log_softmax(x)),
    (Flatten(), (2, 3, 4), lambda x, w: x.reshape(len(x), 24)),
    (Reshape((4, -1)), (2, 6), lambda x, w: x.reshape(len(x), 4, 3)),
    (Rescaling(1 / 255, offset=-0.5), (4, 2), lambda x, w: x / 255 - 0.5),
    (Dropout(0.5), (6,), lambda x, w: x),
    (GaussianNoise(0.5), (6,), lambda x, w: x),
    (GaussianDropout(0.5), (6,), lambda x, w: x),
    (AlphaDropout(0.5), (6,), lambda x, w: x),
    (RReLU(), (2, 3), lambda x, w: np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2)),
    (RReLU(-0.5, 0.25, seed=3), (17,), lambda x, w: np.where(x > 0, x, -0.125 * x)),
    (LayerNormalization(epsilon=0.1), (9,), lambda x, w: reference.layer_norm(x, *w, epsilon=0.1)),
    (LayerNormalization(), (3, 17), lambda x, w: reference.layer_norm(x, *w)),
    (LayerNormalization([1, 2], center=False), (3, 7), lambda x, w: reference.layer_norm(x, *w, 0, (1, 2))),
    (LayerNormalization(scale=False), (1,), lambda x, w: np.broadcast_to(w[0], x.shape)),
    (Identity(), (3, 2), lambda x, w: x),
    (RMSNormalization(epsilon=0.1), (9,), lambda x, w: w[0] * x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1)),
    (RMSNormalization([1, 2]), (3, 7),
     lambda x, w: w[0] * x / np.sqrt((x**2).mean((1, 2), keepdims=True) + 1e-6)),
    (UnitNormalization(), (3, 17), lambda x, w: x / np.linalg.norm(x, axis=-1, keepdims=True)),
    (UnitNormalization([2, 1]), (3, 5), lambda x, w: x / np.sqrt((x**2).sum((1, 2), keepdims=True))),
    (GroupNormalization(3, epsilon=0.1), (51,), lambda x, w: reference.group_norm(x, 3, *w, epsilon=0.1)),
    (GroupNormalization(2, scale=False), (6,), lambda x, w: reference.group_norm(x, 2, 1, *w)),
    (GroupNormalization(1, center=False), (5,), lambda x, w: reference.group_norm(x, 1, *w)),
    (GroupNormalization(-1), (5,), lambda x, w: np.broadcast_to(w[1], x.shape)),
    (Lambda(np.square, gradient=lambda x, dy: 2 * x * dy), (4, 3), lambda x, w: x**2),
    (Lambda(_halves, arguments={"by": 3.0}, gradient=_halves_gradient), (6,), lambda x, w: 3 * x[:, :3]),
    (PReLU(), (19,), lambda x, w: reference.prelu(x, *w)),
    (PReLU(shared_axes=1), (5, 7), lambda x, w: reference.prelu(x, *w)),
    (PReLU(shared_axes=[-1, 1]), (5, 7), lambda x, w: reference.prelu(x, *w)),
    (Maxout(5, 3), (4,), lambda x, w: reference.maxout(x @ w[0] + w[1], 3)),
    (Maxout(17, 1, use_bias=False), (4,), lambda x, w: x @ w[0]),
    (Normalization(), (2, 5), lambda x, w: (x - w[0]) / np.sqrt(w[1])),
    (Normalization(axis=(1, 2), invert=True), (2, 5), lambda x, w: x * np.sqrt(w[1]) + w[0]),
    (Normalization(axis=None, mean=2.0, variance=0.0), (4,), lambda x, w: (x - 2) / 1e-7),
    (ActivityRegularization(0.1, 0.2), (6,), lambda x, w: x),
    (Residual([Dense(7, "tanh"), Dense(5)]), (5,), lambda x, w: x + np.tanh(x @ w[0] + w[1]) @ w[2] + w[3]),
    (Residual([Dense(3)], shortcut=Dense(3, use_bias=False)), (5,), lambda x, w: x @ w[2] + x @ w[0] + w[1]),
    (BatchNormalization(epsilon=0.1), (4,),
     lambda x, w: (x - w[2]) / np.sqrt(w[3] + 0.1) * w[0] + w[1]),
    (SimpleRNN(5), (4, 3), lambda x, w: recurrent_reference.output("SimpleRNN", x, w)),
    (SimpleRNN(3, "silu", return_sequences=True, go_backwards=True), (5, 2),
     lambda x, w: recurrent_reference.output("SimpleRNN", x, w, True, True, f="silu")),
    (LSTM(5), (4, 3), lambda x, w: recurrent_reference.output("LSTM", x, w)),
    (LSTM(3, "softsign", "hard_sigmoid", return_sequences=True), (3, 2),
     lambda x, w: recurrent_reference.output("LSTM", x, w, True, f="softsign", g="hard_sigmoid")),
    (GRU(5), (4, 3), lambda x, w: recurrent_reference.output("GRU", x, w)),
    (GRU(3, "silu", reset_after=False, return_sequences=True), (3, 2),
     lambda x, w: recurrent_reference.output("GRUBefore", x, w, True, f="silu")),
    (Bidirectional(GRU(3, return_sequences=True)), (4, 2),
     lambda x, w: np.concatenate([recurrent_reference.output("GRU", x, w[:3], True),
                                  recurrent_reference.output("GRU", x, w[3:], True, True)[:, ::-1]], -1)),
    (Masking(0.25), (4, 3), lambda x, w: x),
]  # fmt: skip
