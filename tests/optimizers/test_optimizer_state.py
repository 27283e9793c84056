"""What an optimizer keeps: averages, counts, its vectors, from one engine to the next."""

import numpy as np
import pytest
from rules_tools import AROUND, BATCH, data, pair

import fastnn
from fastnn import layers, optimizers


def test_fit_ends_with_the_averages_and_goes_on_from_there():
    x, y = data(4 * BATCH)
    _, model, net = pair("dense", optimizer="Adam", ema_momentum=0.7)
    for _ in range(2):
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
        net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)])
        for w, average in zip(net.weights, net.optimizer.averages, strict=True):
            w[...] = average
        for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


def test_iterations_count_updates_and_rates_count_batches():
    rate = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(1,))])
    model.compile(fastnn.SGD(rate, gradient_accumulation_steps=3), "mse")
    for _ in range(7):
        model.train_on_batch([[1.0]], [[1.0]])
    assert model.optimizer.iterations == 2
    assert model.optimizer.learning_rate == pytest.approx(0.1 * 0.5**7)
    with pytest.raises(AttributeError, match="iterations"):
        model.optimizer.iterations = 0  # Adam's corrections and the phase of the accumulation hang on it


def test_state_goes_on_in_another_engine():
    """A layer frozen or thawed makes a new engine; averages, sums and the phase of accumulation move along."""
    x, y = data(5 * BATCH)
    one, two = (pair("bn", "l2", "none", "Adam", **AROUND["all"])[1] for _ in range(2))
    one.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    for at in range(5):
        two.train_on_batch(*(a[at * BATCH : (at + 1) * BATCH] for a in (x, y)))
        two.layers[0].trainable = False
        two.engine()
        two.layers[0].trainable = True
    two.engine().finalize()
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_vectors_keep_their_meaning_when_the_optimizer_changes():
    """Without its average, an optimizer's next vector is not the average's."""
    optimizer = fastnn.SGD(0.01, use_ema=True, gradient_accumulation_steps=2)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    x = np.ones((4, 2))
    for _ in range(2):
        model.train_on_batch(x, np.ones(4))
    optimizer.use_ema = False
    model.compile(optimizer, "mse")
    before, still = model.get_weights(), model.predict(x)
    for _ in range(2):
        model.train_on_batch(x, still)  # no gradient
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_optimizer_that_comes_back_begins_anew():
    schedule = optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    first = fastnn.SGD(schedule)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(1,))])
    for optimizer in (first, fastnn.SGD(0.1), first):
        model.compile(optimizer, "mse")
        assert optimizer.learning_rate == (0.1 if optimizer is not first else 1.0)
        for _ in range(3):
            model.train_on_batch([[1.0]], [[1.0]])
    assert first.iterations == 3 and first.learning_rate == 0.125
