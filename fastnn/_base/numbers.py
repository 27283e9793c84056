"""Conversion of input to numeric arrays, with checks for non-finite values and overflow.

(a) `as_array` accepts everything that fastnn accepts anywhere: arrays, sequences, objects with ``__array__`` or DLPack.
(b) A value that overflows in another dtype is an error that names it. Rounding is not: float32 keeps 24 bits
    of integers as of any number.
"""

import reprlib

import numpy as np

from .._core.beyond import find_beyond
from .._core.finite import all_finite

CHUNK = 1 << 18  # values per NumPy check where C cannot be used: in cache, no large temporaries for a memory map
MANY = 1 << 12  # from this size, call the kernels of this CPU, which do not return the position
SEVERAL = 1 << 23  # from this size, use several threads: on a busy machine one may start milliseconds late
# the largest float64 that rounds to a finite float32
_LARGEST_SINGLE = float(np.nextafter(2.0**128 - 2.0**103, 0))
OFF = " (check_finite=False switches this check off)"


def as_array(name, value):
    """`value` as an array of numbers."""
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise ValueError(f"{name}: expected an array without masked entries, got a masked one; fill it first")
    if isinstance(value, np.ndarray):
        array = value
    elif value is None or isinstance(value, (str, bytes, dict, set)) or hasattr(value, "__next__"):
        raise TypeError(f"{name}: expected an array, got {reprlib.repr(value)} of type {type(value).__name__}")
    elif hasattr(value, "toarray"):
        raise TypeError(
            f"{name}: expected a dense array, got a sparse {type(value).__name__}; use {name}.toarray(), or a generator"
            " of dense batches"
        )
    elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        array = np.from_dlpack(value)
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:  # rows of different lengths
            raise ValueError(
                f"{name}: expected an array, got a {type(value).__name__} that cannot be converted: {error}"
            ) from None
    if array.dtype == object:
        array = _of_objects(name, array)
    if array.dtype.kind not in "biuf":
        advice = _for_labels(name) if array.dtype.kind in "US" else ""
        raise TypeError(f"{name}: expected numbers, got an array of dtype {array.dtype}{advice}")
    return array


def aligned(array, dtype=None):
    """The array itself if it is contiguous and aligned, else a copy; in `dtype`, native byte order.

    Unaligned arrays are copied, unlike by `np.ascontiguousarray`."""
    dtype = np.dtype(array.dtype if dtype is None else dtype)
    return np.require(array, dtype.newbyteorder("="), ["C", "A"])


def is_batches(x):
    """Whether `x` yields batches, that is, is neither an array nor convertible to one."""
    if hasattr(x, "__next__"):
        return True
    known = (np.ndarray, list, tuple, str, bytes, dict, set)
    if isinstance(x, known) or any(hasattr(x, n) for n in ("__array__", "__dlpack__", "toarray")):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def _for_labels(name):
    """What to do with targets that are strings."""
    return f"; for class labels use numpy.unique({name}, return_inverse=True)[1]" if name == "y" else ""


def _of_objects(name, array):
    """Objects as float64, except for strings and None, which NumPy would convert too (None to NaN)."""
    for at, each in np.ndenumerate(array):
        if each is None or isinstance(each, (str, bytes)):
            advice = _for_labels(name) if isinstance(each, str) else ""
            raise TypeError(f"{name}: expected numbers, got {each!r} in {_place(at)}{advice}")
    try:
        return array.astype(np.float64)
    except OverflowError:
        at = next(i for i, each in np.ndenumerate(array) if not _is_float(each))
        raise ValueError(
            f"{name}: expected numbers in the range of float64, got a larger one in {_place(at)}"
        ) from None
    except (TypeError, ValueError):
        return array  # the caller raises an error for its dtype


def _is_float(value):
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False


def _place(index):
    """The position of an element, for an error."""
    if not index:
        return "it"
    if len(index) > 2:
        return f"row {index[0]}, at {tuple(map(int, index[1:]))}"
    return f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")


def check_finite(name, array, dtype=None, finite=True, off=OFF):
    """ValueError that names the first value that is non-finite in a dtype, and its position.

    Parameters
    ----------
    name : str
    array : ndarray or None
    dtype : {"float32", "float64"}, optional
        Dtype of the conversion; None: that of the array.
    finite : bool
        False: NaN and infinity are accepted; only overflow in the conversion is an error.
    off : str
        End of the error about NaN and infinity: how to disable the check.
    """
    if array is None or array.dtype.kind != "f" or not array.size:
        return
    largest = np.inf if dtype is None else float(np.finfo(dtype).max)
    narrower = dtype is not None and array.dtype.itemsize > np.dtype(dtype).itemsize
    if not finite and not narrower:
        return
    at = _first_beyond(array, largest if narrower else None, finite)
    if at is None:
        return
    value, where = array[at], _place(at)
    if np.isfinite(value):
        raise ValueError(
            f"{name}: expected numbers in the range of {np.dtype(dtype)}"
            + (", or dtype='float64'" if largest < 1e39 else "")
            + f", got {value} in {where}, which overflows {np.dtype(dtype)} (maximum {largest:.3g})"
        )
    raise ValueError(f"{name}: expected finite numbers, got {value} in {where}{off}")


def _first_beyond(array, largest, finite):
    """Index of the first value above `largest` in magnitude or non-finite, as a tuple; None if there is none."""
    if array.dtype.char in "fd" and array.dtype.isnative and array.flags.aligned:
        rows = array if array.flags.c_contiguous or array.ndim == 2 else None
        if largest is None and finite and array.flags.c_contiguous and array.size > MANY:
            if all_finite(array, None if array.size > SEVERAL else 1):
                return None
        if rows is not None and (rows.flags.c_contiguous or rows.shape[1] < 2 or rows.strides[1] == rows.itemsize):
            at = find_beyond(rows, 0 if largest is None else _LARGEST_SINGLE, finite)
            return None if at < 0 else tuple(map(int, np.unravel_index(at, array.shape)))
    if not array.ndim:
        return () if _beyond(array, largest, finite) else None
    step = max(1, CHUNK // max(1, array[0].size))
    for start in range(0, len(array), step):
        bad = _beyond(array[start : start + step], largest, finite)
        if bad.any():
            first = np.argwhere(bad)[0]
            return (start + int(first[0]), *map(int, first[1:]))
    return None


def _beyond(part, largest, finite):
    with np.errstate(all="ignore"):
        known = np.isfinite(part)
        bad = np.zeros(part.shape, bool) if largest is None else known & (np.abs(part) > largest)
    return bad | ~known if finite else bad


def cast(name, value, dtype, finite=False, off=""):
    """`value` as an array of a float dtype, copied only if needed; overflow in that dtype is an error.

    Parameters
    ----------
    name : str
    value : array_like
    dtype : {"float32", "float64"}
    finite : bool
        Whether NaN and infinity are errors as well.
    off : str
        See `check_finite`.
    """
    array = as_array(name, value)
    check_finite(name, array, dtype, finite, off)
    return array.astype(dtype, copy=False)
