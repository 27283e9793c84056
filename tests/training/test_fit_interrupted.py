"""`fit` and what comes between its steps: Ctrl-C, errors, other threads, hooks."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from fit_tools import linear

import fastnn
from fastnn.layers import Dense
from fastnn.models import Sequential
from fastnn.training import running
from fastnn.training.interrupts import InterruptLater


def big():
    fastnn.set_random_seed(0)
    model = Sequential([Dense(64, "relu", input_shape=(32,)), Dense(64, "relu"), Dense(1)])
    model.compile("adam", "mse")
    return model, np.ones((100_000, 32), np.float32), np.zeros(100_000)


def test_ctrl_c_keeps_what_was_trained():
    model, x, y = big()
    model.fit(x[:64], y[:64], verbose=0)
    start, sent = model.optimizer.iterations, []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.35, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10_000, batch_size=32, verbose=0)
    # the epochs that were asked for would take the better part of an hour
    assert sent and time.perf_counter() - sent[0] < 60
    assert model.optimizer.iterations == model.engine().step > start
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model.history is not None and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model.fit(x[:64], y[:64], verbose=0)  # and it goes on


def test_weights_assigned_between_two_blocks_are_trained_on(monkeypatch):
    """By another thread, say: several epochs go on from them."""
    model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    model.compile(fastnn.SGD(0.1), "mse", threads=1)  # a team of several ends a block one step later
    x = np.ones((64, 3), np.float32)
    model.fit(x, x[:, :1], verbose=0)
    monkeypatch.setattr(running, "BLOCK_SECONDS", 1e-9)
    engine, calls = model.engine(), []
    real = engine.fit_epochs

    def assigning(*arguments):
        reached = real(*arguments)
        calls.append(reached)
        if len(calls) == 1:
            model.layers[0].kernel.assign(np.full((3, 1), 7.0))
        return reached

    engine.fit_epochs = assigning
    model.fit(x, x[:, :1], epochs=3, verbose=0)
    assert len(calls) == 6
    assert (model.layers[0].kernel.numpy() < 7).all()


def test_ctrl_c_in_a_block_leaves_whole_steps(monkeypatch):
    model, x, y = big()
    block = type(model.engine()).fit_block

    def interrupted(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return block(self, *arguments)

    monkeypatch.setattr(type(model.engine()), "fit_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x[:640], y[:640], verbose=0)
    assert model.optimizer.iterations == model.engine().step == 20


def test_ctrl_c_waits_for_the_end_of_a_block():
    reached = False
    with pytest.raises(KeyboardInterrupt):
        with InterruptLater():
            os.kill(os.getpid(), signal.SIGINT)
            reached = True
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program's own choice is left alone
    try:
        with InterruptLater():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, own)


def test_one_model_from_two_threads():
    model, x, y = big()
    failed = []

    def ask():
        try:
            for _ in range(50):
                assert np.isfinite(model.predict(x[:32], verbose=0)).all()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for t in threads:
        t.start()
    model.fit(x[:20_000], y[:20_000], verbose=0)
    for t in threads:
        t.join()
    assert not failed


def test_steps_before_an_error_in_python_are_counted():
    """The weights have them; rates and Adam's corrections have to."""
    calls = []

    def loss(t, p):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("in the fourth batch")
        return (p - t)[:, 0] ** 2, 2 * (p - t)

    model = Sequential([Dense(1, input_shape=(1,))])
    model.compile("adam", loss)
    x, y = np.ones((32, 1)), np.ones(32)
    with pytest.raises(RuntimeError, match="fourth"):
        model.fit(x, y, batch_size=4, verbose=0)
    assert model.optimizer.iterations == model.engine().step == 3


@pytest.mark.parametrize("held_out", [0.0, 0.1])
def test_steps_before_a_signal_that_raises_are_counted(held_out):
    """A handler of one's own: the weight w_k = 1 - (1 - 2 rate)^k says how many steps there were."""
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="zeros", input_shape=(1,))], dtype="float64")
    model.compile(fastnn.SGD(1e-8), "mse")
    x = np.ones((32000, 1))

    def handler(number, frame):
        raise SystemExit

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(SystemExit):
            model.fit(x, x, batch_size=1, epochs=10**5, verbose=0, validation_split=held_out)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    steps = round(float(np.log1p(-model.get_weights()[0][0, 0]) / np.log1p(-2e-8)))
    assert steps == model.optimizer.iterations == model.engine().step > 0


def test_a_layer_frozen_by_another_thread_is_frozen_from_the_next_block_on(monkeypatch):
    """Epochs that nobody looks at run in blocks; the model of the next one is the model as it is then."""
    monkeypatch.setattr(running, "BLOCK_SECONDS", 1e-9)
    model = Sequential([Dense(8, "tanh", input_shape=(3,)), Dense(1)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)), rng.normal(size=64)
    engine, steps = model.engine, []

    def engine_after_a_while():
        steps.append(1)
        if len(steps) == 20:  # what another thread does between two blocks
            model.layers[0].trainable = False
            steps.append(model.layers[0].get_weights())
        return engine()

    monkeypatch.setattr(model, "engine", engine_after_a_while)
    model.fit(x, y, batch_size=16, epochs=100, verbose=0)
    [then] = [s for s in steps if s != 1]
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], then[0])
    assert model.optimizer.iterations == engine().step == 400


def test_another_thread_may_use_the_model_in_any_hook():
    model = linear()
    x, found = np.ones((8, 4)), []  # whether each of four threads got through while its hook waited

    def predict(*_):
        thread = threading.Thread(target=lambda: model.predict(x, verbose=0), daemon=True)
        thread.start()
        thread.join(5)
        found.append(not thread.is_alive())

    hooks = fastnn.callbacks.LambdaCallback(
        on_train_batch_begin=lambda b, logs: predict(), on_train_batch_end=lambda b, logs: predict()
    )
    model.fit(x, np.ones(8), batch_size=4, verbose=0, callbacks=[hooks])
    assert found == [True] * 4


def test_fit_within_a_hook_keeps_the_outer_history():
    model = linear()
    x, y = np.ones((8, 4)), np.ones(8)
    inner = fastnn.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.fit(x, y, epochs=7, verbose=0)
    )
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[inner])
    assert history is model.history and len(history.history["loss"]) == 3
