"""Dense layers on arrays that are too small for panels: read as they lie, with the bits of the long way."""

import numpy as np
import pytest

from fastnn import ops
from fastnn._core import kernels, rows

SIZES = [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64]  # around vectors of every instruction set


@pytest.fixture(params=kernels.targets())
def isa(request):
    rows.use(request.param)
    yield request.param
    rows.use(None)


def matrices(dtype, n, inputs, units, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((n, inputs), (inputs, units), (units,))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_products_have_the_bits_of_large_ones(isa, dtype):
    compared = 0
    for units in SIZES:
        for n, inputs in [(1, 1), (2, 20), (5, 3), (6, 0), (7, 9), (13, 20), (64, 20)]:
            x, w, b = matrices(dtype, n, inputs, units)
            for bias in (b, None):
                y = ops.dense_forward(x, w, bias)
                # two threads never go the short way
                assert ops.dense_forward(x, w, bias, threads=2).tobytes() == y.tobytes(), (n, inputs, units)
                right = x.astype(np.float64) @ w + (0 if bias is None else bias)
                size = np.abs(x).astype(np.float64) @ np.abs(w) + (0 if bias is None else np.abs(bias))
                assert (np.abs(y - right) <= (inputs + 1) * np.finfo(dtype).eps * size).all()
                compared += 1
    assert compared == 2 * 7 * len(SIZES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_of_small_products(isa, dtype):
    x, w, b = matrices(dtype, 9, 11, 21)
    z = ops.dense_forward(x, w, b).astype(np.float64)
    known = {
        "relu": np.maximum(z, 0), "tanh": np.tanh(z), "elu": np.where(z > 0, z, np.expm1(z)), "linear": z,
        ("elu", ("alpha", 0.5)): np.where(z > 0, z, 0.5 * np.expm1(z)), "leaky_relu": np.where(z > 0, z, 0.2 * z),
        "gelu": z * 0.5 * (1 + np.vectorize(__import__("math").erf)(z / np.sqrt(2))),
    }  # fmt: skip
    for name, right in known.items():
        act = name if isinstance(name, str) else (name[0], dict([name[1]]))
        y = ops.dense_forward(x, w, b, act)
        np.testing.assert_allclose(y, right, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
        assert ops.dense_forward(x, w, b, act, threads=2).tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_that_are_apart(isa, dtype):
    """Nothing outside of the rows is written, and it does not matter what lies there."""
    for units in SIZES:
        x, w, b = matrices(dtype, 13, 10, units)
        y = ops.dense_forward(x, w, b, "tanh")
        wide_x, wide_w, wide_y = (np.full((len(a), a.shape[1] + 5), np.nan, dtype) for a in (x, w, y))
        wide_x[:, 2:-3], wide_w[:, 2:-3] = x, w
        ops.dense_forward(wide_x[:, 2:-3], wide_w[:, 2:-3], b, "tanh", out=wide_y[:, 2:-3])
        assert wide_y[:, 2:-3].tobytes() == y.tobytes()
        assert np.isnan(wide_y[:, :2]).all() and np.isnan(wide_y[:, -3:]).all()


def test_what_is_not_plain_has_the_same_results_and_errors():
    x, w, b = matrices("float32", 5, 6, 20)
    y = ops.dense_forward(x, w, b, "relu")
    raw = np.zeros(x.nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    for other in (odd, x.astype(">f4"), np.asfortranarray(x), x[::-1].copy()[::-1], x.view(np.memmap)):
        assert ops.dense_forward(other, w, b, "relu").tobytes() == y.tobytes()
        assert ops.dense_forward(other[0], w, b, "relu").tobytes() == y[0].tobytes()
    assert ops.dense_forward(x, np.asfortranarray(w), b[None][0], "relu").tobytes() == y.tobytes()
    with pytest.raises(ValueError, match=r"w: expected shape \(6, units\)"):
        ops.dense_forward(x, w[:5], b)
    with pytest.raises(ValueError, match=r"b: expected shape \(20,\)"):
        ops.dense_forward(x, w, b[:19])
    with pytest.raises(TypeError, match="w: expected float32 like x, got float64"):
        ops.dense_forward(x, w.astype(float), b)
    with pytest.raises(ValueError, match="unknown activation 'rleu'"):
        ops.dense_forward(x, w, b, "rleu")
    with pytest.raises(ValueError, match="unknown activation"):
        ops.dense_forward(x, w, b, "rel\0u")
    assert ops.dense_forward(x[:0], w, b).shape == (0, 20) and ops.dense_forward(x, w[:, :0], b[:0]).shape == (5, 0)
