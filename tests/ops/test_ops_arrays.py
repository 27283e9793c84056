"""fastnn.ops: arrays of every kind, and `out=`."""

import numpy as np
import pytest
from ops_tools import DTYPES, as_bytes, each_dtype, normal, read_only

from fastnn import ops

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
