"""Attributes of layers that are set later: checked as by the constructor, and what counts from the next step on."""

import copy
import inspect

import numpy as np
import pytest
import reference as ref

import fastnn
from fastnn import layers

X = np.random.default_rng(0).normal(size=(16, 4))


def model(*stack, **options):
    made = fastnn.Sequential([layers.Input((4,)), *stack], dtype="float64")
    made.compile(fastnn.SGD(0.0), "mse", seed=1, **options)
    made.fit(X, np.zeros((16, *made.out_shape)), verbose=0)  # planned, and in use
    return made


@pytest.mark.parametrize("name", [None, "linear", "tanh", "sigmoid", "softmax", "elu"])
@pytest.mark.parametrize("where", ["dense", "layer"])
def test_activation(name, where):
    stack = [layers.Dense(3, "relu")] if where == "dense" else [layers.Dense(3), layers.Activation("relu")]
    made = model(*stack)
    kernel, bias = made.get_weights()
    z = X @ kernel + bias
    np.testing.assert_allclose(made.predict(X, verbose=0), np.maximum(z, 0), rtol=1e-12, atol=1e-14)
    made.layers[-1].activation = name
    right = ref.softmax(z) if name == "softmax" else ref.activation(name or "linear", z)
    np.testing.assert_allclose(made.predict(X, verbose=0), right, rtol=1e-12, atol=1e-14)
    made.fit(X, np.zeros((16, 3)), verbose=0)
    np.testing.assert_allclose(made.evaluate(X, np.zeros((16, 3)), verbose=0), (right**2).mean(), rtol=1e-12)
    made.train_on_batch(X, np.zeros((16, 3)))
    made.layers[-1].activation = "relu"
    np.testing.assert_allclose(made.train_on_batch(X, np.zeros((16, 3))), (np.maximum(z, 0) ** 2).mean(), rtol=1e-12)


def test_parameters_of_activations():
    made = model(layers.LeakyReLU(0.5), layers.ReLU(), layers.ELU())
    made.layers[0].negative_slope, made.layers[1].negative_slope, made.layers[1].max_value = 0.25, 0.1, 1.0
    made.layers[2].alpha = 2.0
    z = np.where(X > 0, np.minimum(X, 1), X * 0.025)
    np.testing.assert_allclose(made.predict(X, verbose=0), np.where(z > 0, z, 2 * np.expm1(z)), rtol=1e-12)


@pytest.mark.parametrize("cls", [layers.Dropout, layers.GaussianDropout, layers.AlphaDropout])
def test_rate(cls):
    made = model(cls(0.5))
    assert (made.forward(X, training=True) != X).any()
    made.layers[0].rate = 0.0
    np.testing.assert_array_equal(made.forward(X, training=True), X)


def test_a_rate_that_a_callback_changes():
    """The mask is that of a model which had the rate from the start."""

    class Falling(fastnn.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].rate = 0.8 if epoch == 0 else 0.1

    losses = []
    for callbacks, rate in (([Falling()], 0.3), ([], 0.8), ([], 0.1)):
        made = fastnn.Sequential([layers.Dropout(rate, input_shape=(4,))])
        made.compile("sgd", "mse", seed=1)
        history = made.fit(X, np.zeros((16, 4)), epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        losses.append(history.history["loss"])
    assert losses[0] == [losses[1][0], losses[2][1]]
    assert losses[1][1] != losses[2][1]


def test_numbers_of_other_layers():
    made = model(layers.Rescaling(2.0), layers.GaussianNoise(0.5))
    made.layers[0].scale, made.layers[0].offset, made.layers[1].stddev = 3.0, 1.0, 0
    np.testing.assert_allclose(made.forward(X, training=True), 3 * X + 1, rtol=1e-14)
    made = model(layers.BatchNormalization(), layers.LayerNormalization())
    made.layers[0].epsilon, made.layers[1].epsilon = 0.5, 0.25
    gamma, beta, gamma2, beta2 = (w.numpy() for layer in made.layers for w in layer.trainable_weights)
    mean, variance = (w.numpy() for w in made.layers[0].non_trainable_weights)
    z = (X - mean) / np.sqrt(variance + 0.5) * gamma + beta
    y = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 0.25) * gamma2 + beta2
    np.testing.assert_allclose(made.predict(X, verbose=0), y, rtol=1e-10, atol=1e-12)


def test_regularizers_and_constraints_reach_the_weights():
    made = model(layers.Dense(3, use_bias=False))
    layer = made.layers[0]
    before = made.evaluate(X, np.zeros((16, 3)), verbose=0)
    layer.kernel_regularizer, layer.activity_regularizer = "l2", fastnn.regularizers.L1(0.5)
    y, w = X @ layer.kernel.numpy(), layer.kernel.numpy()
    right = before + 0.01 * (w**2).sum() + 0.5 * abs(y).sum() / 16
    np.testing.assert_allclose(made.evaluate(X, np.zeros((16, 3)), verbose=0), right, rtol=1e-12)
    layer.kernel_regularizer = layer.activity_regularizer = None
    np.testing.assert_allclose(made.evaluate(X, np.zeros((16, 3)), verbose=0), before, rtol=1e-12)
    layer.kernel_constraint = fastnn.constraints.NonNeg()
    made.fit(X, np.zeros((16, 3)), verbose=0)
    np.testing.assert_allclose(layer.kernel.numpy(), np.maximum(w, 0), rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "name", "value", "message"),
    [
        (layers.Dense(3), "units", 4, "units of .*: expected 3, for which the layer was built, got 4"),
        (layers.Dense(3), "use_bias", False, "use_bias of .*: expected True"),
        (layers.Dense(3), "use_bias", "no", "use_bias: expected True or False"),
        (layers.Dense(3), "activation", "foo", "unknown activation 'foo'"),
        (layers.Dense(3), "activation", np.tanh, "activation: expected a name"),
        (layers.Dense(3), "kernel_regularizer", "l3", "unknown regularizer"),
        (layers.Dense(3), "activity_regularizer", "orthogonal_regularizer", "activity_regularizer: expected L1"),
        (layers.Dense(3), "kernel_initializer", "zeroes", "unknown initializer"),
        (layers.Maxout(3), "k", 3, "k of .*: expected 2"),
        (layers.BatchNormalization(), "momentum", 2, "momentum: expected a finite number"),
        (layers.BatchNormalization(), "scale", False, "scale of .*: expected True"),
        (layers.LayerNormalization(), "axis", 0, "axis of .*: expected -1"),
        (layers.Dropout(0.5), "rate", 1.0, "rate: expected a finite number of at least 0 and below 1|rate: expected"),
        (layers.Dropout(0.5), "seed", -1, "seed"),
        (layers.AlphaDropout(0.5), "noise_shape", 3, "noise_shape: expected the shape of a batch"),
        (layers.GaussianNoise(0.5), "stddev", -1, "stddev: expected"),
        (layers.ReLU(), "max_value", -1, "max_value: expected"),
        (layers.ELU(), "alpha", "x", "alpha: expected a number"),
        (layers.Rescaling(2.0), "scale", "x", "scale: expected a number"),
        (layers.PReLU(), "alpha_constraint", "x", "unknown constraint"),
        (layers.PReLU(), "shared_axes", 1, "shared_axes of .*: expected None"),
        (layers.Reshape((2, 2)), "target_shape", (4,), r"target_shape of .*: expected \(2, 2\)"),
        (layers.ActivityRegularization(0.1), "l1", -1, "l1: expected"),
        (layers.Normalization(), "axis", None, "axis of .*: expected -1"),
        (layers.Normalization(), "invert", "no", "invert: expected True or False"),
    ],
    ids=lambda v: v if isinstance(v, str) and v.isidentifier() else "",
)
def test_wrong_values(layer, name, value, message):
    made = model(layer)
    before, result = getattr(layer, name), made.predict(X, verbose=0)
    with pytest.raises((TypeError, ValueError), match=message):
        setattr(layer, name, value)
    assert getattr(layer, name) == before
    np.testing.assert_array_equal(made.predict(X, verbose=0), result)
    setattr(layer, name, before)  # the value that it has is no change
    np.testing.assert_array_equal(made.predict(X, verbose=0), result)


def test_every_argument_is_checked_or_named_here():
    """What is kept as it comes has a reason: a name or a dtype is no setting, parts of a layer are layers."""
    kept = {"name", "dtype", "trainable", "input_shape", "kwargs", "self",  # of every layer; see `Layer`
            "shape", "batch_size", "batch_shape",  # of InputLayer, which computes nothing
            "mean", "variance",  # of Normalization: read-only
            "layers", "shortcut", "layer", "backward_layer", "cell"}  # fmt: skip
    looked_at = 0
    for name in layers.__all__:
        cls = getattr(layers, name)
        if not isinstance(cls, type):
            continue
        for argument in inspect.signature(cls).parameters:
            if argument in kept or argument in cls.without_effect:
                continue
            looked_at += 1
            assert hasattr(inspect.getattr_static(cls, argument, None), "__set__"), f"{name}.{argument}"
    assert looked_at > 60


def test_what_weights_depend_on_is_free_before_they_are_made():
    layer = layers.Dense(3)
    layer.units, layer.use_bias, layer.activation = 5, False, "relu"
    made = fastnn.Sequential([layers.Input((4,)), layer])
    assert made.output_shape == (None, 5) and len(made.weights) == 1
    assert layer.get_config()["units"] == 5 and layer.get_config()["activation"] == "relu"


def test_copies_and_files_have_what_was_set(tmp_path):
    made = model(layers.Dense(3), layers.Dropout(0.5))
    made.layers[0].activation, made.layers[1].rate = "tanh", 0.25
    made.save(tmp_path / "m")
    for other in (copy.deepcopy(made), fastnn.models.load_model(tmp_path / "m"), fastnn.models.clone_model(made)):
        assert other.layers[0].activation == fastnn.activations.tanh and other.layers[1].rate == 0.25
    right = made.predict(X, verbose=0)
    np.testing.assert_array_equal(copy.deepcopy(made).predict(X, verbose=0), right)
