"""Metrics, reported next to the loss, under Keras' names."""

from .._base.checks import module_attributes
from . import catalogue

globals().update({name: getattr(catalogue, name) for name in catalogue.__all__})
__all__ = list(catalogue.__all__)
__getattr__, __dir__ = module_attributes(__name__, __all__)
