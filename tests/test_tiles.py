"""Products by bfloat16 tiles: what is not a matter of precision (test_precision.py)."""

import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

import fastnn
from fastnn import layers, plans, precision
from fastnn._core import kernels
from fastnn.lowering.lowerer import LOWERINGS

TILES = kernels.has_tiles()
needs_tiles = pytest.mark.skipif(not TILES, reason="this CPU has no tiles")


@pytest.fixture
def any_size(monkeypatch):
    """As if every size gained by tiles."""
    sizes = {splits: dict.fromkeys(least, ((1, 1),)) for splits, least in precision.LEAST.items()}
    monkeypatch.setattr(precision, "LEAST", sizes)
    monkeypatch.setattr(plans, "_kept", OrderedDict())  # those that are kept were made by the real sizes


def run(code, *arguments, **environment):
    """What Python prints for the code, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


SMALL_STACK = """
import sys, threading
import numpy as np
import fastnn
from fastnn import layers, precision
for least in precision.LEAST.values():
    least.update(dict.fromkeys(least, ((1, 1),)))
x = np.ones((600, 70), np.float32)
def work():
    model = fastnn.Sequential([layers.Dense(300, input_shape=(70,)), layers.Dense(70)])
    model.compile("sgd", "mse", matmul_precision=sys.argv[1], threads=1)
    model.fit(x, x, batch_size=600, verbose=0)
    print(np.isfinite(model.predict(x, verbose=0)).all())
threading.stack_size(32 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@needs_tiles
@pytest.mark.parametrize("mode", ["high", "medium"])
def test_a_thread_with_a_small_stack_is_enough(mode):
    """32 KiB, the least that Python grants: packed factors and sums are not on it, nor is the known product."""
    assert run(SMALL_STACK, mode) == "True"


COMPILED = {
    "adam": {},
    "constraint": {"constraint": "unit_norm"},
    "penalty": {"regularizer": "l2"},
    "orthogonal": {"regularizer": "orthogonal_regularizer"},
    "clipnorm": {"optimizer": {"clipnorm": 0.1}},
    "accumulation": {"optimizer": {"gradient_accumulation_steps": 2}},
    "average": {"optimizer": {"use_ema": True, "ema_overwrite_frequency": 3}},
    "decay": {"optimizer": {"weight_decay": 0.1}},
}


def everything_that_changes_weights(kind, tmp_path):
    """Bits of weights and results all along."""
    options = COMPILED[kind]
    fastnn.set_random_seed(1)
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(300, n)).astype(np.float32) for n in (75, 40))
    constraint, regularizer = options.get("constraint"), options.get("regularizer")
    first = layers.Dense(
        70, "relu", input_shape=(75,), kernel_constraint=constraint, kernel_regularizer=regularizer
    )
    model, found = fastnn.Sequential([first, layers.Dense(66), layers.BatchNormalization(), layers.Dense(40)]), []
    other = fastnn.Sequential([first, layers.Dense(40)])
    for m in (model, other):
        m.compile(fastnn.Adam(1e-2, **options.get("optimizer", {})), "mse", matmul_precision="medium")

    def note():
        found.extend(w.tobytes() for w in model.get_weights())
        for _ in range(2):  # the second one goes the short way
            found.append(model.predict_on_batch(x[:40]).tobytes())
        found.append(model.predict(x, verbose=0).tobytes())
        found.append(model.evaluate(x, y, verbose=0))

    for batch in (32, 300):
        model.fit(x, y, epochs=2, batch_size=batch, shuffle=False, verbose=0)
        note()
        for _ in range(3):
            found.append(model.train_on_batch(x[:40], y[:40]))
        note()
        model.set_weights([w * np.float32(0.9) for w in model.get_weights()])
        found.append(model.train_on_batch(x[:40], y[:40]))
        note()
        model.layers[1].variables[0].assign(model.layers[1].variables[0].numpy() * 2)
        found.append(model.train_on_batch(x[:40], y[:40]))
        other.fit(x, y, batch_size=64, shuffle=False, verbose=0)  # its first layer is that of `model`
        note()
        found.append(other.predict(x, verbose=0).tobytes())
        for _ in range(2):  # by hand
            found.append(model.forward(x[:40], training=True).tobytes())
            found.append(model.backward(y[:40]).tobytes())
            model.apply_gradients()
        note()
    path = tmp_path / "weights.safetensors"
    model.save_weights(path)
    model.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    model.load_weights(path)
    note()
    model.layers[1].trainable = False
    model.compile("sgd", "mse", matmul_precision="medium")
    model.fit(x, y, epochs=1, batch_size=64, shuffle=False, verbose=0)
    note()
    return found


@needs_tiles
@pytest.mark.parametrize("kind", COMPILED)
def test_kept_splits_follow_the_weights(kind, any_size, tmp_path, monkeypatch):
    """Whatever changes weights, products are those of weights that are split at every call."""
    kept = everything_that_changes_weights(kind, tmp_path)
    monkeypatch.setattr(plans, "_kept", OrderedDict())
    monkeypatch.setattr(LOWERINGS["dense"], "kept", lambda *_: None)
    assert kept == everything_that_changes_weights(kind, tmp_path)


@needs_tiles
def test_kept_splits_after_an_interrupted_fit(any_size, monkeypatch):
    """Ctrl-C in a callback: training goes on with the weights that are there."""

    class Stop(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    def results():
        fastnn.set_random_seed(1)
        x = np.random.default_rng(3).normal(size=(300, 70)).astype(np.float32)
        model = fastnn.Sequential([layers.Dense(80, "relu", input_shape=(70,)), layers.Dense(70)])
        model.compile("adam", "mse", matmul_precision="medium")
        model.fit(x, x, batch_size=40, shuffle=False, verbose=0)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, x, batch_size=40, shuffle=False, verbose=0, callbacks=[Stop()])
        first = model.predict(x, verbose=0).tobytes()
        model.fit(x, x, batch_size=40, shuffle=False, verbose=0)
        return first, model.predict(x, verbose=0).tobytes()

    kept = results()
    monkeypatch.setattr(plans, "_kept", OrderedDict())
    monkeypatch.setattr(LOWERINGS["dense"], "kept", lambda *_: None)
    assert kept == results()
