"""Functions on arrays of data: one-hot rows, rows of length 1, two parts of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer
from .._base.numbers import as_array
from .._base.random import generator
from .._base.signatures import only_default

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> FloatArray:
    """Turn class labels into one-hot rows, the targets of `losses.CategoricalCrossentropy`.

    (`losses.SparseCategoricalCrossentropy` takes the labels themselves, which needs less memory.)

    Parameters
    ----------
    x : array_like of int (...) or (..., 1)
        Class labels 0 … num_classes − 1.
    num_classes : int, optional
        Default: the largest label plus 1.

    Returns
    -------
    ndarray (..., num_classes), float64

    Raises
    ------
    TypeError, ValueError
        For labels that are no integers or out of range.

    Examples
    --------
    >>> fastnn.utils.to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    labels = as_array("x", x)
    if labels.dtype.kind not in "iub" and (labels != np.trunc(labels)).any():
        raise ValueError("x: expected integer class labels, got fractions")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.astype(np.int64).reshape(shape)
    if num_classes is None and not labels.size:
        raise ValueError("num_classes: expected a number of classes, as x is empty, got None")
    classes = int(labels.max()) + 1 if num_classes is None else integer("num_classes", num_classes, 1)
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"x: expected class labels 0 to {classes - 1}, got {wrong}")
    found = np.zeros((labels.size, classes))
    found[np.arange(labels.size), labels.reshape(-1)] = 1
    return found.reshape(*shape, classes)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> FloatArray:
    """Divide an array by its norms along an axis; norms of 0 count as 1.

    Parameters
    ----------
    x : array_like
    axis : int
    order : float
        Of the norm, as `numpy.linalg.norm` has it: 2 Euclidean, 1 sum of absolute values, inf the largest of these.

    Returns
    -------
    ndarray
        Of the shape of x.

    Examples
    --------
    >>> import numpy as np
    >>> fastnn.utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = np.atleast_1d(as_array("x", x))
    axis = integer("axis", axis, -x.ndim)
    if axis >= x.ndim:
        raise ValueError(f"axis: expected an axis of x of shape {x.shape}, got {axis}")
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: None = None,
) -> tuple[Any, Any]:
    """Split arrays into two parts by rows, for training and validation.

    Parameters
    ----------
    dataset : array_like, or tuple, list or dict of them
        With equal numbers of rows, such as ``(x, y)``.
    left_size, right_size : int or float, optional
        Rows of a part, or a fraction in [0, 1]. One of the two suffices; if both leave rows over, these are left out.
    shuffle : bool
        Take the rows in random order.
    seed : int, optional
        Of the order; default: the next seed of the process.
    preferred_backend : None
        For compatibility with Keras; only the default is accepted.

    Returns
    -------
    (left, right)
        Each like `dataset`: arrays, or a tuple, list or dict of them. (Keras returns data sets of samples.)

    Raises
    ------
    ValueError
        Without a size, for sizes out of range, and for different numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> train, test = fastnn.utils.split_dataset((x, y), left_size=0.6)
    >>> train[1], test[1]
    (array([0, 1, 2]), array([3, 4]))
    """
    only_default("preferred_backend", preferred_backend, None)
    names = list(dataset) if isinstance(dataset, dict) else None
    several = names is not None or isinstance(dataset, (tuple, list)) and any(np.ndim(a) for a in dataset)
    parts = list(dataset.values()) if names is not None else list(dataset) if several else [dataset]
    arrays = [as_array("dataset", part) for part in parts]
    rows = {len(a) if a.ndim else 0 for a in arrays}
    if len(rows) != 1 or 0 in rows:
        raise ValueError(f"dataset: expected arrays with equal numbers of rows, got {[np.shape(a) for a in arrays]}")
    n = rows.pop()
    if left_size is None and right_size is None:
        raise ValueError("left_size, right_size: expected at least one of them, got neither")
    left, right = _rows("left_size", left_size, n), _rows("right_size", right_size, n)
    left = n - right if left is None else left
    right = n - left if right is None else right
    if left + right > n:
        raise ValueError(f"left_size, right_size: expected at most {n} rows in all, got {left} and {right}")
    order = generator(seed).permutation(n) if flag("shuffle", shuffle) else np.arange(n)
    found = []
    for at in (order[:left], order[n - right :]):
        taken = [a[at] for a in arrays]
        like = dict(zip(names, taken, strict=True)) if names is not None else type(dataset)(taken) if several else None
        found.append(taken[0] if like is None else like)
    return found[0], found[1]


def _rows(name, size, n):
    """A number of rows, from that or a fraction."""
    if size is None:
        return None
    if isinstance(size, float):
        if not 0 <= size <= 1:
            raise ValueError(f"{name}: expected a fraction in [0, 1] or a number of rows, got {size}")
        return round(size * n)
    size = integer(name, size, 0)
    if size > n:
        raise ValueError(f"{name}: expected at most {n}, the number of rows, got {size}")
    return size
