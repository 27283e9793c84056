"""Input validation: user data of any kind becomes checked arrays that the core reads in place.

(a) No copy if an array has native, aligned, contiguous rows of a numeric dtype; the core converts on
    the fly. So uint8 images stay uint8, and a memory map is read as training proceeds. Otherwise one
    copy.
(b) Targets are class labels (int32) or one value for each output of the model; the loss decides
    which.
(c) An error names the argument, the row, the expected and the actual value.
"""

from math import prod

import numpy as np

from ..._base.checks import number
from ..._base.numbers import aligned, as_array, cast, check_finite
from ..._core.kernels import DATA_CODES

ROUNDING = 1e-6  # by which targets may deviate from an integer


class Data:
    """Checked samples: x (n, features), y (n,) or (n, outputs) or None, w (n,) or None.

    `rows`, int64, selects samples in their order, unless it is None (all): they are read in place, and a sample may
    occur twice."""

    __slots__ = ("x", "y", "w", "n", "start", "stop", "rows")

    def __init__(self, x, y=None, w=None):
        self.x, self.y, self.w, self.n, self.rows = x, y, w, len(x), None

    def of_rows(self, rows):
        """These samples, without a copy; None: all."""
        found = Data(self.x, self.y, self.w)
        if rows is not None:
            found.rows, found.n = rows, len(rows)
        return found

    def part(self, start, stop):
        """Samples start … stop − 1, as views."""
        if self.rows is not None:
            return self.of_rows(self.rows[start:stop])
        return Data(*(None if a is None else a[start:stop] for a in (self.x, self.y, self.w)))

    def ordered(self, order):
        """What the core takes for samples in an order (None: as they lie)."""
        return order if self.rows is None else self.rows if order is None else self.rows[order]

    def weighted(self, class_weight, dtype, classes=None, whole=False):
        """The same data with sample weights multiplied by class weights; other arguments as for `class_weights`."""
        w = class_weights(class_weight, self.y, dtype, classes, whole)
        if self.w is not None:
            with np.errstate(over="ignore"):
                w = self.w * w
            check_finite("sample_weight times class_weight", w, off="")
        return Data(self.x, self.y, w).of_rows(self.rows)


def readable(array, dtype):
    """The array itself if the core can read it in place, else a copy.

    Rows must be contiguous; gaps between rows are allowed (``x[::2]``), overlaps and negative strides are not."""
    flags = array.flags
    if array.dtype.str in DATA_CODES and flags.aligned:  # the names there are of native numbers
        if flags.c_contiguous:
            return array
        if len(array) and array[0].flags.c_contiguous and array.strides[0] >= array[0].nbytes:
            return array
        return aligned(array)
    native = array.dtype.newbyteorder("=")
    return aligned(array, native if native.str in DATA_CODES else dtype)


def _flat_rows(name, array, dtype, finite):
    """An array as the core reads it, (n, values), checked according to `finite` (see `samples`)."""
    if finite is not None and not finite:
        array = readable(array, dtype)
        return array if array.ndim == 2 else array.reshape(len(array), prod(array.shape[1:]))
    if array.dtype.itemsize > 8:  # converted here, not by the core
        check_finite(name, array, dtype, bool(finite))
    array = readable(array, dtype)
    array = array if array.ndim == 2 else array.reshape(len(array), prod(array.shape[1:]))
    check_finite(name, array, dtype, bool(finite))
    return array


def samples(name, value, shape, dtype, finite=None):
    """Inputs as (n, features).

    Parameters
    ----------
    name : str
    value : array_like (n, *shape)
        One-dimensional data are n samples of one feature.
    shape : tuple or None
        Shape of a sample.
    dtype : str
        Dtype of the model.
    finite : bool or None
        Which values are errors: True: NaN, infinity and values that overflow `dtype`; None: only the last; False: none.
    """
    array = as_array(name, value)
    if array.ndim == 1 and shape == (1,):
        array = array[:, None]
    if array.ndim == 0 or array.shape[1:] != shape:
        hint = ""
        if array.ndim == 1:
            hint = one_axis(name, len(array), shape)
        elif array.ndim and prod(array.shape[1:]) == prod(shape):
            hint = "; the sizes match: reshape it, or start the model with Flatten or Reshape"
        elif array.shape == shape:
            hint = f"; a single sample needs a batch axis: {name}[None]"
        raise ValueError(f"{name}: expected shape {_batch(shape)}, got {array.shape}{hint}")
    return _flat_rows(name, array, dtype, finite)


def check_rows(name, array, limit):
    """ValueError that names the first value that is no row of a table of `limit` rows: an integer 0 to limit - 1."""
    if not array.size or array.dtype.kind in "iu" and array.min() >= 0 and array.max() < limit:
        return
    with np.errstate(invalid="ignore"):
        wrong = ~((array >= 0) & (array < limit) & (np.trunc(array) == array))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name}: expected integers 0 to {limit - 1} for an Embedding of {limit} rows, got {array[row, column]}"
            f" in row {row}"
        )


def one_axis(name, n, shape=None):
    """Advice for one-dimensional data where samples of a shape (None: not known yet) were expected."""
    shape_text = ", ".join(map(str, shape or (1,)))
    many = f"; for {n} samples of one value use {name}.reshape(-1, {shape_text})"
    one = f"; a single sample of {n} values needs a batch axis: {name}[None]"
    if shape is None:
        return many + one
    if prod(shape) == 1:
        return many
    if shape == (n,):
        return one
    return f"; for a single sample use {name}.reshape(1, {shape_text})" if prod(shape) == n else ""


def _batch(shape):
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"


def labels(name, value, classes, ignore=None):
    """Class labels 0 … classes − 1, or `ignore`, as int32 (n,)."""
    array = as_array(name, value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = (
            "; for one-hot rows use categorical_crossentropy"
            if array.shape[1:] == (classes,)
            else ""
        )
        raise ValueError(
            f"{name}: expected class labels of shape (n,), got shape {array.shape}{hint}"
        )
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.trunc(array) == array
        _refuse(name, array, ~whole, "expected integer class labels")
    bad = (array < 0) | (array >= classes)
    bad = bad if ignore is None else bad & (array != ignore)
    _refuse(name, array, bad, f"expected classes 0 to {classes - 1}, as the model has"
            f" {classes} outputs")  # fmt: skip
    return aligned(array, np.int32)


def _refuse(name, array, bad, expected):
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"{name}: {expected}; got {array[i]} in row {i}")


def targets(name, value, shape, dtype, finite=None):
    """Dense targets as (n, outputs); `finite` as for `samples`."""
    array = as_array(name, value)
    if array.ndim == 1 and prod(shape) == 1:
        array = array[:, None]
    if array.shape[1:] != shape and not (array.ndim == 2 and array.shape[1] == prod(shape)):
        hint = ""
        if array.ndim == 1 and array.dtype.kind in "iu":
            hint = "; for class labels use sparse_categorical_crossentropy"
        raise ValueError(
            f"{name}: expected shape {_batch(shape)} like the model's output, got {array.shape}{hint}"
        )
    return _flat_rows(name, array, dtype, finite)


def free_targets(name, value, shape):
    """Targets of a Python loss: unchanged, but with a trailing axis for a single output."""
    array = as_array(name, value)
    if array.ndim == 1 and shape == (1,):
        array = array[:, None]
    return aligned(array)


def weights(name, value, n, dtype):
    """Sample weights as (n,) of the model's dtype."""
    array = as_array(name, value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), one weight per sample, got {array.shape}")
    array = aligned(cast(name, array, dtype))
    _refuse(
        name, array, ~(np.isfinite(array) & (array >= 0)), "expected finite non-negative weights"
    )
    return array


def class_weights(value, y, dtype, count=None, whole=False):
    """The weight of each sample by its class; classes that are not listed have weight 1.

    Parameters
    ----------
    value : dict
    y : ndarray (n,), (n, 1) or (n, classes)
        Class labels, or a one-hot row for each sample.
    dtype : str
    count : int, optional
        Number of classes, if known.
    whole : bool
        Whether `y` are all targets: if so and `count` is not known, a class without samples is an error.
    """
    if not isinstance(value, dict):
        raise TypeError(
            f"class_weight: expected a dict from class labels to weights, got {value!r}"
        )
    y = np.asarray(y)
    count = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else count
    classes = _classes(y)
    result = np.ones(len(classes), dtype)
    for label, weight in value.items():
        if number("class_weight: a class", label) != int(label):
            raise ValueError(f"class_weight: expected integer class labels, got {label!r}")
        if count is not None and not 0 <= label < count:
            raise ValueError(f"class_weight: expected classes 0 to {count - 1}, got {label!r}")
        rows = classes == label
        if count is None and whole and not rows.any():
            raise ValueError(f"class_weight: expected classes that occur in the targets, got {label!r}")
        result[rows] = cast(f"class_weight[{label}]", number(f"class_weight[{label}]", weight, 0), dtype)
    return result


def _classes(y):
    """The class of each row of targets; ValueError that names the first row without exactly one class."""
    expected = "class_weight: expected targets with one class per row, class labels or one-hot rows"
    instead = "use sample_weight instead"
    if y.ndim not in (1, 2):
        raise ValueError(f"{expected}, got shape {y.shape}; {instead}")
    if y.ndim == 2 and y.shape[1] > 1:  # soft labels have a class if they are probabilities with one above all others
        good = (np.min(y, axis=1) >= -ROUNDING) & (np.max(y, axis=1) > 0.5)
        good &= np.abs(np.sum(y, axis=1, dtype=np.float64) - 1) <= ROUNDING * y.shape[1]
        classes = y.argmax(axis=1)
    else:
        y = y.reshape(-1)
        classes = np.rint(y)
        good = np.abs(y - classes) <= ROUNDING if y.dtype.kind == "f" else np.True_
    if not np.all(good):
        i = int(np.argmin(good))
        raise ValueError(f"{expected}, got {y[i].tolist()} in row {i}; {instead}")
    return classes.astype(np.int64)


def check_shares(name, array):
    """ValueError that names the first target outside [0, 1] by more than rounding."""
    low, high = -ROUNDING, 1 + ROUNDING
    if array.size and not (array.min() >= low and array.max() <= high):
        bad = np.argwhere((array < low) | (array > high))
        if len(bad):  # else there are NaN
            raise ValueError(
                f"{name}: expected values from 0 to 1 for this loss, got {array[tuple(bad[0])]} in row {bad[0][0]}"
            )


def same_length(n, **others):
    """ValueError unless all have n rows."""
    for name, array in others.items():
        if array is not None and len(array) != n:
            raise ValueError(f"{name}: expected {n} rows, as many as x, got {len(array)}")
