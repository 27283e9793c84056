"""Precision of float32 matrix products: `set_float32_matmul_precision`, as in PyTorch and JAX.

A mode permits lower precision, but never requires it: see docs/precision.md for the accuracy of the products, and
decision 0010 for where and why lower precision is used.
"""

from __future__ import annotations

import warnings
from contextvars import ContextVar
from operator import ge
from typing import TYPE_CHECKING

from .._base.checks import one_of
from .._core import kernels

if TYPE_CHECKING:
    from typing import Self

    from .._base.types import Precision

# bf16 splits of a float32 number, where there are tiles
SPLITS: dict[Precision, int] = {"highest": 3, "high": 2, "medium": 1}
MODES = tuple(SPLITS)
NAMES = ("float32", "bf16", "bf16x3", "bf16x6")  # by splits: number of bfloat16 products for one product
# Minimum (batch, smaller and larger of inputs and units) for which splits speed up a kernel; one match is enough.
# Measured on Granite Rapids cores, with all and with half of the feature panels (docs/decisions/0010).
LEAST = {
    1: {"dense_fwd": ((32, 64, 64),), "dense_dx": ((32, 64, 64),), "dense_dw": ((32, 64, 64),)},
    2: {
        "dense_fwd": ((32, 128, 128), (64, 96, 96)),
        "dense_dx": ((32, 128, 128), (64, 96, 96), (128, 64, 64)),
        "dense_dw": ((32, 128, 128), (64, 96, 96), (128, 64, 64)),
    },
    3: dict.fromkeys(("dense_fwd", "dense_dx", "dense_dw"), ((512, 1000, 2000),)),
}
_warned: set[str] = set()  # refusals that were warned of
_of_the_process: dict[str, Precision] = {"mode": "highest"}
# of the block that this thread is in
_here: ContextVar[Precision | None] = ContextVar("float32_matmul_precision", default=None)


def set_float32_matmul_precision(precision: Precision) -> None:
    """Set the precision of float32 matrix products, for all models that do not set their own.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        "highest": as accurate as float32 products. "high": products may use two bf16 splits of each
        factor, accurate to about 4e-6 of the result. "medium": one split, about 2e-3. Weights, sums and everything
        else stay float32; float64 is not affected. Where tiles gain nothing, on CPUs without AMX and in small
        layers, products are computed in float32.

    Warns
    -----
    RuntimeWarning
        Once, if a model runs in "high" or "medium" and the operating system does not permit the use of tiles.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> fastnn.set_float32_matmul_precision("high")
    >>> fastnn.get_float32_matmul_precision()
    'high'
    >>> fastnn.set_float32_matmul_precision("highest")
    """
    _of_the_process["mode"] = one_of("precision", precision, MODES)


def get_float32_matmul_precision() -> Precision:
    """Return the mode of models in this thread, unless they were compiled with their own.

    Returns
    -------
    str
    """
    return _here.get() or _of_the_process["mode"]


class float32_matmul_precision:
    """Context manager that sets the mode inside the block, for this thread and for sweeps started in it.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}

    Examples
    --------
    >>> with fastnn.float32_matmul_precision("medium"):
    ...     fastnn.get_float32_matmul_precision()
    'medium'
    >>> fastnn.get_float32_matmul_precision()
    'highest'
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = one_of("precision", precision, MODES)
        self.before: list[Precision | None] = []

    def __enter__(self) -> Self:
        self.before.append(_here.get())
        _here.set(self.precision)
        return self

    def __exit__(self, *error: object) -> None:
        _here.set(self.before.pop())


def splits_of(precision=None, isa=None):
    """Number of bf16 splits of a float32 number where they gain time; 0: float32 products everywhere.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}, optional
        Default: the mode of this thread.
    isa : str, optional
        Instruction set; default: that of the process.
    """
    if not kernels.wants_tiles(isa):
        return 0
    mode = get_float32_matmul_precision() if precision is None else precision
    if mode == "highest":  # tiles are not requested yet: the planner does so at the first product that gains
        return SPLITS[mode]
    refusal = kernels.tiles_refusal(isa)
    if refusal is None:
        return SPLITS[mode]
    if refusal not in _warned:
        _warned.add(refusal)
        message = f"float32 products do not use bfloat16 tiles, which {mode!r} permits: {refusal}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return 0


def splits_for(kernel, splits, batch, inputs, units):
    """`splits` if they gain time in a kernel of a dense layer, else 0; depends only on shapes.

    Numbers are split in every call. The splits are reused for every panel of samples or units, but in a small product
    splitting costs more than the tiles save (two splits: three products by tiles, three: six)."""
    sizes = (batch, *sorted((inputs, units)))
    return splits if splits and any(all(map(ge, sizes, least)) for least in LEAST[splits][kernel]) else 0


def used(precision=None, isa=None):
    """Return how products are computed in mode `precision` (default: the mode of this thread).

    Returns
    -------
    str
        "float32", "bf16" (one product of bfloat16 numbers), "bf16x3" or "bf16x6" (three, six), for shapes where these
        gain time.
    """
    mode = get_float32_matmul_precision() if precision is None else precision
    mode = one_of("precision", mode, MODES)
    return NAMES[SPLITS[mode] if kernels.has_tiles(isa) else 0]
