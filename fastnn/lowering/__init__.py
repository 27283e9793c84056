"""How each kind of node becomes kernels: one file per family of nodes, the walk over a graph in `lowerer`."""

from . import elementwise, features, noise, normalization  # noqa: F401 - they register their kinds
from .lowerer import LOWERINGS, Lowerer, Lowering, lower, lowering

__all__ = ["LOWERINGS", "Lowerer", "Lowering", "lower", "lowering"]
