"""Files: errors of the system name what the user called the file; suffixes of other formats are warned of, once."""

import errno
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._base import files
from fastnn.callbacks import CSVLogger, ModelCheckpoint
from fastnn.datasets import digits
from fastnn.datasets._idx import read_idx
from fastnn.saving import container, foreign

X, Y = np.ones((4, 3), np.float32), np.zeros((4, 1), np.float32)


def tiny():
    model = fastnn.Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    return model


def failing(number):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return fail


# --- errors ---------------------------------------------------------------------------------------

SAVERS = {
    "save": lambda path: tiny().save(path),
    "save_weights": lambda path: tiny().save_weights(path),
    "save_model": lambda path: fastnn.models.save_model(tiny(), path),
    "ModelCheckpoint": lambda path: tiny().fit(X, Y, callbacks=[ModelCheckpoint(path)], verbose=0),
    "weights only": lambda path: tiny().fit(X, Y, callbacks=[ModelCheckpoint(path, save_weights_only=True)], verbose=0),
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync", "close", "replace", "open"])
@pytest.mark.parametrize("saver", SAVERS)
def test_an_error_while_saving_names_the_file(saver, call, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("m.fastnn", tmp_path / "m.fastnn"):
        with monkeypatch.context() as patch:
            where = "fastnn.saving.atomic._write" if call == "write" else f"os.{call}"
            if call == "close":
                real = os.close
                patch.setattr("os.close", lambda n: (real(n), failing(number)()))  # noqa: B023 - called in this turn
            else:
                patch.setattr(where, failing(number))
            with pytest.raises(OSError) as error:
                SAVERS[saver](path)
        assert (error.value.errno, error.value.filename) == (number, str(path))
        assert str(path) in str(error.value) and ".tmp" not in str(error.value)


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs /sys, in which nobody can make files")
def test_a_folder_that_cannot_be_written_to():
    with pytest.raises(OSError) as error:
        tiny().save("/sys/kernel/m.fastnn")
    assert error.value.filename == "/sys/kernel/m.fastnn"
    assert "a new file in the directory /sys/kernel" in str(error.value) and ".tmp" not in str(error.value)


def test_file_too_large(tmp_path):
    """The real thing: a limit of the process."""
    code = (
        "import resource, fastnn; from fastnn.layers import Dense\n"
        "model = fastnn.Sequential([Dense(100, input_shape=(100,))])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "model.save('big.fastnn')"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large: 'big.fastnn'"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_log_on_a_full_disk():
    with pytest.raises(OSError) as error:
        tiny().fit(X, Y, callbacks=[CSVLogger("/dev/full")], verbose=0)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "/dev/full")


def test_folders_of_checkpoints_and_logs(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "m.fastnn"
    for callback in (ModelCheckpoint(path), CSVLogger(path)):
        with pytest.raises((NotADirectoryError, FileExistsError)) as error:
            tiny().fit(X, Y, callbacks=[callback], verbose=0)
        assert error.value.filename == str(path)


def test_an_error_while_reading_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "m.fastnn"
    tiny().save(path)
    with monkeypatch.context() as patch:
        patch.setattr(container, "_fill", failing(errno.EIO))
        for load in (fastnn.models.load_model, tiny().load_weights):
            with pytest.raises(OSError) as error:
                load(path)
            assert (error.value.errno, error.value.filename) == (errno.EIO, str(path))
    source = os.path.join(os.path.dirname(digits.__file__), "data", "digits-labels-idx1-ubyte.gz")
    monkeypatch.setattr("fastnn.datasets._idx._parse", failing(errno.EIO))
    with pytest.raises(OSError) as error:
        read_idx(source)
    assert error.value.filename == source


# --- suffixes -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_warned_of_yet(monkeypatch):
    monkeypatch.setattr(files, "_warned", set())


@pytest.mark.parametrize("suffix", foreign.SUFFIXES)
@pytest.mark.parametrize("saver", SAVERS)
def test_a_suffix_of_another_format_is_warned_of_once(saver, suffix, tmp_path):
    for upper in (False, True):  # once for both
        path = tmp_path / f"m{suffix.upper() if upper else suffix}"
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            SAVERS[saver](path)
        found = [warning for warning in found if warning.category is UserWarning]  # of others, garbage may remind
        assert len(found) == (not upper)
        for warning in found:
            assert str(path) in str(warning.message) and ".fastnn" in str(warning.message)
            assert warning.filename == __file__
    assert fastnn.models.load_model(path).built if "weights" not in saver else tiny().load_weights(path) is None


@pytest.mark.parametrize("name", ["m", "m.fastnn", "m.safetensors", "m.best", "onnx", ".h5", "weights-03"])
def test_other_names_are_not_warned_of(name, tmp_path, recwarn):
    for save in SAVERS.values():
        save(tmp_path / name)
    assert not recwarn.list


def test_several_suffixes_are_several_warnings(tmp_path, recwarn):
    for name in ("a.onnx", "b.onnx", "c.h5"):
        tiny().save(tmp_path / name)
    assert [str(w.message).split(":")[0] for w in recwarn] == [str(tmp_path / n) for n in ("a.onnx", "c.h5")]


def test_a_warning_that_is_an_error_leaves_no_file_and_comes_again(tmp_path):
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="m.keras"):
                tiny().save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())
