"""Sweeps: ranking by restored weights, ensembles, results in files."""

import numpy as np
import pytest
from sweep_data_tools import BAGS, LABELS, X, bits, build

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.saving import FormatError


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
