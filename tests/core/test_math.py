"""Elementary functions of the kernels: within 2 ulp (sigmoid 3) on every target, whatever the cut.

(a) Numbers: NumPy's own validation tables, a thinned walk through all float32 against float64,
    random float64 against long double, and fewer against mpmath.
(b) Special values one by one: inf, NaN, -0.0, subnormals, the ends of the range.
(c) Cuts: any offset and length gives the bits of the whole.
"""

from pathlib import Path

import mpmath
import numpy as np
import pytest

from fastnn._core.kernels import call_function, targets, vector_bytes

INF, NAN = np.inf, np.nan
LIMIT = {"exp": 2, "expm1": 2, "tanh": 2, "log": 2, "log1p": 2, "sigmoid": 3}
DTYPES = ["float32", "float64"]
TABLES = Path(np.__file__).parent / "_core" / "tests" / "data"
LONG_DOUBLE_IS_WIDER = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant + 8

each_target = pytest.mark.parametrize("isa", targets())
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_name = pytest.mark.parametrize("name", LIMIT)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def reference(name, x, wide):
    """The true value as an unevaluated sum: x.dtype rounded to nearest, and the rest in float64."""
    with np.errstate(all="ignore"):
        true = (sigmoid if name == "sigmoid" else getattr(np, name))(x.astype(wide))
        head = true.astype(x.dtype)
        return head, (true - head).astype(np.float64)


def reference_mpmath(name, x):
    f = getattr(mpmath, name, lambda v: 1 / (1 + mpmath.exp(-v)))  # sigmoid
    with mpmath.workprec(1200):  # exp(-v) may be as small as the smallest subnormal
        true = [f(mpmath.mpf(float(v))) for v in x]
        head = np.array([float(t) for t in true])
        tail = [0.0 if np.isinf(h) else float(t - h) for t, h in zip(true, head, strict=True)]
    return head, np.array(tail)


def ulp_error(y, head, tail):
    """Distance of y from head + tail in units of the last place of the true value."""
    with np.errstate(all="ignore"):
        below = np.where(tail * head < 0, np.nextafter(head, head.dtype.type(0)), head)
        unit = np.spacing(np.abs(below)).astype(np.float64)
        # in units first: the difference of subnormals has no digits to spare
        error = np.abs((y.astype(np.float64) - head.astype(np.float64)) / unit - tail / unit)
    same = (y == head) & (np.isinf(head) | (head == 0)) | np.isnan(y) & np.isnan(head)
    error = np.where(same, 0, np.where(np.isfinite(y) & np.isfinite(head), error, INF))
    wrong_sign = (np.signbit(y) != np.signbit(head)) & (head != 0) & ~np.isnan(head)
    return np.where(wrong_sign, INF, error)


def check(name, isa, x, head, tail):
    error = ulp_error(call_function(name, x, isa), head, tail)
    worst = int(np.argmax(error))
    assert error[worst] <= LIMIT[name], f"{error[worst]:.3f} ulp at {float(x[worst]).hex()}"


def arguments(name, dtype, n, rng):
    """Where things happen: near 0 and 1, over the range of exp, and anywhere; n of each."""
    u = rng.random(n)
    near = np.ldexp(2 * u - 1, -rng.integers(0, np.finfo(dtype).nmant + 6, n))
    anywhere = np.ldexp(2 * u - 1, rng.integers(-1020, 1020, n) // (8 if dtype == "float32" else 1))
    ends = 750 if dtype == "float64" else 110
    x = [near, 1 + near, -1 + np.abs(near), 2 * u - 1, 20 * u - 10, ends * (2 * u - 1), anywhere]
    x = np.concatenate(x).astype(dtype)
    if name.startswith("log"):
        return x[x > (0 if name == "log" else -1)]
    return x[np.abs(x) < 1e4]  # mpmath's exp of 1e300 takes for ever


def test_ulp_error_can_fail():
    head = np.array([1, 1.5, 2, 1e-310, 0, INF, NAN, -1])
    tail = np.array([-1e-20, 0, 0, 0, 0, 0, 0, 0])
    assert (ulp_error(head, head, tail) < 1e-3).all()
    y = head + [-(2**-52), 2**-52, 2**-50, 1e-323, 5e-324, 0, 0, 2]
    y[5:7] = 1e308, 0
    assert np.round(ulp_error(y, head, tail), 3).tolist() == [2, 1, 2, 2, 1, INF, INF, INF]


@pytest.mark.skipif(not TABLES.exists(), reason="NumPy is installed without its tests")
@each_target
@pytest.mark.parametrize("name", [name for name in LIMIT if name != "sigmoid"])
def test_numpy_tables(name, isa):
    table = TABLES / f"umath-validation-set-{name}.csv"
    rows = [line.split(",") for line in table.read_text().split("\n")[1:] if line[:3] == "np."]
    for dtype, bits in ("float32", np.uint32), ("float64", np.uint64):
        pairs = np.array(
            [[int(r[1], 16), int(r[2], 16)] for r in rows if r[0] == f"np.{dtype}"], dtype=bits
        ).reshape(-1, 2)
        x, expected = (np.ascontiguousarray(column).view(dtype) for column in pairs.T)
        nan = np.isnan(expected)
        whole = call_function(name, x, isa)
        assert len(x) > 0
        for offset in range(0, 64, np.dtype(dtype).itemsize):  # an address of a number, as C asks for
            raw = np.empty(x.nbytes + 128, np.uint8)
            start = -raw.ctypes.data % 64 + offset
            moved = raw[start : start + x.nbytes].view(dtype)
            moved[:] = x
            y = call_function(name, moved, isa)
            assert np.isnan(y[nan]).all()
            np.testing.assert_array_max_ulp(y[~nan], expected[~nan], LIMIT[name])
            assert y.tobytes() == whole.tobytes()


@each_target
@each_name
def test_walk_through_float32(name, isa):
    x = np.arange(0, 2**32, 2053, dtype=np.uint64).astype(np.uint32).view(np.float32)
    check(name, isa, x, *reference(name, x, np.float64))
    near = np.linspace(-1, 1, 500_009, dtype=np.float32) * 8
    check(name, isa, near, *reference(name, near, np.float64))


@pytest.mark.skipif(not LONG_DOUBLE_IS_WIDER, reason="long double is no wider than double here")
@each_target
@each_name
def test_float64_against_long_double(name, isa):
    x = arguments(name, "float64", 100_000, np.random.default_rng(1))
    check(name, isa, x, *reference(name, x, np.longdouble))


@each_name
def test_float64_against_mpmath(name):
    x = arguments(name, "float64", 30, np.random.default_rng(2))
    expected = reference_mpmath(name, x)
    for isa in targets():
        check(name, isa, x, *expected)


SPECIAL = {
    "exp": [(INF, INF), (-INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (1e4, INF), (-1e4, 0.0)],
    "expm1": [(INF, INF), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (1e4, INF), (-1e4, -1.0)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (1e30, 1.0), (-1e30, -1.0)],
    "log": [(INF, INF), (-INF, NAN), (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1e-30, NAN)],
    "log1p": [(INF, INF), (-INF, NAN), (0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, NAN)],
    "sigmoid": [(INF, 1.0), (-INF, 0.0), (0.0, 0.5), (-0.0, 0.5), (1e30, 1.0), (-1e30, 0.0)],
}


@each_target
@each_dtype
@each_name
def test_special_values(name, dtype, isa):
    x, expected = np.array([(NAN, NAN), *SPECIAL[name]], dtype).T.copy()
    y = call_function(name, x, isa)
    np.testing.assert_array_equal(y, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


@each_target
@each_dtype
@pytest.mark.parametrize("name", ["expm1", "tanh", "log1p"])
def test_tiny_arguments_come_back(name, dtype, isa):
    info = np.finfo(dtype)
    x = np.array([0, info.smallest_subnormal, info.tiny / 8, info.tiny, info.tiny * 8], dtype)
    x = np.concatenate([x, -x])
    y = call_function(name, x, isa)
    assert (y.view(np.uint8) == x.view(np.uint8)).all()  # also the sign of -0.0


@each_target
@each_dtype
def test_ends_of_exp(dtype, isa):
    info, zero, inf = np.finfo(dtype), *np.array([0, INF], dtype)
    largest, smallest = np.log(info.max), np.log(info.smallest_subnormal)
    x = np.array([np.nextafter(largest, zero), np.nextafter(largest, inf), smallest])
    x[:2] = np.nextafter(x[0], zero), np.nextafter(x[1], inf)
    for name in "exp", "expm1":
        y = call_function(name, x, isa)
        assert np.isfinite(y[0]) and y[0] > info.max / 2 and y[1] == INF
    assert call_function("exp", x, isa)[2] == info.smallest_subnormal
    assert call_function("sigmoid", x, isa)[2] == info.smallest_subnormal


@each_target
@each_dtype
@each_name
def test_any_cut_gives_the_same_bits(name, dtype, isa):
    size = np.dtype(dtype).itemsize
    width = vector_bytes(isa) // size
    data = np.random.default_rng(3).normal(size=4 * width + 3).astype(dtype)
    whole = call_function(name, data, isa).view(np.uint8).reshape(-1, size)
    raw = np.empty(data.nbytes + 192, np.uint8)
    start = -raw.ctypes.data % 64
    for offset in range(0, 64, size):
        for n in 0, 1, *range(width - 1, 2 * width + 4):
            for first in 0, 1, width + 1:
                x = raw[start + offset : start + offset + n * size].view(dtype)
                x[:] = data[first : first + n]
                y = call_function(name, x, isa).view(np.uint8).reshape(-1, size)
                assert (y == whole[first : first + n]).all()


@each_target
@each_dtype
def test_square_roots_of_the_optimizers(dtype, isa):
    """Within 1 ulp on normal numbers, by estimate and Newton step or by the hardware; ends as documented."""
    info = np.finfo(dtype)
    if dtype == "float32":
        x = np.arange(0x00800000, 0x7F800000, 997, dtype=np.uint32).view(np.float32)
        true = np.sqrt(x.astype(np.float64))
        head = true.astype(np.float32)
        tail = true - head
    else:
        x = np.ldexp(1 + np.random.default_rng(4).random(100_000), np.resize(np.arange(-1021, 1023), 100_000))
        head, tail = np.sqrt(x), np.zeros(x.size)
    error = ulp_error(call_function("root", x, isa), head, tail)
    assert error.max() <= 1, f"{error.max():.3f} ulp at {float(x[error.argmax()]).hex()}"
    ends = call_function("root", np.array([0, info.smallest_subnormal, info.tiny, info.max, INF, NAN], dtype), isa)
    assert (ends[:3] <= np.sqrt(info.tiny)).all() and (ends[:3] >= 0).all()
    assert np.sqrt(info.max) * (1 - info.eps) <= ends[3] <= ends[4] and np.isnan(ends[5])
