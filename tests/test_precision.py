"""How exact matrix products are, in every mode of `set_float32_matmul_precision`; docs/precision.md has the figures."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from engine_tools import digest

import fastnn
from fastnn import layers, precision

MODES = ("highest", "high", "medium")
DOCS = Path(__file__).resolve().parent.parent / "docs" / "precision.md"
LENGTHS = (8, 32, 128, 300, 784, 2048, 8192)


@pytest.fixture(autouse=True)
def full_precision_afterwards():
    yield
    fastnn.set_float32_matmul_precision("highest")


def products(a, b, mode):
    """a (B, K) times b (K, N) by a dense layer of a model."""
    model = fastnn.Sequential([layers.Dense(b.shape[1], use_bias=False, input_shape=(b.shape[0],))])
    model.compile("sgd", "mse", matmul_precision=mode)
    model.set_weights([b])
    return model.predict(a, verbose=0)


def wide(rng, shape):
    """Numbers of either sign over 24 powers of ten."""
    return (rng.normal(size=shape) * 10.0 ** rng.uniform(-12, 12, shape)).astype(np.float32)


def normal(rng, shape):
    return rng.normal(size=shape).astype(np.float32)


def errors(draw, length, mode):
    """(RMS, largest) error against float64, in units of what the terms of a product add up to in absolute value."""
    rng = np.random.default_rng(length)
    a, b = draw(rng, (64, length)), draw(rng, (length, 48))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = (products(a, b, mode) - exact) / (abs(a.astype(np.float64)) @ abs(b.astype(np.float64)))
    sgemm = (a @ b - exact) / (abs(a.astype(np.float64)) @ abs(b.astype(np.float64)))
    return np.sqrt(np.mean(error**2)), abs(error).max(), np.sqrt(np.mean(sgemm**2)), abs(sgemm).max()


def table():
    """The lines of docs/precision.md: {(data, K): (RMS, largest)}."""
    found = re.findall(r"^\| (normal|wide) \| (\d+) \| (\S+) \| (\S+) \|", DOCS.read_text(), re.M)
    return {(data, int(k)): (float(rms), float(largest)) for data, k, rms, largest in found}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("draw", [normal, wide])
def test_errors_are_those_of_the_table(draw, mode):
    stated = table()
    assert {k for data, k in stated if data == draw.__name__} == set(LENGTHS)
    for length in LENGTHS:
        rms, largest, sgemm_rms, sgemm_largest = errors(draw, length, mode)
        limit_rms, limit_largest = stated[draw.__name__, length]
        assert rms <= limit_rms and largest <= limit_largest
        assert rms >= limit_rms / 2.5, "the table is too loose"
        # a product in one chain of roundings is no worse than in any order, K / 2 of them at the most
        assert largest <= length * np.finfo(np.float32).eps / 2
        assert rms <= 6 * sgemm_rms


@pytest.mark.parametrize("mode", MODES)
def test_ends_of_the_range(mode):
    big, tiny = np.float32(3e38), np.float32(1e-30)
    inf, nan = np.inf, np.nan
    a = np.array([[big, big], [big, -big], [tiny, tiny], [inf, 1], [inf, -inf], [nan, 1], [0, 1]], np.float32)
    y = products(np.repeat(a, 3, axis=0), np.ones((2, 5), np.float32), mode)[::3, 0]
    np.testing.assert_array_equal(y, [np.inf, 0, 2 * tiny, np.inf, np.nan, np.nan, 1])
    # results below the smallest normal number may be flushed to 0, never be garbage
    y = products(np.full((4, 2), tiny), np.full((2, 3), np.float32(1e-12)), mode)
    assert ((y == 0) | np.isclose(y, 2e-42, rtol=1e-2)).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_modes_without_a_unit_for_them_are_float32_to_the_bit(threads):
    assert {precision.used(m) for m in MODES} == {"float32"}
    digests = set()
    x, y = normal(np.random.default_rng(0), (256, 40)), np.arange(256) % 5
    for mode in MODES:
        with fastnn.float32_matmul_precision(mode):
            fastnn.set_random_seed(1)
            stack = [layers.Dense(50, "tanh"), layers.BatchNormalization(), layers.Dense(5, "softmax")]
            model = fastnn.Sequential(stack)
            model.compile("adam", "sparse_categorical_crossentropy", threads=threads, matmul_precision=mode)
            model.fit(x, y, epochs=2, verbose=0)
            digests.add(digest(model.engine()))
    assert len(digests) == 1


def test_setting_and_asking():
    assert fastnn.get_float32_matmul_precision() == "highest"
    fastnn.set_float32_matmul_precision("HIGH")
    assert fastnn.get_float32_matmul_precision() == "high"
    seen = []
    with fastnn.float32_matmul_precision("medium"):
        other = threading.Thread(target=lambda: seen.append(fastnn.get_float32_matmul_precision()))
        other.start()
        other.join()
        with fastnn.float32_matmul_precision("highest"):
            seen.append(fastnn.get_float32_matmul_precision())
        seen.append(fastnn.get_float32_matmul_precision())
    assert seen == ["high", "highest", "medium"]
    assert fastnn.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("call", [
    fastnn.set_float32_matmul_precision, fastnn.float32_matmul_precision, precision.used,
    lambda name: fastnn.Sequential([layers.Dense(1)]).compile("sgd", "mse", matmul_precision=name),
])  # fmt: skip
def test_unknown_modes(call):
    with pytest.raises(ValueError, match="precision: expected one of 'highest', 'high', 'medium', got 'higher'."):
        call("higher")


def test_the_mode_of_a_model_is_in_its_file(tmp_path):
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", matmul_precision="high")
    model.save(tmp_path / "m")
    assert fastnn.models.load_model(tmp_path / "m").matmul_precision == "high"
