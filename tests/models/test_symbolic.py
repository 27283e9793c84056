"""Symbolic tensors: operators, functions that join them, and those of the layers of a model."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.layers import Concatenate, Dense, Input

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(2, 7, 4))


def value(make):
    """What a function of two symbolic tensors computes."""
    a, b = Input((4,)), Input((4,))
    return fastnn.Model([a, b], make(a, b), dtype="float64").predict([A, B], verbose=0)


@pytest.mark.parametrize("function", [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a + 2 - b, lambda a, b: 2 + a * b,
    lambda a, b: 3 - a + b, lambda a, b: a - 3 - b, lambda a, b: 2 * a + b * 5, lambda a, b: a / 4 - b,
    lambda a, b: -a - b, lambda a, b: (a - b) * (a + b) / 2, lambda a, b: a * np.float64(0.5) + b,
])  # fmt: skip
def test_operators_agree_with_numpy(function):
    np.testing.assert_allclose(value(function), function(A, B), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name, expected", [
    ("add", A + B), ("subtract", A - B), ("multiply", A * B), ("average", (A + B) / 2),
    ("concatenate", np.hstack([A, B])), ("maximum", np.maximum(A, B)), ("minimum", np.minimum(A, B)),
    ("divide", A / B),
])  # fmt: skip
def test_functions_are_the_layers(name, expected):
    np.testing.assert_allclose(value(lambda a, b: getattr(layers, name)([a, b])), expected, rtol=1e-14)
    x = Input((2, 3))
    named = getattr(layers, name)([x, x], name="it")
    assert named.name == "it" and type(named.call.layer).__name__.lower() == name


def test_concatenate_takes_an_axis():
    x = Input((2, 3))
    assert layers.concatenate([x, x], axis=1).shape == (None, 4, 3)
    assert layers.concatenate([x, x]).shape == (None, 2, 6)


@pytest.mark.parametrize("make, error", [
    (lambda x: x + "a", TypeError), (lambda x: "a" / x, TypeError), (lambda x: np.ones(3) / x, TypeError),
    (lambda x: x * True, TypeError), (lambda x: x + np.ones(3), TypeError), (lambda x: x / 0, ZeroDivisionError),
    (lambda x: x + Input((4,)), ValueError), (lambda x: x / Input((4,)), ValueError),
])  # fmt: skip
def test_what_is_no_operation(make, error):
    for x in (Input((3,)), Dense(3)(Input((2,)))):
        with pytest.raises(error):
            make(x)


def features(of="hidden"):
    x = Input((4,), name="x")
    h = Dense(3, "tanh", name="hidden")(x)
    both = Concatenate(name="both")([h, x])
    return x, h, both, fastnn.Model(x, Dense(2, name="last")(both), dtype="float64")


def test_tensors_of_a_model_are_those_it_was_made_of():
    x, h, both, model = features()
    assert model.input == x.tensor_of() and model.inputs == [x.tensor_of()] and model.output == model.outputs[0]
    assert model.get_layer("hidden").output == h == model.get_layer("both").input[0]
    assert model.get_layer("both").output == both == model.get_layer("last").input
    assert model.get_layer("x").input == model.get_layer("x").output == model.input
    inner = fastnn.Model(model.input, [h, model.get_layer("hidden").output, model.output])
    assert [layer.name for layer in inner.layers] == ["x", "hidden", "both", "last"]  # no layer is called twice


@pytest.mark.parametrize("copied", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_model_of_inner_tensors_shares_the_weights(copied):
    model = copied(features()[3])
    gc.collect()  # symbolic tensors are gone
    inner = fastnn.Model(model.input, model.get_layer("hidden").output)
    kernel, bias = model.get_layer("hidden").get_weights()
    np.testing.assert_allclose(inner.predict(A, verbose=0), np.tanh(A @ kernel + bias), rtol=1e-13)
    model.get_layer("hidden").set_weights([2 * kernel, bias])
    np.testing.assert_allclose(inner.predict(A, verbose=0), np.tanh(2 * A @ kernel + bias), rtol=1e-13)


def test_layers_of_a_sequential_model():
    model = fastnn.Sequential([Dense(3, "tanh", input_shape=(4,)), Dense(2)], dtype="float64")
    inner = fastnn.Model(model.inputs, [layer.output for layer in model.layers])
    hidden, last = inner.predict(A, verbose=0)
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(hidden, np.tanh(A @ kernel + bias), rtol=1e-13)
    np.testing.assert_array_equal(last, model.predict(A, verbose=0))
    model.add(Dense(5))
    assert model.output.shape == (None, 5) and model.layers[-1].input == model.layers[1].output
    model.pop()
    assert model.output.shape == (None, 2)


def test_a_shared_layer_belongs_to_the_first_model():
    first = fastnn.Sequential([Dense(3, input_shape=(4,))])
    second = fastnn.Sequential([*first.layers, Dense(1)])
    kept = first.layers[0]
    assert kept.output == first.output != second.layers[1].input
    del first
    assert kept.output == second.layers[1].input


@pytest.mark.parametrize("make, words", [
    (lambda: (model := twice()) and model.get_layer("shared").output,
     r"shared.output: expected a layer that is used once in a model, got one that is used 2 times"),
    (lambda: Dense(3, name="alone").input, "alone.input: .*, got one that is in no built model"),
    (lambda: fastnn.Sequential([Dense(3)]).output, "expected a built model, got one without an input shape"),
])  # fmt: skip
def test_layers_without_a_single_use(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def twice():
    shared, x = Dense(4, name="shared"), Input((4,))
    return fastnn.Model(x, shared(shared(x)))


def test_models_leave_memory_without_the_garbage_collector():
    gc.disable()
    try:
        x, h, both, model = features()
        inner = fastnn.Model(model.input, h + 1.0)
        gone = weakref.ref(model.get_layer("hidden"))
        del x, h, both, model, inner
        assert gone() is None
    finally:
        gc.enable()
