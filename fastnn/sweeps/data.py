"""The data of each network of a sweep: shared arrays, read in place, and its own rows and weights."""

import numpy as np

from .._base import numbers
from .._base.numbers import is_batches
from ..training import fit_arguments
from ..training.data import arrays

OF_DATA = ("indices", "fold", "sample_weight")  # entries of `params` that are arrays of rows


def shared(name, value, n=None):
    """An array that all networks read in place, or a list or dict of these for several inputs or outputs.

    n: of targets and weights, number of samples. An array is copied once if the core cannot read it in place."""
    if is_batches(value):
        raise TypeError(f"{name}: expected an array, got batches; a sweep reads its data several times, in any order")
    if isinstance(value, dict):
        return {key: _shared(f"{name}[{key!r}]", array) for key, array in value.items()}
    if isinstance(value, (list, tuple)) and value and _of_ports(value, n):
        return [None if array is None else _shared(f"{name}[{i}]", array) for i, array in enumerate(value)]
    return _shared(name, value)


def _of_ports(value, n):
    """Whether a list has an array for each input or output, and not for each sample."""
    arrays_only = all(array is None or hasattr(array, "__array__") for array in value)
    return arrays_only and (any(np.ndim(array) > 1 for array in value) if n is None else len(value) != n)


def _shared(name, value):
    array = arrays.as_array(name, value)
    return arrays.readable(array, array.dtype.newbyteorder("="))


def each(value):
    """The arrays of what `shared` returned, by their places in it."""
    if isinstance(value, dict):
        return {f"[{key!r}]": array for key, array in value.items()}
    if isinstance(value, list):
        return {f"[{i}]": array for i, array in enumerate(value) if array is not None}
    return {"": value}


def mapped(function, value):
    """A function of arrays for what `shared` returned."""
    if isinstance(value, dict):
        return {key: function(array) for key, array in value.items()}
    if isinstance(value, list):
        return [None if array is None else function(array) for array in value]
    return function(value)


def count(value):
    """Number of samples."""
    first = next(iter(each(value).values()), None)
    return len(first) if first is not None and first.ndim else 0


def check_finite(x, y, validation):
    """ValueError for NaN and infinity in the data."""
    held_out = {f"validation_data[{i}]": value for i, value in enumerate((validation or ())[:2])}
    for name, value in {"x": x, "y": y, **held_out}.items():
        for place, array in each(value).items():
            numbers.check_finite(name + place, array)


def labels(value):
    """Integers that may be class labels as int32; other networks can use them too."""
    return mapped(_labels, value)


def _labels(array):
    if array.dtype.kind in "iu" and array.ndim and array.size and array.size == len(array):
        limits = np.iinfo(np.int32)
        if limits.min <= array.min() and array.max() <= limits.max:
            return arrays.aligned(array, np.int32)
    return array


def validation(given):
    """The checked `validation_data`, or None."""
    if given is None:
        return None
    x, y, weight = fit_arguments.held_out_arrays(given)
    of_x, of_y, of_weight = fit_arguments.HELD_OUT
    x = shared(of_x, x)
    n = count(x)
    return x, labels(shared(of_y, y, n)), None if weight is None else shared(of_weight, weight, n)


def set_rows(networks, n, validated):
    """Set `rows` and `validation_rows` of each network, out of n samples: None, or indices for the core.

    validated: whether the sweep has validation data."""
    known = {}  # folds shared by several networks are checked and converted once
    for network in networks:
        given, where = network.given, f"params[{network.index}]"
        network.rows = network.validation_rows = None
        if "fold" in given:
            if "indices" in given or validated:
                other = f"{where}['indices']" if "indices" in given else "validation_data and validation_split"
                raise ValueError(f"{where}['fold']: expected either a fold or {other}, got both")
            fold = given["fold"]
            if not isinstance(fold, (tuple, list)) or len(fold) != 2:
                raise TypeError(
                    f"{where}['fold']: expected (training rows, validation rows), got {type(fold).__name__}"
                )
            found = (_rows(f"{where}['fold'][{i}]", rows, n, known) for i, rows in enumerate(fold))
            network.rows, network.validation_rows = found
        elif "indices" in given:
            network.rows = _rows(f"{where}['indices']", given["indices"], n, known)
    folds = [n for n in networks if n.validation_rows is not None]
    if folds and len(folds) < len(networks):
        without = next(n.index for n in networks if n.validation_rows is None)
        raise ValueError(
            f"params[{without}]: expected a 'fold', as for params[{folds[0].index}], got none; either all networks have"
            " a fold or none"
        )
    return bool(folds)


def _rows(name, given, n, known):
    """Rows of n samples as int64."""
    if id(given) in known:
        return known[id(given)][1]
    array = arrays.as_array(name, given)
    if array.dtype == bool and array.shape == (n,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: expected integers of shape (m,) or booleans of shape ({n},), got {array.dtype} of"
            f" shape {array.shape}"
        )
    if not len(array):
        raise ValueError(f"{name}: expected at least one row, got none")
    if array.min() < 0 or array.max() >= n:
        worst = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{name}: expected rows 0 to {n - 1}, as x has {n}, got {worst}")
    rows = arrays.aligned(array, np.int64)
    known[id(given)] = given, rows  # the object is kept, so that its id is not reused
    return rows
