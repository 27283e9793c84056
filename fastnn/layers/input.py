"""Input: the shape of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import batch_shape, integer, shape_of
from .._base.signatures import check_without_effect, only_default
from . import arithmetic  # noqa: F401  (the operators of what begins here)
from .base import Layer
from .symbolic import Call, Operand

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar

    from .._base.types import BatchShape, Config, SampleShape
    from ..engine.graph import Graph, Tensor
    from .symbolic import SymbolicTensor

LESS = {"sparse": None, "ragged": None, "input_tensor": None, "optional": False}


class InputLayer(Operand, Layer):
    """Input of a model; computes nothing and is not part of ``model.layers``.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    batch_size : int, optional
        Shown in `summary` and in shapes; any other batch size works as well.
    dtype : str, optional
        Dtype of the data, any numeric dtype; data are converted in the same way without it.
    sparse, ragged, input_tensor, optional
        For compatibility with Keras; only the defaults are accepted.
    batch_shape : tuple, optional
        Replaces `shape` and `batch_size`: batch size first, None for any.
    name : str, optional
    """

    without_effect: ClassVar[dict[str, Any]] = {**Layer.without_effect, **LESS}

    def __init__(
        self,
        shape: SampleShape | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: None = None,
        ragged: None = None,
        batch_shape: BatchShape | None = None,
        input_tensor: None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_without_effect(self, locals())
        shape, rows = _shape_and_rows(shape, batch_size, batch_shape)
        super().__init__(input_shape=shape, name=name, **kwargs)
        self.shape, self._rows, self.data_dtype = self.given_shape, rows, _dtype(dtype)

    def get_config(self) -> Config:
        return {
            "shape": self.shape, "batch_size": self._rows, "dtype": self.data_dtype, "name": self.name,
            "trainable": self.trainable,
        }  # fmt: skip

    def tensor_of(self) -> SymbolicTensor:
        """The symbolic tensor that it stands for."""
        return Call(self, (), [self.shape or ()]).outputs[0]

    def ensure_built(self, input_shape: Sequence[int], dtype: Any = None) -> None:
        """No weights, so no dtype: the next layer determines the dtype of the model."""
        super().ensure_built(input_shape, dtype)
        self.dtype = None

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return x


def _shape_and_rows(shape, batch_size, whole):
    if (shape is None) == (whole is None):
        raise TypeError(f"Input: expected either shape or batch_shape, got {'neither' if whole is None else 'both'}")
    if whole is None:
        return shape_of("shape", shape), None if batch_size is None else integer("batch_size", batch_size, 1)
    if batch_size is not None:
        raise TypeError("Input: expected either batch_size or batch_shape, got both")
    rows, shape = batch_shape("batch_shape", whole)
    return shape, rows


def _dtype(dtype):
    """The name of a numeric dtype."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found is not None and found.kind not in "biuf":
        raise ValueError(f"dtype: expected a numeric dtype, such as 'float32' or 'uint8', got {dtype!r}")
    return found and found.name


def Input(
    shape: SampleShape | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: None = None,
    ragged: None = None,
    batch_shape: BatchShape | None = None,
    name: str | None = None,
    tensor: None = None,
    optional: bool = False,
) -> InputLayer:
    """Declare the shape of a sample: the first entry of a Sequential model, or what the layers of a Model begin with.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    batch_size : int, optional
        Shown in `summary` and in shapes; any other batch size works as well.
    dtype : str, optional
        Dtype of the data, any numeric dtype; data are converted in the same way without it.
    batch_shape : tuple, optional
        Replaces `shape` and `batch_size`: batch size first, None for any.
    name : str, optional
    sparse, ragged, tensor, optional
        For compatibility with Keras; only the defaults are accepted.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.Input((784,)), fastnn.layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    """
    only_default("tensor", tensor, None)
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, None, optional, name)
