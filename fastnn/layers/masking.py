"""Masking: time steps that do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor


class Masking(Layer):
    """Time steps whose features all have one value do not count: for sequences of unequal length, filled up with it.

    A recurrent layer that reads the result leaves its state as it is at these steps, so a sequence gives what it gives
    without them, and they get no gradient. Layers between the two that treat every time step alike, such as `Dense` and
    `Dropout`, pass the mask on, as does a recurrent layer with `return_sequences`; others, such as `Flatten`, do not.

    Parameters
    ----------
    mask_value : float
        Compared in the dtype of the model. Features of these steps are 0 in the result.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        For samples that are not of two axes, (steps, features).

    Examples
    --------
    A sequence of two steps and a third that only fills it up:

    >>> from fastnn.layers import SimpleRNN, Masking
    >>> model = fastnn.Sequential([Masking(-1.0, input_shape=(3, 1)), SimpleRNN(2)])
    >>> long, short = np.array([[[0.3], [0.5], [-1.0]]]), np.array([[[-1.0], [0.3], [0.5]]])
    >>> bool((model.predict(long, verbose=0) == model.predict(short, verbose=0)).all())
    True
    """

    mask_value = Checked(number)

    def __init__(self, mask_value: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def build(self, input_shape: BatchShape) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"{self.name}: expected an input of time steps, (steps, features), got shape {tuple(input_shape[1:])}"
            )

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        mask = graph.node("step_mask", [x], x.shape[:1], {"value": self.mask_value})
        y = graph.node("mask_steps", [x, mask], x.shape)
        y.mask = mask
        return y
