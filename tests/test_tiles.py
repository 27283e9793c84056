"""Products by bfloat16 tiles: what is not a matter of precision (test_precision.py)."""

import os
import subprocess
import sys

import pytest

from fastnn._core import kernels

TILES = kernels.has_tiles()
needs_tiles = pytest.mark.skipif(not TILES, reason="this CPU has no tiles")


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
