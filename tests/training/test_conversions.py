"""One way in for arrays; numbers that a conversion would make infinite, or take for what they are not."""

from fractions import Fraction

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
HUGE = 1e39  # of float64, not of float32, whose largest is 3.4028235e38


def small(dtype="float32", loss="mse"):
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,))], dtype=dtype)
    model.compile("sgd", loss)
    return model


def with_huge(array, row, column=None):
    array = np.array(array, np.float64)
    array[row if column is None else (row, column)] = HUGE
    return array


def generator(x, y):
    yield x, y


DOORS = {
    "fit x": (lambda m: m.fit(with_huge(X, 5, 1), Y, verbose=0), "x: .* got 1e[+]39 in row 5, column 1"),
    "fit y": (lambda m: m.fit(X, with_huge(Y, 6, 0), verbose=0), "y: .* got 1e[+]39 in row 6, column 0"),
    "weights": (lambda m: m.fit(X, Y, sample_weight=with_huge(np.ones(8), 2), verbose=0),
                "sample_weight: .* got 1e[+]39 in row 2"),
    "batches": (lambda m: m.fit(generator(X, with_huge(Y, 6, 0)), verbose=0), "x, batch 0, y: .* got 1e[+]39 in row 6"),
    "validation": (lambda m: m.fit(X, Y, validation_data=(with_huge(X, 1, 2), Y), verbose=0),
                   r"validation_data\[0\]: .* got 1e[+]39 in row 1, column 2"),
    "evaluate": (lambda m: m.evaluate(with_huge(X, 5, 1), Y, verbose=0), "x: .* got 1e[+]39 in row 5"),
    "predict": (lambda m: m.predict(with_huge(X, 5, 1), verbose=0), "x: .* got 1e[+]39 in row 5, column 1"),
    "rows far apart": (lambda m: m.predict(with_huge(np.repeat(X, 2, 0), 10, 1)[::2], verbose=0), "x: .* in row 5"),
    "forward": (lambda m: m.forward(with_huge(X, 5, 1), training=True), "x: .* got 1e[+]39 in row 5"),
    "backward": (lambda m: (m.forward(X, training=True), m.backward(with_huge(Y, 3, 1))), "dy: .* got 1e[+]39"),
    "train_on_batch": (lambda m: m.train_on_batch(with_huge(X, 5, 1), Y), "x: .* got 1e[+]39 in row 5, column 1"),
    "test_on_batch": (lambda m: m.test_on_batch(X, with_huge(Y, 5, 1)), "y: .* got 1e[+]39 in row 5, column 1"),
    "set_weights": (lambda m: m.set_weights([with_huge(np.ones((3, 2)), 2, 1), np.ones(2)]),
                    r"weights\[0\] .*kernel\): .* got 1e[+]39 in row 2, column 1"),
    "assign": (lambda m: m.layers[0].bias.assign([0, HUGE]), "bias: .* got 1e[+]39 in row 1"),
    "gradients": (lambda m: (m.forward(X, training=True), m.backward(Y),
                             m.apply_gradients([with_huge(np.ones((3, 2)), 2, 1), np.ones(2)])),
                  r"gradients\[0\] .*kernel\): .* got 1e[+]39 in row 2"),
    "long double": (lambda m: m.predict(np.array([[0, HUGE, 0]], np.longdouble), verbose=0), "x: .* got 1e[+]39"),
    "a big-endian array": (lambda m: m.predict(with_huge(X, 5, 1).astype(">f8"), verbose=0), "x: .* in row 5"),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.filterwarnings("error")
def test_what_float32_cannot_hold(door):
    call, message = DOORS[door]
    model = small()
    model.set_weights(before := [np.ones((3, 2)), np.ones(2)])
    for _ in range(2):  # the second batch of a kind goes a short way
        with pytest.raises(ValueError, match=f"{message}.*overflows float32.*3.4e[+]38"):
            call(model)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)
        model.predict(X, verbose=0)
        model.forward(X)
        if "backward" not in door:
            model.train_on_batch(X, np.ones((8, 2)) + (X @ before[0]))
            model.set_weights(before)
    wide = small("float64")
    if door not in ("fit x", "fit y", "long double", "gradients", "backward", "train_on_batch", "batches", "weights"):
        call(wide)  # float64 holds it


def test_predict_of_known_batches():
    """The short way for a batch that was there before sees it, too; NaN and infinity pass as they are."""
    model = small()
    for _ in range(3):
        model.predict(X, verbose=0)
        model.predict_on_batch(X)
    for call in (lambda x: model.predict(x, verbose=0), model.predict_on_batch, model.forward):
        with pytest.raises(ValueError, match="x: .* got 1e[+]39 in row 5, column 1"):
            call(with_huge(X, 5, 1))
        x = X.copy()
        x[5, 1] = np.nan
        found = call(x)
        assert np.isnan(found[5]).all() and np.isfinite(np.delete(found, 5, 0)).all()


def test_the_largest_number_of_float32_passes():
    """Up to half a unit above it, numbers round to it: IEEE 754, 4.3.1."""
    model = small()
    model.set_weights([np.array([[1, 0], [0, 0], [0, 0]]), np.zeros(2)])
    largest = float(np.finfo(np.float32).max)
    for x in (largest, -largest, 3.4028235677973364e38):
        assert model.predict(np.array([[x, 0, 0]]), verbose=0)[0, 0] == np.sign(x) * np.float32(largest)
    with pytest.raises(ValueError, match="x: .* got 3.4028235677973366e[+]38"):
        model.predict(np.array([[3.4028235677973366e38, 0, 0]]), verbose=0)


def test_the_user_may_want_it_so():
    model = small()
    model.fit(with_huge(X, 5, 1), Y, check_finite=False, verbose=0, on_nan="ignore")
    assert not np.isfinite(model.get_weights()[0]).all()


@pytest.mark.filterwarnings("error")
def test_class_weights():
    model = small(loss=fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.arange(8) % 2
    with pytest.raises(ValueError, match=r"class_weight\[1\]: .* got 1e[+]39.*overflows float32"):
        model.fit(X, labels, class_weight={1: HUGE}, verbose=0)
    with pytest.raises(ValueError, match="sample_weight times class_weight: .* got inf in row 1"):
        model.fit(X, labels, class_weight={1: 1e30}, sample_weight=np.full(8, 1e30), verbose=0)


@pytest.mark.filterwarnings("error")
def test_initializers_and_numbers_of_layers():
    with pytest.raises(ValueError, match="Constant: .* got 1e[+]39.*float32"):
        fastnn.initializers.Constant(HUGE)((2, 2))
    with pytest.raises(ValueError, match="initializer of .*kernel: .* got 1e[+]39 in row 0, column 0"):
        layers.Dense(2, kernel_initializer=lambda shape, dtype: np.full(shape, HUGE)).ensure_built((3,))
    with pytest.raises(ValueError, match="mean: .* got 1e[+]39"):
        layers.Normalization(mean=HUGE, variance=1.0).ensure_built((3,))
    with pytest.raises(ValueError, match="mean: .* got 1e[+]39"):
        layers.Normalization().adapt(with_huge(np.zeros((1, 3)), 0, 1))
    with pytest.raises(ValueError, match="data: .* got nan in row 0, column 1"):
        layers.Normalization().adapt([[0, np.nan, 1]])
    assert fastnn.initializers.Constant(HUGE)((1,), "float64")[0] == HUGE


@pytest.mark.filterwarnings("error")
def test_losses_called_alone():
    for wrong in ((with_huge(Y, 3, 1), Y.astype(np.float32)),):
        with pytest.raises(ValueError, match="y_true: .* got 1e[+]39 in row 3"):
            losses.MeanSquaredError()(*wrong)
    with pytest.raises(TypeError, match="y_pred: expected numbers, got an array of dtype complex128"):
        losses.MeanSquaredError()(Y, Y + 1j)
    with pytest.raises(TypeError, match="sample_weight: expected numbers"):
        losses.MeanSquaredError()(Y, Y, [1j] * 8)


@pytest.mark.parametrize("value, message", [
    (["1", "2", "3"], "dtype <U1"), (np.array(["1", 2, 3], object), "'1' in row 0, column 0"),
    (np.array([1, None, 3], object), "None in row 0, column 1"),
    (np.array([1, 2j, 3], object), "dtype object"), ([1, 2j, 3], "dtype complex128"),
    (np.array(["2020-01-01"] * 3, "M8[D]"), "dtype datetime64"),
])  # fmt: skip
def test_what_is_no_number(value, message):
    """Text that looks like one, and None, which NumPy takes for NaN, among objects."""
    model = small()
    rows = np.asarray(value)[None]
    for call in (lambda: model.predict(rows, verbose=0), lambda: model.fit(rows, Y[:1], verbose=0)):
        with pytest.raises(TypeError, match=f"x: expected numbers, got .*{message}"):
            call()


def test_objects_that_are_numbers():
    model = small("float64")
    rows = np.array([[1, Fraction(1, 2), True]], object)
    np.testing.assert_array_equal(model.predict(rows, verbose=0), model.predict([[1, 0.5, 1]], verbose=0))
    with pytest.raises(ValueError, match="x: expected numbers in .* float64, got .* row 0, column 1"):
        model.predict(np.array([[1, 10**400, 2]], object), verbose=0)


@pytest.mark.parametrize("dtype", ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g"])
def test_other_number_types_mean_what_they_say(dtype):
    """Rounded as float32 rounds: integers beyond 2^24 are no error, as numbers with 25 bits are none."""
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    high = 1 if dtype == "bool" else limits.max if limits else 1000.5
    low = limits.min if limits else 0
    x = np.array([[high, low, 1]], dtype)
    model = small()
    model.set_weights([np.eye(3)[:, :2], np.zeros(2)])
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.float32([[high, low]]))


@pytest.mark.parametrize("label", [2, 2**32, 2**32 + 1, 2**63, -1, 2**53 + 1])
def test_labels_are_not_wrapped(label):
    """int32 of 2^32 + 1 is 1."""
    model = small(loss="sparse_categorical_crossentropy")
    labels = np.zeros(8, np.int64 if label < 2**63 else np.uint64)
    labels[4] = label
    for _ in range(2):
        for call in (lambda y: model.fit(X, y, verbose=0), lambda y: model.train_on_batch(X, y)):
            with pytest.raises(ValueError, match=f"y: expected classes 0 to 1.*got {label} in row 4"):
                call(labels)
        model.train_on_batch(X, np.zeros(8, np.int64))


# --- one way in ---


class Array:
    def __init__(self, array):
        self.array = np.ascontiguousarray(array)


class HasArray(Array):
    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class HasDLPack(Array):
    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def adapted(data, _):
    layer = layers.Normalization()
    layer.adapt(data)
    return layer.mean.numpy(), layer.variance.numpy()


def rate(x, y):
    return small().find_learning_rate(x, y, steps=4).losses


def fitted(x, y):
    model = small()
    model.set_weights([np.ones((3, 2)), np.ones(2)])
    model.compile("sgd", "mse", seed=1)
    model.fit(x, y, validation_data=(x, y), verbose=0)
    return model.get_weights()


def stepped(x, y):
    model = small()
    model.set_weights([np.ones((3, 2)), np.ones(2)])
    model.train_on_batch(x, y)
    model.forward(x, training=True)
    model.backward(y)
    model.apply_gradients(model.gradients())
    return model.predict(x, verbose=0), model.evaluate(x, y, verbose=0), model.input_gradient(x, y)


def one_weight(_, y):
    model = small()
    model.set_weights([np.ones((3, 2)), type(y)(np.ones(2))])
    model.layers[0].kernel.assign(type(y)(np.eye(3)[:, :2]))
    return model.get_weights()


def checked(x, y):
    return small("float64").check_gradients(x, y).passed


def recalibrated(x, _):
    model = fastnn.Sequential([layers.BatchNormalization(input_shape=(3,))])
    model.recalibrate(x)
    return model.get_weights()


WAYS = {
    "adapt": adapted, "find_learning_rate": rate, "fit": fitted, "by batches": stepped, "weights": one_weight,
    "check_gradients": checked, "recalibrate": recalibrated,
    "a loss": lambda x, y: losses.MeanSquaredError()(y, y),
    "a loss with weights": lambda x, y: losses.MeanSquaredError()(y, type(y)(Y * 2), type(y)(np.arange(8.0))),
    "a loss of labels": lambda x, y: losses.SparseCategoricalCrossentropy()(type(y)(np.arange(8) % 2),
                                                                           type(y)(abs(Y))),
    "a loss by rows": lambda x, y: losses.mean_absolute_error(y, type(y)(Y * 2)),
    "a metric": lambda x, y: metrics.binary_accuracy(type(y)(Y > 0), type(y)(Y)),
    "a metric of labels": lambda x, y: metrics.sparse_categorical_accuracy(type(y)(np.arange(8) % 2), y),
    "an operation": lambda x, y: fastnn.ops.relu(x),
    "a sweep": lambda x, y: fastnn.sweep(small, 1, x, y, validation_data=(x, y), seed=1, verbose=0)[0]["loss"],
}  # fmt: skip


@pytest.mark.parametrize("kind", [HasArray, HasDLPack])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_takes_every_kind_of_array(way, kind):
    fastnn.set_random_seed(3)
    wanted = WAYS[way](np.asarray(X).view(Plain), np.asarray(Y).view(Plain))
    fastnn.set_random_seed(3)
    found = WAYS[way](kind(X), kind(Y))
    for a, b in zip(*(map(np.asarray, v) if isinstance(v, (tuple, list)) else [np.asarray(v)] for v in (found, wanted)),
                    strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)


class Plain(np.ndarray):
    """An ndarray that is made as the other kinds are."""

    def __new__(cls, array):
        return np.asarray(array).view(cls)
