"""Everything on the way from a gradient to new weights, against the float64 NumPy network of reference.py."""

import itertools
import os

import numpy as np
import pytest
from engine_tools import digest, engine_of
from rules_tools import AROUND, BATCH, CONSTRAINTS, OPTIMIZERS, PENALTIES, STEPS, data, pair

import fastnn
from fastnn import layers, optimizers
from fastnn._core import kernels

CLIPS = [{}, {"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.2}]


def train_both(engine, model, net, steps=STEPS, batch=BATCH, tolerance=1e-10):
    x, y = data(steps * batch)
    rates = model.optimizer.rates(0, steps)
    done, loss, _ = engine.fit_block(x, y, None, None, 0, steps * batch, batch, rates)
    parts = [slice(i, i + batch) for i in range(0, steps * batch, batch)]
    losses = net.train([(x[p], y[p]) for p in parts])
    assert done == steps * batch
    assert loss / done == pytest.approx(np.mean(losses), rel=tolerance, abs=tolerance)
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def combinations(penalty, constraint):
    """Optimizers x clips x schedules. Over all penalties and constraints each two of them meet; FASTNN_EXHAUSTIVE=1
    runs every combination."""
    everything = [*itertools.product(OPTIMIZERS, CLIPS, ["layers", "samples"], ["dense", "bn"])]
    if os.environ.get("FASTNN_EXHAUSTIVE"):
        return everything
    at = [*itertools.product(PENALTIES, CONSTRAINTS)].index((penalty, constraint))
    return everything[at * 5 % 16 :: 16]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_combination(penalty, constraint):
    """One penalty and one constraint on every weight. Ftrl and Rprop multiply the last bit, so they get few steps."""
    for optimizer, clip, schedule, kind in combinations(penalty, constraint):
        found = pair(kind, penalty, constraint, optimizer, choices={"schedule": schedule}, **clip)
        try:
            train_both(*found, steps=5 if optimizer in ("Ftrl", "Rprop") else STEPS)
        except AssertionError as error:
            raise AssertionError(f"{optimizer} {clip} {schedule} {kind}: {error}") from None


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("around", AROUND)
def test_what_is_done_around_every_optimizer(around, schedule):
    for optimizer, kind in itertools.product(OPTIMIZERS, ["dense", "bn"]):
        found = pair(kind, "l2", "max_norm", optimizer, 0.02, choices={"schedule": schedule}, **AROUND[around])
        train_both(*found, steps=12 if optimizer in ("Ftrl", "Rprop") else STEPS)
        if "ema_momentum" in AROUND[around]:
            engine, model, net = found
            engine.finalize()
            averages = iter(net.optimizer.averages)
            for ours, layer_weight in zip(model.get_weights(), model.weights, strict=True):
                if layer_weight.trainable:
                    np.testing.assert_allclose(ours, next(averages), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["dense", "bn"])
def test_every_target_and_dtype(kind, dtype, isa):
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    for penalty, constraint, clip in (("l1_l2", "max_norm", {}), ("rows", "min_max_norm", CLIPS[3]),
                                      ("l2", "non_neg", CLIPS[1]), ("columns", "unit_norm", {})):  # fmt: skip
        found = pair(kind, penalty, constraint, "Adam", 0.05, dtype, {"isa": isa}, weight_decay=0.1, **clip)
        engine, model, net = found
        x, y = data(8 * BATCH)
        engine.fit_block(x.astype(dtype), y, None, None, 0, len(x), BATCH, model.optimizer.rates(0, 8))
        net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)])
        for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("penalty", ["l1_l2", "rows", "columns"])
def test_same_bits_for_any_number_of_threads(penalty, schedule):
    """Weights, state and the reported loss."""
    found = set()
    for threads in (1, 2, 3):
        for constraint in ("max_norm", "unit_norm"):
            engine, model, _ = pair("bn", penalty, constraint, "Adam", 0.1, "float32",
                                     {"schedule": schedule, "threads": threads}, weight_decay=0.1,
                                     ema_momentum=0.9, ema_overwrite_frequency=3)  # fmt: skip
            x, y = data(1000)
            loss = engine.fit_block(x.astype("float32"), y, None, None, 0, 1000, 100, np.full(10, 0.01))[1]
            found.add((constraint, digest(engine), loss))
    assert len(found) == 2


def test_a_frozen_layer_has_neither_penalty_nor_decay_nor_constraint():
    _, model, _ = pair("bn", "l2", "max_norm", "AdamW", 0.1)
    for layer in model.layers[:3]:
        layer.trainable = False
    before = model.get_weights()
    x, y = data(BATCH)
    trained = [r for layer in model.layers[3:] for r in zip(layer.weights, layer.get_weights(), strict=True)]
    penalty = sum(v.regularizer(w) + (v.layout == "kernel") * 0.05 * np.sum(w**2) for v, w in trained)
    plain = fastnn.Sequential(model.layers)
    plain.compile("sgd", model.loss)
    alone = -np.mean(np.log(model.predict(x, verbose=0)[np.arange(BATCH), y]))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(alone + penalty, rel=1e-10)
    assert model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"][0] == pytest.approx(
        alone + penalty, rel=1e-10
    )
    after = model.get_weights()
    for at in range(9):
        assert np.array_equal(before[at], after[at])
    assert not np.array_equal(before[9], after[9])


def test_model_weight_decay_is_half_lambda_of_all_matrices_and_no_bias():
    dense = layers.Dense(2, kernel_initializer="ones", bias_initializer="ones", input_shape=(3,))
    slopes = layers.PReLU("ones")
    model = fastnn.Sequential([dense, slopes], dtype="float64", weight_decay=0.4)
    model.compile(fastnn.SGD(1.0), "mse")
    x, y = np.zeros((1, 3)), np.ones((1, 2))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(0.5 * 0.4 * 6)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(dense.kernel.numpy(), np.full((3, 2), 1 - 0.4))
    np.testing.assert_allclose(dense.bias.numpy(), np.ones(2))
    model.compile(fastnn.SGD(1.0), "mse", weight_decay=0.0)
    assert model.evaluate(x, y, verbose=0) == 0.0
    model.compile("sgd", "mse")
    assert model.weight_decay == 0.4  # what it was made with, not what it was compiled with before
    with pytest.raises(ValueError, match="weight_decay: expected a finite number of at least 0, got -1"):
        fastnn.Sequential(weight_decay=-1)


def test_excluded_from_decay():
    for how in ({"var_names": ["bias", "gamma"]}, {"var_list": True}):
        _, model, net = pair("bn", optimizer="AdamW")
        if "var_list" in how:
            how = {"var_list": [v for v in model.weights if v.name.split("/")[1] in ("bias", "gamma")]}
        ours = optimizers.AdamW(0.01, 0.1)
        ours.exclude_from_weight_decay(**how)
        model.compile(ours, "sparse_categorical_crossentropy", seed=7)
        names = [v.name.split("/")[1] for v in model.weights if v.trainable]
        net.optimizer.not_decayed = {i for i, n in enumerate(names) if n in ("bias", "gamma")}
        train_both(engine_of(model), model, net, steps=10)
        with pytest.raises(ValueError, match="before the first step"):
            ours.exclude_from_weight_decay(var_names=["kernel"])


def test_two_vectors_clipped():
    """SCOPE B4: by value the direction changes, by norm it does not."""
    gradient = np.array([[0.9, 100.0]])
    for clip, expected in (({"clipvalue": 1.0}, [0.9, 1.0]), ({"clipnorm": 1.0}, [0.0089996, 0.9999595]),
                           ({"global_clipnorm": 1.0}, [0.0089996, 0.9999595])):  # fmt: skip
        model = fastnn.Sequential(
            [layers.Dense(2, use_bias=False, kernel_initializer="zeros", input_shape=(1,))], dtype="float64"
        )
        model.compile(fastnn.SGD(1.0, **clip))
        model.forward(np.ones((1, 1)), training=True)
        model.backward(gradient)
        model.apply_gradients()
        np.testing.assert_allclose(-model.get_weights()[0][0], expected, atol=5e-8)
