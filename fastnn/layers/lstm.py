"""LSTM: a recurrent layer with a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag
from ._recurrent import Gated
from ._weights import KINDS
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


class LSTM(Gated):
    r"""Long short-term memory.

    .. math:: i, f, o = \sigma(x_t W + h_{t-1} U + b), \quad g = \tanh(x_t W + h_{t-1} U + b)
    .. math:: c_t = f c_{t-1} + i g, \quad h_t = o \tanh(c_t)

    each with columns of its own in W, U and b, in the order i, f, g, o. It reads samples of shape (steps, features);
    the number of steps is fixed.

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
    unit_forget_bias : bool
        Whether the bias of the forget gate begins at 1, so that the memory lasts at first.
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
        Return a list: the result, and the last states h and c.
    go_backwards : bool
        Take the steps from the last to the first; results are in that order.
    stateful, unroll, use_cudnn : False, "auto"
        For compatibility with Keras; only the defaults are accepted.
    truncate : int, optional
        Gradients go back at most so many steps: they stop after every `truncate` of them, counted from the last.
        Default: through all steps.
    **kwargs
        `name`, `trainable`, `dtype`, `input_shape` (see `Layer`).

    Attributes
    ----------
    kernel : Variable (features, 4 units)
    recurrent_kernel : Variable (units, 4 units)
    bias : Variable (4 units,) or None

    Raises
    ------
    ValueError
        For samples that are not of two axes, initial states of another shape, and activations such as softmax.

    References
    ----------
    Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000; its bias: Jozefowicz, Zaremba &
    Sutskever 2015.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.LSTM(4, input_shape=(10, 3)), fastnn.layers.Dense(1)])
    >>> [w.shape for w in model.get_weights()]
    [(3, 16), (4, 16), (16,), (4, 1), (1,)]
    """

    cell, gates, kinds = "lstm", 4, ("h", "c")
    unit_forget_bias = Checked(flag, for_good=True)

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: str = "auto",
        *,
        truncate: int | None = None,
        **kwargs: Unpack[OtherOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self.unit_forget_bias = unit_forget_bias

    def _add_bias(self, columns: int) -> None:
        make: Any = self.bias_initializer

        def initializer(shape: Any, dtype: Any) -> Any:
            value = make(shape, dtype=dtype)
            if self.unit_forget_bias:
                value[self.units : 2 * self.units] = 1
            return value

        rules = {kind: getattr(self, f"bias_{kind}") for kind in KINDS} | {"initializer": initializer}
        self.bias = self.add_weight((columns,), name="bias", layout="bias", **rules)
