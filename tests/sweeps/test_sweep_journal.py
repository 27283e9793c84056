"""The journal of a sweep: cut anywhere, it leads to the result of a sweep that nobody cut, bit for bit."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from fastnn.saving import FormatError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
GRID = [{"units": u, "rate": r} for u in (3, 8) for r in (1e-3, 1e-2, 3e-2)]
OPTIONS = {"epochs": 8, "validation_split": 0.25, "seed": 1, "verbose": 0}
built = []


def build(units=4, rate=1e-3, norm=True):
    built.append(units)
    parts = [layers.Dense(units, "tanh"), layers.BatchNormalization()] if norm else [layers.Dense(units, "tanh")]
    model = fastnn.Sequential([*parts, layers.Dropout(0.2), layers.Dense(2, "softmax")])
    model.compile(fastnn.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def callbacks():
    return [ReduceLROnPlateau("val_loss", patience=0), EarlyStopping(patience=2, restore_best_weights=True)]


KINDS = {
    "plain": {},
    "all kept": {"keep": "all"},
    "two kept, by accuracy": {"keep": 2, "monitor": "val_accuracy"},
    "halving": {"halving": 2, "keep": 2},
    "halving, all kept": {"halving": 3, "min_epochs": 2, "keep": "all"},
    "callbacks": {"callbacks": callbacks, "keep": "all"},
    "callbacks and halving": {"callbacks": callbacks, "halving": 2, "keep": "all"},
}


def sweep(journal=None, params=GRID, x=X, y=LABELS, **options):
    return fastnn.sweep(build, params, x, y, journal=journal, **{**OPTIONS, **options})


def everything(result):
    """All that is to be the same, models to the last bit: also after they were trained on."""
    rows = [{n: v for n, v in row.items() if n != "seconds"} for row in result]
    found = {}
    for k, model in result.models.items():
        before = [w.tobytes() for w in model.get_weights()]
        history = model.history.history, model.history.epoch
        more = model.fit(X, LABELS, epochs=2, verbose=0).history
        found[k] = before, repr(history), repr(more), [w.tobytes() for w in model.get_weights()]
    return repr(rows), repr(result.history), result.monitor, result.ranked()[0]["network"], found


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_cut_at_any_line_is_resumed_exactly(kind, tmp_path):
    wanted = everything(sweep(**KINDS[kind]))
    path = tmp_path / "full.jsonl"
    assert everything(sweep(path, workers=2, **KINDS[kind])) == wanted
    lines, models = path.read_bytes().splitlines(keepends=True), tmp_path / "full.jsonl.models"
    assert len(lines) > len(GRID)
    kept = {int(p.stem) for p in models.iterdir()}
    assert len(kept) == {1: 1, 2: 2}.get(KINDS[kind].get("keep", 1), len(kept))
    for n in range(len(lines) + 1):
        for torn in (b"", b"{", lines[n][:-1] if n < len(lines) else b"\0" * 9):
            again = tmp_path / f"{n}-{len(torn)}.jsonl"
            again.write_bytes(b"".join(lines[:n]) + torn)
            if (n + len(torn)) % 2:  # with and without the models of the first one
                shutil.copytree(models, f"{again}.models")
            built.clear()
            assert everything(sweep(again, **KINDS[kind])) == wanted, (n, torn)
            if n == len(lines) and os.path.isdir(f"{again}.models"):
                assert len(built) == len(wanted[-1])  # the models that are read, no other
            entries = [json.loads(line) for line in again.read_bytes().splitlines()]
            assert json.loads(lines[0]) == entries[0]
            ended = [e["network"] for e in entries if e.get("status") not in (None, "training")]
            assert sorted(ended) == list(range(len(GRID)))  # each once


def test_what_is_in_the_journal_is_not_trained_again(tmp_path):
    path = tmp_path / "j"
    sweep(path, keep=0)
    built.clear()
    assert len(sweep(path, keep=0)) == 6 and not built
    sweep(path, keep=1)
    assert len(built) == 1
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))
    built.clear()
    sweep(path, keep=0)
    assert len(built) == 3


def test_without_a_seed_that_of_the_journal_goes_on(tmp_path):
    fastnn.set_random_seed(5)
    first = sweep(tmp_path / "j", seed=None)
    assert everything(sweep(tmp_path / "j", seed=None)) == everything(first)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import test_sweep_journal as t
options = t.KINDS[{kind!r}]
grid = [dict(g, seed=s) for s in range(4) for g in t.GRID]
print("ready", flush=True)
result = t.sweep({path!r}, grid, epochs=40, workers=2, **options)
t.np.save({out!r}, t.np.frombuffer(repr(t.everything(result)).encode(), t.np.uint8))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two kept, by accuracy", "halving", "callbacks and halving"])
def test_killed_at_random_moments_and_resumed(kind, tmp_path):
    """Killed until it has been through; each process goes on where the last one was."""
    found, rng, kills, lines, journal = {}, random.Random(7), 0, set(), tmp_path / "killed"

    def written():
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    for name in ("whole", "killed"):
        out = str(tmp_path / f"{name}.npy")
        code = SCRIPT.format(tests=str(Path(__file__).parent), kind=kind, path=str(tmp_path / name), out=out)
        while not os.path.exists(out):
            with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
                p.stdout.readline()
                if name == "killed" and kills < 6:  # on its way to another line, however slow this machine is
                    until = written() + (kills % 3 > 0)
                    while written() < until and p.poll() is None:
                        time.sleep(0.001)
                    time.sleep(rng.uniform(0, 0.03))
                    kills += p.poll() is None
                    p.send_signal(signal.SIGKILL)
                    lines.add(written())
                errors = p.communicate()[1]
                assert p.returncode in (0, -signal.SIGKILL), errors.decode()
        found[name] = np.load(out).tobytes()
    assert kills > 3 and len(lines) > 3  # so many different states were resumed
    assert found["whole"] == found["killed"]


# --- interrupted ----------------------------------------------------------------------------------


def press_ctrl_c_in_the_fourth(training, pressed):
    training.wait()
    os.kill(os.getpid(), signal.SIGINT)
    pressed.set()


def test_ctrl_c_carries_what_has_ended(tmp_path):
    class Late(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if len(built) >= 4:
                training.set()
                pressed.wait()
                time.sleep(0.04)  # twelve times: long enough for the main thread to hear of it

    options = {"callbacks": lambda: [Late()], "workers": 1, "keep": "all", "epochs": 12}
    training, pressed = threading.Event(), threading.Event()
    pressed.set()  # nobody presses it in the training that is the reference
    wanted = everything(sweep(**options))
    for path in (None, tmp_path / "j"):
        built.clear()
        training, pressed = threading.Event(), threading.Event()
        threading.Thread(target=press_ctrl_c_in_the_fourth, args=(training, pressed)).start()
        with pytest.raises(KeyboardInterrupt) as error:
            sweep(path, **options)
        result = error.value.result
        assert [row["status"] for row in result] == ["done"] * 3 + ["interrupted"] + ["waiting"] * 2
        assert repr(result.history[:3]) == repr(eval(wanted[1])[:3])
        assert sorted(result.models) == [0, 1, 2] and result.best_model is not None
        assert [row["status"] for row in result.ranked()][-3:] == ["interrupted", "waiting", "waiting"]
        assert "interrupted: 1" in repr(result).replace("'", "") and str(result)
        assert len(result.history[3].get("loss", ())) == result[3]["epochs"] < 12
        for k, (before, *_) in wanted[-1].items():
            if k in result.models:
                assert [w.tobytes() for w in result.models[k].get_weights()] == before
    assert everything(sweep(tmp_path / "j", **options)) == wanted


def test_any_error_carries_what_has_ended():
    with pytest.raises(ValueError, match="units") as error:
        sweep(params=[{"units": 3}, {"units": 0}, {"units": 4}], workers=1)
    assert [row["status"] for row in error.value.result] == ["done", "error", "waiting"]
    assert error.value.result[1]["error"] is error.value
    assert error.value.result.best_model.built


def test_networks_with_errors_are_tried_again(tmp_path):
    grid = [{"units": 3}, {"units": 0}, {"units": 4}]
    for _ in range(2):
        built.clear()
        result = sweep(tmp_path / "j", grid, on_error="keep", keep=0)
        assert [row["status"] for row in result] == ["done", "error", "done"]
        assert isinstance(result[1]["error"], ValueError)
    assert built == [0]


# --- refused --------------------------------------------------------------------------------------


def other_build(units=4, rate=1e-3, norm=True):
    return build(units, rate * 2)


def test_another_sweep_is_refused(tmp_path):
    path = tmp_path / "j"
    validation = {"validation_split": 0.0, "validation_data": (X, LABELS)}
    sweep(path)
    before = path.read_bytes()
    for options, words in (
        ({"params": GRID[:5]}, "expected 6 networks, got 5"),
        ({"params": [*GRID[:3], {"units": 9}, *GRID[4:]]}, r"params\[3\] has changed"),
        ({"x": X + 1}, "x has changed"),
        ({"x": X.astype(np.float64)}, "x has changed"),
        ({"y": 1 - LABELS}, "y has changed"),
        ({"sample_weight": np.ones(120)}, "sample_weight has changed"),
        ({"class_weight": {0: 2.0}}, "class_weight has changed"),
        ({"epochs": 9}, "epochs: expected 8, got 9"),
        ({"batch_size": 16}, "batch_size: expected 32, got 16"),
        ({"seed": 2}, "expected seed=1, .* got 2"),
        ({"shuffle": False}, "shuffle: expected True, got False"),
        ({"monitor": "val_accuracy"}, "monitor: expected 'val_loss', got 'val_accuracy'"),
        ({"halving": 2}, "halving: expected None, got 2"),
        ({"callbacks": callbacks}, "callbacks has changed"),
        (validation, "validation_data has changed"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            sweep(path, **options)
        assert str(path) in str(error.value)
    with pytest.raises(ValueError, match="build has changed"):
        fastnn.sweep(other_build, GRID, X, LABELS, journal=path, **OPTIONS)
    with fastnn.float32_matmul_precision("medium"), pytest.raises(ValueError, match="precision: expected 'highest'"):
        sweep(path)
    assert path.read_bytes() == before
    sweep(path, keep="all", workers=1, on_error="keep", check_finite=False)  # of these nothing depends


def test_what_comes_out_otherwise_is_seen(tmp_path, monkeypatch):
    """`build` is the same, what it calls is not: the networks that waited show it."""
    path = tmp_path / "j"
    sweep(path, halving=2)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]))  # all wait at the end of the first round
    monkeypatch.setattr(fastnn, "Adam", fastnn.SGD)
    with pytest.raises(ValueError, match="build, callbacks or code that they use have changed"):
        sweep(path, halving=2)


def test_another_instruction_set_is_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "j"
    wanted = everything(sweep(path))
    lines = path.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[0])
    head["environment"]["instruction set"] = "vax"
    path.write_bytes(json.dumps(head, separators=(",", ":")).encode() + b"\n" + b"".join(lines[1:3]))
    with pytest.warns(UserWarning, match="instruction set vax, now"):
        assert everything(sweep(path)) == wanted


def test_files_that_are_no_journals_are_left_alone(tmp_path):
    path = tmp_path / "j"
    for raw in (b"some text", b"some\ntext\n", b"{}\n", b"[1]\n", b"1\n", b'{"fastnn_sweep":2}\n', b"\0" * 20):
        path.write_bytes(raw)
        with pytest.raises(FormatError, match="j, line 1|expected the journal"):
            sweep(path)
        assert path.read_bytes() == raw
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        sweep(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        sweep(tmp_path / "no" / "j")
    assert error.value.filename == str(tmp_path / "no" / "j")


def test_damage_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "j"
    sweep(path)
    lines = path.read_bytes().splitlines(keepends=True)
    for bad in (b"\n", b"{\n", b'{"network":3}\n', b'{"network":99,"status":"done"}\n', b"\xff\n"):
        path.write_bytes(b"".join([*lines[:3], bad, *lines[3:]]))
        with pytest.raises(FormatError, match=r"j, line 4: the journal is corrupted"):
            sweep(path)


def test_a_refused_sweep_leaves_no_file(tmp_path):
    for options in ({"params": []}, {"x": X * np.nan}, {"params": [{"epochs": 0}]}):
        with pytest.raises(ValueError):
            sweep(tmp_path / "j", **options)
    assert not list(tmp_path.iterdir())


def test_two_sweeps_on_one_journal(tmp_path):
    def nested(units=4, rate=1e-3, norm=True):
        with pytest.raises(BlockingIOError, match="another sweep is writing to this journal"):
            sweep(tmp_path / "j")
        return build(units)

    assert len(fastnn.sweep(nested, 1, X, LABELS, journal=tmp_path / "j", **OPTIONS)) == 1


@pytest.mark.parametrize("on_error", ["raise", "keep"])
def test_a_full_disk_ends_the_sweep_and_names_the_journal(on_error, tmp_path, monkeypatch):
    path, real, full = tmp_path / "j", os.write, [0]
    wanted = everything(sweep())

    def write(descriptor, data):
        full[0] += 1
        if full[0] == 4:
            real(descriptor, bytes(data)[:9])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError) as error:
            sweep(path, on_error=on_error, workers=1)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert error.value.result[0]["status"] == "done"
    assert path.read_bytes().endswith(b"}\n")  # what was half written is away
    assert everything(sweep(path, on_error=on_error)) == wanted
