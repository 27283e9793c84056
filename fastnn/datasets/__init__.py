"""Small data sets with Keras' ``load_data()``; uint8 images stay uint8."""

from . import digits, fashion_mnist

__all__ = ["digits", "fashion_mnist"]
