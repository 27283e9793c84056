"""`fastnn.utils` next to Keras, and by itself."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, utils

RNG = np.random.default_rng(0)


def test_to_categorical():
    labels = RNG.integers(0, 5, (4, 3))
    np.testing.assert_array_equal(utils.to_categorical(labels), np.eye(labels.max() + 1)[labels])
    np.testing.assert_array_equal(utils.to_categorical(labels[:, :1], 7), np.eye(7)[labels[:, 0]])
    assert utils.to_categorical([], 3).shape == (0, 3) and utils.to_categorical(2).tolist() == [0, 0, 1]
    for wrong in ([-1, 0], [0, 3]):
        with pytest.raises(ValueError, match="x: expected class labels 0 to 2"):
            utils.to_categorical(wrong, 3)
    with pytest.raises(ValueError, match="fractions"):
        utils.to_categorical([0.5])
    with pytest.raises(ValueError, match="num_classes"):
        utils.to_categorical([])


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize(axis, order):
    x = RNG.normal(size=(4, 5))
    x[0], x[:, 0] = 0, 0
    found = utils.normalize(x, axis, order)
    norms = np.linalg.norm(found, order, axis)
    np.testing.assert_allclose(norms[1:], 1)
    assert norms[0] == 0
    np.testing.assert_allclose(utils.normalize([3.0, 4.0]), [0.6, 0.8])


def test_split_dataset():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    (a, b), (c, d) = utils.split_dataset((x, y), left_size=0.7)
    assert b.tolist() == list(range(7)) and d.tolist() == [7, 8, 9] and a.shape == (7, 2) and c.shape == (3, 2)
    left, right = utils.split_dataset(y, left_size=2, right_size=3)
    assert left.tolist() == [0, 1] and right.tolist() == [7, 8, 9]
    left, right = utils.split_dataset({"x": x, "y": y}, right_size=4, shuffle=True, seed=3)
    again, _ = utils.split_dataset({"x": x, "y": y}, right_size=4, shuffle=True, seed=3)
    assert sorted([*left["y"], *right["y"]]) == list(range(10)) and (left["y"] == again["y"]).all()
    np.testing.assert_array_equal(left["x"][:, 0], 2 * left["y"])
    for wrong, message in (({}, "got neither"), ({"left_size": 11}, "at most 10"), ({"left_size": 1.5}, "fraction"),
                           ({"left_size": 6, "right_size": 5}, "in all")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            utils.split_dataset((x, y), **wrong)
    with pytest.raises(ValueError, match="equal numbers of rows"):
        utils.split_dataset((x, y[:3]), 0.5)


def sequences(data, length, stride, rate, start, end):
    """Windows as Keras' documentation describes them, one by one."""
    part, found = data[start:end], []
    for at in range(0, len(part) - (length - 1) * rate, stride):
        found.append(part[at : at + (length - 1) * rate + 1 : rate])
    return np.array(found)


@pytest.mark.parametrize("length, stride, rate, start, end", [
    (3, 1, 1, None, None), (10, 3, 2, None, None), (4, 2, 3, 5, 60), (1, 7, 1, 0, 99),
])  # fmt: skip
def test_windows(length, stride, rate, start, end):
    data, targets = RNG.normal(size=(99, 2)), np.arange(99)
    made = utils.timeseries_dataset_from_array(data, targets, length, stride, rate, 8, start_index=start, end_index=end)
    expected = sequences(data, length, stride, rate, start, end)
    batches = list(made)
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), expected)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]),
                                  targets[slice(start, end)][::stride][: len(expected)])  # fmt: skip
    assert len(batches) == len(made) and {len(b[1]) for b in batches[:-1]} <= {8}


def test_windows_of_keras_documentation():
    made = utils.timeseries_dataset_from_array(np.arange(99), None, 10, sampling_rate=2, sequence_stride=3)
    found = made[0]
    assert found[0].tolist() == list(range(0, 20, 2)) and found[-1].tolist() == list(range(78, 98, 2))
    alone = utils.timeseries_dataset_from_array(np.arange(9), np.arange(9), 3, batch_size=None)
    assert alone[2][0].tolist() == [2, 3, 4] and alone[2][1] == 2 and len(alone) == 7


def test_windows_train_a_model():
    series = np.sin(0.3 * np.arange(200))
    made = utils.timeseries_dataset_from_array(series[:-8], series[8:], 8, batch_size=16, shuffle=True, seed=1)
    other = utils.timeseries_dataset_from_array(series[:-8], series[8:], 8, batch_size=16, shuffle=True, seed=1)
    np.testing.assert_array_equal(made[0][0], other[0][0])
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(1, input_shape=(8,))])
    model.compile(fastnn.Adam(0.01), "mse")
    history = model.fit(made, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]
    assert model.predict(utils.timeseries_dataset_from_array(series, None, 8), verbose=0).shape == (193, 1)


def test_errors_of_windows():
    data = np.arange(10)
    for given, message in (
        ({"sequence_length": 11}, "at least one window"), ({"sequence_length": 0}, "sequence_length"),
        ({"sequence_length": 2, "start_index": 5, "end_index": 5}, "start_index, end_index"),
        ({"sequence_length": 2, "sampling_rate": 0}, "sampling_rate"),
        ({"sequence_length": 2, "format": "grain"}, "format"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            utils.timeseries_dataset_from_array(data, None, **given)


def test_next_to_keras():
    keras = pytest.importorskip("keras")
    labels = RNG.integers(0, 4, (3, 1))
    np.testing.assert_array_equal(utils.to_categorical(labels, 6), keras.utils.to_categorical(labels, 6))
    x = RNG.normal(size=(3, 4))
    for axis in (-1, 1):
        np.testing.assert_allclose(utils.normalize(x, axis), keras.utils.normalize(x, axis))


def test_seed():
    utils.set_random_seed(3)
    first = fastnn.initializers.get("he_normal")((2, 2))
    utils.set_random_seed(3)
    np.testing.assert_array_equal(first, fastnn.initializers.get("he_normal")((2, 2)))
