"""Clipping of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._core import clipping as core
from . import _arguments as a

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

__all__ = ["clip_by_value", "clip_by_norm", "clip_by_global_norm"]


def _clipped(grads, out):
    """The arrays, contiguous, and a result for each."""
    one = not isinstance(grads, (list, tuple))
    names, outs_named = ["grads"], ["out"]
    if not one:
        names, outs_named = ([f"{n}[{i}]" for i in range(len(grads))] for n in ("grads", "out"))
    arrays = [a.operand(n, g) for n, g in zip(names, [grads] if one else grads, strict=True)]
    outs = [out] if one else a.several(out, names)
    a.apart([(n, o) for n, o in zip(outs_named, outs, strict=True) if isinstance(o, np.ndarray)])
    inputs = dict(zip(names, arrays, strict=True))
    results = [a.Result(o, g.shape, g.dtype, inputs, in_place=(n,), name=m)
               for o, g, n, m in zip(outs, arrays, names, outs_named, strict=True)]  # fmt: skip
    return [a.flat(g) for g in arrays], results


def _answer(grads, results):
    arrays = [r.finish() for r in results]
    return arrays if isinstance(grads, (list, tuple)) else arrays[0]


def _limit(name, value, zero=False):
    limit = a.scalar(name, value)
    if limit < 0 or limit == 0 and not zero:
        raise ValueError(
            f"{name}: expected a number {'of at least 0' if zero else 'above 0'}, got {value!r}"
        )
    return limit


def _scale(flats, results, clipnorm, global_clipnorm, threads):
    factors, sums = core.norm_factors(flats, clipnorm, global_clipnorm, threads)
    for g, result, factor in zip(flats, results, factors, strict=True):
        core.run(result.array, g, False, factor, threads)
    return sums


def clip_by_value(
    grads: ArrayLike | Sequence[ArrayLike],
    clipvalue: float,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Clip every element to [-c, c]; NaN stays NaN.

    Parameters
    ----------
    grads : array_like, or list of them
    clipvalue : float
        c, at least 0.
    out : ndarray or list of them, optional
        May be `grads` itself.
    threads : int, optional

    Returns
    -------
    ndarray or list of them

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.clip_by_value([np.array([-3.0, 0.5]), np.array([9.0])], 1.0)
    [array([-1. ,  0.5]), array([1.])]
    """
    threads = a.team(threads)
    clipvalue = _limit("clipvalue", clipvalue, zero=True)
    flats, results = _clipped(grads, out)
    for g, result in zip(flats, results, strict=True):
        core.run(result.array, g, True, clipvalue, threads)
    return _answer(grads, results)


def clip_by_norm(
    grads: ArrayLike | Sequence[ArrayLike],
    clipnorm: float,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Clip each array to a norm of at most c: ``g c / max(‖g‖, c)``. Norms are computed in float64.

    Parameters
    ----------
    grads : array_like, or list of them
    clipnorm : float
        c, above 0.
    out : ndarray or list of them, optional
        May be `grads` itself.
    threads : int, optional

    Returns
    -------
    ndarray or list of them
        0 and NaN if the norm is infinite; NaN if it is NaN.

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.clip_by_norm([np.array([3.0, 4.0]), np.array([0.5])], 1.0)
    [array([0.6, 0.8]), array([0.5])]
    """
    threads = a.team(threads)
    clipnorm = _limit("clipnorm", clipnorm)
    flats, results = _clipped(grads, out)
    _scale(flats, results, clipnorm, 0.0, threads)
    return _answer(grads, results)


def clip_by_global_norm(
    grads: ArrayLike | Sequence[ArrayLike],
    global_clipnorm: float,
    out: Any = None,
    threads: int | None = None,
) -> tuple[Any, float]:
    """Clip all arrays to a global norm of at most c: ``g c / max(n, c)``, ``n = √Σ ‖g‖²``, computed in float64.

    Parameters
    ----------
    grads : list of array_like, or one
    global_clipnorm : float
        c, above 0.
    out : list of ndarray, or one, optional
        May be `grads` itself.
    threads : int, optional

    Returns
    -------
    clipped : list of ndarray, or one
        All NaN if the norm is non-finite, as in Keras, so that a bad step is visible.
    norm : float
        n, before clipping.

    Raises
    ------
    TypeError, ValueError

    References
    ----------
    Pascanu, Mikolov & Bengio 2013, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.clip_by_global_norm([np.array([3.0]), np.array([4.0])], 1.0)
    ([array([0.6]), array([0.8])], 5.0)
    """
    threads = a.team(threads)
    global_clipnorm = _limit("global_clipnorm", global_clipnorm)
    flats, results = _clipped(grads, out)
    sums = _scale(flats, results, 0.0, global_clipnorm, threads)
    return _answer(grads, results), sum(sums.tolist()) ** 0.5
