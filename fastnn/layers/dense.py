"""Dense: a fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import activations
from .._base.checks import integer
from .._base.signatures import check_without_effect
from ._weights import KernelAndBias
from .base import Layer
from .checked import Checked, Chosen

if TYPE_CHECKING:
    from typing import Any, ClassVar, Unpack

    from .._base.types import (
        ActivationLike,
        BatchShape,
        ConstraintLike,
        InitializerLike,
        OtherOptions,
        RegularizerLike,
    )
    from ..engine.graph import Graph, Tensor


class Dense(KernelAndBias):
    """A fully connected layer: ``y = activation(x @ kernel + bias)``.

    It acts on the last axis of a sample, and on every index of the other axes alike: an input (T, features) becomes
    (T, units). To connect all values of such a sample, put `Flatten` before it.

    Parameters
    ----------
    units : int
        Size of the result, at least 1.
    activation : str, activation or activation layer, optional
        Default: linear.
    use_bias : bool
        Unnecessary before batch normalisation, which subtracts the mean.
    kernel_initializer, bias_initializer : str, Initializer or function
    kernel_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        Penalties on the weights and on the result (`fastnn.regularizers`).
    kernel_constraint, bias_constraint : str or Constraint, optional
        Constraints applied to the weights after each step (`fastnn.constraints`).
    lora_rank, lora_alpha, quantization_config : None
        For compatibility with Keras; only the default is accepted.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (inputs, units)
    bias : Variable (units,) or None

    Raises
    ------
    ValueError
        For units below 1, and for unknown names.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(3, "relu", input_shape=(2,))])
    >>> [w.shape for w in model.get_weights()]
    [(2, 3), (3,)]

    The same weights for each of 5 time steps:

    >>> fastnn.Sequential([fastnn.layers.Dense(3, input_shape=(5, 2))]).output_shape
    (None, 5, 3)
    """

    units = Checked(integer, minimum=1, for_good=True)
    activation = Chosen(activations.get)

    without_effect: ClassVar[dict[str, Any]] = {
        **Layer.without_effect, **dict.fromkeys(("lora_rank", "lora_alpha", "quantization_config")),
    }  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Unpack[OtherOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        check_without_effect(self, locals())
        self.units = units
        self.activation = activation
        self._keep(locals())

    def build(self, input_shape: BatchShape) -> None:
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: expected an input with features, (..., features), got shape ()")
        self._add(input_shape[-1], self.units)

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.units)

    def kept_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[-1:]

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        y = graph.dense(x, self.kernel, self.bias, self.trainable)
        return self.activation.emit(graph, y)
