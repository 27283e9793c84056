"""fastnn: fast training of small and medium-sized neural networks on CPUs, under Keras' names."""

from ._base.checks import module_attributes as _attributes

__version__ = "0.1.0"

# Submodules are imported when they are first used, so that the import is fast.
_MODULES = (
    "activations",
    "callbacks",
    "constraints",
    "datasets",
    "diagnostics",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "saving",
)
_NAMES = {
    "Adam": "optimizers",
    "SGD": "optimizers",
    "Input": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "Sequential": "models",
    "SweepResult": "sweeps.result",
    "check_gradient": "diagnostics",
    "isa": "_core.kernels",
    "float32_matmul_precision": "engine.precision",
    "get_float32_matmul_precision": "engine.precision",
    "get_num_threads": "_core.threads",
    "set_float32_matmul_precision": "engine.precision",
    "set_num_threads": "_core.threads",
    "set_random_seed": "_base.random",
    "show_versions": "diagnostics.versions",
    "sweep": "sweeps.sweep",
}


def _find(name):
    from importlib import import_module

    module = f"fastnn.{name if name in _MODULES else _NAMES.get(name, 'optimizers')}"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("fastnn._core."):
            raise
        raise ImportError(
            f"{__path__[0]} has the sources of fastnn but not the compiled modules ({error.name} is missing): "
            "start Python in another directory or with -P to use the installed package, "
            "or run `pip install .` in the checkout"
        ) from error
    return found if name in _MODULES else getattr(found, name)


def _optimizers():
    from . import optimizers

    return optimizers.names()


__all__ = ["__version__"]
__all__.extend([*_MODULES, *_NAMES])
__getattr__, __dir__ = _attributes(__name__, __all__, _find, _optimizers)
