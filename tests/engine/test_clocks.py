"""Clocks: what ticks when, that no tick is lost, and that the table of all of them is complete."""

import copy
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._core import clocks

PACKAGE = Path(fastnn.__file__).parent
X, Y = np.linspace(-1, 1, 12).reshape(4, 3), np.eye(4, 2)
X32, Y32 = X.astype(np.float32), Y.astype(np.float32)


def network():
    model = fastnn.Sequential([layers.Dense(5, "tanh", input_shape=(3,)), layers.Dense(2)])
    model.compile("sgd", "mse", seed=0)
    model.train_on_batch(X, Y)
    return model


def readings(model):
    own = {name: getattr(model, name) for name in ("_structure_clock", "_compile_clock", "_target_clock")}
    own |= {name: getattr(model.layers[0], name) for name in ("_attribute_clock", "_call_clock")}
    own |= {name: getattr(model._engine.store, name) for name in ("weights_clock", "load_clock")}
    own |= {name: getattr(clocks, name) for name in ("VALUES", "LAYERS", "NAMES")}
    return {name: clock.now for name, clock in own.items()}


def with_metric(model):
    model.compile(model.optimizer, "mse", metrics=["mae"])
    model.evaluate(X, Y, verbose=0)


# what is done to a model, and the clocks that tick
TICKS = {
    "predict": (lambda m: m.predict(X, verbose=0), set()),
    "train": (lambda m: m.train_on_batch(X, Y), {"weights_clock"}),
    "train at once": (lambda m: [m.train_on_batch(X32, Y32) for _ in range(3)], {"weights_clock"}),
    "assign": (lambda m: m.layers[0].bias.assign(np.ones(5)), {"VALUES"}),
    "assign and run": (lambda m: (m.layers[0].bias.assign(np.ones(5)), m.predict(X)), {"VALUES", "weights_clock"}),
    "freeze": (lambda m: setattr(m.layers[0], "trainable", False), {"LAYERS"}),
    "freeze a weight": (lambda m: setattr(m.layers[0].bias, "trainable", False), {"LAYERS"}),
    "set an attribute": (lambda m: setattr(m.layers[0], "activation", "relu"), {"LAYERS", "_attribute_clock"}),
    "rename": (lambda m: setattr(m.layers[0], "name", "other"), {"NAMES"}),
    "add": (lambda m: m.add(layers.Activation("relu")), {"LAYERS", "_structure_clock"}),
    "pop": (lambda m: m.pop(), {"LAYERS", "_structure_clock"}),
    "compile": (lambda m: m.compile(m.optimizer, "mse"), {"_compile_clock"}),
    "other targets, a new store": (with_metric, {"_compile_clock", "_target_clock", "VALUES", "weights_clock"}),
}


@pytest.mark.parametrize("what", TICKS)
def test_what_ticks(what):
    model = network()
    do, expected = TICKS[what]
    before = readings(model)
    do(model)
    after = readings(model)
    found = {name for name in before if after[name] != before[name]}
    assert found == expected


@pytest.mark.parametrize(("value", "ticks"), [(0.0, False), (1.0, True)])
def test_loading_ticks_where_values_differ(value, ticks):
    """Weights that another model has had in the meantime, and brings back as they were, do not spoil a manual step."""
    model = network()
    model.layers[0].bias.assign(np.zeros(5))
    model.forward(X, training=True)
    before = model._engine.store.load_clock.now
    model.layers[0].bias.assign(np.full(5, value))
    model.predict(X, verbose=0)
    assert (model._engine.store.load_clock.now != before) == ticks
    if ticks:
        with pytest.raises(RuntimeError, match="its weights were assigned"):
            model.backward(Y)
    else:
        model.backward(Y)


def test_a_numpy_layer_that_is_called_ticks():
    class Twice(layers.Layer):
        def call(self, x, training):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    layer = Twice(input_shape=(3,))
    model = fastnn.Sequential([layer])
    before = layer._call_clock.now
    model.predict(X, verbose=0)
    assert layer._call_clock.now == before + 1


def test_no_tick_is_lost():
    clock, n = clocks.Clock(), 20_000

    def ticks():
        for _ in range(n):
            clock.tick()

    threads = [threading.Thread(target=ticks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now == 4 * n


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"])
def test_copies_go_on_by_themselves(copied):
    clock = clocks.Clock()
    clock.tick()
    other = copied(clock)
    assert other.now == clock.now == 1
    other.tick()
    assert (other.now, clock.now, repr(other)) == (2, 1, "Clock(2)")


def test_the_table_has_every_clock():
    text = {p: p.read_text(encoding="utf-8") for s in ("py", "pyx") for p in PACKAGE.rglob(f"*.{s}")}
    described = set(re.findall(r"`\w+\.(\w+_clock)`", clocks.__doc__))
    made = {name for source in text.values() for line in re.findall(r"^.*= .*\bClock\(\)", source, re.M)
            for name in re.findall(r"self\.(\w+_clock)", line)}  # fmt: skip
    assert described == made and len(made) > 6
    of_the_process = set(re.findall(r"^    ([A-Z]+)  ", clocks.__doc__, re.M))
    assert of_the_process == {name for name in vars(clocks) if isinstance(getattr(clocks, name), clocks.Clock)}
