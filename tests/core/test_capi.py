"""fastnn.capi: another Cython module cimports the kernels, without headers of ours and without a link step."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn._core import kernels

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

USER = """
# cython: language_level=3
from fastnn.capi cimport (
    NO_MEMORY, OK, UNKNOWN_ROW, WRONG_COUNT, activation_backward, activation_forward, activation_from_input,
    activation_row, batch_norm_stats, dense_backward, dense_forward, loss_forward_backward, loss_row, optimizer_row,
    optimizer_step, row_defaults, softmax_forward,
)

def dense(double[:, ::1] y, double[:, ::1] x, double[:, ::1] w):
    cdef const void *row = activation_row(b"relu")
    cdef int status
    cdef ptrdiff_t B = x.shape[0], n = x.shape[1], m = w.shape[1]
    with nogil:
        status = dense_forward(1, &y[0, 0], &x[0, 0], &w[0, 0], NULL, B, n, m, 8 * m, 8 * n, 8 * m, row, NULL, 0, 1)
        status |= softmax_forward(1, 0, &y[0, 0], &y[0, 0], B, m, 8 * m, 8 * m, 1)
    return status

def step(double[::1] w, double[::1] g):
    return optimizer_step(optimizer_row(b"sgd"), 1, &w[0], NULL, NULL, NULL, &g[0], w.shape[0], 0.5, 1, NULL, 0, 1)

def unknown():
    return activation_row(b"rleu") == NULL and loss_row(b"mse", 0) == NULL

cdef const void *row_of(kind, bytes name):
    if kind == "activation":
        return activation_row(name)
    return optimizer_row(name) if kind == "optimizer" else loss_row(name, kind == "metric")

def defaults(kind, bytes name):
    cdef double s[8]
    cdef int n = row_defaults(row_of(kind, name), s)
    return n if n < 0 else list(s)[:n]

def count(kind, bytes name):
    return row_defaults(row_of(kind, name), NULL)

def apply(kind, bytes name, double[::1] y, double[::1] x, given):
    cdef double s[8]
    for i, value in enumerate(given or ()):
        s[i] = value
    return activation_forward(row_of(kind, name), 1, &y[0], &x[0], x.shape[0], NULL if given is None else s,
                              0 if given is None else len(given), 1)

def statuses(kind, bytes name, int n):
    # of every function that takes a row, with n parameters (-1: NULL, but a count of 1)
    cdef double s[8]
    cdef double x[4]
    cdef double y[4]
    cdef double total[2]
    cdef const double *p = NULL if n <= 0 else s
    cdef const void *row = row_of(kind, name)
    cdef int m = 1 if n < 0 else n
    s[:] = [0.5] * 8
    x[:] = y[:] = [1] * 4
    found = [
        activation_forward(row, 1, y, x, 4, p, m, 1), activation_backward(row, 1, y, x, x, 4, p, m, 1),
        dense_forward(1, y, x, x, NULL, 2, 2, 2, 16, 16, 16, row, p, m, 1),
        dense_backward(1, y, NULL, NULL, x, x, x, x, 2, 2, 2, 16, 16, 16, 16, 16, 16, row, p, m, 1),
        optimizer_step(row, 1, y, NULL, NULL, NULL, x, 4, 0.5, 1, p, m, 1),
        loss_forward_backward(row, 1, total, y, NULL, x, x, NULL, p, m, 2, 2, 16, 16, 16, 1),
        loss_forward_backward(row, 1, total, NULL, NULL, x, x, NULL, p, m, 2, 2, 16, 16, 16, 1),
    ]
    return found, list(y)

def without_activation(int n):
    cdef double s[8]
    cdef double x[4]
    cdef double y[4]
    s[:] = [1] * 8
    x[:] = [1] * 4
    cdef const double *p = NULL if n == 0 else s
    return (dense_forward(1, y, x, x, NULL, 2, 2, 2, 16, 16, 16, NULL, p, n, 1),
            dense_forward(1, y, x, x, NULL, 2, 2, 2, 16, 16, 16, activation_row("linear"), p, n, 1), list(y))

def adam(double[::1] w, double[::1] m, double[::1] v, double[::1] g):
    return optimizer_step(optimizer_row(b"adam"), 1, &w[0], &m[0], &v[0], NULL, &g[0], w.shape[0], 0.5, 1, NULL, 0, 1)

def loss(bytes name, double[:, ::1] y_pred, double[:, ::1] y_true):
    cdef double total[2]
    cdef double out[64]
    cdef int status = loss_forward_backward(
        loss_row(name, 0), 1, total, out, NULL, &y_pred[0, 0], &y_true[0, 0], NULL, NULL, 0, y_pred.shape[0],
        y_pred.shape[1], 0, 8 * y_pred.shape[1], 8 * y_pred.shape[1], 1)
    return status, total[0]

def from_input(kind, bytes name):
    return activation_from_input(row_of(kind, name))

STATUS = OK, NO_MEMORY, UNKNOWN_ROW, WRONG_COUNT
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


# --- parameters of rows ---


def rows():
    """(kind, name, {parameter: default}, ...) of every list, those of losses once."""
    losses = kernels.loss_rows()
    metrics = [row for row in kernels.metric_rows() if row not in losses]
    lists = {
        "activation": kernels.activation_rows(),
        "optimizer": kernels.optimizer_rows(),
        "loss": losses,
        "metric": metrics,
    }
    return [(kind, *row) for kind, found in lists.items() for row in found]


def test_defaults_of_every_row(user):
    for kind, name, defaults, *_ in rows():
        assert user.defaults(kind, name.encode()) == list(defaults.values()), name
        assert user.count(kind, name.encode()) == len(defaults)
    assert user.defaults("activation", b"rleu") == user.count("loss", b"mse") == -2


def test_no_parameters_are_the_defaults(user):
    x = np.linspace(-3, 3, 13)
    y = np.empty(13)
    known = {
        b"elu": np.where(x > 0, x, np.expm1(x)),
        b"leaky_relu": np.where(x > 0, x, 0.2 * x),
        b"squareplus": (x + np.sqrt(x * x + 4)) / 2,
        b"relu": np.maximum(x, 0),
    }
    for name, right in known.items():
        assert user.apply("activation", name, y, x, None) == 0
        np.testing.assert_allclose(y, right, rtol=1e-15)
    assert user.apply("activation", b"elu", y, x, [0.5]) == 0
    np.testing.assert_allclose(y, np.where(x > 0, x, 0.5 * np.expm1(x)), rtol=1e-15)
    w, m, v, g = np.ones(3), np.zeros(3), np.zeros(3), np.array([3.0, -1e-3, 20.0])
    assert user.adam(w, m, v, g) == 0
    rate = 0.5 * np.sqrt(1 - 0.999) / (1 - 0.9)  # Kingma & Ba 2015, end of section 2, t = 1
    np.testing.assert_allclose(w, 1 - rate * 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-7), rtol=1e-12)
    np.testing.assert_allclose([m, v], [0.1 * g, 0.001 * g * g], rtol=1e-12)
    status, total = user.loss(b"huber", np.array([[0.5, 3.0]]), np.zeros((1, 2)))
    assert (status, total) == (0, (0.125 + 2.5) / 2)


def test_unknown_rows_and_wrong_counts_are_statuses(user):
    assert user.STATUS == (0, -1, -2, -3)
    for kind, name, n in [("activation", b"rleu", 0), ("loss", b"mse", 0), ("metric", b"confusion", 0)]:
        found, y = user.statuses(kind, name, n)
        assert found == [-2] * 7 and y == [1] * 4, name
    for kind, name, right in [
        ("activation", b"elu", [0, 1, 2, 3]), ("optimizer", b"adam", [4]), ("loss", b"huber", [5, 6]),
    ]:  # fmt: skip
        count = user.count(kind, name)
        for n in range(-1, 9):
            found, y = user.statuses(kind, name, n)
            # a loss is a row of another list as a metric
            ours = right if kind != "loss" else [5]
            expected = [(0 if n in (0, count) else -3) if i in ours else -2 for i in range(7)]
            assert found == expected, (name, n)
            assert y == [1] * 4 or 0 in found
    assert user.without_activation(0) == (-2, 0, [2] * 4) and user.without_activation(1)[:2] == (-2, -3)
    assert user.from_input("activation", b"gelu") == 1 and user.from_input("activation", b"relu") == 0
    assert user.from_input("loss", b"huber") == user.from_input("activation", b"rleu") == -2


def text(defaults):
    return ", ".join(f"{name}={value:g}" for name, value in defaults.items())


def test_the_declarations_have_the_table():
    page = (Path(fastnn.__file__).parent / "capi.pxd").read_text()
    page = re.sub(r",\n# +", ", ", page)
    found = dict(re.findall(r"^#     (\w+): (.+=.+)$", page, re.MULTILINE))
    expected = {name: text(p) for _, name, p, *_ in rows() if p and name not in ("confusion", "histogram")}
    assert found == expected


def test_the_page_has_the_table():
    page = Path(fastnn.__file__).resolve().parent.parent / "docs" / "capi.md"
    if not page.exists():
        pytest.skip("no docs beside an installed package")
    found = re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|(?: (.+) \|)?$", page.read_text(encoding="utf-8"), re.MULTILINE)
    last = {"activation": lambda rest: "", "optimizer": lambda rest: ", ".join(rest[0])}
    expected = [
        (name, text(p), last.get(kind, lambda rest: rest[0])(rest))
        for kind, name, p, *rest in rows() if name not in ("confusion", "squares", "histogram")
    ]  # fmt: skip
    assert found == expected
