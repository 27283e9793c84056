"""Objects described by the arguments of their constructor: layers, initializers, optimizers, …

An argument is stored as an attribute of the same name; so one rule implements `get_config`, `from_config`,
copies and files.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from .checks import check_keywords, own_keywords
from .signatures import with_custom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, ClassVar, Self, TypeGuard

    from .types import Config

FLOATX = "float32"


class Configurable:
    """Base class of objects that can be recreated from ``get_config()``."""

    # Keras' arguments that accept only one value here: see `_base.signatures`
    without_effect: ClassVar[dict[str, Any]] = {}
    # arguments that only say how the object begins, and are nothing of its configuration
    only_at_first: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_keywords(cls, kwargs)
        return super().__new__(cls)

    def get_config(self) -> Config:
        """Return the arguments of the constructor, as plain Python values.

        Returns
        -------
        dict
        """
        names = [n for n in own_keywords(type(self)) if n not in (*self.without_effect, *self.only_at_first)]
        missing = [n for n in names if not hasattr(self, n)]
        if missing:
            raise NotImplementedError(
                f"{type(self).__name__} has no attribute for its argument{'s' * (len(missing) > 1)}"
                f" {', '.join(missing)}: store them, or implement get_config()"
            )
        return {n: plain(getattr(self, n)) for n in names}

    def describe(self) -> Any:
        """The description of the object in the configuration of another."""
        return {"class_name": type(self).__name__, "config": self.get_config()}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create an object from its `get_config`.

        Parameters
        ----------
        config : dict
        custom_objects : dict, optional
            Names of custom classes in the configuration, mapped to the classes.
        """
        return cls(**(with_custom(config, custom_objects) if custom_objects else config))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if v is not None)
        return f"{type(self).__name__}({arguments})"


class CoreRow(Configurable):
    """Base class of objects that run a kernel row: losses, metrics, optimizers.

    Attributes
    ----------
    row : str or None
    variants : tuple of str
        Other rows that objects of the class may run.
    over_a_row : bool
        For a loss or metric: whether it treats the outputs of a sample as one vector instead of elementwise.
    rows : list of (name, {parameter: default}, third)
        Parameters are attributes here. `third` is the target of a loss or metric, "labels" or
        "values", or the state vectors of an optimizer.
    """

    row: str | None = None
    rows: Sequence[tuple[str, dict[str, float], Any]] = ()
    variants: tuple[str | None, ...] = ()
    parameters: tuple[str, ...]
    target: Any = None
    over_a_row = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for row, parameters, third in cls.rows:
            if row == cls.row:
                cls.parameters, cls.target = tuple(parameters), third

    @property
    def params(self) -> tuple[float, ...]:
        """Values of the row's parameters, in its order."""
        return tuple(float(getattr(self, n)) for n in self.parameters)


def plain(value):
    """`value` for JSON: objects as ``{"class_name": ..., "config": ...}``, arrays as lists."""
    if isinstance(value, Configurable):
        return value.describe()
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value.tolist() if hasattr(value, "tolist") else value  # an array, or a NumPy scalar


def floats(value):
    """`value` as a float array: integers become float32, as absolute values and squares overflow in int8."""
    import numpy as np

    array = np.asarray(value)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def is_description(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `value` is the description of an object, as returned by `plain`."""
    return isinstance(value, dict) and set(value) == {"class_name", "config"}


def float_dtype(value):
    """The name of float32 or float64, from a name or dtype; None is the default, float32."""
    if value is None:
        return FLOATX
    name = (
        value
        if isinstance(value, str)
        else getattr(value, "name", getattr(value, "__name__", str(value)))
    )
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {value!r}")
    return name


def modules_of(package, path):
    """The modules of a package, imported, in the order of their names."""
    from importlib import import_module
    from pkgutil import iter_modules

    return [import_module(f"{package}.{found.name}") for found in iter_modules(path)]


_names_used = {}


@cache
def snake_case(name):
    """``BatchNormalization`` becomes ``batch_normalization``, ``LeakyReLU`` ``leaky_re_lu``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(class_name):
    """The next default name for an object of a class, numbered as in Keras: dense, dense_1, …"""
    base = snake_case(class_name)
    number = next(_names_used.setdefault(base, count()))  # one step, so threads never share a number
    return f"{base}_{number}" if number else base
