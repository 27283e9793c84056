"""fastnn.ops: dense, softmax, batch normalisation, dropout, clipping; arrays of every kind; errors.

What follows from the kernels' lists (activations, losses, optimizers) is in test_cases.py.
"""

import doctest
import inspect
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import reference as ref
from scipy import special

from fastnn import ops
from fastnn._core import kernels, rows

DTYPES = ["float32", "float64"]
THREADS = [1, 2, 3]
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(params=kernels.targets())
def isa(request):
    rows.use(request.param)
    yield request.param
    rows.use(None)


def panel(isa, dtype):
    return 2 * kernels.vector_bytes(isa) // np.dtype(dtype).itemsize


def sizes(isa, dtype):
    w = panel(isa, dtype) // 2
    return sorted({0, 1, w - 1, w, w + 1, 2 * w + 3, 4 * w})


def normal(shape, dtype, seed=0):
    return np.random.default_rng([seed, *np.atleast_1d(shape)]).normal(size=shape).astype(dtype)


def same_for_all_threads(function):
    """The result of function(threads), which must have the same bits for 1, 2 and 3 of them."""
    results = [function(k) for k in THREADS]
    parts = [r if isinstance(r, tuple) else (r,) for r in results]
    assert len({b"".join(np.asarray(a).tobytes() for a in p) for p in parts}) == 1
    return results[0]


def near(got, right, dtype, ulps=16, scale=1.0):
    error = np.abs(np.asarray(got, np.float64) - right)
    limit = ulps * np.finfo(dtype).eps * np.maximum(np.abs(right), scale)
    assert got.dtype == dtype and got.shape == np.shape(right)
    assert (error <= limit).all(), np.max(error - limit)


# --- against the reference ------------------------------------------------------------------------


@each_dtype
def test_dense(dtype, isa):
    checks = 0
    for B in sizes(isa, dtype):
        for inputs in (0, 1, panel(isa, dtype) + 1, 97, 300):
            for units in (0, 1, panel(isa, dtype), 35):
                x, w = normal((B, inputs), dtype), normal((inputs, units), dtype, 1)
                b, dy = normal(units, dtype, 2), normal((B, units), dtype, 3)
                y = same_for_all_threads(lambda k, x=x, w=w, b=b: ops.dense_forward(x, w, b, threads=k))
                wide = [a.astype(np.float64) for a in (x, w, b, dy)]
                near(y, ref.dense(*wide[:3]), dtype, 4 + inputs, 4)
                near(ops.dense_forward(x, w), ref.dense(*wide[:2]), dtype, 4 + inputs, 4)
                grads = same_for_all_threads(
                    lambda k, x=x, w=w, dy=dy: ops.dense_backward(dy, x, w, threads=k)
                )
                right = ref.dense_backward(wide[0], wide[1], wide[3])
                for got, r, terms in zip(grads, right, (units, B, B), strict=True):
                    near(got, r, dtype, 4 + terms, 4)
                checks += 1
    assert checks == len(sizes(isa, dtype)) * 5 * 4


BLOCKS = [(1025, 70, 130), (2100, 5, 3), (700, 200, 1), (20, 3000, 200), (40, 200, 3000), (600, 1500, 70)]


@pytest.mark.parametrize("shape", BLOCKS)
@each_dtype
def test_dense_in_blocks_and_slices(shape, dtype, isa):
    B, inputs, units = shape
    x, w, dy = normal((B, inputs), dtype), normal((inputs, units), dtype), normal((B, units), dtype)
    y = same_for_all_threads(lambda k: ops.dense_forward(x, w, threads=k))
    grads = same_for_all_threads(lambda k: ops.dense_backward(dy, x, w, threads=k))
    wide = [a.astype(np.float64) for a in (x, w, dy)]
    near(y, wide[0] @ wide[1], dtype, inputs, 4)
    for got, right in zip(grads, ref.dense_backward(*wide), strict=True):
        near(got, right, dtype, max(shape), 4)


@pytest.mark.parametrize("name", [row[0] for row in kernels.activation_rows()])
@each_dtype
def test_dense_with_activation_is_dense_then_activation(name, dtype, isa):
    x, w, b, dy = (normal(s, dtype) for s in ((37, 20), (20, 19), 19, (37, 19)))
    z = ops.dense_forward(x, w, b)
    y = ops.dense_forward(x, w, b, name)
    assert y.tobytes() == ops.activation(name, z).tobytes()
    from_input = {row: needs for row, _, needs in kernels.activation_rows()}[name]
    t = z if from_input else y
    fused = same_for_all_threads(lambda k: ops.dense_backward(dy, x, w, name, t, threads=k))
    apart = ops.dense_backward(ops.activation_grad(name, dy, t), x, w)
    for a, b in zip(fused, apart, strict=True):
        assert a.tobytes() == b.tobytes()


def test_dense_with_parameters_of_the_activation():
    x, w = normal((5, 4), "float64"), normal((4, 3), "float64")
    y = ops.dense_forward(x, w, activation=("elu", {"alpha": 0.5}))
    near(y, ref.activation("elu", x @ w, alpha=0.5), "float64")
    y = ops.dense_forward(x, w, activation=("relu", {"max_value": 0.5}))
    near(y, np.clip(x @ w, 0, 0.5), "float64")


def test_dense_on_more_axes():
    x, w = normal((2, 3, 4), "float64"), normal((4, 5), "float64")
    near(ops.dense_forward(x, w), x @ w, "float64")
    near(ops.dense_forward(x[0, 0], w), x[0, 0] @ w, "float64")
    dx, dw, db = ops.dense_backward(normal((2, 3, 5), "float64"), x, w)
    assert dx.shape == x.shape and dw.shape == w.shape and db.shape == (5,)


def test_nan_and_infinity_stay_in_their_rows():
    x = normal((40, 9), "float32")
    x[3], x[39, 0] = np.nan, np.inf
    w = np.abs(normal((9, 20), "float32")) + 1
    y = ops.dense_forward(x, w)
    assert np.isnan(y[3]).all() and np.isposinf(y[39]).all()
    assert np.isfinite(np.delete(y, [3, 39], axis=0)).all()


@each_dtype
def test_softmax(dtype, isa):
    checks = 0
    for B in sizes(isa, dtype):
        for K in (0, 1, 2, 17, 200):
            x, dy = 5 * normal((B, K), dtype), normal((B, K), dtype, 1)
            wide = x.astype(np.float64)
            for name in ("softmax", "log_softmax"):
                y = same_for_all_threads(lambda k, n=name, x=x: getattr(ops, n)(x, threads=k))
                right = getattr(special, name)(wide, axis=-1) if K else wide
                near(y, right, dtype, 64, 1e-30 if name == "softmax" else 1)  # rounding of x - max
                grad = getattr(ops, name + "_grad")
                dx = same_for_all_threads(lambda k, g=grad, dy=dy, y=y: g(dy, y, threads=k))
                if K:
                    right = ref.activation_backward(name, wide, dy.astype(np.float64))
                near(dx, right if K else wide, dtype, 64, 4)
                checks += 1
    assert checks == len(sizes(isa, dtype)) * 5 * 2


SOFTMAX_ROWS = [[0, 0, 0], [88, -88, 0], [104, -104, 0], [1e8, -1e8, 0], [1e8] * 3, [-1e8] * 3]


@each_dtype
def test_softmax_is_finite_everywhere(dtype, isa):
    top = np.finfo(dtype).max
    x = np.array([*SOFTMAX_ROWS, [top, -top, 0], [top] * 3, [-top] * 3], dtype)
    with np.errstate(over="ignore"):
        right = special.softmax(x.astype(np.longdouble), axis=-1).astype(np.float64)
    near(ops.softmax(x), right, dtype)
    for labels in (np.zeros(len(x), int), np.full(len(x), 2)):
        value, dx = ops.softmax_cross_entropy(x, labels)
        assert np.isfinite(dx).all() and not np.isnan(value).any()
        picked = np.eye(3, dtype=dtype)[labels]
        value_dense, dx_dense = ops.softmax_cross_entropy(x, picked)
        np.testing.assert_allclose(value_dense, value, rtol=1e-6)
        np.testing.assert_allclose(dx_dense, dx, rtol=1e-6, atol=1e-6)
    assert not np.isnan(ops.log_softmax(x)).any()


@each_dtype
def test_batch_norm(dtype, isa):
    checks = 0
    for B in sizes(isa, dtype)[1:]:
        for F in (0, 1, panel(isa, dtype) - 1, 3 * panel(isa, dtype) + 2):
            x, dy = normal((B, F), dtype) * 2 + 3, normal((B, F), dtype, 1)
            gamma, beta = normal(F, dtype, 2), normal(F, dtype, 3)
            mean, var = same_for_all_threads(lambda k, x=x: ops.batch_norm_stats(x, threads=k))
            wide = x.astype(np.float64)
            right_mean, right_var = ref.batch_norm_stats(wide)
            near(mean, right_mean, dtype, 8)
            near(var, right_var, dtype, 16 + B)
            y = same_for_all_threads(
                lambda k, a=(x, gamma, beta, mean, var): ops.batch_norm_forward(*a, threads=k)
            )
            right = ref.batch_norm(wide, gamma, beta, mean.astype(float), var.astype(float))
            near(y, right, dtype, 64, 4)
            grads = same_for_all_threads(
                lambda k, a=(dy, x, gamma, mean, var): ops.batch_norm_backward(*a, threads=k)
            )
            right = ref.batch_norm_backward(wide, gamma.astype(float), dy.astype(float))
            for got, r in zip(grads, right, strict=True):
                # with one row or two x̂ hangs on the difference x - mean, all of it rounding
                near(got, r, dtype, 256 + 8 * B, 64 if B < 3 else 16)
            checks += 1
    assert checks == (len(sizes(isa, dtype)) - 1) * 4


def test_batch_norm_without_gamma_and_beta():
    x = normal((9, 4), "float64")
    mean, var = ops.batch_norm_stats(x)
    plain = ops.batch_norm_forward(x, None, None, mean, var)
    near(plain, ref.batch_norm(x, 1, 0, mean, var), "float64")
    dy = normal((9, 4), "float64", 1)
    ones = ops.batch_norm_backward(dy, x, np.ones(4), mean, var)
    for a, b in zip(ops.batch_norm_backward(dy, x, None, mean, var), ones, strict=True):
        assert a.tobytes() == b.tobytes()


def test_batch_norm_far_from_zero(isa):
    x = 1e8 + 1e-3 * normal((1000, 3), "float64")
    mean, var = ops.batch_norm_stats(x)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-6)
    assert (var >= 0).all()
    assert (ops.batch_norm_stats(np.full((1000, 2), 0.1, np.float32))[1] < 1e-15).all()


def test_batch_norm_of_more_axes_and_of_no_rows():
    x = normal((2, 3, 4), "float64")
    mean, var = ops.batch_norm_stats(x)
    near(mean, x.mean(axis=(0, 1)), "float64")
    assert ops.batch_norm_forward(x, None, None, mean, var).shape == x.shape
    none = np.empty((0, 4))
    assert ops.batch_norm_forward(none, None, None, mean, var).shape == (0, 4)
    dx, dgamma, dbeta = ops.batch_norm_backward(none, none, None, mean, var)
    assert dx.shape == (0, 4) and not dgamma.any() and not dbeta.any()


@each_dtype
def test_dropout(dtype, isa):
    checks = 0
    for B in sizes(isa, dtype):
        for F in (0, 1, 5, 130):
            x = normal((B, F), dtype)
            seed, step, layer = 2**63 + 12345678901, 2**32 + 7, 3
            y = same_for_all_threads(
                lambda k, x=x: ops.dropout(x, 0.3, seed, step, layer, threads=k)
            )
            mask = ref.dropout_mask(B, F, 0.3, seed, step, layer)
            assert y.tobytes() == (x * mask.astype(dtype)).astype(dtype).tobytes() or (
                np.array_equal(y, x * mask.astype(dtype))
            )
            checks += 1
    assert checks == len(sizes(isa, dtype)) * 4
    big = ops.dropout(np.ones((1000, 50), dtype), 0.25, 1)
    assert abs((big == 0).mean() - 0.25) < 0.01
    assert np.array_equal(ops.dropout(big, 0.0, 1), big)
    assert np.array_equal(ops.dropout(np.ones(7, dtype), 0.5, 1), ops.dropout(np.ones((7, 1), dtype), 0.5, 1)[:, 0])


def test_dropped_infinity_leaves_no_nan():
    y = ops.dropout(np.full((64, 8), np.inf), 0.5, 0)
    assert not np.isnan(y).any() and (y == 0).any()


def test_philox(isa):
    # Random123's known answers
    assert [hex(w) for w in ops.philox(4)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    top = 2**32 - 1
    ones = ops.philox(4, (top,) * 4, (top,) * 2)
    assert [hex(w) for w in ones] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]
    counter = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    pi = ops.philox(4, counter, (0xA4093822, 0x299F31D0))
    assert [hex(w) for w in pi] == ["0xd16cfe09", "0x94fdcceb", "0x5001e420", "0x24126ea1"]
    many = ops.philox(1003, (top - 3, top, 0, 9), (1, 2))
    steps = np.arange(251, dtype=np.uint64) + np.uint64(top - 3) + (np.uint64(top) << np.uint64(32))
    over = steps < np.uint64(1000)
    right = ref.philox4x32((steps, steps >> np.uint64(32), over.astype(np.uint64), 9), (1, 2))
    assert np.array_equal(many, right.ravel()[:1003])


@each_dtype
def test_clipping(dtype, isa):
    for n in (0, 1, 1023, 1024, 5000):
        grads = [normal(n, dtype), 3 * normal((2, n), dtype), normal((), dtype)]
        wide = [g.astype(np.float64) for g in grads]
        for name, key, limit in (("value", "clipvalue", 0.5), ("norm", "clipnorm", 1.0), ("norm", "clipnorm", 1e6)):
            got = same_for_all_threads(
                lambda k, f=getattr(ops, "clip_by_" + name), g=grads, c=limit: tuple(f(g, c, threads=k))
            )
            for a, right in zip(got, ref.clip_gradients(wide, **{key: limit}), strict=True):
                near(a, right, dtype, 8)
        for limit in (1.0, 1e6):
            clipped, norm = ops.clip_by_global_norm(grads, limit)
            right = ref.clip_gradients(wide, global_clipnorm=limit)
            for a, r in zip(clipped, right, strict=True):
                near(a, r, dtype, 8)
            np.testing.assert_allclose(norm, np.sqrt(sum((g**2).sum() for g in wide)), rtol=1e-12)


def test_clipping_at_the_ends():
    assert ops.clip_by_global_norm([], 1.0) == ([], 0.0)
    assert ops.clip_by_norm([], 1.0) == []
    nan = ops.clip_by_value(np.array([np.nan, np.inf, -np.inf]), 2.0)
    np.testing.assert_array_equal(nan, [np.nan, 2, -2])
    clipped, norm = ops.clip_by_global_norm([np.array([np.inf, 1.0]), np.ones(1)], 1.0)
    assert norm == np.inf and np.isnan(clipped[0]).all() and np.isnan(clipped[1]).all()
    assert not ops.clip_by_value(np.ones(3), 0).any()
    big = np.full(4, 3e38, np.float32)  # squares are taken in double
    near(ops.clip_by_norm(big, 1.0), np.full(4, 0.5), "float32")
    same = ops.clip_by_norm(big, np.inf)
    assert same.tobytes() == big.tobytes() and same is not big


# --- arrays of every kind -------------------------------------------------------------------------

CALLS = {
    "dense_forward": lambda m: ops.dense_forward(m(0, (7, 5)), m(1, (5, 3)), m(2, 3)),
    "dense_backward": lambda m: ops.dense_backward(
        m(0, (7, 3)), m(1, (7, 5)), m(2, (5, 3)), "tanh", m(3, (7, 3))
    ),
    "tanh": lambda m: ops.tanh(m(0, (7, 5))),
    "tanh_grad": lambda m: ops.tanh_grad(m(0, (7, 5)), m(1, (7, 5))),
    "softmax": lambda m: ops.softmax(m(0, (7, 5))),
    "log_softmax_grad": lambda m: ops.log_softmax_grad(m(0, (7, 5)), m(1, (7, 5))),
    "loss": lambda m: ops.mean_squared_error(m(0, (7, 5)), m(1, (7, 5)), m(2, 7)),
    "softmax_cross_entropy": lambda m: ops.softmax_cross_entropy(m(0, (7, 5)), np.arange(7) % 5, m(1, 7)),
    "metric": lambda m: ops.metric("mean_squared_error", m(0, (7, 5)), m(1, (7, 5))),
    "batch_norm_stats": lambda m: ops.batch_norm_stats(m(0, (7, 5))),
    "batch_norm_forward": lambda m: ops.batch_norm_forward(
        m(0, (7, 5)), m(1, 5), m(2, 5), m(3, 5), np.abs(m(4, 5)).astype(m(4, 5).dtype)
    ),
    "batch_norm_backward": lambda m: ops.batch_norm_backward(
        m(0, (7, 5)), m(1, (7, 5)), m(2, 5), m(3, 5), np.abs(m(4, 5)).astype(m(4, 5).dtype)
    ),
    "dropout": lambda m: ops.dropout(m(0, (7, 5)), 0.5, 1),
    "clip_by_norm": lambda m: ops.clip_by_norm(m(0, (7, 5)), 0.1),
    "clip_by_global_norm": lambda m: ops.clip_by_global_norm([m(0, (7, 5)), m(1, 3)], 0.1),
}


def strided(a):
    wide = np.full(tuple(3 * n + 2 for n in a.shape), np.nan, a.dtype)
    view = wide[tuple(slice(1, 1 + 3 * n, 3) for n in a.shape)]
    view[...] = a
    return view


def backwards(a):
    flipped = tuple(slice(None, None, -1) for _ in a.shape)
    return a[flipped].copy()[flipped]


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


class HasArray:
    def __init__(self, a):
        self.a = a

    @property
    def dtype(self):
        return self.a.dtype

    def __abs__(self):
        return np.abs(self.a)

    def __array__(self, dtype=None, copy=None):
        return self.a


KINDS = {
    "strided": strided,
    "backwards": backwards,
    "fortran": np.asfortranarray,
    "padded rows": lambda a: np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, 3)])[..., : a.shape[-1]],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "misaligned": misaligned,
    "read-only": read_only,
    "object with __array__": HasArray,
}


def as_bytes(result):
    if isinstance(result, (tuple, list)):
        return b"".join(map(as_bytes, result))
    return np.asarray(result).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
@each_dtype
def test_any_array_gives_the_same_bits(name, kind, dtype):
    plain = CALLS[name](lambda seed, shape: normal(shape, dtype, seed))
    other = CALLS[name](lambda seed, shape: KINDS[kind](normal(shape, dtype, seed)))
    assert as_bytes(other) == as_bytes(plain)
    for part in other if isinstance(other, tuple) else (other,):
        for array in part if isinstance(part, list) else [part]:
            assert isinstance(array, float) or array.dtype == dtype and array.flags.writeable


@pytest.mark.parametrize("offset", range(64))
def test_every_byte_offset(offset):
    for dtype in DTYPES:
        x = normal((9, 7), dtype)
        raw = np.zeros(x.nbytes + 128, np.uint8)
        start = (-raw.ctypes.data) % 64 + offset
        moved = raw[start : start + x.nbytes].view(dtype).reshape(x.shape)
        moved[...] = x
        for function in (ops.tanh, ops.softmax, lambda a: ops.dense_forward(a, a.T)):
            assert function(moved).tobytes() == function(x).tobytes()
        out = raw[start : start + x.nbytes].view(dtype).reshape(x.shape)
        assert ops.softmax(moved, out=out) is out
        assert out.tobytes() == ops.softmax(x).tobytes()


def test_zero_dimensions_and_lists():
    y = ops.relu(np.float32(-3))
    assert isinstance(y, np.ndarray) and y.shape == () and y.dtype == np.float32
    assert ops.sigmoid(0.0) == 0.5
    assert ops.relu([[-1.0, 2.0]]).tolist() == [[0.0, 2.0]]
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
        assert ops.elu(np.empty(shape)).shape == shape
        assert ops.softmax(np.empty(shape)).shape == shape


def test_keras_parameters_of_relu():
    x = np.array([-2.0, 0.5, 9.0])
    assert ops.relu(x, max_value=6).tolist() == [0.0, 0.5, 6.0]
    assert ops.relu(x, negative_slope=0.5).tolist() == [-1.0, 0.5, 9.0]
    assert ops.relu_grad(np.ones(3), x, max_value=6).tolist() == [0.0, 1.0, 0.0]


# --- out= -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [None, "strided", "backwards", "fortran", "padded rows", "misaligned"])
@each_dtype
def test_out(kind, dtype):
    x, w, dy = normal((9, 5), dtype), normal((5, 4), dtype), normal((9, 4), dtype)
    change = KINDS.get(kind, np.copy)
    mean, var = ops.batch_norm_stats(x)
    calls = [
        (ops.tanh, (x,)),
        (ops.tanh_grad, (x, x)),
        (ops.softmax, (x,)),
        (ops.dense_forward, (x, w)),
        (ops.batch_norm_forward, (x, None, None, mean, var)),
        (lambda x, out=None: ops.dropout(x, 0.5, 1, out=out), (x,)),
        (lambda x, out=None: ops.clip_by_value(x, 0.5, out=out), (x,)),
        (lambda x, out=None: ops.clip_by_norm(x, 0.5, out=out), (x,)),
        (ops.dense_backward, (dy, x, w)),
        (ops.batch_norm_stats, (x,)),
        (ops.batch_norm_backward, (x, x, None, mean, var)),
        (lambda x, out=None: ops.mean_squared_error(x, x, out=out), (x,)),
    ]
    for function, arguments in calls:
        right = function(*arguments)
        if isinstance(right, tuple):
            out = tuple(change(np.full_like(r, np.nan)) for r in right)
            got = function(*arguments, out=out)
            assert all(g is o for g, o in zip(got, out, strict=True))
            some = function(*arguments, out=(None, *out[1:]))
            assert some[0] is not out[0] and as_bytes(some) == as_bytes(right)
        else:
            out = change(np.full_like(right, np.nan))
            got = function(*arguments, out=out)
            assert got is out
        assert as_bytes(got) == as_bytes(right)


def test_in_place():
    for dtype in DTYPES:
        x, y = normal((70, 9), dtype), ops.softmax(normal((70, 9), dtype, 1))
        mean, var = ops.batch_norm_stats(x)
        unary = [ops.tanh, ops.softmax, ops.log_softmax, lambda a, out=None: ops.dropout(a, 0.5, 3, out=out),
                 lambda a, out=None: ops.batch_norm_forward(a, None, None, mean, var, out=out),
                 lambda a, out=None: ops.clip_by_value(a, 0.1, out=out),
                 lambda a, out=None: ops.clip_by_norm(a, 0.1, out=out)]  # fmt: skip
        for function in unary:
            for change in (np.copy, strided, backwards, misaligned, np.asfortranarray):
                a = change(x)
                assert function(a, out=a) is a
                assert as_bytes(a) == as_bytes(function(x))
        for grad in (ops.tanh_grad, ops.softmax_grad, ops.log_softmax_grad):
            dy, t = x.copy(), y.copy()
            right = grad(dy, t)
            assert grad(dy, t, out=dy) is dy and as_bytes(dy) == as_bytes(right)
            assert as_bytes(grad(x, t, out=t)) == as_bytes(right)
        logits = x.copy()
        value, right = ops.softmax_cross_entropy(x, np.zeros(70, int))
        assert ops.softmax_cross_entropy(logits, np.zeros(70, int), out=(None, logits))[1] is logits
        assert as_bytes(logits) == as_bytes(right)
        grads = [x.copy(), y.copy()]
        right = ops.clip_by_global_norm(grads, 0.5)
        assert as_bytes(ops.clip_by_global_norm(grads, 0.5, out=grads)[0]) == as_bytes(right[0])


def test_step_in_strided_memory():
    for change in (strided, backwards, misaligned, np.asfortranarray):
        w, m, g = normal((5, 7), "float64"), np.zeros((5, 7)), normal((5, 7), "float64", 1)
        other = change(w.copy()), change(m.copy())
        ops.sgd_step(w, [m], g, 0.1, momentum=0.9)
        assert ops.sgd_step(other[0], [other[1]], change(g), 0.1, momentum=0.9) is other[0]
        assert as_bytes(other) == as_bytes((w, m))


def test_sgd_needs_no_state_vector():
    w, g = np.ones(40), np.full(40, 2.0)
    ops.sgd_step(w, [], g, lr=0.25)
    assert (w == 0.5).all()


# --- errors ---------------------------------------------------------------------------------------

X = np.zeros((4, 3))
W = np.zeros((3, 2))
V = np.zeros(3)
FLAT = np.zeros(32)
STATE = [np.zeros(3), np.zeros(3)]
RO = read_only(np.zeros((4, 3)))

# call, exception, words of the message
ERRORS = [
    (lambda: ops.relu(None), TypeError, "x: expected float32 or float64, got NoneType"),
    (lambda: ops.relu("abc"), TypeError, "x: expected float32 or float64, got str"),
    (lambda: ops.relu(np.zeros(3, np.float16)), TypeError, "dtype float16"),
    (lambda: ops.relu(np.zeros(3, np.longdouble)), TypeError, "float32 or float64"),
    (lambda: ops.relu(np.zeros(3, complex)), TypeError, "complex128"),
    (lambda: ops.relu(np.ma.masked_array(V)), TypeError, "masked"),
    (lambda: ops.relu(V, alpha=1.0), TypeError, "unexpected keyword argument 'alpha'"),
    (lambda: ops.relu(V, max_valeu=1.0), TypeError, "Did you mean 'max_value'"),
    (lambda: ops.elu(V, alpha="1"), TypeError, "alpha: expected a number, got '1'"),
    (lambda: ops.elu(V, alpha=np.nan), ValueError, "alpha: expected a number, got nan"),
    (lambda: ops.activation("rleu", V), ValueError, "unknown activation 'rleu'. Did you mean 'relu'"),
    (lambda: ops.activation(3, V), TypeError, "activation: expected a name"),
    (lambda: ops.relu(V, out=np.zeros(4)), ValueError, r"out: expected shape \(3,\), got \(4,\)"),
    (lambda: ops.relu(V, out=np.zeros(3, np.float32)), TypeError, "out: expected dtype float64, got float32"),
    (lambda: ops.relu(V, out=np.zeros(3, ">f8")), TypeError, "out: expected dtype float64, got >f8"),
    (lambda: ops.relu(V, out=[0.0] * 3), TypeError, "out: expected an ndarray"),
    (lambda: ops.relu(V, out=read_only(V)), ValueError, "out: .*read-only"),
    (lambda: ops.relu(FLAT[:16], out=FLAT[1:17]), ValueError, "out: expected x itself or .* overlaps x"),
    (lambda: ops.relu(FLAT[::2], out=FLAT[::2][::-1]), ValueError, "overlaps x"),
    (lambda: ops.relu(V, threads=0), ValueError, "threads: expected an integer of at least 1"),
    (lambda: ops.relu(V, threads=65), ValueError, "threads: expected 1 to 64"),
    (lambda: ops.relu(V, threads=1.0), TypeError, "threads: expected an integer"),
    (lambda: ops.relu(V, threads=True), TypeError, "threads: expected an integer"),
    (lambda: ops.relu_grad(V, np.zeros(4)), ValueError, r"t: expected shape \(3,\) like dy"),
    (lambda: ops.relu_grad(V, V.astype("f4")), TypeError, "t: expected float64 like dy, got float32"),
    (lambda: ops.dense_forward(X, W.T), ValueError, r"w: expected shape \(3, units\)"),
    (lambda: ops.dense_forward(X, V), ValueError, r"w: expected shape \(3, units\).*got \(3,\)"),
    (lambda: ops.dense_forward(1.0, W), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.dense_forward(X, W.astype("f4")), TypeError, "w: expected float64 like x, got float32"),
    (lambda: ops.dense_forward(X, W, V), ValueError, r"b: expected shape \(2,\), one for each column of w"),
    (lambda: ops.dense_forward(X, W, activation="softmax"), ValueError, "unknown activation 'softmax'"),
    (lambda: ops.dense_forward(X, W, activation=("elu", 1.0)), TypeError, "dict of parameters"),
    (lambda: ops.dense_forward(X, np.eye(3), out=X), ValueError, "out: expected an array .* overlaps x"),
    (lambda: ops.dense_backward(X, X, W), ValueError, r"dy: expected shape \(4, 2\)"),
    (lambda: ops.dense_backward(X[:, :2], X, W, "relu"), ValueError, "t: expected an array if and only if"),
    (lambda: ops.dense_backward(X[:, :2], X, W, t=X[:, :2]), ValueError, "t: expected an array if and only if"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=X), TypeError, r"out: expected a tuple \(dx, dw, db\)"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=(None, W, None)), ValueError, "overlaps w"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=(FLAT[:12].reshape(4, 3), FLAT[:6].reshape(3, 2), None)),
     ValueError, "dw: .*overlaps dx"),
    (lambda: ops.softmax(0.0), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.softmax(X, out=RO), ValueError, "read-only"),
    (lambda: ops.loss("mse", X, X), ValueError, "unknown loss 'mse'"),
    (lambda: ops.mean_squared_error(X[:2], X), ValueError, "y_true: expected shape .* like y_pred"),
    (lambda: ops.mean_squared_error(X, X, np.ones(3)), ValueError, "sample_weight: expected shape"),
    (lambda: ops.mean_squared_error(np.zeros((4, 0)), np.zeros((4, 0))), ValueError, "at least one output"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1, 2, 3]), ValueError, "labels: expected classes 0 to 2, got 3"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1, 2, -1]), ValueError, "labels: .*got -1"),
    (lambda: ops.softmax_cross_entropy(X, np.full(4, 2**63, np.uint64)), ValueError, "got 9223372036854775808"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1]), ValueError, r"labels: expected shape \(4,\)"),
    (lambda: ops.softmax_cross_entropy(X, np.zeros(4)), ValueError, "labels: expected shape"),
    (lambda: ops.softmax_cross_entropy(X, np.zeros((4, 3), complex)), TypeError, "labels"),
    (lambda: ops.sparse_crossentropy(V, X), TypeError, "class labels of an integer dtype"),
    (lambda: ops.metric("accuracy", X, X), ValueError, "unknown metric 'accuracy'"),
    (lambda: ops.metric("binary_accuracy", X[:0], X[:0]), ValueError, "at least one row"),
    (lambda: ops.batch_norm_stats(V), ValueError, "x: expected at least 2 axes"),
    (lambda: ops.batch_norm_stats(X[:0]), ValueError, "x: expected at least one row"),
    (lambda: ops.batch_norm_forward(X, None, None, None, V), TypeError, "mean: expected"),
    (lambda: ops.batch_norm_forward(X, None, None, V, V[:2]), ValueError, r"var: expected shape \(3,\)"),
    (lambda: ops.batch_norm_forward(X, None, None, V, V, epsilon=-1), ValueError, "epsilon"),
    (lambda: ops.batch_norm_backward(X[:1], X, None, V, V), ValueError, "dy: expected shape"),
    (lambda: ops.dropout(X, 1.0, 1), ValueError, "rate: .*below 1"),
    (lambda: ops.dropout(X, -0.1, 1), ValueError, "rate"),
    (lambda: ops.dropout(X, 0.5, -1), ValueError, "seed: expected an integer of at least 0"),
    (lambda: ops.dropout(X, 0.5, 2**64), ValueError, r"seed: expected an integer below 2\*\*64"),
    (lambda: ops.dropout(X, 0.5, 1.5), TypeError, "seed: expected an integer"),
    (lambda: ops.dropout(X, 0.5, 1, layer=2**32), ValueError, "layer"),
    (lambda: ops.dropout(1.0, 0.5, 1), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.philox(-1), ValueError, "n: expected"),
    (lambda: ops.philox(4, (1, 2)), ValueError, "counter: expected 4 integers"),
    (lambda: ops.philox(4, key=(1, 2**32)), ValueError, r"key\[1\]"),
    (lambda: ops.clip_by_value(X, -1.0), ValueError, "clipvalue: expected a number of at least 0"),
    (lambda: ops.clip_by_norm(X, 0), ValueError, "clipnorm: expected a number above 0"),
    (lambda: ops.clip_by_norm([X, "1"], 1.0), TypeError, r"grads\[1\]: expected float32 or float64"),
    (lambda: ops.clip_by_global_norm([X], 1.0, out=X), TypeError, "out: expected a tuple"),
    (lambda: ops.clip_by_global_norm([V, V], 1.0, out=[V, V]), ValueError, "overlaps"),
    (lambda: ops.clip_by_norm([FLAT[:8], FLAT[8:16]], 1.0, out=[FLAT[8:16], FLAT[:8]]), ValueError, "overlaps"),
    (lambda: ops.optimizer_step("sdg", V, [], V, 0.1), ValueError, "unknown optimizer 'sdg'. Did you mean 'sgd'"),
    (lambda: ops.adam_step(V, STATE[:1], V.copy(), 0.1), ValueError, r"states: expected 2 \(momentum, velocity\)"),
    (lambda: ops.adam_step(V, V, V.copy(), 0.1), TypeError, "states: expected a list"),
    (lambda: ops.adam_step([0.0] * 3, STATE, V, 0.1), TypeError, "w: expected an ndarray"),
    (lambda: ops.adam_step(V, STATE, V, 0.1), ValueError, "g: .*overlaps w"),
    (lambda: ops.adam_step(V, [V, STATE[1]], np.ones(3), 0.1), ValueError, r"states\[0\]: .*overlaps w"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), np.nan), ValueError, "lr: expected a number"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), 0.1, 0), ValueError, "t: expected an integer of at least 1"),
    (lambda: ops.adam_step(V, STATE, np.ones(4), 0.1), ValueError, r"w: expected shape \(4,\) like g"),
    (lambda: ops.adam_step(V, STATE, np.ones(3, "f4"), 0.1), TypeError, "w: expected dtype float32"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), 0.1, beta1=0.5), TypeError, "Did you mean 'beta_1'"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, exception, words = ERRORS[number]
    before = as_bytes((X, W, V, FLAT, STATE))
    with pytest.raises(exception, match=words) as caught:
        call()
    assert type(caught.value) is exception
    assert as_bytes((X, W, V, FLAT, STATE)) == before


# --- promises about all of it ---------------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["sparse_crossentropy", "sparse_softmax_crossentropy", "nll"])
@pytest.mark.parametrize("ignored", [-1, 255])
def test_the_ignored_class_may_be_any_number(name, ignored):
    y_pred = np.array([[0.25, 0.75], [0.5, 0.5]])
    value, gradient = ops.loss(name, [1, ignored], y_pred, ignore_class=ignored)
    expected, _ = ops.loss(name, [1], y_pred[:1])
    assert value[0] == expected[0] and value[1] == 0 and not gradient[1].any()
    with pytest.raises(ValueError, match="expected classes 0 to 1"):
        ops.loss(name, [1, 7], y_pred, ignore_class=ignored)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("dtype, sure", [("float32", 200.0), ("float64", 800.0)])
def test_focal_gradient_of_a_sure_sample_is_zero(gamma, dtype, sure):
    x, t = np.array([[sure], [-sure]], dtype), np.array([[1.0], [0.0]], dtype)
    value, gradient = ops.binary_focal_crossentropy_logits(t, x, gamma=gamma)
    np.testing.assert_allclose(value, 0, atol=1e-30)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
