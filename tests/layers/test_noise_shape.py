"""Dropout whose elements share random numbers, Keras' noise_shape: the mask is that of the smaller shape, repeated."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

SHAPE = (5, 3, 20)
CASES = {  # noise_shape: the shape of the mask
    (None, 1, None, None): (1, 3, 20),
    (None, None, 1, None): (5, 1, 20),
    (None, 5, 3, 1): (5, 3, 1),
    (None, 1, 1, 20): (1, 1, 20),
    (32, 1, 1, 1): (1, 1, 1),
    (None, 1, 3, 1): (1, 3, 1),
    (1, None, None, None): (5, 3, 20),
    (1, 5, 1, 20): (5, 1, 20),
    (1, 1, 1, 1): (1, 1, 1),
    (None, None, None, None): (5, 3, 20),
}
ROWS, RATE, SEED = 37, 0.4, 11


def masked(layer, dtype="float32", threads=None):
    """What one training step makes of ones, and the gradient of its sum by them."""
    model = fastnn.Sequential([layer, layers.Flatten()], dtype=dtype)
    model.compile("sgd", seed=SEED, threads=threads)
    x = np.ones((ROWS, *SHAPE), dtype)
    y = model.forward(x, training=True)
    dx = model.backward(np.ones_like(y))
    assert (model.predict(x, verbose=0) == 1).all()  # nothing happens in inference
    return y.reshape(x.shape), dx


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("noise_shape", "mask"), CASES.items(), ids=repr)
def test_dropout(noise_shape, mask, dtype):
    y, dx = masked(layers.Dropout(RATE, noise_shape), dtype)
    small = ops.dropout(np.ones((1 if noise_shape[0] == 1 else ROWS, *mask), dtype), RATE, SEED)
    right = np.broadcast_to(small, y.shape)
    np.testing.assert_array_equal(y, right)
    np.testing.assert_array_equal(dx, right)
    assert set(np.unique(y)) <= {0, np.ones(1, dtype)[0] / np.asarray(1 - RATE, dtype)}
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(masked(layers.Dropout(RATE, noise_shape), dtype, threads)[0], right)


@pytest.mark.parametrize(("noise_shape", "mask"), CASES.items(), ids=repr)
def test_alpha_dropout(noise_shape, mask):
    """Klambauer et al. 2017: a x + b, x the limit where dropped."""
    y, dx = masked(layers.AlphaDropout(RATE, noise_shape), "float64")
    limit, q = -1.7580993408473766, 1 - RATE
    a = 1 / np.sqrt(q * (1 + RATE * limit**2))
    b = -a * limit * RATE
    kept = np.isclose(y, a + b, rtol=1e-6)
    assert (kept | np.isclose(y, a * limit + b, rtol=1e-6)).all()
    np.testing.assert_allclose(dx, np.where(kept, a, 0), rtol=1e-6)
    small = kept[(slice(1 if noise_shape[0] == 1 else None), *(slice(n) for n in mask))]
    np.testing.assert_array_equal(kept, np.broadcast_to(small, kept.shape))
    if small.size > 1000:
        assert abs(small.mean() - q) < 5 * np.sqrt(q * RATE / small.size)


def test_many_rows_of_a_long_axis():
    """Sizes above a panel and a word block: each sample its own mask, shared along 100 places."""
    model = fastnn.Sequential([layers.Dropout(0.5, (None, 1, None), input_shape=(100, 7))])
    model.compile("sgd", seed=3)
    y = model.forward(np.ones((500, 100, 7)), training=True)
    assert (y == y[:, :1]).all()
    assert abs((y[:, 0] == 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(3500)
    assert len(np.unique(y[:, 0], axis=0)) > 100  # of 2**7


@pytest.mark.parametrize(
    ("noise_shape", "error", "message"),
    [
        ((None, 1), ValueError, r"expected 1, None or the size itself for each axis of \(None, 5, 3, 20\)"),
        ((None, 2, None, None), ValueError, r"got \(None, 2, None, None\)"),
        ("1", TypeError, "got '1'"),
        (1, TypeError, "got 1"),
        ((None, 0, 1, 1), ValueError, r"noise_shape\[1\]: expected an integer of at least 1"),
        ((None, 1.5, 1, 1), TypeError, r"noise_shape\[1\]: expected an integer"),
    ],
)
@pytest.mark.parametrize("cls", [layers.Dropout, layers.AlphaDropout])
def test_errors(cls, noise_shape, error, message):
    with pytest.raises(error, match=f"^noise_shape.*{message}|^{message}"):
        cls(0.5, noise_shape).build((None, *SHAPE))


def test_files_and_clones_keep_it(tmp_path):
    model = fastnn.Sequential([layers.Dropout(0.5, (None, 1, 3), seed=4, input_shape=(2, 3))])
    assert fastnn.models.clone_model(model).layers[0].noise_shape == (None, 1, 3)
    model.save(tmp_path / "m")
    again = fastnn.models.load_model(tmp_path / "m").layers[0]
    assert (again.noise_shape, again.seed) == ((None, 1, 3), 4)
