"""Models for tests of derivatives: every kind of layer, built with weights that are no zeros and ones."""

import numpy as np
from test_derivatives import BY_MIDDLE, LABELS, WEIGHTS, X, Y, model, python_loss, warm

import fastnn
from fastnn import layers

__all__ = ["BY_MIDDLE", "LABELS", "MODELS", "WEIGHTS", "X", "Y", "made_of", "model", "python_loss", "warm"]


def shared():
    """Two inputs, two outputs, a layer that is used twice, dropout beside another reader of its input."""
    a, b = layers.Input((6,), name="a"), layers.Input((4,), name="b")
    twice = layers.Dense(4, "tanh")
    left = twice(layers.Dense(4, "sigmoid")(a))
    right = twice(b)
    mixed = layers.Multiply()([layers.Dropout(0.5)(left), right]) + left
    one = layers.Dense(3, name="one")(layers.Concatenate()([mixed, left]))
    two = layers.Dense(2, "tanh", name="two")(layers.Maximum()([left, right]))
    made = fastnn.Model([a, b], [one, two], dtype="float64")
    made.compile("sgd", "mse", loss_weights=[1.0, 0.3])
    rng = np.random.default_rng(3)
    return made, [X, rng.normal(size=(37, 4))], [Y, rng.normal(size=(37, 2))]


def last_axis():
    made = fastnn.Sequential([
        layers.Dense(4, "tanh", input_shape=(3, 2)), layers.LayerNormalization(), layers.PReLU(shared_axes=[1]),
        layers.Dense(3), layers.Flatten(), layers.Dense(2),
    ], dtype="float64")  # fmt: skip
    made.compile("sgd", "mse")
    rng = np.random.default_rng(4)
    return made, rng.normal(size=(37, 3, 2)), rng.normal(size=(37, 2))


def activities():
    first = layers.Dense(5, "tanh", activity_regularizer=fastnn.regularizers.L1L2(0.01, 0.1), input_shape=(6,))
    made = model([layers.Dense(4, "tanh")], first=first)
    return made, X, Y


def made_of(name):
    """(model, x, y) in float64."""
    fastnn.set_random_seed(5)
    if name in BY_MIDDLE:
        made, x, y = model(BY_MIDDLE[name]()), X, Y
    else:
        made, x, y = MODELS[name]()
    return warm(made), x, y


MODELS = dict.fromkeys(BY_MIDDLE) | {"shared": shared, "last axis": last_axis, "activities": activities}
