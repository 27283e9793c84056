"""Products with the Hessian: formulas next to the kernels, differences of gradients, symmetry."""

import numpy as np
import pytest
from derivative_tools import (
    BY_MIDDLE,
    LABELS,
    MODELS,
    WEIGHTS,
    X,
    Y,
    made_of,
    model,
    python_loss,
    warm,
)
from scipy.optimize import minimize

import fastnn
from fastnn import layers, ops
from fastnn._core.kernels import activation_rows, loss_rows
from fastnn.engine.second_order.activations import ACTIVATIONS
from fastnn.engine.second_order.losses import LOSSES

RNG = np.random.default_rng(6)


def differences(made, v, x, y, w=None, eps=1e-5):
    theta = made.get_parameters()
    ends = [made.loss_and_grad(theta + s * v, x, y, w)[1] for s in (eps, -eps)]
    return (ends[0] - ends[1]) / (2 * eps)


@pytest.mark.parametrize("row", [row for row, *_ in activation_rows()])
def test_formulas_of_activations_are_those_of_the_kernels(row):
    defaults = next(defaults for name, defaults, _ in activation_rows() if name == row)
    x = np.concatenate([RNG.normal(scale=3, size=200), [-700.0, -40.0, 40.0, 700.0]])
    y, slope = ACTIVATIONS[row](x + 0j, *defaults.values())
    kernel = ops.activation(row, x)
    np.testing.assert_allclose(y.real, kernel, rtol=1e-13, atol=1e-15)
    from_input = next(of_x for name, _, of_x in activation_rows() if name == row)
    expected = ops.activation_grad(row, np.ones_like(x), x if from_input else kernel)
    np.testing.assert_allclose(np.broadcast_to(slope, x.shape).real, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("row", [row for row, *_ in loss_rows()])
def test_formulas_of_losses_are_those_of_the_kernels(row):
    defaults, target = next((d, t) for name, d, t in loss_rows() if name == row)
    p = RNG.uniform(0.05, 0.95, size=(40, 5)) if "logits" not in row else RNG.normal(scale=4, size=(40, 5))
    y = RNG.integers(0, 5, 40) if target == "labels" else RNG.uniform(size=(40, 5))
    _, gradient = ops.loss(row, y, p)
    found = LOSSES[row](p + 0j, y, *defaults.values())
    np.testing.assert_allclose(found.real, gradient, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in MODELS if n != "a layer in Python"])
def test_differences_of_gradients(name):
    made, x, y = made_of(name)
    before = made.get_weights()
    for _ in range(2):
        v = RNG.normal(size=len(made.get_parameters()))
        found = made.hessian_vector_product(v, x, y)
        np.testing.assert_allclose(found, differences(made, v, x, y), rtol=2e-6, atol=2e-8)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loss, last", [
    ("sparse_categorical_crossentropy", "softmax"), ("categorical_crossentropy", "softmax"), ("huber", "sigmoid"),
    (fastnn.losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax"), ("binary_crossentropy", "sigmoid"),
    (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), None),
    (fastnn.losses.MeanSquaredError(reduction="sum"), None), ("nll", "log_softmax"), ("cosine_similarity", None),
    (fastnn.losses.MeanSquaredError(reduction="mean_with_sample_weight"), "softplus"), ("poisson", "exponential"),
    ("categorical_crossentropy", "sigmoid"), ("kl_divergence", "softmax"), ("binary_focal_crossentropy", "sigmoid"),
    (fastnn.losses.BinaryFocalCrossentropy(True, gamma=1.5), "tanh"),
])  # fmt: skip
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(loss, last, weighted):
    made = warm(model(loss=loss, last=last, weight_decay=0.1))
    y = LABELS if "parse" in str(loss) or loss == "nll" else abs(Y) / abs(Y).sum(1, keepdims=True)
    w = WEIGHTS if weighted else None
    v = RNG.normal(size=len(made.get_parameters()))
    found = made.hessian_vector_product(v, X, y, w)
    np.testing.assert_allclose(found, differences(made, v, X, y, w), rtol=2e-6, atol=2e-8)


JUMPS = ("threshold", "hard_shrink")  # not continuous


@pytest.mark.parametrize("row", [row for row, *_ in activation_rows() if row not in JUMPS and "general" not in row])
def test_activations_within_a_model(row):
    made = warm(model([layers.Dense(4, row)]))
    v = RNG.normal(size=len(made.get_parameters()))
    np.testing.assert_allclose(made.hessian_vector_product(v, X, Y), differences(made, v, X, Y), rtol=1e-5, atol=1e-7)


def test_columns_of_the_hessian_are_symmetric_and_linear():
    made = warm(model([layers.LayerNormalization(), layers.Dense(4, "silu")]))
    n = len(made.get_parameters())
    whole = np.array([made.hessian_vector_product(e, X, Y) for e in np.eye(n)])
    np.testing.assert_allclose(whole, whole.T, rtol=1e-11, atol=1e-13)
    v = RNG.normal(size=n)
    np.testing.assert_allclose(made.hessian_vector_product(v, X, Y), whole @ v, rtol=1e-11, atol=1e-12)


def test_blocks_of_rows_and_dtypes():
    x, y = RNG.normal(size=(2500, 6)), RNG.normal(size=(2500, 3))
    made, small = warm(model()), warm(model(dtype="float32"))
    small.set_weights(made.get_weights())
    v = RNG.normal(size=len(made.get_parameters()))
    found = made.hessian_vector_product(v, x, y)
    np.testing.assert_allclose(found, differences(made, v, x, y), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(small.hessian_vector_product(v, x, y), found, rtol=1e-5, atol=1e-6)
    assert small.hessian_vector_product(v.astype("f4"), x, y).dtype == np.float32


def test_other_weights_and_scipy():
    x = np.linspace(-2, 2, 40)[:, None]
    made = fastnn.Sequential([layers.Dense(5, "tanh", input_shape=(1,)), layers.Dense(1)], dtype="float64")
    made.compile(loss="mse")
    theta = RNG.normal(size=16)
    v, kept = RNG.normal(size=16), made.get_parameters()
    found = made.hessian_vector_product(v, x, x**2, theta=theta)
    np.testing.assert_array_equal(made.get_parameters(), kept)
    made.set_parameters(theta)
    np.testing.assert_array_equal(made.hessian_vector_product(v, x, x**2), found)
    best = minimize(made.loss_and_grad, theta, (x, x**2), "trust-ncg", jac=True, options={"gtol": 1e-5, "maxiter": 300},
                    hessp=lambda theta, v, x, y: made.hessian_vector_product(v, x, y, theta=theta))  # fmt: skip
    assert best.fun < 1e-3


def test_errors():
    made = made_of("a layer in Python")[0]
    with pytest.raises(NotImplementedError, match="expected layers with second derivatives, got scale.* \\(Scale\\)"):
        made.hessian_vector_product(made.get_parameters(), X, Y)
    made = model(loss=python_loss)
    with pytest.raises(NotImplementedError, match="expected a loss with second derivatives, got python_loss"):
        made.hessian_vector_product(made.get_parameters(), X, Y)
    made = model()
    with pytest.raises(ValueError, match=r"v: expected shape \(73,\)"):
        made.hessian_vector_product([1.0], X, Y)
    assert set(BY_MIDDLE) < set(MODELS)
