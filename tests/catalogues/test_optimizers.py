"""Optimizers of the whole vocabulary, through `compile` and `fit`."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of
from vocabulary_tools import BATCH, STEPS, batches, network, numbers, spec

from fastnn import optimizers

# each by its defaults, which `reference` has under the same name, and further configurations
OPTIMIZERS = {name: (getattr(optimizers, name), getattr(reference, name), {}) for name in optimizers.names()} | {
    "amsgrad": (optimizers.Adam, reference.AMSGrad, {"amsgrad": True}),
    "rmsprop_momentum": (optimizers.RMSprop, reference.RMSprop, {"momentum": 0.9}),
    "rmsprop_centered": (optimizers.RMSprop, reference.RMSprop, {"centered": True, "epsilon": 1e-3}),
    "rmsprop_all": (
        optimizers.RMSprop, reference.RMSprop, {"centered": True, "momentum": 0.5, "epsilon": 1e-3},
    ),
    "ftrl_l1": (optimizers.Ftrl, reference.Ftrl, {"l1_regularization_strength": 0.01}),
}  # fmt: skip


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, schedule):
    ours, theirs, options = OPTIMIZERS[name]
    ours_options = dict(options)
    theirs_options = {k: v for k, v in options.items() if k != "amsgrad"}
    model = network()
    model.compile(ours(0.01, **ours_options), "sparse_categorical_crossentropy", seed=1)
    net = reference.Net(
        spec(), model.get_weights(), "sparse_categorical_crossentropy", theirs(0.01, **theirs_options)
    )
    x, y = numbers()
    engine_of(model, schedule=schedule).fit_block(
        x, y, None, None, 0, len(x), BATCH, np.full(STEPS, 0.01)
    )
    net.train(batches(x, y))
    for a, b in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_optimizers_have_keras_defaults():
    """Signatures of Keras 3.15; a change there is a decision here."""
    wanted = {
        "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
        "Adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        "AdamW": {"learning_rate": 0.001, "weight_decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Adamax": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "RMSprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
        "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
        "Adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
        "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
        "Ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "beta": 0.0},
    }  # fmt: skip
    for name, values in wanted.items():
        config = optimizers.get(name.lower()).get_config()
        assert {k: config[k] for k in values} == values
    assert optimizers.RMSprop(lr=0.5).learning_rate == 0.5


def test_optimizers_come_back_from_their_config():
    made = optimizers.RMSprop(0.1, momentum=0.5, centered=True)
    again = optimizers.get(made.describe())
    assert again.for_core() == made.for_core()
    assert made.row == "rmsprop_centered_momentum"
