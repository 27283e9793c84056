"""A penalty on the output of the previous layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import number
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import LayerOptions
    from ..engine.graph import Graph, Tensor


class ActivityRegularization(Layer):
    """Identity that adds ``l1 * sum(|x|) + l2 * sum(x²)``, divided by the batch size, to the loss.

    The loss that `fit` and `evaluate` report includes it; sample weights do not apply to it. In a
    manual training loop, `backward` adds its gradient to that of your loss.

    Parameters
    ----------
    l1, l2 : float
        At least 0.

    Examples
    --------
    >>> import numpy as np
    >>> layer = fastnn.layers.ActivityRegularization(l2=0.5, input_shape=(2,))
    >>> model = fastnn.Sequential([layer])
    >>> model.compile("sgd", "mse")
    >>> model.evaluate(np.array([[1.0, 3.0]]), np.array([[1.0, 3.0]]), verbose=0)
    5.0
    """

    l1, l2 = Checked(number, 0), Checked(number, 0)

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.l1, self.l2 = l1, l2

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.activity(x, self.l1, self.l2) if self.l1 or self.l2 else x
