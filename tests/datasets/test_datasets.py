"""fastnn.datasets: what is loaded, and that malformed files end in an error that names them."""

import gzip
import struct

import numpy as np
import pytest
from real_data import require_fashion_mnist

from fastnn.datasets import _idx, digits, fashion_mnist


def idx(array, code=0x08, shape=None):
    shape = array.shape if shape is None else shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + array.tobytes()


def put(path, content):
    path.write_bytes(content)
    return path


def write_set(folder, suffix="", n_train=5, n_test=3, seed=0):
    """A tiny set with the names of MNIST; returns what load_data must give."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    parts = []
    for name, n in (("train", n_train), ("t10k", n_test)):
        x = rng.integers(0, 256, (n, 28, 28), np.uint8)
        y = rng.integers(0, 10, n, np.uint8)
        for kind, array in (("images-idx3", x), ("labels-idx1", y)):
            content = idx(array)
            path = folder / f"{name}-{kind}-ubyte{suffix}"
            put(path, gzip.compress(content) if suffix else content)
        parts.append((x, y))
    return parts


def assert_same(got, wanted):
    for pair_got, pair_wanted in zip(got, wanted, strict=True):
        for a, b in zip(pair_got, pair_wanted, strict=True):
            assert a.dtype == np.uint8
            np.testing.assert_array_equal(a, b)


# --- digits ---------------------------------------------------------------------------------------


def test_digits():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 8, 8) and y_train.shape == (1437,)
    assert x_test.shape == (360, 8, 8) and y_test.shape == (360,)
    assert all(a.dtype == np.uint8 for a in (x_train, y_train, x_test, y_test))
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert x.min() == 0 and x.max() == digits.MAX_VALUE
    # The counts that UCI publishes for this part.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(y_test).min() >= 25
    assert len(np.unique(x.reshape(1797, 64), axis=0)) == 1797  # nothing is in both parts
    assert len(digits.CLASS_NAMES) == 10


def test_digits_agree_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets")
    bunch = sklearn.load_digits()
    order = np.random.RandomState(0).permutation(1797)
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), bunch.images[order])
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), bunch.target[order])


def test_digits_twice_gives_arrays_of_ones_own():
    first, second = digits.load_data()[0][0], digits.load_data()[0][0]
    first[:] = 0
    assert second.any()


# --- Fashion-MNIST --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist_from_a_folder(tmp_path, suffix):
    wanted = write_set(tmp_path / "here", suffix)
    assert_same(fashion_mnist.load_data(tmp_path / "here"), wanted)
    assert_same(fashion_mnist.load_data(str(tmp_path / "here")), wanted)


@pytest.mark.parametrize("inner", ["", "fashion-mnist"])
def test_fashion_mnist_from_the_environment(tmp_path, monkeypatch, inner):
    wanted = write_set(tmp_path / inner, ".gz")
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert_same(fashion_mnist.load_data(), wanted)


def test_fashion_mnist_argument_wins_and_is_not_replaced(tmp_path, monkeypatch):
    write_set(tmp_path / "env", seed=1)
    wanted = write_set(tmp_path / "argument", seed=2)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "env"))
    assert_same(fashion_mnist.load_data(tmp_path / "argument"), wanted)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fashion_mnist.load_data(tmp_path / "nowhere")


def test_a_folder_of_the_environment_is_not_replaced_by_another(tmp_path, monkeypatch):
    write_set(tmp_path / "system")
    monkeypatch.setattr(fashion_mnist, "_SYSTEM_FOLDER", str(tmp_path / "system"))
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=f"^FASTNN_DATA={tmp_path / 'nowhere'}: "):
        fashion_mnist.load_data()
    monkeypatch.setenv("FASTNN_DATA", "")  # as if it were not set
    assert len(fashion_mnist.load_data()) == 2


def test_fashion_mnist_parts_may_be_packed_differently(tmp_path):
    wanted = write_set(tmp_path, "")
    for path in tmp_path.glob("t10k*"):
        put(path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes()))
        path.unlink()
    assert_same(fashion_mnist.load_data(tmp_path), wanted)


def test_fashion_mnist_missing_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "_SYSTEM_FOLDER", str(tmp_path / "system"))
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist.load_data()
    for word in (
        "dataset-fashion-mnist",
        "FASTNN_DATA",
        "load_data(path)",
        "t10k-labels",
        "system",
    ):
        assert word in str(caught.value)


def test_fashion_mnist_one_file_missing(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError):
        fashion_mnist.load_data(tmp_path)


def test_fashion_mnist_counts_must_match(tmp_path):
    write_set(tmp_path)
    put(tmp_path / "train-labels-idx1-ubyte", idx(np.zeros(4, np.uint8)))
    with pytest.raises(ValueError, match="got 4 labels and 5 images"):
        fashion_mnist.load_data(tmp_path)


def test_fashion_mnist_rank_must_match(tmp_path):
    write_set(tmp_path)
    put(tmp_path / "train-images-idx3-ubyte", idx(np.zeros((5, 784), np.uint8)))
    with pytest.raises(ValueError, match=r"train-images.*rank 3.*\(5, 784\)"):
        fashion_mnist.load_data(tmp_path)


def test_fashion_mnist_as_debian_installs_it():
    require_fashion_mnist()
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data(fashion_mnist._SYSTEM_FOLDER)
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert y_train[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    assert x_train.dtype == y_train.dtype == np.uint8
    # Mean and deviation that everybody normalises with.
    assert abs(x_train.mean() / 255 - 0.2860) < 1e-4 and abs(x_train.std() / 255 - 0.3530) < 1e-4


# --- IDX ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(_idx._DTYPES))
@pytest.mark.parametrize("shape", [(7,), (2, 3), (0,), (3, 0, 2), (1, 2, 3, 4)])
def test_idx_types_and_shapes(tmp_path, code, shape):
    dtype = np.dtype(_idx._DTYPES[code])
    array = (np.arange(np.prod(shape)).reshape(shape) - 3).astype(dtype)
    for name, pack in (("plain", bytes), ("packed", gzip.compress)):
        got = _idx.read_idx(put(tmp_path / name, pack(idx(array, code))))
        assert got.dtype == dtype.newbyteorder("=") and got.flags.c_contiguous
        assert got.dtype.isnative and got.flags.writeable
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("at", [0, 1])
def test_idx_starts_with_two_zeros(tmp_path, at):
    content = bytearray(idx(np.arange(12, dtype=np.uint8).reshape(3, 4)))
    content[at] = 1
    with pytest.raises(ValueError, match="expected an IDX file"):
        _idx.read_idx(put(tmp_path / "wrong", bytes(content)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_every_truncation_is_a_value_error(tmp_path, pack):
    content = pack(idx(np.arange(12, dtype=np.uint8).reshape(3, 4)))
    path = tmp_path / "cut"
    for n in range(len(content)):
        put(path, content[:n])
        with pytest.raises(ValueError, match="cut"):
            _idx.read_idx(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_every_flipped_byte_is_an_array_or_a_value_error(tmp_path, pack):
    content = pack(idx(np.arange(12, dtype=np.uint8).reshape(3, 4)))
    path, errors = tmp_path / "flip", 0
    for i in range(len(content)):
        for mask in (0x01, 0x80, 0xFF):
            put(path, content[:i] + bytes([content[i] ^ mask]) + content[i + 1 :])
            try:
                assert _idx.read_idx(path).size == 12
            except ValueError as error:
                assert "flip" in str(error)
                errors += 1
    assert errors > 20


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(2**32 - 1,) * 8, (2**31, 2**31), (60000, 28, 28)])
def test_idx_huge_sizes_are_refused_before_allocation(tmp_path, monkeypatch, pack, shape):
    path = put(tmp_path / "huge", pack(idx(np.zeros(10, np.uint8), shape=shape)))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("allocated"))
    with pytest.raises(ValueError, match="huge: truncated"):
        _idx.read_idx(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "nothing"),
        (b"PK\x03\x04 not idx", "expected an IDX file"),
        (b"\0\0\x08\0", "rank"),
        (b"\0\0\x08\x09" + b"\0" * 36, "rank"),
        (b"\0\0\x07\x01\0\0\0\0", "expected an IDX file"),
        (b"\0\0\x08\x02\0\0\0\x01", "header"),
        (idx(np.zeros(3, np.uint8)) + b"x", "more data"),
    ],
)
def test_idx_malformed(tmp_path, pack, content, words):
    with pytest.raises(ValueError, match=f"bad.*{words}"):
        _idx.read_idx(put(tmp_path / "bad", pack(content)))


def test_idx_gzip_with_a_wrong_checksum(tmp_path):
    content = bytearray(gzip.compress(idx(np.zeros(100, np.uint8))))
    content[-6] ^= 1
    with pytest.raises(ValueError, match="corrupted gzip"):
        _idx.read_idx(put(tmp_path / "crc", bytes(content)))


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        _idx.read_idx(tmp_path / "none")
