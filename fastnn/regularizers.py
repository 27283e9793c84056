"""Regularizers: penalties on weights, under Keras' names and with Keras' factors.

Layers accept them as ``kernel_regularizer=`` and similar arguments. The penalty is part of the
loss that `fit` and `evaluate` report, and its gradient part of the gradient, before any clipping. A
frozen layer has neither, as in Keras. ``Model.compile(weight_decay=...)`` uses the other convention,
λ / 2 times the sum of squares over all weight matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._base.checks import module_attributes, number, one_of
from ._base.config import Configurable, floats
from ._base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from numpy.typing import ArrayLike

    from ._base.types import RegularizerLike

_registry = Registry("regularizer")
EPSILON = 1e-7  # keras.config.epsilon(): lower bound of the norm that a row is divided by


class Regularizer(Configurable):
    """Base class of the regularizers.

    Attributes
    ----------
    l1, l2 : float
        The gradient in the kernels is ``l1 * sign(w) + 2 * l2 * w``.
    """

    l1 = l2 = 0.0

    def __call__(self, x: ArrayLike) -> float:
        """Compute the penalty of an array.

        Parameters
        ----------
        x : array_like

        Returns
        -------
        float
        """
        w, value = floats(x), 0.0
        if self.l1:
            value += self.l1 * float(np.sum(np.abs(w), dtype=np.float64))
        if self.l2:
            value += self.l2 * float(np.sum(np.square(w, dtype=np.float64)))
        return value

    def check(self, name: str, shape: Sequence[int]) -> None:
        """ValueError if this penalty is undefined for weights of a shape."""


class L1(Regularizer):
    """L1 penalty ``l1 * sum(|w|)``: makes weights small and many of them (nearly) zero.

    Parameters
    ----------
    l1 : float
        At least 0.

    Examples
    --------
    >>> fastnn.regularizers.L1(0.5)([1.0, -3.0])
    2.0
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = number("l1", 0.01 if l1 is None else l1, 0)


class L2(Regularizer):
    """L2 penalty ``l2 * sum(w²)`` with gradient ``2 * l2 * w``: without a factor of one half, as in Keras.

    Parameters
    ----------
    l2 : float
        At least 0. PyTorch's ``weight_decay=λ`` is ``L2(λ / 2)``.

    Examples
    --------
    >>> fastnn.regularizers.L2(0.5)([1.0, -3.0])
    5.0
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = number("l2", 0.01 if l2 is None else l2, 0)


class L1L2(Regularizer):
    """L1 and L2 penalty ``l1 * sum(|w|) + l2 * sum(w²)``.

    The name ``"l1_l2"`` in place of an object stands for 0.01 for both, as documented by Keras.

    Parameters
    ----------
    l1, l2 : float
        At least 0.

    Examples
    --------
    >>> fastnn.regularizers.L1L2(l1=0.5, l2=0.5)([1.0, -3.0])
    7.0
    """

    by_name = {"l1": 0.01, "l2": 0.01}

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = number("l1", 0.0 if l1 is None else l1, 0)
        self.l2 = number("l2", 0.0 if l2 is None else l2, 0)


class OrthogonalRegularizer(Regularizer):
    r"""Penalty that makes the rows or columns of a matrix orthogonal.

    :math:`factor \cdot \frac{2}{n (n - 1)} \sum_{i<j} |\hat r_i \cdot \hat r_j|`, with
    :math:`\hat r_i` the rows normalised to unit length.

    Parameters
    ----------
    factor : float
        At least 0.
    mode : {"rows", "columns"}

    Notes
    -----
    Each step compares all pairs of rows: much more work than the layer itself for a small
    batch, and the layer does not use the fused update.

    Examples
    --------
    >>> penalty = fastnn.regularizers.OrthogonalRegularizer(0.5)
    >>> penalty([[2.0, 0.0], [0.0, 3.0]]), penalty([[2.0, 0.0], [3.0, 0.0]])
    (0.0, 0.5)
    """

    def __init__(self, factor: float = 0.01, mode: Literal["rows", "columns"] = "rows") -> None:
        self.factor = number("factor", factor, 0)
        self.mode = one_of("mode", mode, ("rows", "columns"))

    def __call__(self, inputs: ArrayLike) -> float:
        w = np.asarray(inputs, np.float64)
        self.check("inputs", w.shape)
        rows = w if self.mode == "rows" else w.T
        rows = rows / np.maximum(np.sqrt(np.sum(rows**2, axis=1, keepdims=True)), EPSILON)
        sizes, n = np.abs(rows @ rows.T), len(rows)
        return float(self.factor * (np.sum(sizes) - np.trace(sizes)) / (n * (n - 1)))

    def check(self, name: str, shape: Sequence[int]) -> None:
        if len(shape) != 2 or shape[self.mode == "columns"] < 2:
            raise ValueError(
                f"{name}: expected a matrix of at least two {self.mode} for"
                f" OrthogonalRegularizer, got shape {tuple(shape)}"
            )


def get(identifier: RegularizerLike) -> Regularizer | None:
    """Return the regularizer for a name (in any case), a description, an object, a class or None.

    Returns
    -------
    Regularizer or None

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    TypeError
        For a custom function or class: the kernels need a gradient, which only the classes here have.

    Examples
    --------
    >>> fastnn.regularizers.get("l2").l2
    0.01
    """
    found: Any = identifier
    found = found() if isinstance(found, type) and found in KNOWN else _registry.made(found)
    if found is None or type(found) in KNOWN:
        return found
    raise TypeError(
        f"regularizer: expected a name, L1, L2, L1L2 or OrthogonalRegularizer, got {identifier!r}"
    )


def activity(name: str, identifier: RegularizerLike) -> Regularizer | None:
    """`get` for ``activity_regularizer=``; ValueError for one that is not a sum over elements."""
    found = get(identifier)
    if isinstance(found, OrthogonalRegularizer):
        raise ValueError(f"{name}: expected L1, L2 or L1L2 for the output of a layer, got {found}")
    return found


def names() -> list[str]:
    """Return the class names of the regularizers; lookups ignore case and underscores."""
    return _registry.names()


KNOWN = (L1, L2, L1L2, OrthogonalRegularizer)
l1, l2, l1_l2 = L1, L2, L1L2
orthogonal_regularizer = OrthogonalRegularizer
_registry.add_classes({c.__name__: c for c in KNOWN}, Regularizer)
__all__ = ["Regularizer", "get", "names", "l1", "l2", "l1_l2", "orthogonal_regularizer"]
__all__.extend(names())
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
