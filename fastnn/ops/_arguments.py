"""Arguments of functions on arrays: checks of operands and outputs.

(a) An operand is float32 or float64 with any strides, alignment and byte order; it is copied where the core cannot read
    it in place. Integers and bools become float32, or the dtype of the other operand; no other dtype is cast.
(b) A result goes to a new array or to `out`, whose shape and dtype must match exactly. An `out` that overlaps an input
    is an error, unless it is that input and the function works in place.
"""

import sys
from math import prod

import numpy as np

from .._base.checks import integer, suggest, unknown_keyword
from .._base.signatures import FLAGS, row_value
from .._core.threads import MAX_THREADS


def operand(name, value, like=None):
    """`value` as a float array, without a change of layout.

    Parameters
    ----------
    name : str
    value : array_like
    like : (str, ndarray), optional
        Another operand and its name, whose dtype it must have.
    """
    if is_masked(value):
        raise TypeError(f"{name}: expected an array of floats, got a masked array; fill it first")
    array = np.asarray(value)
    if array.dtype == object and array is not value and hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    dtype = array.dtype
    if dtype.kind in "biu":
        return array.astype(np.float32 if like is None else like[1].dtype)
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        what = (
            f"an array of dtype {dtype}"
            if isinstance(value, np.ndarray)
            else describe(value, dtype)
        )
        raise TypeError(f"{name}: expected float32 or float64, got {what}")
    if like is not None and dtype.itemsize != like[1].dtype.itemsize:
        other = like[1].dtype.newbyteorder("=")
        raise TypeError(f"{name}: expected {other} like {like[0]}, got {dtype.newbyteorder('=')}")
    return array


def is_masked(value):
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)


def describe(value, dtype):
    """The description, for an error, of a value that is not a float array."""
    kind = type(value).__name__
    return kind if dtype.kind == "O" else f"{kind} of dtype {dtype}"


def expect_shape(name, array, shape, why):
    """ValueError unless `array` has this shape."""
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}{why}, got {array.shape}")
    return array


def at_least(name, array, ndim):
    """ValueError if `array` has fewer axes."""
    if array.ndim < ndim:
        axes = "axis" if ndim == 1 else "axes"
        raise ValueError(f"{name}: expected at least {ndim} {axes}, got shape {array.shape}")
    return array


def flat(array):
    """The same values, C-contiguous, aligned, in native byte order."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=True, subok=False)


def matrix(array, axis=-1):
    """(rows, features) with contiguous rows, a view if possible: the axes before `axis`, and the others.

    A vector is one row for axis -1 and one column for axis 1."""
    split = array.ndim - 1 if axis == -1 else axis
    shape = prod(array.shape[:split]), prod(array.shape[split:])
    if array.ndim == 2 and split == 1 and has_rows(array):
        return array
    return flat(array).reshape(shape)


def has_rows(array):
    """Whether the core can read or write the rows of a 2-D array in place."""
    item = array.itemsize
    if not (array.flags.aligned and array.dtype.isnative):
        return False
    near = array.shape[1] <= 1 or array.strides[1] == item
    return near and abs(array.strides[0]) >= array.shape[1] * item and array.strides[0] % item == 0


def overlaps(a, b):
    """Whether two arrays overlap in memory (True if that is too hard to decide)."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=1 << 16)
    except np.exceptions.TooHardError:
        return True


def is_same(a, b):
    """Whether two arrays are views of the same elements in the same order."""
    return (
        a.shape == b.shape
        and a.strides == b.strides
        and a.dtype == b.dtype
        and a.__array_interface__["data"] == b.__array_interface__["data"]
    )


class Result:
    """Destination of a result: `array` is for the core, `finish()` returns the array for the caller.

    Parameters
    ----------
    out : ndarray or None
        The caller's array.
    shape : tuple
    dtype : numpy dtype
    inputs : dict
        Name to array, for all inputs.
    in_place : tuple of str
        Inputs that `out` may be identical to.
    axis : int or None
        None: `array` is contiguous, of shape `shape`; else a matrix, as `matrix` makes it.
    name : str
    """

    __slots__ = ("out", "array")

    def __init__(self, out, shape, dtype, inputs, in_place=(), axis=None, name="out"):
        dtype = dtype.newbyteorder("=")
        if out is None:
            out = np.empty(shape, dtype)
        else:
            writeable(name, out, dtype)
            expect_shape(name, out, shape, "")
            for other, array in inputs.items():
                if array is None or not overlaps(out, array):
                    continue
                if other not in in_place or not is_same(out, array):
                    expected = f"{other} itself or an array" if other in in_place else "an array"
                    raise ValueError(f"{name}: expected {expected} without overlap, got one that overlaps {other}")
        self.out = out
        fits = out.flags.c_contiguous and out.flags.aligned
        if not fits and axis is not None and out.ndim == 2:
            fits = has_rows(out)
        array = out if fits else np.empty(shape, dtype)
        self.array = array if axis is None else matrix(array, axis)

    def finish(self):
        if not np.may_share_memory(self.array, self.out):
            self.out[...] = self.array.reshape(self.out.shape)
        return self.out


def writeable(name, array, dtype):
    """TypeError or ValueError unless `array` is writeable and of the right dtype."""
    if not isinstance(array, np.ndarray) or is_masked(array):
        raise TypeError(f"{name}: expected an ndarray to write to, got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected dtype {dtype}, got {array.dtype}")
    if not array.flags.writeable:
        raise ValueError(f"{name}: expected a writeable array, got a read-only one")
    return array


def several(out, names):
    """`out` for several results: a tuple with an array or None for each of `names`."""
    if out is None:
        return (None,) * len(names)
    if not isinstance(out, (tuple, list)) or len(out) != len(names):
        got = f"{len(out)} elements" if isinstance(out, (tuple, list)) else type(out).__name__
        raise TypeError(f"out: expected a tuple ({', '.join(names)}), got {got}")
    given = [(n, a) for n, a in zip(names, out, strict=True) if isinstance(a, np.ndarray)]
    apart(given)
    return tuple(out)


def apart(given):
    """ValueError if two of the (name, array) pairs share memory."""
    for i, (name, array) in enumerate(given):
        for other, before in given[:i]:
            if overlaps(array, before):
                raise ValueError(f"{name}: expected an array without overlap, got one that overlaps {other}")


def class_numbers(name, value, shape, classes, ignored=None):
    """Class labels of any integer dtype as int32; the shape may have an additional last axis of length 1.

    The label `ignored` may lie outside the range of classes."""
    array = np.asarray(value)
    if array.dtype == object and array is not value and hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected class labels of an integer dtype, got dtype {array.dtype}"
        )
    if array.shape == (*shape, 1):
        array = array[..., 0]
    expect_shape(name, array, shape, ", one class label per row")
    found = array if ignored is None else array[array != ignored]
    if found.size:
        low, high = found.min(), found.max()
        if low < 0 or high >= classes:
            bad = low if low < 0 else high
            raise ValueError(f"{name}: expected classes 0 to {classes - 1}, got {bad}")
    return array.astype(np.int32, order="C", copy=True).reshape(-1)


def scalar(name, value):
    """A parameter as a float; anything but NaN."""
    try:
        x = float(value)
    except (TypeError, ValueError, OverflowError):
        x = None
    if x is None or isinstance(value, (str, bytes)) or getattr(value, "ndim", 0):
        raise TypeError(f"{name}: expected a number, got {value!r} of type {type(value).__name__}")
    if x != x:
        raise ValueError(f"{name}: expected a number, got nan")
    return x


def whole(name, value, bits):
    """A counter or seed: an integer from 0 to 2**bits - 1."""
    n = integer(name, value, minimum=0)
    if n >= 1 << bits:
        raise ValueError(f"{name}: expected an integer below 2**{bits}, got {value!r}")
    return n


def team(threads):
    """The argument `threads`, checked."""
    if threads is not None and integer("threads", threads, minimum=1) > MAX_THREADS:
        raise ValueError(f"threads: expected 1 to {MAX_THREADS} or None, got {threads}")
    return None if threads is None else int(threads)


def find_row(kind, name, rows):
    """The entry of `name` in a dict of rows."""
    if not isinstance(name, str):
        raise TypeError(f"{kind}: expected a name, got {name!r} of type {type(name).__name__}")
    if name not in rows:
        raise ValueError(f"unknown {kind} {name!r}.{suggest(name, rows)} Known: {', '.join(rows)}.")
    return rows[name]


def row_values(function, defaults, given):
    """Parameters of a row, in its order."""
    for name in given:
        if name not in defaults:
            raise unknown_keyword(function, name, list(defaults))
    values = []
    for name, default in defaults.items():
        value = given.get(name, default)
        value = default if value is None and name not in FLAGS else value
        values.append(row_value(name, value, scalar))
    return values


def summary(defaults):
    """Parameters of a row, for a docstring."""
    return ", ".join(f"{k}={v:g}" for k, v in defaults.items()) or "none"


def publish(module, functions):
    """Define (name, function) pairs in a module; returns the names."""
    names = []
    for name, function in functions:
        function.__name__ = function.__qualname__ = name
        function.__module__ = module["__name__"]
        module[name] = function
        names.append(name)
    return names
