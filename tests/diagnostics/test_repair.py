"""`fastnn.repair`: what is wrong is changed, what helps is kept, nothing of the user's is touched."""

import numpy as np
import pytest

import fastnn
from fastnn.diagnostics import Change, Repair
from fastnn.layers import Add, Dense, Dropout, Input


def moons(n=500, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x.astype("float32"), (x[:, 0] * x[:, 1] > 0).astype("int64")


def prices(n=600, seed=0):
    rng = np.random.default_rng(seed)
    x = np.c_[rng.uniform(1900, 2020, n), rng.lognormal(10, 0.5, n), rng.uniform(0, 1, n)]
    z = (x - x.mean(0)) / x.std(0)
    return x, 2e5 + 5e4 * (z[:, 0] + np.tanh(z[:, 1]) + 0.5 * z[:, 2])


def network(*layers, features=2, optimizer=None, loss="binary_crossentropy", **options):
    def build():
        model = fastnn.Sequential([Input((features,)), *(layer() for layer in layers)])
        model.compile(optimizer() if optimizer else fastnn.Adam(0.01), loss, **options)
        return model

    return build


def dense(units, activation=None, **options):
    return lambda: Dense(units, activation, **options)


HIDDEN = dense(32, "relu", kernel_initializer="he_normal")
FAULTY = {
    "softmax of one unit": network(HIDDEN, dense(1, "softmax")),
    "zeros": network(dense(32, "relu", kernel_initializer="zeros"), dense(1, "sigmoid", kernel_initializer="zeros")),
    "deep sigmoid": network(*[dense(16, "sigmoid")] * 10, dense(1, "sigmoid")),
    "large rate": network(HIDDEN, dense(1, "sigmoid"), optimizer=lambda: fastnn.SGD(50.0)),
    "small rate": network(HIDDEN, dense(1, "sigmoid"), optimizer=lambda: fastnn.Adam(1e-7)),
    "no rate": network(HIDDEN, dense(1, "sigmoid"), optimizer=lambda: fastnn.SGD(0.0)),
    "dropout": network(HIDDEN, lambda: Dropout(0.97), dense(1, "sigmoid")),
    "linear": network(dense(32), dense(32), dense(1, "sigmoid")),
    "penalty": network(dense(32, "relu", kernel_regularizer=fastnn.regularizers.L2(3.0)), dense(1, "sigmoid")),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_of_a_binary_classifier_are_repaired(fault):
    x, y = moons()
    xt, yt = moons(seed=1)
    kept = x.copy(), y.copy()
    result = fastnn.repair(FAULTY[fault], x, y, epochs=30, verbose=0)
    assert isinstance(result, Repair) and result.changes and all(isinstance(c, Change) for c in result.changes)
    accuracy = np.mean((result.model.predict(xt, verbose=0)[:, 0] > 0.5) == yt)
    assert accuracy > 0.93, str(result)
    assert result.after["accuracy"] >= result.before.get("accuracy", 0)
    assert (x == kept[0]).all() and (y == kept[1]).all()


def test_model_of_the_user_is_not_touched():
    x, y = moons()
    made = []

    def build():
        made.append(FAULTY["zeros"]())
        return made[-1]

    outside = build()
    before = [w.copy() for w in outside.get_weights()]
    result = fastnn.repair(build, x, y, epochs=10, verbose=0)
    assert all((a == b).all() for a, b in zip(before, outside.get_weights(), strict=True))
    assert result.model not in made and outside.layers[0].get_config()["kernel_initializer"]["class_name"] == "Zeros"


def test_nothing_helps():
    """Targets that x says nothing about: the original comes back, and nothing is claimed."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 4)), np.zeros(300)
    build = network(HIDDEN, dense(1), features=4, loss="mse")
    result = fastnn.repair(build, x, y + 1e-3 * rng.normal(size=300), epochs=6, verbose=0)
    assert result.after["r2"] >= result.before["r2"]
    perfect = np.linspace(-1, 1, 400).reshape(-1, 1)
    result = fastnn.repair(network(dense(1), features=1, loss="mse"), perfect, 0 * perfect[:, 0], epochs=40, verbose=0)
    assert result.after["loss"] <= result.before["loss"]


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_model_never_becomes_worse(seed):
    x, y = moons(seed=seed)
    build = network(HIDDEN, dense(16, "relu"), dense(1, "sigmoid"), metrics=["accuracy"])
    result = fastnn.repair(build, x, y, epochs=20, seed=seed, verbose=0)
    same, margin = result.after["accuracy"] - result.before["accuracy"], 1 / 100
    assert same > 0 or (same >= -margin and result.after["loss"] <= result.before["loss"])
    if not result.changes:
        assert result.before == result.after and "Not changed" in str(result)


def test_scales_become_layers():
    x, y = prices()
    build = network(HIDDEN, dense(1), features=3, loss="mse", optimizer=lambda: fastnn.Adam(1e-2))
    result = fastnn.repair(build, x, y, epochs=40, verbose=0)
    xt, yt = prices(seed=1)
    error = result.model.predict(xt, verbose=0)[:, 0] - yt
    assert 1 - np.mean(error**2) / np.var(yt) > 0.9, str(result)
    first, last = result.model.layers[0], result.model.layers[-1]
    assert type(first).__name__ == type(last).__name__ == "Normalization" and last.invert
    np.testing.assert_allclose(np.ravel(first.mean.numpy()), x.mean(0), rtol=0.02)


def test_labels_that_the_loss_does_not_take():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    x = np.eye(3)[y] + 0.3 * rng.normal(size=(400, 3))
    end = dense(3, "softmax")
    for build, targets in (
        (network(HIDDEN, end, features=3, loss="categorical_crossentropy"), y),
        (network(HIDDEN, end, features=3, loss="sparse_categorical_crossentropy"), y + 1),
        (network(HIDDEN, dense(1, "sigmoid"), features=3), y),
        (network(HIDDEN, dense(2, "softmax"), features=3, loss="categorical_crossentropy"), np.eye(3)[y]),
        (network(HIDDEN, end, features=7, loss="sparse_categorical_crossentropy"), y),
    ):
        result = fastnn.repair(build, x, targets, epochs=15, verbose=0)
        found = result.model.predict(x, verbose=0).argmax(1)
        assert np.mean(found == (targets.argmax(1) if targets.ndim > 1 else targets)) > 0.9, str(result)


def test_labels_of_minus_one_and_one():
    x, y = moons()
    result = fastnn.repair(network(HIDDEN, dense(1, "sigmoid")), x, 2 * y - 1, epochs=30, verbose=0)
    assert np.mean(np.sign(result.model.predict(x, verbose=0)[:, 0]) == 2 * y - 1) > 0.93, str(result)


def test_rows_that_are_not_finite_are_left_out():
    x, y = moons()
    x[[3, 7]], x[11, 0] = np.nan, np.inf
    result = fastnn.repair(network(HIDDEN, dense(1, "sigmoid")), x, y, epochs=20, verbose=0)
    assert result.changes[0].what == "3 rows with NaN or infinity left out" and result.before == {}
    assert result.after["accuracy"] > 0.9


def test_plan_without_training(monkeypatch, capsys):
    x, y = moons()
    monkeypatch.setattr(fastnn.Sequential, "fit", lambda *a, **k: pytest.fail("a plan does not train"))
    result = fastnn.repair(FAULTY["softmax of one unit"], x, y, dry_run=True)
    assert result.model is None and result.before == result.after == {}
    assert result.changes[0].what.startswith("last layer") and result.changes[0].code.startswith("FN")
    shown = capsys.readouterr().out
    assert shown.startswith("Plan: ") and result.changes[0].code in shown
    healthy = network(HIDDEN, dense(1, "sigmoid"), optimizer=lambda: fastnn.Adam(1e-3))
    assert str(fastnn.repair(healthy, x, y, dry_run=True, verbose=0)) == "Plan: nothing to change"


def test_reproducible_for_any_thread_count():
    x, y = moons()
    found = []
    for threads in (1, 2, 3):
        with fastnn_threads(threads):
            found.append(fastnn.repair(FAULTY["deep sigmoid"], x, y, epochs=12, seed=5, verbose=0))
    for other in found[1:]:
        same = [[(c.what, c.code, c.before, c.after) for c in each.changes] for each in (found[0], other)]
        assert same[0] == same[1] and other.trainings == found[0].trainings
        for a, b in zip(found[0].model.get_weights(), other.model.get_weights(), strict=True):
            assert a.tobytes() == b.tobytes()


class fastnn_threads:
    def __init__(self, n):
        self.n, self.before = n, fastnn.get_num_threads()

    def __enter__(self):
        fastnn.set_num_threads(self.n)

    def __exit__(self, *error):
        fastnn.set_num_threads(self.before)


def test_random_numbers_of_the_process_are_untouched():
    x, y = moons(100)
    fastnn.set_random_seed(1)
    alone = fastnn.initializers.HeNormal()((3, 3))
    fastnn.set_random_seed(1)
    fastnn.repair(network(HIDDEN, dense(1, "softmax")), x, y, epochs=2, verbose=0)
    assert (fastnn.initializers.HeNormal()((3, 3)) == alone).all()


def test_time_limit_ends_training():
    x, y = moons()
    result = fastnn.repair(FAULTY["deep sigmoid"], x, y, epochs=10_000, seconds=0.3, verbose=0)
    assert result.epochs < 10_000 and result.model is not None


def test_output_names_what_was_tried(capsys):
    x, y = moons()
    result = fastnn.repair(FAULTY["zeros"], x, y, epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("original: accuracy ") and len(lines) >= 1 + len(result.changes) / 4
    assert str(result) == repr(result) and str(result).startswith("Repaired: accuracy ")
    assert all(change.what in str(result) and change.why in str(result) for change in result.changes)


def two_inputs():
    inputs = [Input((1,)), Input((1,))]
    model = fastnn.Model(inputs, Add()(inputs))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((lambda: None, [[1.0]] * 4, [1] * 4), TypeError, "that returns a compiled model, got one that returns None"),
        ((FAULTY["zeros"](), [[1.0]] * 4, [1] * 4), TypeError, "that returns a compiled model, got <Sequential"),
        ((two_inputs, [[[1.0]] * 4] * 2, [1] * 4), ValueError, "one input and one output, got one with 2 and 1"),
        ((FAULTY["zeros"], [[1.0, 2.0]] * 4, [1] * 3), ValueError, "y: expected 4 rows like x, got 3"),
        ((FAULTY["zeros"], [[np.nan, 2.0]] * 4, [1] * 4), ValueError, "at least 2 rows without NaN"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.repair(*arguments, verbose=0)
