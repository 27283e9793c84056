"""Activations: functions on arrays, names for layers.

Every kernel row is a function here, a name for ``activation=`` and an epilogue of a dense layer.
``softmax`` and ``log_softmax``, which use all features of a sample, are separate.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from fastnn._core.kernels import activation_rows, least_of_activations

from ._base.checks import module_attributes, number, unknown_keyword
from ._base.config import Configurable, is_description
from ._base.registry import Registry, deserialized
from ._base.signatures import FLAGS, by_name, row_value, signature_of_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import ArrayLike

    from ._base.types import ActivationLike, Config, FloatArray
    from ._declared.activations import *  # noqa: F403 - what is made of the rows below
    from .engine.graph import Graph, Tensor

ROW_WISE = ("softmax", "log_softmax")
GENERAL = "_general"  # a row with this suffix is the parametrised form of the plain row
ALIASES = {"alpha": "negative_slope"}  # Keras 2: Keras 3
OTHER_NAMES = {"silu": ("swish",), "hard_silu": ("hard_swish",)}
LEAST = least_of_activations()
NO_DERIVATIVE = (
    "For a custom activation, which needs a derivative, write a layer with call and backward."
)
_registry = Registry("activation", NO_DERIVATIVE)


class ActivationFunction(Configurable):
    """An activation with its parameters: a function on arrays that layers can fuse.

    Parameters
    ----------
    name : str
    defaults : dict
        Names and default values of the parameters, in the order of the kernel.
    row, general : str
        Kernel rows: without parameters, and with them.
    values : dict
        Parameters that differ from the defaults.
    """

    def __init__(
        self,
        name: str,
        defaults: Mapping[str, float],
        row: str,
        general: str,
        values: Mapping[str, float] | None = None,
    ) -> None:
        self.__name__ = self.__qualname__ = name
        self.defaults, self.row, self.general = defaults, row, general
        self.values = values or {}
        listed = ", ".join(f"{key}={value:g}" for key, value in defaults.items())
        self.__doc__ = f"Compute {name} of an array{f'; parameters and their defaults: {listed}' * bool(listed)}."
        self.order = {"axis": -1} if row in ROW_WISE else defaults  # Keras', in calls
        self.__signature__ = signature_of_row(self.order)

    def __call__(self, x: ArrayLike, *values: Any, **parameters: Any) -> FloatArray:
        """Compute f(x), of the same shape.

        Parameters
        ----------
        x : array_like
            float32 and float64 are kept; integers and bools become float32.
        *values, **parameters : float
            In the order of `defaults`, as in Keras, or by name. For softmax and log_softmax: `axis`, default -1.

        Returns
        -------
        ndarray
        """
        from . import ops

        parameters = by_name(self.__name__, list(self.order), values, parameters)
        if self.row in ROW_WISE:
            axis = parameters.pop("axis", -1)
            self.using(**parameters)  # no other parameter
            return getattr(ops, self.row)(x, axis)
        function = self.using(**parameters) if parameters else self
        return getattr(ops, self.__name__)(x, **function.values)

    def using(self, **parameters: float | None) -> ActivationFunction:
        """Return the same function with other parameters; None keeps the default."""
        values = dict(self.values)
        for key, value in parameters.items():
            if key not in self.defaults:
                if ALIASES.get(key) not in self.defaults:
                    raise unknown_keyword(self.__name__, key, ["x", *self.defaults])
                key = ALIASES[key]
            if value is None and key not in FLAGS:
                values.pop(key, None)
                continue
            least = LEAST.get((self.general, key))
            values[key] = inf if value is inf else row_value(key, value, partial(number, low=least))
        values = {k: v for k, v in values.items() if v != self.defaults[k]}
        return ActivationFunction(self.__name__, self.defaults, self.row, self.general, values)

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters, in the order of the kernel."""
        return {**self.defaults, **self.values}

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        """Declare f(x) in a graph."""
        if self.row == "linear":
            return x
        if self.row in ROW_WISE:
            return getattr(graph, self.row)(x)
        return graph.activation(x, *self.kernel_row)

    @property
    def kernel_row(self) -> tuple[str, tuple[float, ...]]:
        """The row of the kernels, and its parameters."""
        if self.values:
            return self.general, tuple(self.parameters.values())
        return self.row, () if self.row != self.general else tuple(self.defaults.values())

    def get_config(self) -> Config:
        return {"name": self.__name__, **self.values}

    def describe(self) -> Config | str:
        return super().describe() if self.values else self.__name__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActivationFunction):
            return NotImplemented
        return (self.__name__, self.values) == (other.__name__, other.values)

    def __hash__(self) -> int:
        return hash((self.__name__, *sorted(self.values.items())))

    def __repr__(self) -> str:
        return (
            " ".join(["<activation", self.__name__, *(f"{k}={v}" for k, v in self.values.items())])
            + ">"
        )


def _functions():
    rows = {name: parameters for name, parameters, _ in activation_rows()}
    for name, parameters in rows.items():
        if not name.endswith(GENERAL):
            general = name + GENERAL if name + GENERAL in rows else name
            yield ActivationFunction(name, rows.get(general, parameters), name, general)
    for name in ROW_WISE:
        yield ActivationFunction(name, {}, name, name)


for _function in _functions():
    globals()[_function.__name__] = _function
    _others = OTHER_NAMES.get(_function.__name__, ())
    globals().update(dict.fromkeys(_others, _function))
    _registry.add(_function, _function.__name__, *_others)


def get(identifier: ActivationLike) -> ActivationFunction:
    """Return the activation for a name (in any case), a function of this module or an activation layer.

    Parameters
    ----------
    identifier : str, dict, ActivationFunction, layer or None
        None is ``linear``.

    Returns
    -------
    ActivationFunction

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    TypeError
        For a plain Python function, which has no derivative.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.activations.get("ReLU")
    <activation relu>
    """
    if identifier is None:
        return _registry.find("linear")
    if isinstance(identifier, ActivationFunction):
        return identifier
    if isinstance(identifier, str):
        return _registry.find(identifier)
    if is_description(identifier):
        name, parameters = identifier["config"]["name"], dict(identifier["config"])
        del parameters["name"]
        return _registry.find(name).using(**parameters)
    function = getattr(identifier, "function", None)
    if isinstance(function, ActivationFunction):
        return function
    raise TypeError(
        f"activation: expected a name or a function of fastnn.activations, got {identifier!r}. {_registry.hint}"
    )


def names() -> list[str]:
    """Return the names of the activations."""
    return _registry.names()


def serialize(activation: ActivationFunction) -> Config | str:
    """Return the name of an activation, or its description if it has parameters, for `deserialize` and `get`."""
    return activation.describe()


def deserialize(
    config: Config | str, custom_objects: Mapping[str, Any] | None = None
) -> ActivationFunction:
    """Return the activation for a name or a description; `custom_objects` maps names to other activations."""
    return deserialized(get, config, custom_objects)


__all__ = ["ActivationFunction", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
