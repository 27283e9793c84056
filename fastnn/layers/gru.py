"""GRU: a recurrent layer with gates and no further memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag
from ._recurrent import Gated
from ._weights import add
from .checked import Checked

if TYPE_CHECKING:
    from typing import Any, Unpack

    from .._base.types import (
        ActivationLike,
        ConstraintLike,
        InitializerLike,
        OtherOptions,
        RegularizerLike,
    )
    from ..variables import Variable


class GRU(Gated):
    r"""Gated recurrent unit.

    .. math:: z, r = \sigma(x_t W + h_{t-1} U + b), \quad c = \tanh(x_t W + r (h_{t-1} U + b'))
    .. math:: h_t = z h_{t-1} + (1 - z) c

    each with columns of its own in W, U and b, in the order z, r, c. It reads samples of shape (steps, features); the
    number of steps is fixed.

    Parameters
    ----------
    units : int
        Size of the state, at least 1.
    activation : str, activation or activation layer, optional
        Elementwise; default: tanh.
    recurrent_activation : str, activation or activation layer, optional
        Of the gates; default: sigmoid.
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
    stateful, unroll, use_cudnn : False, "auto"
        For compatibility with Keras; only the defaults are accepted.
    reset_after : bool
        Whether r multiplies the product of the state, as above, or, if False, the state before the product:
        :math:`c = \tanh(x_t W + (r h_{t-1}) U + b)`.
    truncate : int, optional
        Gradients go back at most so many steps: they stop after every `truncate` of them, counted from the last.
        Default: through all steps.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (features, 3 units)
    recurrent_kernel : Variable (units, 3 units)
    bias : Variable (2, 3 units), b and b', or (3 units,) without `reset_after`; or None

    Raises
    ------
    ValueError
        For samples that are not of two axes, initial states of another shape, and activations such as softmax.

    References
    ----------
    Cho et al. 2014, whose formula is that of `reset_after` False.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.GRU(4, input_shape=(10, 3)), fastnn.layers.Dense(1)])
    >>> [w.shape for w in model.get_weights()]
    [(3, 12), (4, 12), (2, 12), (4, 1), (1,)]
    """

    cell, gates = "gru", 3
    reset_after = Checked(flag, for_good=True)

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: str = "auto",
        *,
        truncate: int | None = None,
        **kwargs: Unpack[OtherOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self.reset_after = reset_after

    def _add_bias(self, columns: int) -> None:
        if not self.reset_after:
            super()._add_bias(columns)
            return
        self.bias = add(self, "bias", (2, columns))

    def _biases(self) -> tuple[Variable | None, dict[str, Variable]]:
        if not self.reset_after or self.bias is None:
            return super()._biases()
        return None, {"biases": self.bias}

    def _more(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}
