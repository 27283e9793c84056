"""The data edge: every kind of array gives the same numbers, without a copy where possible; bad data is named."""

import numpy as np
import pytest
from fastnn._core.finite import all_finite

import fastnn
from fastnn._core import kernels
from fastnn.training.data import arrays

RNG = np.random.default_rng(0)
X = RNG.integers(0, 200, (40, 3)).astype(np.float64)
Y = RNG.integers(0, 2, 40)


def model(outputs=2, loss="sparse_categorical_crossentropy", **options):
    fastnn.set_random_seed(0)
    last = "softmax" if outputs > 1 else None
    m = fastnn.Sequential([fastnn.layers.Dense(outputs, last, input_shape=(3,))])
    m.compile("sgd", loss, **options)
    return m


class ByProtocol:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class ByDlpack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(x.tobytes(), np.uint8)
    return raw.view(x.dtype).reshape(x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    "list": lambda x: x.tolist(),
    "fortran": np.asfortranarray,
    "strided rows": lambda x: np.repeat(x, 2, axis=0)[::2],
    "strided columns": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "overlapping": lambda x: np.lib.stride_tricks.as_strided(x, x.shape, x.strides),
    "big endian": lambda x: x.astype(">f8"),
    "big endian ints": lambda x: x.astype(">i4"),
    "read only": read_only,
    "misaligned": misaligned,
    "object": lambda x: x.astype(object),
    "longdouble": lambda x: x.astype(np.longdouble),
    "__array__": ByProtocol,
    "dlpack": ByDlpack,
    **{t: lambda x, t=t: x.astype(t)
       for t in ("u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4")},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_any_array_works(kind):
    m = model()
    expected = m.predict(X, verbose=0)
    given = KINDS[kind](X)
    np.testing.assert_array_equal(m.predict(given, verbose=0), expected)
    m.fit(given, Y, verbose=0, shuffle=False)
    again = model()
    again.fit(X, Y, verbose=0, shuffle=False)
    np.testing.assert_array_equal(m.get_weights()[0], again.get_weights()[0])


def test_memory_map(tmp_path):
    np.save(tmp_path / "x.npy", X.astype("f4"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    m = model()
    np.testing.assert_array_equal(m.predict(mapped, verbose=0), m.predict(X, verbose=0))
    assert arrays.readable(mapped, "float32") is mapped


@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8", "f2", "?"])
def test_no_copy_of_readable_rows(dtype):
    x = np.zeros((6, 4, 5), dtype)
    for view in (x, x[::2], x[1:]):
        rows = arrays.samples("x", view, (4, 5), "float32")
        assert np.shares_memory(rows, x) and rows.shape == (len(view), 20)
    assert not np.shares_memory(arrays.samples("x", x[::-1], (4, 5), "float32"), x)
    assert arrays.samples("x", x.astype(">i4"), (4, 5), "float32").dtype == np.dtype("i4")


def test_targets_of_many_kinds():
    m = model(metrics=["accuracy"])
    expected = m.evaluate(X, Y, verbose=0)
    for kind in (Y.tolist(), Y.astype("u1"), Y.astype("f8"), Y[:, None], Y.astype(bool), Y.astype(">i8")):
        np.testing.assert_array_equal(m.evaluate(X, kind, verbose=0), expected)
    hot = np.eye(2)[Y]
    m = model(loss="categorical_crossentropy", metrics=["accuracy"])
    for kind in (hot, hot.astype("u1"), np.asfortranarray(hot), hot.tolist()):
        np.testing.assert_allclose(m.evaluate(X, kind, verbose=0), expected, rtol=1e-6)
    m = model(1, "mse")
    one = m.evaluate(X, Y, verbose=0)
    assert one == m.evaluate(X, Y[:, None], verbose=0) == m.evaluate(X, Y.astype("f4"), verbose=0)


def at(array, place, value):
    array = np.array(array, np.float64)
    array[place] = value
    return array


FIT = [  # arguments, exception, words of the message
    ((X[:, :2], Y), ValueError, r"x: expected shape \(n, 3\), got \(40, 2\)"),
    ((X[0], Y), ValueError, r"x: expected shape \(n, 3\), got \(3,\).*batch axis"),
    ((X.reshape(40, 3, 1), Y), ValueError, r"got \(40, 3, 1\).*Flatten or Reshape"),
    ((X, Y[:-1]), ValueError, "y: expected 40 rows, as many as x, got 39"),
    ((X, None), TypeError, "y: expected"),
    ((X, np.array(3)), ValueError, r"y: expected class labels of shape \(n,\), got shape \(\)"),
    ((X, at(Y, 7, 2)), ValueError, "y: expected classes 0 to 1.*2 outputs; got 2.0 in row 7"),
    ((X, Y - 1), ValueError, "y: expected classes 0 to 1.*got -1 in row"),
    ((X, at(Y, 3, 0.5)), ValueError, "integer class labels; got 0.5 in row 3"),
    ((X, at(Y, 3, np.nan)), ValueError, "y: .*nan in row 3"),
    ((X, np.eye(2)[Y]), ValueError, "class labels.*categorical_crossentropy"),
    ((at(X, (9, 1), np.nan), Y), ValueError, "x: .* got nan in row 9, column 1.*check_finite=False"),
    ((at(X, (0, 2), -np.inf), Y), ValueError, "x: .* got -inf in row 0, column 2"),
    (([[1, 2, 3], [1, 2]], Y), ValueError, "x: expected an array, got a list that cannot be converted"),
    ((X.astype(str), Y), TypeError, "x: expected numbers, got an array of dtype"),
    ((X + 1j, Y), TypeError, "x: expected numbers.*complex"),
    (("abc", Y), TypeError, "x: expected an array, got 'abc'"),
    ((iter(X), Y), ValueError, "y: expected None, as x yields complete batches"),
    ((X[:0], Y[:0]), ValueError, "x: expected at least one row"),
]  # fmt: skip


@pytest.mark.parametrize("arguments, error, words", FIT, ids=[words[:25] for *_, words in FIT])
def test_bad_data_is_named(arguments, error, words):
    m = model()
    before = m.get_weights()
    with pytest.raises(error, match=words):
        m.fit(*arguments, verbose=0)
    np.testing.assert_array_equal(before[0], m.get_weights()[0])


def test_dense_targets_are_checked():
    m = model(2, "mse")
    with pytest.raises(ValueError, match=r"y: expected shape \(n, 2\).*\(40,\).*sparse_categorical"):
        m.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"y: expected shape \(n, 2\) like the model's output, got \(40, 3\)"):
        m.fit(X, X, verbose=0)
    with pytest.raises(ValueError, match="y: .* got inf in row 3, column 1"):
        m.fit(X, at(X[:, :2], (3, 1), np.inf), verbose=0)


def test_the_check_for_nan_can_be_switched_off():
    m = model()
    m.fit(at(X, (9, 1), np.nan), Y, verbose=0, check_finite=False, on_nan="ignore")
    assert np.isnan(m.get_weights()[0]).any()


def test_large_finite_numbers_pass():
    arrays.check_finite("x", np.full((5, 4), 3e38, "f4"))  # whose sum overflows


@pytest.mark.parametrize("weights, words", [
    (np.ones(39), r"sample_weight: expected shape \(40,\).*got \(39,\)"),
    (-np.ones(40), "sample_weight: expected finite non-negative weights; got -1.0 in row 0"),
    (at(np.ones(40), 4, np.nan), "nan in row 4"),
])  # fmt: skip
def test_bad_weights(weights, words):
    with pytest.raises(ValueError, match=words):
        model().fit(X, Y, sample_weight=weights, verbose=0)


def test_class_weights():
    by_class = arrays.class_weights({0: 2.0, 3: 0.5}, np.array([0, 1, 3, 3]), "float32")
    np.testing.assert_array_equal(by_class, [2, 1, 0.5, 0.5])
    np.testing.assert_array_equal(arrays.class_weights({1: 3.0}, np.eye(2)[[0, 1]], "f4"), [1, 3])
    with pytest.raises(TypeError, match="class_weight: expected a dict"):
        model().fit(X, Y, class_weight=[1, 2], verbose=0)
    with pytest.raises(ValueError, match=r"class_weight\[1\].*at least 0, got -1"):
        model().fit(X, Y, class_weight={1: -1}, verbose=0)
    with pytest.raises(TypeError, match=r"class_weight\[1\].*expected a number, got None"):
        model().fit(X, Y, class_weight={1: None}, verbose=0)
    with pytest.raises(TypeError, match="class_weight: a class: expected a number, got 'a'"):
        model().fit(X, Y, class_weight={"a": 1}, verbose=0)


@pytest.mark.parametrize("key", [-1, 2, 0.5])
def test_class_weights_of_classes_that_cannot_be(key):
    for y in (np.array([0, 1, 1, 0]), np.eye(2)[[0, 1, 1, 0]]):
        loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "categorical_crossentropy"
        made = model(loss=loss)
        x = np.ones((4, *made.in_shape))
        made.fit(x, y, class_weight={0: 2.0, 1: 1}, verbose=0)
        with pytest.raises(ValueError, match="class_weight: expected"):
            made.fit(x, y, class_weight={key: 2.0}, verbose=0)


def test_class_weights_need_one_class_a_row():
    made = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(4,))])
    made.compile("sgd", lambda t, p: (t[:, 0, 0].astype(float), np.zeros_like(p)))
    with pytest.raises(ValueError, match="class_weight: expected targets with one class per row"):
        made.fit(np.ones((12, 4)), np.zeros((12, 2, 2)), class_weight={1: 10.0}, verbose=0)


def test_masks_are_not_dropped():
    made = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,))])
    made.compile("sgd", "mse")
    x = np.ones((4, 1))
    for mask, fine in (([0, 0, 0, 1], False), ([0, 0, 0, 0], True)):
        y = np.ma.masked_array([1.0, 1, 1, 1e9], mask=mask)
        if fine:
            made.evaluate(x, y, verbose=0)
        else:
            with pytest.raises(ValueError, match="y: expected an array without masked entries"):
                made.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("loss", ["binary_crossentropy", fastnn.losses.BinaryFocalCrossentropy(from_logits=True)])
def test_binary_targets_are_shares(loss):
    made = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    made.compile("sgd", loss)
    x = np.ones((3, 3))
    made.fit(x, [0, 0.25, 1], verbose=0)
    for wrong in (2, -1):
        with pytest.raises(ValueError, match=f"y: expected values from 0 to 1.* got {wrong}.* in row 1"):
            made.fit(x, [0, wrong, 1], verbose=0)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_place_of_a_non_finite_number_is_seen(dtype, isa):
    lanes = kernels.vector_bytes(isa) // np.dtype(dtype).itemsize
    largest = np.finfo(dtype).max
    for n in (1, lanes - 1, lanes, 4 * lanes, 4 * lanes + 1, 9 * lanes + 3):
        x = np.resize(np.array([0, -0.0, largest, -largest, np.finfo(dtype).smallest_subnormal], dtype), n)
        assert all_finite(x, isa=isa)
        for i in range(n):
            for bad in (np.nan, -np.nan, np.inf, -np.inf):
                x[i], kept = bad, x[i]
                assert not all_finite(x, isa=isa), (n, i, bad)
                x[i] = kept
    assert all_finite(np.empty(0, dtype), isa=isa)


@pytest.mark.parametrize("threads", [None, 1, 2, 3, 8])
def test_non_finite_numbers_are_seen_by_any_number_of_threads(threads):
    x = np.zeros(3 * 65536 + 5, np.float32)
    assert all_finite(x, threads)
    for i in (0, 65535, 65536, 2 * 65536, 3 * 65536 - 1, 3 * 65536, x.size - 1):
        x[i] = np.nan
        assert not all_finite(x, threads), i
        x[i] = 0
