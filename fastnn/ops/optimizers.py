"""Optimizer steps: one function per kernel row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer
from .._base.signatures import with_row
from .._core import optimizers as core
from .._core.kernels import optimizer_rows
from . import _arguments as a

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray
    from .._declared.ops_optimizers import *  # noqa: F403 - what is made of the rows below

_ROWS = {name: (defaults, states) for name, defaults, states in optimizer_rows()}

__all__ = ["optimizer_step"]


def optimizer_step(
    name: str,
    w: FloatArray,
    states: Sequence[FloatArray],
    g: ArrayLike,
    lr: float,
    t: int = 1,
    threads: int | None = None,
    **params: float,
) -> FloatArray:
    """Perform one step of an optimizer, in place.

    Parameters
    ----------
    name : str
        Name of the optimizer; each is also a function ``<name>_step`` of this module.
    w : ndarray
        The weights; updated in place.
    states : list of ndarray, like w
        State vectors of the optimizer, initially zero; updated in place. An empty list: zero state, not kept.
    g : array_like, like w
    lr : float
        Learning rate.
    t : int
        Number of the step: 1, 2, …
    threads : int, optional
    **params : float
        Parameters of the optimizer.

    Returns
    -------
    ndarray
        `w`.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or parameter name, or `w` or `states` that are not arrays; for a wrong shape or number of
        states, an unknown optimizer, or arrays that overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> w, momentum = np.array([1.0]), np.zeros(1)
    >>> ops.optimizer_step("sgd", w, [momentum], np.array([2.0]), lr=0.1, momentum=0.9)
    array([0.8])
    >>> ops.sgd_step(w, [momentum], np.array([0.0]), lr=0.1, momentum=0.9), momentum
    (array([0.62]), array([-0.18]))
    """
    threads = a.team(threads)
    defaults, expected = a.find_row("optimizer", name, _ROWS)
    values = a.row_values(f"{name}_step", defaults, params)
    lr, t = a.scalar("lr", lr), a.whole("t", integer("t", t, minimum=1), 64)
    if not isinstance(states, (list, tuple)):
        raise TypeError(f"states: expected a list of arrays, got {type(states).__name__}")
    if len(states) not in (0, len(expected)):
        raise ValueError(
            f"states: expected {len(expected)} ({', '.join(expected)}) or none, got {len(states)}"
        )
    g = a.operand("g", g)
    dtype = g.dtype.newbyteorder("=")
    named = [("w", w), *((f"states[{i}]", s) for i, s in enumerate(states))]
    for n, array in named:
        a.expect_shape(n, a.writeable(n, array, dtype), g.shape, " like g")
    a.apart([*named, ("g", g)])
    flats = [a.flat(array) for _, array in named]
    core.step(name, flats[0], flats[1:], a.flat(g), lr, t, values, threads)
    for (_, array), flat in zip(named, flats, strict=True):
        if flat is not array:
            array[...] = flat
    return w


def _step_function(name, defaults, states):
    def function(
        w: FloatArray,
        states: Sequence[FloatArray],
        g: ArrayLike,
        lr: float,
        t: int = 1,
        threads: int | None = None,
        **params: float,
    ) -> FloatArray:
        return optimizer_step(name, w, states, g, lr, t, threads, **params)

    function.__doc__ = f"""One step of {name}, in place: ``optimizer_step({name!r}, w, states, g, lr, t, ...)``.

    States: {", ".join(states) or "none"}. Parameters: {a.summary(defaults)}.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> w = np.ones(3)
    >>> ops.{name}_step(w, [np.zeros(3) for _ in range({len(states)})], np.ones(3), lr=0.1) is w
    True
    """
    return with_row(function, defaults)


__all__.extend(
    a.publish(
        globals(), ((f"{name}_step", _step_function(name, *row)) for name, row in _ROWS.items())
    )
)
