"""fastnn.ops: docstrings, signatures, threads, forks, random calls."""

import doctest
import inspect
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from ops_tools import as_bytes, normal

from fastnn import ops
from fastnn._core import kernels


def test_every_function_has_a_docstring_whose_examples_run():
    finder, examples = doctest.DocTestFinder(), 0
    for name in ops.__all__:
        function = getattr(ops, name)
        assert function.__name__ == name and function.__doc__
        tests = finder.find(function, name, globs={}, module=False)
        assert any(t.examples for t in tests), f"{name}: no example"
        for test in tests:
            result = doctest.DocTestRunner().run(test)
            assert result.failed == 0
            examples += result.attempted
    assert examples >= 3 * len(ops.__all__) and len(ops.__all__) >= 40


def test_every_function_takes_threads_and_out():
    for name in ops.__all__:
        names = inspect.signature(getattr(ops, name)).parameters
        assert "threads" in names or name == "philox"
        assert "out" in names or name.endswith("_step") or name in ("philox", "metric")


def test_rows_are_functions():
    for name, _, _ in kernels.activation_rows():
        if not name.endswith("_general"):
            assert callable(getattr(ops, name)) and callable(getattr(ops, name + "_grad"))
    assert all(callable(getattr(ops, name)) for name, _, _ in kernels.loss_rows())
    assert all(callable(getattr(ops, name + "_step")) for name, _, _ in kernels.optimizer_rows())


def test_the_gil_is_released():
    x = np.ones((1200, 1200))
    done, counted = threading.Event(), 0

    def work():
        for _ in range(5):
            ops.dense_forward(x, x, threads=1)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set():
        counted += 1
    worker.join()
    assert counted > 100_000  # a second's work; with the GIL held, five chances to count


def test_two_threads_at_once():
    x = normal((300, 50), "float32")
    right = ops.softmax(x).tobytes(), as_bytes(ops.dense_backward(x, x, np.eye(50, dtype="f4")))
    wrong = []

    def work():
        for _ in range(30):
            got = ops.softmax(x, threads=2), ops.dense_backward(x, x, np.eye(50, dtype="f4"), threads=2)
            if (got[0].tobytes(), as_bytes(got[1])) != right:
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_fork():
    program = """if True:
        import os, numpy as np
        from fastnn import ops
        x = np.ones((500, 100))
        before = ops.dense_forward(x, x.T, threads=2)
        pid = os.fork()
        if pid == 0:
            same = np.array_equal(ops.dense_forward(x, x.T, threads=2), before)
            os._exit(0 if same else 1)
        assert os.waitpid(pid, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def test_a_short_fuzz():
    import fuzz_ops

    assert fuzz_ops.run(calls=1500, seed=0) == 1500
    fresh = int(np.random.SeedSequence().entropy % 2**32)
    assert fuzz_ops.run(calls=500, seed=fresh) == 500
