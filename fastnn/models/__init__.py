"""Models: the Sequential model and functions on models."""

from .._base.checks import module_attributes
from .cloning import clone_model
from .sequential import Sequential


def _find(name):
    from ..saving import model as files

    return getattr(files, name)


__all__ = ["Sequential", "clone_model", "load_model", "save_model"]  # noqa: F822 - two are found when asked for
__getattr__, __dir__ = module_attributes(__name__, __all__, _find)
