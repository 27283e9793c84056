"""Dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import dense as core
from . import _arguments as a
from .activations import find_activation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._base.types import FloatArray

__all__ = ["dense_forward", "dense_backward"]


def _fused(activation):
    """`find_activation` for an argument of a dense layer: None, a name or (name, {parameter: value})."""
    if activation is None:
        return None, (), False
    name, given = (
        activation if isinstance(activation, tuple) and len(activation) == 2 else (activation, {})
    )
    if not isinstance(given, dict):
        raise TypeError(
            f"activation: expected a name or (name, dict of parameters), got {activation!r}"
        )
    return find_activation(name, given)


def dense_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    activation: str | tuple[str, dict[str, float]] | None = None,
    out: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Apply a dense layer: ``y = f(x w + b)``.

    Parameters
    ----------
    x : array_like (..., I)
    w : array_like (I, O)
    b : array_like (O,), optional
    activation : str or (str, dict), optional
        Name of an activation, or a name and a dict of its parameters.
    out : ndarray (..., O), optional
        Must not overlap an input.
    threads : int, optional

    Returns
    -------
    ndarray (..., O)

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype; for a wrong shape, an unknown activation, or an invalid `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.dense_forward(np.eye(2), np.array([[1.0, -2.0], [3.0, 4.0]]), np.ones(2), "relu")
    array([[2., 0.],
           [4., 5.]])
    """
    if out is None and threads is None:
        y = core.forward_at_once(x, w, b, activation)
        if y is not None:
            return y
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 1)
    w = _kernel(a.operand("w", w, ("x", x)), x.shape[-1], "x")
    if b is not None:
        b = a.expect_shape(
            "b", a.operand("b", b, ("x", x)), w.shape[1:], ", one for each column of w"
        )
    row, values, _ = _fused(activation)
    y = a.Result(out, (*x.shape[:-1], w.shape[1]), x.dtype, {"x": x, "w": w, "b": b}, axis=-1)
    core.forward(
        y.array, a.matrix(x), a.matrix(w), None if b is None else a.flat(b), row, values, threads
    )
    return y.finish()


def _kernel(w, inputs, like):
    if w.ndim != 2 or w.shape[0] != inputs:
        raise ValueError(
            f"w: expected shape ({inputs}, units), as {like} has {inputs} features, got {w.shape}"
        )
    return w


def dense_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    activation: str | tuple[str, dict[str, float]] | None = None,
    t: ArrayLike | None = None,
    out: tuple[FloatArray | None, FloatArray | None, FloatArray | None] | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the gradients of a dense layer: ``dz = dy f'(t)``, ``dx = dz wᵀ``, ``dw = xᵀ dz``, ``db = Σ dz``.

    Parameters
    ----------
    dy : array_like (..., O)
    x : array_like (..., I)
    w : array_like (I, O)
    activation : str or (str, dict), optional
        Activation of the layer, if `dy` is the gradient of its output.
    t : array_like (..., O), optional
        Required with an activation, whose derivative is computed from it (see `activation_grad`).
    out : tuple of three, optional
        Arrays or None for dx, dw, db; they must not overlap an input or each other.
    threads : int, optional

    Returns
    -------
    dx : ndarray (..., I)
    dw : ndarray (I, O)
    db : ndarray (O,)

    Raises
    ------
    TypeError, ValueError
        As `dense_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> dx, dw, db = ops.dense_backward(np.ones((1, 1)), np.array([[3.0, 4.0]]), np.array([[1.0], [2.0]]))
    >>> dx, dw.ravel(), db
    (array([[1., 2.]]), array([3., 4.]), array([1.]))
    """
    threads = a.team(threads)
    x = a.at_least("x", a.operand("x", x), 1)
    w = _kernel(a.operand("w", w, ("x", x)), x.shape[-1], "x")
    shape = (*x.shape[:-1], w.shape[1])
    dy = a.expect_shape("dy", a.operand("dy", dy, ("x", x)), shape, ", matching x and w")
    row, values, _ = _fused(activation)
    if (row is None) != (t is None):
        raise ValueError("t: expected an array if and only if there is an activation")
    if t is not None:
        t = a.expect_shape("t", a.operand("t", t, ("x", x)), shape, " like dy")
    outs, names = a.several(out, ("dx", "dw", "db")), ("dx", "dw", "db")
    inputs = {"dy": dy, "x": x, "w": w, "t": t}
    shapes, axes = (x.shape, w.shape, w.shape[1:]), (-1, -1, None)
    results = [a.Result(o, s, x.dtype, inputs, axis=i, name=f"out ({n})")
               for o, s, i, n in zip(outs, shapes, axes, names, strict=True)]  # fmt: skip
    dx, dw, db = (r.array for r in results)
    if dy.size == 0:  # the sums are over nothing
        dx[...], dw[...], db[...] = 0, 0, 0
    else:
        core.backward(dx, dw, db, a.matrix(dy), a.matrix(x), a.matrix(w), None if t is None else a.matrix(t), row,
                        values, threads)  # fmt: skip
    return tuple(r.finish() for r in results)
