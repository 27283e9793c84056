"""Custom layers, losses and metrics in files: by their names, with and without custom_objects."""

import pickle

import numpy as np
import pytest
from saving_tools import X, same, tiny

import fastnn
from fastnn import layers
from fastnn.layers import Dense
from fastnn.models import Sequential, load_model
from fastnn.saving import FormatError


class Twice(layers.Layer):
    """A layer in NumPy."""

    def call(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def quartic(y_true, y_pred):
    difference = y_pred - y_true
    return (difference**4).sum(axis=-1), 4 * difference**3


def largest(y_true, y_pred):
    return np.abs(y_pred - y_true).max(axis=-1)


def test_custom_objects(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,)), Twice()])
    model.compile("sgd", quartic, metrics=[largest], seed=1)
    model.fit(X[:, :3], X[:, :2], verbose=0)
    model.save(tmp_path / "m")
    own = {"Twice": Twice, "quartic": quartic, "largest": largest}
    again = load_model(tmp_path / "m", custom_objects=own)
    for m in (model, again):
        m.fit(X[:, :3], X[:, :2], verbose=0)
    assert same(model, again) and isinstance(again.layers[1], Twice)
    for name in own:
        with pytest.raises(FormatError, match=f"'{name}'.*custom_objects"):
            load_model(tmp_path / "m", custom_objects={k: v for k, v in own.items() if k != name})
    with pytest.raises(TypeError, match="custom_objects: expected a dict"):
        load_model(tmp_path / "m", custom_objects=[Twice])
    assert same(pickle.loads(pickle.dumps(model)), model)  # noqa: S301


def test_a_function_without_a_name(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,), kernel_initializer=lambda shape, dtype: np.ones(shape, dtype))])
    with pytest.raises(TypeError, match="expected a function with a name.*lambda.*save_weights"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "w")


def test_metrics_that_are_functions(tmp_path):
    def far(t, p):
        return abs(t - p).max(axis=1)

    ours = [fastnn.metrics.mean_absolute_error, fastnn.losses.huber, fastnn.metrics.RootMeanSquaredError]
    own = [fastnn.metrics.PythonMetric(far, name="foo"), fastnn.metrics.PythonMetric(far, name="bar"), far]
    model = Sequential([Dense(2, input_shape=(7,))])
    model.compile("sgd", "mse", metrics=[*ours, *own], weight_decay=0.25)
    model.fit(X, X[:, :2], verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"far": far})
    assert loaded.weight_decay == 0.25
    assert loaded.evaluate(X, X[:, :2], verbose=0, return_dict=True) == model.evaluate(
        X, X[:, :2], verbose=0, return_dict=True
    )
    assert list(loaded.metrics_names) == list(model.metrics_names)


def test_a_class_may_call_itself_as_it_likes(tmp_path):
    class By(layers.Layer):
        def __init__(this, by=2.0, **kwargs):  # noqa: N805
            super().__init__(**kwargs)
            this.by = by

        def call(self, x, training):
            return x * self.by

    model = Sequential([By(3.0, input_shape=(7,))])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m", custom_objects={"By": By}).layers[0].by == 3.0


@pytest.mark.parametrize("function", [fastnn.losses.mean_squared_error, fastnn.metrics.binary_accuracy])
def test_a_metric_of_ours_under_another_name_comes_back(tmp_path, function):
    model = tiny()
    model.compile("sgd", "mse", metrics=[fastnn.metrics.PythonMetric(function, "other")])
    x, y = np.ones((4, *model.in_shape)), np.ones((4, *model.out_shape))
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").evaluate(x, y, verbose=0, return_dict=True) == expected
