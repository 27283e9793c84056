"""Diagnostics: gradient checks, and warnings of parts of a model that do not match."""

from .._base.checks import module_attributes
from .consistency import ConsistencyWarning, Finding, findings
from .gradient_check import EntryCheck, GradientCheck, check_gradient

__all__ = ["ConsistencyWarning", "EntryCheck", "Finding", "GradientCheck", "check_gradient", "findings"]
__getattr__, __dir__ = module_attributes(__name__, __all__)
