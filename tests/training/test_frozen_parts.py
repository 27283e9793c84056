"""Frozen layers and variables: their weights stay, nothing is computed for them."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of
from training_tools import BATCH, CLASSES, INPUTS, assert_same, build, data, train_both

import fastnn
from fastnn import layers


def test_a_frozen_layer_keeps_its_weights_and_its_statistics():
    """The layers below a frozen one still get its gradient; a frozen batch normalisation runs in inference mode."""
    ours, theirs = build("bn")
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype="float64")
    for at in (2, 4):  # a batch normalisation and a dense layer
        model.layers[at].trainable = False
        theirs[at][1]["trainable"] = False
    model.compile(fastnn.Adam(0.01), "sparse_categorical_crossentropy", seed=1)
    before = model.get_weights()
    net = reference.Net(theirs, before, "sparse_categorical_crossentropy", reference.Adam(0.01))
    engine = engine_of(model)
    train_both(engine, net, n=10 * BATCH)
    assert_same(model, net, 1e-10)
    frozen = [w for at in (2, 4) for w in model.layers[at].get_weights()]
    assert len(frozen) == 5
    assert all(any(np.array_equal(w, b) for b in before) for w in frozen)


def test_a_frozen_prefix_costs_no_backward_pass():
    model = fastnn.Sequential(
        [fastnn.Input((INPUTS,)), layers.Dense(8, activation="relu", trainable=False),
         layers.Dense(8, activation="relu", trainable=False), layers.Dense(CLASSES, activation="softmax")])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    engine = engine_of(model)
    x, y = data()
    engine.fit_block(x.astype(np.float32), y, None, None, 0, BATCH, BATCH, np.full(1, 0.1))
    (program,) = engine._programs.values()
    names = [op[0] for op in program.plan.ops]
    assert names.count("dense_fwd") == 3
    assert names.count("dense_dw") == 1
    assert names.count("dense_dx") == 0


def frozen_alone(optimizer, role, batch, when):
    """A network of which one variable is frozen; its weights after two epochs, and whether that one stayed."""
    fastnn.set_random_seed(3)
    stack = [layers.Dense(20, "tanh", input_shape=(INPUTS,)), layers.BatchNormalization(), layers.Dense(CLASSES)]
    model = fastnn.Sequential(stack, dtype="float64")
    at, name = role
    variable = getattr(model.layers[at], name)
    x, y = np.random.default_rng(0).normal(size=(600, INPUTS)), np.random.default_rng(1).normal(size=(600, CLASSES))
    if when == "before compile":
        variable.trainable = False
    model.compile(optimizer(), "mse", seed=1)
    if when == "after a step":
        model.train_on_batch(x[:5], y[:5])
        variable.trainable = False
    before = variable.numpy()
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    model.train_on_batch(x[:5], y[:5])
    return model.get_weights(), np.array_equal(before, variable.numpy())


@pytest.mark.parametrize("when", ["before compile", "after a step"])
@pytest.mark.parametrize("batch", [32, 600])
@pytest.mark.parametrize("role", [(0, "kernel"), (0, "bias"), (1, "gamma"), (1, "beta"), (2, "kernel"), (2, "bias")])
def test_a_variable_that_is_frozen_alone_stays_as_it_is(role, batch, when):
    """As with an optimizer that clips norms, too far away to matter: nothing is fused there."""
    found, stayed = frozen_alone(lambda: fastnn.Adam(0.01), role, batch, when)
    expected, _ = frozen_alone(lambda: fastnn.Adam(0.01, clipnorm=1e9), role, batch, when)
    assert stayed
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
