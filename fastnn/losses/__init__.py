"""Loss functions, under Keras' names.

A loss object names the kernel row to run. Training minimises the mean of ``weight * loss`` over the
batch; weights do not change the divisor, as in Keras. A custom loss is a function in NumPy, see
`PythonLoss`.
"""

from .._base.checks import module_attributes
from . import catalogue
from .catalogue import by_targets as by_targets
from .catalogue import resolve as resolve

globals().update({name: getattr(catalogue, name) for name in catalogue.__all__})
__all__ = list(catalogue.__all__)
__getattr__, __dir__ = module_attributes(__name__, __all__)
