"""`fit(max_seconds=)`: it ends with the time, at a step boundary, and its record repeats it bit for bit."""

import itertools
import json
import time

import numpy as np
import pytest
from non_finite_tools import BATCH, N, X, Y, model, sha

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.optimizers import schedules
from fastnn.training import running

BIG = np.tile(X, (200, 1)), np.tile(Y, (200, 1))  # 1200 steps of 16


class Log(Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, dict(logs)))


def cycle(**arguments):
    return schedules.OverBudget(schedules.OneCycle(0.05, total_steps=500, **arguments))


NETWORKS = {
    "sgd": lambda: model(layers.Dropout(0.2)),
    "adam": lambda: model(layers.BatchNormalization(), layers.Dropout(0.2), optimizer=fastnn.Adam(0.001, use_ema=True)),
    "one cycle": lambda: model(layers.Dropout(0.2), optimizer=fastnn.SGD(cycle())),
    "one cycle with momentum": lambda: model(
        optimizer=fastnn.SGD(cycle(base_momentum=0.8, max_momentum=0.95), momentum=0.9)
    ),
    "accumulation": lambda: model(optimizer=fastnn.Adam(cycle(), gradient_accumulation_steps=3)),
}  # fmt: skip


@pytest.mark.parametrize("way", ["at once", "epoch by epoch", "validation", "batches"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_record_repeats_a_training_bit_for_bit(name, way, monkeypatch):
    """After JSON, in a new model; weights, optimizer state, losses and the record itself.

    Each look at the clock finds some milliseconds gone by, so that no pause of the machine ends it too early.
    """
    paces = np.random.default_rng(0).uniform(0.0, 0.003, 1000)
    times = itertools.chain(100.0 + np.cumsum(paces), itertools.repeat(1e6))
    monkeypatch.setattr(running.time, "monotonic", lambda: float(next(times)))
    options = {"verbose": 0}
    x, y = BIG if way != "at once" else (X, Y)
    data = (x, y) if way != "batches" else (Repeated(), None)
    if way != "batches":
        options["batch_size"] = BATCH
    if way == "epoch by epoch":
        options["callbacks"] = [Log()]
    if way == "validation":
        options["validation_split"] = 0.1
    network = NETWORKS[name]()
    history = network.fit(*data, max_seconds=0.25, **options)
    record = json.loads(json.dumps(history.record))
    assert sum(record["steps"]) > 10
    other = NETWORKS[name]()
    again = other.fit(*data, replay=record, **{k: v for k, v in options.items() if k != "batch_size"})
    assert sha(other) == sha(network)
    assert again.record == history.record
    assert again.history.keys() == history.history.keys()
    for key, values in history.history.items():
        assert np.asarray(values).tobytes() == np.asarray(again.history[key]).tobytes()
    if "cycle" in name or name == "accumulation":
        runs = record["rates"]
        assert sum(run[0] for run in runs) == sum(record["steps"]) and len({tuple(run[1:]) for run in runs}) > 3


class Repeated:
    def __iter__(self):
        return iter([(X[i : i + BATCH], Y[i : i + BATCH]) for i in range(0, N, BATCH)])


def test_two_trainings_in_a_row_are_repeated():
    network, other = NETWORKS["sgd"](), NETWORKS["sgd"]()
    records = [network.fit(*BIG, max_seconds=0.05, verbose=0).record for _ in range(2)]
    for record in records:
        other.fit(*BIG, replay=record, verbose=0)
    assert sha(other) == sha(network) and records[1]["steps_before"] == sum(records[0]["steps"])


@pytest.mark.parametrize("seconds", [0.3, 1e-9])
@pytest.mark.parametrize("callbacks", [[], [Log()]])
def test_the_time_is_kept_at_a_step_boundary(seconds, callbacks):
    network = model()
    network.fit(*BIG, epochs=1, verbose=0)
    began = time.monotonic()
    history = network.fit(*BIG, max_seconds=seconds, batch_size=BATCH, verbose=0, callbacks=callbacks)
    took, steps = time.monotonic() - began, sum(history.record["steps"])
    assert took >= min(seconds, 0.3) and steps >= 1
    assert network.optimizer.iterations == 600 + steps
    assert all(s == 1200 for s in history.record["steps"][:-1]) and len(history.epoch) == len(history.record["steps"])


def test_the_last_epoch_is_shorter_and_ends_as_others():
    network, log = model(), Log()
    history = network.fit(*BIG, max_seconds=1e-9, batch_size=BATCH, verbose=0, callbacks=[log], validation_data=(X, Y))
    (steps,) = history.record["steps"]
    assert 1 <= steps < 1200
    ((epoch, logs),) = log.seen
    assert epoch == 0 and sorted(logs) == ["loss", "val_loss"]
    loss = network.evaluate(X, Y, verbose=0)
    assert logs["val_loss"] == loss
    other = model()  # the mean of its own steps: that of a training which ends there
    known = other.fit(*BIG, batch_size=BATCH, steps_per_epoch=steps, verbose=0).history["loss"]
    assert known == history.history["loss"] and sha(other) == sha(network)


def test_epochs_may_end_first():
    network = model()
    history = network.fit(X, Y, epochs=3, max_seconds=60, verbose=0, batch_size=BATCH)
    assert history.epoch == [0, 1, 2] and history.record["steps"] == [6, 6, 6]
    history = model().fit(*BIG, max_seconds=60, verbose=0, callbacks=[EarlyStopping("loss", min_delta=1e9)])
    assert len(history.epoch) == 2
    assert model().fit(X, Y, verbose=0).epoch == [0]


def test_a_schedule_over_the_budget_follows_the_time(monkeypatch):
    """The clock is set by hand: 16 steps of an epoch, half a second each."""
    now = [100.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])

    class Clock(Callback):
        def on_train_batch_end(self, batch, logs=None):
            now[0] += 0.5

    inner = schedules.PolynomialDecay(1e-3, decay_steps=100, end_learning_rate=0.0)
    network = model(optimizer=fastnn.SGD(schedules.OverBudget(inner, steps=101)))
    history = network.fit(X, Y, max_seconds=4.0, batch_size=BATCH, verbose=0, callbacks=[Clock()])
    assert history.record["steps"] == [6, 2]
    assert history.record["rates"] == [[1, inner(p)] for p in (0, 12, 25, 38, 50, 62, 75, 88)]


def test_without_a_budget_it_is_stretched_over_the_steps():
    inner = schedules.OneCycle(0.1, total_steps=101)
    network = model(optimizer=fastnn.SGD(schedules.OverBudget(inner)))
    network.fit(X, Y, batch_size=BATCH, epochs=2, verbose=0)
    schedule = network.optimizer.schedule
    assert schedule(np.arange(12)).tolist() == [inner(round(100 * s / 11)) for s in range(12)]
    other = model(optimizer=fastnn.SGD(schedules.OverBudget(inner)))
    history = other.fit(X, Y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[Log()])
    assert sha(other) == sha(network) and "rates" not in history.record
    again = model(optimizer=fastnn.SGD(schedules.OverBudget(inner)))
    again.fit(X, Y, batch_size=BATCH, replay=history.record, verbose=0)
    assert sha(again) == sha(network)
    with pytest.raises(ValueError, match="expected max_seconds, .* for OverBudget"):
        network.fit(iter([(X, Y)] * 3), verbose=0)
    with pytest.raises(ValueError, match="steps: expected the length of the schedule"):
        schedules.OverBudget(lambda step: 0.1)
    momenta = schedules.momenta(schedules.WarmUp(cycle(base_momentum=0.8, max_momentum=0.9), 5), 0, 9)
    assert momenta.shape == (9,)


def test_restore_and_budget_together():
    """The record counts the steps that were left out; the same policy repeats them."""
    x = BIG[0].copy()
    x[::1000, 1] = np.nan
    network, other = model(), model()
    options = {"verbose": 0, "check_finite": False, "on_nan": "restore"}
    record = network.fit(x, BIG[1], max_seconds=0.1, **options).record
    other.fit(x, BIG[1], replay=record, **options)
    assert sha(other) == sha(network)


@pytest.mark.parametrize(("change", "what"), [
    ({"batch_size": 8}, "batch size"), ({"rows": 95}, "number of training rows"), ({"seed": 5}, "seed"),
    ({"steps_before": 4}, "number of steps trained before"), ({"epochs_before": 4}, "number of epochs trained before"),
])  # fmt: skip
def test_a_record_of_another_training_is_refused(change, what):
    record = model().fit(X, Y, max_seconds=0.01, batch_size=BATCH, verbose=0).record
    with pytest.raises(ValueError, match=f"replay: expected the {what} of the record"):
        model().fit(X, Y, replay=record | change, verbose=0, batch_size=BATCH)


def test_arguments_are_checked():
    network = model()
    record = network.fit(X, Y, max_seconds=0.01, verbose=0).record
    for wrong in (0, -1, np.nan):
        with pytest.raises(ValueError, match="max_seconds: expected"):
            network.fit(X, Y, max_seconds=wrong)
    with pytest.raises(ValueError, match="max_seconds, replay: expected at most one"):
        network.fit(X, Y, max_seconds=1, replay=record)
    with pytest.raises(TypeError, match="replay: expected history.record of an earlier fit, got list"):
        network.fit(X, Y, replay=[1])
    with pytest.raises(ValueError, match="replay: expected a record of version 1, got 9"):
        network.fit(X, Y, replay=record | {"version": 9})
