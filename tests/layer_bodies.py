"""Every layer that computes something, in a small model: for the tests of gradients, and of the check of gradients."""

from math import prod

import numpy as np
from layer_cases import CASES

import fastnn
from fastnn import layers


def of_case(layer, shape):
    return [layers.Reshape(shape), layers.from_description(layer.describe()), layers.Flatten()]


def is_smooth(layer):
    """Whether its gradient is that of its result, of a size that float32 has digits for."""
    config = layer.get_config()
    return not isinstance(layer, layers.ActivityRegularization) and config.get("variance") != 0.0


OF_CASES = {
    f"{i:02} {type(layer).__name__}": (layer, shape) for i, (layer, shape, _) in enumerate(CASES) if is_smooth(layer)
}
WIDTHS = {name: prod(shape) for name, (_, shape) in OF_CASES.items()}  # of what they read, if not 18

# name -> layers under test, which stand between two dense layers: every case, and further configurations
BODIES = {name: lambda case=case: of_case(*case) for name, case in OF_CASES.items()} | {
    "softmax": lambda: [layers.Softmax()],
    "softmax_groups": lambda: [layers.Reshape((2, -1)), layers.Softmax(), layers.Flatten()],
    "log_softmax_groups": lambda: [layers.Reshape((2, -1)), layers.Activation("log_softmax"), layers.Flatten()],
    "relu": lambda: [layers.ReLU(0.9, 0.2, 0.1)],
    "elu": lambda: [layers.ELU(0.7)],
    "leaky_relu": lambda: [layers.LeakyReLU(0.05)],
    "batch_norm": lambda: [layers.BatchNormalization(momentum=0.5)],
    "batch_norm_plain": lambda: [layers.BatchNormalization(center=False, scale=False)],
    "dropout": lambda: [layers.Dropout(0.3)],
    "gaussian_noise": lambda: [layers.GaussianNoise(0.3)],
    "gaussian_dropout": lambda: [layers.GaussianDropout(0.3)],
    "alpha_dropout": lambda: [layers.AlphaDropout(0.3, seed=5)],
    "rrelu": lambda: [layers.RReLU(0.1, 0.6)],
    "layer_norm": lambda: [layers.LayerNormalization()],
    "layer_norm_plain": lambda: [layers.LayerNormalization(center=False, scale=False)],
    "layer_norm_groups": lambda: [layers.Reshape((2, -1)), layers.LayerNormalization(), layers.Flatten()],
    "prelu": lambda: [layers.PReLU("ones")],
    "prelu_one": lambda: [layers.PReLU("ones", shared_axes=[1])],
    "prelu_groups": lambda: [layers.Reshape((2, -1)), layers.PReLU("ones", shared_axes=[1]), layers.Flatten()],
    "prelu_frozen": lambda: [layers.PReLU("ones", trainable=False)],
    "maxout": lambda: [layers.Maxout(9, 3)],
    "normalization": lambda: [layers.Normalization(mean=0.3, variance=4.0)],
    "normalization_back": lambda: [layers.Normalization(mean=0.3, variance=4.0, invert=True)],
    "residual": lambda: [layers.Residual([layers.Dense(7, "tanh"), layers.PReLU("ones"), layers.Dense(18)])],
    "residual_shortcut": lambda: [layers.Residual([layers.Dense(7, "tanh")], layers.Dense(7, use_bias=False))],
    "rescaling": lambda: [layers.Rescaling(0.5, 0.1)],
}  # fmt: skip

# The same where another layer reads what the first one of them reads: gradients of both have to arrive.
READ_TWICE = {
    f"{name}, read twice": lambda body=body, width=WIDTHS.get(name, 18): [
        layers.Residual([*body(), layers.Dense(2), layers.Dense(width)])
    ]
    for name, body in BODIES.items()
}


def model_of(name, dtype="float64", width=None, activation="tanh"):
    fastnn.set_random_seed(4)
    width = width or WIDTHS.get(name.removesuffix(", read twice"), 18)
    body = (BODIES | READ_TWICE)[name]()
    stack = [fastnn.Input((5,)), layers.Dense(width, activation), *body, layers.Dense(3)]
    model = fastnn.Sequential(stack, dtype=dtype)
    rng = np.random.default_rng(8)
    model.set_weights([w + rng.uniform(0, 0.4, w.shape) for w in model.get_weights()])
    model.compile(fastnn.Adam(0.01), "mse", seed=6)
    return model
