"""The kernels as functions on NumPy arrays.

(a) Arrays are float32 or float64; all operands of a call have the same dtype and nothing is cast. Strides, alignment
    and byte order are arbitrary. Other dtypes raise a TypeError, wrong shapes a ValueError.
(b) Every function has ``out=`` (shape, dtype and memory are checked) and ``threads=`` (None: as many as pay off), and
    releases the GIL. Results are bitwise identical for any thread count.
(c) `activation`, `loss` and `optimizer_step` take the name of a kernel row; every name is also a function of this
    module.
(d) NaN and infinity propagate as in IEEE 754; arrays may be empty.
"""

from .._base.checks import module_attributes
from . import activations as _activations
from . import batchnorm as _batchnorm
from . import clipping as _clipping
from . import dense as _dense
from . import losses as _losses
from . import optimizers as _optimizers
from . import random as _random

__all__ = []
for _module in (_activations, _batchnorm, _clipping, _dense, _losses, _optimizers, _random):
    for _name in _module.__all__:
        globals()[_name] = getattr(_module, _name)
        __all__.append(_name)
__getattr__, __dir__ = module_attributes(__name__, __all__)
