"""fastnn.capi: another Cython module cimports the kernels, without headers of ours and without a link step."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

USER = """
# cython: language_level=3
from fastnn.capi cimport (
    activation_row, batch_norm_stats, dense_forward, loss_row, optimizer_row, optimizer_step, softmax_forward,
)

def dense(double[:, ::1] y, double[:, ::1] x, double[:, ::1] w):
    cdef double s[8]
    cdef const void *row = activation_row(b"relu")
    cdef int status
    cdef ptrdiff_t B = x.shape[0], n = x.shape[1], m = w.shape[1]
    s[:] = [0] * 8
    with nogil:
        status = dense_forward(1, &y[0, 0], &x[0, 0], &w[0, 0], NULL, B, n, m, 8 * m, 8 * n, 8 * m, row, s, 1)
        status |= softmax_forward(1, 0, &y[0, 0], &y[0, 0], B, m, 8 * m, 8 * m, 1)
    return status

def step(double[::1] w, double[::1] g):
    cdef double s[8]
    s[:] = [0] * 8
    optimizer_step(optimizer_row(b"sgd"), 1, &w[0], NULL, NULL, NULL, &g[0], w.shape[0], 0.5, 1, s, 1)

def unknown():
    return activation_row(b"rleu") == NULL and loss_row(b"mse", 0) == NULL
"""

SETUP = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(ext_modules=cythonize([Extension("capi_user", ["capi_user.pyx"])], include_path=[sys.argv.pop()], quiet=True))
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capi")
    (folder / "capi_user.pyx").write_text(USER)
    (folder / "setup.py").write_text(SETUP)
    home = str(Path(fastnn.__file__).resolve().parent.parent)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", home]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if built.returncode and "command" in built.stderr and "not found" in built.stderr:
        pytest.skip("no C compiler")
    assert built.returncode == 0, built.stderr[-3000:]
    sys.path.insert(0, str(folder))
    try:
        import capi_user
    finally:
        sys.path.remove(str(folder))
    return capi_user


def test_kernels_by_cimport(user):
    x, w = np.random.default_rng(0).normal(size=(20, 7)), np.random.default_rng(1).normal(size=(7, 5))
    y = np.empty((20, 5))
    assert user.dense(y, x, w) == 0
    right = fastnn.ops.softmax(fastnn.ops.dense_forward(x, w, activation="relu"))
    assert y.tobytes() == right.tobytes()
    v = np.ones(9)
    user.step(v, np.full(9, 2.0))
    assert (v == 0).all()
    assert user.unknown()
