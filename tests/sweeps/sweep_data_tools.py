"""Data, and a network, for sweeps over parts of the rows."""

import numpy as np

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
WEIGHTS = RNG.uniform(0.1, 2, 150)
BAGS = [RNG.integers(0, 150, 150) for _ in range(3)]
MASK = RNG.random(150) < 0.5
FOLDS = [(np.setdiff1d(np.arange(150), part), part) for part in np.array_split(RNG.permutation(150), 4)]


def build(units=6, dtype=None, extra=False):
    model = fastnn.Sequential([layers.Dense(units, "tanh"), layers.Dropout(0.2)], dtype=dtype)
    if extra:
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(2, "softmax"))
    model.compile(fastnn.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]
