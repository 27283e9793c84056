"""One layer forward and backward, through a model that has only this layer."""

import numpy as np

import fastnn

from . import common

LAYERS = {
    "dense-300": lambda: fastnn.layers.Dense(300),
    "dense-300-relu": lambda: fastnn.layers.Dense(300, activation="relu"),
    "dense-300-softmax": lambda: fastnn.layers.Dense(300, activation="softmax"),
    "batch-norm": lambda: fastnn.layers.BatchNormalization(),
    "dropout": lambda: fastnn.layers.Dropout(0.5),
    "activation-elu": lambda: fastnn.layers.Activation("elu"),
    "activation-tanh": lambda: fastnn.layers.Activation("tanh"),
}


class Layer(common.Threads):
    params = [
        ["dense-300-relu", "batch-norm"] if common.QUICK else list(LAYERS),
        [(32, 784)] if common.QUICK else [(32, 784), (128, 784), (512, 100)],
        common.THREADS,
    ]
    param_names = ["layer", "batch_features", "threads"]

    def prepare(self, layer, batch_features):
        batch, features = batch_features
        fastnn.set_random_seed(0)
        self.model = fastnn.Sequential([fastnn.Input(shape=(features,)), LAYERS[layer]()])
        self.model.compile(loss="mean_squared_error", optimizer="sgd")
        self.x = np.random.default_rng(0).standard_normal((batch, features), np.float32)
        self.dy = np.ones_like(self.model.forward(self.x, training=True))

    def time_forward(self, layer, batch_features, threads):
        self.model.forward(self.x, training=False)

    def time_forward_and_backward(self, layer, batch_features, threads):
        self.model.forward(self.x, training=True)
        self.model.backward(self.dy)
