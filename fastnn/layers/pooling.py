"""Global pooling: the mean or the maximum over the time steps of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag, one_of
from .base import Layer
from .checked import Checked

if TYPE_CHECKING:
    from typing import Any, Literal, Unpack

    from .._base.types import BatchShape, LayerOptions
    from ..engine.graph import Graph, Tensor


class _GlobalPooling1D(Layer):
    """Base class of layers that take a sample (T, features) together over its time steps."""

    data_format = Checked(one_of, (None, "channels_last"))
    keepdims = Checked(flag, for_good=True)

    def __init__(
        self, data_format: Literal["channels_last"] | None = None, keepdims: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.data_format, self.keepdims = data_format, keepdims

    def compute_output_shape(self, input_shape: BatchShape) -> tuple[Any, ...]:
        if len(input_shape) != 3:
            raise ValueError(f"{self.name}: expected samples (T, features), got shape {tuple(input_shape[1:])}")
        rows, _, features = input_shape
        return (rows, 1, features) if self.keepdims else (rows, features)


class GlobalAveragePooling1D(_GlobalPooling1D):
    """Mean over the time steps: a sample (T, features) becomes (features,).

    Parameters
    ----------
    data_format : {None, "channels_last"}
        The order of the axes; Keras' "channels_first" is `Permute` before it.
    keepdims : bool
        True: the result is (1, features).
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        For samples that do not have two axes.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.GlobalAveragePooling1D(input_shape=(2, 3))])
    >>> model.predict(np.array([[[1.0, 2.0, 3.0], [3.0, 4.0, 9.0]]]), verbose=0)
    array([[2., 3., 6.]], dtype=float32)
    """

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        return graph.node("mean", [x], self.sample_shape(x.shape), {"length": x.shape[0]})


class GlobalMaxPooling1D(_GlobalPooling1D):
    """Maximum over the time steps: a sample (T, features) becomes (features,).

    Of equal values, the first receives the gradient.

    Parameters
    ----------
    data_format : {None, "channels_last"}
        The order of the axes; Keras' "channels_first" is `Permute` before it.
    keepdims : bool
        True: the result is (1, features).
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Raises
    ------
    ValueError
        For samples that do not have two axes.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.GlobalMaxPooling1D(input_shape=(2, 3))])
    >>> model.predict(np.array([[[1.0, 2.0, 9.0], [3.0, 0.0, 3.0]]]), verbose=0)
    array([[3., 2., 9.]], dtype=float32)
    """

    def emit(self, graph: Graph, x: Tensor) -> Tensor:
        steps, features = x.shape
        columns = graph.node("permute", [x], (features, steps), {"shape": x.shape, "axes": (1, 0)})
        return graph.node("maxout", [columns], self.sample_shape(x.shape), {"k": steps})
