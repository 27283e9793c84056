"""Shapes that `build` and `compute_output_shape` get begin with the batch, as in Keras; so do those they return."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.layers import Dense, Flatten

ROWS = [None, 32]


def stack():
    return fastnn.Sequential([Flatten(), Dense(10)])


@pytest.mark.parametrize("rows", ROWS)
def test_build_counts_the_batch_first(rows):
    """784 inputs of 10 units and their biases: 7,850, as Keras has it; not those of 32 * 784 inputs."""
    model = stack()
    model.build((rows, 28, 28))
    assert model.count_params() == 784 * 10 + 10 == 7850
    assert model.input_shape == (rows, 28, 28) and model.output_shape == (rows, 10)
    assert [layer.output_shape for layer in model.layers] == [(rows, 784), (rows, 10)]
    lines = []
    model.summary(print_fn=lines.append)
    assert f"({rows}, 784)" in "\n".join(lines) and f"({rows}, 10)" in "\n".join(lines)
    assert model.predict(np.zeros((5, 28, 28)), verbose=0).shape == (5, 10)  # any number of rows


def test_build_asks_the_first_layer():
    model = fastnn.Sequential([layers.Input((3,), batch_size=8), Dense(2)])
    model.build()
    assert model.input_shape == (8, 3)
    with pytest.raises(ValueError, match=r"^input_shape: expected the shape of a batch.*got None"):
        stack().build()


@pytest.mark.parametrize("wrong", [(784,), [784], (None,), (), 784, "784", None], ids=repr)
def test_shapes_without_a_batch(wrong):
    for made in (stack(), Dense(3), layers.BatchNormalization(), layers.Dropout(0.5)):
        with pytest.raises(ValueError, match="^input_shape: expected the shape of a batch, batch size first"):
            made.build(wrong)


@pytest.mark.parametrize("wrong", [(None, None), (None, 0), (0, 3), (None, 2.5), (None, "a"), (-1, 3)], ids=repr)
def test_shapes_of_no_integers(wrong):
    for made in (fastnn.Sequential([Dense(1)]), Dense(1)):
        with pytest.raises((TypeError, ValueError), match=r"^input_shape\["):
            made.build(wrong)


# layer, shape of a batch, shape of the result, shapes of the weights: all as Keras 3 has them
KERAS = {
    "Dense": (lambda ns: ns.Dense(4), (7, 3), (7, 4), [(3, 4), (4,)]),
    "Flatten": (lambda ns: ns.Flatten(), (7, 3, 4), (7, 12), []),
    "Reshape": (lambda ns: ns.Reshape((4, -1)), (7, 12), (7, 4, 3), []),
    "BatchNormalization": (lambda ns: ns.BatchNormalization(), (7, 3), (7, 3), [(3,)] * 4),
    "LayerNormalization": (lambda ns: ns.LayerNormalization([1, 2]), (7, 3, 4), (7, 3, 4), [(3, 4)] * 2),
    "PReLU": (lambda ns: ns.PReLU(shared_axes=[1]), (7, 3, 4), (7, 3, 4), [(1, 4)]),
    "Softmax": (lambda ns: ns.Softmax(2), (7, 3, 4), (7, 3, 4), []),
    "Dropout": (lambda ns: ns.Dropout(0.5), (7, 3), (7, 3), []),
}


@pytest.mark.parametrize("rows", [None, 7])
@pytest.mark.parametrize(("make", "given", "result", "weights"), KERAS.values(), ids=KERAS)
def test_layers(make, given, result, weights, rows):
    layer, given, result = make(layers), (rows, *given[1:]), (rows, *result[1:])
    assert layer.compute_output_shape(given) == result
    layer.build(given)
    assert layer.built and [w.shape for w in layer.weights] == weights
    assert layer.input_shape == given and layer.output_shape == result
    before = layer.weights
    layer.build(given)  # again: nothing
    assert [a is b for a, b in zip(layer.weights, before, strict=True)] == [True] * len(weights)
    model = fastnn.Sequential([layer])  # nor when a model takes it
    assert model.compute_output_shape(given) == result and len(model.weights) == len(weights)
    if weights:
        with pytest.raises(ValueError, match="expected inputs of shape .* for which it was built"):
            layer.build((None, 9))


@pytest.mark.parametrize("rows", [None, 7])
@pytest.mark.parametrize(("make", "given", "result", "weights"), KERAS.values(), ids=KERAS)
def test_layers_of_keras(make, given, result, weights, rows):
    keras = pytest.importorskip("keras")
    layer, given = make(keras.layers), (rows, *given[1:])
    layer.build(given)
    assert [tuple(w.shape) for w in layer.weights if w.dtype == "float32"] == weights
    assert layer.compute_output_shape(given) == (rows, *result[1:])


def test_residual():
    block = layers.Residual([Dense(3, "relu"), Dense(3)])
    assert block.compute_output_shape((None, 3)) == (None, 3)
    block.build((None, 3))
    assert block.count_params() == 2 * (9 + 3)


class Scale(fastnn.layers.Layer):
    """Written as for Keras."""

    seen = ()

    def build(self, input_shape):
        self.seen = (*self.seen, input_shape)
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def compute_output_shape(self, input_shape):
        assert input_shape == (None, 3)
        return input_shape

    def call(self, x, training):
        self.x = x
        return x * self.factor.numpy()

    def backward(self, dy):
        self.grads = [(dy * self.x).sum(axis=0)]
        return dy * self.factor.numpy()


class Wider(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.more = self.add_weight(trainable=False, initializer="zeros", name="more")


@pytest.mark.parametrize("cls", [Scale, Wider])
def test_layers_of_your_own(cls):
    layer = cls()
    model = fastnn.Sequential([layer, Dense(2)])
    model.build((None, 3))
    assert layer.seen == ((None, 3),) and layer.factor.shape == (3,)
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
    assert len(layer.seen) == 1 and len(layer.weights) == 1 + (cls is Wider)


def test_a_weight_of_the_shape_of_a_batch():
    class Wrong(Scale):
        def build(self, input_shape):
            self.add_weight(input_shape)

    with pytest.raises(ValueError, match=r"^shape: expected integers, got \(None, 3\).*input_shape\[1:\]"):
        Wrong().build((None, 3))
    with pytest.raises(TypeError, match="^shape: expected a shape.*name='kernel'"):
        Scale().add_weight("kernel")


def test_input():
    model = fastnn.Sequential([fastnn.Input(batch_shape=(16, 3)), Dense(2)])
    assert model.input_shape == (16, 3) and model.output_shape == (16, 2)
    again = fastnn.Sequential.from_config(model.get_config())
    assert again.output_shape == (16, 2)
    assert fastnn.models.clone_model(model).output_shape == (16, 2)
    assert fastnn.Sequential([Dense(2, batch_input_shape=(16, 3))]).output_shape == (16, 2)
    assert fastnn.Sequential([fastnn.Input((3,)), Dense(2)]).output_shape == (None, 2)
    for wrong in ({}, {"shape": (3,), "batch_shape": (None, 3)}, {"batch_size": 4, "batch_shape": (None, 3)}):
        with pytest.raises(TypeError, match="^Input: expected either"):
            fastnn.Input(**wrong)
    with pytest.raises(ValueError, match=r"^batch_shape: expected the shape of a batch.*\(None, 3\), got \(3,\)"):
        fastnn.Input(batch_shape=(3,))
    with pytest.raises(ValueError, match="^dtype: expected a numeric dtype.*got 'string'"):
        fastnn.Input((3,), dtype="string")
    assert fastnn.Input((3,), dtype="uint8").get_config()["dtype"] == "uint8"


def test_a_model_within_a_model():
    inner = fastnn.Sequential([Dense(4)])
    model = fastnn.Sequential([Flatten(), inner])
    model.build((8, 2, 3))
    assert inner.output_shape == (8, 4) and inner.weights[0].shape == (6, 4)
    again = fastnn.Sequential.from_config(model.get_config())
    assert again.output_shape == (8, 4)


def test_files_keep_it(tmp_path):
    model = stack()
    model.build((32, 28, 28))
    model.save(tmp_path / "m")
    assert fastnn.models.load_model(tmp_path / "m").output_shape == (32, 10)
