"""Steps that are repeated give the same bits; and what is left of a training after a failing step."""

import tracemalloc

import numpy as np
import pytest
from non_finite_tools import BATCH, ROW, N, Planted, X, Y, marked, model, place_of, sha

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback
from fastnn.engine.replay import Block, Boundary, Epochs
from fastnn.training import non_finite, running

LABELS = (np.arange(N) * 7 % 10 < 5).astype(np.int64)


def of_labels(*inner, **arguments):
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model(*inner, loss=loss, **arguments), LABELS


def of_loss():
    def loss(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2, axis=1), y_pred - y_true

    return model(loss=loss), Y


def with_metrics():
    network = model(layers.Activation("tanh"), out=1)
    network.compile("adam", "mse", metrics=["mae", fastnn.metrics.AUC()], weighted_metrics=["mae"], seed=3)
    return network, (Y[:, :1] > 0).astype(float)


def by_optimizer(name, *inner, **arguments):
    return lambda: (model(*inner, optimizer=getattr(fastnn.optimizers, name)(**arguments)), Y)


CASES = {
    "sgd": lambda: (model(), Y),
    "float64": lambda: (model(optimizer="adam", dtype="float64"), Y),
    "noise": lambda: (model(layers.Dropout(0.3), layers.Dense(6), layers.RReLU(), layers.GaussianNoise(0.1)), Y),
    "batch norm": lambda: (
        model(layers.BatchNormalization(momentum=0.7), layers.Dense(7), layers.BatchNormalization()), Y
    ),
    "momentum": by_optimizer("SGD", learning_rate=0.01, momentum=0.9),
    "accumulation": by_optimizer("Adam", layers.Dropout(0.2), gradient_accumulation_steps=4),
    "averages": by_optimizer("Adam", use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
    "clipvalue": by_optimizer("Adam", clipvalue=0.01),
    "clipnorm": by_optimizer("Adam", clipnorm=0.1),
    "global_clipnorm": by_optimizer("AdamW", global_clipnorm=0.1),
    "schedule": by_optimizer("SGD", learning_rate=fastnn.optimizers.schedules.OneCycle(
        0.05, 30, base_momentum=0.8, max_momentum=0.9), momentum=0.9),
    "penalties": lambda: (model(layers.Dense(6, kernel_regularizer="l1l2", kernel_constraint="max_norm")), Y),
    "labels": lambda: of_labels(layers.Dropout(0.1)),
    "python layer": lambda: (model(layers.Dropout(0.2), Planted()), Y),
    "python loss": of_loss,
    "metrics": with_metrics,
}  # fmt: skip
OPTIONS = {
    "sample weights": {"sample_weight": 1 + np.arange(N) % 3}, "class weights": {"class_weight": {0: 0.5, 1: 2.0}},
}  # fmt: skip


def same_sums(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        one, other = (np.asarray(s.counts() if hasattr(s, "counts") else s) for s in (one, other))
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("batch", [BATCH, 37])
@pytest.mark.parametrize("case", CASES)
def test_a_block_is_repeated_bit_for_bit(case, batch):
    network, y = CASES[case]()
    network.fit(X, y, epochs=1, batch_size=batch, verbose=0)
    engine, data = network.engine(), prepared(network, y)
    sums = [0.0] * len(network.metrics_names)
    rates = network.optimizer.rates(engine.step, N // batch + 1)
    index = np.random.default_rng(1).permutation(N)
    job = Block(data, index, 0, N, batch, rates, sums, 1, 0)
    repeat(engine, job, lambda: job.sums)


@pytest.mark.parametrize("case", [c for c in CASES if "python" not in c and c != "metrics"])
def test_epochs_are_repeated_bit_for_bit(case):
    network, y = CASES[case]()
    network.fit(X, y, epochs=1, batch_size=BATCH, verbose=0)
    engine, data = network.engine(), prepared(network, y)
    totals = engine.room_for_epochs(*data, BATCH, 3)
    rates = network.optimizer.rates(engine.step, 18)
    index = np.random.default_rng(1).permutation(3 * N) % N
    first = Epochs(data, index, 3, BATCH, rates[:4], 0, totals, 1)
    first.rates = rates
    first.stop = engine.fit_epochs(*data, index, 3, BATCH, rates, 0, totals, 0.0, 4)  # a job that begins in an epoch
    job = Epochs(data, index, 3, BATCH, rates, 4, totals, 1)
    repeat(engine, job, lambda: [totals.copy()])


def repeat(engine, job, sums):
    boundary, before = Boundary(engine), sha_of(engine)
    boundary.save(engine)
    assert job.run(engine, 0.0)
    after, found = sha_of(engine), sums()
    assert after != before and len(job.steps) > 1
    for _ in range(2):
        boundary.restore(engine)
        assert sha_of(engine) == before
        job.rewind(None)
        assert all(job.again(engine, k) for k in job.steps)
        assert sha_of(engine) == after
        same_sums(sums(), found)


def sha_of(engine):
    return [engine.store.flat[name].tobytes() for name in ("theta", *engine.store.lasting)], engine.step


def prepared(network, y):
    from fastnn.training import arguments

    data = arguments.data(network, X, y, None, None, True, training=True)
    return data.x, data.y, data.w


class StopAt(Callback):
    """Ends the training before a batch of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch + 1) == self.at:
            self.model.stop_training = True


@pytest.mark.parametrize(("blocks", "steps"), [(0.1, None), (1e-9, None), (0.1, 2)])
@pytest.mark.parametrize("case", [*CASES, *OPTIONS])
def test_stop_leaves_the_weights_of_the_boundary_before_the_failing_step(case, blocks, steps, monkeypatch):
    """Compared with a training that ends there for another reason. With 2 steps per epoch, it is a later epoch."""
    monkeypatch.setattr(running, "BLOCK_SECONDS", blocks)
    make = CASES.get(case, CASES["labels"])
    x = X.copy()
    x[ROW, 1] = np.nan
    options = {"epochs": 30, "batch_size": BATCH, "verbose": 0, "check_finite": False, "steps_per_epoch": steps}
    options |= OPTIONS.get(case, {})
    network, y = make()
    history = network.fit(x, y, on_nan="stop", **options)
    (error,) = history.non_finite
    epoch = next(e for e in range(30) if place_of(ROW, e, network) < (steps or 6))
    assert (error.epoch, error.batch, error.rows.tolist()) == (epoch, place_of(ROW, epoch, network), [ROW])
    assert (error.epoch > 0 or error.batch > 1) and history.record["steps"][-1] == (error.batch or steps)
    other, y = make()
    if error.batch:
        callback = StopAt(error.epoch, error.batch)
    else:
        callback = StopAt(error.epoch - 1, steps)
    known = other.fit(x, y, on_nan="ignore", callbacks=[callback], **options)
    assert sha(network) == sha(other)
    assert list(history.history) == list(known.history)
    for name, values in known.history.items():
        assert np.asarray(history.history[name]).tobytes() == np.asarray(values).tobytes(), name


class Batches:
    def __init__(self, x, order):
        self.x, self.order = x, order

    def __iter__(self):
        return iter([(self.x[rows], Y[rows]) for rows in self.order])


@pytest.mark.parametrize("blocks", [0.1, 1e-9])
@pytest.mark.parametrize("way", ["epochs", "steps", "python", "generator"])
def test_restore_leaves_the_failing_step_out(way, blocks, monkeypatch):
    """Compared with manual steps of SGD in NumPy's float64, without that batch."""
    monkeypatch.setattr(running, "BLOCK_SECONDS", blocks)
    network = fastnn.Sequential(
        [fastnn.Input((5,)), *([Planted()] if way == "python" else []), layers.Dense(2, name="b")], dtype="float64"
    )
    network.compile(fastnn.SGD(0.05), "mse", seed=4)
    w, b = network.get_weights()
    x = X.copy()
    x[ROW, 1] = np.nan
    order = [slice(i, i + BATCH) for i in range(0, N, BATCH)]
    options = {"epochs": 3, "verbose": 0, "check_finite": False, "on_nan": "restore"}
    if way == "generator":
        history = network.fit(Batches(x, order), shuffle=False, **options)
    else:
        callbacks = [StopAt(-1, -1)] if way == "steps" else []
        history = network.fit(x, Y, batch_size=BATCH, shuffle=False, callbacks=callbacks, **options)
    losses = []
    for _ in range(3):
        sums = []
        for rows in order:
            if rows.start <= ROW < rows.stop:
                continue
            error = x[rows] @ w + b - Y[rows]
            sums.append((error**2).mean())
            w, b = w - 0.05 * x[rows].T @ error / BATCH, b - 0.05 * error.sum(0) / BATCH
        losses.append(np.mean(sums))
    for mine, expected in zip(network.get_weights(), (w, b), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-11)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-11)
    assert [(e.epoch, e.batch, e.tensor) for e in history.non_finite] == [(i, ROW // BATCH, "input") for i in range(3)]
    assert network.optimizer.iterations == 18 and history.record["steps"] == [6, 6, 6]


def test_restore_ends_when_nothing_works():
    network = model(optimizer=fastnn.SGD(1e30))
    history = network.fit(X, Y, epochs=9, batch_size=BATCH, verbose=0, on_nan="restore")
    assert len(history.non_finite) == non_finite.IN_ROW
    assert all(np.isfinite(w).all() for w in network.get_weights())


def test_averaged_weights_are_set_after_a_stop():
    network = model(optimizer=fastnn.SGD(1e30, use_ema=True))
    network.fit(X, Y, epochs=2, batch_size=BATCH, verbose=0, on_nan="stop")
    assert all(np.isfinite(w).all() for w in network.get_weights())


def test_validation_and_callbacks_after_a_stop():
    seen = []

    class Sees(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))

        def on_train_end(self, logs=None):
            seen.append("end")

    network = model(Planted(forward=np.nan))
    history = network.fit(marked(), Y, epochs=5, batch_size=BATCH, verbose=0, on_nan="stop", callbacks=[Sees()],
                          validation_data=(X[:20], Y[:20]))  # fmt: skip
    batch = place_of(ROW, 0, network)
    assert seen == [(0, ["loss", "val_loss"])] * (batch > 0) + ["end"]
    assert np.isfinite(history.history["val_loss"]).all() and history.record["steps"] == [batch] * (batch > 0)


def test_training_goes_on_after_an_error():
    network, x = model(), X.copy()
    x[ROW, 1] = np.inf
    with pytest.raises(fastnn.NonFiniteError):
        network.fit(x, Y, verbose=0, check_finite=False)
    history = network.fit(X, Y, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all() and history.non_finite == []


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_error_does_not_depend_on_threads(threads):
    wide = layers.Dense(300, "relu", name="c"), layers.Dense(200, "exponential", name="d")
    network = model(*wide, optimizer=fastnn.SGD(0.5))
    x, y = np.tile(X, (8, 1)), np.tile(Y, (8, 1))
    with pytest.raises(fastnn.NonFiniteError) as found:
        network.fit(x, y, epochs=3, batch_size=256, verbose=0, threads=threads)
    error = found.value
    key = (str(error), error.rows.tobytes(), sha(network))
    assert KNOWN.setdefault("error", key) == key


KNOWN = {}


def test_copies_are_rare(monkeypatch):
    """No more than a quarter of a second apart, whatever the number of calls of the core."""
    monkeypatch.setattr(running, "BLOCK_SECONDS", 1e-9)
    saved = []
    save = Boundary.save
    monkeypatch.setattr(Boundary, "save", lambda self, engine: (saved.append(1), save(self, engine)))
    monkeypatch.setattr(non_finite, "RARELY", 1e9)
    model().fit(X, Y, epochs=20, batch_size=BATCH, verbose=0)
    assert len(saved) == 1


def test_nothing_is_allocated_after_the_first_step(monkeypatch):
    """With copies after every call, and what is kept of calls between copies."""
    network = model(layers.Dense(400), optimizer="adam")
    network.fit(X, Y, epochs=1, batch_size=BATCH, verbose=0)
    engine, data, guard = network.engine(), prepared(network, Y), non_finite.Guard("raise")
    monkeypatch.setattr(non_finite, "JOBS", 3)
    rates = np.full(6, 0.01)

    def run(times):
        for _ in range(times):
            guard.run(engine, Block(data, None, 0, N, BATCH, rates, [0.0], 0, 0), 0.0)

    run(12)
    tracemalloc.start()
    run(80)
    before = tracemalloc.take_snapshot()
    run(400)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    changes = after.compare_to(before, "filename")
    grown = sum(d.size_diff for d in changes if "tracemalloc" not in d.traceback[0].filename)
    assert grown < 2000 and len(guard.jobs) <= 4
    guard.finish()
    kept = engine.boundary
    network.fit(X, Y, epochs=1, batch_size=BATCH, verbose=0)
    assert engine.boundary is kept  # the memory of the copy serves the next training


def test_a_model_in_training_leaves_memory_when_it_is_dropped():
    import weakref

    network = model()
    network.fit(X, Y, verbose=0)
    found = weakref.ref(network.engine())
    del network
    assert found() is None
