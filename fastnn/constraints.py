"""Constraints on weights, applied after every step, under Keras' names.

Layers accept them as ``kernel_constraint=`` and similar arguments. They are applied in the core, after the
optimizer and after averaging; weights of frozen layers are not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._base.checks import integer, module_attributes, number
from ._base.config import Configurable, floats
from ._base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from ._base.types import ConstraintLike, FloatArray

_registry = Registry("constraint")
EPSILON = 1e-7  # keras.config.epsilon(), added to a norm before division


class Constraint(Configurable):
    r"""Base class of the constraints.

    All but `NonNeg` scale weights of norm n by
    :math:`(rate \cdot clip(n, low, high) + (1 - rate) n) / (\epsilon + n)`.
    """

    axis: Any = None
    numbers: Any = None  # (low, high, rate), or None: no norms

    def __call__(self, w: ArrayLike) -> FloatArray:
        """Apply the constraint to an array.

        Parameters
        ----------
        w : array_like

        Returns
        -------
        ndarray
        """
        w = floats(w)
        low, high, rate = self.numbers
        n = np.sqrt(np.sum(np.square(w), axis=self.axes(w.ndim), keepdims=True))
        return w * ((rate * np.clip(n, low, high) + (1 - rate) * n) / (EPSILON + n))

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes of a norm, positive and in order."""
        given = self.axis if isinstance(self.axis, (list, tuple)) else (self.axis,)
        axes = sorted({a % rank if -rank <= a < rank else -1 for a in given})
        if not axes or axes[0] < 0 or len(axes) != len(given):
            raise ValueError(
                f"axis of {type(self).__name__}: expected distinct axes of weights with {rank}"
                f" axes, got {self.axis!r}"
            )
        return tuple(axes)

    def check(self, name: str, shape: Sequence[int]) -> None:
        """ValueError if weights of a shape do not have the axes of the constraint."""
        if self.numbers is not None:
            try:
                self.axes(len(shape))
            except ValueError as error:
                raise ValueError(f"{name}: {error}; its shape is {tuple(shape)}") from None


def _axis(axis):
    if isinstance(axis, (list, tuple)):
        return [integer(f"axis[{i}]", a) for i, a in enumerate(axis)]
    return integer("axis", axis)


class MaxNorm(Constraint):
    """Limit norms to at most `max_value`; for a dense kernel, the norms of the incoming weights of each unit.

    Parameters
    ----------
    max_value : float
        At least 0.
    axis : int or list of int
        Axes of the norm: 0, the inputs of a kernel (inputs, units).

    References
    ----------
    Srivastava et al. 2014, section 5.1, in combination with dropout.

    Examples
    --------
    >>> fastnn.constraints.MaxNorm(1.0)([[3.0, 0.5], [4.0, 0.0]]).round(4).tolist()
    [[0.6, 0.5], [0.8, 0.0]]
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = number("max_value", max_value, 0), _axis(axis)
        self.numbers = (0.0, self.max_value, 1.0)


class NonNeg(Constraint):
    """Set negative weights to 0.

    Examples
    --------
    >>> fastnn.constraints.NonNeg()([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: ArrayLike) -> FloatArray:
        return np.maximum(floats(w), 0)


class UnitNorm(Constraint):
    """Scale weights to norms of 1.

    Parameters
    ----------
    axis : int or list of int
        Axes of the norm: 0, the inputs of a kernel (inputs, units).

    Examples
    --------
    >>> fastnn.constraints.UnitNorm()([3.0, 4.0]).round(4).tolist()
    [0.6, 0.8]
    """

    numbers = (1.0, 1.0, 1.0)

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axis(axis)


class MinMaxNorm(Constraint):
    """Limit norms to the interval from `min_value` to `max_value`.

    Parameters
    ----------
    min_value, max_value : float
        At least 0; `min_value` is at most `max_value`.
    rate : float
        Fraction of the distance to the nearer bound that a norm outside moves at each step; 1 is all of it.
    axis : int or list of int
        Axes of the norm: 0, the inputs of a kernel (inputs, units).

    Examples
    --------
    >>> fastnn.constraints.MinMaxNorm(0.0, 1.0, rate=0.5)([0.0, 3.0]).round(4).tolist()
    [0.0, 2.0]
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = number("min_value", min_value, 0)
        self.max_value = number("max_value", max_value, self.min_value)
        self.rate, self.axis = number("rate", rate, 0, 1), _axis(axis)
        self.numbers = (self.min_value, self.max_value, self.rate)


def get(identifier: ConstraintLike) -> Constraint | None:
    """Return the constraint for a name (in any case), a description, an object, a class or None.

    Returns
    -------
    Constraint or None

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    TypeError
        For a custom function or class: constraints run in the kernels, which only support the classes here.

    Examples
    --------
    >>> fastnn.constraints.get("max_norm").max_value
    2.0
    """
    found: Any = identifier
    found = found() if isinstance(found, type) and found in KNOWN else _registry.made(found)
    if found is None or type(found) in KNOWN:
        return found
    raise TypeError(
        f"constraint: expected a name, MaxNorm, NonNeg, UnitNorm or MinMaxNorm, got {identifier!r}"
    )


def names() -> list[str]:
    """Return the class names of the constraints; lookups ignore case and underscores."""
    return _registry.names()


KNOWN = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
_registry.add_classes({c.__name__: c for c in KNOWN}, Constraint)
__all__ = ["Constraint", "get", "names", "max_norm", "non_neg", "unit_norm", "min_max_norm"]
__all__.extend(names())
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
