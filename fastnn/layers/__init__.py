"""Layers, under Keras' names; one layer per file."""

from .._base.checks import module_attributes
from .._base.config import modules_of
from .._base.registry import Registry
from .base import Layer
from .input import Input

# Every layer in every file of this package is public: a new layer only needs a new file.
_classes = {
    name: thing
    for module in modules_of(__name__, __path__)
    for name, thing in vars(module).items()
    if isinstance(thing, type) and issubclass(thing, Layer) and name[0] != "_" and thing.__module__ == module.__name__
}
globals().update(_classes)
__all__ = ["Input"]
__all__.extend(_classes)
__getattr__, __dir__ = module_attributes(__name__, __all__)

_registry = Registry("layer", "Pass a custom layer as a class or an object.")
for _name, _class in _classes.items():
    _registry.add(_class, _name)


def register(cls, name):
    """Register a class under a name; for the models, which are layers too."""
    _registry.add(cls, name)


def known(name):
    """Whether `name` is a built-in layer."""
    return name in _registry


def from_description(description):
    """The layer for ``{"class_name": ..., "config": ...}``."""
    return _registry.find(description["class_name"]).from_config(description["config"])
