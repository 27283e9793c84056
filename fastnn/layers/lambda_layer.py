"""Lambda: a function in NumPy as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import shape_of
from .._base.signatures import check_without_effect
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar, Unpack

    from .._base.types import AnyArray, BatchShape, LayerOptions, SampleShape

ROWS = 2  # of zeros, from which the shape of the result is found


def _function(name, given):
    if not (callable(given) or name == "gradient" and given is None):
        raise TypeError(f"{name}: expected a function, got {given!r}")
    return given


class Lambda(Layer):
    """A layer that computes a function in NumPy; with its gradient given, layers before it can be trained.

    The core stops for it in every step; where layers or `Activation` have the function, they are faster. For weights
    write a layer of your own (see `Layer`). To load a model with it, pass both functions as `custom_objects`.

    Parameters
    ----------
    function : callable
        ``function(x, **arguments)``, x (B, *input_shape), to an array (B, *output_shape).
    output_shape : tuple of int, optional
        Of a sample; default: found by calling the function on zeros.
    mask : None
        For compatibility with Keras; only the default is accepted.
    arguments : dict, optional
        Further arguments of both functions, by name.
    gradient : callable, optional
        ``gradient(x, dy, **arguments)`` to the gradient with respect to x, of its shape, for that with respect to the
        result, dy. Without it the layer is for inference, or the first one.
    **kwargs
        `name`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    TypeError
        For something else than a function.
    NotImplementedError
        In training, if layers before it need a gradient and none was given.

    Examples
    --------
    >>> import numpy as np
    >>> square = fastnn.layers.Lambda(np.square, gradient=lambda x, dy: 2 * x * dy)
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,)), square])
    >>> model.set_weights([[[3.0]], [0.0]])
    >>> model.input_gradient([[1.0]], dy=[[1.0]]).tolist()
    [[18.0]]
    """

    function, gradient = Checked(_function), Checked(_function)
    arguments = Checked(lambda name, given: dict(given or {}))
    without_effect: ClassVar[dict[str, Any]] = {**Layer.without_effect, "mask": None}

    def __init__(
        self,
        function: Callable[..., AnyArray],
        output_shape: SampleShape | None = None,
        mask: None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        gradient: Callable[..., AnyArray] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_without_effect(self, {"mask": mask})
        self.function, self.gradient, self.arguments = function, gradient, arguments
        self._shape = None if output_shape is None else shape_of("output_shape", output_shape)
        self.x: Any = None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_shape": self._shape}

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        """Return the output shape for an input shape, both with the batch axis."""
        if self._shape is not None:
            return (input_shape[0], *self._shape)
        found = np.shape(self.function(np.zeros((ROWS, *input_shape[1:]), self.dtype or "float32"), **self.arguments))
        if not found or found[0] != ROWS:
            raise ValueError(
                f"{self.name}: expected a function from (B, {', '.join(map(str, input_shape[1:]))}) to (B, ...), got a"
                f" result of shape {found} for {ROWS} rows; give output_shape if it cannot be called on zeros"
            )
        return (input_shape[0], *found[1:])

    def call(self, inputs: AnyArray, training: bool) -> Any:
        """Call the function."""
        self.x = inputs
        return self.function(inputs, **self.arguments)

    def backward(self, dy: AnyArray) -> Any:
        """Call the gradient."""
        if self.gradient is None:
            raise NotImplementedError(
                f"{self.name}: expected a gradient for training, Lambda(function, gradient=...), got none"
            )
        return self.gradient(self.x, dy, **self.arguments)
