"""Whole training steps against the float64 NumPy network of reference.py."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

STEPS, BATCH, INPUTS, CLASSES = 50, 24, 19, 5
OPTIMIZERS = {
    "adam": (
        lambda **clip: fastnn.optimizers.Adam(0.01, **clip),
        lambda **clip: reference.Adam(0.01, **clip),
    ),
    "nesterov": (
        lambda **clip: fastnn.optimizers.SGD(0.05, momentum=0.9, nesterov=True, **clip),
        lambda **clip: reference.SGD(0.05, momentum=0.9, nesterov=True, **clip),
    ),
    "sgd": (
        lambda **clip: fastnn.optimizers.SGD(0.05, **clip),
        lambda **clip: reference.SGD(0.05, **clip),
    ),
}
CLIPS = [{}, {"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.2}]


def build(kind, activation="elu"):
    """The same network for both sides: (fastnn layers, reference layers)."""
    ours, theirs = [], []
    if kind == "bn":
        ours.append(layers.BatchNormalization())
        theirs.append(("batch_norm", {}))
    for units in (23, 17):
        if kind == "bn":
            ours.append(layers.Dense(units, use_bias=False))
            ours.append(layers.BatchNormalization())
            ours.append(layers.Activation(activation))
            theirs.append(("dense", {"use_bias": False}))
            theirs.append(("batch_norm", {}))
            theirs.append(("activation", {"name": activation}))
        else:
            ours.append(layers.Dense(units, activation=activation))
            theirs.append(("dense", {"activation": activation}))
        if kind == "dropout":
            ours.append(layers.Dropout(0.3))
            theirs.append(("dropout", {"rate": 0.3}))
    ours.append(layers.Dense(CLASSES, activation="softmax"))
    theirs.append(("dense", {"activation": "softmax"}))
    return ours, theirs


def data(seed=0, n=STEPS * BATCH):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, INPUTS)) * 2 + 0.5, rng.integers(0, CLASSES, n).astype(np.int32)


def pair(kind, optimizer="adam", clip=None, dtype="float64", **choices):
    """(engine, model, reference network) with equal weights."""
    ours, theirs = build(kind)
    make, reference_optimizer = OPTIMIZERS[optimizer]
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype=dtype)
    model.compile(make(**(clip or {})), "sparse_categorical_crossentropy", seed=7)
    dropouts = iter(i for i, layer in enumerate(model.leaves()) if isinstance(layer, layers.Dropout))
    theirs = [(k, {**spec, "id": next(dropouts)} if k == "dropout" else spec) for k, spec in theirs]
    net = reference.Net(
        theirs, model.get_weights(), "sparse_categorical_crossentropy",
        reference_optimizer(**(clip or {})), seed=7,
    )  # fmt: skip
    return engine_of(model, **choices), model, net


def train_both(engine, net, n=STEPS * BATCH, batch=BATCH, weights=None):
    x, y = data(n=n)
    done, loss, _ = engine.fit_block(
        x, y, weights, None, 0, n, batch, rates_of(engine, -(-n // batch))
    )
    assert done == n
    parts = [slice(i, min(n, i + batch)) for i in range(0, n, batch)]
    extra = [() if weights is None else (weights[p],) for p in parts]
    losses = net.train([(x[p], y[p], *e) for p, e in zip(parts, extra, strict=True)])
    return loss / n, np.average(losses, weights=[p.stop - p.start for p in parts])


def rates_of(engine, steps):
    return np.full(steps, {"adam": 0.01, "sgd": 0.05}[engine.optimizer_row[0]])


def assert_same(model, net, tolerance):
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("clip", CLIPS, ids=lambda c: next(iter(c), "plain"))
@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_in_float64(optimizer, kind, clip, schedule):
    engine, model, net = pair(kind, optimizer, clip, schedule=schedule)
    ours, theirs = train_both(engine, net)
    assert abs(ours - theirs) < 1e-10
    assert_same(model, net, 1e-10)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("kind", ["dense", "bn"])
@pytest.mark.parametrize("batch", [1, 7, 8, 9, 33, 64])
def test_every_target_and_batch_size(isa, kind, batch):
    if kind == "bn" and batch == 1:
        pytest.skip("the variance of one sample is zero; see test_layers")
    engine, model, net = pair(kind, isa=isa)
    train_both(engine, net, n=5 * batch + (batch > 4) * 3, batch=batch)
    assert_same(model, net, 1e-9)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_many_chunks_and_gradient_blocks(schedule):
    """A batch beyond every cut of the kernels: chunks, slots, sample blocks of dW, blocks of k."""
    engine, model, net = pair("dense", schedule=schedule)
    train_both(engine, net, n=2500, batch=1300)
    assert_same(model, net, 1e-10)


def test_wide_layers_are_cut_in_k():
    model = fastnn.Sequential(
        [fastnn.Input((INPUTS,)), layers.Dense(700, activation="tanh"), layers.Dense(600, activation="tanh"),
         layers.Dense(CLASSES, activation="softmax")], dtype="float64")  # fmt: skip
    model.compile(fastnn.Adam(0.01), "sparse_categorical_crossentropy", seed=1)
    spec = [("dense", {"activation": a}) for a in ("tanh", "tanh", "softmax")]
    net = reference.Net(spec, model.get_weights(), "sparse_categorical_crossentropy", reference.Adam(0.01))
    train_both(engine_of(model), net, n=90, batch=45)
    assert_same(model, net, 1e-10)


def test_sample_weights():
    engine, model, net = pair("dense")
    weights = np.random.default_rng(2).uniform(0, 3, STEPS * BATCH)
    ours, theirs = train_both(engine, net, weights=weights)
    assert abs(ours - theirs) < 1e-10
    assert_same(model, net, 1e-10)


@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
def test_float32_stays_near_float64(kind):
    engine, model, net = pair(kind, "nesterov", dtype="float32")
    x, y = data()
    x = x.astype(np.float32)
    engine.fit_block(x, y, None, None, 0, 10 * BATCH, BATCH, np.full(10, 0.05))
    net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, 10 * BATCH, BATCH)])
    assert_same(model, net, 2e-4)


@pytest.mark.parametrize("kind", ["dense", "bn"])
def test_evaluate_and_predict_use_inference_mode(kind):
    engine, model, net = pair(kind)
    train_both(engine, net, n=5 * BATCH)
    x, y = data(3, 333)
    np.testing.assert_allclose(engine.predict(x, 100), net.forward(x), rtol=1e-10, atol=1e-12)
    n, loss, _ = engine.evaluate(x, y, None, 100)
    expected = -np.log(net.forward(x)[np.arange(333), y])
    assert n == 333
    assert loss / n == pytest.approx(expected.mean(), rel=1e-10)


@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
def test_forward_backward_apply(kind):
    """By hand, with a loss of the caller's: the same gradients, the same step."""
    engine, model, net = pair(kind)
    x, _ = data(4, BATCH)
    target = np.random.default_rng(5).normal(size=(BATCH, CLASSES))
    for _ in range(3):
        y = engine.forward(x, training=True)
        np.testing.assert_allclose(y, net.forward(x, True), rtol=1e-10)
        dy = y - target
        dx, expected = engine.backward(dy), net.backward(dy)
        np.testing.assert_allclose(dx, expected, rtol=1e-8, atol=1e-11)
        wanted = [g for g in net.grads if g is not None]
        for ours, theirs in zip(engine.gradients(), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-11)
        engine.apply_gradients(0.01)
        live = [(w, g) for w, g in zip(net.weights, net.grads, strict=True) if g is not None]
        net.optimizer.apply(*zip(*live, strict=True))
        net.steps += 1
    assert_same(model, net, 1e-9)


def by_hand():
    """A model of which a batch has been through forward and backward; its weights, gradients, and a rate."""
    fastnn.set_random_seed(2)
    model = fastnn.Sequential([layers.Dense(7, "tanh", input_shape=(5,)), layers.Dense(3)], dtype="float64")
    model.compile(fastnn.SGD(0.5))
    x = np.random.default_rng(0).normal(size=(8, 5))
    model.forward(x, training=True)
    model.backward(np.ones((8, 3)))
    return model, x, model.get_weights(), model.gradients()


@pytest.mark.parametrize("between", ["predict", "train", "set_weights", "assign"])
def test_a_step_by_hand_changes_the_weights_wherever_they_are(between):
    """Between `backward` and `apply_gradients` another model that shares a layer, or an assignment, has them."""
    model, x, weights, gradients = by_hand()
    other = fastnn.Sequential(model.layers[:1])
    if between == "predict":
        other.predict(x, verbose=0)
    elif between == "train":
        other.compile("sgd", "mse")
        other.fit(x, np.ones((8, 7)), verbose=0)
    elif between == "set_weights":
        model.set_weights([w + 1 for w in weights])
    else:
        model.layers[0].kernel.assign(weights[0] - 1)
    now = model.get_weights()
    assert between == "predict" or not np.array_equal(now[0], weights[0])
    model.apply_gradients()
    for w, before, gradient in zip(model.get_weights(), now, gradients, strict=True):
        np.testing.assert_allclose(w, before - 0.5 * gradient, rtol=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 7, 9])
def test_rows_of_dy_are_those_of_the_batch(rows):
    model, _, _, gradients = by_hand()
    with pytest.raises(ValueError, match=f"dy: expected 8 rows, .* got {rows}"):
        model.backward(np.ones((rows, 3)))
    for now, before in zip(model.gradients(), gradients, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_batch_of_no_rows_cannot_be_trained_on():
    model = by_hand()[0]
    with pytest.raises(ValueError, match="x: expected at least one row"):
        model.forward(np.zeros((0, 5)), training=True)
    assert model.forward(np.zeros((0, 5))).shape == (0, 3)


@pytest.mark.parametrize("at, shape", [(0, (5, 8)), (0, (35,)), (1, (1, 7)), (1, (16, 7)), (2, (7, 1)), (3, None)])
def test_gradients_that_are_given_have_the_shapes_of_weights(at, shape):
    model, _, weights, gradients = by_hand()
    given = [np.zeros(w.shape) for w in weights]
    given[at : at + 1] = [] if shape is None else [np.zeros(shape)]
    with pytest.raises(ValueError, match="gradients: expected arrays of shapes"):
        model.apply_gradients(given)
    model.apply_gradients()  # those of `backward` are still there
    for w, before, gradient in zip(model.get_weights(), weights, gradients, strict=True):
        np.testing.assert_allclose(w, before - 0.5 * gradient, rtol=1e-12)


def test_there_is_nothing_to_train_on_without_a_loss():
    model = by_hand()[0]
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=f"{call.__name__}: expected a model compiled with a loss"):
            call(np.zeros((4, 5)), np.zeros((4, 3)))


def test_a_frozen_layer_keeps_its_weights_and_its_statistics():
    """The layers below a frozen one still get its gradient; a frozen batch normalisation runs in inference mode."""
    ours, theirs = build("bn")
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype="float64")
    for at in (2, 4):  # a batch normalisation and a dense layer
        model.layers[at].trainable = False
        theirs[at][1]["trainable"] = False
    model.compile(fastnn.Adam(0.01), "sparse_categorical_crossentropy", seed=1)
    before = model.get_weights()
    net = reference.Net(theirs, before, "sparse_categorical_crossentropy", reference.Adam(0.01))
    engine = engine_of(model)
    train_both(engine, net, n=10 * BATCH)
    assert_same(model, net, 1e-10)
    frozen = [w for at in (2, 4) for w in model.layers[at].get_weights()]
    assert len(frozen) == 5
    assert all(any(np.array_equal(w, b) for b in before) for w in frozen)


def test_a_frozen_prefix_costs_no_backward_pass():
    model = fastnn.Sequential(
        [fastnn.Input((INPUTS,)), layers.Dense(8, activation="relu", trainable=False),
         layers.Dense(8, activation="relu", trainable=False), layers.Dense(CLASSES, activation="softmax")])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    engine = engine_of(model)
    x, y = data()
    engine.fit_block(x.astype(np.float32), y, None, None, 0, BATCH, BATCH, np.full(1, 0.1))
    (program,) = engine._programs.values()
    names = [op[0] for op in program.plan.ops]
    assert names.count("dense_fwd") == 3
    assert names.count("dense_dw") == 1
    assert names.count("dense_dx") == 0


def frozen_alone(optimizer, role, batch, when):
    """A network of which one variable is frozen; its weights after two epochs, and whether that one stayed."""
    fastnn.set_random_seed(3)
    stack = [layers.Dense(20, "tanh", input_shape=(INPUTS,)), layers.BatchNormalization(), layers.Dense(CLASSES)]
    model = fastnn.Sequential(stack, dtype="float64")
    at, name = role
    variable = getattr(model.layers[at], name)
    x, y = np.random.default_rng(0).normal(size=(600, INPUTS)), np.random.default_rng(1).normal(size=(600, CLASSES))
    if when == "before compile":
        variable.trainable = False
    model.compile(optimizer(), "mse", seed=1)
    if when == "after a step":
        model.train_on_batch(x[:5], y[:5])
        variable.trainable = False
    before = variable.numpy()
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    model.train_on_batch(x[:5], y[:5])
    return model.get_weights(), np.array_equal(before, variable.numpy())


@pytest.mark.parametrize("when", ["before compile", "after a step"])
@pytest.mark.parametrize("batch", [32, 600])
@pytest.mark.parametrize("role", [(0, "kernel"), (0, "bias"), (1, "gamma"), (1, "beta"), (2, "kernel"), (2, "bias")])
def test_a_variable_that_is_frozen_alone_stays_as_it_is(role, batch, when):
    """As with an optimizer that clips norms, too far away to matter: nothing is fused there."""
    found, stayed = frozen_alone(lambda: fastnn.Adam(0.01), role, batch, when)
    expected, _ = frozen_alone(lambda: fastnn.Adam(0.01, clipnorm=1e9), role, batch, when)
    assert stayed
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_the_last_backward_or_none():
    model, x, weights, _ = by_hand()
    new = fastnn.Sequential([layers.Dense(2, input_shape=(5,))])
    new.compile("sgd", "mse")
    for call in (new.gradients, new.apply_gradients):
        with pytest.raises(RuntimeError, match=f"{call.__name__}: "):
            call()
    model.compile("sgd", "mse")
    model.forward(x, training=True)
    model.backward(np.ones((8, 3)))
    assert len(model.gradients()) == len(weights)
    for _ in range(3):  # the long way, then the short one
        model.train_on_batch(x, np.ones((8, 3)))
        for call in (model.gradients, model.apply_gradients):
            with pytest.raises(RuntimeError, match=f"{call.__name__}: "):
                call()
        model.forward(x, training=True)
        with pytest.raises(RuntimeError, match="gradients: "):
            model.gradients()
        model.backward(np.ones((8, 3)))


def test_an_error_while_planning_is_no_plan(monkeypatch):
    """The next call looks again: what was frozen stays frozen."""
    model = fastnn.Sequential([layers.Dense(4, "tanh", input_shape=(5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 5)), np.ones((8, 3))
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("fastnn.models.model.Engine", fail)
    with pytest.raises(MemoryError):
        model.fit(x, y, verbose=0)
    monkeypatch.undo()
    before = model.layers[0].get_weights()
    model.fit(x, y, verbose=0)
    for a, b in zip(model.layers[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


ROW_WISE = ["categorical_crossentropy", "kl_divergence", "cosine_similarity", "categorical_hinge",
            "sparse_categorical_crossentropy"]  # fmt: skip


@pytest.mark.parametrize("loss", ROW_WISE)
def test_classes_in_several_groups_are_refused(loss):
    """The core would take them for one row: one softmax over both groups."""
    model = fastnn.Sequential([layers.Dense(6, input_shape=(4,)), layers.Reshape((2, 3))])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"expected outputs of shape \(n, classes\).*\(None, 2, 3\)"):
        model.fit(np.ones((2, 4)), np.zeros((2, 2, 3)), verbose=0)
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    with pytest.raises(ValueError, match="categorical_accuracy: expected outputs"):
        model.evaluate(np.ones((2, 4)), np.zeros((2, 2, 3)), verbose=0)
    model.compile("sgd", "mse")
    y = np.arange(12.0).reshape(2, 2, 3)
    expected = np.mean((model.predict(np.ones((2, 4))) - y) ** 2)
    assert model.evaluate(np.ones((2, 4)), y, verbose=0) == pytest.approx(expected)


def test_python_losses_and_metrics_may_write_to_their_targets():
    def masked(t, p):
        missing = t == -1
        t[missing] = 0
        e = np.where(missing, 0, p - t)
        return (e**2).mean(1), e

    x, y = np.ones((4, 3)), np.array([[1.0, -1], [2, -1], [-1, -1], [4, 5]])
    model = fastnn.Sequential([layers.Dense(2, kernel_initializer="ones", input_shape=(3,))])
    model.compile(fastnn.SGD(0.0), masked, metrics=[lambda t, p: masked(t, p)[0]])
    before = y.copy()
    for _ in range(2):
        assert model.evaluate(x, y, verbose=0) == [1.25, 1.25]
        model.train_on_batch(x, y)
    np.testing.assert_array_equal(y, before)


def test_r2_of_targets_that_do_not_differ():
    for k, aggregation in ((1, "uniform_average"), (2, "variance_weighted_average")):
        model = fastnn.Sequential([layers.Activation("linear", input_shape=(k,))], dtype="float64")
        model.compile("sgd", "mse", metrics=[fastnn.metrics.R2Score(aggregation)])
        t = np.full((10, k), 0.1)
        assert np.isnan(model.evaluate(t + 0.01, t, verbose=0)[1])  # Keras: 0


def test_losses_that_are_no_means_are_no_metrics():
    for loss in (fastnn.losses.MeanSquaredError(reduction="sum"),
                 fastnn.losses.SparseCategoricalCrossentropy(ignore_class=-1)):  # fmt: skip
        model = fastnn.Sequential([layers.Dense(3, "softmax", input_shape=(2,))])
        with pytest.raises(ValueError, match="expected a loss that is a mean over all samples"):
            model.compile("sgd", loss, metrics=[loss])
            model.evaluate(np.ones((2, 2)), np.zeros(2, int), verbose=0)


def test_calls_of_losses_check_their_arguments():
    mse, sparse = fastnn.losses.MeanSquaredError, fastnn.losses.SparseCategoricalCrossentropy
    with pytest.raises(ValueError, match=r"y_true: expected shape \(2, 3\)"):
        mse()(np.zeros((3, 2)), np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match="integer class labels"):
        sparse()([1.7], [[0.2, 0.5, 0.3]])
    with pytest.raises(TypeError, match="y_true: expected numbers"):
        mse()([[1j]], [[0.0]])
    assert mse()([0.0, 0.0], np.ones((2, 1))) == 1
    values = mse(reduction="none", dtype="float32")(np.zeros((2, 1)), np.ones((2, 1)))
    assert values.dtype == np.float32
    weighted = mse(reduction="none", dtype="float32")(np.zeros((2, 1)), np.ones((2, 1)), sample_weight=[1.0, 2.0])
    assert weighted.dtype == np.float32 and weighted.tolist() == [1, 2]


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy"])
def test_python_metrics_see_the_outputs_of_their_batch(loss):
    """Also where the loss makes the probabilities from the logits: those were of the batch before."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(90, 5)), np.eye(3)[rng.integers(0, 3, 90)]

    def absolute(y_true, y_pred):
        return np.abs(y_true - y_pred).mean(axis=1)

    end = "softmax" if loss == "categorical_crossentropy" else "sigmoid"
    model = fastnn.Sequential([layers.Dense(3, end, input_shape=(5,))], dtype="float64")
    model.compile(fastnn.SGD(0.0), loss, metrics=[absolute])
    right = np.abs(model.predict(x, verbose=0) - t).mean()
    assert model.evaluate(x, t, batch_size=20, verbose=0)[1] == pytest.approx(right, rel=1e-12)
    assert model.fit(x, t, batch_size=20, verbose=0).history["absolute"] == pytest.approx([right], rel=1e-12)
