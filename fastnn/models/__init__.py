"""Models: sequential and functional models, and functions to clone, save and load them."""

from .._base.lazy import attach
from .functional import Functional  # noqa: F401 - files may name them: they register themselves
from .sequential import Sequential  # noqa: F401

__getattr__, __dir__, __all__ = attach(__name__)
