"""Data and a network, for losses, metrics and optimizers."""

import numpy as np

import fastnn
from fastnn import layers

INPUTS, CLASSES, BATCH, STEPS = 7, 4, 24, 20


def numbers(seed=0, n=STEPS * BATCH):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, INPUTS)), rng.integers(0, CLASSES, n).astype(np.int32)


def network(last="softmax", units=CLASSES, dtype="float64"):
    return fastnn.Sequential(
        [layers.Dense(9, activation="tanh", input_shape=(INPUTS,)), layers.Dense(units, activation=last)], dtype=dtype
    )


def spec(last="softmax"):
    return [("dense", {"activation": "tanh"}), ("dense", {"activation": last})]


def batches(x, y):
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
