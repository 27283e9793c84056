"""Networks that cannot learn are stopped, others are not; alone and in sweeps."""

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import TerminateUntrainable
from fastnn.layers import Dense
from fastnn.training.health import Logs

RNG = np.random.default_rng(0)
X = RNG.standard_normal((256, 8)).astype(np.float32)
Y = np.sin(X[:, :1])


def network(depth, activation, **arguments):
    fastnn.set_random_seed(1)
    layers = [Dense(16, activation, name=f"hidden_{i}", **arguments) for i in range(depth)]
    model = fastnn.Sequential([fastnn.Input((8,)), *layers, Dense(1)])
    model.compile(fastnn.SGD(0.01), "mse", seed=1)
    return model


def stopped(model, **arguments):
    callback = TerminateUntrainable(**arguments)
    history = model.fit(X, Y, epochs=6, batch_size=16, verbose=0, callbacks=[callback])
    return len(history.epoch), callback.reason


def test_dead_layer():
    epochs, reason = stopped(network(2, "relu", bias_initializer=fastnn.initializers.Constant(-100.0)))
    assert epochs == 2 and reason == "all units of hidden_0 are dead for 2 epochs"


def test_vanished_gradients():
    epochs, reason = stopped(network(20, "sigmoid"))
    assert epochs == 2 and reason.startswith("the gradient norm of hidden_0 was ") and reason.endswith("2 epochs")


@pytest.mark.parametrize("activation, initializer", [
    ("relu", "he_normal"), ("selu", "lecun_normal"), ("tanh", "glorot_uniform"),
])  # fmt: skip
def test_networks_that_learn_go_on(activation, initializer):
    assert stopped(network(10, activation, kernel_initializer=initializer), patience=1) == (6, None)


def told(ratios, dead=0.0, patience=2):
    """Whether each epoch of a table stops the training; NaN: no step was sampled."""
    health = fastnn.diagnostics.Health(["a", "b"], ["Dense relu", "Dense"])
    callback = TerminateUntrainable(patience=patience)
    callback.set_model(network(1, "relu"))
    callback.on_train_begin()
    found = []
    for epoch, ratio in enumerate(ratios):
        seen = ratio == ratio
        figures = {"dead": [dead, np.nan]}
        if seen:
            figures |= {"gradient_norm": [ratio, 1.0], "weight_norm": [1.0, 1.0]}
        health.append(epoch, int(seen), figures, 1.0)
        logs = Logs({})
        logs.health = health
        callback.model.stop_training = False
        callback.on_epoch_end(epoch, logs)
        found.append(callback.model.stop_training)
    return found


def test_patience():
    nan = float("nan")
    assert told([1e-7, 1e-7]) == [False, True]
    assert told([1e-7, 0.1, 1e-7]) == [False] * 3
    assert told([1e-7, nan, 1e-7]) == [False, False, True]
    assert told([nan] * 3) == [False] * 3
    assert told([nan] * 2, dead=1.0) == [False, True]
    assert told([2e-6] * 3) == [False] * 3
    assert told([0.0], patience=1) == [True] and told([float("inf")], patience=1) == [True]


def test_in_a_sweep():
    grid = [{"depth": 20, "activation": "sigmoid"}, {"depth": 2, "activation": "tanh"}]
    result = fastnn.sweep(network, grid, X, Y, epochs=8, batch_size=16, verbose=0, health=True, keep="all", seed=0,
                          callbacks=lambda: [TerminateUntrainable()])  # fmt: skip
    assert result[0]["epochs"] == len(result.history[0]["loss"]) < 8 == result[1]["epochs"]
    assert len(result.models[1].history.health) == 8


def test_without_health_it_says_so():
    with pytest.raises(ValueError, match="health=True"):
        network(1, "relu").fit(X, Y, verbose=0, health=False, callbacks=[TerminateUntrainable()])
    for ratio in (0, 1, -1):
        with pytest.raises(ValueError, match="ratio: expected a number between 0 and 1"):
            TerminateUntrainable(ratio=ratio)
