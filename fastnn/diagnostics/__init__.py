"""Diagnostics: gradient checks, and warnings of parts of a model that do not match."""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
