"""One model in the hands of several threads of Python: what they read and write is whole, and made once."""

import os
import signal
import threading
import time

import numpy as np
from races import together

import fastnn
from fastnn import layers, variables
from fastnn.engine import plan_cache
from fastnn.engine.parameter_store import Place, Store


def test_weights_read_while_another_thread_trains_are_those_of_one_step():
    """Data and weights are such that all weights are equal after every step."""
    model = fastnn.Sequential(
        [layers.Dense(300, use_bias=False, kernel_initializer="ones", input_shape=(300,))]
    )
    model.compile(fastnn.SGD(1e-6), "mse", threads=1)
    x, y = np.ones((1000, 300), np.float32), np.zeros((1000, 300), np.float32)
    model.train_on_batch(x[:32], y[:32])
    trained, seen = threading.Event(), []

    def train():
        model.fit(x, y, epochs=3, verbose=0)
        trained.set()

    def read():
        while not trained.is_set():
            [w] = model.get_weights()
            assert (w == w[0, 0]).all()
            seen.append(w[0, 0])

    together([train, read])
    assert len(set(seen)) > 1


def test_reading_does_not_undo_what_another_thread_assigns_meanwhile(monkeypatch):
    model = fastnn.Sequential([layers.Dense(3, input_shape=(2,))])
    model.predict(np.ones((1, 2)), verbose=0)
    kernel = model.weights[0]
    get = Place.get

    def get_and_assign(place, flat, shape):
        value = get(place, flat, shape)
        kernel.assign(np.full(kernel.shape, 7))
        return value

    monkeypatch.setattr(Place, "get", get_and_assign)
    assert not (kernel.numpy() == 7).any()
    monkeypatch.undo()
    assert (kernel.numpy() == 7).all()
    assert (model.predict(np.ones((1, 2)), verbose=0) == 14).all()


class Slow(layers.Layer):
    """Somebody's layer, whose weights take a while to make."""

    def build(self, input_shape):
        time.sleep(0.05)
        self.scale = self.add_weight(name="scale", shape=input_shape[1:], initializer="ones")

    def call(self, x, training=False):
        return x * self.scale.numpy()


def test_a_model_is_built_once():
    x = np.ones((4, 3), np.float32)
    model = fastnn.Sequential([Slow(), layers.Dense(2)])
    together([lambda: model.predict(x, verbose=0)] * 3)
    assert [w.shape for w in model.get_weights()] == [(3,), (3, 2), (2,)]


def test_taking_weights_does_not_undo_what_another_thread_assigns_meanwhile(monkeypatch):
    model = fastnn.Sequential([layers.Dense(3, input_shape=(2,))])
    kernel, put = model.weights[0] if model.built else None, Store.put

    def put_and_assign(store, flat, variable, value):
        put(store, flat, variable, value)
        if variable is kernel and not (kernel.numpy() == 7).all():
            kernel.assign(np.full(kernel.shape, 7.0))

    monkeypatch.setattr(Store, "put", put_and_assign)
    assert (model.predict(np.ones((1, 2)), verbose=0) == 14).all()
    monkeypatch.undo()
    assert (kernel.numpy() == 7).all()
    assert (model.predict(np.ones((1, 2)), verbose=0) == 14).all()


def test_a_variable_assigned_behind_the_back_of_the_loop_is_taken_by_the_next_call(monkeypatch):
    """That of the first layer, while the last one's is loaded."""
    model = fastnn.Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(1, kernel_initializer="ones")])
    first, last, put = model.layers[0].kernel, model.layers[1].kernel, Store.put

    def put_and_assign(store, flat, variable, value):
        put(store, flat, variable, value)
        if variable is last and not (first.numpy() == 7).all():
            first.assign(np.full(first.shape, 7.0))

    monkeypatch.setattr(Store, "put", put_and_assign)
    model.predict(np.ones((1, 2)), verbose=0)
    monkeypatch.undo()
    assert (model.predict(np.ones((1, 2)), verbose=0) == 42).all()


def test_a_child_finds_locks_open():
    """Whoever held them when it was forked: the process' own, and that of a model that was trained."""
    model = fastnn.Sequential([layers.Dense(8, input_shape=(4,)), layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.ones((20000, 4), "f4"), np.ones(20000, "f4")
    stop = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: setattr(model, "stop_training", bool(done)))
    done = []
    training = threading.Thread(
        target=lambda: model.fit(x, y, epochs=10**6, verbose=0, validation_split=0.1, callbacks=[stop])
    )
    with variables._moving, plan_cache._lock:
        training.start()
        deadline = time.monotonic() + 5
        while model.engine().step < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            other = fastnn.Sequential([layers.Dense(3, input_shape=(4,))])
            other.compile("sgd", "mse")
            other.fit(x[:8], np.ones((8, 3)), verbose=0)
            model.get_weights()
            good = np.isfinite(model.predict(x[:8], verbose=0)).all()
            model.train_on_batch(x[:8], y[:8])
            os._exit(0 if good else 1)
    done.append(1)
    training.join()
    assert os.waitpid(child, 0)[1] == 0
