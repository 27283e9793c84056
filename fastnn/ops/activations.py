"""Activations: one function per kernel row, softmax and log-softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer
from .._base.signatures import by_name, signature_of_row, with_row
from .._core import activations as core
from .._core.kernels import activation_rows
from . import _arguments as a

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray
    from .._declared.ops_activations import *  # noqa: F403 - what is made of the rows below

_GENERAL = "_general"  # a row with this suffix is the parametrised form of the plain row
_ROWS = {name: (defaults, from_input) for name, defaults, from_input in activation_rows()}

__all__ = [
    "activation",
    "activation_grad",
    "softmax",
    "softmax_grad",
    "log_softmax",
    "log_softmax_grad",
]


def find_activation(name: str, given: Mapping[str, float]) -> tuple[str, list[float], bool]:
    """(row, its parameters, whether its derivative needs the input)."""
    defaults, from_input = a.find_row("activation", name, _ROWS)
    if not defaults and given and name + _GENERAL in _ROWS:
        name += _GENERAL
        defaults, from_input = _ROWS[name]
    return name, a.row_values(name.removesuffix(_GENERAL), defaults, given), from_input


def activation(
    name: str,
    x: ArrayLike,
    out: FloatArray | None = None,
    threads: int | None = None,
    **params: float,
) -> FloatArray:
    """Apply an activation by name: ``y = f(x)``, elementwise.

    Parameters
    ----------
    name : str
        Name of the activation; each is also a function of this module.
    x : array_like
    out : ndarray, optional
        May be `x` itself.
    threads : int, optional
    **params : float
        Parameters of the activation.

    Returns
    -------
    ndarray
        Of the shape of `x`, also if that is ().

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or parameter name; for an unknown activation, a NaN as parameter, or an invalid `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.activation("leaky_relu", np.array([-1.0, 2.0]), negative_slope=0.1)
    array([-0.1,  2. ])
    """
    threads = a.team(threads)
    row, values, _ = find_activation(name, params)
    x = a.operand("x", x)
    y = a.Result(out, x.shape, x.dtype, {"x": x}, in_place=("x",))
    core.forward(row, y.array, a.flat(x), values, threads)
    return y.finish()


def activation_grad(
    name: str,
    dy: ArrayLike,
    t: ArrayLike,
    out: FloatArray | None = None,
    threads: int | None = None,
    **params: float,
) -> FloatArray:
    """Compute the gradient of an activation: ``dx = dy f'(·)``.

    Parameters
    ----------
    name : str
    dy : array_like
    t : array_like, like dy
        The output y or, for some activations, the input x, from which the derivative is computed; see the help of
        the activation's own function (``help(ops.elu_grad)``).
    out : ndarray, optional
        May be `dy` or `t` itself.
    threads : int, optional
    **params : float

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError
        As `activation`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> y = ops.sigmoid(np.array([0.0]))
    >>> ops.activation_grad("sigmoid", np.ones(1), y)
    array([0.25])
    """
    threads = a.team(threads)
    row, values, _ = find_activation(name, params)
    dy = a.operand("dy", dy)
    t = a.expect_shape("t", a.operand("t", t, ("dy", dy)), dy.shape, " like dy")
    dx = a.Result(out, dy.shape, dy.dtype, {"dy": dy, "t": t}, in_place=("dy", "t"))
    core.backward(row, dx.array, a.flat(dy), a.flat(t), values, threads)
    return dx.finish()


def _row_wise(log, x, axis, out, threads):
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 1)
    axis = integer("axis", axis)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis: expected an axis of x of shape {x.shape}, got {axis}")
    if axis % x.ndim != x.ndim - 1:
        into = out if out is None else np.moveaxis(a.writeable("out", out, x.dtype), axis, -1)
        return np.moveaxis(_row_wise(log, np.moveaxis(x, axis, -1), -1, into, threads), -1, axis)
    y = a.Result(out, x.shape, x.dtype, {"x": x}, in_place=("x",), axis=-1)
    core.softmax(log, y.array, a.matrix(x), threads)
    return y.finish()


def _row_wise_grad(log, dy, y, out, threads):
    threads = a.team(threads)
    dy = a.at_least("dy", a.operand("dy", dy), 1)
    y = a.expect_shape("y", a.operand("y", y, ("dy", dy)), dy.shape, " like dy")
    dx = a.Result(out, dy.shape, dy.dtype, {"dy": dy, "y": y}, in_place=("dy", "y"), axis=-1)
    core.softmax_grad(log, dx.array, a.matrix(dy), a.matrix(y), threads)
    return dx.finish()


def softmax(
    x: ArrayLike, axis: int = -1, *, out: FloatArray | None = None, threads: int | None = None
) -> FloatArray:
    """Softmax over an axis: ``y = exp(x - m) / Σ exp(x - m)``, m = max x along the axis.

    Parameters
    ----------
    x : array_like (..., K)
    axis : int
        Any axis other than the last costs a copy.
    out : ndarray, optional
        May be `x` itself.
    threads : int, optional

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.softmax(np.array([[0.0, 1e8], [7.0, 7.0]]))
    array([[0. , 1. ],
           [0.5, 0.5]])
    """
    return _row_wise(False, x, axis, out, threads)


def softmax_grad(
    dy: ArrayLike, y: ArrayLike, out: FloatArray | None = None, threads: int | None = None
) -> FloatArray:
    """Gradient of `softmax`: ``dx = y (dy - Σ y dy)``.

    Parameters
    ----------
    dy, y : array_like (..., K)
        `y` is the result of `softmax`.
    out : ndarray, optional
        May be `dy` or `y` itself.
    threads : int, optional

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.softmax_grad(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return _row_wise_grad(False, dy, y, out, threads)


def log_softmax(
    x: ArrayLike, axis: int = -1, *, out: FloatArray | None = None, threads: int | None = None
) -> FloatArray:
    """Logarithm of softmax over an axis: ``y = (x - m) - log Σ exp(x - m)``, m = max x along the axis.

    Parameters
    ----------
    x : array_like (..., K)
    axis : int
        Any axis other than the last costs a copy.
    out : ndarray, optional
        May be `x` itself.
    threads : int, optional

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _row_wise(True, x, axis, out, threads)


def log_softmax_grad(
    dy: ArrayLike, y: ArrayLike, out: FloatArray | None = None, threads: int | None = None
) -> FloatArray:
    """Gradient of `log_softmax`: ``dx = dy - exp(y) Σ dy``.

    Parameters
    ----------
    dy, y : array_like (..., K)
        `y` is the result of `log_softmax`.
    out : ndarray, optional
        May be `dy` or `y` itself.
    threads : int, optional

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.log_softmax_grad(np.array([1.0, 0.0]), np.log([0.5, 0.5]))
    array([ 0.5, -0.5])
    """
    return _row_wise_grad(True, dy, y, out, threads)


def _activation_functions(name, defaults, from_input):
    plain = not _ROWS[name][0]

    def function(x, *values, out=None, threads=None, **params):
        params = by_name(name, list(defaults), values, params)
        return activation(name, x, out, threads, **params)

    function.__signature__ = signature_of_row(defaults, ("out", "threads"))

    def gradient(
        dy: ArrayLike, t: ArrayLike, out: FloatArray | None = None, threads: int | None = None, **params: float
    ) -> FloatArray:
        return activation_grad(name, dy, t, out, threads, **params)

    gradient = with_row(gradient, defaults)
    function.__doc__ = f"""Activation {name}: ``activation({name!r}, x, ...)``.

    Parameters: {a.summary(defaults)}.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.{name}(np.ones((2, 3), np.float32)).shape
    (2, 3)
    """
    t = "the output y" if not from_input else "the input x"
    if plain and defaults:
        t += ", with parameters the input x"
    gradient.__doc__ = f"""Gradient of {name}: ``activation_grad({name!r}, dy, t, ...)``, where t is {t}.

    Parameters: {a.summary(defaults)}.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.{name}_grad(np.ones((2, 3)), np.ones((2, 3))).shape
    (2, 3)
    """
    return function, gradient


def _functions():
    for name, (defaults, from_input) in _ROWS.items():
        if not name.endswith(_GENERAL):
            general = _ROWS.get(name + _GENERAL, (defaults,))[0]
            function, gradient = _activation_functions(name, general, from_input)
            yield from ((name, function), (f"{name}_grad", gradient))


__all__.extend(a.publish(globals(), _functions()))
