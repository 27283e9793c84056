"""Files of earlier versions load, and what they resume is what it would have been; see tests/golden/20c21dc/make.py."""

import runpy

import numpy as np
import pytest
from places import TESTS

import fastnn
from fastnn._core import kernels

FOLDER = TESTS / "golden" / "20c21dc"
EXPECTED = np.load(FOLDER / "expected.npz")
data = runpy.run_path(str(FOLDER / "make.py"))["data"]


def expected(dtype, what):
    names = sorted(n for n in EXPECTED.files if n.startswith(f"{dtype}-{what}-"))
    return [EXPECTED[n] for n in names]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models(dtype):
    model = fastnn.models.load_model(FOLDER / f"model-{dtype}")
    for got, want in zip(model.get_weights(), expected(dtype, "loaded"), strict=True):
        np.testing.assert_array_equal(got, want)
    predicted = model.predict(data()[0], verbose=0)
    np.testing.assert_allclose(predicted, EXPECTED[f"{dtype}-predicted"], rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_that_goes_on(dtype):
    """Two more epochs: rate, momentum, shuffling and dropout all go on where they were."""
    model = fastnn.models.load_model(FOLDER / f"model-{dtype}")
    model.fit(*data(), epochs=4, initial_epoch=2, batch_size=20, verbose=0)
    exact = dtype == "float64" and kernels.isa() == "scalar"  # float32's losses are added in another order since
    tolerance = 0 if exact else 16 * np.finfo(dtype).eps
    for got, want in zip(model.get_weights(), expected(dtype, "resumed"), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


def test_a_checkpoint_within_an_epoch():
    x, y = data()
    pair = [fastnn.models.load_model(FOLDER / "middle-float32") for _ in range(2)]
    assert pair[0].optimizer.iterations == 10
    for model in pair:
        model.fit(x, y, epochs=2, initial_epoch=1, batch_size=8, verbose=0)
    for one, other in zip(*(model.get_weights() for model in pair), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


def test_weights_alone():
    model = fastnn.models.load_model(FOLDER / "model-float32")
    kept = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in kept])
    model.load_weights(FOLDER / "weights-float32")
    for got, want in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(got, want)
