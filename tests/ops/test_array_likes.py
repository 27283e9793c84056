"""What is documented as array_like takes lists, integers and bools, with the values of floats."""

import numpy as np
import pytest
import reference

import fastnn
from fastnn import activations, constraints, losses, metrics, ops, regularizers

NUMBERS = [[-3, 1, 0], [2, -1, 5]]
KINDS = {
    "list": NUMBERS,
    "int64": np.array(NUMBERS),
    "int8": np.array(NUMBERS, np.int8),
    "int32, big-endian": np.array(NUMBERS, ">i4"),
    "strided": np.repeat(np.array(NUMBERS), 2, axis=1)[:, ::2],
}
FLOATS = np.array(NUMBERS, np.float64)


@pytest.mark.parametrize("x", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("name", activations.names())
def test_activations_of_integers(name, x):
    right = reference.activation(name, FLOATS)
    for module in (activations, ops):
        found = getattr(module, name)(x)
        assert found.dtype == np.float32 and found.shape == (2, 3)
        np.testing.assert_allclose(found, right, rtol=2e-6, atol=1e-6)


def test_the_notes_examples():
    assert activations.relu([1, -2]).tolist() == [1.0, 0.0]
    assert activations.relu(-2) == 0.0
    assert activations.relu([True, False]).tolist() == [1.0, 0.0]
    assert activations.softmax(np.zeros((4, 2), np.uint8), axis=0).tolist() == [[0.25, 0.25]] * 4


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_an_axis(name, axis):
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    right = e / e.sum(axis=axis, keepdims=True)
    right = np.log(right) if name == "log_softmax" else right
    out = np.empty_like(x)
    ours, theirs = getattr(ops, name), getattr(activations, name)
    for found in (ours(x, axis), theirs(x, axis=axis), ours(x, axis, out=out)):
        np.testing.assert_allclose(found, right, rtol=1e-12)
    np.testing.assert_allclose(out, right, rtol=1e-12)
    for wrong in (3, -4):
        with pytest.raises(ValueError, match=rf"^axis: expected an axis of x of shape \(3, 4, 5\), got {wrong}"):
            getattr(ops, name)(x, wrong)


@pytest.mark.parametrize("kind", ["int8", "int64", "list"])
def test_losses_of_integers(kind):
    t, y = [[0, 1, 0], [1, 0, 0]], KINDS[kind]
    right = ((np.array(t) - FLOATS) ** 2).mean(axis=1)
    np.testing.assert_allclose(ops.mean_squared_error(t, y)[0], right)
    np.testing.assert_allclose(losses.mean_squared_error(t, y), right)
    np.testing.assert_allclose(metrics.mean_squared_error(t, y), right)
    assert losses.MeanSquaredError()(t, y) == pytest.approx(right.mean())
    z = FLOATS - np.log(np.exp(FLOATS).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ops.softmax_cross_entropy(y, [1, 0])[0], -z[[0, 1], [1, 0]], rtol=1e-6)


def test_an_integer_takes_the_dtype_beside_it():
    value, dy = ops.mean_squared_error([[0, 1]], np.array([[0.25, 0.5]]))
    assert value.dtype == dy.dtype == np.float64
    assert value.tolist() == [(0.25**2 + 0.5**2) / 2]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_rules_of_integers(dtype):
    """An int8 has neither its own absolute value nor its square."""
    w = np.array([[-128, 100], [3, 4]], np.int64).astype(dtype)
    exact = w.astype(float)
    assert regularizers.L1(1.0)(w) == np.abs(exact).sum()
    assert regularizers.L2(1.0)(w) == (exact**2).sum()
    norm = np.sqrt((exact**2).sum(axis=0))
    np.testing.assert_allclose(constraints.UnitNorm()(w), exact / norm, rtol=1e-6)
    np.testing.assert_allclose(constraints.MaxNorm(2)(w), exact / norm * 2, rtol=1e-6)
    np.testing.assert_allclose(constraints.NonNeg()(w), np.maximum(exact, 0))


WRONG = ["abc", None, [None], np.zeros(2, complex), np.zeros(2, "M8[s]"), [object()]]


@pytest.mark.parametrize("wrong", WRONG, ids=["text", "None", "list of None", "complex", "dates", "object"])
def test_no_numbers(wrong):
    with pytest.raises(TypeError, match="^x: expected "):
        fastnn.activations.relu(wrong)
