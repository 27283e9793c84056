"""Layers: shapes, weights, names, configuration, and what NumPy says they compute."""

import numpy as np
import pytest
import reference
from layer_cases import CASES

import fastnn
from fastnn import activations, layers
from fastnn._core import kernels
from fastnn.layers import (
    ELU,
    BatchNormalization,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    LayerNormalization,
    LeakyReLU,
    Maxout,
    Normalization,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    RReLU,
    Softmax,
)

RNG = np.random.default_rng(0)


def run(layer, x, training=False):
    model = fastnn.Sequential([fastnn.Input(x.shape[1:]), layer], dtype="float64")
    return model.forward(x, training)


@pytest.mark.parametrize("layer, shape, expected", CASES, ids=lambda v: getattr(v, "name", ""))
def test_computes(layer, shape, expected):
    layer = layers.from_description(layer.describe())  # other tests read the case: it is built in no model
    x = RNG.normal(size=(11, *shape))
    model = fastnn.Sequential([fastnn.Input(shape), layer], dtype="float64")
    model.set_weights([RNG.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(y, expected(x, model.get_weights()), rtol=1e-12, atol=1e-13)
    assert layer.output_shape == (None, *y.shape[1:]) and layer.input_shape == (None, *shape)


@pytest.mark.parametrize("layer, shape, expected", CASES, ids=lambda v: getattr(v, "name", ""))
def test_configuration_gives_the_same_layer(layer, shape, expected):
    again = layers.from_description(layer.describe())
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_every_layer_has_a_case():
    tested = {type(layer).__name__ for layer, _, _ in CASES}
    # those of several inputs: models/test_functional.py, test_arranging.py; of integers: test_embedding.py
    tested |= {"Add", "Average", "Concatenate", "Divide", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}
    tested |= {"Embedding"}
    tested |= {"RNN"}  # layers/test_masking_and_directions.py
    assert tested | {"Layer", "InputLayer", "Input"} == {name for name in layers.__all__ if not name.islower()}


def test_default_names_are_those_of_keras():
    for make, base in ((lambda: Dense(1), "dense"), (ReLU, "re_lu"), (LeakyReLU, "leaky_re_lu"),
                       (BatchNormalization, "batch_normalization"), (ELU, "elu")):  # fmt: skip
        first, second = make().name, make().name
        assert first.startswith(base) and second.startswith(base + "_") and first != second


def test_batch_normalization_weights():
    layer = BatchNormalization(momentum=0.9, input_shape=(3,))
    model = fastnn.Sequential([layer], dtype="float64")
    assert [w.name.split("/")[1] for w in layer.weights] == [
        "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip
    assert len(layer.trainable_weights) == 2 and len(layer.non_trainable_weights) == 2
    x = RNG.normal(2.0, 3.0, size=(50, 3))
    model.compile("sgd")
    y = model.forward(x, training=True)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), x.var(0) / (x.var(0) + 1e-3), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * x.var(0), rtol=1e-12)


def test_batch_normalization_without_center_or_scale():
    for options, n in (({"center": False}, 3), ({"scale": False}, 3),
                       ({"center": False, "scale": False}, 2)):  # fmt: skip
        model = fastnn.Sequential([BatchNormalization(**options, input_shape=(4,))])
        assert len(model.get_weights()) == n
        assert model.predict(np.ones((2, 4)), verbose=0).shape == (2, 4)


def test_frozen_batch_normalization_is_inference():
    layer = BatchNormalization(input_shape=(3,))
    model = fastnn.Sequential([layer], dtype="float64")
    layer.trainable = False
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 4
    x = RNG.normal(5.0, 1.0, size=(20, 3))
    np.testing.assert_allclose(model.forward(x, training=True), x / np.sqrt(1 + 1e-3), rtol=1e-12)
    assert (layer.moving_mean.numpy() == 0).all()


def test_dropout_share_and_scale():
    x = np.ones((400, 100))
    y = run(Dropout(0.25, seed=1), x, training=True)
    assert set(np.unique(y.round(12))) == {0.0, round(1 / 0.75, 12)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(run(Dropout(0.25), x), x)
    np.testing.assert_array_equal(run(Dropout(0.0), x, training=True), x)


def test_activation_names_and_functions():
    assert activations.get("Leaky_ReLU") is activations.leaky_relu
    assert activations.get(None) is activations.linear
    assert Dense(2, activations.elu).activation is activations.elu
    assert Dense(2, "leaky_relu").activation.parameters == {"negative_slope": 0.2}
    assert LeakyReLU().function.parameters == {"negative_slope": 0.3}
    for name in activations.names():
        assert activations.get(activations.get(name).describe()) == activations.get(name)


def test_activation_functions_on_arrays():
    ops = pytest.importorskip("fastnn.ops")
    x = np.array([-2.0, -0.5, 0.0, 1.0, 8.0])
    np.testing.assert_allclose(activations.relu(x, max_value=6.0), np.clip(x, 0, 6))
    np.testing.assert_allclose(activations.elu(x, alpha=2.0), np.where(x > 0, x, 2 * np.expm1(x)))
    np.testing.assert_allclose(activations.softmax(x[None]), reference.softmax(x[None]))
    assert activations.tanh(x.astype("f4")).dtype == np.float32 and ops


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: Dense(0), ValueError, "units.*at least 1"),
        (lambda: Dense(2.5), TypeError, "units.*integer"),
        (lambda: Dense(2, "relo"), ValueError, "unknown activation 'relo'. Did you mean 'relu'"),
        (lambda: Dense(2, lambda x: x), TypeError, "derivative"),
        (lambda: Dense(2, activaton="relu"), TypeError, "Did you mean 'activation'"),
        (lambda: Dropout(1.0), ValueError, "rate.*below 1"),
        (lambda: BatchNormalization(epsilon=0), ValueError, "epsilon.*above 0"),
        (lambda: BatchNormalization(axis=2), ValueError, "axis"),
        (lambda: ELU(-1), ValueError, "alpha.*at least 0"),
        (lambda: ReLU(negative_slope=-0.1), ValueError, "negative_slope.*at least 0"),
        (lambda: ReLU(max_value=-1), ValueError, "max_value.*at least 0"),
        (lambda: GaussianNoise(-1), ValueError, "stddev.*at least 0"),
        (lambda: GaussianDropout(0.1, sed=1), TypeError, "Did you mean 'seed'"),
        (lambda: RReLU(0.5, 0.1), ValueError, "upper.*at least 0.5"),
        (lambda: RReLU(seed=-1), ValueError, "seed"),
        (lambda: LayerNormalization(0, input_shape=(3,)).build((None, 3)), ValueError, "axis.*other than 0"),
        (lambda: LayerNormalization(1).build((None, 3, 4)), ValueError, r"axis: expected the last.*\(3, 4\)"),
        (lambda: PReLU(shared_axes=[1, 1]).build((None, 3)), ValueError, "shared_axes.*distinct"),
        (lambda: Softmax(axis=1).build((None, 3, 4)), ValueError, r"axis.*last axis, -1 or 2.*\(3, 4\), got 1"),
        (lambda: Maxout(3, 0), ValueError, "k.*at least 1"),
        (lambda: Normalization(mean=1.0), ValueError, "mean, variance: expected both"),
        (lambda: Normalization(mean=[1, 2], variance=[1, 2]).build((None, 3)), ValueError, r"mean.*\(3,\).*\(2,\)"),
        (lambda: Normalization().adapt(np.ones((0, 3))), ValueError, "at least one sample"),
        (lambda: Residual([Dense(3)]).ensure_built((4,)), ValueError, r"\(3,\).*\(4,\).*shortcut"),
        (lambda: Residual(Dense(3)), TypeError, "list of layers"),
        (lambda: Residual([3]), TypeError, r"layers\[0\]: expected a layer"),
        (lambda: LeakyReLU(slope=0.1), TypeError, "negative_slope"),
        (lambda: Reshape((-1, -1)), ValueError, "at most one -1"),
        (lambda: Dense(2, input_shape=(0,)), ValueError, "at least 1"),
        (lambda: Dense(2).count_params(), ValueError, "expected a built layer"),
        (lambda: Dense(1, "sigmoid").compile, AttributeError, "Dense layer, not a model; use model.add"),
        (lambda: Dense(1).unit, AttributeError, "Did you mean"),
        (lambda: layers.BatchNoralization, AttributeError, "Did you mean 'BatchNormalization'"),
    ],
)  # fmt: skip
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("layer", [BatchNormalization(), Maxout(2)])
def test_input_that_is_not_flat(layer):
    with pytest.raises(ValueError, match=r"flat input.*\(28, 28\).*Flatten"):
        fastnn.Sequential([fastnn.Input((28, 28)), layer])


def test_reshape_shows_both_shapes():
    with pytest.raises(ValueError, match=r"\(5,\).*\(2, 3\)"):
        fastnn.Sequential([fastnn.Input((5,)), Reshape((2, 3))])


class Scale(layers.Layer):
    """y = x * factor, in NumPy."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        constant = fastnn.initializers.Constant(self.start)
        self.factor = self.add_weight(input_shape[1:], constant, name="factor")

    def call(self, x, training):
        self.x = x
        return x * self.factor.numpy()

    def backward(self, dy):
        self.grads = [(dy * self.x).sum(axis=0)]
        return dy * self.factor.numpy()


def test_a_layer_in_numpy_trains_like_the_same_in_the_core():
    """x * factor before a Dense is the Dense with scaled rows: gradients by the chain rule."""
    model = fastnn.Sequential([Scale(2.0, input_shape=(3,)), Dense(2)], dtype="float64")
    model.compile("sgd")
    x, dy = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
    kernel = model.get_weights()[1]
    np.testing.assert_allclose(model.forward(x, training=True), 2 * x @ kernel, rtol=1e-12)
    dx = model.backward(dy)
    np.testing.assert_allclose(dx, dy @ kernel.T * 2, rtol=1e-12)
    by_factor, by_kernel, by_bias = model.gradients()
    np.testing.assert_allclose(by_factor, (dy @ kernel.T * x).sum(0), rtol=1e-12)
    np.testing.assert_allclose(by_kernel, (2 * x).T @ dy, rtol=1e-12)
    np.testing.assert_allclose(by_bias, dy.sum(0), rtol=1e-12)
    clone = fastnn.models.clone_model(model)
    assert clone.layers[0].start == 2.0 and clone.layers[0] is not model.layers[0]


@pytest.mark.parametrize("features", [3, 16, 20])
def test_gradients_of_a_layer_in_numpy_have_the_shapes_of_its_weights(features):
    class Forgotten(Scale):
        def backward(self, dy):
            result = super().backward(dy)
            self.grads = [dy * self.x]  # not summed over the samples
            return result

    model = fastnn.Sequential([Forgotten(2.0, input_shape=(features,)), Dense(2)])
    model.compile("sgd", "mse")
    message = rf"gradients\(\): expected shape \({features},\) for .*factor, got \(6, {features}\)"
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(RNG.normal(size=(6, features)), RNG.normal(size=(6, 2)))


def test_a_layer_without_super_init_says_so():
    class Bad(layers.Layer):
        def __init__(self):
            self.rate = 1

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        fastnn.Sequential([Bad()])


def test_two_names_of_one_argument():
    with pytest.raises(TypeError, match="alpha, negative_slope: expected one of the two"):
        layers.LeakyReLU(0.1, alpha=0.5)
    with pytest.raises(TypeError, match="negative_slope: expected a number"):
        layers.LeakyReLU(None)
    with pytest.raises(TypeError, match="lr, learning_rate: expected one of the two"):
        fastnn.SGD(learning_rate=0.1, lr=0.2)
    assert fastnn.SGD(lr=0.2).learning_rate == 0.2


def test_parameters_whose_derivative_would_be_wrong():
    """Those of which a row of the kernels has the least value."""
    least = kernels.least_of_activations()
    assert {("elu", "alpha"), ("squareplus", "b")} <= set(least)
    for (row, name), low in least.items():
        function = activations.get(row.removesuffix("_general"))
        assert function.using(**{name: low}).parameters[name] == low
        with pytest.raises(ValueError, match=rf"^{name}: expected a finite number of at least {low:g}, got"):
            function.using(**{name: low - 1.0})
