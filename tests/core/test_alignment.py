"""What enters C is aligned or copied, whatever door it comes through.

Under UBSan (CONTRIBUTING.md) a read of what is not aligned is a report; here the arrays at the doors are looked at, and
the results compared with those of plain arrays."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.training.data import arrays


def odd(array, offset=1):
    """The same numbers, C-contiguous, at an address that is no multiple of their size."""
    array = np.asarray(array)
    raw = np.zeros(array.nbytes + 16, np.uint8)
    start = -raw.ctypes.data % 16 + offset
    copy = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    assert copy.flags.c_contiguous and (copy.flags.aligned == (array.itemsize == 1))
    return copy


def problem(n=24):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, 5)).astype(np.float32), rng.integers(0, 3, n).astype(np.int32)
    return x, y, rng.uniform(0.5, 1, n).astype(np.float32)


def network():
    model = fastnn.Sequential([fastnn.Input((5,)), fastnn.layers.Dense(7, "tanh"), fastnn.layers.Dense(3)])
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["sparse_categorical_accuracy"], seed=3)
    rng = np.random.default_rng(2)
    model.set_weights([rng.standard_normal(v.shape) for v in model.weights])
    return model


def test_every_array_of_a_model_is_aligned():
    x, y, w = problem()
    for dtype in ("float32", "float64"):
        assert arrays.weights("w", odd(w.astype(dtype)), len(w), dtype).flags.aligned
        for code in ("float32", "float64", "int16", "uint8", ">f4", "float16"):
            found = arrays.samples("x", odd(x.astype(code)), (5,), dtype)
            assert found.flags.aligned and found.dtype.isnative
            assert arrays.targets("y", odd(x.astype(code)), (5,), dtype).flags.aligned
            assert arrays.free_targets("y", odd(x.astype(code)), (5,)).flags.aligned
    for code in ("int32", "int64", ">i4", "uint8", "float64"):
        found = arrays.labels("y", odd(y.astype(code)), 3)
        assert found.flags.aligned and found.dtype == np.int32
        np.testing.assert_array_equal(found, y)
    # as they lie where that is possible, of 2-D arrays row by row
    assert np.shares_memory(arrays.labels("y", y, 3), y)
    assert np.shares_memory(arrays.weights("w", w, len(w), "float32"), w)
    assert np.shares_memory(arrays.samples("x", x[::2], (5,), "float32"), x)


@pytest.mark.parametrize("way", ["fit", "generator", "train_on_batch", "manual", "evaluate", "class_weight"])
def test_results_do_not_depend_on_the_address(way):
    x, y, w = problem()

    def run(at):
        x_, y_, w_ = at(x), at(y), at(w)
        model = network()
        if way == "fit":
            quiet = {"batch_size": 8, "verbose": 0, "shuffle": False}
            model.fit(x_, y_, sample_weight=w_, epochs=2, validation_data=(x_, y_, w_), **quiet)
        elif way == "class_weight":
            model.fit(x_, y_, class_weight={0: 2.0}, sample_weight=w_, batch_size=8, verbose=0, shuffle=False)
        elif way == "generator":
            model.fit(((at(x[i : i + 6]), at(y[i : i + 6]), at(w[i : i + 6])) for i in range(0, 24, 6)), verbose=0)
        elif way == "train_on_batch":
            for _ in range(3):
                model.train_on_batch(x_, y_)
            model.train_on_batch(x_, y_, sample_weight=w_)
        elif way == "manual":
            for _ in range(3):
                dy = model.forward(x_, training=True)
                model.backward(at(dy))
                model.apply_gradients([at(g) for g in model.gradients()])
        else:
            return [np.array(model.evaluate(x_, y_, sample_weight=w_, verbose=0)), model.predict(x_, verbose=0)]
        return model.get_weights()

    plain, moved = run(np.array), run(odd)
    assert plain and all(a.tobytes() == b.tobytes() for a, b in zip(plain, moved, strict=True))


def test_functions_on_arrays():
    x, y, w = problem()
    kernel = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)

    def run(at):
        z = ops.dense_forward(at(x), at(kernel), at(kernel[0]), "elu")
        value, dz = ops.softmax_cross_entropy(at(z), at(y), sample_weight=at(w))
        dx, dw, db = ops.dense_backward(at(dz), at(x), at(kernel))
        mean = ops.metric("sparse_accuracy", at(y), at(z))
        return [z, value, dz, dx, dw, db, np.array(mean), ops.softmax(at(z)), ops.tanh(at(z))]

    assert all(a.tobytes() == b.tobytes() for a, b in zip(run(np.array), run(odd), strict=True))
