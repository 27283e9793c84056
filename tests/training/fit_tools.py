"""Data and a linear model, for tests of `fit`."""

import numpy as np

from fastnn.layers import Dense
from fastnn.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = RNG.normal(size=(50, 1))


def linear(loss="mse", **options):
    model = Sequential([Dense(1, input_shape=(4,))], dtype="float64")
    model.set_weights([np.ones((4, 1)), [0.5]])
    model.compile(options.pop("optimizer", "sgd"), loss, **options)
    return model
