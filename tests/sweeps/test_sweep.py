"""Sweeps: every network is what it would be alone; halving, ranking, what is kept, data."""

import gc
import math
import threading
import weakref

import numpy as np
import pytest
from sweep_tools import LABELS, XV, Stop, X, build

import fastnn
from fastnn import layers
from fastnn.training.data import arrays

LV = (XV[:, 0] * XV[:, 1] > 0).astype(np.int64)
# Widths, depths, activations, optimizers, rates, batch sizes, seeds, dtypes, noise, averages of weights.
MIXED = [
    {"units": 7, "depth": 1},
    {"units": 16, "depth": 3, "activation": "tanh", "optimizer": "sgd", "batch_size": 17},
    {"units": 33, "depth": 2, "activation": "selu", "rate": 1e-2, "seed": 5},
    {"units": 8, "depth": 2, "dropout": 0.3, "batch_size": 200},
    {"units": 8, "depth": 2, "dropout": 0.3, "batch_size": 200, "seed": 5, "epochs": 2},
    {"units": 12, "depth": 1, "norm": True, "optimizer": "nadam"},
    {"units": 12, "depth": 1, "dtype": "float64", "ema": True},
]


def alone(given, row, epochs=4):
    given = dict(given)
    options = {n: given.pop(n) for n in ("batch_size", "epochs") if n in given}
    given.pop("seed", None)
    fastnn.set_random_seed(row["seed"])
    model = build(**given)
    history = model.fit(X, LABELS, validation_data=(XV, LV), verbose=0, **{"epochs": epochs, **options})
    return model, history.history


def bits(model):
    return b"".join(w.tobytes() for w in model.get_weights())


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_network_is_what_it_would_be_alone(workers):
    fastnn.set_random_seed(3)
    result = fastnn.sweep(
        build, MIXED, X, LABELS, epochs=4, validation_data=(XV, LV), keep="all", workers=workers, verbose=0
    )
    assert len(result) == len(MIXED) == len(result.models)
    assert len({row["seed"] for row in result}) == len(MIXED) - 1  # two were given the same
    for k, (given, row) in enumerate(zip(MIXED, result, strict=True)):
        model, history = alone(given, row)
        assert bits(model) == bits(result.models[k]), given
        assert result.history[k] == history
        assert row["status"] == "done"
        assert {n: row[n] for n in history} == {n: v[-1] for n, v in history.items()}
        assert {**row, **given} == row


def test_same_seed_same_networks_and_another_seed_others():
    found = [fastnn.sweep(build, 3, X, LABELS, seed=s, keep="all", verbose=0) for s in (1, 1, 2)]
    same, again, other = ([bits(r.models[k]) for k in range(3)] for r in found)
    assert same == again
    assert len({*same, *other}) == 6
    fastnn.set_random_seed(8)
    first = fastnn.sweep(build, 2, X, LABELS, verbose=0)
    fastnn.set_random_seed(8)
    assert [r["seed"] for r in fastnn.sweep(build, 2, X, LABELS, verbose=0)] == [r["seed"] for r in first]


def test_random_numbers_of_the_process_are_as_without_the_sweep():
    fastnn.set_random_seed(11)
    fastnn.sweep(build, 3, X, LABELS, verbose=0)
    after = fastnn.initializers.HeNormal()((2, 2))
    fastnn.set_random_seed(11)
    fastnn.sweep(build, 1, X, LABELS, verbose=0)  # a sweep draws one seed, whatever its size
    np.testing.assert_array_equal(after, fastnn.initializers.HeNormal()((2, 2)))


def test_halving_keeps_the_best_at_each_stage():
    rates = [1e-5, 3e-2, 1e-4, 1e-2, 1e-3, 2e-5, 3e-5, 5e-3, 2e-4]
    options = {"epochs": 20, "validation_data": (XV, LV), "seed": 0, "verbose": 0, "keep": "all"}
    full = fastnn.sweep(build, [{"rate": r} for r in rates], X, LABELS, **options)
    halved = fastnn.sweep(build, [{"rate": r} for r in rates], X, LABELS, halving=3, min_epochs=2, **options)
    assert sorted(row["epochs"] for row in halved) == [2] * 6 + [6] * 2 + [20]
    assert sorted(row["status"] for row in halved) == ["done"] + ["stopped"] * 8
    for k, row in enumerate(halved):  # as far as each went, it went the same way
        assert halved.history[k] == {n: v[: row["epochs"]] for n, v in full.history[k].items()}
    at = {e: [h["val_loss"][e - 1] for h in full.history] for e in (2, 6)}
    second = sorted(range(9), key=lambda k: at[2][k])[:3]
    third = min(second, key=lambda k: at[6][k])
    assert {k for k, row in enumerate(halved) if row["epochs"] >= 6} == set(second)
    assert halved.best["network"] == third and halved.best["status"] == "done"
    assert bits(halved.best_model) == bits(full.models[third])
    assert [row["epochs"] for row in halved.ranked()] == [20, 6, 6] + [2] * 6


def test_ranking_and_what_is_kept():
    grid = [{"rate": r} for r in (1e-4, 1e-2, 1e-3)]
    result = fastnn.sweep(build, grid, X, LABELS, epochs=3, keep=2, seed=0, verbose=0)
    assert result.monitor == "loss"
    order = sorted(range(3), key=lambda k: result[k]["loss"])
    assert [row["network"] for row in result.ranked()] == order
    assert set(result.models) == set(order[:2])
    assert result.best_model is result.models[order[0]]
    by_accuracy = fastnn.sweep(build, grid, X, LABELS, epochs=3, monitor="accuracy", seed=0, verbose=0)
    assert by_accuracy.best["accuracy"] == max(row["accuracy"] for row in result)
    assert by_accuracy.best_model is not None
    options = {"monitor": "accuracy", "halving": 2, "min_epochs": 2, "seed": 0, "verbose": 0}
    halved = fastnn.sweep(build, grid, X, LABELS, epochs=3, **options)
    after = [h["accuracy"][1] for h in result.history]
    assert {k for k, row in enumerate(halved) if row["status"] == "done"} == set(np.argsort(after)[1:])
    none = fastnn.sweep(build, grid, X, LABELS, keep=0, seed=0, verbose=0)
    with pytest.raises(ValueError, match="expected a kept model"):
        _ = none.best_model


def test_models_that_are_not_kept_leave_memory():
    alive = []

    def made():
        model = build()
        alive.append(weakref.ref(model))
        return model

    result = fastnn.sweep(made, 6, X, LABELS, epochs=2, halving=2, keep=1, verbose=0)
    gc.collect()
    assert [r() for r in alive if r() is not None] == [result.best_model]


def test_a_network_that_diverges_is_stopped_and_ranks_last():
    grid = [{"rate": 1e30, "optimizer": "sgd", "activation": "linear", "depth": 3}, {"rate": 1e-3}]
    result = fastnn.sweep(build, grid, X, LABELS, epochs=6, seed=0, verbose=0)
    assert [row["status"] for row in result] == ["diverged", "done"]
    assert not math.isfinite(result[0]["loss"])
    assert result[0]["epochs"] == len(result.history[0]["loss"]) < 6
    assert result.best["network"] == 1
    assert "diverged" in str(result) and "diverged: 1" not in repr(result[1])
    halved = fastnn.sweep(build, grid, X, LABELS, epochs=6, halving=2, seed=0, verbose=0)
    assert halved.best["network"] == 1


def test_callbacks_are_made_for_each_network():
    made = []

    def callbacks():
        made.append(fastnn.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9))
        return [made[-1]]

    result = fastnn.sweep(build, 4, X, LABELS, epochs=9, callbacks=callbacks, verbose=0)
    assert len(made) == 4
    assert [row["epochs"] for row in result] == [2] * 4
    assert {row["status"] for row in result} == {"done"}


def test_epochs_of_a_network_may_be_more_than_those_of_all():
    result = fastnn.sweep(build, [{"epochs": 6}, {}, {"epochs": 1}], X, LABELS, epochs=2, keep="all", seed=0, verbose=0)
    assert [(row["status"], row["epochs"]) for row in result] == [("done", 6), ("done", 2), ("done", 1)]
    for k, epochs in enumerate((6, 2, 1)):
        fastnn.set_random_seed(result[k]["seed"])
        model = build()
        model.fit(X, LABELS, epochs=epochs, verbose=0)
        assert bits(model) == bits(result.models[k])


def test_what_is_set_for_the_caller_is_set_for_its_networks():
    """What a context manager says around the sweep: precision, and NumPy's errors in a metric in Python."""
    seen = []

    def made():
        seen.append((fastnn.get_float32_matmul_precision(), np.geterr()["divide"]))
        return build()

    with fastnn.float32_matmul_precision("medium"), np.errstate(divide="raise"):
        fastnn.sweep(made, 3, X, LABELS, workers=2, verbose=0)
    assert seen == [("medium", "raise")] * 3
    fastnn.sweep(made, 1, X, LABELS, verbose=0)
    assert seen[-1] == ("highest", "warn")


class Rate(fastnn.callbacks.Callback):
    """The optimizer gets a rate at the beginning of an epoch."""

    def __init__(self, epoch, rate):
        super().__init__()
        self.epoch, self.rate = epoch, rate

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.optimizer.learning_rate = self.rate


def test_the_best_of_what_was_stopped_is_kept_if_the_last_one_diverges():
    def made(k):
        model = fastnn.Sequential([layers.Dense(8), layers.Dense(8), layers.Dense(1)])
        model.compile(fastnn.SGD(1e-2 if k == 0 else 1e-6 * k), "mse")
        made.last = k
        return model

    def callbacks():  # called after `build`, in the same thread
        return [Rate(3, 1e30)] if made.last == 0 else []

    options = {"epochs": 8, "halving": 4, "min_epochs": 2, "callbacks": callbacks, "workers": 1}
    options |= {"seed": 0, "verbose": 0}
    grid = [{"k": k} for k in range(4)]
    result = fastnn.sweep(made, grid, X, X[:, 0], **options)
    assert [row["status"] for row in result] == ["diverged", "stopped", "stopped", "stopped"]
    assert result.best["network"] == min((1, 2, 3), key=lambda k: result[k]["loss"])
    assert result.best_model is result.models[result.best["network"]]
    three = fastnn.sweep(made, grid, X, X[:, 0], keep=3, **options)
    assert set(three.models) == {1, 2, 3}


def test_networks_that_are_stopped_end_as_they_were_trained():
    """In a thread of their own, with their own random numbers, their errors like those of others."""
    ends = []

    class End(fastnn.callbacks.Callback):
        def on_train_end(self, logs=None):
            ends.append((threading.current_thread() is threading.main_thread(), fastnn.initializers.HeNormal()((1, 1))))
            raise RuntimeError("at the end")

    fastnn.set_random_seed(5)
    options = {"epochs": 4, "halving": 2, "callbacks": lambda: [End()], "verbose": 0}
    result = fastnn.sweep(build, 4, X, LABELS, on_error="keep", **options)
    after = fastnn.initializers.HeNormal()((2, 2))
    assert [row["status"] for row in result] == ["error"] * 4
    assert len(ends) == 4 and not any(main for main, _ in ends)
    fastnn.set_random_seed(5)
    fastnn.sweep(build, 1, X, LABELS, verbose=0)
    np.testing.assert_array_equal(after, fastnn.initializers.HeNormal()((2, 2)))
    with pytest.raises(RuntimeError, match="at the end") as error:
        fastnn.sweep(build, 4, X, LABELS, **options)
    assert error.value.__notes__


def test_a_network_that_ended_by_itself_takes_no_place_of_one_that_goes_on():
    made = iter(range(4))

    def callbacks():
        return [Stop(0 if next(made) >= 2 else 99)]

    result = fastnn.sweep(build, 4, X, LABELS, epochs=8, halving=2, workers=1, callbacks=callbacks, seed=0, verbose=0)
    assert [row["status"] for row in result][2:] == ["done", "done"]
    assert [row["epochs"] for row in result][2:] == [1, 1]
    assert sorted(row["epochs"] for row in result)[2:] == [1, 8]


@pytest.mark.parametrize("x", [np.asfortranarray(X), X.astype(">f4"), X[:, ::-1]])
def test_data_that_have_to_be_copied_are_copied_once(x, monkeypatch):
    copies = []
    real = arrays.readable

    def readable(array, dtype):
        result = real(array, dtype)
        if result is not array and array.size == X.size:
            copies.append(1)
        return result

    monkeypatch.setattr(arrays, "readable", readable)
    fastnn.sweep(build, 5, x, LABELS, verbose=0)
    assert len(copies) == 1


def test_labels_and_weights_are_converted_once(monkeypatch):
    seen = []
    real = arrays.Data.__init__

    def init(self, x, y=None, w=None):
        seen.append((x, y, w))
        real(self, x, y, w)

    monkeypatch.setattr(arrays.Data, "__init__", init)
    fastnn.sweep(build, 5, X, LABELS, sample_weight=np.ones(200), validation_data=(XV, LV, None), verbose=0)
    train = [s for s in seen if len(s[0]) == 200]
    for same in zip(*train, strict=True):
        assert len({a.__array_interface__["data"][0] for a in same}) == 1


def test_table_and_columns():
    result = fastnn.sweep(build, MIXED[:3], X, LABELS, seed=0, verbose=0)
    columns = result.columns()
    assert columns["units"] == [7, 16, 33]
    assert columns["activation"] == [None, "tanh", "selu"]
    lines = str(result).splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["network", "units", "depth"]
    assert str(fastnn.sweep(build, 12, X, LABELS, verbose=0)).endswith("... and 2 more")


def test_scikit_learn_makes_the_parameters():
    selection = pytest.importorskip("sklearn.model_selection")
    grid = selection.ParameterGrid({"units": [4, 8], "activation": ["relu", "tanh"]})
    result = fastnn.sweep(build, grid, X, LABELS, seed=0, verbose=0)
    assert [{n: row[n] for n in ("units", "activation")} for row in result] == list(grid)
    drawn = selection.ParameterSampler({"rate": [1e-3, 1e-2, 1e-1]}, 3, random_state=0)
    assert len(fastnn.sweep(build, drawn, X, LABELS, seed=0, verbose=0)) == 3


def test_optuna_asks_and_is_told():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(3):
        trials = [study.ask() for _ in range(4)]
        grid = [{"rate": t.suggest_float("rate", 1e-5, 1e-1, log=True)} for t in trials]
        for trial, row in zip(trials, fastnn.sweep(build, grid, X, LABELS, epochs=3, seed=0, verbose=0), strict=True):
            study.tell(trial, row["loss"])
    assert len(study.trials) == 12
    assert math.isfinite(study.best_value)
