"""Small trainings in which something becomes non-finite at a known step."""

import hashlib

import numpy as np

import fastnn
from fastnn import layers

N, FEATURES, BATCH = 96, 5, 16
rng = np.random.default_rng(7)
X = rng.normal(size=(N, FEATURES))
Y = rng.normal(size=(N, 2))
ROW = 43  # of the sample that a plant waits for: with seed 3 in batches 4, 5, 3, 0, 2, ... of the epochs
MARK = 77.0  # what its first feature is then


class Planted(layers.Layer):
    """The identity, until a batch has a row whose first feature is MARK: then a row is replaced by `value`."""

    def __init__(self, forward=None, backward=None, **kwargs):
        super().__init__(**kwargs)
        self.of_forward, self.of_backward = forward, backward

    def call(self, x, training=False):
        self.rows = np.abs(x[:, 0]) > MARK / 2  # a layer before it may have changed it a little
        y = x.copy()
        if training and self.of_forward is not None:
            y[self.rows] = self.of_forward
        return y

    def backward(self, dy):
        dx = dy.copy()
        if self.of_backward is not None:
            dx[self.rows] = self.of_backward
        return dx


class OwnWeights(layers.Layer):
    """x * w, with a gradient of w that is `value` in the batch with the mark."""

    def __init__(self, value, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def build(self, input_shape):
        self.w = self.add_weight(input_shape[1:], "ones", name="w")

    def call(self, x, training=False):
        self.x = x
        return x * self.w.numpy()

    def backward(self, dy):
        dw = (dy * self.x).sum(axis=0)
        if (np.abs(self.x[:, 0]) > MARK / 2).any():
            dw[1] = self.value
        self.grads = [dw]
        return dy * self.w.numpy()


def marked():
    x = X.copy()
    x[ROW, 0] = MARK
    return x


def model(*inner, optimizer=None, loss="mse", dtype="float32", seed=3, out=2):
    fastnn.set_random_seed(seed)
    network = fastnn.Sequential(
        [fastnn.Input((FEATURES,)), *inner, layers.Dense(6, "tanh", name="a"), layers.Dense(out, name="b")], dtype=dtype
    )
    network.compile(optimizer or fastnn.SGD(0.01), loss, seed=seed)
    return network


def sha(network):
    """SHA-256 of the weights and the optimizer's state."""
    found = hashlib.sha256()
    engine = network.engine()
    for variable in engine.graph.variables():
        found.update(variable.numpy().tobytes())
        for name in engine.store.lasting:
            found.update(engine.store.get(name, variable).tobytes())
    return found.hexdigest(), engine.step


def place_of(row, epoch, network, n=N, batch=BATCH, start=0):
    """(batch of the epoch, in the order of a seeded model) in which a row is."""
    from fastnn._base.random import permutation

    return int(np.flatnonzero(permutation(network.seed, start + epoch, n) == row)[0]) // batch
