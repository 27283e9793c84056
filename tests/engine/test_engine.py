"""Promises of the executor: memory, forks, several threads of Python, instruction sets."""

import multiprocessing
import os
import threading
import tracemalloc

import numpy as np
import pytest
from engine_tools import digest, engine_of
from small_engine import run, small_data, small_model


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_allocated_after_the_first_step():
    engine = engine_of(small_model(), threads=2)
    x, y = small_data()
    rates = np.full(20, 1e-3)
    for _ in range(3):
        engine.fit_block(x, y, None, None, 0, 640, 32, rates)
    tracemalloc.start()
    engine.fit_block(x, y, None, None, 0, 640, 32, rates)
    before = tracemalloc.take_snapshot()
    for _ in range(50):
        engine.fit_block(x, y, None, None, 0, 640, 32, rates)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    changes = after.compare_to(before, "filename")
    grown = sum(d.size_diff for d in changes if "tracemalloc" not in d.traceback[0].filename)
    assert grown < 2000


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_resident_memory_is_flat_over_many_steps():
    engine = engine_of(small_model(), threads=2)
    x, y = small_data(32 * 500)
    rates = np.full(500, 1e-3)
    engine.fit_block(x, y, None, None, 0, len(x), 32, rates)
    start = resident()
    for _ in range(20):  # 10^4 steps
        engine.fit_block(x, y, None, None, 0, len(x), 32, rates)
    assert abs(resident() - start) < 1 << 20


def _child(conn):
    model = small_model(threads=2)
    x, y = small_data()
    model.fit(x, y, epochs=2, verbose=0)
    conn.send(digest(model.engine()))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_training_in_a_child_process_gives_the_same_bits(method):
    """libgomp's pool does not survive a fork (scikit-learn#19272): it is let go first."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    model = small_model(threads=2)
    x, y = small_data()
    model.fit(x, y, epochs=2, verbose=0)  # the parent's pool is up
    expected = digest(model.engine())
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs,))
    child.start()
    try:
        assert ours.poll(60), "the child hangs"
        assert ours.recv() == expected
    finally:
        child.join(5)
        child.kill()
    model.fit(x, y, verbose=0)  # and the parent goes on


def test_two_threads_train_two_models():
    x, y = small_data()
    expected = small_model()
    expected.fit(x, y, epochs=4, verbose=0)
    models = [small_model(threads=t) for t in (1, 2)]
    workers = [
        threading.Thread(target=m.fit, args=(x, y), kwargs={"epochs": 4, "verbose": 0}) for m in models
    ]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for m in models:
        assert digest(m.engine()) == digest(expected.engine())


def test_one_model_used_by_two_threads_is_serialised():
    model = small_model()
    x, y = small_data()
    model.fit(x, y, verbose=0)
    errors = []

    def use():
        try:
            for _ in range(20):
                model.train_on_batch(x[:32], y[:32])
                model.predict(x[:50], verbose=0)
        except Exception as error:  # the test reports it
            errors.append(error)

    workers = [threading.Thread(target=use) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not errors
    assert model.engine().step == 20 + 80
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_subnormals_are_flushed_inside_and_the_callers_mode_is_untouched():
    tiny = np.float32(1e-41)
    model = small_model()
    x, y = small_data()
    model.fit(x, y, verbose=0)
    assert np.add(tiny, tiny, dtype=np.float32) > 0


def test_an_unknown_or_too_new_instruction_set_is_refused_at_start():
    result = run("import fastnn._core.kernels", FASTNN_ISA="sse9")
    assert result.returncode != 0
    assert "unknown instruction set 'sse9'" in result.stderr
    from fastnn._core import kernels

    for name in set(kernels.built_targets()) - set(kernels.targets()):
        result = run("import fastnn._core.kernels", FASTNN_ISA=name)
        assert result.returncode == 1
        assert "refused" in result.stderr
