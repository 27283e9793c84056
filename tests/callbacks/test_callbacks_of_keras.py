"""The callbacks that look at a number: their decisions, by hand and by Keras; files, and the range test of the rate."""

import csv
import math

import numpy as np
import pytest

import fastnn
from fastnn import callbacks as cb

X = np.random.default_rng(0).normal(size=(24, 3))
Y = X @ np.ones((3, 1))
NAN = math.nan


def model(optimizer="sgd", **options):
    fastnn.set_random_seed(0)
    m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    m.compile(optimizer, "mse", **options)
    return m


class Optimizer:
    """What a callback sees of an optimizer, for histories that are made up."""

    schedule, learning_rate = None, 1.0


class Made:
    """A model of made-up numbers."""

    metrics, stop_training = (), False

    def __init__(self):
        self.optimizer, self.weights = Optimizer(), 0

    def get_weights(self):
        return self.weights

    def set_weights(self, weights, **how):
        self.weights = weights


def play(callback, values, name="loss", made=None):
    """The rate after each epoch of a made-up history; it ends where the callback stops it."""
    made = made or Made()
    callback.set_model(made)
    callback.set_params({"metrics": [name]})
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        made.weights = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {name: value})
        rates.append(float(made.optimizer.learning_rate))
        if made.stop_training:
            break
    callback.on_train_end()
    return rates


HISTORIES = {
    "falls": [5.0, 4.0, 3.0, 2.0, 1.0, 0.5],
    "stands": [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
    "rises": [1.0, 2.0, 3.0, 2.5, 0.5, 0.6, 0.7, 0.8, 0.9],
    "nan": [3.0, NAN, NAN, 2.0, NAN, 1.0, NAN, NAN, NAN],
    "nan first": [NAN, 3.0, 4.0, 5.0, 6.0],
    "small steps": [1.0, 0.99995, 0.9999, 0.5, 0.49999, 0.49998, 0.49997],
}
SOUND = [h for h in HISTORIES if h != "nan first"]  # in that one Keras takes NaN for the best, and keeps it
PLATEAU = [
    {"patience": 1, "factor": 0.5},
    {"patience": 2, "factor": 0.1, "cooldown": 2},
    {"patience": 2, "factor": 0.1, "min_lr": 0.05, "min_delta": 0.0},
    {"patience": 2, "factor": 0.5, "mode": "max"},
    {"patience": 0, "factor": 0.5, "cooldown": 1},
]
STOPPING = [
    {},
    {"patience": 2},
    {"patience": 2, "restore_best_weights": True, "min_delta": 0.5},
    {"patience": 1, "start_from_epoch": 3, "restore_best_weights": True},
    {"patience": 2, "baseline": 2.2},
    {"patience": 2, "mode": "max", "restore_best_weights": True},
]


def test_reduce_on_plateau_by_hand():
    callback = cb.ReduceLROnPlateau("loss", factor=0.5, patience=2)
    assert play(callback, [3.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0]) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    callback = cb.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_lr=0.05)
    assert play(callback, [3.0, NAN, NAN, NAN]) == pytest.approx([1, 0.1, 0.05, 0.05])


@pytest.mark.parametrize("history", SOUND)
@pytest.mark.parametrize("arguments", PLATEAU, ids=str)
def test_reduce_on_plateau_decides_as_in_keras(history, arguments):
    keras = pytest.importorskip("keras")
    theirs = keras.callbacks.ReduceLROnPlateau("loss", **arguments)
    wanted = play(theirs, HISTORIES[history], made=KerasMade(keras))
    assert play(cb.ReduceLROnPlateau("loss", **arguments), HISTORIES[history]) == pytest.approx(wanted)


@pytest.mark.parametrize("history", SOUND)
@pytest.mark.parametrize("arguments", STOPPING, ids=str)
def test_early_stopping_decides_as_in_keras(history, arguments):
    keras = pytest.importorskip("keras")
    arguments = {"mode": "min", **arguments}
    ours, theirs = Made(), KerasMade(keras)
    epochs = len(play(cb.EarlyStopping("loss", **arguments), HISTORIES[history], made=ours))
    keras_epochs = len(play(keras.callbacks.EarlyStopping("loss", **arguments), HISTORIES[history], made=theirs))
    assert (epochs, ours.stop_training) == (keras_epochs, theirs.stop_training)
    assert ours.weights == theirs.weights


def test_nan_is_never_the_best():
    """In Keras 3 a first NaN is never improved upon."""
    made = Made()
    assert len(play(cb.EarlyStopping("loss", patience=2, mode="min", restore_best_weights=True),
                    HISTORIES["nan first"], made=made)) == 4  # fmt: skip
    assert made.weights == 1


class KerasMade(Made):
    def __init__(self, keras):
        super().__init__()
        self.optimizer = keras.optimizers.SGD(1.0)


def test_plateau_of_a_real_model():
    m = model(fastnn.SGD(0.1))
    m.fit(X, Y, epochs=8, verbose=0, callbacks=[cb.ReduceLROnPlateau("loss", patience=2, min_delta=1e9)])
    # the first epoch is an improvement on infinity, later ones are not
    assert m.history.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4])
    schedule = fastnn.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for callback in (cb.ReduceLROnPlateau("loss"), cb.LearningRateFinder()):
        with pytest.raises(TypeError, match="expected an optimizer whose learning_rate is a number, got a schedule"):
            model(fastnn.SGD(schedule)).fit(X, Y, verbose=0, callbacks=[callback])


def test_terminate_on_nan(capsys):
    m = model(fastnn.SGD(1e30))
    m.fit(X, Y, epochs=50, batch_size=8, verbose=0, callbacks=[cb.TerminateOnNaN()])
    assert len(m.history.epoch) == 1 and not np.isfinite(m.history.history["loss"][0])
    assert "Batch" in capsys.readouterr().out
    m = model()
    m.fit(X, Y, epochs=3, verbose=0, callbacks=[cb.TerminateOnNaN()])
    assert len(m.history.epoch) == 3


def rows(path, **options):
    with open(path, newline="") as file:
        return list(csv.reader(file, **options))


def test_csv_logger(tmp_path):
    path, m = tmp_path / "log.csv", model(metrics=["mae"])
    m.fit(X, Y, epochs=2, verbose=0, callbacks=[cb.CSVLogger(path)])
    head, *lines = rows(path)
    assert head == ["epoch", "loss", "mae"] and [line[0] for line in lines] == ["0", "1"]
    assert [float(line[1]) for line in lines] == pytest.approx(m.history.history["loss"])
    m.fit(X, Y, epochs=1, verbose=0, callbacks=[cb.CSVLogger(path, append=True)])
    assert len(rows(path)) == 4 and rows(path)[0] == head
    m.fit(X, Y, epochs=4, validation_split=0.5, validation_freq=2, verbose=0, callbacks=[cb.CSVLogger(path, ";")])
    table = rows(path, delimiter=";")
    assert table[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"] and len(table) == 5
    assert [line[3] == "NA" for line in table[1:]] == [True, False, True, False]


def test_checkpoint_of_every_epoch(tmp_path):
    m = model()
    m.fit(X, Y, epochs=3, verbose=0, callbacks=[cb.ModelCheckpoint(tmp_path / "w{epoch:02d}-{loss:.4f}.h5")])
    names = [f"w{i + 1:02d}-{loss:.4f}.h5" for i, loss in enumerate(m.history.history["loss"])]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    again = fastnn.models.load_model(tmp_path / names[1])
    again.fit(X, Y, epochs=1, verbose=0)  # the third epoch once more
    for a, b in zip(again.get_weights(), m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Scripted(cb.Callback):
    """Puts a made-up number into the logs."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


@pytest.mark.parametrize("mode, best", [("min", 3), ("max", 1)])
def test_checkpoint_of_the_best(tmp_path, mode, best):
    m, weights = model(), []
    keep = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(m.get_weights()))
    save = cb.ModelCheckpoint(tmp_path / "best", mode=mode, save_best_only=True, save_weights_only=True)
    m.fit(X, Y, epochs=5, verbose=0, validation_split=0.5, callbacks=[Scripted([2, 3, NAN, 1, 2]), keep, save])
    again = model()
    again.load_weights(tmp_path / "best")
    np.testing.assert_array_equal(again.get_weights()[0], weights[best][0])
    assert save.best == (1 if mode == "min" else 3)


def test_checkpoint_threshold_and_batches(tmp_path):
    m = model()
    never = cb.ModelCheckpoint(tmp_path / "never", "loss", save_best_only=True, initial_value_threshold=0.0)
    every = cb.ModelCheckpoint(tmp_path / "b{epoch}-{batch}", save_freq=4, save_weights_only=True)
    m.fit(X, Y, epochs=3, batch_size=8, verbose=0, callbacks=[never, every])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b2-1", "b3-2"]  # batches 4 and 8 of 3 an epoch


def test_checkpoints_make_their_folder(tmp_path):
    best = cb.ModelCheckpoint(tmp_path / "new" / "{epoch}" / "w", "loss", save_best_only=True, save_freq=2)
    model().fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[best])
    assert (tmp_path / "new" / "1" / "w").exists()


def test_checkpoint_errors(tmp_path):
    with pytest.raises(ValueError, match="save_freq.*'epoch'.*got 0"):
        cb.ModelCheckpoint("x", save_freq=0)
    with pytest.raises(ValueError, match="filepath: expected names in the logs, got 'acc'. Available: epoch, loss"):
        model().fit(X, Y, verbose=0, callbacks=[cb.ModelCheckpoint(tmp_path / "{acc}")])
    with pytest.raises(ValueError, match="got 'val_loss'.*validation_data"):
        model().fit(X, Y, verbose=0, callbacks=[cb.ModelCheckpoint(tmp_path / "x", save_best_only=True)])
    with pytest.raises(ValueError, match="monitor: expected a name in the logs of a batch.*got 'val_loss'"):
        asking = cb.ModelCheckpoint(tmp_path / "x", save_best_only=True, save_freq=2)
        model().fit(X, Y, batch_size=4, verbose=0, callbacks=[asking], validation_data=(X, Y))
    with pytest.raises(ValueError, match="filepath: expected a format of names in the logs"):
        model().fit(X, Y, verbose=0, callbacks=[cb.ModelCheckpoint(tmp_path / "{}")])
    with pytest.raises(TypeError, match="initial_value_threshold: expected a number, got 'a'"):
        cb.ModelCheckpoint("x", initial_value_threshold="a")
    assert not list(tmp_path.iterdir())


def test_batches_are_entered_only_for_those_who_ask(tmp_path):
    def per_batch(callback):
        return cb.CallbackList([callback], model=Made()).per_batch("train")

    quiet = [cb.ModelCheckpoint("x"), cb.CSVLogger("x"), cb.EarlyStopping(), cb.ReduceLROnPlateau(), cb.History(),
             cb.LearningRateScheduler(lambda e, r: r), cb.LambdaCallback(on_epoch_end=print)]  # fmt: skip
    asking = [cb.ModelCheckpoint("x", save_freq=2), cb.TerminateOnNaN(), cb.ProgbarLogger(), cb.LearningRateFinder()]
    assert not any(map(per_batch, quiet)) and all(map(per_batch, asking))


def test_progress_bar(capsys):
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[cb.ProgbarLogger()])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"] and "loss: " in lines[0]


def test_find_learning_rate_leaves_everything_as_it_was():
    def trained(look):
        m = model(fastnn.SGD(0.01, momentum=0.9), seed=4)
        m.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        found = m.find_learning_rate(X, Y, steps=40, batch_size=8, max_lr=100.0) if look else None
        m.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        return m, found

    (plain, _), (looked, found) = trained(False), trained(True)
    np.testing.assert_array_equal(plain.get_weights()[0], looked.get_weights()[0])
    assert looked.optimizer.learning_rate == 0.01 and looked.epochs_done == 4
    assert found.learning_rates[0] == pytest.approx(1e-7)
    ratios = np.diff(np.log(found.learning_rates))
    np.testing.assert_allclose(ratios, np.log(1e9) / 39)
    assert len(found.losses) == len(found.learning_rates) < 40  # it diverged before 100
    # gradient descent on a quadratic diverges above 2 / the largest eigenvalue of the Hessian
    hessian = 2 * np.cov(np.c_[X, np.ones(len(X))].T, bias=True)
    assert 1e-3 < found.suggestion < 2 / np.linalg.eigvalsh(hessian).max()


def test_find_learning_rate_sees_the_loss_of_each_batch():
    """With a smoothing of 0 the losses are those of the batches, not running means."""
    m = model(fastnn.SGD(0.01))
    found = m.find_learning_rate(X, Y, steps=3, batch_size=8, min_lr=1e-12, max_lr=1e-11, smoothing=0.0, divergence=1e9)
    assert len(set(np.round(found.losses, 6))) == 3
    assert np.mean(found.losses) == pytest.approx(m.evaluate(X, Y, verbose=0), rel=1e-5)
