"""Lowering of nodes to kernels: one file per family of nodes, the traversal of a graph in `lowerer`."""

from ..._base.config import modules_of
from .lowerer import Lowerer, lower
from .registry import LOWERINGS, Lowering, lowering

modules_of(__name__, __path__)  # they register their kinds

__all__ = ["LOWERINGS", "Lowerer", "Lowering", "lower", "lowering"]
