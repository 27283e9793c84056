"""Ctrl-C, deadlines and signals: answered at a step's boundary, and nothing of others is touched."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from engine_tools import engine_of
from small_engine import small_data, small_model


def test_a_deadline_stops_at_a_step_boundary():
    engine = engine_of(small_model(), threads=1)
    x, y = small_data(200_000)
    done, _, _ = engine.fit_block(x, y, None, None, 0, len(x), 32, np.full(6250, 1e-3), 1e-4)
    assert 0 < done < len(x)
    assert done % 32 == 0
    assert engine.step == done // 32


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import fastnn
from fastnn import layers
threads, after = int(sys.argv[1]), float(sys.argv[2])
model = fastnn.Sequential([fastnn.Input((100,)), layers.Dense(256, activation="relu"), layers.Dense(10)])
model.compile("adam", "mse", threads=threads)
x, y = np.ones((20000, 100), np.float32), np.ones((20000, 10), np.float32)
model.fit(x[:64], y[:64], verbose=0)
before = model.get_weights()
sent = []
def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(after, interrupt).start()
try:
    model.fit(x, y, epochs=10**6, verbose=0)
except KeyboardInterrupt:
    late = time.monotonic() - sent[0]
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert any((a != b).any() for a, b in zip(after, before))
    model.fit(x[:64], y[:64], verbose=0)  # usable
    print("late", late)
"""


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ctrl_c_is_answered_and_keeps_what_was_trained(n):
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(n), str(0.3 + 0.07 * n)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("late")


def test_fit_comes_back_to_python_often():
    """Twice in the 0.2 s in which Ctrl-C is to be answered."""
    model = small_model(threads=1)
    model.fit(*small_data(), verbose=0)
    engine, asked = model.engine(), []
    real = engine.fit_block
    engine.fit_block = lambda *a: asked.append(a[8]) or real(*a)
    model.fit(*small_data(), verbose=0)
    assert set(asked) == {0.1}


def test_interrupts_and_signals_of_others_are_untouched():
    handler = signal.getsignal(signal.SIGINT)
    model = small_model()
    model.fit(*small_data(), verbose=0)
    assert signal.getsignal(signal.SIGINT) is handler


def test_time_is_not_spent_outside_the_executor():
    """A coarse bound that holds on any machine: fit of many small steps is one call of the core, not one a step."""
    model = small_model(threads=1)
    x, y = small_data(6400)
    calls = []
    model.fit(x, y, verbose=0)
    engine = model.engine()
    real = engine.fit_block
    engine.fit_block = lambda *a: calls.append(1) or real(*a)
    model.fit(x, y, verbose=0)
    assert 1 <= len(calls) <= 20
