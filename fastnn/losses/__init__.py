"""Loss functions, under Keras' names.

A loss object names the kernel row to run. Training minimises the mean of ``weight * loss`` over the
batch; weights do not change the divisor, as in Keras. A custom loss is a function in NumPy, see
`PythonLoss`.
"""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
