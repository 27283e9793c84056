"""`history.health`: every figure against float64 NumPy that trains the same network, step by step."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._core import threads
from fastnn.engine.health import FIRST, interval

RNG = np.random.default_rng(11)
N, RATE, L2, MOMENTUM, EPSILON = 70, 0.1, 0.01, 0.9, 1e-3
X, Y = RNG.normal(size=(N, 5)), RNG.normal(size=(N, 3))
SHAPES = [(5, 9), (9,), (9, 7), (7,), (7,), (7,), (7, 3), (3,)]
WEIGHTS = [np.linspace(-0.8, 0.7, math.prod(s)).reshape(s) for s in SHAPES]
LAYERS = ("first", "second", "norm", "bend", "last")


def model_of(dtype="float64", optimizer=None):
    """Dense relu, Dense, batch normalisation, tanh as a layer of its own, Dense."""
    norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name="norm")
    model = fastnn.Sequential(
        [
            layers.Input(shape=(5,)),
            layers.Dense(9, "relu", kernel_regularizer=fastnn.regularizers.L2(L2), name="first"),
            layers.Dense(7, name="second"),
            norm,
            layers.Activation("tanh", name="bend"),
            layers.Dense(3, name="last"),
        ],
        dtype=dtype,
    )
    model.compile(fastnn.SGD(RATE) if optimizer is None else optimizer, "mse", seed=1)
    model.set_weights([*WEIGHTS[:6], np.zeros(7), np.ones(7), *WEIGHTS[6:]])
    return model


class Reference:
    """SGD on that network in NumPy; of each step its gradients, activations and updates."""

    def __init__(self):
        self.w = [np.array(w) for w in WEIGHTS]
        self.moving = [np.zeros(7), np.ones(7)]

    def step(self, x, y, clip=None):
        w1, b1, w2, b2, gamma, beta, w3, b3 = self.w
        z1 = x @ w1 + b1
        h1 = np.maximum(z1, 0)
        z2 = h1 @ w2 + b2
        mean, variance = z2.mean(0), z2.var(0)
        deviation = np.sqrt(variance + EPSILON)
        normal = (z2 - mean) / deviation
        z3 = normal * gamma + beta
        h3 = np.tanh(z3)
        out = h3 @ w3 + b3
        d_out = 2 * (out - y) / y.size
        d_h3 = d_out @ w3.T
        d_z3 = d_h3 * (1 - h3**2)
        d_n = d_z3 * gamma
        d_z2 = (d_n - d_n.mean(0) - normal * (d_n * normal).mean(0)) / deviation
        d_h1 = d_z2 @ w2.T
        d_z1 = d_h1 * (z1 > 0)
        gradients = [x.T @ d_z1 + 2 * L2 * w1, d_z1.sum(0), h1.T @ d_z2, d_z2.sum(0)]
        gradients += [(d_z3 * normal).sum(0), d_z3.sum(0), h3.T @ d_out, d_out.sum(0)]
        steps = [g if clip is None else np.clip(g, -clip, clip) for g in gradients]
        old_deviation = np.sqrt(self.moving[1] + EPSILON)
        drift = np.mean(((mean - self.moving[0]) / old_deviation) ** 2 + np.log(deviation / old_deviation) ** 2)
        found = {
            "gradient": gradients, "weight": [w.copy() for w in self.w], "moved": [RATE * g for g in steps],
            "outputs": [h1, z2, z3, h3, out], "arriving": [d_h1, d_z2, d_z3, d_h3, d_out], "drift": drift,
            "active": (h1 > 0).any(0), "flat": 1 - h3**2 < 0.01,
            "clipped": clip is not None and max(np.abs(g).max() for g in gradients) > clip,
        }  # fmt: skip
        self.w = [w - RATE * g for w, g in zip(self.w, steps, strict=True)]
        for i, value in enumerate((mean, variance)):
            self.moving[i] = self.moving[i] * MOMENTUM + value * (1 - MOMENTUM)
        return found


OF_LAYER = {0: slice(0, 2), 1: slice(2, 4), 2: slice(4, 6), 4: slice(6, 8)}  # layer -> its weights


def expected(steps, looked):
    """The figures of an epoch, of which the steps `looked` were looked at."""
    seen, nan = [steps[i] for i in looked], np.full(5, np.nan)
    found = {name: nan.copy() for name in fastnn.diagnostics.Health.QUANTITIES}

    def total(step, key, at):
        return sum(np.sum(a**2) for a in step[key][OF_LAYER[at]])

    for at in OF_LAYER if seen else ():
        found["gradient_norm"][at] = np.sqrt(np.mean([total(s, "gradient", at) for s in seen]))
        found["weight_norm"][at] = np.sqrt(np.mean([total(s, "weight", at) for s in seen]))
        moved, weight = (sum(total(s, key, at) for s in seen) for key in ("moved", "weight"))
        found["update_ratio"][at] = np.sqrt(moved / weight)
    for at in range(5) if seen else ():
        outputs = np.concatenate([s["outputs"][at] for s in seen])
        found["activation_mean"][at], found["activation_std"][at] = outputs.mean(), outputs.std()
        found["output_gradient_norm"][at] = np.sqrt(np.mean([np.sum(s["arriving"][at] ** 2) for s in seen]))
    found["dead"][0] = 1 - np.mean(np.any([s["active"] for s in steps], axis=0))
    if seen:
        found["saturated"][3] = np.mean(np.concatenate([s["flat"] for s in seen]).mean(0) > 0.95)
        found["drift"][2] = np.sqrt(np.mean([s["drift"] for s in seen]))
    return found


def check(health, runs, looked):
    """Against the steps of the reference, epoch by epoch."""
    assert health.layers == LAYERS
    assert health.kinds == ("Dense relu", "Dense", "BatchNormalization", "Activation tanh", "Dense")
    assert health.sampled == [len(of_one) for of_one in looked]
    for epoch, (steps, of_one) in enumerate(zip(runs, looked, strict=True)):
        for name, values in expected(steps, of_one).items():
            got = getattr(health, name)[:, epoch]
            np.testing.assert_allclose(got, values, rtol=1e-12, atol=1e-13, err_msg=f"{name}, epoch {epoch}")
        if of_one:
            norms = [sum(np.sum(g**2) for g in steps[i]["gradient"]) for i in of_one]
            np.testing.assert_allclose(health.total_gradient_norm[epoch], np.sqrt(np.mean(norms)), rtol=1e-12)


def reference_of(batch, epochs, clip=None):
    reference = Reference()
    rows = range(0, N, batch)
    return [[reference.step(X[i : i + batch], Y[i : i + batch], clip) for i in rows] for _ in range(epochs)]


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize(("batch", "epochs"), [(16, 3), (70, 3), (7, 2)])
def test_every_step_agrees_with_numpy(schedule, batch, epochs):
    model = model_of()
    model.fit(X[:1], Y[:1], epochs=0, verbose=0)
    model.engine().schedule = schedule
    history = model.fit(X, Y, batch_size=batch, epochs=epochs, shuffle=False, health="every", verbose=0)
    steps = -(-N // batch)
    check(history.health, reference_of(batch, epochs), [range(steps)] * epochs)


@pytest.mark.parametrize("between", ["nothing", "validation", "batch hooks"])
def test_some_steps_are_looked_at_and_all_units_are_watched(between):
    """5 steps an epoch: of the first 35 steps, the 8th and the 32nd are looked at."""
    options = {"validation_data": (X, Y)} if between == "validation" else {}
    if between == "batch hooks":
        options["callbacks"] = [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]
    history = model_of().fit(X, Y, batch_size=16, epochs=7, shuffle=False, verbose=0, **options)
    assert history.health.every > 32
    check(history.health, reference_of(16, 7), [[], [2], [], [], [], [], [1]])


def test_batches_of_a_generator_are_looked_at():
    def batches():
        for _ in range(2):
            yield from ((X[i : i + 16], Y[i : i + 16]) for i in range(0, N, 16))

    history = model_of().fit(batches(), epochs=2, steps_per_epoch=5, verbose=0, health="every")
    check(history.health, reference_of(16, 2), [range(5)] * 2)


class Doubled(layers.Layer):
    """2 x, in NumPy: it cuts a step into parts."""

    def call(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_steps_in_parts_have_the_figures_of_steps_in_one_call():
    """2 x of a layer in Python is that of a layer in the core; the layer in Python is called once a step."""
    found = []
    for layer in (layers.Rescaling(2.0), Doubled()):
        model = fastnn.Sequential([layers.Dense(9, "relu"), layer, layers.Dense(3, "tanh")], dtype="float64")
        model.build((None, 5))
        model.compile("sgd", "mse", seed=1)
        model.set_weights([*WEIGHTS[:2], np.ones((9, 3)) / 9, WEIGHTS[7]])
        history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, health="every")
        health = history.health
        at = [i for i, kind in enumerate(health.kinds) if kind.startswith("Dense")]
        figures = {name: getattr(health, name)[at] for name in health.QUANTITIES}
        found.append(figures | {"loss": history.history["loss"]})
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("health", [True, "every"])
def test_what_is_trained_has_the_same_bits_with_and_without(dtype, health):
    weights = []
    for chosen in (False, health):
        model = model_of(dtype, fastnn.Adam(0.01))
        history = model.fit(X, Y, batch_size=16, epochs=9, verbose=0, health=chosen)
        assert (history.health is None) == (chosen is False)
        weights.append([w.tobytes() for w in model.get_weights()])
    assert weights[0] == weights[1]


@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_same_figures_for_any_number_of_threads(schedule):
    found = []
    for team in (1, 2, 3, 8):
        model = model_of()
        model.fit(X[:1], Y[:1], epochs=0, verbose=0)
        model.engine().schedule = schedule
        with threads.using(team):
            found.append(model.fit(X, Y, batch_size=35, epochs=3, verbose=0, health="every").health)
    assert all(health == found[0] for health in found[1:])


def test_dead_units_are_told_from_saturated_ones():
    """Biases far below 0 make relu units that no row activates; large weights make tanh units flat on all rows."""
    model = fastnn.Sequential([layers.Dense(8, "relu"), layers.Dense(6, "tanh"), layers.Dense(3)])
    model.build((None, 5))
    model.compile(fastnn.SGD(0.0), "mse")
    weights = model.get_weights()
    weights[1][:3] = -1e3
    weights[3][:2] = [50, -50]
    model.set_weights(weights)
    health = model.fit(X, Y, batch_size=16, epochs=2, verbose=0, health="every").health
    assert health.dead[:, -1].tolist()[0] == 3 / 8 and np.isnan(health.dead[1:]).all()
    assert health.saturated[1, -1] == 2 / 6 and np.isnan(health.saturated[0]).all()


def test_a_unit_that_was_active_once_in_an_epoch_is_not_dead():
    """Whether several epochs are trained in one call, with Python between them, or batch by batch."""
    x = np.full((64, 1), -1.0)
    x[37] = 1.0
    for options in ({}, {"validation_data": (x, x)}, {"shuffle": False}):
        model = fastnn.Sequential([layers.Dense(2, "relu", use_bias=False, input_shape=(1,)), layers.Dense(1)])
        model.compile(fastnn.SGD(0.0), "mse")
        model.set_weights([np.array([[1.0, 0.0]]), np.ones((2, 1)), np.zeros(1)])
        health = model.fit(x, x, batch_size=8, epochs=70, verbose=0, **options).health
        assert health.dead[0].tolist() == [0.5] * 70


@pytest.mark.parametrize(
    ("option", "limit"), [("clipvalue", 0.05), ("clipnorm", 0.3), ("global_clipnorm", 0.5), ("clipvalue", 1e9)]
)
def test_share_of_steps_in_which_gradients_are_clipped(option, limit):
    model = model_of(optimizer=fastnn.SGD(0.0, **{option: limit}))
    health = model.fit(X, Y, batch_size=16, epochs=1, shuffle=False, verbose=0, health="every").health
    reference, hits = Reference(), []
    for i in range(0, N, 16):
        reference.w = [np.array(w) for w in WEIGHTS]
        gradients = reference.step(X[i : i + 16], Y[i : i + 16])["gradient"]
        norms = [np.linalg.norm(g) for g in gradients]
        largest = max(np.abs(g).max() for g in gradients)
        size = {"clipvalue": largest, "clipnorm": max(norms), "global_clipnorm": np.linalg.norm(norms)}[option]
        hits.append(size > limit)
    assert health.clip_rate == [np.mean(hits)]


def test_without_clipping_there_is_no_rate():
    assert np.isnan(model_of().fit(X, Y, verbose=0, health="every").health.clip_rate).all()


def test_callbacks_see_the_health_of_the_epoch_that_ended():
    seen = []

    class Look(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((len(logs.health), logs["gradient_norm/first"], "dead/first" in logs, "dead/fist" in logs))
            assert list(logs) == ["loss"]

    history = model_of().fit(X, Y, epochs=3, verbose=0, callbacks=[Look()], health="every")
    norms = history.health.gradient_norm[0].tolist()
    assert seen == [(i + 1, norms[i], True, False) for i in range(3)]
    assert list(history.history) == ["loss"]


def test_training_can_stop_by_the_health_of_a_layer():
    stop = fastnn.callbacks.EarlyStopping("gradient_norm/last", mode="max", patience=2, min_delta=1e9)
    history = model_of().fit(X, Y, epochs=50, verbose=0, callbacks=[stop], health="every")
    assert len(history.epoch) == 3


def test_a_layer_frozen_in_between_has_no_gradient_from_then_on():
    model = model_of()

    def freeze(epoch, logs):
        model.layers[0].trainable = epoch < 1

    hooks = [fastnn.callbacks.LambdaCallback(on_epoch_end=freeze)]
    health = model.fit(X, Y, epochs=4, verbose=0, callbacks=hooks, health="every").health
    assert np.isnan(health.gradient_norm[0]).tolist() == [False, False, True, True]
    assert not np.isnan(health.gradient_norm[1]).any()


def test_accumulated_gradients_are_looked_at_where_the_weights_move():
    optimizer = fastnn.SGD(RATE, gradient_accumulation_steps=2)
    health = model_of(optimizer=optimizer).fit(X, Y, batch_size=7, epochs=8, verbose=0).health
    assert sum(health.sampled) > 0
    looked = np.array(health.sampled) > 0
    assert (health.update_ratio[0, looked] > 0).all()


def test_how_often_follows_from_the_size_of_a_step():
    assert interval(1e-6) > interval(1e-4) > interval(1e-1) >= 50
    assert all(interval(seconds) % FIRST == 0 for seconds in (1e-6, 3e-5, 1e-3))


def test_other_values_are_refused():
    with pytest.raises(TypeError, match="health: expected True or False, got 'each' of type str; 'every' measures"):
        model_of().fit(X, Y, health="each")
