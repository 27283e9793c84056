"""Clones of models: the structure, not the weights."""

import numpy as np
from model_tools import X, small

import fastnn
from fastnn.layers import Dense
from fastnn.models import Sequential, clone_model


def test_clone_has_the_structure_and_not_the_weights():
    model = small()
    clone = clone_model(model)
    assert [type(x) for x in clone.layers] == [type(x) for x in model.layers]
    assert clone.layers[0] is not model.layers[0] and not clone.compiled
    assert (clone.get_weights()[0] != model.get_weights()[0]).any()
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    again = Sequential.from_config(model.get_config())
    assert again.count_params() == model.count_params() and again.dtype == "float64"


class Half(fastnn.layers.Layer):
    def call(self, x, training):
        return x * 0.5

    def backward(self, dy):
        return dy * 0.5


def test_clones_of_layers_of_ones_own_wherever_they_are():
    inner = fastnn.Sequential([fastnn.layers.Residual([Half()], Half())])
    inner.trainable = False
    model = fastnn.Sequential([inner, fastnn.layers.Dense(1)])
    model.build((None, 3))
    clone = fastnn.models.clone_model(model)
    assert isinstance(clone.layers[0].layers[0].layers[0], Half)
    assert clone.layers[0].layers[0].shortcut is not model.layers[0].layers[0].shortcut
    assert not clone.layers[0].trainable and clone.trainable


def test_flags_within_a_residual_block_are_cloned():
    block = fastnn.layers.Residual([Dense(3)], input_shape=(3,))
    block.trainable = False
    block.layers[0].trainable = True
    clone = clone_model(Sequential([block])).layers[0]
    assert (clone.trainable, clone.layers[0].trainable) == (False, True)


def test_a_block_that_makes_its_own_layers_is_cloned():
    class Block(fastnn.layers.Residual):
        def __init__(self, units, **kwargs):
            super().__init__([Dense(units)], **kwargs)
            self.units = units

        def get_config(self):
            return {"units": self.units, "name": self.name}

    model = Sequential([fastnn.layers.Input((3,)), Block(3)])
    assert clone_model(model).count_params() == 12
