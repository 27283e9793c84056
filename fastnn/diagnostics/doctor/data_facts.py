"""What the rules know of data: a sample of the rows, columns of the inputs, and the targets.

(a) All figures are of at most `ROWS` rows, chosen by a fixed rule, so a check costs the same for any number of rows and
    finds the same twice. Only non-finite values are looked for everywhere.
(b) Data that do not match the model are facts too: nothing here raises an error for them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..._base.numbers import as_array

if TYPE_CHECKING:
    from typing import Any

    from ..._base.types import AnyArray

ROWS, LEAST, VALUES = 1024, 128, 1 << 18  # rows of a sample; of wide rows fewer, so that there are so many values
WEIGHTS = np.sqrt(np.array([2.0, 3.0, 5.0, 7.0]))  # of columns in a key of a row


def some_rows(n: int, most: int = ROWS) -> Any:
    """Sorted indices of at most so many of n rows: one from each of equal parts, at a place that looks random.

    Returns
    -------
    ndarray or slice
        A slice if all rows are meant.
    """
    if n <= most:
        return slice(None)
    within = np.random.default_rng(0).random(most)  # fixed: equal intervals may have the period of the data
    return np.minimum(((np.arange(most) + within) * (n / most)).astype(np.int64), n - 1)


class Inputs:
    """The inputs of a model.

    Parameters
    ----------
    x : ndarray (n, ...)
    n : int, optional
        Number of rows, if `x` is a sample of them.
    """

    def __init__(self, x: AnyArray, n: int | None = None) -> None:
        self.x, self.n = x, len(x) if n is None else n
        self.sample = x[some_rows(len(x), max(LEAST, min(ROWS, VALUES // max(1, x[:1].size))))]

    @cached_property
    def table(self):
        """The sample as float64 (rows, values of a row)."""
        return self.sample.reshape(len(self.sample), -1).astype(np.float64)

    @cached_property
    def columns(self):
        """(mean, std, smallest, largest) of each column; non-finite values are left out."""
        table = self.table
        if not np.isfinite(table).all():
            table = np.where(np.isfinite(table), table, np.nan)
            table = np.where(np.isnan(table).all(axis=0), 0.0, table)
            return (*(f(table, axis=0) for f in (np.nanmean, np.nanstd, np.nanmin, np.nanmax)),)
        mean, low, high = table.mean(axis=0), table.min(axis=0), table.max(axis=0)
        variance = np.einsum("ij,ij->j", table, table) / max(1, len(table)) - mean**2
        return mean, np.where(low == high, 0.0, np.sqrt(np.maximum(variance, 0))), low, high

    @cached_property
    def image(self):
        """Whether all columns are of one kind, such as pixels, and are judged together: samples with several axes, or
        many columns with one range."""
        if self.sample.ndim > 2:
            return True
        _, _, low, high = self.columns
        width = high.max() - low.min() if low.size else 0.0
        return low.size >= 64 and width > 0 and bool(np.mean(high - low > 0.5 * width) > 0.25)

    @cached_property
    def different(self):
        """Number of different rows in the sample."""
        return len(np.unique(_keys(self.sample)))

    @cached_property
    def constant(self):
        """Indices of columns with a single value."""
        return np.flatnonzero(self.columns[1] == 0) if len(self.sample) > 1 else np.arange(0)


class Targets:
    """The targets of a model.

    Parameters
    ----------
    y : ndarray (n, ...)
    w : ndarray (n,), optional
        Sample weights.
    n : int, optional
        As for `Inputs`.
    """

    def __init__(self, y: AnyArray, w: AnyArray | None = None, n: int | None = None) -> None:
        self.y, self.n = y, len(y) if n is None else n
        rows = some_rows(len(y)) if y.size > 1 << 20 or y.ndim > 1 and y.size > 1 << 16 else slice(None)
        self.sample, self.w = y[rows], None if w is None else np.asarray(w)[rows]

    @cached_property
    def table(self):
        """The sample as float64 (rows, values of a row)."""
        return self.sample.reshape(len(self.sample), -1).astype(np.float64)

    @cached_property
    def width(self):
        """Number of values of a row."""
        return self.table.shape[1]

    @cached_property
    def values(self):
        """Sorted different values, at most `MANY`; of a sample."""
        return np.unique(self.table[:, 0] if self.width == 1 else self.table)

    @cached_property
    def whole(self):
        """Whether all values are integers, and none is beyond those that float64 tells apart."""
        table = self.table
        return bool((np.trunc(table) == table).all() and (abs(table) < 2**53).all())

    @cached_property
    def one_hot(self):
        """Whether each row has a one and zeros."""
        table = self.table
        return self.width > 1 and bool(((table == 0) | (table == 1)).all() and (table.sum(axis=1) == 1).all())

    @cached_property
    def shares(self):
        """Whether each row has non-negative values with sum 1."""
        table = self.table
        return self.width > 1 and bool((table >= 0).all() and (abs(table.sum(axis=1) - 1) < 1e-3).all())

    @cached_property
    def labels(self):
        """The class of each row, if targets look like class labels or one-hot rows; else None."""
        if self.one_hot:
            return self.table.argmax(axis=1)
        if self.width == 1 and self.whole and len(self.values) <= max(2, min(1000, len(self.sample) // 2)):
            return self.table[:, 0].astype(np.int64)
        return None

    @cached_property
    def spread(self):
        """(mean, std) of each column."""
        table = self.table
        return table.mean(axis=0), table.std(axis=0)


def _keys(rows):
    """One value for each row, equal for equal rows."""
    rows = np.ascontiguousarray(rows.reshape(len(rows), -1))
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def common(x: AnyArray, other: AnyArray, most: int = 500) -> float:
    """Share of some rows of `other` that are rows of `x`.

    Rows are compared by a few columns first, so that one pass over `x` reads little.

    Returns
    -------
    float
    """
    x, other = x.reshape(len(x), -1), other.reshape(len(other), -1)[some_rows(len(other), most)]
    if x.shape[1] != other.shape[1] or x.dtype != other.dtype:
        return 0.0
    spread = x[some_rows(len(x), 64)].std(axis=0)
    columns = np.argsort(-spread, kind="stable")[:4]
    keys = np.ascontiguousarray(x[:, columns]).astype(np.float64) @ WEIGHTS[: len(columns)]
    wanted = np.ascontiguousarray(other[:, columns]).astype(np.float64) @ WEIGHTS[: len(columns)]
    at = np.flatnonzero(np.isin(keys, wanted))
    if not len(at):
        return 0.0
    return float(np.mean(np.isin(_keys(other), _keys(x[at]))))


def array_of(name: str, value: Any) -> Any:
    """(array, None), or (None, the error) if it is none."""
    try:
        array = as_array(name, value)
    except (TypeError, ValueError) as error:
        return None, error
    if array.ndim == 0:
        return None, ValueError(f"{name}: expected an array with a row for each sample, got a single number")
    return array, None
