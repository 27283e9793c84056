"""Data frames: the columns of the first training, in their order, at every door."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
NAMES = ["age", "height", "weight"]
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))
OTHER = ["height", "age", "weight"]


def frame_of(library, names=NAMES, x=X):
    """With the numbers of each name where the name is."""
    columns = {n: x[:, NAMES.index(n)] if n in NAMES else x[:, 0] for n in names}
    return Table(columns) if library == "as Arrow" else pytest.importorskip(library).DataFrame(columns)


class Table:
    """What matters of an Arrow table."""

    def __init__(self, columns):
        self.column_names, self.columns = list(columns), list(columns.values())

    def __array__(self, dtype=None, copy=None):
        return np.stack(self.columns, axis=1)


def small():
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(4, "tanh", input_shape=(3,)), layers.Dense(1)])
    model.compile("sgd", "mse", seed=0)
    return model


def generator(x, y):
    yield x, y


def sweep(model, x):
    return fastnn.sweep(lambda: model, 1, x, Y, seed=1, keep="all", verbose=0)


DOORS = {
    "fit": lambda m, x: m.fit(x, Y, verbose=0),
    "batches": lambda m, x: m.fit(generator(x, Y), verbose=0),
    "validation": lambda m, x: m.fit(X, Y, validation_data=(x, Y), verbose=0),
    "validation by batches": lambda m, x: m.fit(X, Y, validation_data=generator(x, Y), verbose=0),
    "evaluate": lambda m, x: m.evaluate(x, Y, verbose=0),
    "evaluate batches": lambda m, x: m.evaluate(generator(x, Y), verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "predict batches": lambda m, x: m.predict(generator(x, Y), verbose=0),
    "train_on_batch": lambda m, x: m.train_on_batch(x, Y),
    "test_on_batch": lambda m, x: m.test_on_batch(x, Y),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
    "forward": lambda m, x: m.forward(x, training=True),
    "call": lambda m, x: m(x),
    "input_gradient": lambda m, x: m.input_gradient(x, Y),
    "check_gradients": lambda m, x: m.check_gradients(x, Y),
    "find_learning_rate": lambda m, x: m.find_learning_rate(x, Y, steps=3),
    "recalibrate": lambda m, x: m.recalibrate(x),
    "sweep": sweep,
}
TRAINS = ["fit", "batches", "train_on_batch", "forward", "sweep"]


@pytest.mark.parametrize("library", ["pandas", "polars", "as Arrow"])
@pytest.mark.parametrize("door", DOORS)
def test_another_order_is_an_error_at_every_door(door, library):
    model = small()
    model.fit(frame_of(library), Y, verbose=0)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"expected columns in the order of the first training, \['age', 'height', "
                       r"'weight'\], got \['height', 'age', 'weight'\].*frame\[model.feature_names\]"):  # fmt: skip
        DOORS[door](model, frame_of(library, OTHER))
    for a, b in zip(before, model.get_weights(), strict=True):
        if door != "validation by batches":  # which are looked at when their time comes
            np.testing.assert_array_equal(a, b)
    DOORS[door](model, frame_of(library))
    DOORS[door](model, X[:, ::-1])  # arrays are free


@pytest.mark.parametrize("door", DOORS)
def test_what_keeps_names(door):
    pytest.importorskip("pandas")
    model = small()
    DOORS[door](model, frame_of("pandas"))
    assert model.feature_names == (NAMES if door in TRAINS else None)


@pytest.mark.parametrize("names, more", [
    (["age", "height", "length"], r"missing \['weight'\]; unknown \['length'\]"),
    ([*NAMES, "target"], r"unknown \['target'\]"),
    (["age", "weight"], r"missing \['height'\]"),
])  # fmt: skip
def test_other_names(names, more):
    model = small()
    model.fit(frame_of("pandas"), Y, verbose=0)
    with pytest.raises(ValueError, match=r"x: expected the columns of the first training, \['age', 'height', 'weight'\]"
                       rf", got \[.*\] \({more}\)"):  # fmt: skip
        model.predict(frame_of("pandas", names), verbose=0)


def test_columns_that_were_never_named():
    """pandas calls them 0, 1, 2, …; another order of these is one nevertheless."""
    pandas = pytest.importorskip("pandas")
    plain = pandas.DataFrame(X)
    model = small()
    model.fit(plain, Y, verbose=0)
    model.predict(frame_of("pandas"), verbose=0)
    with pytest.raises(ValueError, match=r"order of the first training, \[0, 1, 2\], got \[2, 1, 0\]"):
        model.predict(plain[[2, 1, 0]], verbose=0)
    model = small()
    model.fit(frame_of("pandas"), Y, verbose=0)
    np.testing.assert_array_equal(model.predict(plain, verbose=0), model.predict(X, verbose=0))


def test_names_of_other_kinds_and_many():
    pandas = pytest.importorskip("pandas")
    model = fastnn.Sequential([layers.Dense(1, input_shape=(40,))])
    model.compile("sgd", "mse")
    columns = pandas.MultiIndex.from_product([["a", "b"], range(20)])
    frame = pandas.DataFrame(np.zeros((4, 40)), columns=columns)
    model.fit(frame, Y[:4], verbose=0)
    order = [*range(30), 31, 30, *range(32, 40)]
    with pytest.raises(ValueError, match=r"from column 30 on \[\"\('b', 10\)\", .*… 2 more\]") as error:
        model.predict(frame.iloc[:, order], verbose=0)
    assert len(str(error.value)) < 500
    model.predict(frame, verbose=0)


@pytest.mark.parametrize("way", ["save", "pickle", "copy"])
def test_they_go_along_with_the_model(way, tmp_path):
    model = small()
    model.fit(frame_of("pandas"), Y, verbose=0)
    if way == "save":
        model.save(tmp_path / "m.fastnn")
        again = fastnn.models.load_model(tmp_path / "m.fastnn")
    else:
        again = copy.deepcopy(model) if way == "copy" else pickle.loads(pickle.dumps(model))
    assert again.feature_names == NAMES
    with pytest.raises(ValueError, match="order of the first training"):
        again.predict(frame_of("pandas", OTHER), verbose=0)
    assert fastnn.models.clone_model(model).feature_names is None  # new weights have seen nothing


def test_a_fit_that_does_not_begin_keeps_nothing():
    model, wrong = small(), frame_of("pandas", OTHER)
    for call in (lambda: model.fit(wrong, Y[:3], verbose=0), lambda: model.train_on_batch(wrong, Y[:3]),
                 lambda: model.fit(wrong, Y, validation_data=(frame_of("pandas"), Y), verbose=0)):  # fmt: skip
        with pytest.raises(ValueError):
            call()
        assert model.feature_names is None
    model.fit(frame_of("pandas"), Y, validation_data=(frame_of("pandas"), Y), verbose=0)
    model.compile("adam", "mse")  # keeps the weights, and so what they are for
    with pytest.raises(ValueError, match="order of the first training"):
        model.fit(wrong, Y, verbose=0)


def test_they_can_be_set():
    model = small()
    model.feature_names = OTHER
    with pytest.raises(ValueError, match="order of the first training"):
        model.fit(frame_of("pandas"), Y, verbose=0)
    model.feature_names = None
    model.fit(frame_of("pandas"), Y, verbose=0)
    for wrong in ("age", 3, [1.5], [None]):
        with pytest.raises(TypeError, match=r"feature_names.*: expected"):
            model.feature_names = wrong
