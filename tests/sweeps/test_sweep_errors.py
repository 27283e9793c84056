"""Sweeps: errors, Ctrl-C, and what is refused because networks would share it."""

import gc
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest
from sweep_tools import LABELS, Stop, X, build

import fastnn
from fastnn import layers


def without_loss():
    model = fastnn.Sequential([layers.Dense(2)])
    model.compile("adam")
    return model


@pytest.mark.parametrize("what", ["model", "optimizer"])
def test_what_networks_share_is_refused_where_it_would_mix(what):
    shared = fastnn.Adam() if what == "optimizer" else build()

    def made(optimizer=None):
        if what == "model":
            return shared
        model = fastnn.Sequential([layers.Dense(2, "softmax")])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    params = [{"optimizer": shared}] * 2 if what == "optimizer" else 2
    with pytest.raises(TypeError, match=f"build: expected a new {what} for each network"):
        fastnn.sweep(made, params, X, LABELS, verbose=0)
    assert fastnn.sweep(made, params if what == "model" else params[:1], X, LABELS, on_error="keep", workers=1,
                        verbose=0)[0]["status"] == "done"  # fmt: skip


def test_parameters_that_are_called_like_a_result():
    def made(loss, network, status="?"):
        model = fastnn.Sequential([layers.Dense(8, "relu"), layers.Dense(1)])
        model.compile("adam", loss)
        return model

    grid = [{"loss": loss, "network": "mlp", "status": 7} for loss in ("mse", "mae")]
    result = fastnn.sweep(made, grid, X, X[:, 0], seed=0, verbose=0)
    assert result.columns()["param_loss"] == ["mse", "mae"]
    assert result.columns()["network"] == [0, 1] and result.columns()["param_network"] == ["mlp"] * 2
    assert [row["status"] for row in result] == ["done"] * 2 and result[0]["param_status"] == 7
    assert result.best["loss"] == min(result.columns()["loss"])
    assert result.best_model is result.models[result.best["network"]]
    # errors alone: the parameter is not taken for the result, in the ranking neither
    kept = fastnn.sweep(made, [{**g, "wrong": 1} for g in grid], X, X[:, 0], on_error="keep", verbose=0)
    assert [row["network"] for row in kept.ranked()] == [0, 1] and "loss" not in kept[0]


def test_errors_that_are_kept_hold_no_models():
    alive = []

    class Fail(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            alive.append(weakref.ref(self.model))
            raise RuntimeError("no more")

    result = fastnn.sweep(build, 3, X, LABELS, callbacks=lambda: [Fail()], on_error="keep", verbose=0)
    gc.collect()
    assert len(alive) == 3 and [r() for r in alive] == [None] * 3
    assert result[0]["error"].__traceback__ is not None


@pytest.mark.parametrize("error", [SystemExit("enough"), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("options", [{}, {"on_error": "keep"}, {"halving": 2, "epochs": 4}])
def test_what_is_no_exception_ends_the_sweep(error, options):
    def made(k):
        if k == 1:
            raise error
        return build()

    with pytest.raises(type(error)) as found:
        fastnn.sweep(made, [{"k": k} for k in range(3)], X, LABELS, verbose=0, **options)
    assert found.value is error


def test_a_parameter_that_cannot_be_printed_hides_no_error():
    class Unprintable:
        def __repr__(self):
            raise RuntimeError("repr")

    def made(thing):
        raise ZeroDivisionError("of build")

    with pytest.raises(ZeroDivisionError, match="of build") as error:
        fastnn.sweep(made, [{"thing": Unprintable()}], X, LABELS, verbose=0)
    assert error.value.__notes__ == ["network 0 of the sweep"]


def test_an_error_does_not_wait_for_the_epochs_of_others():
    """Those that train are stopped in the middle of an epoch: its steps are far more than those that were done."""
    models, x = [], np.tile(X, (2000, 1))

    def made(k):
        if k == 1:
            while not (models and models[0].optimizer.iterations):
                time.sleep(0.001)
            raise RuntimeError("build")
        models.append(build(units=64, depth=3))
        return models[0]

    with pytest.raises(RuntimeError, match="build"):
        fastnn.sweep(made, [{"k": 0}, {"k": 1}], x, np.tile(LABELS, 2000), batch_size=4, workers=2, verbose=0)
    assert models[0].optimizer.iterations < len(x) // 4


def test_errors_name_the_network():
    grid = [{"units": 3}, {"units": 0}, {"units": 4}]
    with pytest.raises(ValueError, match="units") as error:
        fastnn.sweep(build, grid, X, LABELS, verbose=0)
    assert error.value.__notes__ == ["network 1 of the sweep: {'units': 0}"]
    kept = fastnn.sweep(build, grid, X, LABELS, on_error="keep", verbose=0)
    assert [row["status"] for row in kept] == ["done", "error", "done"]
    assert isinstance(kept[1]["error"], ValueError)
    assert kept.ranked()[-1] is kept[1]


@pytest.mark.parametrize("call, error, message", [
    (lambda: fastnn.sweep(build, [], X, LABELS), ValueError, "params: expected at least one network, got none"),
    (lambda: fastnn.sweep(build, [3], X, LABELS), TypeError, r"params\[0\]: expected a dict .*, got 3"),
    (lambda: fastnn.sweep(build, [{"unitz": 3}], X, LABELS), TypeError, "unitz"),
    (lambda: fastnn.sweep(build, [{"epochs": 3}], X, LABELS, epochs=4, halving=2), ValueError, "'epochs'"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, halving=1), ValueError, "halving: expected an integer of at least 2"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, epoch=1), TypeError, "Did you mean 'epochs'"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, monitor="acc"), ValueError, "monitor: expected one of loss, accuracy"),
    (lambda: fastnn.sweep(build(), 2, X, LABELS), TypeError, "build: expected a"),
    (lambda: fastnn.sweep(lambda: fastnn.Sequential([layers.Dense(2)]), 2, X, LABELS), TypeError, "a compiled model"),
    (lambda: fastnn.sweep(build, 2, iter([(X, LABELS)]), None), TypeError, "x: expected an array, got batches"),
    (lambda: fastnn.sweep(build, 2, X * np.nan, LABELS), ValueError, "x: .* got nan in row 0, column 0"),
    (lambda: fastnn.sweep(build, 2, X, LABELS[1:]), ValueError, "y: expected 200 rows, as many as x, got 199"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, on_error="skip"), ValueError, "on_error"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, mode="maximum"), ValueError, "mode"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, monitor="val_loss"), ValueError, "monitor: .* need validation_data"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, monitor="vall", on_error="keep"), ValueError, "monitor: expected one"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, callbacks=[Stop(1)]), TypeError, "callbacks: expected a function"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, validation_data=3), TypeError, "validation_data: expected .*, got int"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, validation_data=(X, LABELS, None, 5)), TypeError, "validation_data"),
    (lambda: fastnn.sweep(build, 2, X, LABELS, validation_data=np.ones((3, 200, 5))), TypeError, "validation_data"),
    (lambda: fastnn.sweep(build, 2, np.float32(1), LABELS), ValueError, r"an input with features, .*, got shape \(\)"),
    (lambda: fastnn.sweep(build, 2, X, 3), ValueError, r"y: expected"),
    (lambda: fastnn.sweep(lambda: without_loss(), 2, X, LABELS), ValueError, "expected a model compiled with a loss"),
])  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_ctrl_c_ends_the_sweep():
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        fastnn.sweep(build, 10_000, X, LABELS, epochs=10**7, workers=2, verbose=0)
    late = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < late:
        time.sleep(0.01)  # one that was only being started ends by itself
    assert threading.active_count() <= before
    assert fastnn.sweep(build, 2, X, LABELS, verbose=0).best["status"] == "done"
