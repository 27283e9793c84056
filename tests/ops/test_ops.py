"""fastnn.ops: dense, softmax, batch normalisation, dropout, clipping, against references.

What follows from the kernels' lists (activations, losses, optimizers) is in test_cases.py.
"""

import numpy as np
import pytest
import reference as ref
from ops_tools import each_dtype, normal
from scipy import special

from fastnn import ops
from fastnn._core import kernels, rows

THREADS = [1, 2, 3]


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
