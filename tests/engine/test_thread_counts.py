"""How many threads: the environment, affinity, quotas, what pays off, what the system refuses."""

import os
import shutil
import subprocess
import sys
from math import ceil, inf

import numpy as np
import pytest
from engine_tools import engine_of
from small_engine import run, small_data, small_model

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn._core import threads as core_threads
from fastnn.engine.thread_tuner import Team


def test_importing_and_training_leaves_the_blas_threads_alone():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    np.ones((64, 64)) @ np.ones((64, 64))
    before = {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
    model = small_model()
    model.fit(*small_data(), verbose=0)
    after = {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
    assert after == before


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


def test_set_num_threads():
    with pytest.raises(ValueError, match="n: expected an integer from 1"):
        core_threads.set_num_threads(0)
    core_threads.set_num_threads(1)
    try:
        assert core_threads.get_num_threads() == 1
    finally:
        core_threads.set_num_threads(None)


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
