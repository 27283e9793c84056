"""Layers, under Keras' names; one layer per file.

A new layer only needs a new file, and `python -m fastnn._base.stubs`, which lists it in ``__init__.pyi``.
"""

import sys

from .._base.lazy import attach
from .._base.registry import Registry

__getattr__, __dir__, __all__ = attach(__name__)

_registry = Registry("layer", "Pass a custom layer as a class or an object.")
for _name in __all__:
    if _name != "Input" and not _name.islower():  # functions
        _registry.add(_name, _name)  # imported when it is asked for


def register(cls, name):
    """Register a class under a name; for the models, which are layers too."""
    _registry.add(cls, name)


def known(name):
    """Whether `name` is a built-in layer."""
    return name in _registry


def from_description(description):
    """The layer for ``{"class_name": ..., "config": ...}``."""
    cls = _registry.find(description["class_name"])
    cls = getattr(sys.modules[__name__], cls) if isinstance(cls, str) else cls
    return cls.from_config(description["config"])
