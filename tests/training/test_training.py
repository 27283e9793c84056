"""Whole training steps against the float64 NumPy network of reference.py."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of
from training_tools import (
    BATCH,
    CLASSES,
    INPUTS,
    OPTIMIZERS,
    STEPS,
    assert_same,
    data,
    pair,
    train_both,
)

import fastnn
from fastnn import layers
from fastnn._core import kernels

CLIPS = [{}, {"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.2}]


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("clip", CLIPS, ids=lambda c: next(iter(c), "plain"))
@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_in_float64(optimizer, kind, clip, schedule):
    engine, model, net = pair(kind, optimizer, clip, schedule=schedule)
    ours, theirs = train_both(engine, net)
    assert abs(ours - theirs) < 1e-10
    assert_same(model, net, 1e-10)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("kind", ["dense", "bn"])
@pytest.mark.parametrize("batch", [1, 7, 8, 9, 33, 64])
def test_every_target_and_batch_size(isa, kind, batch):
    if kind == "bn" and batch == 1:
        pytest.skip("the variance of one sample is zero; see test_layers")
    engine, model, net = pair(kind, isa=isa)
    train_both(engine, net, n=5 * batch + (batch > 4) * 3, batch=batch)
    assert_same(model, net, 1e-9)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_many_chunks_and_gradient_blocks(schedule):
    """A batch beyond every cut of the kernels: chunks, slots, sample blocks of dW, blocks of k."""
    engine, model, net = pair("dense", schedule=schedule)
    train_both(engine, net, n=2500, batch=1300)
    assert_same(model, net, 1e-10)


def test_wide_layers_are_cut_in_k():
    model = fastnn.Sequential(
        [fastnn.Input((INPUTS,)), layers.Dense(700, activation="tanh"), layers.Dense(600, activation="tanh"),
         layers.Dense(CLASSES, activation="softmax")], dtype="float64")  # fmt: skip
    model.compile(fastnn.Adam(0.01), "sparse_categorical_crossentropy", seed=1)
    spec = [("dense", {"activation": a}) for a in ("tanh", "tanh", "softmax")]
    net = reference.Net(spec, model.get_weights(), "sparse_categorical_crossentropy", reference.Adam(0.01))
    train_both(engine_of(model), net, n=90, batch=45)
    assert_same(model, net, 1e-10)


def test_sample_weights():
    engine, model, net = pair("dense")
    weights = np.random.default_rng(2).uniform(0, 3, STEPS * BATCH)
    ours, theirs = train_both(engine, net, weights=weights)
    assert abs(ours - theirs) < 1e-10
    assert_same(model, net, 1e-10)


@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
def test_float32_stays_near_float64(kind):
    engine, model, net = pair(kind, "nesterov", dtype="float32")
    x, y = data()
    x = x.astype(np.float32)
    engine.fit_block(x, y, None, None, 0, 10 * BATCH, BATCH, np.full(10, 0.05))
    net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, 10 * BATCH, BATCH)])
    assert_same(model, net, 2e-4)


@pytest.mark.parametrize("kind", ["dense", "bn"])
def test_evaluate_and_predict_use_inference_mode(kind):
    engine, model, net = pair(kind)
    train_both(engine, net, n=5 * BATCH)
    x, y = data(3, 333)
    np.testing.assert_allclose(engine.predict(x, 100), net.forward(x), rtol=1e-10, atol=1e-12)
    n, loss, _ = engine.evaluate(x, y, None, 100)
    expected = -np.log(net.forward(x)[np.arange(333), y])
    assert n == 333
    assert loss / n == pytest.approx(expected.mean(), rel=1e-10)


def test_an_error_while_planning_is_no_plan(monkeypatch):
    """The next call looks again: what was frozen stays frozen."""
    model = fastnn.Sequential([layers.Dense(4, "tanh", input_shape=(5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 5)), np.ones((8, 3))
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("fastnn.training.planning.Engine", fail)
    with pytest.raises(MemoryError):
        model.fit(x, y, verbose=0)
    monkeypatch.undo()
    before = model.layers[0].get_weights()
    model.fit(x, y, verbose=0)
    for a, b in zip(model.layers[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
