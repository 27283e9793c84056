"""The first NaN or infinity is named: layer, tensor, rows, epoch and batch, wherever it was planted."""

import json
import pickle

import numpy as np
import pytest
from non_finite_tools import (
    BATCH,
    MARK,
    ROW,
    OwnWeights,
    Planted,
    X,
    Y,
    marked,
    model,
    place_of,
    sha,
)

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, LambdaCallback, TerminateOnNaN

VALUES = [np.nan, np.inf, -np.inf]


def error_of(network, x=X, y=Y, **arguments):
    arguments = {"epochs": 3, "batch_size": BATCH, "verbose": 0, "check_finite": False} | arguments
    with pytest.raises(fastnn.NonFiniteError) as found:
        network.fit(x, y, **arguments)
    error = found.value
    assert network.history.non_finite == [error]
    assert all(np.isfinite(w).all() for w in network.get_weights())
    return error


def same(a, b):
    return a == b or np.isnan(a) and np.isnan(b)


class EachBatch(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class Sees(Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass


# how the steps are run: many epochs at once, epoch by epoch, step by step
WAYS = {
    "epochs": {}, "epoch": {"callbacks": [Sees()]}, "steps": {"callbacks": [EachBatch()]},
    "layers": {"health": False}, "every": {"health": "every"},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", VALUES)
def test_in_the_input(value, way):
    network, x = model(), X.copy()
    x[ROW, 3] = value
    error = error_of(network, x, **WAYS[way])
    assert (error.tensor, error.layer, error.epoch) == ("input", None, 0)
    assert error.rows.tolist() == [ROW] and same(error.value, value)
    assert error.batch == place_of(ROW, 0, network)
    assert network.optimizer.iterations == error.batch
    assert f"rows {ROW}" in str(error) and "check_finite" in str(error)


@pytest.mark.parametrize("value", VALUES)
def test_in_the_target(value):
    network, y = model(), Y.copy()
    y[ROW, 1] = value
    error = error_of(network, X, y)
    assert (error.tensor, error.rows.tolist(), error.batch) == ("target", [ROW], place_of(ROW, 0, network))
    assert same(error.value, value)


@pytest.mark.parametrize("value", VALUES)
def test_in_the_sample_weights(value):
    network, weights = model(), np.ones(len(X), "f4")

    def plant(logs):  # after the check, which there is always
        weights[ROW] = value

    error = error_of(network, sample_weight=weights, callbacks=[LambdaCallback(on_train_begin=plant)])
    assert (error.tensor, error.rows.tolist(), error.batch) == ("sample_weight", [ROW], place_of(ROW, 0, network))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", VALUES)
def test_in_an_activation_of_a_custom_layer(value, way):
    network = model(Planted(forward=value, name="bad"))
    error = error_of(network, marked(), **WAYS[way])
    assert (error.tensor, error.layer, error.rows.tolist()) == ("activation", "bad", [ROW])
    assert same(error.value, value) and error.largest_input == MARK
    assert error.batch == place_of(ROW, 0, network) and "call" in error.cause


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("schedule", ["one batch", "chunks"])
def test_in_an_activation_of_the_core(schedule, way):
    """e^x overflows for one row."""
    first = layers.Dense(5, kernel_initializer="identity", name="d")
    network = model(first, layers.Activation("exponential", name="e"), layers.Dense(5, "sigmoid", name="s"))
    x, batch = X.copy(), BATCH
    x[ROW, 2] = 1e4
    if schedule == "chunks":
        x, batch = np.tile(X, (8, 1)), 512
        x[ROW, 2] = 1e4
    error = error_of(network, x, np.resize(Y, (len(x), 2)), batch_size=batch, **WAYS[way])
    assert (error.tensor, error.layer, error.rows.tolist(), error.value) == ("activation", "e", [ROW], np.inf)
    np.testing.assert_allclose(error.largest_input, 1e4, rtol=1e-2)
    assert error.batch == place_of(ROW, 0, network, len(x), batch)


def test_an_infinity_that_an_activation_swallows_is_not_blamed():
    """sigmoid(inf) is 1; what fails is the target."""
    network = model(layers.Activation("exponential", name="e"), layers.Activation("sigmoid", name="s"))
    x, y = X.copy(), Y.copy()
    x[:, 2] = 1e4
    y[ROW, 0] = np.nan
    error = error_of(network, x, y)
    assert (error.tensor, error.rows.tolist()) == ("target", [ROW])


@pytest.mark.parametrize("value", VALUES)
def test_in_a_custom_loss(value):
    def loss(y_true, y_pred):
        values = np.mean((y_pred - y_true) ** 2, axis=1)
        values[np.abs(y_true[:, 0]) == MARK] = value
        return values, 2 * (y_pred - y_true) / 2

    network, y = model(loss=loss), Y.copy()
    y[ROW, 0] = MARK
    error = error_of(network, X, y)
    assert (error.tensor, error.layer, error.rows.tolist()) == ("loss", None, [ROW])
    assert same(error.value, value) and "custom loss" in error.cause


@pytest.mark.parametrize("value", VALUES)
def test_in_the_gradient_of_a_custom_loss(value):
    def loss(y_true, y_pred):
        gradient = y_pred - y_true
        gradient[np.abs(y_true[:, 0]) == MARK] = value
        return np.mean((y_pred - y_true) ** 2, axis=1), gradient

    network, y = model(loss=loss), Y.copy()
    y[ROW, 0] = MARK
    error = error_of(network, X, y)
    assert (error.tensor, error.layer, error.rows.tolist()) == ("gradient", "b", [ROW])
    assert error.batch == place_of(ROW, 0, network)


@pytest.mark.parametrize("value", VALUES)
def test_in_the_gradient_that_a_custom_layer_passes_on(value):
    network = model(layers.Dense(5, kernel_initializer="identity", name="first"), Planted(backward=value, name="bad"))
    error = error_of(network, marked())
    assert (error.tensor, error.layer, error.rows.tolist()) == ("gradient", "bad", [ROW])
    assert same(error.value, value) and error.batch == place_of(ROW, 0, network) and "backward" in error.cause


@pytest.mark.parametrize("value", VALUES)
def test_in_the_gradient_of_a_custom_weight(value):
    network = model(OwnWeights(value, name="own"))
    error = error_of(network, marked())
    assert (error.tensor, error.layer) == ("gradient", "own") and error.weight.endswith("w")
    assert error.batch == place_of(ROW, 0, network) and same(error.value, value)
    assert len(error.rows) == BATCH and ROW in error.rows


@pytest.mark.parametrize("way", WAYS)
def test_in_a_gradient_of_the_core(way):
    """Each factor is finite, and the product of a large weight and a large gradient is not."""
    network = model()
    first, bias, second, last = network.get_weights()
    second = np.full_like(second, 1e25)

    def loss(y_true, y_pred):
        return np.zeros(len(y_true)), np.full_like(y_pred, 1e15)

    network.compile("sgd", loss, seed=3)
    network.set_weights([first * 0, bias, second * [1, 1], last])
    error = error_of(network, **WAYS[way])
    assert (error.tensor, error.layer) == ("gradient", "a") and not np.isfinite(error.value)
    assert error.largest_input >= 1e13 and (error.epoch, error.batch) == (0, 0)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("policy", ["raise", "stop", "restore"])
def test_in_a_weight_before_training(value, policy):
    network = model()
    weights = network.get_weights()
    weights[2][1, 1] = value
    network.set_weights(weights, check_finite=False)
    if policy == "raise":
        with pytest.raises(fastnn.NonFiniteError) as found:
            network.fit(X, Y, verbose=0)
        error = found.value
    else:
        history = network.fit(X, Y, verbose=0, on_nan=policy)
        assert history.epoch == [] and network.optimizer.iterations == 0
        (error,) = history.non_finite
    assert (error.tensor, error.layer, error.epoch, error.batch) == ("weight", "b", 0, 0)
    assert error.weight.endswith("kernel") and same(error.value, value) and "assigned" in error.cause


def test_in_a_weight_that_a_callback_assigns():
    network = model()

    def assign(epoch, logs):
        if epoch == 1:
            weights = network.get_weights()
            weights[3][1] = np.inf
            network.set_weights(weights, check_finite=False)

    with pytest.raises(fastnn.NonFiniteError) as found:
        network.fit(X, Y, epochs=4, verbose=0, callbacks=[LambdaCallback(on_epoch_end=assign)])
    error = found.value
    assert (error.tensor, error.layer, error.epoch, error.batch) == ("weight", "b", 2, 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_a_weight_after_the_update(way, dtype):
    """The rate is finite, so are all gradients; their product is not. The step is the last: no loss shows it."""
    rate = 1e38 if dtype == "float32" else 1e308
    network = model(optimizer=fastnn.SGD(rate), dtype=dtype)
    error = error_of(network, 1e3 * X[:BATCH], 1e3 * Y[:BATCH], epochs=1, **WAYS[way])
    assert error.tensor == "weight" and error.layer in ("a", "b") and (error.epoch, error.batch) == (0, 0)
    assert error.learning_rate == rate and f"{rate:.3g}" in str(error)
    assert network.optimizer.iterations == 0


@pytest.mark.parametrize("way", ["epochs", "epoch", "steps"])
def test_a_later_epoch_with_rates_of_a_schedule(way):
    """The copy is from before the first step: whole epochs are repeated, at their rates."""
    schedule = fastnn.optimizers.schedules.PiecewiseConstantDecay([4 * 6 + 1, 4 * 6 + 2], [0.01, 1e38, 0.01])
    network = model(optimizer=fastnn.SGD(schedule))
    x, y = 1e3 * X, 1e3 * Y
    error = error_of(network, x, y, epochs=8, **WAYS[way])
    assert (error.epoch, error.batch, error.tensor, error.learning_rate) == (4, 2, "weight", 1e38)
    assert network.history.epoch == [0, 1, 2, 3]
    assert network.history.record["steps"] == [6, 6, 6, 6, 2]


def test_in_a_generator():
    """Its arrays may be gone when the step is repeated: here it reuses them."""
    network = model()
    buffer = np.empty((BATCH, X.shape[1]))

    def batches():
        for i in range(0, 96, BATCH):
            buffer[:] = X[i : i + BATCH]
            if i == 48:
                buffer[5, 1] = np.nan
            yield buffer, Y[i : i + BATCH]

    error = error_of(network, batches(), None, batch_size=None, epochs=1)
    assert (error.tensor, error.epoch, error.batch, error.rows.tolist()) == ("input", 0, 3, [5])


@pytest.mark.parametrize("steps", [1, 3])
def test_few_steps_of_a_large_model_name_layer_and_tensor(steps):
    fastnn.set_random_seed(0)
    network = fastnn.Sequential([
        fastnn.Input((300,)), layers.Dense(1500, "relu", name="wide"),
        layers.Dense(1500, "exponential", name="explodes"), layers.Dense(2, name="out"),
    ])  # fmt: skip
    network.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8 * steps, 300))
    x[-3] *= 1e4
    error = error_of(network, x, np.zeros((8 * steps, 2)), batch_size=8, epochs=1, shuffle=False)
    assert (error.tensor, error.layer, error.batch, error.rows.tolist()) == (
        "activation", "explodes", steps - 1, [8 * steps - 3]
    )  # fmt: skip


def test_rows_of_validation_split_and_batch_normalisation():
    network, x = model(layers.BatchNormalization(name="bn")), X.copy()
    x[ROW, 0] = np.nan
    error = error_of(network, x, validation_split=0.25)
    assert (error.tensor, error.rows.tolist()) == ("input", [ROW])


def test_what_the_layer_of_a_failing_step_is_called_in_a_residual_block():
    network = model(layers.Residual([Planted(forward=np.nan, name="inner")], name="block"))
    assert error_of(network, marked()).tensor == "activation"


def test_the_error_is_both_kinds_and_can_be_pickled():
    network, x = model(), X.copy()
    x[ROW, 3] = np.nan
    error = error_of(network, x)
    assert isinstance(error, ArithmeticError) and isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.rows.tolist() == [ROW] and again.tensor == "input"
    json.dumps(network.history.record)


def test_callbacks_that_act_on_nan_themselves_still_do(capsys):
    network = model(optimizer=fastnn.SGD(1e30))
    history = network.fit(X, Y, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    assert not np.isfinite(history.history["loss"][-1]) and "training stops" in capsys.readouterr().out


def test_the_argument_is_checked():
    with pytest.raises(ValueError, match="on_nan: expected .*'raise'.*'stop'.*'restore'.*'ignore'.*got 'halt'"):
        model().fit(X, Y, on_nan="halt")


def test_steps_that_cannot_be_repeated():
    """A layer with internal state: NaN in one step, and not when it is repeated."""

    class Once(Planted):
        calls = 0

        def call(self, x, training=False):
            self.calls += training
            self.rows = np.zeros(len(x), bool)
            return x * np.nan if self.calls == 4 and training else x.copy()

    network = model(Once(name="once"))
    error = error_of(network)
    assert error.tensor is None and "internal state" in str(error)


def test_logits_that_only_the_loss_reads():
    """A sigmoid puts out 1 for an infinite logit; the loss, which reads the logit, is infinite."""
    network = fastnn.Sequential([
        fastnn.Input((5,)), layers.Dense(1, "sigmoid", name="logit", kernel_initializer="ones")
    ])  # fmt: skip
    network.compile("sgd", "binary_crossentropy", seed=3)
    x = X.copy()
    x[ROW] = 3e38
    error = error_of(network, x, np.zeros((len(x), 1)))
    assert (error.tensor, error.layer, error.rows.tolist(), error.value) == ("activation", "logit", [ROW], np.inf)
    np.testing.assert_allclose(error.largest_input, 3e38)


def test_targets_that_overflow_when_they_are_converted():
    y = Y.copy()
    y[ROW, 1] = -1e300
    error = error_of(model(), X, y)
    assert (error.tensor, error.rows.tolist(), error.value) == ("target", [ROW], -np.inf)


@pytest.mark.parametrize("policy", ["stop", "restore"])
def test_what_was_done_is_printed(policy, capsys):
    network, x = model(), X.copy()
    x[ROW, 3] = np.nan
    network.fit(x, Y, epochs=2, on_nan=policy, check_finite=False, verbose=2, shuffle=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("on_nan")]
    assert len(lines) == {"stop": 1, "restore": 2}[policy]
    assert lines[0].startswith(f"on_nan='{policy}': epoch 0, batch 1 (counted from 0): expected finite values, got nan")


@pytest.mark.parametrize("kind", ["input", "activation", "gradient", "weight", "before", "none"])
def test_a_step_of_a_custom_loop_is_looked_into(kind):
    x, y = marked(), Y.copy()
    inner = {"activation": [Planted(forward=np.nan, name="bad")], "gradient": [
        layers.Dense(5, kernel_initializer="identity"), Planted(backward=np.inf, name="bad")
    ]}.get(kind, [layers.Dropout(0.3)])  # fmt: skip
    network = model(*inner, optimizer=fastnn.Adam(1e38 if kind == "weight" else 0.01))
    network.train_on_batch(X, Y) if kind != "weight" else None
    if kind == "input":
        x[3, 2] = np.inf
    if kind == "weight":
        network.compile(fastnn.SGD(1e38), "mse", seed=3)
        x, y = 1e3 * X, 1e3 * Y
    if kind == "before":
        network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()], check_finite=False)
    known = sha(network)
    error = fastnn.diagnostics.find_non_finite(network, x, y)
    assert sha(network) == known
    if kind == "none":
        assert error is None
        return
    assert error.tensor == {"before": "weight"}.get(kind, kind)
    assert (error.epoch, error.batch) == (None, None) and str(error).startswith("expected finite values, got ")
    if kind in ("activation", "gradient"):
        assert (error.layer, error.rows.tolist()) == ("bad", [ROW])
    if kind == "input":
        assert error.rows.tolist() == [3]


def test_units_that_were_active_are_not_forgotten():
    """With "restore", health of the epoch is that of all its steps."""
    network = model(layers.Dense(40, "relu", name="r"), optimizer=fastnn.SGD(0.0))
    x = X.copy()
    clean = network.fit(X, Y, epochs=1, batch_size=BATCH, verbose=0, shuffle=False).health
    x[-BATCH:] = 0  # in the last step no unit is active; in those before they are
    x[-1, 1] = np.nan
    found = network.fit(x, Y, epochs=1, batch_size=BATCH, verbose=0, shuffle=False, check_finite=False,
                        on_nan="restore")  # fmt: skip
    assert len(found.non_finite) == 1
    at = clean.layers.index("r")
    assert abs(found.health.dead[at, 0] - clean.dead[at, 0]) <= 0.05


@pytest.mark.parametrize("planted", ["target", "input"])
def test_in_models_of_several_inputs_and_outputs(planted):
    """A target whose squared error overflows, and an infinite input: named with their rows."""
    left, right = fastnn.layers.Input((4,), name="left"), fastnn.layers.Input((3,), name="right")
    both = fastnn.layers.Concatenate()([fastnn.layers.Dense(8, "tanh")(left), fastnn.layers.Dense(8, "tanh")(right)])
    outputs = [fastnn.layers.Dense(1, name="value")(both), fastnn.layers.Dense(3, "softmax", name="label")(both)]
    model = fastnn.Model([left, right], outputs)
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"], seed=1)
    rng = np.random.default_rng(0)
    x, y = [rng.normal(size=(60, 4)), rng.normal(size=(60, 3))], [rng.normal(size=(60, 1)), rng.integers(0, 3, 60)]
    x[0][31], y[0][7] = (np.inf, y[0][7]) if planted == "input" else (x[0][31], 1e30)
    before = model.get_weights()
    with pytest.raises(fastnn.NonFiniteError) as caught:
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, check_finite=False)
    error = caught.value
    expected = ("input", [31], 3) if planted == "input" else ("loss", [7], 0)
    assert (error.tensor, error.rows.tolist(), error.batch) == expected and error.value == np.inf
    assert error.batch or all(map(np.array_equal, before, model.get_weights()))
    again = fastnn.diagnostics.find_non_finite(model, x, y)
    assert (again.tensor, again.rows.tolist()) == expected[:2]
