"""Types for annotations. Only type checkers import this module, so it does not lengthen the import of fastnn."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from ..activations import ActivationFunction
    from ..constraints import Constraint
    from ..initializers import Initializer
    from ..layers.base import Layer
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
