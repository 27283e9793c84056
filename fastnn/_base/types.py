"""Types for annotations. Only type checkers import this module, so it does not lengthen the import of fastnn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from ..activations import ActivationFunction
    from ..callbacks import Callback
    from ..constraints import Constraint
    from ..initializers import Initializer
    from ..layers import Layer
    from ..losses import Loss, PythonLoss
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from ..optimizers.schedules import LearningRateSchedule
    from ..regularizers import Regularizer

FloatArray: TypeAlias = NDArray[np.floating[Any]]
AnyArray: TypeAlias = NDArray[Any]
Outs: TypeAlias = tuple[FloatArray | None, FloatArray | None]
FloatType: TypeAlias = Literal["float32", "float64"] | type[np.float32] | type[np.float64] | np.dtype[np.floating[Any]]
Path: TypeAlias = str | PathLike[str]
# A shape with the batch axis, whose size may be None: all entries are Any, or every size would need a check.
BatchShape: TypeAlias = Sequence[Any]
SampleShape: TypeAlias = Sequence[int] | int
Config: TypeAlias = dict[str, Any]
Logs: TypeAlias = dict[str, Any]
Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.uint8]
# Samples: an array, or an iterable of batches.
Data: TypeAlias = ArrayLike | Iterable[Any]
# Of one port an array, of several a list or a dict by their names.
ArraysLike: TypeAlias = ArrayLike | Mapping[str, ArrayLike]
Mode: TypeAlias = Literal["auto", "min", "max"]
Verbosity: TypeAlias = Literal["auto", 0, 1, 2] | bool
Reduction: TypeAlias = Literal["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none"]
Precision: TypeAlias = Literal["highest", "high", "medium"]
ArrayFunction: TypeAlias = Callable[[AnyArray, AnyArray], Any]

# What stands for an object of each kind.
ActivationLike: TypeAlias = "str | ActivationFunction | Layer | Config | None"
InitializerLike: TypeAlias = "str | Initializer | type[Initializer] | Callable[..., Any] | Config"
RegularizerLike: TypeAlias = "str | Regularizer | type[Regularizer] | Config | None"
ConstraintLike: TypeAlias = "str | Constraint | type[Constraint] | Config | None"
LossLike: TypeAlias = "str | Loss | PythonLoss | type[Loss] | ArrayFunction | Config | None"
MetricLike: TypeAlias = "str | Metric | Loss | type[Metric] | ArrayFunction | Config | None"
OptimizerLike: TypeAlias = "str | Optimizer | type[Optimizer] | Config"
ScheduleLike: TypeAlias = "float | LearningRateSchedule | Callable[..., float] | Config"
CallbackLike: TypeAlias = "Callback | Iterable[Any] | None"


class OtherOptions(TypedDict, total=False):
    """`LayerOptions` of a layer that has `activity_regularizer` among its own arguments."""

    trainable: bool
    dtype: FloatType | None
    autocast: bool
    name: str | None
    input_shape: SampleShape | None
    input_dim: int
    batch_input_shape: BatchShape


class LayerOptions(OtherOptions, total=False):
    """Arguments that every layer takes by name, see `fastnn.layers.Layer`."""

    activity_regularizer: RegularizerLike


class OptimizerAliases(TypedDict, total=False):
    """Other names of arguments of `fastnn.optimizers.Optimizer`."""

    lr: ScheduleLike


class OtherOptimizerOptions(OptimizerAliases, total=False):
    """`OptimizerOptions` of an optimizer that has `weight_decay` among its own arguments."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class OptimizerOptions(OtherOptimizerOptions, total=False):
    """Arguments that every optimizer takes, see `fastnn.optimizers.Optimizer`."""

    weight_decay: float | None
