"""SimpleRNN: a recurrent layer without gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._recurrent import Recurrent

if TYPE_CHECKING:
    from typing import Unpack

    from .._base.types import (
        ActivationLike,
        ConstraintLike,
        InitializerLike,
        OtherOptions,
        RegularizerLike,
    )


class SimpleRNN(Recurrent):
    r"""A simple recurrent layer: :math:`h_t = f(x_t W + h_{t-1} U + b)`.

    It reads samples of shape (steps, features); the number of steps is fixed.

    Parameters
    ----------
    units : int
        Size of the state, at least 1.
    activation : str, activation or activation layer, optional
        Elementwise; default: tanh.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, Initializer or function
        Default of the recurrent kernel: orthogonal, which keeps the length of the state.
    kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or Constraint, optional
    dropout, recurrent_dropout : float
        In training, the fraction of the features of the input, and of the state where it is multiplied by the recurrent
        kernel, that is set to 0; the same features at all steps of a sample, and for all gates.
    seed : int, optional
        Of both dropouts.
    return_sequences : bool
        Return the states of all steps, (steps, units), instead of the last one, (units,).
    return_state : bool
        Return a list: the result, and the last state.
    go_backwards : bool
        Take the steps from the last to the first; results are in that order.
    stateful, unroll : False
        For compatibility with Keras; only the defaults are accepted.
    truncate : int, optional
        Gradients go back at most so many steps: they stop after every `truncate` of them, counted from the last.
        Default: through all steps.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (features, units)
    recurrent_kernel : Variable (units, units)
    bias : Variable (units,) or None

    Raises
    ------
    ValueError
        For samples that are not of two axes, initial states of another shape, and activations such as softmax.

    References
    ----------
    Elman 1990; back-propagation through time: Werbos 1990. Truncation as in Williams & Peng 1990, with the window moved
    by its own length.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.SimpleRNN(4, input_shape=(10, 3)), fastnn.layers.Dense(1)])
    >>> [w.shape for w in model.get_weights()]
    [(3, 4), (4, 4), (4,), (4, 1), (1,)]

    All states, and the last one for another layer to begin with:

    >>> from fastnn.layers import Input, SimpleRNN
    >>> states, last = SimpleRNN(4, return_sequences=True, return_state=True)(x := Input((10, 3)))
    >>> fastnn.Model(x, SimpleRNN(4)(states, initial_state=last)).output_shape
    (None, 4)
    """

    cell, gates = "simple_rnn", 1

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        truncate: int | None = None,
        **kwargs: Unpack[OtherOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
