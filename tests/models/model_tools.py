"""Data and a small model."""

import numpy as np

import fastnn
from fastnn.layers import BatchNormalization, Dense
from fastnn.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6))
LABELS = RNG.integers(0, 4, 48)


def small(dtype="float64", **options):
    fastnn.set_random_seed(1)
    model = Sequential(
        [Dense(8, "elu", input_shape=(6,)), BatchNormalization(), Dense(4, "softmax")], dtype=dtype
    )
    options = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", **options}
    model.compile(**options)
    return model
