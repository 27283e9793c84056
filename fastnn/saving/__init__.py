"""Saving and loading of models: a single file in the safetensors format, with any name."""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
