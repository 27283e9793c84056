"""Models: what is refused while they are built, and when they change afterwards."""

import numpy as np
import pytest
from model_tools import LABELS, X, small

import fastnn
from fastnn.layers import Activation, Dense
from fastnn.models import Sequential


def test_what_is_not_a_layer_is_named_with_its_position():
    for wrong in ([Dense(2)], "relu", Dense, None):
        with pytest.raises(TypeError, match=r"layers\[1\]: expected a layer, got"):
            Sequential([Dense(1), wrong])


class Keras(fastnn.Model):
    """A subclassed model, as Keras has them."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(3)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("make, error, words", [
    (lambda: Sequential([Dense(1), fastnn.Input((2,))]), ValueError, "expected an Input only as the first"),
    (lambda: Sequential([a := Dense(1), a]), ValueError, "same layer as"),
    (lambda: Sequential([Dense(1, name="a"), Dense(1, name="a")]), ValueError, "distinct names"),
    (lambda: Sequential([Dense(1)], nme="x"), TypeError, "Did you mean 'name'"),
    (lambda: Sequential([Dense(1, dtype="float64", input_dim=2), Dense(1, dtype="float32")]), ValueError, "float64"),
    (lambda: Sequential([Dense(1)], dtype="float16"), ValueError, "'float32' or 'float64'"),
    (lambda: Sequential(Dense(1)), TypeError, "list of layers"),
    (lambda: small().compile("sgdd"), ValueError, "unknown optimizer 'sgdd'. Did you mean 'SGD'"),
    (lambda: small().compile("sgd", "msee"), ValueError, "unknown loss 'msee'.*MeanSquaredError"),
    (lambda: small().compile("sgd", "mse", metrics=["acuracy"]), ValueError, "unknown metric.*Did you mean 'accuracy'"),
    (lambda: small().compile("sgd", "mse", metric=["mae"]), TypeError, "Did you mean 'metrics'"),
    (lambda: small().fit(X, LABELS, epoch=3), TypeError, "Did you mean 'epochs'"),
    (lambda: small().fit(X, LABELS, 0), ValueError, "batch_size.*at least 1"),
    (lambda: small().predict(X, 0), ValueError, "batch_size.*at least 1"),
    (lambda: Sequential([Dense(1)]).fit(X, LABELS), ValueError, "compile"),
    (lambda: small(loss=None).fit(X, LABELS), ValueError, "without a loss"),
    (lambda: small().backward(np.ones((1, 4))), RuntimeError, "forward"),
    (lambda: fastnn.SGD(clipvalue=1.0, clipnorm=1.0), ValueError, "at most one of"),
    (lambda: fastnn.SGD(momentm=0.9), TypeError, "Did you mean 'momentum'"),
    (lambda: fastnn.Adam(beta_1=1.0), ValueError, "beta_1.*below 1"),
    (lambda: fastnn.SGD(clipnorm=0), ValueError, "clipnorm.*above 0"),
    (lambda: small().compile("mse", "adam"), ValueError, "loss: expected a loss, got the optimizer 'adam'; compile"),
    (lambda: Keras(), TypeError, "Keras: expected a subclass of Sequential, or fastnn.Model.*override `call` are not"),
    (lambda: fastnn.layers.Add()(X, X), TypeError, "expected one argument, several inputs as a list, got 2 arguments"),
])  # fmt: skip
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_short_forms_of_the_notes():
    assert fastnn.SGD(lr=1e-4).learning_rate == 1e-4
    assert fastnn.SGD(clipvalue=1.0).for_core()[2] == {"clipvalue": 1.0}
    assert Activation("ReLU").activation is fastnn.activations.relu


@pytest.mark.parametrize("stack, dtype", [
    ([fastnn.Input((4,)), Dense(2, dtype="float64")], "float64"),
    ([fastnn.Input((4,)), Dense(2)], "float32"),
    ([Dense(3), Dense(2, dtype="float64")], "float64"),
    ([Dense(3, dtype="float64"), fastnn.Sequential([Dense(2)])], "float64"),
])  # fmt: skip
def test_the_first_layer_that_says_so_decides_the_dtype(stack, dtype):
    model = fastnn.models.clone_model(Sequential(stack))
    model.compile("sgd", "mse")
    model.fit(np.ones((3, 4)), np.ones((3, 2)), verbose=0)
    assert {str(w.dtype) for w in model.get_weights()} == {model.dtype} == {dtype}


@pytest.mark.parametrize("stack", [
    lambda: [Dense(3, dtype="float32"), Dense(2, dtype="float64")],
    lambda: [Dense(3, input_shape=(4,)), Dense(2, dtype="float64")],
    lambda: [fastnn.Input((4,)), Dense(4), fastnn.layers.Residual([Dense(4, dtype="float64")])],
])  # fmt: skip
def test_two_dtypes_are_refused(stack):
    with pytest.raises(ValueError, match="dense.*: expected dtype float32 like the model, got float64"):
        Sequential(stack())


class Wide(fastnn.layers.Layer):
    """Says by `emit` alone what it does: 300 units, of which `compute_output_shape` knows nothing."""

    rows = 0

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1] + self.rows, 300), name="kernel", layout="kernel")

    def emit(self, graph, x):
        return graph.dense(x, self.kernel)


class TooTall(Wide):
    rows = 1

    def compute_output_shape(self, input_shape):
        return (None, 300)


def changed(change, *more):
    inner = fastnn.Sequential([fastnn.layers.Dense(6, input_shape=(3,)), fastnn.layers.Dense(5)])
    outer = fastnn.Sequential([inner, *more])
    change(inner)
    return outer


@pytest.mark.parametrize("made", [
    lambda: changed(lambda inner: inner.add(fastnn.layers.Dense(200))),
    lambda: changed(lambda inner: inner.pop(), fastnn.layers.Dense(2)),
    lambda: changed(lambda inner: inner.pop(), fastnn.layers.BatchNormalization()),
    lambda: changed(lambda inner: inner.pop(), fastnn.layers.LayerNormalization()),
    lambda: changed(lambda inner: inner.pop(), fastnn.layers.PReLU()),
    lambda: changed(lambda inner: inner.pop(), fastnn.layers.Residual([fastnn.layers.Activation("relu")],
                                                                     fastnn.layers.Dense(5))),
    lambda: fastnn.Sequential([Wide(input_shape=(3,))]),
    lambda: fastnn.Sequential([TooTall(input_shape=(3,))]),
])  # fmt: skip
def test_layers_that_no_longer_fit_are_refused(made):
    """Before any kernel reads past the end of a weight."""
    model = made()
    model.compile("sgd", "mse")
    x = np.ones((4, 3))
    for call in (lambda: model.predict(x, verbose=0), lambda: model.fit(x, np.ones((4, 5)), verbose=0)):
        with pytest.raises(ValueError, match="expected|made for"):
            call()


def test_nothing_is_assigned_if_one_array_is_wrong():
    model = small()
    before = model.get_weights()
    with pytest.raises(TypeError, match=r"weights\[1\].*expected numbers"):
        model.set_weights([before[0] + 1, np.zeros(before[1].shape, "V4"), *before[2:]])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_step_by_hand_after_a_forward_that_failed():
    class Fails(fastnn.layers.Layer):
        fail = False

        def call(self, x, training=False):
            if self.fail:
                raise RuntimeError("on the way")
            return x

        def backward(self, dy):
            return dy

    layer = Fails()
    model = Sequential([Dense(2, input_shape=(2,)), layer])
    model.compile("sgd")
    x = np.ones((4, 2))
    model.forward(x, training=True)
    layer.fail = True
    with pytest.raises(RuntimeError, match="on the way"):
        model.forward(x, training=True)
    with pytest.raises(RuntimeError, match="call of forward"):
        model.backward(x)
