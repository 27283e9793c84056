"""Small data sets with Keras' ``load_data()``; images are uint8."""

from .._base.checks import module_attributes
from . import digits, fashion_mnist

__all__ = ["digits", "fashion_mnist"]
__getattr__, __dir__ = module_attributes(__name__, __all__)
