"""Promises of the executor: memory, interruption, forks, threads, Python in the middle."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from math import ceil, inf

import numpy as np
import pytest
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn._core import threads as core_threads
from fastnn.engine.thread_tuner import Team


def small_model(threads=None, dtype="float32", loss="sparse_categorical_crossentropy"):
    fastnn.set_random_seed(1)
    model = fastnn.Sequential(
        [fastnn.Input((20,)), layers.Dense(64, activation="relu"), layers.BatchNormalization(),
         layers.Dropout(0.2), layers.Dense(5, activation="softmax")], dtype=dtype)  # fmt: skip
    model.compile("adam", loss, metrics=["accuracy"], seed=2, threads=threads)
    return model


def small_data(n=640):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 20)).astype(np.float32), rng.integers(0, 5, n).astype(np.int32)


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


class Scale(layers.Layer):
    """y = scale * x: a layer of a user's, in plain NumPy."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=input_shape[1:], initializer="ones")

    def call(self, x, training=False):
        self.x = x
        return x * self.scale.numpy()

    def backward(self, dy):
        self.grads = [(dy * self.x).sum(0)]
        return dy * self.scale.numpy()


def test_a_layer_in_numpy_trains_like_the_compiled_ones():
    """Against a central difference of the loss in every weight of the model."""
    model = fastnn.Sequential(
        [fastnn.Input((6,)), layers.Dense(5, activation="tanh"), Scale(), layers.Dense(3, activation="softmax")],
        dtype="float64")  # fmt: skip
    model.compile(fastnn.SGD(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 6)), rng.integers(0, 3, 9)
    before = model.get_weights()

    def loss():
        return model.test_on_batch(x, y)[0]

    slopes = []
    for i, w in enumerate(before):
        slope = np.zeros_like(w)
        for at in np.ndindex(w.shape):
            values = []
            for step in (1e-6, -1e-6):
                changed = [v.copy() for v in before]
                changed[i][at] += step
                model.set_weights(changed)
                values.append(loss())
            slope[at] = (values[0] - values[1]) / 2e-6
        slopes.append(slope)
    model.set_weights(before)
    first, accuracy = model.train_on_batch(x, y)
    assert 0 <= accuracy <= 1
    assert first == pytest.approx(loss_of(before, x, y))
    for w, b, s in zip(model.get_weights(), before, slopes, strict=True):
        np.testing.assert_allclose(b - w, s, atol=1e-8)


def loss_of(weights, x, y):
    w1, b1, scale, w2, b2 = weights
    z = np.tanh(x @ w1 + b1) * scale @ w2 + b2
    z -= z.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def test_a_loss_and_a_metric_in_numpy():
    """The same function as the built-in one gives the same training."""

    def mean_square(y_true, y_pred):
        difference = y_pred - y_true
        return (difference**2).mean(1), 2 * difference / difference.shape[1]

    def largest_error(y_true, y_pred):
        return np.abs(y_pred - y_true).max(1)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 6)), rng.normal(size=(100, 2))
    results = []
    for loss in ("mse", mean_square):
        fastnn.set_random_seed(3)
        stack = [fastnn.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(2)]
        model = fastnn.Sequential(stack, dtype="float64")
        model.compile("adam", loss, metrics=[largest_error], seed=1)
        history = model.fit(x, y, epochs=3, verbose=0, sample_weight=np.linspace(0, 2, 100))
        results.append((model.get_weights(), history.history["loss"], model.evaluate(x, y, verbose=0)))
        expected = np.abs(model.predict(x, verbose=0) - y).max(1).mean()
        assert results[-1][2][1] == pytest.approx(expected)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)
    for a, b in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_subnormals_are_flushed_inside_and_the_callers_mode_is_untouched():
    tiny = np.float32(1e-41)
    model = small_model()
    x, y = small_data()
    model.fit(x, y, verbose=0)
    assert np.add(tiny, tiny, dtype=np.float32) > 0


def test_importing_and_training_leaves_the_blas_threads_alone():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    np.ones((64, 64)) @ np.ones((64, 64))
    before = {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
    model = small_model()
    model.fit(*small_data(), verbose=0)
    after = {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
    assert after == before


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60,
        env=os.environ | environment,
    )  # fmt: skip


def test_omp_num_threads_and_affinity_are_respected():
    code = "from fastnn._core import threads; print(threads.available_threads())"
    assert run(code, OMP_NUM_THREADS="1").stdout.strip() == "1"
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + code
    assert run(code).stdout.strip() == "1"


@pytest.mark.parametrize(("text", "cores"), [("max 100000", None), ("150000 100000", 1.5), ("", None)])
def test_the_cgroup_quota_is_read(text, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(text)
    assert core_threads._quota(tmp_path) == cores


def test_the_quota_of_an_old_cgroup_is_read(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("250000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert core_threads._quota(tmp_path) == 2.5


def test_an_unknown_or_too_new_instruction_set_is_refused_at_start():
    result = run("import fastnn._core.kernels", FASTNN_ISA="sse9")
    assert result.returncode != 0
    assert "unknown instruction set 'sse9'" in result.stderr
    from fastnn._core import kernels

    for name in set(kernels.built_targets()) - set(kernels.targets()):
        result = run("import fastnn._core.kernels", FASTNN_ISA=name)
        assert result.returncode == 1
        assert "refused" in result.stderr


def test_set_num_threads():
    with pytest.raises(ValueError, match="n: expected an integer from 1"):
        core_threads.set_num_threads(0)
    core_threads.set_num_threads(1)
    try:
        assert core_threads.get_num_threads() == 1
    finally:
        core_threads.set_num_threads(None)


def test_interrupts_and_signals_of_others_are_untouched():
    handler = signal.getsignal(signal.SIGINT)
    model = small_model()
    model.fit(*small_data(), verbose=0)
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_first_steps_of_a_call_are_not_timed():
    """Threads that have slept need a while to wake up.  Nor is the second: a team stops a step after it is asked to."""
    engine = engine_of(small_model())
    x, y = small_data(640)
    arguments = (x, y, None, None, 0, 640, 32, np.full(20, 1e-3))
    engine.fit_block(*arguments)
    (program,) = engine._programs.values()
    timed = []

    class Watch:
        def next(self):
            return 2, 10.0

        def report(self, n, seconds, steps, disturbed):
            timed.append(steps)

    program.team = Watch()
    assert engine.fit_block(*arguments)[0] == 640
    assert sum(timed) == 18 + (not core_threads.openmp())  # in one slice, where nothing disturbs it


@pytest.mark.skipif(not core_threads.openmp(), reason="one thread waits for nobody")
def test_threads_that_wait_for_one_that_does_not_run_say_so():
    """More threads than cores, many barriers: most of the time each waits for others. Alone, a thread never does."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if 4 * cores > 64:
        pytest.skip("a team has at most 64 threads")
    model = fastnn.Sequential([fastnn.Input((64,)), *(layers.Dense(64, "relu") for _ in range(8)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((12800, 64), np.float32), np.zeros((12800, 1), np.float32)
    found = {}
    for n in (1, 4 * cores):

        class Fixed:
            def next(self, n=n):
                return n, 10.0

            def report(self, n, seconds, steps, disturbed):
                found[n] = found.get(n, False) or disturbed

        engine = engine_of(model, schedule="layers", threads=n)
        engine.program("train", 64, (256, kernels.DATA_CODES["<f4"]), (4, kernels.DATA_CODES["<f4"])).team = Fixed()
        engine.fit_block(x, y, None, None, 0, 12800, 64, np.full(200, 1e-3))
    assert found == {1: False, 4 * cores: True}


class TestTeam:
    """The choice of threads, from made-up times: slices of many steps as of `fit`, or calls of one step each."""

    def choose(self, step, total, single, estimate=1.0, most=4):
        """[(threads, begin, end), ...] of slices; step(threads, seconds so far, threads of the slice before)."""
        team, now, used = Team(None, estimate), 0.0, [(1, 0.0, 0.0)]
        team.most = lambda: most
        Team.disturbed_at = -inf  # by a neighbour of this very test run
        while now < total:
            n, asked = team.next()
            seconds = step(n, now, used[-1][0])
            steps = 1 if single else max(1, ceil(asked / seconds))
            team.report(n, steps * seconds, steps)
            used.append((n, now, now + steps * seconds))
            now = used[-1][2]
        return used[1:]

    def share(self, used, threads, begin=0.0, end=inf):
        """Of the time between `begin` and `end`, how much was worked with so many threads."""
        inside = [(n, last - first) for n, first, last in used if begin <= first and last <= end]
        return sum(t for n, t in inside if n == threads) / sum(t for _, t in inside)

    def test_a_short_step_uses_one_thread(self, single):
        assert self.share(self.choose(lambda n, now, last: 1e-3 / n, 1, single, estimate=1e-6), 1) == 1

    def test_all_threads_where_they_pay_off(self, single):
        assert self.share(self.choose(lambda n, now, last: 1e-3 / n, 20, single), 4) > 0.99

    def test_one_thread_where_they_do_not(self, single):
        assert self.share(self.choose(lambda n, now, last: 1e-3 * n, 20, single), 1) > 0.98

    def test_a_busy_neighbour_comes_and_goes(self, single):
        """From 10 s to 20 s all threads are ten times slower than one."""
        used = self.choose(lambda n, now, last: 1e-2 if n > 1 and 10 <= now < 20 else 1e-3 / n, 40, single)
        assert self.share(used, 4, end=10) > 0.98
        assert self.share(used, 1, begin=10, end=20) > 0.95
        assert self.share(used, 4, begin=24) > 0.95

    def test_lucky_slices_beside_a_busy_neighbour_are_not_trusted(self, single):
        """The first slice with all threads goes well each time, those after it do not."""
        used = self.choose(lambda n, now, last: 1e-2 if 1 < n == last else 1e-3 / n, 60, single)
        assert self.share(used, 1, begin=1) > (0.98 if single else 0.99)

    def test_a_hiccup_is_soon_forgotten(self, single):
        used = self.choose(lambda n, now, last: 1e-2 if n > 1 and now % 5 < 0.02 else 1e-3 / n, 60, single)
        assert self.share(used, 4) > 0.97

    def test_one_thread_may_become_the_better(self, single):
        used = self.choose(lambda n, now, last: 1e-3 / n if n > 1 else 1e-3 if now < 10 else 1e-4, 60, single)
        assert self.share(used, 4, end=10) > 0.98
        assert self.share(used, 1, begin=25) > 0.98

    def test_the_first_slice_pays_for_cold_caches(self, single):
        seen = {1}

        def step(n, now, last):
            seconds = 1e-3 / n if n in seen else 1e-2
            seen.add(n)
            return seconds

        assert self.share(self.choose(step, 0.3, single), 4) > 0.9

    def test_threads_may_need_a_call_to_wake_up(self):
        """The first call with all threads is slower than with one, those after it are not."""
        used = self.choose(lambda n, now, last: 1.5e-3 if 1 < n != last else 1e-3 / n, 20, True)
        assert self.share(used, 4) > 0.98

    def test_trying_costs_little_however_bad_it_is(self, single):
        """Beside a neighbour a call with all threads may take a whole time slice of the system."""
        used = self.choose(lambda n, now, last: 4e-3 if n > 1 else 1e-4, 20, single)
        assert self.share(used, 1, begin=1) > 0.98

    @pytest.mark.parametrize(
        ("relative", "chosen"),
        [
            ({2: 0.55, 4: 0.35, 8: 0.3, 16: 0.33}, 8),
            ({2: 0.5, 4: 0.25, 8: 0.125, 16: 0.07}, 16),
            ({2: 0.9, 4: 1.2, 8: 2, 16: 4}, 2),
            ({2: 1.1, 4: 1.3, 8: 2, 16: 4}, 1),
        ],
    )
    def test_the_best_of_16(self, relative, chosen, single):
        """On a machine with 16 cores: what each number of threads takes, relative to one."""
        used = self.choose(lambda n, now, last: 1e-3 * relative.get(n, 1), 20, single, most=16)
        assert self.share(used, chosen) > 0.96
        assert {n for n, _, _ in used} <= {1, 2, 4, 8, 16}

    def test_numbers_that_are_clearly_slower_are_not_tried(self, single):
        used = self.choose(lambda n, now, last: 1e-3 * n, 20, single, most=16)
        assert max(n for n, _, _ in used) == 2

    def test_the_best_number_may_change(self, single):
        """After 10 s half of 8 cores get busy; after 30 s they are free again."""
        used = self.choose(lambda n, now, last: 1e-2 if n > 4 and 10 <= now < 30 else 1e-3 / n, 90, single, most=8)
        assert self.share(used, 8, end=10) > 0.95
        assert self.share(used, 4, begin=11, end=30) > 0.9
        assert self.share(used, 8, begin=60) > 0.95

    @pytest.mark.parametrize(("most", "numbers"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (16, [1, 2, 4, 8, 16])])
    def test_numbers_of_threads(self, most, numbers):
        team = Team(None, 1.0)
        team.most = lambda: most
        assert team.numbers() == numbers

    def test_a_disturbed_try_is_not_repeated_by_the_next_program(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        monkeypatch.setattr(Team, "disturbed_at", -inf)
        first, second = Team(None, 1.0), Team(None, 1.0)
        first.most = second.most = lambda: 2
        for n in (1, 1, 2):
            assert first.next()[0] == n
            first.report(n, 2e-3 * n, 2, disturbed=n > 1)
        for _ in range(5):
            assert second.next()[0] == 1
            second.report(1, 50e-3, 50)
        now[0] += 60
        assert second.next()[0] == 2

    def test_what_the_user_asks_for_is_used(self):
        assert Team(3, 1e-9).next() == (3, 0.0)


@pytest.fixture(params=[False, True], ids=["slices", "calls"])
def single(request):
    return request.param


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


@pytest.mark.parametrize("n", [0, 65, 10**6, 1.5, True, "2"])
def test_threads_that_cannot_be(n):
    with pytest.raises(ValueError, match="threads: expected an integer from 1 to 64 or None"):
        small_model().compile("sgd", "mse", threads=n)
    with pytest.raises(ValueError, match="n: expected an integer from 1 to 64 or None"):
        fastnn.set_num_threads(n)


def test_whole_numbers_of_numpy_are_numbers_of_threads():
    model = small_model()
    x, y = small_data(64)
    model.fit(x, y, verbose=0, threads=np.int64(2))


@pytest.mark.filterwarnings("ignore:OMP_NUM_THREADS")
@pytest.mark.parametrize("value", ["\u00b2", "9" * 5000, "x", "-1", ""])
def test_nonsense_in_omp_num_threads(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert core_threads.available_threads() >= 1


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    return getenv("NO_MORE_THREADS") ? EAGAIN : real(t, a, f, x);
}
"""
WITHOUT_THREADS = """
import os
import numpy as np, fastnn
from fastnn import layers
x, y = np.ones((640, 50), "f4"), np.ones((640, 10), "f4")
def trained(threads):
    model = fastnn.Sequential([layers.Dense(64, "relu", input_shape=(50,)), layers.Dense(10)])
    model.compile("sgd", "mse", seed=0, threads=threads)
    fastnn.set_random_seed(0)
    model.fit(x, y, epochs=3, verbose=0)
    return model.predict(x)
fastnn.set_random_seed(0)
alone = trained(1)
os.environ["NO_MORE_THREADS"] = "1"
fastnn.set_random_seed(0)
assert (trained(3) == alone).all()
fastnn.set_random_seed(0)
assert (trained(None) == alone).all()
big = np.linspace(-2, 2, 400000)
assert (fastnn.ops.tanh(big, threads=3) == fastnn.ops.tanh(big, threads=1)).all()
assert (fastnn.ops.dense_forward(np.ones((2000, 300)), np.ones((300, 300)), threads=3) == 300).all()
del os.environ["NO_MORE_THREADS"]
before = len(os.listdir("/proc/self/task"))
fastnn.set_random_seed(0)
assert (trained(3) == alone).all()
print("alive", len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD and /proc")
def test_threads_that_cannot_be_made_do_not_end_the_process(tmp_path):
    """The OpenMP runtime would: it is not asked for more than can be had."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", tmp_path / "shim.c", "-o", shim, "-ldl"], check=True)
    more = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(shim)]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_THREADS], capture_output=True, text=True, check=False,
        env={**os.environ, "LD_PRELOAD": more, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["alive", "2" if core_threads.openmp() else "0"]
