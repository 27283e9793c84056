"""Batch normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .._core import batchnorm as core
from . import _arguments as a

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._base.types import FloatArray, Outs

__all__ = ["batch_norm_stats", "batch_norm_forward", "batch_norm_backward"]


def batch_norm_stats(
    x: ArrayLike, out: Outs | None = None, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and biased variance over all axes but the last, in two passes.

    Parameters
    ----------
    x : array_like (..., F)
        At least one row.
    out : tuple of two, optional
        Arrays or None for mean and variance.
    threads : int, optional

    Returns
    -------
    mean, variance : ndarray (F,)

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.batch_norm_stats(np.array([[1e9], [1e9 + 2]]))
    (array([1.e+09]), array([1.]))
    """
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 2)
    rows = a.matrix(x)
    if len(rows) == 0:
        raise ValueError(f"x: expected at least one row, got shape {x.shape}")
    outs = a.several(out, ("mean", "variance"))
    results = [a.Result(o, x.shape[-1:], x.dtype, {"x": x}, name=f"out ({n})")
               for o, n in zip(outs, ("mean", "variance"), strict=True)]  # fmt: skip
    core.stats(results[0].array, results[1].array, rows, threads)
    return tuple(r.finish() for r in results)


def _vectors(x, **given):
    """Vectors of a layer, one element per feature."""
    for name, value in given.items():
        if value is not None:
            value = a.operand(name, value, ("x", x))
            a.expect_shape(name, value, x.shape[-1:], ", one for each feature of x")
        yield value


def _contiguous(vectors):
    return [None if v is None else a.flat(v) for v in vectors]


def batch_norm_forward(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    epsilon: float = 1e-3,
    out: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Batch normalisation: ``y = γ (x - mean) / √(var + ε) + β``.

    Parameters
    ----------
    x : array_like (..., F)
    gamma, beta : array_like (F,) or None
        None: 1 and 0, respectively.
    mean, var : array_like (F,)
        Batch statistics (`batch_norm_stats`) or moving averages.
    epsilon : float
    out : ndarray, optional
        May be `x` itself.
    threads : int, optional

    Returns
    -------
    ndarray (..., F)

    Raises
    ------
    TypeError, ValueError

    References
    ----------
    Ioffe & Szegedy 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> x = np.array([[1.0], [3.0]])
    >>> ops.batch_norm_forward(x, None, None, *ops.batch_norm_stats(x), epsilon=0.0)
    array([[-1.],
           [ 1.]])
    """
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 2)
    vectors = list(
        _vectors(x, gamma=gamma, beta=beta, mean=_given("mean", mean), var=_given("var", var))
    )
    epsilon = number("epsilon", epsilon, 0)
    inputs = {"x": x, **dict(zip(("gamma", "beta", "mean", "var"), vectors, strict=True))}
    y = a.Result(out, x.shape, x.dtype, inputs, in_place=("x",), axis=-1)
    core.forward(y.array, a.matrix(x), *_contiguous(vectors), epsilon, threads)
    return y.finish()


def _given(name, value):
    if value is None:
        raise TypeError(f"{name}: expected float32 or float64, got None")
    return value


def batch_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    epsilon: float = 1e-3,
    out: tuple[FloatArray | None, FloatArray | None, FloatArray | None] | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients of batch normalisation in training, including those through the batch mean and variance.

    With ``x̂ = (x - mean) / √(var + ε)``: ``dβ = Σ dy``, ``dγ = Σ dy x̂``,
    ``dx = γ / √(var + ε) (dy - dβ / n - x̂ dγ / n)``.

    Parameters
    ----------
    dy, x : array_like (..., F)
    gamma : array_like (F,) or None
    mean, var : array_like (F,)
        The result of `batch_norm_stats` for `x`.
    epsilon : float
    out : tuple of three, optional
        Arrays or None for dx, dgamma, dbeta.
    threads : int, optional

    Returns
    -------
    dx : ndarray (..., F)
    dgamma, dbeta : ndarray (F,)
        Zero if there are no rows.

    Raises
    ------
    TypeError, ValueError

    References
    ----------
    Ioffe & Szegedy 2015, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> x = np.array([[1.0], [3.0]])
    >>> mean, var = ops.batch_norm_stats(x)
    >>> ops.batch_norm_backward(np.array([[0.0], [1.0]]), x, None, mean, var, epsilon=0.0)
    (array([[0.],
           [0.]]), array([1.]), array([1.]))
    """
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 2)
    dy = a.expect_shape("dy", a.operand("dy", dy, ("x", x)), x.shape, " like x")
    vectors = list(_vectors(x, gamma=gamma, mean=_given("mean", mean), var=_given("var", var)))
    epsilon = number("epsilon", epsilon, 0)
    inputs = {"dy": dy, "x": x, **dict(zip(("gamma", "mean", "var"), vectors, strict=True))}
    names, shapes, axes = (
        ("dx", "dgamma", "dbeta"),
        (x.shape, x.shape[-1:], x.shape[-1:]),
        (-1, None, None),
    )
    results = [a.Result(o, s, x.dtype, inputs, axis=i, name=f"out ({n})")
               for o, s, i, n in zip(a.several(out, names), shapes, axes, names, strict=True)]  # fmt: skip
    dx, dgamma, dbeta = (r.array for r in results)
    if x.size == 0:
        dgamma[...], dbeta[...] = 0, 0
    else:
        gamma, mean, var = _contiguous(vectors)
        core.backward(
            dx, dgamma, dbeta, a.matrix(dy), a.matrix(x), gamma, mean, var, epsilon, threads
        )
    return tuple(r.finish() for r in results)
