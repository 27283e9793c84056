"""Models: the Sequential model and functions on models."""

from .._base.lazy import attach
from .sequential import Sequential  # noqa: F401 - files may name it: it registers itself

__getattr__, __dir__, __all__ = attach(__name__)
