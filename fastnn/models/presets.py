"""The models of the study notes, by name; `python -m fastnn --model` builds them."""

from .._base.registry import Registry
from ..layers import Activation, BatchNormalization, Dense, Flatten, PReLU
from . import Sequential

_registry = Registry("model", "")


def _named(name):
    return lambda add_layers: _registry.add(add_layers, name)


def names():
    """Names of the models."""
    return _registry.names()


def build(name, input_shape=(28, 28), classes=10, dtype=None):
    """Build a model by name, with weights, not compiled.

    Parameters
    ----------
    name : str
        See `names`.
    input_shape : tuple of int
    classes : int
    dtype : {"float32", "float64"}, optional

    Returns
    -------
    Sequential
    """
    add_layers = _registry.find(name)
    model = Sequential([Flatten(input_shape=input_shape)], name=name.lower(), dtype=dtype)
    add_layers(model, classes)
    return model


@_named("bn-elu")
def _bn_elu(model, classes):
    """Batch normalisation after the activation and at the input."""
    model.add(BatchNormalization())
    for units in (300, 100):
        model.add(Dense(units, activation="elu", kernel_initializer="he_normal"))
        model.add(BatchNormalization())
    model.add(Dense(classes, activation="softmax"))


@_named("bn-before")
def _bn_before(model, classes):
    """Batch normalisation before the activation, so no bias."""
    model.add(BatchNormalization())
    for units in (300, 100):
        model.add(Dense(units, kernel_initializer="he_normal", use_bias=False))
        model.add(BatchNormalization())
        model.add(Activation("elu"))
    model.add(Dense(classes, activation="softmax"))


@_named("selu-100")
def _selu_100(model, classes):
    """100 hidden layers that normalise themselves; expects standardised inputs."""
    for units in (300, *[100] * 99):
        model.add(Dense(units, activation="selu", kernel_initializer="lecun_normal"))
    model.add(Dense(classes, activation="softmax"))


@_named("prelu")
def _prelu(model, classes):
    """A learned slope for each unit."""
    for units in (300, 100):
        model.add(Dense(units, kernel_initializer="he_normal"))
        model.add(PReLU())
    model.add(Dense(classes, activation="softmax"))


@_named("relu")
def _relu(model, classes):
    """He initialisation and ReLU."""
    for units in (300, 100):
        model.add(Dense(units, activation="relu", kernel_initializer="he_normal"))
    model.add(Dense(classes, activation="softmax"))


@_named("best")
def _best(model, classes):
    """ReLU after batch normalisation, no bias before it."""
    for units in (300, 100):
        model.add(Dense(units, kernel_initializer="he_normal", use_bias=False))
        model.add(BatchNormalization())
        model.add(Activation("relu"))
    model.add(Dense(classes, activation="softmax"))
