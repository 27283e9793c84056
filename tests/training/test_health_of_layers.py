"""The health of every layer that has a case, in both schedules; gradients of weights by central differences."""

from collections import OrderedDict

import numpy as np
import pytest
from layer_cases import CASES

import fastnn
from fastnn.engine import plan_cache
from fastnn.engine.lowering import LOWERINGS
from fastnn.layers import (
    BatchNormalization,
    Bidirectional,
    Dense,
    Flatten,
    Reshape,
    Residual,
    RReLU,
    TimeDistributed,
)

N, RATE = 40, 0.01
# Their training output is random, or that of batch statistics (test_health_figures.py); or their layers are shown.
OTHERWISE = (BatchNormalization, RReLU, Residual, TimeDistributed, Bidirectional)


def named(case):
    return f"{type(case[0]).__name__}-{case[1]}"


def network(layer, shape):
    """Dense, the layer, Dense, with weights that are nowhere near a kink; returns the model and the layer in it."""
    fastnn.set_random_seed(4)
    layer = fastnn.layers.from_description(layer.describe())  # other tests may have built the case's
    size = int(np.prod(shape))
    model = fastnn.Sequential(
        [fastnn.Input((6,)), Dense(size, name="before"), Reshape(shape), layer, Flatten(), Dense(2, name="after")],
        dtype="float64",
    )
    model.compile(fastnn.SGD(RATE), "mse", seed=1)
    return model, layer


def loss_of(function, x, y, before, after, weights):
    """Loss, output of the layer, gradient of the loss with respect to that output."""
    inner = x @ before[0] + before[1]
    out = function(inner, weights)
    flat = out.reshape(len(x), -1)
    error = flat @ after[0] + after[1] - y
    return np.mean(error**2), out, 2 * error / error.size @ after[0].T


@pytest.mark.filterwarnings("ignore:.*Normalization, was not adapted")
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("case", [c for c in CASES if not isinstance(c[0], OTHERWISE)], ids=named)
def test_figures_of_a_layer(case, schedule):
    given, shape, function = case
    model, layer = network(given, shape)
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(N, 6)), rng.normal(size=(N, 2))
    model.fit(x[:1], y[:1], epochs=0, verbose=0)
    model.engine().schedule = schedule
    before, after = (model.get_layer(name).get_weights() for name in ("before", "after"))
    weights = layer.get_weights()
    of_shape = lambda inner, w: function(inner.reshape(N, *shape), w)  # noqa: E731
    loss, out, arriving = loss_of(of_shape, x, y, before, after, weights)
    history = model.fit(x, y, batch_size=N, shuffle=False, health="every", verbose=0)
    health = history.health
    if layer.name not in health.layers:  # it has neither weights nor an activation
        assert not weights
        return
    found = {name: getattr(health, name)[health.layers.index(layer.name), 0] for name in health.QUANTITIES}
    np.testing.assert_allclose(history.history["loss"][0], loss, rtol=1e-12)
    for name, expected in (
        ("activation_mean", out.mean()), ("activation_std", out.std()),
        ("output_gradient_norm", np.linalg.norm(arriving)),
    ):  # fmt: skip
        # of equal outputs, the difference of E[x²] and E[x]² is the rounding of the squares
        atol = 1e-7 * abs(out.mean()) if name == "activation_std" and np.ptp(out) == 0 else 1e-14
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=atol, err_msg=name)
    trainable = [i for i, v in enumerate(layer.weights) if v.trainable]
    if not trainable:
        assert np.isnan([found["gradient_norm"], found["update_ratio"]]).all()
        return
    square, step = 0.0, 1e-6
    for i in trainable:
        for at in np.ndindex(weights[i].shape):
            sides = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[i][at] += sign * step
                sides.append(loss_of(of_shape, x, y, before, after, moved)[0])
            square += ((sides[0] - sides[1]) / (2 * step)) ** 2
    norm = np.sqrt(sum(np.sum(weights[i] ** 2) for i in trainable))
    np.testing.assert_allclose(found["weight_norm"], norm, rtol=1e-12)
    np.testing.assert_allclose(found["gradient_norm"], np.sqrt(square), rtol=1e-6, atol=1e-9)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found["update_ratio"], RATE * np.sqrt(square) / norm, rtol=1e-6, atol=1e-9)


def test_layers_of_a_block_are_shown():
    block = Residual([Dense(7, "tanh", name="first"), Dense(5, name="second")], name="block")
    model = fastnn.Sequential([fastnn.Input((5,)), block, Dense(2, name="last")])
    model.compile("sgd", "mse")
    health = model.fit(np.ones((4, 5)), np.ones((4, 2)), verbose=0, health="every").health
    assert health.layers == ("first", "second", "last")
    assert np.isfinite(health.gradient_norm).all()


def test_a_kind_of_node_says_itself_whether_its_layer_is_shown(monkeypatch):
    def shown():
        scale = fastnn.layers.Rescaling(0.3, name="scale", input_shape=(23,))
        model = fastnn.Sequential([scale, Dense(5, name="last")])
        model.compile("sgd", "mse")
        return model.fit(np.ones((9, 23)), np.ones((9, 5)), health="every", verbose=0).health.layers

    assert shown() == ("last",)
    monkeypatch.setattr(LOWERINGS["affine"], "shown", True, raising=False)
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())
    assert shown() == ("scale", "last")
