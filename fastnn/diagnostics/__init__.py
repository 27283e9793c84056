"""Looks at functions and models: are the gradients right?"""

from .._checks import module_attributes
from .gradient_check import EntryCheck, GradientCheck, check_gradient

__all__ = ["EntryCheck", "GradientCheck", "check_gradient"]
__getattr__, __dir__ = module_attributes(__name__, __all__)
