"""Dropout and its random number generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .._core import random as core
from . import _arguments as a

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from .._base.types import FloatArray

__all__ = ["dropout", "philox"]


def dropout(
    x: ArrayLike,
    rate: float,
    seed: int,
    step: int = 0,
    layer: int = 0,
    out: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Inverted dropout: ``y = x / (1 - rate)`` where kept, else 0.

    The gradient is the same call on dy: the mask depends only on rate, seed, step, layer and position.

    Parameters
    ----------
    x : array_like (n, ...)
        The first axis is the sample axis.
    rate : float
        At least 0 and below 1.
    seed : int
        0 to 2⁶⁴ - 1.
    step : int
        0 to 2⁶⁴ - 1; only the low 32 bits are used.
    layer : int
        0 to 2³² - 1.
    out : ndarray, optional
        May be `x` itself.
    threads : int, optional

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError

    References
    ----------
    Srivastava et al. 2014. Random bits: `philox` of (feature, sample // 4, step, layer), word sample % 4.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.dropout(np.ones((2, 4)), 0.5, seed=1)
    array([[2., 2., 0., 2.],
           [2., 2., 2., 0.]])
    """
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 1)
    rate = number("rate", rate, 0, 1, open_high=True)
    seed, step, layer = (
        a.whole("seed", seed, 64),
        a.whole("step", step, 64),
        a.whole("layer", layer, 32),
    )
    y = a.Result(out, x.shape, x.dtype, {"x": x}, in_place=("x",), axis=1)
    if x.size:
        core.drop(y.array, a.matrix(x, 1), rate, seed, step, layer, threads)
    return y.finish()


def philox(
    n: int, counter: Sequence[int] = (0, 0, 0, 0), key: Sequence[int] = (0, 0)
) -> NDArray[np.uint32]:
    """Generate n random words by Philox4x32-10, four for each of the counters counter, counter + 1, …

    Parameters
    ----------
    n : int
    counter : sequence of four int
        Words, least significant first.
    key : sequence of two int

    Returns
    -------
    ndarray (n,) of uint32

    Raises
    ------
    TypeError, ValueError

    References
    ----------
    Salmon, Moraes, Dror & Shaw 2011.

    Examples
    --------
    >>> from fastnn import ops
    >>> [hex(word) for word in ops.philox(4)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    words = []
    for name, value, count in (("counter", counter, 4), ("key", key, 2)):
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) != count:
            raise ValueError(f"{name}: expected {count} integers, got {value!r}")
        words.append([a.whole(f"{name}[{i}]", word, 32) for i, word in enumerate(value)])
    return core.words(a.whole("n", n, 48), *words)
