"""Diagnostics: findings about models and training, health of layers, non-finite values, repair, and gradient checks."""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
