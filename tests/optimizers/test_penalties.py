"""Penalties: in the reported loss, in gradients, for layers in NumPy, and no work where none is asked for."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of
from rules_tools import BATCH, CLASSES, INPUTS, data, pair

import fastnn
from fastnn import constraints, layers, regularizers
from fastnn._core import kernels


def wide(**compiled):
    """A model whose kernel gradients are cut into several items."""
    rules = {"kernel_regularizer": "l1_l2", "bias_regularizer": "l2", "kernel_constraint": "max_norm"}
    hidden = [layers.Dense(70, "relu", **rules), layers.Dense(65, "relu", **rules)]
    model = fastnn.Sequential([fastnn.Input((300,)), *hidden, layers.Dense(4, **rules)], dtype="float64")
    model.compile(fastnn.Adam(0.01), "mse", seed=0, **compiled)
    return model


def test_reported_loss_is_that_of_the_penalties_whatever_runs_them():
    """Fused, chunked, clipped by norm and evaluated: one value, that of calling the regularizers."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 300)), rng.normal(size=(90, 4))
    model = wide(weight_decay=0.2)
    start = model.get_weights()
    value = np.mean((model.predict(x, verbose=0) - y) ** 2)
    for layer in model.layers:
        value += layer.kernel_regularizer(layer.kernel.numpy()) + layer.bias_regularizer(layer.bias.numpy())
        value += 0.2 / 2 * np.sum(layer.kernel.numpy() ** 2)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(value, rel=1e-12)
    assert model.test_on_batch(x, y) == pytest.approx(value, rel=1e-12)
    for choices in ({"schedule": "layers"}, {"schedule": "samples"}, {"schedule": "layers", "threads": 2}):
        model.set_weights(start)
        engine = engine_of(model, **choices)
        loss = engine.fit_block(x, y, None, None, 0, 90, 90, np.full(1, 0.01))[1] / 90
        assert loss == pytest.approx(value, rel=1e-12)
    model.set_weights(start)
    assert model.fit(x, y, batch_size=90, verbose=0).history["loss"] == [pytest.approx(value, rel=1e-12)]


def test_a_numpy_layer_has_penalties_too():
    class Scale(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape[1:], "ones", name="factor", regularizer=regularizers.L2(0.5),
                                          constraint=constraints.MaxNorm(1.5))  # fmt: skip

        def call(self, x, training):
            self.x = x
            return x * self.factor.numpy()

        def backward(self, dy):
            self.grads = [(dy * self.x).sum(axis=0)]
            return dy * self.factor.numpy()

    model = fastnn.Sequential([Scale(input_shape=(2,))], dtype="float64")
    model.compile(fastnn.SGD(0.1), "mse")
    x = np.ones((4, 2))
    assert model.evaluate(x, x, verbose=0) == pytest.approx(1.0)
    assert model.train_on_batch(x, x) == pytest.approx(1.0)
    w = 1 - 0.1 * 2 * 0.5 * np.ones(2)
    np.testing.assert_allclose(model.get_weights()[0], reference.max_norm(w, 1.5), rtol=1e-12)


@pytest.mark.parametrize("penalty", ["l1_l2", "rows"])
def test_gradients_by_hand_have_the_penalty(penalty):
    engine, model, net = pair("bn", penalty, "max_norm", "AdamW", 0.1)
    x, _ = data(BATCH)
    for _ in range(3):
        dy = engine.forward(x, training=True) - 0.3
        net.forward(x, True)
        engine.backward(dy)
        net.backward(dy)
        for i, _, gradient in net.penalties():
            net.grads[i] = net.grads[i] + gradient
        wanted = [g for g in net.grads if g is not None]
        for ours, theirs in zip(engine.gradients(), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
        engine.apply_gradients(0.01)
        live = [r for r in zip(net.weights, net.grads, net.constraints(), strict=True) if r[1] is not None]
        net.optimizer.apply(*zip(*live, strict=True))
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def operations(model, **choices):
    engine = engine_of(model, **choices)
    program = engine.program("train", BATCH, (8 * INPUTS, kernels.DATA_CODES["<f8"]))
    return [op[0] for op in program.plan.ops], program


@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_nothing_is_added_where_nothing_is_asked(schedule):
    """No operation, no vector; and penalties, decay and value clipping stay in the kernel of the gradient."""
    choices = {"schedule": schedule}
    plain, program = operations(pair("dense")[1], **choices)
    assert set(program.plan.flat) == {"theta", "grad", "state0"}
    assert not program.plan.operations.counters
    added = {"rules", "accumulate", "average", "constrain_units", "constrain_groups"}
    assert not added & set(plain)
    ruled, _ = operations(pair("dense", "l1_l2", "none", "SGD", 0.1, weight_decay=0.1, clipvalue=1.0)[1], **choices)
    assert ruled == plain if schedule == "layers" else sorted(ruled) == sorted([*plain, "rules"])
    constrained, _ = operations(pair("dense", "none", "max_norm")[1], **choices)
    assert [op for op in constrained if op not in added] == plain


def test_threads_wait_where_weights_or_gradients_of_others_are_read():
    """A missing barrier hardly ever shows in the numbers."""
    found = pair("dense", "rows", "max_norm", ema_momentum=0.9)[1]
    engine = engine_of(found, schedule="layers")
    ops = engine.program("train", BATCH, (8 * INPUTS, kernels.DATA_CODES["<f8"])).plan.ops
    behind = ("orthogonal_add", "rules", "update", "average", "constrain_units", "constrain_groups")
    waits = [(op[0], op[-1]) for op in ops if op[0] in behind]
    assert {name for name, _ in waits} == set(behind)
    # The update and the average touch the blocks that the operation before gave to the same thread; a kernel and its
    # bias lie in the same panels, those of another layer do not.
    assert not any(wait for name, wait in waits if name in ("update", "average")), waits
    assert all(wait for name, wait in waits if name in ("orthogonal_add", "rules")), waits
    constraints = [wait for name, wait in waits if name.startswith("constrain")]
    assert constraints == [True, True, False, True, False, True], waits


def test_an_activity_regularizer_is_the_layer_of_that_name():
    x, y = data(BATCH)
    found = []
    for rule in (True, False):
        hidden = layers.Dense(6, "tanh", kernel_initializer="ones",
                              activity_regularizer=regularizers.L1L2(0.1, 0.2) if rule else None)  # fmt: skip
        beside = [] if rule else [layers.ActivityRegularization(0.1, 0.2)]
        last = layers.Dense(CLASSES, "softmax", kernel_initializer="ones")
        block = layers.Residual([hidden, *beside, layers.Dense(INPUTS, kernel_initializer="ones")])
        model = fastnn.Sequential([fastnn.Input((INPUTS,)), block, last], dtype="float64")
        model.compile("sgd", "sparse_categorical_crossentropy", seed=1)
        found.append([*model.fit(x, y, epochs=3, verbose=0).history["loss"], model.evaluate(x, y, verbose=0)])
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="activity_regularizer: expected L1, L2 or L1L2"):
        layers.Dense(1, activity_regularizer="orthogonal_regularizer")
