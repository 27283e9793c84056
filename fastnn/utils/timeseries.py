"""Windows of a time series, as batches for `fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer
from .._base.numbers import as_array
from .._base.random import generator
from .._base.signatures import only_default

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import ArrayLike


class Windows:
    """Batches of windows; made by `timeseries_dataset_from_array`, for `fit`, `evaluate` and `predict`.

    ``len`` is the number of batches, ``[i]`` the batch i: (windows, targets), or the windows alone. A batch is
    gathered from the series when it is read.
    """

    def __init__(self, data: Any, targets: Any, starts: Any, within: Any, batch_size: int | None) -> None:
        self._data, self._targets, self._starts, self._within = data, targets, starts, within
        self._size = batch_size

    def __len__(self) -> int:
        return len(self._starts) if self._size is None else -(-len(self._starts) // self._size)

    def __getitem__(self, i: int) -> Any:
        i = range(len(self))[i]  # an IndexError ends an iteration
        at = self._starts[i] if self._size is None else self._starts[i * self._size : (i + 1) * self._size]
        windows = self._data[np.asarray(at)[..., None] + self._within]
        return windows if self._targets is None else (windows, self._targets[at])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def timeseries_dataset_from_array(
    data: ArrayLike,
    targets: ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Windows:
    """Make batches of sliding windows over a time series.

    Parameters
    ----------
    data : array_like (steps, ...)
    targets : array_like (steps, ...) or None
        ``targets[i]`` belongs to the window that starts at ``data[i]``. To predict the step after a window, pass
        ``data[:-sequence_length]`` and ``data[sequence_length:]``.
    sequence_length : int
        Steps of a window.
    sequence_stride : int
        From the start of a window to that of the next one.
    sampling_rate : int
        From a step of a window to the next one.
    batch_size : int or None
        None: windows one by one, without a batch axis.
    shuffle : bool
        Take the windows in random order.
    seed : int, optional
        Of the order; default: the next seed of the process.
    start_index, end_index : int, optional
        Use ``data[start_index:end_index]``, and the targets of these steps.
    format : "tf"
        For compatibility with Keras; only the default is accepted.

    Returns
    -------
    Windows
        A data set of batches (windows, targets), windows (batch, sequence_length, ...).

    Raises
    ------
    ValueError
        For sizes out of range, or a series shorter than a window.

    Examples
    --------
    >>> import numpy as np
    >>> series = np.arange(6)
    >>> windows = fastnn.utils.timeseries_dataset_from_array(series[:-2], series[2:], sequence_length=2)
    >>> windows[0]
    (array([[0, 1],
           [1, 2],
           [2, 3]]), array([2, 3, 4]))
    """
    only_default("format", format, "tf")
    data = as_array("data", data)
    targets = None if targets is None else as_array("targets", targets)
    n = len(data)
    length = integer("sequence_length", sequence_length, 1)
    stride, rate = integer("sequence_stride", sequence_stride, 1), integer("sampling_rate", sampling_rate, 1)
    size = None if batch_size is None else integer("batch_size", batch_size, 1)
    first = 0 if start_index is None else integer("start_index", start_index, 0)
    last = n if end_index is None else integer("end_index", end_index, 1)
    if not first < last <= n:
        raise ValueError(f"start_index, end_index: expected 0 <= start < end <= {n}, got {first} and {last}")
    count = last - first - (length - 1) * rate
    if targets is not None:
        count = min(count, len(targets) - first)
    if count < 1:
        raise ValueError(
            f"sequence_length: expected at least one window within {last - first} steps"
            f"{'' if targets is None else f' and {len(targets)} targets'}, got {length} steps at sampling_rate {rate}"
        )
    starts = first + np.arange(0, count, stride)
    if flag("shuffle", shuffle):
        starts = generator(seed).permutation(starts)
    return Windows(data, targets, starts, rate * np.arange(length), size)
