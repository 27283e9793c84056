"""Losses and metrics: one function per kernel row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.signatures import with_row
from .._core import losses as core
from .._core.kernels import loss_rows, metric_rows
from . import _arguments as a

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._base.types import AnyArray, FloatArray, Outs
    from .._declared.ops_losses import *  # noqa: F403 - what is made of the rows below

_LOSSES = {name: (defaults, target) for name, defaults, target in loss_rows()}
_METRICS = {name: (defaults, target) for name, defaults, target in metric_rows()}

__all__ = ["loss", "metric", "softmax_cross_entropy"]


def _operands_of_loss(names, y_true, y_pred, target, ignored=None):
    """y_pred, y_true as a matrix or labels for the kernel, and y_true in its own layout (None for labels)."""
    y_pred = a.at_least(names[1], a.operand(names[1], y_pred), 1)
    if y_pred.shape[-1] == 0:
        raise ValueError(
            f"{names[1]}: expected at least one output per row, got shape {y_pred.shape}"
        )
    if target == "labels":
        return y_pred, a.class_numbers(names[0], y_true, y_pred.shape[:-1], y_pred.shape[-1], ignored), None
    y_true = a.operand(names[0], y_true, (names[1], y_pred))
    a.expect_shape(names[0], y_true, y_pred.shape, f" like {names[1]}")
    return y_pred, a.matrix(y_true), y_true


def _loss(names, name, y_true, y_pred, sample_weight, out, threads, params):
    threads = a.team(threads)
    defaults, target = a.find_row("loss", name, _LOSSES)
    values = a.row_values(name, defaults, params)
    y_pred, y_true, shared = _operands_of_loss(names, y_true, y_pred, target, params.get("ignore_class"))
    lead, dtype, weight = y_pred.shape[:-1], y_pred.dtype, None
    if sample_weight is not None:
        sample_weight = a.operand("sample_weight", sample_weight, (names[1], y_pred))
        weight = a.flat(a.expect_shape("sample_weight", sample_weight, lead, ", one weight per row"))
    outs = a.several(out, ("value", "gradient"))
    inputs = {names[0]: shared, names[1]: y_pred, "sample_weight": sample_weight}
    value = a.Result(outs[0], lead, dtype, inputs, name="out (value)")
    dy = a.Result(outs[1], y_pred.shape, dtype, inputs, names[1:], axis=-1, name="out (gradient)")
    core.run(name, False, value.array, dy.array, a.matrix(y_pred), y_true, weight, values, threads)
    return value.finish(), dy.finish()


def loss(
    name: str,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    out: Outs | None = None,
    threads: int | None = None,
    **params: float,
) -> tuple[FloatArray, FloatArray]:
    """Compute a loss by name: the value of each row and the gradient.

    The gradient is that of the *sum* of the values. Divide it by the number of rows for the gradient of the mean.

    Parameters
    ----------
    name : str
        Name of the loss; each is also a function of this module. Pointwise losses are means over the K outputs.
    y_true : array_like (..., K), or class labels (...) or (..., 1) of an integer dtype
        Depending on the loss.
    y_pred : array_like (..., K)
    sample_weight : array_like (...), optional
        Factors for the values and gradients of the rows.
    out : tuple of two, optional
        Arrays or None for the two results. The second may be `y_pred` itself.
    threads : int, optional
    **params : float
        Parameters of the loss.

    Returns
    -------
    value : ndarray (...)
    dy : ndarray (..., K)

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or parameter name; for a wrong shape, a class label out of range, an unknown loss, or an
        invalid `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.loss("mean_squared_error", np.array([[0.0, 0.0]]), np.array([[1.0, 3.0]]))
    (array([5.]), array([[1., 3.]]))
    """
    return _loss(("y_true", "y_pred"), name, y_true, y_pred, sample_weight, out, threads, params)


def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    out: Outs | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Cross-entropy of ``softmax(logits)``: ``log Σ exp(z) - z_label``, or ``-Σ t log softmax(z)`` for rows t.

    Parameters
    ----------
    logits : array_like (..., K)
    labels : array_like
        Class labels (...) or (..., 1) of an integer dtype, or rows (..., K) of the dtype of `logits`.
    sample_weight : array_like (...), optional
    out : tuple of two, optional
    threads : int, optional

    Returns
    -------
    value : ndarray (...)
        Loss of each row, times its weight.
    dlogits : ndarray (..., K)
        Gradient of the sum of the values.

    Raises
    ------
    TypeError, ValueError
        As `loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> value, dlogits = ops.softmax_cross_entropy(np.array([[0.0, 0.0], [9.0, -1e8]]), [1, 0])
    >>> value.round(3), dlogits
    (array([0.693, 0.   ]), array([[ 0.5, -0.5],
           [ 0. ,  0. ]]))
    """
    labels = np.asarray(labels)
    name = "sparse_softmax_crossentropy" if labels.dtype.kind in "iu" else "softmax_crossentropy"
    return _loss(("labels", "logits"), name, labels, logits, sample_weight, out, threads, {})


def metric(
    name: str, y_true: ArrayLike, y_pred: ArrayLike, threads: int | None = None, **params: float
) -> float | AnyArray:
    """Compute a metric by name: the mean over the rows, or the underlying sums.

    Parameters
    ----------
    name : str
        Name of the metric; every loss is a metric too.
    y_true, y_pred : array_like
        As for `loss`.
    threads : int, optional
    **params : float

    Returns
    -------
    float or ndarray (pairs, 2)
        The mean; for ``confusion``, ``squares`` and ``histogram``, which are not means, sums over the rows.

    Raises
    ------
    TypeError, ValueError
        As `loss`; also if there are no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.metric("sparse_accuracy", [0, 1], np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """
    threads = a.team(threads)
    defaults, target = a.find_row("metric", name, _METRICS)
    values = a.row_values(name, defaults, params)
    y_pred, y_true, _ = _operands_of_loss(("y_true", "y_pred"), y_true, y_pred, target)
    rows = a.matrix(y_pred)
    if len(rows) == 0:
        raise ValueError(f"y_pred: expected at least one row, got shape {y_pred.shape}")
    if name == "histogram":
        _buckets(values[0])
    result = core.run(name, True, None, None, rows, y_true, None, values, threads)
    return result if np.ndim(result) else result / len(rows)


def _buckets(n):
    if not (2 <= n <= 1 << 20 and n == int(n)):
        raise ValueError(f"num_thresholds: expected an integer from 2 to 2**20, got {n:g}")


def _loss_function(name, defaults, target):
    def function(
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        out: Outs | None = None,
        threads: int | None = None,
        **params: float,
    ) -> tuple[FloatArray, FloatArray]:
        return loss(name, y_true, y_pred, sample_weight, out, threads, **params)

    y_true = "[0, 1]" if target == "labels" else "np.eye(2)"
    function.__doc__ = f"""Loss {name}: ``loss({name!r}, y_true, y_pred, ...)``.

    y_true: {"class labels" if target == "labels" else "like y_pred"}. Parameters: {a.summary(defaults)}.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> value, dy = ops.{name}({y_true}, np.full((2, 2), 0.5))
    >>> value.shape, dy.shape
    ((2,), (2, 2))
    """
    return with_row(function, defaults)


__all__.extend(
    a.publish(globals(), ((name, _loss_function(name, *row)) for name, row in _LOSSES.items()))
)
