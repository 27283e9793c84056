"""Callbacks, under Keras' names."""

# ruff: noqa: F401 - every callback that is imported here is public

from .._base.checks import module_attributes
from .callback import Callback
from .callback_list import CallbackList
from .files import CSVLogger, ModelCheckpoint
from .history import History
from .lambda_callback import LambdaCallback
from .progress_bar import ProgbarLogger
from .rates import LearningRateFinder, LearningRateScheduler, ReduceLROnPlateau
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = ["CallbackList"]
__all__.extend(
    n for n, v in list(globals().items()) if isinstance(v, type) and issubclass(v, Callback)
)
__getattr__, __dir__ = module_attributes(__name__, __all__)
