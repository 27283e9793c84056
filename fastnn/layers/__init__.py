"""Layers, under Keras' names; one idea a file."""

# ruff: noqa: F401 - every layer that is imported here is public

from .._checks import Registry, module_attributes, plain_name
from .activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from .activity_regularization import ActivityRegularization
from .base import Layer
from .batch_normalization import BatchNormalization
from .dense import Dense
from .dropout import Dropout
from .input import Input, InputLayer
from .layer_normalization import LayerNormalization
from .maxout import Maxout
from .noise import AlphaDropout, GaussianDropout, GaussianNoise, RReLU
from .normalization import Normalization
from .prelu import PReLU
from .rescaling import Rescaling
from .reshape import Flatten, Reshape
from .residual import Residual

_classes = {
    n: v for n, v in list(globals().items()) if isinstance(v, type) and issubclass(v, Layer)
}
__all__ = ["Input"]
__all__.extend(_classes)
__getattr__, __dir__ = module_attributes(__name__, __all__)

_registry = Registry("layer", "A layer of your own is passed as a class or an object.")
for _name, _class in _classes.items():
    _registry.add(_class, _name)


def register(cls, name):
    """Make a class known by its name; for the models, which are layers too."""
    _registry.add(cls, name)


def known(name):
    """Whether there is a layer of the library called `name`."""
    return plain_name(name) in _registry._found


def from_description(description):
    """The layer for ``{"class_name": ..., "config": ...}``."""
    return _registry.find(description["class_name"]).from_config(description["config"])
