"""A model, its data and a callback that records, for tests of callbacks."""

import numpy as np

import fastnn

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ np.ones((3, 1))


def model(optimizer="sgd", **options):
    fastnn.set_random_seed(0)
    m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    m.compile(optimizer, "mse", **options)
    return m
