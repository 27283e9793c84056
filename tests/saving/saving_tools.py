"""What the tests of saved models share: data, models, comparison."""

import numpy as np

import fastnn
from fastnn import optimizers
from fastnn.layers import BatchNormalization, Dense, Dropout
from fastnn.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 7))
LABELS = np.arange(50) % 3


def same(a, b):
    """Whether two models have the same weights, to the bit."""
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(v.dtype == w.dtype and v.tobytes() == w.tobytes() for v, w in pairs)


def classifier(optimizer="adam", dtype=None, seed=5, **options):
    fastnn.set_random_seed(3)
    model = Sequential([
        Dense(8, "elu", input_shape=(7,), kernel_regularizer="l2", kernel_constraint="max_norm"), BatchNormalization(),
        Dropout(0.3), Dense(3, "softmax", kernel_regularizer="orthogonal_regularizer")], dtype=dtype)  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], seed=seed, **options)
    return model


def tiny(value=None):
    """A small compiled model; all weights `value`, if given."""
    fastnn.set_random_seed(1)
    model = Sequential([Dense(2, input_shape=(3,), name="only")], name="tiny")
    model.compile(fastnn.SGD(0.1, momentum=0.5), "mse", seed=1)
    model.fit(X[:8, :3], X[:8, :2], verbose=0)
    if value is not None:
        model.set_weights([np.full_like(w, value) for w in model.get_weights()])
    return model

SCHEDULE = optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
