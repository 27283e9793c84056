"""Rows and weights of its own for each network of a sweep."""

import threading

import numpy as np
import pytest
from sweep_data_tools import BAGS, FOLDS, LABELS, MASK, WEIGHTS, X, bits, build

import fastnn
from fastnn import layers
from fastnn.training.data import arrays

ODD = [np.array([7]), [1, 1, 1, 149], MASK, np.arange(150)[::-1], np.arange(40, dtype=np.uint8)]


def rows_of(given):
    return np.flatnonzero(given) if np.asarray(given).dtype == bool else np.asarray(given)


OPTIONS = [
    {},
    {"sample_weight": WEIGHTS},
    {"class_weight": {0: 3.0}},
    {"sample_weight": WEIGHTS, "class_weight": {1: 0.25}, "shuffle": False},
    {"batch_size": 7, "shuffle": False},
    {"epochs": 9, "batch_size": 16},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_its_own_are_what_a_copy_of_them_is(options, dtype):
    params = [{"indices": given, "dtype": dtype} for given in (*BAGS, *ODD)]
    result = fastnn.sweep(build, params, X, LABELS, keep="all", seed=0, verbose=0, **{"epochs": 3, **options})
    for k, given in enumerate((*BAGS, *ODD)):
        rows, more = rows_of(given), {"epochs": 3, **options}
        if "sample_weight" in options:
            more["sample_weight"] = WEIGHTS[rows]
        fastnn.set_random_seed(result[k]["seed"])
        model = build(dtype=dtype)
        history = model.fit(X[rows], LABELS[rows], verbose=0, **more).history
        assert result.history[k] == history, k
        assert bits(result.models[k]) == bits(model), k
        assert "indices" not in result[k]


@pytest.mark.parametrize("options", [{}, {"sample_weight": WEIGHTS}, {"batch_size": 50, "shuffle": False}])
def test_folds(options):
    """A splitter's pairs: trained on the one, validated with the other."""
    params = [{"fold": fold, "units": units} for fold in FOLDS for units in (3, 9)]
    result = fastnn.sweep(build, params, X, LABELS, epochs=4, keep="all", seed=0, verbose=0, **options)
    assert result.monitor == "val_loss" and len(result) == 8
    for k, given in enumerate(params):
        train, held = given["fold"]
        more, validation = dict(options), (X[held], LABELS[held])
        if "sample_weight" in options:
            more["sample_weight"], validation = WEIGHTS[train], (*validation, WEIGHTS[held])
        fastnn.set_random_seed(result[k]["seed"])
        model = build(given["units"])
        history = model.fit(X[train], LABELS[train], epochs=4, validation_data=validation, verbose=0, **more).history
        assert bits(result.models[k]) == bits(model)
        assert result.history[k].keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(result.history[k][name], values, rtol=1e-6)
    assert result.best["val_loss"] == min(row["val_loss"] for row in result)


def test_validation_split_of_rows_is_their_last_part():
    result = fastnn.sweep(
        build, [{"indices": BAGS[0]}], X, LABELS, epochs=3, validation_split=0.2, seed=0, verbose=0
    )
    fastnn.set_random_seed(result[0]["seed"])
    rows, model = BAGS[0], build()
    history = model.fit(X[rows], LABELS[rows], epochs=3, validation_split=0.2, verbose=0).history
    assert bits(result.best_model) == bits(model)
    np.testing.assert_allclose(result.history[0]["val_loss"], history["val_loss"], rtol=1e-6)


def test_weights_of_its_own():
    counts = [np.bincount(bag, minlength=150) for bag in BAGS]
    params = [{"sample_weight": c} for c in counts] + [{"sample_weight": None}, {}]
    result = fastnn.sweep(build, params, X, LABELS, sample_weight=WEIGHTS, epochs=3, keep="all", seed=0, verbose=0)
    for k, weight in enumerate([*counts, WEIGHTS, WEIGHTS]):
        fastnn.set_random_seed(result[k]["seed"])
        model = build()
        model.fit(X, LABELS, sample_weight=weight, epochs=3, verbose=0)
        assert bits(result.models[k]) == bits(model)
        assert "sample_weight" not in result[k]


def test_layers_and_losses_in_python_see_these_rows():
    seen = []

    class Look(layers.Layer):
        def call(self, x, training):
            seen.append(x.copy())
            return x

        def backward(self, dy):
            self.grads = []
            return dy

    def made():
        model = fastnn.Sequential([Look(input_shape=(5,)), layers.Dense(1)])
        model.compile("sgd", lambda y, p: (((p - y) ** 2).sum(axis=-1), 2 * (p - y)))
        return model

    fastnn.sweep(made, [{"indices": [5, 3, 3]}], X, X[:, 0], batch_size=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), X[[5, 3, 3]])


def test_rows_are_not_copied(monkeypatch):
    """Every network reads x, y and the weights where they lie: k folds or bags take the memory of one."""
    found, real = [], arrays.Data.of_rows

    def of_rows(self, rows):
        found.append((self.x, self.y))
        return real(self, rows)

    monkeypatch.setattr(arrays.Data, "of_rows", of_rows)
    x, y = np.ascontiguousarray(X), LABELS.astype(np.int32)
    fastnn.sweep(build, [{"fold": f} for f in FOLDS] * 2, x, y, epochs=2, verbose=0)
    assert len(found) >= 16
    assert all(np.shares_memory(a, x) and np.shares_memory(b, y) for a, b in found)


def test_build_gets_them_if_it_asks():
    got = []

    def asking(indices):
        got.append(indices)
        return build()

    fastnn.sweep(asking, [{"indices": b} for b in BAGS], X, LABELS, workers=1, verbose=0)
    assert all(a is b for a, b in zip(got, BAGS, strict=True))


@pytest.mark.parametrize("given, options, error, message", [
    ({"indices": [150]}, {}, ValueError, r"params\[0\]\['indices'\]: expected rows 0 to 149, as x has 150, got 150"),
    ({"indices": [0, -1]}, {}, ValueError, "got -1"),
    ({"indices": []}, {}, ValueError, "expected"),
    ({"indices": [0.5]}, {}, ValueError, "expected integers of shape"),
    ({"indices": [[0]]}, {}, ValueError, r"of shape \(1, 1\)"),
    ({"indices": MASK[1:]}, {}, ValueError, r"booleans of shape \(150,\)"),
    ({"indices": np.zeros(150, bool)}, {}, ValueError, "at least one row"),
    ({"indices": "all"}, {}, TypeError, r"params\[0\]\['indices'\]: expected an array"),
    ({"fold": FOLDS[0][0]}, {}, TypeError, r"params\[0\]\['fold'\]: expected \(training rows, validation rows"),
    ({"fold": (FOLDS[0][0], [999])}, {}, ValueError, r"params\[0\]\['fold'\]\[1\]: expected rows 0 to 149"),
    ({"fold": FOLDS[0], "indices": [1]}, {}, ValueError, r"expected either a fold or params\[0\]\['indices'\]"),
    ({"fold": FOLDS[0]}, {"validation_split": 0.1}, ValueError, "expected either a fold or validation_data"),
    ({"fold": FOLDS[0]}, {"validation_data": (X, LABELS)}, ValueError, "expected either a fold or validation_data"),
    ({"sample_weight": WEIGHTS[1:]}, {}, ValueError, r"sample_weight: expected shape \(150,\)"),
    ({"sample_weight": -WEIGHTS}, {}, ValueError, "sample_weight: expected finite non-negative weights"),
])  # fmt: skip
def test_errors(given, options, error, message):
    with pytest.raises(error, match=message):
        fastnn.sweep(build, [given], X, LABELS, verbose=0, **options)


def test_some_with_a_fold_and_some_without():
    with pytest.raises(ValueError, match=r"params\[1\]: expected a 'fold', as for params\[0\]"):
        fastnn.sweep(build, [{"fold": FOLDS[0]}, {}], X, LABELS, verbose=0)


def test_threads_that_the_system_refuses(monkeypatch):
    """The sweep goes on with the workers that it has, or in the thread that called it."""
    wanted = fastnn.sweep(build, 4, X, LABELS, keep="all", seed=0, verbose=0)
    real, started = threading.Thread.start, [0]

    def start(self):
        started[0] += 1
        if started[0] > allowed:
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    for allowed in (0, 1, 2):
        started[0] = 0
        with pytest.warns(RuntimeWarning, match=f"expected 4 threads, could start only {allowed} "):
            found = fastnn.sweep(build, 4, X, LABELS, keep="all", seed=0, workers=4, verbose=0)
        assert [bits(m) for m in found.models.values()] == [bits(m) for m in wanted.models.values()]
