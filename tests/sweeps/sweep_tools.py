"""Data, and networks with and without a sweep."""

import numpy as np

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
XV = RNG.normal(size=(60, 5))


def build(
    units=8, depth=1, activation="relu", optimizer="adam", rate=1e-3, dropout=0.0, norm=False, dtype=None, ema=False
):
    model = fastnn.Sequential(dtype=dtype)
    for _ in range(depth):
        model.add(layers.Dense(units, activation))  # no input shape: weights are drawn when the data come
        if norm:
            model.add(layers.BatchNormalization())
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Dense(2, "softmax"))
    chosen = fastnn.optimizers.get(optimizer)
    chosen.learning_rate, chosen.use_ema = rate, ema
    model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Stop(fastnn.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch >= self.epoch
