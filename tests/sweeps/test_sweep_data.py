"""Rows and weights of its own for each network of a sweep, ranking by restored weights, ensembles, results in files."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.saving import FormatError
from fastnn.training.data import arrays

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
WEIGHTS = RNG.uniform(0.1, 2, 150)
BAGS = [RNG.integers(0, 150, 150) for _ in range(3)]
MASK = RNG.random(150) < 0.5
ODD = [np.array([7]), [1, 1, 1, 149], MASK, np.arange(150)[::-1], np.arange(40, dtype=np.uint8)]
FOLDS = [(np.setdiff1d(np.arange(150), part), part) for part in np.array_split(RNG.permutation(150), 4)]


def build(units=6, dtype=None, extra=False):
    model = fastnn.Sequential([layers.Dense(units, "tanh"), layers.Dropout(0.2)], dtype=dtype)
    if extra:
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(2, "softmax"))
    model.compile(fastnn.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


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


# --- ranking --------------------------------------------------------------------------------------


class Script(Callback):
    """Puts given numbers into the logs, before those who look at them."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]


def test_networks_rank_by_the_epoch_whose_weights_they_have():
    scores, made = [[5.0, 1.0, 4.0, 4.0, 4.0], [3.0, 3.0, 3.0, 2.0, 2.5]], []

    def callbacks():
        made.append(1)
        stopping = EarlyStopping("score", mode="min", patience=9, restore_best_weights=True)
        return [Script(scores[len(made) - 1]), stopping]

    def watched(k):
        return build()

    options = {"epochs": 5, "workers": 1, "seed": 0, "verbose": 0, "keep": "all"}
    plain = fastnn.sweep(watched, [{"k": 0}, {"k": 1}], X, LABELS, callbacks=callbacks, monitor="loss", **options)
    assert [row["best_epoch"] for row in plain] == [2, 4]
    for row, history in zip(plain, plain.history, strict=True):
        at = row["best_epoch"] - 1
        assert (row["loss"], row["score"], row["epochs"]) == (history["loss"][at], history["score"][at], 5)
    assert [row["score"] for row in plain] == [1.0, 2.0]  # the best of each, not the last
    order = sorted((0, 1), key=lambda k: plain.history[k]["loss"][plain[k]["best_epoch"] - 1])
    assert [row["network"] for row in plain.ranked()] == order
    for k, model in plain.models.items():  # and these are the weights
        fastnn.set_random_seed(plain[k]["seed"])
        again = build()
        again.fit(X, LABELS, epochs=plain[k]["best_epoch"], verbose=0)
        assert bits(again) == bits(model)


def test_one_that_was_better_before_it_overfitted_ranks_first():
    """By validation: with 8 rows to train on the loss of validation rises again."""
    few = {"indices": np.arange(8)}

    def made(rate):
        model = fastnn.Sequential([layers.Dense(32, "relu"), layers.Dense(2, "softmax")])
        model.compile(fastnn.Adam(rate), "sparse_categorical_crossentropy")
        return model

    def callbacks():
        return [EarlyStopping("val_loss", patience=1000, restore_best_weights=True)]

    result = fastnn.sweep(
        made, [{**few, "rate": r} for r in (0.3, 0.1, 0.03, 1e-5)], X, LABELS, validation_data=(X[8:], LABELS[8:]),
        epochs=60, callbacks=callbacks, seed=0, keep="all", verbose=0,
    )  # fmt: skip
    least = [min(h["val_loss"]) for h in result.history]
    assert any(h["val_loss"][-1] > 1.5 * low for h, low in zip(result.history, least, strict=True))
    assert [row["val_loss"] for row in result] == least
    assert [row["network"] for row in result.ranked()] == sorted(range(4), key=least.__getitem__)
    for k, model in result.models.items():
        assert model.evaluate(X[8:], LABELS[8:], verbose=0) == pytest.approx(least[k], rel=1e-5)


# --- ensembles, files -----------------------------------------------------------------------------


def test_predict_is_stacked():
    result = fastnn.sweep(build, [{"indices": b} for b in BAGS], X, LABELS, epochs=3, keep="all", verbose=0)
    found = result.predict(X[:20])
    assert found.shape == (3, 20, 2) and found.dtype == np.float32
    for k in range(3):
        np.testing.assert_array_equal(found[k], result.models[k].predict(X[:20], verbose=0))
    two = fastnn.sweep(build, 3, X, LABELS, keep=2, verbose=0)
    assert two.predict(X[:5], batch_size=2).shape == (2, 5, 2)
    with pytest.raises(ValueError, match='expected kept models, got none; .*keep="all"'):
        fastnn.sweep(build, 2, X, LABELS, keep=0, verbose=0).predict(X)

    def other(n):
        model = fastnn.Sequential([layers.Dense(n)])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ValueError, match=r"equal output shapes, got \(1,\), \(2,\)"):
        grid = [{"n": 1, "indices": [0]}, {"n": 2, "indices": [1]}]
        mixed = fastnn.sweep(other, grid, X, X[:, :1], keep="all", on_error="keep", verbose=0)
        mixed.models[1] = other(2)
        mixed.models[1].build((None, 5))
        mixed.predict(X)


def own(x):
    return x


def result_of(**options):
    grid = [{"units": 3, "extra": True}, {"units": 0}, {"units": 4, "dtype": "float64"}, {"indices": [1, 2]}]
    return fastnn.sweep(
        build, grid, X, LABELS, epochs=4, seed=0, keep="all", on_error="keep", verbose=0, **options
    )


def test_a_result_in_a_file(tmp_path):
    result, path = result_of(), tmp_path / "result.fastnn"
    result.history[0]["odd"] = [float("nan"), float("inf"), -0.0, 1e-320]
    result.save(path)
    again = fastnn.SweepResult.load(path)
    assert repr([{**r, "error": 0} for r in again]) == repr([{**r, "error": 0} for r in result])
    assert repr(again.history) == repr(result.history)
    assert [r["network"] for r in again.ranked()] == [r["network"] for r in result.ranked()]
    assert again.monitor == result.monitor and str(again) == str(result) and repr(again) == repr(result)
    assert type(again[1]["error"]) is ValueError and str(again[1]["error"]) == str(result[1]["error"])
    assert sorted(again.models) == [0, 2, 3]
    for k, model in result.models.items():
        assert bits(again.models[k]) == bits(model)
        more = [m.fit(X, LABELS, epochs=2, verbose=0).history for m in (model, again.models[k])]
        assert more[0] == more[1] and bits(again.models[k]) == bits(model)  # optimizer, step and seed as well
    again.save(path)
    with pytest.raises(FileExistsError):
        again.save(path, overwrite=False)
    assert fastnn.SweepResult.load(path)[2] == result[2]


def test_functions_among_the_parameters_need_custom_objects(tmp_path):
    def made(f, g):
        return build()

    result = fastnn.sweep(made, [{"f": own, "g": fastnn.Adam(0.5)}], X, LABELS, verbose=0)
    result.save(tmp_path / "r")
    with pytest.raises(FormatError, match="uses the custom function 'own'"):
        fastnn.SweepResult.load(tmp_path / "r")
    row = fastnn.SweepResult.load(tmp_path / "r", custom_objects={"own": own})[0]
    assert row["f"] is own and row["g"]["config"]["learning_rate"] == 0.5
    nameless = fastnn.sweep(made, [{"f": lambda: 0, "g": 1}], X, LABELS, verbose=0)
    with pytest.raises(TypeError, match="f of network 0: expected a function with a name"):
        nameless.save(tmp_path / "r")


def test_other_files_and_damage(tmp_path):
    result, path, model_path = result_of(), tmp_path / "r", tmp_path / "m"
    result.save(path)
    result.best_model.save(model_path)
    with pytest.raises(FormatError, match="the file has the result of a sweep; use fastnn.SweepResult.load"):
        fastnn.models.load_model(path)
    with pytest.raises(FormatError, match="the file has a model or weights"):
        fastnn.SweepResult.load(model_path)
    with pytest.raises(FileNotFoundError):
        fastnn.SweepResult.load(tmp_path / "nothing")
    raw = path.read_bytes()
    for n in range(0, len(raw), 997):
        path.write_bytes(raw[:n])
        with pytest.raises(FormatError):
            fastnn.SweepResult.load(path)
        path.write_bytes(raw[:n] + bytes([raw[n] ^ 5]) + raw[n + 1 :])
        with pytest.raises(FormatError):
            fastnn.SweepResult.load(path)


def test_more_histories_than_a_header_holds(tmp_path):
    result = result_of()
    result.history[0] = {f"metric {i}": [0.123456789012345] * 1000 for i in range(1000)}  # 20 MB of text
    result.save(tmp_path / "r")
    assert fastnn.SweepResult.load(tmp_path / "r").history == result.history
