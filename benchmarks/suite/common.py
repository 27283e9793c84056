"""What the benchmarks share: sizes, models, data.

(a) The nets are the rows of `peers.py` (`rows.py`): small reinforcement-learning nets, a tiny net with a large
    batch, Fashion-MNIST with and without batch normalisation, a hundred layers, a wide net.
(b) FASTNN_BENCH_QUICK=1 cuts the parameters to a few, for a run that only shows that all of it works.
(c) Times are of one thread unless a parameter says otherwise; None is the library's own choice.
"""

import os

import numpy as np

import fastnn

from .rows import ROWS

QUICK = os.environ.get("FASTNN_BENCH_QUICK", "0") not in ("", "0")
THREADS = [1] if QUICK else [1, None]
DTYPES = ["float32"] if QUICK else ["float32", "float64"]

STEPS = {name: max(1, row.steps // 4) for name, row in ROWS.items()}  # in one timed call
INITIALIZERS = {
    "tanh": "glorot_uniform",
    "relu": "he_normal",
    "elu": "he_normal",
    "selu": "lecun_normal",
}
QUICK_NETS = ["rl", "fmnist-bn"]


def nets(*names):
    """Those names, or the few of a quick run."""
    names = names or tuple(ROWS)
    return [n for n in names if n in QUICK_NETS][:1] or [names[0]] if QUICK else list(names)


def build(name, dtype="float32"):
    """A compiled model of ROWS."""
    sizes, activation, _, loss, _, batch_norm = ROWS[name]
    layers = fastnn.layers
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([fastnn.Input(shape=(sizes[0],), dtype=dtype)])
    if batch_norm:
        model.add(layers.BatchNormalization(dtype=dtype))
    for units in sizes[1:-1]:
        model.add(
            layers.Dense(
                units,
                activation=activation,
                kernel_initializer=INITIALIZERS[activation],
                dtype=dtype,
            )
        )
        if batch_norm:
            model.add(layers.BatchNormalization(dtype=dtype))
    if loss == "ce":
        model.add(layers.Dense(sizes[-1], activation="softmax", dtype=dtype))
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    else:
        model.add(layers.Dense(sizes[-1], dtype=dtype))
        model.compile(loss="mean_squared_error", optimizer="adam")
    return model


def data(name, n, dtype="float32"):
    """Random inputs and targets of `n` samples for a net."""
    sizes = ROWS[name].sizes
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, sizes[0]), np.float32).astype(dtype)
    if ROWS[name].loss == "ce":
        return x, rng.integers(0, sizes[-1], n).astype(np.int32)
    return x, rng.standard_normal((n, sizes[-1]), np.float32).astype(dtype)


def images(n):
    """Images and labels like Fashion-MNIST's: uint8, half of the pixels black."""
    rng = np.random.default_rng(0)
    x = rng.integers(-255, 256, (n, 28, 28)).clip(0).astype(np.uint8)
    return x, rng.integers(0, 10, n).astype(np.uint8)


class Threads:
    """Base: the last parameter of every benchmark here is the number of threads."""

    timeout = 300

    def setup(self, *params):
        fastnn.set_num_threads(params[-1])
        self.prepare(*params[:-1])

    def prepare(self, *params):
        raise NotImplementedError

    def teardown(self, *params):
        fastnn.set_num_threads(None)
