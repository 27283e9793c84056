"""Memory of many networks: scratch comes from one pool, activations and copies are made when they are needed."""

import gc
import json
import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._core import scratch

SIZES = (32, 128, 128, 32)
BATCH = 32
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, SIZES[0])).astype("f4")
Y = RNG.normal(size=(BATCH, SIZES[-1])).astype("f4")
WEIGHTS = 4 * sum((i + 1) * o for i, o in zip(SIZES, SIZES[1:], strict=False))
ACTIVATIONS = 4 * BATCH * sum(SIZES)


no_sanitizer = pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="which keeps what is freed")


def network(optimizer="sgd", dtype="float32", threads=None, seed=0):
    fastnn.set_random_seed(seed)
    hidden = [layers.Dense(n, "tanh") for n in SIZES[1:-1]]
    model = fastnn.Sequential([fastnn.Input(SIZES[:1]), *hidden, layers.Dense(SIZES[-1])], dtype=dtype)
    model.compile(optimizer, "mse", seed=0, threads=threads)
    return model


def manual_step(model):
    y = model.forward(X, training=True)
    model.backward((y - Y).astype(y.dtype))
    model.apply_gradients()


CALLS = {
    "manual step": manual_step,
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "fit in chunks": lambda model: model.fit(np.tile(X, (16, 1)), np.tile(Y, (16, 1)), batch_size=512, verbose=0),
}


@no_sanitizer
@pytest.mark.parametrize("call", ["manual step", "train_on_batch"])
@pytest.mark.parametrize(("optimizer", "states"), [("sgd", 0), ("adam", 2)])
def test_memory_of_a_further_network(call, optimizer, states):
    """At most three times weights and activations; what an optimizer keeps is as large as the weights."""
    for _ in range(3):  # what is imported and cached once
        CALLS[call](network(optimizer))
    before = scratch.nbytes()
    models = [network(optimizer) for _ in range(40)]
    tracemalloc.start()
    try:
        for model in models:
            CALLS[call](model)
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / len(models)
    finally:
        tracemalloc.stop()
    assert each <= 3 * (WEIGHTS + ACTIVATIONS) + states * WEIGHTS
    assert scratch.nbytes() <= before  # no matter how many networks


MANY = """
import gc, json, os, sys
sys.path.insert(0, {tests!r})
import test_scratch as t

def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

found = dict(none=t.scratch.nbytes())
t.manual_step(t.network())
gc.collect()
found["left"], before = t.scratch.nbytes(), resident()
models = [t.network("adam") for _ in range(300)]
for model in models:
    t.manual_step(model)
found["kept"], found["grown"] = t.scratch.nbytes(), resident() - before
del models, model
gc.collect()
found["after"], found["back"] = t.scratch.nbytes(), resident() - before
print(json.dumps(found))
"""


@no_sanitizer
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_of_300_networks_is_given_back():
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run([sys.executable, "-c", MANY.format(tests=here)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["none"] == found["left"] == found["after"] == 0
    assert 0 < found["kept"] <= 1 << 20
    assert found["grown"] < 300 * (3 * (WEIGHTS + ACTIVATIONS) + 2 * WEIGHTS + 64 * 1024)
    assert found["back"] < found["grown"] / 3  # the allocator keeps some


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_pool_is_as_it_was_after_the_first_step(call, threads):
    model = network("adam", threads=threads)
    CALLS[call](model)
    held, arenas = scratch.nbytes(), [len(p.core.arenas) for p in model._engine._programs.values()]
    for _ in range(5):
        CALLS[call](model)
    assert scratch.nbytes() == held
    assert [len(p.core.arenas) for p in model._engine._programs.values()] == arenas


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", CALLS)
def test_no_number_depends_on_what_scratch_holds(call, dtype):
    results = []
    for byte in (0, 255):  # NaN
        model = network("adam", dtype, threads=2)
        for _ in range(3):
            CALLS[call](model)
            scratch.fill(byte)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)


def test_networks_that_train_at_the_same_time():
    expected = network("adam", seed=1)
    for _ in range(40):
        CALLS["fit in chunks"](expected)
    models, errors = [network("adam", seed=1) for _ in range(4)], []
    start = threading.Barrier(len(models))

    def train(model):
        start.wait()
        try:
            for _ in range(40):
                CALLS["fit in chunks"](model)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=train, args=(model,)) for model in models]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    for model in models:
        for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_more_threads_than_before():
    """A number of threads that was not asked for when the program was planned: the same bits."""
    x, y = np.tile(X, (64, 1)), np.tile(Y, (64, 1))
    results = []
    for counts in ([1, 1, 1], [1, 12, 3]):
        model = network("adam")
        for threads in counts:
            model.fit(x, y, batch_size=1024, verbose=0, shuffle=False, threads=threads)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@no_sanitizer  # it ends the process for a size that large
def test_no_memory_for_scratch():
    """A MemoryError, before anything is changed; others get theirs as before."""
    model = network("adam", seed=2)
    model.train_on_batch(X, Y)
    before, engine = model.get_weights(), model._engine
    program = next(iter(engine._programs.values()))
    plan = object.__new__(type(program.plan))
    plan.__dict__.update(program.plan.__dict__, scratch_bytes=(1 << 62))
    starved = type(program)(plan, engine)
    live = (X.ctypes.data, Y.ctypes.data, 0, 0, 0, 0)
    with pytest.raises(MemoryError, match=f"scratch of a run, {1 << 62} bytes"):
        starved.core.run(live, BATCH, BATCH, lrs=np.full(1, 0.1))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(X, Y)
    network("adam").train_on_batch(X, Y)


def test_threads_share_no_page_of_activations():
    """What a processor reads ahead of one thread, to the end of a page, are no lines that another writes to."""
    model = network(threads=3)
    model.fit(np.tile(X, (16, 1)), np.tile(Y, (16, 1)), batch_size=512, verbose=0)
    (program,) = model.engine()._programs.values()
    program.core.prepare(3)
    pages = [set(range(a.ctypes.data // 4096, (a.ctypes.data + a.nbytes - 1) // 4096 + 1)) for a in program.core.arenas]
    assert len(pages) == 3 and len(set().union(*pages)) == sum(map(len, pages))
