"""Files of other programs, and what is no file: named in the error."""

import os
import pickle
import re

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from saving_tools import classifier, same, tiny

from fastnn.models import load_model
from fastnn.saving import FormatError

FOREIGN = {
    b"": "the file is empty",
    b"\x89HDF\r\n\x1a\n" + bytes(800): "HDF5 file, as written by Keras 2.*get_weights.*set_weights",
    bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100): "HDF5",
    pickle.dumps({"a": 1}): "pickle.*not opened",
    b"PK\x03\x04" + bytes(22) + b"\x0d\x00\x00\x00metadata.json": "Keras 3",
    b"PK\x03\x04" + bytes(22) + b"\x10\x00\x00\x00archive/data.pkl": "PyTorch",
    b"\x93NUMPY\x01\x00v\x00{'descr'": r"\.npy",
    b'{"class_name": "Sequential"}': "JSON text",
    b"\x08\x07\x12\x07pytorch\x1a": "ONNX",
    b"hello, world": "not a model file",
    safetensors.numpy.save({"a": np.ones(3, np.float32)}): "safetensors file that was not written by fastnn",
}


@pytest.mark.parametrize("content", FOREIGN, ids=lambda c: repr(c[:9]))
def test_files_of_others_are_named(content, tmp_path):
    path = tmp_path / "model.fastnn"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=FOREIGN[content]) as error:
        load_model(path)
    assert str(path) in str(error.value) and isinstance(error.value, ValueError)
    with pytest.raises(FormatError):
        tiny().load_weights(path)


def test_real_files_of_keras(tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    for name, words in (("m.h5", "HDF5.*Keras"), ("m.keras", "Keras 3.*set_weights"), ("m.weights.h5", "HDF5")):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
        with pytest.raises(FormatError, match=words):
            load_model(tmp_path / name)


def test_no_file_at_all(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")
    with pytest.raises(FormatError, match="this is a directory"):
        load_model(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="pipe"):
        load_model(tmp_path / "pipe")


def test_names_of_files(tmp_path):
    model = classifier()
    for name in (tmp_path / ("漢" * 80), os.fsencode(tmp_path / "as bytes")):
        model.save(name)
        assert same(load_model(name), model)
    missing = tmp_path / "no" / "such" / "file"
    with pytest.raises(FileNotFoundError, match=re.escape(f"directory {os.path.realpath(missing.parent)}")) as error:
        model.save(missing)
    assert error.value.filename == str(missing)
