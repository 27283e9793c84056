"""How exact float32 matrix products have to be: `set_float32_matmul_precision`, as PyTorch and JAX call it.

A mode is a permission to be less exact, never a demand: see docs/precision.md for how exact products then are, and
decision 0010 for where and why less exact ones are made.
"""

import warnings
from contextvars import ContextVar
from operator import ge

from .._base.checks import one_of
from .._core import kernels

SPLITS = {"highest": 3, "high": 2, "medium": 1}  # bfloat16 numbers for a float32 number, where there are tiles
MODES = tuple(SPLITS)
NAMES = ("float32", "bf16", "bf16x3", "bf16x6")  # by splits: how many products of bfloat16 numbers make one
# From which (batch, smaller and larger of inputs and units) on a kernel gains by so many splits; one of them is enough.
# Measured on a Granite Rapids core, with all and with half of the feature panels (docs/decisions/0010).
LEAST = {
    1: {"dense_fwd": ((32, 64, 64),), "dense_dx": ((32, 64, 64),), "dense_dw": ((32, 64, 64),)},
    2: {
        "dense_fwd": ((32, 128, 128), (64, 96, 96)),
        "dense_dx": ((32, 128, 128), (64, 96, 96), (128, 64, 64)),
        "dense_dw": ((32, 128, 128), (64, 96, 96), (128, 64, 64)),
    },
    3: {
        "dense_fwd": ((128, 256, 256),),
        "dense_dx": ((128, 256, 256), (128, 128, 256)),
        "dense_dw": ((64, 256, 256),),
    },
}
_warned = set()  # refusals that somebody has been told of
_of_the_process = {"mode": "highest"}
_here = ContextVar("float32_matmul_precision", default=None)  # of the block that this thread is in


def set_float32_matmul_precision(precision):
    """Say how exact float32 matrix products have to be, for all models that are not told otherwise.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        "highest": as exact as float32's own products. "high": products may be made of two bfloat16 numbers for each
        factor, about 4e-6 of the result. "medium": of one, about 2e-3. Weights, sums and everything else stay
        float32; float64 is never touched. Where tiles gain nothing, products are float32's own: on CPUs without AMX,
        and in small layers.

    Warns
    -----
    RuntimeWarning
        Once, when a model runs in "high" or "medium" and the operating system does not grant the tiles.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> fastnn.set_float32_matmul_precision("high")
    >>> fastnn.get_float32_matmul_precision()
    'high'
    >>> fastnn.set_float32_matmul_precision("highest")
    """
    _of_the_process["mode"] = one_of("precision", precision, MODES)


def get_float32_matmul_precision():
    """The mode that this thread's models have, unless they were compiled with their own.

    Returns
    -------
    str
    """
    return _here.get() or _of_the_process["mode"]


class float32_matmul_precision:
    """``with float32_matmul_precision("high")``: the mode inside the block, for this thread and sweeps begun there.

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

    def __init__(self, precision):
        self.precision, self.before = one_of("precision", precision, MODES), []

    def __enter__(self):
        self.before.append(_here.get())
        _here.set(self.precision)
        return self

    def __exit__(self, *error):
        _here.set(self.before.pop())


def splits_of(precision=None, isa=None):
    """How many bfloat16 splits stand for a float32 number where that gains time; 0: float32's own products everywhere.

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
    if mode == "highest":  # nobody has asked for tiles: the planner does, at the first product that gains
        return SPLITS[mode]
    refusal = kernels.tiles_refusal(isa)
    if refusal is None:
        return SPLITS[mode]
    if refusal not in _warned:
        _warned.add(refusal)
        message = f"float32 products are not made by bfloat16 tiles, as {mode!r} allows: {refusal}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return 0


def splits_for(kernel, splits, batch, inputs, units):
    """`splits` if they gain time in a kernel of a dense layer, else 0: shapes alone decide.

    Numbers are split at every call. Splits are used again for every panel of samples or units, but in a small product
    making them costs more than the tiles save (two splits: three products by tiles, three: six)."""
    sizes = (batch, *sorted((inputs, units)))
    return splits if splits and any(all(map(ge, sizes, least)) for least in LEAST[splits][kernel]) else 0


def used(precision=None, isa=None):
    """What products are made with when `precision` (default: the mode of this thread) is allowed.

    Returns
    -------
    str
        "float32", "bf16" (one product of bfloat16 numbers), "bf16x3" or "bf16x6" (three, six), where shapes are such
        that these gain time.
    """
    mode = get_float32_matmul_precision() if precision is None else precision
    mode = one_of("precision", mode, MODES)
    return NAMES[SPLITS[mode] if kernels.has_tiles(isa) else 0]
