"""Counters: named figures that a program reports. References: float64 NumPy, written out step by step."""

import numpy as np
import pytest
from cases import cases
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn._core import threads
from fastnn.engine import counters

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(70, 5)), RNG.normal(size=(70, 3))
NAMES = tuple(counters.COUNTERS)
RATE, L2 = 0.1, 0.01


def model_of(*between, optimizer=None, **kwargs):
    first = layers.Dense(9, "tanh", kernel_regularizer=fastnn.regularizers.L2(L2), name="first")
    stack = [layers.Input(shape=(5,)), first, *between, layers.Dense(3, name="last")]
    model = fastnn.Sequential(stack, dtype="float64")
    model.compile(fastnn.SGD(RATE) if optimizer is None else optimizer, "mse", seed=1, **kwargs)
    model.set_weights([np.linspace(-0.8, 0.7, w.size).reshape(w.shape) for w in model.get_weights()])
    return model


def trained(model, batch, epochs=2, blocks=1, **choices):
    """The figures of the last epoch; an epoch is done in so many calls."""
    engine = engine_of(model, counters=NAMES, **choices)
    for _ in range(epochs):
        sums, first, each = None, 0, -(-70 // batch) // blocks * batch
        while first < 70:
            count = min(each, 70 - first)
            done, loss, found = engine.fit_block(
                X, Y, None, None, first, count, batch, np.full(-(-count // batch), RATE), 0.0, sums
            )
            sums, first = [loss, *found], first + done
    return counters.values(engine, sums[1:])


def numpy_steps(weights, batch, epochs=2):
    """{layer: (gradients, weights before)} of each step of the last epoch."""
    w1, b1, w2, b2 = (np.array(w, float) for w in weights)
    for _ in range(epochs):
        steps = []
        for start in range(0, 70, batch):
            x, y = X[start : start + batch], Y[start : start + batch]
            h = np.tanh(x @ w1 + b1)
            d = 2 * (h @ w2 + b2 - y) / y.size
            d1 = d @ w2.T * (1 - h**2)
            gradients = [x.T @ d1 + 2 * L2 * w1, d1.sum(0), h.T @ d, d.sum(0)]
            steps.append({"first": (gradients[:2], (w1, b1)), "last": (gradients[2:], (w2, b2))})
            w1, b1, w2, b2 = (w - RATE * g for w, g in zip((w1, b1, w2, b2), gradients, strict=True))
    return steps


def expected(steps):
    """{label: figure} of every counter, by its case."""
    return {case.name + at: figure for case in cases("counter") for at, figure in case.reference(steps).items()}


def check(found, steps):
    right = expected(steps)
    assert found.keys() == right.keys()
    for label, figure in found.items():
        np.testing.assert_allclose(figure, right[label], rtol=1e-10, err_msg=label)


def test_every_counter_has_a_case():
    assert [case.name for case in cases("counter")] == list(counters.COUNTERS)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("batch", [16, 70])
@pytest.mark.parametrize("blocks", [1, 2])
def test_counters_agree_with_numpy(schedule, batch, blocks):
    model = model_of()
    steps = numpy_steps(model.get_weights(), batch)
    check(trained(model, batch, blocks=1 if batch == 70 else blocks, schedule=schedule), steps)


@pytest.mark.parametrize("between", [[], [layers.BatchNormalization(), layers.Dropout(0.2), layers.PReLU()]])
@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_same_bits_for_any_number_of_threads(between, schedule):
    def found(team):
        model = model_of(*[type(b).from_config(b.get_config()) for b in between], optimizer="adam")
        with threads.using(team):
            return trained(model, 35, schedule=schedule)

    assert found(1) == found(2) == found(3) == found(8)


def test_weights_are_trained_as_without_counters():
    weights = []
    for names in ((), NAMES):
        model = model_of(optimizer=fastnn.SGD(RATE, momentum=0.9))
        engine = engine_of(model, counters=names, schedule="layers")
        engine.fit_block(X, Y, None, None, 0, 70, 16, np.full(5, RATE))
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_clipping_comes_after_the_counter():
    model = model_of(optimizer=fastnn.SGD(RATE, global_clipnorm=1e-3))
    steps = numpy_steps(model.get_weights(), 70, epochs=1)
    check(trained(model, 70, epochs=1), steps)


class Doubled(layers.Layer):
    """2 x, in NumPy: it cuts a step into parts."""

    def call(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_steps_in_parts_count_as_those_in_one_call():
    """2 x of a layer in Python is that of a layer in the core."""
    in_core = trained(model_of(layers.Rescaling(2.0)), 16)
    in_parts = trained(model_of(Doubled()), 16)
    assert in_core.keys() == in_parts.keys()
    for label, value in in_core.items():
        np.testing.assert_allclose(in_parts[label], value, rtol=1e-12, err_msg=label)


def test_a_figure_that_is_no_number_stays_one():
    model = model_of()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()], check_finite=False)
    assert all(np.isnan(value) for value in trained(model, 16).values())


def test_epochs_in_one_call_have_figures_of_their_own():
    model = model_of()
    engine = engine_of(model, counters=NAMES)
    totals = engine.room_for_epochs(X, Y, None, 70, 3)
    engine.fit_epochs(X, Y, None, None, 3, 70, np.full(3, RATE), 0, totals)
    model = model_of()
    for epoch, sums in enumerate(engine.epoch_sums(totals)):
        check(counters.values(engine, sums[1:]), numpy_steps(model.get_weights(), 70, epoch + 1))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=f"counters: expected some of {', '.join(NAMES)}, got 'size'"):
        engine_of(model_of(), counters=("size",))
