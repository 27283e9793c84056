"""A small model and its data, for tests of the executor."""

import os
import subprocess
import sys
import textwrap

import numpy as np

import fastnn
from fastnn import layers


def small_model(threads=None, dtype="float32", loss="sparse_categorical_crossentropy"):
    fastnn.set_random_seed(1)
    model = fastnn.Sequential(
        [fastnn.Input((20,)), layers.Dense(64, activation="relu"), layers.BatchNormalization(),
         layers.Dropout(0.2), layers.Dense(5, activation="softmax")], dtype=dtype)  # fmt: skip
    model.compile("adam", loss, metrics=["accuracy"], seed=2, threads=threads)
    return model


def small_data(n=640):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 20)).astype(np.float32), rng.integers(0, 5, n).astype(np.int32)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60,
        env=os.environ | environment,
    )  # fmt: skip
