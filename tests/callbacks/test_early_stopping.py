"""Early stopping, and rates by epoch."""

import math

import numpy as np
import pytest
from callback_tools import X, Y, model

import fastnn
from fastnn import callbacks as cb


class Feed(cb.Callback):
    """Overwrites a number in the logs, epoch by epoch; and counts epochs in the weights."""

    def __init__(self, values, name="loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.model.set_weights([np.full((3, 1), epoch), [0]])


def stopped(values, **options):
    m, name = model(metrics=["accuracy"]), options.pop("name", "loss")
    stop = cb.EarlyStopping(monitor=name, **options)
    history = m.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Feed(values, name), stop])
    return len(history.epoch), m.get_weights()[0][0, 0]


NAN = math.nan


@pytest.mark.parametrize(
    "values, options, epochs",
    [
        ([3, 2, 1, 1, 1, 1], {"patience": 2}, 5),
        ([3, 2, 2.5, 1, 2, 2], {"patience": 2}, 6),
        ([3, 2, 2, 1], {}, 3),
        ([3, 2.95, 2.9, 2.8], {"min_delta": 0.2}, 2),
        ([1, 2, 3, 2, 2], {"mode": "max", "patience": 1}, 4),
        ([1, 1.5, 1.9, 2.5], {"mode": "max", "min_delta": 1, "patience": 1}, 2),
        ([NAN, 5, 6, 7], {}, 3),
        ([1, 2, 3, 2, 2], {"name": "accuracy", "patience": 1}, 4),
        ([3, NAN, NAN, 1], {"patience": 2}, 3),
        ([NAN, NAN, 5, 4, 4], {"patience": 3}, 5),
        ([5, 4, 3, 2, 1], {"baseline": 0.5, "patience": 3}, 5),
        ([5, 6, 7, 8], {"start_from_epoch": 2, "patience": 1}, 4),
    ],
)
def test_early_stopping(values, options, epochs):
    assert stopped(values, **options)[0] == epochs


def test_early_stopping_restores_the_best():
    assert stopped([3, 1, 2, NAN, 2], patience=3, restore_best_weights=True) == (5, 1)
    assert stopped([3, 1, 2, NAN, 2], patience=3) == (5, 4)
    assert stopped([3, 2, 1], patience=3, restore_best_weights=True) == (3, 2)
    assert stopped([NAN, NAN], patience=3, restore_best_weights=True) == (2, 1)


def test_early_stopping_names_what_is_missing():
    with pytest.raises(ValueError, match="val_loss.*validation_data.*Available: loss"):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping())
    with pytest.raises(ValueError, match="mode: expected .max. or .min.*val_lss.*got .auto."):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping("val_lss"))
    with pytest.raises(ValueError, match="Did you mean 'loss'"):
        model().fit(X, Y, verbose=0, callbacks=cb.EarlyStopping("lss", mode="min"))
    # an epoch without validation is not an error
    options = {"validation_split": 0.2, "validation_freq": 2, "epochs": 4, "verbose": 0}
    model().fit(X, Y, callbacks=cb.EarlyStopping(patience=9), **options)


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.5 ** (epoch + 1)])
def test_learning_rate_scheduler(schedule):
    m = model(fastnn.SGD(1.0))
    history = m.fit(X, Y, epochs=3, verbose=0, callbacks=cb.LearningRateScheduler(schedule))
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]
    assert m.optimizer.learning_rate == 0.125


def test_rate_set_between_batches_is_used():
    class Drop(cb.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 1.0 if batch == 0 else 0.0

    m = model(fastnn.SGD(1.0))
    m.compile(fastnn.SGD(1.0), lambda t, y: (y[:, 0], np.ones_like(y)))
    m.set_weights([np.zeros((3, 1)), [0]])
    m.fit(X, Y, batch_size=5, callbacks=Drop(), verbose=0)
    assert m.get_weights()[1][0] == -1.0


@pytest.mark.parametrize("typed, meant", [("val_los", "val_loss"), ("val_acuracy", "val_accuracy"), ("lss", "loss")])
def test_a_misspelt_monitor_is_found_before_its_direction(typed, meant):
    """The error was one of `mode` alone, which the user had not given."""
    m = model(metrics=["accuracy"])
    with pytest.raises(ValueError, match=f"monitor='{typed}'.*Did you mean '{meant}'"):
        m.fit(X, Y, verbose=0, validation_split=0.5, callbacks=[cb.EarlyStopping(typed)])
