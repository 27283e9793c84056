"""The kernels as functions on NumPy arrays.

(a) Arrays are float32 or float64; all operands of a call have the same dtype and nothing is cast. Strides, alignment
    and byte order are free. Other dtypes are a TypeError, wrong shapes a ValueError.
(b) Every function has ``out=`` (shape, dtype and memory are checked) and ``threads=`` (None: as many as pay off), and
    releases the GIL. The result is the same, bit for bit, for any number of threads.
(c) Activations, losses and optimizers are the kernels' own lists: `activation`, `loss` and `optimizer_step` take a
    name, and every name is a function of this module too.
(d) NaN and infinity pass through as IEEE 754 has it; arrays may be empty.
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
