"""Ctrl-C in the middle of a long step: the step is given up, and nothing of it is left.

The signal comes a twentieth of a second after the beginning of a step that takes many times as long on any machine; a
step that is done to its end has counted.
"""

import os
import signal
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, LambdaCallback

RNG = np.random.default_rng(0)
ROWS = 12_000
X, Y = RNG.random((ROWS, 784), np.float32), RNG.normal(size=(ROWS, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def raises():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def presses():
    return threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))


class Press(Callback):
    """Ctrl-C within the n-th step."""

    def __init__(self, n=1):
        super().__init__()
        self.n, self.seen = n, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.n:
            self.timer = presses()
            self.timer.start()


class Double(layers.Layer):
    def call(self, x, training):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def numpy_loss(y_true, y_pred):
    return ((y_pred - y_true) ** 2).sum(axis=1), 2 * (y_pred - y_true)


CASES = {
    "chunks": ([512], "adam", "mse"),
    "layers, updates within the backward pass": ([4096, 1024], "sgd", "mse"),
    "batch normalisation": ([512, layers.BatchNormalization, 512], "adam", "mse"),
    "averages": ([512], lambda: fastnn.SGD(0.1, momentum=0.9, use_ema=True), "mse"),
    "accumulated gradients": ([512], lambda: fastnn.Adam(gradient_accumulation_steps=2), "mse"),
    "a layer in NumPy": ([512, layers.BatchNormalization, Double, 512], "adam", "mse"),
    "a loss in NumPy": ([1024], "adam", numpy_loss),
}


def made(case):
    stack, optimizer, loss = CASES[case]
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Input((784,))])
    for part in stack:
        model.add(layers.Dense(part, "tanh") if isinstance(part, int) else part())
    model.add(layers.Dense(4))
    model.compile(optimizer if isinstance(optimizer, str) else optimizer(), loss, seed=0)
    return model


def state(model):
    slots = model.engine().get_state()["slots"]
    return [*model.get_weights(), *(a for variable in model.weights for a in slots.get(variable, []))]


def same(a, b):
    for u, v in zip(a, b, strict=True):
        np.testing.assert_array_equal(u, v)


HOW = {"batch_size": ROWS, "verbose": 0, "shuffle": False}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_step_is_given_up(case, threads):
    for _ in range(5):  # on a busy machine the signal may come when the step has ended
        model, press, after_one = made(case), Press(2), []
        hooks = [LambdaCallback(on_train_batch_end=lambda batch, logs, m=model, s=after_one: s.append(state(m))), press]
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, epochs=3, callbacks=hooks, threads=threads, **HOW)
        press.timer.join()
        if model.engine().step == 1:
            break
    assert model.engine().step == len(after_one) == 1
    if case != "averages":  # which get into the weights
        same(state(model), after_one[0])
    else:
        same(state(model)[len(model.weights) :], after_one[0][len(model.weights) :])


@pytest.mark.parametrize("case", ["chunks", "batch normalisation", "a layer in NumPy"])
def test_training_goes_on_with_the_same_bits(case):
    model, twin = made(case), made(case)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[Press()], **HOW)
    for each in (model, twin):
        each.fit(X, Y, epochs=2, **HOW)
    same(state(model), state(twin))


def test_a_handler_that_raises_nothing_loses_no_step():
    """It runs between the steps, where it may save the model; the step that was given up is done again."""
    seen, model, twin = [], made("batch normalisation"), made("batch normalisation")
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(model.get_weights()))
    before = model.get_weights()
    model.fit(X, Y, callbacks=[Press()], **HOW)
    assert model.optimizer.iterations == 1 and len(seen) == 1
    same(seen[0], before)
    twin.fit(X, Y, **HOW)
    same(state(model), state(twin))


def test_one_batch_and_steps_by_hand():
    model, dy = made("batch normalisation"), Y / ROWS
    before = state(model)
    timer = presses()
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        model.train_on_batch(X, Y)
    timer.join()
    assert model.optimizer.iterations == 0
    same(state(model), before)
    timer = presses()
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        model.forward(X, training=True)
    timer.join()
    same(state(model), before)  # moving averages among them
    with pytest.raises(RuntimeError, match="forward"):
        model.backward(dy)


def test_a_second_thread_is_left_alone():
    """The signal is for the main thread, whatever another one trains meanwhile."""
    model, twin = made("chunks"), made("chunks")
    ended = threading.Event()  # a `join` that was interrupted may let the next one return at once (Python 3.11)
    thread = threading.Thread(target=lambda: [model.fit(X, Y, **HOW), ended.set()])
    thread.start()
    timer = presses()
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        thread.join()
        timer.join()
    assert ended.wait(300)
    twin.fit(X, Y, **HOW)
    same(state(model), state(twin))


def test_the_handler_of_the_process_is_put_back():
    model = made("chunks")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[Press()], **HOW)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(5)
