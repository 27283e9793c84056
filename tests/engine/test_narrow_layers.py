"""Few units or few inputs: dW without a transpose, and half panels (src_c/gemm/dense.inl.h, dw_narrow)."""

import numpy as np
import pytest
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 8, 9, 16, 17, 20, 33, 41])
@pytest.mark.parametrize("batch, inputs", [(1, 1), (5, 2), (5, 7), (300, 3), (70, 8), (32, 100), (37, 33), (1100, 200)])
def test_gradients_against_float64(batch, inputs, units, dtype, isa):
    """What lies in the lanes behind the last sample is infinite here, and must not be seen."""
    rng = np.random.default_rng(units)
    stack = [layers.Dense(inputs, "exponential", input_shape=(2,)), layers.Dense(units)]
    model = fastnn.Sequential(stack, dtype=dtype)
    bias = rng.uniform(0, 1, inputs) + 2000  # of zeros: exp(2000)
    first = [np.stack([np.full(inputs, -2000.0), rng.normal(size=inputs)]), bias]
    w, b = rng.normal(size=(inputs, units)), rng.normal(size=units)
    model.set_weights([a.astype(dtype) for a in (*first, w, b)])
    model.compile("sgd", "mse")
    engine = engine_of(model, isa=isa)
    x = np.stack([np.ones(batch), rng.normal(size=batch)], axis=1).astype(dtype)
    dy = rng.normal(size=(batch, units)).astype(dtype)
    engine.forward(x, training=True)
    engine.backward(dy)
    dw, db = engine.gradients()[2:]
    kernel, bias = (a.astype(dtype).astype(np.float64) for a in first)
    hidden = np.exp(x.astype(np.float64) @ kernel + bias)
    epsilon = np.finfo(dtype).eps
    # the sum before exp is off by a few of its 2000 epsilons
    assert (abs(dw - hidden.T @ dy) <= 2**14 * epsilon * (hidden.T @ abs(dy).astype(np.float64))).all()
    assert (abs(db - dy.sum(axis=0, dtype=np.float64)) <= 64 * epsilon * abs(dy).sum(axis=0)).all()
