"""Every row of the kernels' lists, by its case: right, on every target, at every size, for any number of threads.

Each test runs a battery and asserts how many checks that was; a row without a case is a failure.
"""

import zlib

import numpy as np
import pytest
from cases import CASES, cases

from fastnn import ops
from fastnn._core import kernels, rows

DTYPES = ["float32", "float64"]
THREADS = [1, 2, 3]
GUARD = 64  # bytes on either side of a buffer
FILL = 0xFF  # NaN, if anybody computes with it

ROWS = {
    "activation": kernels.activation_rows,
    "loss": kernels.loss_rows,
    "optimizer": kernels.optimizer_rows,
    "metric": kernels.metric_rows,
}


@pytest.fixture(params=kernels.targets())
def isa(request):
    rows.use(request.param)
    yield request.param
    rows.use(None)


each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def of(kind):
    return pytest.mark.parametrize("case", cases(kind), ids=str)


def widths(isa, dtype):
    """0, 1 and around the width of a vector and of a panel."""
    w = kernels.vector_bytes(isa) // np.dtype(dtype).itemsize
    return sorted({0, 1, w - 1, w, w + 1, 2 * w + 3, 4 * w + 1})


def rng_of(case, *more):
    return np.random.default_rng(zlib.crc32("|".join(map(str, (case, *more))).encode()))


class Guarded:
    """Arrays of their own, with bytes around them that nobody may touch. Each lies at another offset of a vector."""

    def __init__(self, dtype):
        self.dtype, self.buffers = np.dtype(dtype), []

    def empty(self, shape, dtype=None):
        dtype = np.dtype(dtype or self.dtype)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        shift = len(self.buffers) % 8 * dtype.itemsize
        raw = np.full(nbytes + 2 * GUARD + 64, FILL, np.uint8)
        start = GUARD + shift + (-raw.ctypes.data - GUARD) % 64
        if start + nbytes + 8 > raw.size:
            start -= 64
        self.buffers.append((raw, start, nbytes))
        return raw[start : start + nbytes].view(dtype).reshape(shape)

    def copy(self, array, dtype=None):
        result = self.empty(np.shape(array), dtype)
        result[...] = array
        return result

    def check(self):
        for raw, start, nbytes in self.buffers:
            assert (raw[:start] == FILL).all(), "wrote before a buffer"
            assert (raw[start + nbytes :] == FILL).all(), "wrote behind a buffer"


def close(got, right, case, dtype, more=1.0):
    right = np.asarray(right)
    error = np.abs(np.asarray(got, np.float64) - right)
    limit = case.ulps * more * np.finfo(dtype).eps * np.maximum(np.abs(right), case.scale)
    assert (error <= limit).all(), f"{case}: off by {np.max(error - limit)} more than allowed"


# --- the lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_has_a_case_and_every_case_a_row(kind):
    assert {c.name for c in cases(kind)} == {row[0] for row in ROWS[kind]()}
    assert len({str(c) + str(c.targets) for c in cases(kind)}) == len(cases(kind))


def test_every_parameter_of_a_row_is_tried():
    for kind, list_rows in ROWS.items():
        for name, defaults, _ in list_rows():
            tried = {p for c in cases(kind) if c.name == name for p in c.params}
            assert tried == set(defaults) or kind == "metric", f"{kind} {name}: not all parameters have a case"


def test_there_are_as_many_cases_as_there_should_be():
    assert len(CASES) >= 8 + 8 + 2 + 11
    assert {c.kind for c in CASES} == {*ROWS, "counter"}


# --- activations ----------------------------------------------------------------------------------


def from_input(name):
    return {row: needs for row, _, needs in kernels.activation_rows()}[name]


@of("activation")
@each_dtype
def test_activation(case, dtype, isa):
    checks = 0
    for n in widths(isa, dtype):
        guard = Guarded(dtype)
        rng = rng_of(case, n)
        x = guard.copy(case.draw(rng, n, dtype))
        dy = guard.copy(rng.normal(size=n))
        y, slope = case.reference(x.astype(np.float64))
        got = ops.activation(case.name, x, out=guard.empty(n), **case.params)
        close(got, y, case, dtype)
        t = x if from_input(case.name) else got
        dx = ops.activation_grad(case.name, dy, t, out=guard.empty(n), **case.params)
        close(dx, dy * slope, case, dtype, 2 * max(1.0, np.abs(dy).max(initial=0)))
        # a cut changes nothing: element by element the same bits
        one = [ops.activation(case.name, x[i : i + 1], **case.params)[0] for i in range(n)]
        assert np.array(one, dtype).tobytes() == got.tobytes()
        guard.check()
        checks += 1
    assert checks == len(widths(isa, dtype)) >= 6


@of("activation")
def test_activation_gradient_is_the_central_difference(case, isa):
    x = case.draw(rng_of(case), 200, "float64")
    h = 1e-6
    y = ops.activation(case.name, x, **case.params)
    ahead, behind = (ops.activation(case.name, x + d, **case.params) for d in (h, -h))
    t = x if from_input(case.name) else y
    dx = ops.activation_grad(case.name, np.ones_like(x), t, **case.params)
    np.testing.assert_allclose(dx, (ahead - behind) / (2 * h), rtol=1e-7, atol=1e-8)


@of("activation")
@each_dtype
def test_activation_at_the_ends(case, dtype, isa):
    ends = np.array([-np.inf, np.inf, np.nan, 0.0, -0.0], dtype)
    y = ops.activation(case.name, ends, **case.params)
    np.testing.assert_allclose(y[:2], case.limits, rtol=1e-6)
    assert np.isnan(y[2])
    zero = case.reference(np.zeros(1))[0][0]
    np.testing.assert_allclose(y[3:], zero, rtol=1e-6, atol=0)
    huge = np.array([-np.finfo(dtype).max, np.finfo(dtype).max, np.finfo(dtype).tiny], dtype)
    with np.errstate(over="ignore"):
        right = case.reference(huge.astype(np.float64))[0].astype(dtype)
    np.testing.assert_allclose(ops.activation(case.name, huge, **case.params), right, rtol=1e-6)


@of("activation")
@each_dtype
def test_activation_threads(case, dtype, isa):
    x = case.draw(rng_of(case), 5003, dtype)
    bits, bits_back = set(), set()
    for k in THREADS:  # into NaN: memory that is handed out again may hold the right answer
        out, back = np.full_like(x, np.nan), np.full_like(x, np.nan)
        bits.add(ops.activation(case.name, x, out, k, **case.params).tobytes())
        bits_back.add(ops.activation_grad(case.name, x, x, back, k, **case.params).tobytes())
    assert len(bits) == len(bits_back) == 1
    assert not np.isnan(out).any() and not np.isnan(back).any()


# --- losses and metrics ---------------------------------------------------------------------------

OUTPUTS = [1, 2, 10, 35]


def draw_loss(case, rng, B, K, dtype, guard):
    y_pred = guard.copy(case.draw(rng, (B, K), dtype))
    y_true = case.targets(rng, B, K)
    y_true = guard.copy(y_true, dtype if y_true.dtype.kind == "f" else np.int64)
    right = y_true.astype(np.float64 if y_true.dtype.kind == "f" else np.int64)
    return y_pred, y_true, right


@of("loss")
@each_dtype
def test_loss(case, dtype, isa):
    checks = 0
    for B in widths(isa, dtype):
        for K in OUTPUTS:
            guard = Guarded(dtype)
            rng = rng_of(case, B, K)
            y_pred, y_true, right = draw_loss(case, rng, B, K, dtype, guard)
            weight = guard.copy(rng.uniform(0.5, 2, B))
            value, slope = case.reference(right, y_pred.astype(np.float64))
            out = guard.empty(B), guard.empty((B, K))
            got, dy = ops.loss(case.name, y_true, y_pred, out=out, **case.params)
            close(got, value, case, dtype)
            close(dy, slope, case, dtype, 2)
            out = guard.empty(B), guard.empty((B, K))
            got, dy = ops.loss(case.name, y_true, y_pred, weight, out=out, **case.params)
            close(got, weight * value, case, dtype, 2)
            close(dy, weight[:, None] * slope, case, dtype, 4)
            guard.check()
            checks += 1
    assert checks == len(widths(isa, dtype)) * len(OUTPUTS)


@of("loss")
def test_loss_gradient_is_the_central_difference(case, isa):
    rng, h = rng_of(case), 1e-6
    y_pred, y_true, _ = draw_loss(case, rng, 3, 4, "float64", Guarded("float64"))
    _, dy = ops.loss(case.name, y_true, y_pred, **case.params)
    for i in np.ndindex(y_pred.shape):
        ahead, behind = y_pred.copy(), y_pred.copy()
        ahead[i] += h
        behind[i] -= h
        values = [ops.loss(case.name, y_true, y, **case.params)[0][i[0]] for y in (ahead, behind)]
        np.testing.assert_allclose(dy[i], (values[0] - values[1]) / (2 * h), rtol=1e-6, atol=1e-7)


@of("loss")
@each_dtype
def test_loss_threads(case, dtype, isa):
    y_pred, y_true, _ = draw_loss(case, rng_of(case), 517, 5, dtype, Guarded(dtype))
    results = [ops.loss(case.name, y_true, y_pred, threads=k, **case.params) for k in THREADS]
    assert len({value.tobytes() + dy.tobytes() for value, dy in results}) == 1


@of("metric")
@each_dtype
def test_metric(case, dtype, isa):
    checks = 0
    for B in widths(isa, dtype)[1:]:
        for K in OUTPUTS:
            guard = Guarded(dtype)
            y_pred, y_true, right = draw_loss(case, rng_of(case, B, K), B, K, dtype, guard)
            value = case.reference(right, y_pred.astype(np.float64))
            got = [ops.metric(case.name, y_true, y_pred, threads=k, **case.params) for k in THREADS]
            assert len({np.asarray(g).tobytes() for g in got}) == 1
            assert np.shape(got[0]) == np.shape(value)
            close(got[0], value, case, dtype)
            guard.check()
            checks += 1
    assert checks == (len(widths(isa, dtype)) - 1) * len(OUTPUTS)


# --- optimizers -----------------------------------------------------------------------------------

STEPS = 5


@of("optimizer")
@each_dtype
def test_optimizer(case, dtype, isa):
    names = {row: states for row, _, states in kernels.optimizer_rows()}[case.name]
    checks = 0
    for n in widths(isa, dtype):
        guard = Guarded(dtype)
        rng = rng_of(case, n)
        w = guard.copy(rng.normal(size=n))
        states = [guard.copy(np.zeros(n)) for _ in names]
        grads = [guard.copy(rng.normal(size=n)) for _ in range(STEPS)]
        right = case.reference(w, grads, 0.01)
        for t, g in enumerate(grads, 1):
            assert ops.optimizer_step(case.name, w, states, g, 0.01, t, **case.params) is w
        close(w, right, case, dtype)
        guard.check()
        checks += 1
    assert checks == len(widths(isa, dtype))


@of("optimizer")
@each_dtype
def test_optimizer_threads(case, dtype, isa):
    names = {row: states for row, _, states in kernels.optimizer_rows()}[case.name]
    results = set()
    for threads in THREADS:
        rng = rng_of(case)
        w = rng.normal(size=5003).astype(dtype)
        states = [np.zeros_like(w) for _ in names]
        for t in range(1, 4):
            g = rng.normal(size=w.size).astype(dtype)
            ops.optimizer_step(case.name, w, states, g, 0.01, t, threads=threads, **case.params)
        results.add(b"".join(a.tobytes() for a in (w, *states)))
    assert len(results) == 1


def test_a_wrong_kernel_would_be_seen():
    case = cases("activation")[0]
    with pytest.raises(AssertionError):
        close(np.array([1.0 + 1e-6]), np.array([1.0]), case, "float32")
    guard = Guarded("float32")
    array = guard.empty(3)
    raw, start, nbytes = guard.buffers[0]
    guard.check()
    raw[start + nbytes] = 0
    with pytest.raises(AssertionError, match="behind"):
        guard.check()
    assert array.size == 3
