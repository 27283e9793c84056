"""`fit` with the optimizer "lbfgs"."""

import numpy as np
import pytest
from scipy.optimize import minimize

import fastnn
from fastnn import callbacks, layers, optimizers

X = np.linspace(-2, 2, 60)[:, None]
Y = np.sin(2 * X)


def model(optimizer="lbfgs", dtype="float64", metrics=None, **options):
    fastnn.set_random_seed(3)
    made = fastnn.Sequential([layers.Dense(8, "tanh", input_shape=(1,)), layers.Dense(1)], dtype=dtype)
    made.compile(optimizer, "mse", metrics=metrics, **options)
    return made


def test_it_is_scipys_method():
    made, other = model(), model()
    history = made.fit(X, Y, epochs=25, verbose=0)
    options = {"maxiter": 25, "maxfun": 10**6, "gtol": 1e-8, "ftol": 1e-12}
    best = minimize(other.loss_and_grad, other.get_parameters(), (X, Y), "L-BFGS-B", jac=True, options=options)
    assert history.epoch == list(range(25)) and len(history.history["loss"]) == 25
    assert history.history["loss"][-1] == best.fun
    np.testing.assert_array_equal(made.get_parameters(), best.x)
    assert made.evaluate(X, Y, verbose=0) == pytest.approx(best.fun, rel=1e-12)
    assert (np.diff(history.history["loss"]) <= 0).all()


def test_far_smaller_losses_than_adam():
    made, adam = model(), model("adam")
    made.fit(X, Y, epochs=300, verbose=0)
    adam.fit(X, Y, epochs=300, verbose=0)
    assert made.evaluate(X, Y, verbose=0) < 1e-2 * adam.evaluate(X, Y, verbose=0)


def test_it_ends_when_nothing_is_left_to_gain():
    made = fastnn.Sequential([layers.Dense(1, input_shape=(1,))], dtype="float64")
    made.compile(optimizers.LBFGS(gtol=1e-6), "mse")
    history = made.fit(X, 3 * X + 1, epochs=1000, verbose=0)
    assert len(history.epoch) < 50
    np.testing.assert_allclose(made.get_parameters(), [3, 1], atol=1e-5)


def test_metrics_validation_weights_and_callbacks():
    seen = []
    each = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(epoch), on_epoch_end=lambda epoch, logs: seen.append(dict(logs))
    )
    made = model(metrics=["mae"])
    w = np.linspace(0.1, 2, 60)
    history = made.fit(X, Y, epochs=5, verbose=0, validation_split=0.25, sample_weight=w, callbacks=[each])
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
    found = made.evaluate(X[:45], Y[:45], sample_weight=w[:45], verbose=0, return_dict=True)
    assert history.history["loss"][-1] == pytest.approx(found["loss"], rel=1e-12)
    assert history.history["mae"][-1] == pytest.approx(found["mae"], rel=1e-12)
    assert [s for s in seen if isinstance(s, int)] == list(range(5)) and seen[-1]["mae"] == history.history["mae"][-1]


def test_a_callback_ends_it_and_restores_the_best():
    stop = callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    made = model()
    noise = np.random.default_rng(0).normal(size=(60, 1))
    history = made.fit(X, Y + noise, epochs=500, verbose=0, validation_data=(X, Y), callbacks=[stop])
    assert len(history.epoch) < 500
    assert made.evaluate(X, Y, verbose=0) == pytest.approx(min(history.history["val_loss"]), rel=1e-9)


def test_penalties_and_several_outputs():
    a = layers.Input((1,))
    hidden = layers.Dense(6, "tanh", kernel_regularizer="l2")(a)
    made = fastnn.Model(a, [layers.Dense(1, name="one")(hidden), layers.Dense(1, name="two")(hidden)], dtype="float64")
    made.compile("lbfgs", "mse", loss_weights=[1, 0.1])
    history = made.fit(X, [Y, X**2], epochs=30, verbose=0)
    assert set(history.history) == {"loss", "one_loss", "two_loss"}
    theta = made.get_parameters()
    value, gradient = made.loss_and_grad(theta, X, [Y, X**2])
    assert history.history["loss"][-1] == pytest.approx(value, rel=1e-12)


def test_progress_and_time(capsys):
    model().fit(X, Y, epochs=3, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert len(lines) == 3 and "3/3" in lines[-1]
    history = model().fit(X, Y, epochs=10**6, verbose=0, max_seconds=1e-9)
    assert len(history.epoch) == 1


def test_saving_keeps_it(tmp_path):
    made = model(optimizers.LBFGS(history_size=7))
    made.fit(X, Y, epochs=3, verbose=0)
    made.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert loaded.optimizer.history_size == 7 and repr(loaded.optimizer) == repr(made.optimizer)
    for each in (made, loaded):
        each.fit(X, Y, epochs=3, verbose=0)
    np.testing.assert_array_equal(made.get_parameters(), loaded.get_parameters())
    assert made.epochs_done == loaded.epochs_done == 6


def test_a_deep_copy_and_doctor():
    import copy

    made = model()
    made.check(X, Y)
    assert copy.deepcopy(made).optimizer.name == "LBFGS"
    assert made.fit(X, Y, epochs=2, verbose=0).findings is not None


@pytest.mark.parametrize("name", ["lbfgs", "LBFGS", "L-BFGS", "l_bfgs_b", optimizers.LBFGS])
def test_names(name):
    assert isinstance(optimizers.get(name), optimizers.LBFGS)


def test_errors():
    made = model()
    for call in (lambda: made.train_on_batch(X, Y), made.apply_gradients):
        with pytest.raises(ValueError, match="expected an optimizer that makes a step for each batch, got LBFGS"):
            call()
    with pytest.raises(TypeError, match="x: expected arrays for LBFGS"):
        made.fit(iter([(X, Y)]), verbose=0)
    with pytest.raises(ValueError, match="batch_size: expected None or at least 60"):
        made.fit(X, Y, batch_size=10, verbose=0)
    with pytest.raises(ValueError, match="steps_per_epoch: expected None for LBFGS"):
        made.fit(X, Y, steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match="history_size"):
        optimizers.LBFGS(history_size=0)
    assert made.fit(X, Y, epochs=0, verbose=0).history == {}
