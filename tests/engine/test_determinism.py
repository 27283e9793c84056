"""Same bits: for any number of threads, for any cut of the work, again and again."""

import numpy as np
import pytest
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

INPUTS, CLASSES, N = 37, 7, 700


def model_of(kind, dtype):
    stack = [fastnn.Input((INPUTS,))]
    if kind == "bn":  # its gradients come from the dense layer behind it
        stack.append(layers.BatchNormalization())
    for units in (50, 20):
        stack.append(layers.Dense(units, activation="elu", use_bias=kind != "bn"))
        if kind == "bn":
            stack.append(layers.BatchNormalization())
        stack.append(layers.Dropout(0.25))
    stack.append(layers.Dense(CLASSES, activation="softmax"))
    fastnn.set_random_seed(5)
    model = fastnn.Sequential(stack, dtype=dtype)
    model.compile(
        fastnn.Adam(0.01, global_clipnorm=0.5), "sparse_categorical_crossentropy", seed=11
    )
    return model


def trained(kind, dtype, threads, epochs=3, batch=64, **choices):
    """(digest of weights and optimizer state, loss of the last epoch) after a few epochs."""
    engine = engine_of(model_of(kind, dtype), threads=threads, **choices)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, INPUTS)).astype(dtype), rng.integers(0, CLASSES, N).astype(np.int32)
    for _ in range(epochs):
        order = rng.permutation(N)
        rates = np.full(-(-N // batch), 0.01)
        _, loss, _ = engine.fit_block(x, y, None, order, 0, N, batch, rates)
    return digest(engine), loss


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("kind", ["plain", "bn"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(dtype, kind, schedule, isa):
    """BN or not, dropout, clipping by the global norm, three epochs with a short last batch."""
    one = trained(kind, dtype, 1, schedule=schedule, isa=isa)
    assert np.isfinite(one[1])
    for threads in (2, 3, 8, 16):
        assert trained(kind, dtype, threads, schedule=schedule, isa=isa) == one, threads


@pytest.mark.parametrize("batch", [1, 16, 300, N])
def test_same_bits_for_other_batch_sizes(batch):
    for kind in ("plain", "bn") if batch > 1 else ("plain",):
        one = trained(kind, "float32", 1, batch=batch)
        assert trained(kind, "float32", 3, batch=batch) == one


FUSED = [fastnn.Adam(0.01), fastnn.SGD(0.01, momentum=0.9, clipvalue=0.1)]


def trained_fused(kind, optimizer, threads, isa=None):
    """Digest of weights and optimizer state after an epoch whose updates are fused into the gradients."""
    model = model_of(kind, "float32")
    model.compile(optimizer, "sparse_categorical_crossentropy", seed=3)
    engine = engine_of(model, threads=threads, isa=isa)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, INPUTS)), rng.integers(0, CLASSES, N).astype(np.int32)
    engine.fit_block(x, y, None, None, 0, N, 50, np.full(14, 0.01))
    assert engine.program("train", 50, (INPUTS * 8, 10), None, False).plan.fused
    return digest(engine)


@pytest.mark.parametrize("optimizer", FUSED)
def test_fused_updates_are_the_same_for_any_number_of_threads(optimizer):
    assert len({trained_fused("bn", optimizer, threads) for threads in (1, 2, 3, 8, 16)}) == 1


def test_the_end_of_a_block_leaves_no_trace():
    """One call for an epoch, or a call for every few steps."""
    model = model_of("plain", "float32")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, INPUTS)), rng.integers(0, CLASSES, N).astype(np.int32)
    order, rates = rng.permutation(N), np.linspace(0.01, 0.001, 14)
    whole = engine_of(model)
    start = model.get_weights()
    expected = whole.fit_block(x, y, None, order, 0, N, 50, rates)[1:], digest(whole)
    model.set_weights(start)
    parts = engine_of(model)
    carry = None
    for first in range(0, N, 150):
        count = min(150, N - first)
        _, loss, metrics = parts.fit_block(x, y, None, order, first, count, 50, rates[first // 50 :], carry=carry)
        carry = [loss, *metrics]
    assert ((loss, metrics), digest(parts)) == expected


def test_fit_is_repeatable_and_depends_on_the_seed():
    def weights(seed):
        model = model_of("plain", "float32")
        model.compile("adam", "sparse_categorical_crossentropy", seed=seed)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(N, INPUTS)), rng.integers(0, CLASSES, N)
        model.fit(x, y, epochs=2, verbose=0)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))
