"""fastnn: fast training of small and medium-sized neural networks on CPUs, under Keras' names."""

from importlib import import_module as _import_module

from ._base import lazy as _lazy

__version__ = "0.1.0"


def _imported(module):
    try:
        return _import_module(module)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("fastnn._core."):
            raise
        raise ImportError(
            f"{__path__[0]} has the sources of fastnn but not the compiled modules ({error.name} is missing): "
            "start Python in another directory or with -P to use the installed package, "
            "or run `pip install .` in the checkout"
        ) from error


# The names are in __init__.pyi. They are imported when they are first used, so that the import of fastnn is fast.
_MODULES = tuple(name for name, (_, whole) in _lazy.public_names(__name__).items() if whole)
__getattr__, __dir__, __all__ = _lazy.attach(__name__, ["__version__"], _imported)
