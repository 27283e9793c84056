"""Saving and loading of models: a single file in the safetensors format, with any name."""

from importlib import import_module

from .._base.checks import module_attributes

_PLACES = {
    "FormatError": "container",
    "load_model": "model",
    "load_weights": "model",
    "save_model": "model",
    "save_weights": "model",
}


def _find(name):
    if name == "load_model":
        from .. import models  # noqa: F401 - a file may name its classes
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


__all__ = ["FormatError", "load_model", "load_weights", "save_model", "save_weights"]
__getattr__, __dir__ = module_attributes(__name__, __all__, _find)
