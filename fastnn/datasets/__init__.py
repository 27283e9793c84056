"""Small data sets with Keras' ``load_data()``; images are uint8."""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
