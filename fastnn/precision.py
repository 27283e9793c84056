"""How exact float32 matrix products have to be: `set_float32_matmul_precision`, as PyTorch and JAX call it.

A mode is a permission to be less exact, never a demand. Products of this version are float32's own, by fused
multiplication and addition, in every mode and on every CPU; see docs/precision.md for how exact they are.
"""

import threading

from ._checks import one_of

MODES = ("highest", "high", "medium")
_of_the_process = {"mode": "highest"}
_here = threading.local()  # `mode`: of the block that this thread is in


def set_float32_matmul_precision(precision):
    """Say how exact float32 matrix products have to be, for all models that are not told otherwise.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        "highest": float32's own rounding. "high": products may be made of two bfloat16 numbers for each factor,
        about 4e-6 of the result. "medium": of one, about 2e-3. Weights, sums and everything else stay float32;
        float64 is never touched. A mode that gains nothing on this CPU is run at full precision: at present, all of
        them on all CPUs.

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
    return getattr(_here, "mode", None) or _of_the_process["mode"]


class float32_matmul_precision:
    """``with float32_matmul_precision("high")``: the mode inside the block, for this thread.

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
        self.precision = one_of("precision", precision, MODES)

    def __enter__(self):
        self.before, _here.mode = getattr(_here, "mode", None), self.precision
        return self

    def __exit__(self, *error):
        _here.mode = self.before


def used(precision=None):
    """What products are made with when `precision` (default: the mode of this thread) is allowed.

    Returns
    -------
    str
    """
    one_of("precision", get_float32_matmul_precision() if precision is None else precision, MODES)
    return "float32"
