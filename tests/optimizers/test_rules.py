"""Everything on the way from a gradient to new weights, against the float64 NumPy network of reference.py."""

import itertools
import os

import numpy as np
import pytest
import reference
from engine_tools import digest, engine_of

import fastnn
from fastnn import constraints, layers, optimizers, regularizers
from fastnn._core import kernels

STEPS, BATCH, INPUTS, CLASSES = 50, 24, 19, 5

# name -> (ours, reference) for a kernel and for a vector
PENALTIES = {
    "none": ((None, None), (None, None)),
    "l1": (("l1", None), (lambda w: reference.l1_l2(w, l1=0.01), None)),
    "l2": (
        (regularizers.L2(0.02), regularizers.L1(0.03)),
        (lambda w: reference.l1_l2(w, l2=0.02), lambda w: reference.l1_l2(w, l1=0.03)),
    ),
    "l1_l2": (
        (regularizers.L1L2(0.003, 0.02), "l2"),
        (lambda w: reference.l1_l2(w, 0.003, 0.02), lambda w: reference.l1_l2(w, l2=0.01)),
    ),
    "rows": (
        (regularizers.OrthogonalRegularizer(0.5), "l2"),
        (
            lambda w: reference.orthogonal_penalty(w, 0.5),
            lambda w: reference.l1_l2(w, l2=0.01),
        ),
    ),
    "columns": (
        (regularizers.OrthogonalRegularizer(0.5, mode="columns"), None),
        (lambda w: reference.orthogonal_penalty(w, 0.5, "columns"), None),
    ),
}
CONSTRAINTS = {
    "none": ((None, None), (None, None)),
    "max_norm": (
        (constraints.MaxNorm(0.9), constraints.MaxNorm(0.05)),
        (lambda w: reference.max_norm(w, 0.9), lambda w: reference.max_norm(w, 0.05)),
    ),
    "non_neg": (("non_neg", "non_neg"), (reference.non_neg, reference.non_neg)),
    "unit_norm": (
        (constraints.UnitNorm(axis=1), None),
        (lambda w: reference.unit_norm(w, 1), None),
    ),
    "min_max_norm": (
        (constraints.MinMaxNorm(0.5, 0.8, 0.3, axis=[0, 1]), constraints.MinMaxNorm(0.1, 0.2, axis=-1)),
        (
            lambda w: reference.min_max_norm(w, 0.5, 0.8, 0.3, (0, 1)),
            lambda w: reference.min_max_norm(w, 0.1, 0.2),
        ),
    ),
}
CLIPS = [{}, {"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.2}]
OPTIMIZERS = {
    "SGD": (0.05, {}),
    "Nesterov": (0.05, {"momentum": 0.9, "nesterov": True}),
    "Adam": (0.01, {}),
    "AdamW": (0.01, {"weight_decay": 0.1}),
    "AMSGrad": (0.01, {}),
    "Adamax": (0.01, {}),
    "Nadam": (0.01, {}),
    "RMSprop": (0.005, {"momentum": 0.5, "centered": True, "epsilon": 1e-4}),
    "Adagrad": (0.05, {}),
    "Adadelta": (0.5, {}),
    "Lion": (0.003, {}),
    "Rprop": (0.003, {}),
    "Ftrl": (0.1, {"l2_shrinkage_regularization_strength": 0.01}),
}


def optimizer_pair(name, **more):
    """(ours, reference); `more` goes to both."""
    rate, options = OPTIMIZERS[name]
    options = {**options, **more}
    theirs = {"Nesterov": reference.SGD, "AdamW": reference.Adam}.get(name)
    theirs = theirs or getattr(reference, name)
    ema = {k: options.pop(k) for k in list(options) if k.startswith("ema_")}
    ours = {**options, **ema, **({"use_ema": True} if ema else {})}
    if name == "AMSGrad":
        return optimizers.Adam(rate, amsgrad=True, **ours), theirs(rate, **options, **ema)
    found = getattr(optimizers, {"Nesterov": "SGD"}.get(name, name))
    return found(rate, **ours), theirs(rate, **options, **ema)


def dense(units, activation, penalty, constraint, use_bias=True):
    (k, b), theirs = PENALTIES[penalty]
    (ck, cb), rules = CONSTRAINTS[constraint]
    ours = layers.Dense(units, activation, use_bias, kernel_regularizer=k, bias_regularizer=b, kernel_constraint=ck,
                        bias_constraint=cb)  # fmt: skip
    n = 1 + use_bias
    spec = {"activation": activation, "use_bias": use_bias, "penalties": theirs[:n], "constraints": rules[:n]}
    return ours, ("dense", spec)


def batch_norm(penalty, constraint):
    (_, b), (_, theirs) = PENALTIES[penalty]
    (_, cb), (_, rule) = CONSTRAINTS[constraint]
    ours = layers.BatchNormalization(gamma_regularizer=b, beta_regularizer=b, gamma_constraint=cb,
                                     beta_constraint=cb)  # fmt: skip
    return ours, ("batch_norm", {"penalties": [theirs] * 2, "constraints": [rule] * 2})


def pair(kind="bn", penalty="none", constraint="none", optimizer="SGD", model_decay=0.0, dtype="float64",
         choices=None, **more):  # fmt: skip
    """(engine, model, reference network) with equal weights."""
    both = [dense(23, "elu", penalty, constraint, kind != "bn")]
    if kind == "bn":
        # that before the dense layer gets its gradients from it, that behind from its own kernel
        both = [batch_norm(penalty, constraint), *both, batch_norm(penalty, constraint)]
    both += [dense(17, "tanh", penalty, constraint), dense(CLASSES, "softmax", penalty, constraint)]
    ours, theirs = zip(*both, strict=True)
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype=dtype, weight_decay=model_decay)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-0.4, 0.4, w.shape) + (w == 1) for w in model.get_weights()])
    mine, right = optimizer_pair(optimizer, **more)
    model.compile(mine, "sparse_categorical_crossentropy", seed=7)
    net = reference.Net(theirs, model.get_weights(), "sparse_categorical_crossentropy", right, seed=7,
                        weight_decay=model_decay)  # fmt: skip
    return engine_of(model, **(choices or {})), model, net


def data(n=STEPS * BATCH):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, INPUTS)) * 2 + 0.5, rng.integers(0, CLASSES, n).astype(np.int32)


def train_both(engine, model, net, steps=STEPS, batch=BATCH, tolerance=1e-10):
    x, y = data(steps * batch)
    rates = model.optimizer.rates(0, steps)
    done, loss, _ = engine.fit_block(x, y, None, None, 0, steps * batch, batch, rates)
    parts = [slice(i, i + batch) for i in range(0, steps * batch, batch)]
    losses = net.train([(x[p], y[p]) for p in parts])
    assert done == steps * batch
    assert loss / done == pytest.approx(np.mean(losses), rel=tolerance, abs=tolerance)
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def combinations(penalty, constraint):
    """Optimizers x clips x schedules. Over all penalties and constraints each two of them meet; FASTNN_EXHAUSTIVE=1
    runs every combination."""
    everything = [*itertools.product(OPTIMIZERS, CLIPS, ["layers", "samples"], ["dense", "bn"])]
    if os.environ.get("FASTNN_EXHAUSTIVE"):
        return everything
    at = [*itertools.product(PENALTIES, CONSTRAINTS)].index((penalty, constraint))
    return everything[at * 5 % 16 :: 16]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_combination(penalty, constraint):
    """One penalty and one constraint on every weight. Ftrl and Rprop multiply the last bit, so they get few steps."""
    for optimizer, clip, schedule, kind in combinations(penalty, constraint):
        found = pair(kind, penalty, constraint, optimizer, choices={"schedule": schedule}, **clip)
        try:
            train_both(*found, steps=5 if optimizer in ("Ftrl", "Rprop") else STEPS)
        except AssertionError as error:
            raise AssertionError(f"{optimizer} {clip} {schedule} {kind}: {error}") from None


AROUND = {
    "decay": {"weight_decay": 0.3},
    "average": {"ema_momentum": 0.9},
    "overwritten": {"ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    "accumulated": {"gradient_accumulation_steps": 3},
    "all": {"weight_decay": 0.3, "ema_momentum": 0.8, "ema_overwrite_frequency": 3,
            "gradient_accumulation_steps": 4, "global_clipnorm": 0.3},
}  # fmt: skip


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("around", AROUND)
def test_what_is_done_around_every_optimizer(around, schedule):
    for optimizer, kind in itertools.product(OPTIMIZERS, ["dense", "bn"]):
        found = pair(kind, "l2", "max_norm", optimizer, 0.02, choices={"schedule": schedule}, **AROUND[around])
        train_both(*found, steps=12 if optimizer in ("Ftrl", "Rprop") else STEPS)
        if "ema_momentum" in AROUND[around]:
            engine, model, net = found
            engine.finalize()
            averages = iter(net.optimizer.averages)
            for ours, layer_weight in zip(model.get_weights(), model.weights, strict=True):
                if layer_weight.trainable:
                    np.testing.assert_allclose(ours, next(averages), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["dense", "bn"])
def test_every_target_and_dtype(kind, dtype, isa):
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    for penalty, constraint, clip in (("l1_l2", "max_norm", {}), ("rows", "min_max_norm", CLIPS[3]),
                                      ("l2", "non_neg", CLIPS[1]), ("columns", "unit_norm", {})):  # fmt: skip
        found = pair(kind, penalty, constraint, "Adam", 0.05, dtype, {"isa": isa}, weight_decay=0.1, **clip)
        engine, model, net = found
        x, y = data(8 * BATCH)
        engine.fit_block(x.astype(dtype), y, None, None, 0, len(x), BATCH, model.optimizer.rates(0, 8))
        net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)])
        for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("penalty", ["l1_l2", "rows", "columns"])
def test_same_bits_for_any_number_of_threads(penalty, schedule):
    """Weights, state and the reported loss."""
    found = set()
    for threads in (1, 2, 3):
        for constraint in ("max_norm", "unit_norm"):
            engine, model, _ = pair("bn", penalty, constraint, "Adam", 0.1, "float32",
                                     {"schedule": schedule, "threads": threads}, weight_decay=0.1,
                                     ema_momentum=0.9, ema_overwrite_frequency=3)  # fmt: skip
            x, y = data(1000)
            loss = engine.fit_block(x.astype("float32"), y, None, None, 0, 1000, 100, np.full(10, 0.01))[1]
            found.add((constraint, digest(engine), loss))
    assert len(found) == 2


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


def test_a_frozen_layer_has_neither_penalty_nor_decay_nor_constraint():
    _, model, _ = pair("bn", "l2", "max_norm", "AdamW", 0.1)
    for layer in model.layers[:3]:
        layer.trainable = False
    before = model.get_weights()
    x, y = data(BATCH)
    trained = [r for layer in model.layers[3:] for r in zip(layer.weights, layer.get_weights(), strict=True)]
    penalty = sum(v.regularizer(w) + (v.layout == "kernel") * 0.05 * np.sum(w**2) for v, w in trained)
    plain = fastnn.Sequential(model.layers)
    plain.compile("sgd", model.loss)
    alone = -np.mean(np.log(model.predict(x, verbose=0)[np.arange(BATCH), y]))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(alone + penalty, rel=1e-10)
    assert model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"][0] == pytest.approx(
        alone + penalty, rel=1e-10
    )
    after = model.get_weights()
    for at in range(9):
        assert np.array_equal(before[at], after[at])
    assert not np.array_equal(before[9], after[9])


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
    assert not program.plan.operations.penalties
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


def test_model_weight_decay_is_half_lambda_of_all_matrices_and_no_bias():
    dense = layers.Dense(2, kernel_initializer="ones", bias_initializer="ones", input_shape=(3,))
    slopes = layers.PReLU("ones")
    model = fastnn.Sequential([dense, slopes], dtype="float64", weight_decay=0.4)
    model.compile(fastnn.SGD(1.0), "mse")
    x, y = np.zeros((1, 3)), np.ones((1, 2))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(0.5 * 0.4 * 6)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(dense.kernel.numpy(), np.full((3, 2), 1 - 0.4))
    np.testing.assert_allclose(dense.bias.numpy(), np.ones(2))
    model.compile(fastnn.SGD(1.0), "mse", weight_decay=0.0)
    assert model.evaluate(x, y, verbose=0) == 0.0
    model.compile("sgd", "mse")
    assert model.weight_decay == 0.4  # what it was made with, not what it was compiled with before
    with pytest.raises(ValueError, match="weight_decay: expected a finite number of at least 0, got -1"):
        fastnn.Sequential(weight_decay=-1)


def test_excluded_from_decay():
    for how in ({"var_names": ["bias", "gamma"]}, {"var_list": True}):
        _, model, net = pair("bn", optimizer="AdamW")
        if "var_list" in how:
            how = {"var_list": [v for v in model.weights if v.name.split("/")[1] in ("bias", "gamma")]}
        ours = optimizers.AdamW(0.01, 0.1)
        ours.exclude_from_weight_decay(**how)
        model.compile(ours, "sparse_categorical_crossentropy", seed=7)
        names = [v.name.split("/")[1] for v in model.weights if v.trainable]
        net.optimizer.not_decayed = {i for i, n in enumerate(names) if n in ("bias", "gamma")}
        train_both(engine_of(model), model, net, steps=10)
        with pytest.raises(ValueError, match="before the first step"):
            ours.exclude_from_weight_decay(var_names=["kernel"])


def test_fit_ends_with_the_averages_and_goes_on_from_there():
    x, y = data(4 * BATCH)
    _, model, net = pair("dense", optimizer="Adam", ema_momentum=0.7)
    for _ in range(2):
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
        net.train([(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)])
        for w, average in zip(net.weights, net.optimizer.averages, strict=True):
            w[...] = average
        for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


def test_iterations_count_updates_and_rates_count_batches():
    rate = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(1,))])
    model.compile(fastnn.SGD(rate, gradient_accumulation_steps=3), "mse")
    for _ in range(7):
        model.train_on_batch([[1.0]], [[1.0]])
    assert model.optimizer.iterations == 2
    assert model.optimizer.learning_rate == pytest.approx(0.1 * 0.5**7)
    with pytest.raises(AttributeError, match="iterations"):
        model.optimizer.iterations = 0  # Adam's corrections and the phase of the accumulation hang on it


def test_state_goes_on_in_another_engine():
    """A layer frozen or thawed makes a new engine; averages, sums and the phase of accumulation move along."""
    x, y = data(5 * BATCH)
    one, two = (pair("bn", "l2", "none", "Adam", **AROUND["all"])[1] for _ in range(2))
    one.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    for at in range(5):
        two.train_on_batch(*(a[at * BATCH : (at + 1) * BATCH] for a in (x, y)))
        two.layers[0].trainable = False
        two.engine()
        two.layers[0].trainable = True
    two.engine().finalize()
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_vectors_clipped():
    """SCOPE B4: by value the direction changes, by norm it does not."""
    gradient = np.array([[0.9, 100.0]])
    for clip, expected in (({"clipvalue": 1.0}, [0.9, 1.0]), ({"clipnorm": 1.0}, [0.0089996, 0.9999595]),
                           ({"global_clipnorm": 1.0}, [0.0089996, 0.9999595])):  # fmt: skip
        model = fastnn.Sequential(
            [layers.Dense(2, use_bias=False, kernel_initializer="zeros", input_shape=(1,))], dtype="float64"
        )
        model.compile(fastnn.SGD(1.0, **clip))
        model.forward(np.ones((1, 1)), training=True)
        model.backward(gradient)
        model.apply_gradients()
        np.testing.assert_allclose(-model.get_weights()[0][0], expected, atol=5e-8)


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


def test_vectors_keep_their_meaning_when_the_optimizer_changes():
    """Without its average, an optimizer's next vector is not the average's."""
    optimizer = fastnn.SGD(0.01, use_ema=True, gradient_accumulation_steps=2)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    x = np.ones((4, 2))
    for _ in range(2):
        model.train_on_batch(x, np.ones(4))
    optimizer.use_ema = False
    model.compile(optimizer, "mse")
    before, still = model.get_weights(), model.predict(x)
    for _ in range(2):
        model.train_on_batch(x, still)  # no gradient
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_optimizer_that_comes_back_begins_anew():
    schedule = optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    first = fastnn.SGD(schedule)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(1,))])
    for optimizer in (first, fastnn.SGD(0.1), first):
        model.compile(optimizer, "mse")
        assert optimizer.learning_rate == (0.1 if optimizer is not first else 1.0)
        for _ in range(3):
            model.train_on_batch([[1.0]], [[1.0]])
    assert first.iterations == 3 and first.learning_rate == 0.125
