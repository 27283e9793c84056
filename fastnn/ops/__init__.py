"""The kernels as functions on NumPy arrays.

(a) Arrays are float32 or float64; all operands of a call have the same dtype and nothing is cast. Strides, alignment
    and byte order are arbitrary. Other dtypes raise a TypeError, wrong shapes a ValueError.
(b) Every function has ``out=`` (shape, dtype and memory are checked) and ``threads=`` (None: as many as pay off), and
    releases the GIL. Results are bitwise identical for any thread count.
(c) `activation`, `loss` and `optimizer_step` take the name of a kernel row; every name is also a function of this
    module.
(d) NaN and infinity propagate as in IEEE 754; arrays may be empty.
"""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
