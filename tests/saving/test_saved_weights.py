"""Weights in files: what does not fit changes nothing, frozen variables and orders come back right."""

import numpy as np
import pytest
from saving_tools import LABELS, X, classifier, same

import fastnn
from fastnn.layers import BatchNormalization, Dense
from fastnn.models import Sequential, load_model
from fastnn.saving import FormatError


def test_weights(tmp_path):
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.save_weights(tmp_path / "w")
    model.save(tmp_path / "m")
    for name in ("w", "m"):
        again = classifier()
        again.load_weights(tmp_path / name)
        assert same(again, model)
    with pytest.raises(FormatError, match="weights only.*load_weights"):
        load_model(tmp_path / "w")


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    other = Sequential([Dense(8, input_shape=(7,), name="a"), Dense(4, name="b")])
    other.save_weights(tmp_path / "w")
    model = Sequential([Dense(8, input_shape=(7,), name="a"), Dense(3, name="b")])
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match=r"expected weights of shape \(8, 3\) for b/kernel, got \(8, 4\)"):
        model.load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="expected 2 weights.*got 4"):
        Sequential([Dense(8, input_shape=(7,))]).load_weights(tmp_path / "w")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.load_weights(tmp_path / "w", skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])
    head = Sequential([Dense(5, input_shape=(7,), name="new"), Dense(8, name="x"), Dense(4, name="b")])
    head.load_weights(tmp_path / "w", by_name=True)
    np.testing.assert_array_equal(head.layers[2].get_weights()[0], other.layers[1].get_weights()[0])
    with pytest.raises(ValueError, match="expected a built model"):
        Sequential([Dense(3)]).load_weights(tmp_path / "w")


def test_a_frozen_variable_resumes_with_its_state(tmp_path):
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.layers[0].kernel.trainable = model.layers[1].gamma.trainable = False
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    for each in (model, loaded):
        assert not each.layers[0].kernel.trainable
        each.layers[0].kernel.trainable = each.layers[1].gamma.trainable = True
        each.fit(X, LABELS, verbose=0)
    assert same(model, loaded)


def test_weights_in_another_order_are_not_swapped(tmp_path):
    norm, slope = fastnn.layers.LayerNormalization, fastnn.layers.PReLU
    first, second = Sequential([norm(input_shape=(2,)), slope()]), Sequential([slope(input_shape=(2,)), norm()])
    first.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="expected weights in the order .*alpha.*gamma.* use by_name=True"):
        second.load_weights(tmp_path / "w")


def test_weights_of_a_model_with_frozen_variables_load_into_one_without(tmp_path):
    first, second = (Sequential([BatchNormalization(input_shape=(2,))]) for _ in range(2))
    first.layers[0].gamma.trainable = False
    first.layers[0].gamma.assign([5, 6])
    first.save_weights(tmp_path / "w")
    second.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(second.layers[0].gamma.numpy(), [5, 6])


def test_a_nested_model_keeps_its_flag(tmp_path):
    inner = Sequential([Dense(3, input_shape=(7,))])
    inner.trainable = False
    model = Sequential([inner, Dense(3)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert not loaded.layers[0].trainable and loaded.layers[1].trainable and loaded.trainable
