"""Optimizers, with Keras' arguments and defaults.

An optimizer object names the kernel row to run; the core updates all weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag, number
from .._base.registry import Registry, deserialized
from .._base.signatures import taking
from .lbfgs import LBFGS
from .optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Unpack

    from .._base.types import (
        Config,
        OptimizerLike,
        OptimizerOptions,
        OtherOptimizerOptions,
        ScheduleLike,
    )

_registry = Registry("optimizer")


class SGD(Optimizer):
    r"""Gradient descent, optionally with momentum.

    :math:`v \leftarrow \mu v - \eta g,\; w \leftarrow w + v`.

    With Nesterov momentum: :math:`w \leftarrow w + \mu v - \eta g` (with the new v).

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
        μ, 0 to 1.
    nesterov : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, name and more
        As for `Optimizer`, in its order, and `lr`.

    References
    ----------
    Polyak 1964; Sutskever et al. 2013, eq. 3 and 4.

    Examples
    --------
    >>> fastnn.SGD(lr=1e-4).learning_rate
    0.0001
    """

    row = "sgd"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = number("momentum", momentum, 0, 1)
        self.nesterov = flag("nesterov", nesterov)


class _Betas(Optimizer):
    """Base class of Adam and its variants."""

    _epsilon_above_0 = True

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number("beta_1", beta_1, 0, 1, open_high=True)
        self.beta_2 = number("beta_2", beta_2, 0, 1, open_high=True)
        self.epsilon = number("epsilon", epsilon, 0, open_low=self._epsilon_above_0)


class Adam(_Betas):
    r"""Adam: steps of about the learning rate, from running means of the gradient and its square.

    :math:`m \leftarrow \beta_1 m + (1-\beta_1) g,\; v \leftarrow \beta_2 v + (1-\beta_2) g^2,\;
    w \leftarrow w - \eta \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t} \frac{m}{\sqrt v + \epsilon}`.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2 : float
        At least 0, below 1.
    epsilon : float
        Added to √v before bias correction, as in Keras (PyTorch adds it to the corrected root).
    amsgrad : bool
        Use the largest v so far in place of v.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, name and more
        As for `Optimizer`, in its order, and `lr`.

    References
    ----------
    Kingma & Ba 2015, algorithm 1 in the form at the end of its section 2; Reddi, Kale & Kumar 2018.
    """

    row, variants = "adam", ("amsgrad",)
    _epsilon_above_0 = False

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = flag("amsgrad", amsgrad)
        if self.amsgrad:
            self.use_row("amsgrad")


class AdamW(Adam):
    r"""Adam with decoupled weight decay: :math:`w \leftarrow w (1 - \eta \lambda)` before each step.

    Parameters
    ----------
    learning_rate : float or schedule
    weight_decay : float
        λ.
    beta_1, beta_2, epsilon, amsgrad, **kwargs
        As for `Adam`.

    References
    ----------
    Loshchilov & Hutter 2019.
    """

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Unpack[OtherOptimizerOptions],
    ) -> None:
        weight_decay = number("weight_decay", weight_decay, 0)
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class Adamax(_Betas):
    r"""Adam with the infinity norm: the exponentially decayed maximum of the gradients replaces the root mean square.

    :math:`u \leftarrow \max(\beta_2 u, |g|),\; w \leftarrow w - \frac{\eta}{1-\beta_1^t} \frac{m}{u + \epsilon}`.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2, epsilon : float
    **kwargs
        As for `Adam`.

    References
    ----------
    Kingma & Ba 2015, algorithm 2.
    """

    row = "adamax"


class Nadam(_Betas):
    r"""Adam with Nesterov momentum.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2, epsilon : float
        β₁ is warmed up as β₁ (1 − 0.96ᵗ / 2); ε is added to the corrected root, as in Keras.
    **kwargs
        As for `Adam`.

    References
    ----------
    Dozat 2016, algorithm 2.
    """

    row = "nadam"


class RMSprop(Optimizer):
    r"""RMSprop: the gradient divided by its root mean square.

    :math:`v \leftarrow \rho v + (1-\rho) g^2,\; w \leftarrow w - \eta \frac{g}{\sqrt{v + \epsilon}}`.

    Parameters
    ----------
    learning_rate : float or schedule
    rho, momentum, epsilon : float
        ε is added under the root, as in Keras (PyTorch adds it to the root).
    centered : bool
        Use the variance of the gradient in place of its mean square.
    **kwargs
        As for `Adam`.

    References
    ----------
    Tieleman & Hinton 2012; Graves 2013 for the centered form.
    """

    row = "rmsprop"
    variants = ("rmsprop_momentum", "rmsprop_centered", "rmsprop_centered_momentum")

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = number("rho", rho, 0, 1, open_high=True)
        self.momentum = number("momentum", momentum, 0, 1)
        self.epsilon, self.centered = number("epsilon", epsilon, 0, open_low=True), flag("centered", centered)
        self.use_row("rmsprop" + "_centered" * self.centered + "_momentum" * (self.momentum > 0))


class Adagrad(Optimizer):
    r"""Adagrad: the gradient divided by the root of its sum of squares.

    Parameters
    ----------
    learning_rate : float or schedule
    initial_accumulator_value, epsilon : float
        Initial value of the sum, and the constant added to it under the root.
    **kwargs
        As for `Adam`.

    References
    ----------
    Duchi, Hazan & Singer 2011.
    """

    row = "adagrad"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        value = number("initial_accumulator_value", initial_accumulator_value, 0)
        self.initial_accumulator_value = value
        self.epsilon = number("epsilon", epsilon, 0, open_low=True)


class Adadelta(Optimizer):
    r"""Adadelta: the gradient divided by its root mean square, times the root mean square of the steps.

    Parameters
    ----------
    learning_rate : float or schedule
        1 gives the method of the paper; 0.001 is Keras' default.
    rho, epsilon : float
    **kwargs
        As for `Adam`.

    References
    ----------
    Zeiler 2012.
    """

    row = "adadelta"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = number("rho", rho, 0, 1, open_high=True)
        self.epsilon = number("epsilon", epsilon, 0, open_low=True)


class Lion(Optimizer):
    r"""Lion: steps of the size of the learning rate, with the sign of a mean of momentum and gradient.

    Parameters
    ----------
    learning_rate : float or schedule
        3 to 10 times smaller than Adam's.
    beta_1, beta_2 : float
    **kwargs
        As for `Adam`.

    References
    ----------
    Chen et al. 2023, algorithm 2.
    """

    row = "lion"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number("beta_1", beta_1, 0, 1, open_low=True)
        self.beta_2 = number("beta_2", beta_2, 0, 1)


class Rprop(Optimizer):
    r"""Rprop: one step size per weight, which grows while the gradient keeps its sign. For full-batch training.

    Parameters
    ----------
    learning_rate : float
        Initial step size.
    eta_minus, eta_plus : float
        Factors of the step size after a change of sign, and without one.
    min_step, max_step : float
    **kwargs
        As for `Adam`.

    References
    ----------
    Riedmiller & Braun 1993, as iRprop− of Igel & Hüsken 2000; names and defaults are PyTorch's.
    """

    row = "rprop"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.01,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        min_step: float = 1e-6,
        max_step: float = 50.0,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.eta_minus = number("eta_minus", eta_minus, 0, 1, open_low=True, open_high=True)
        self.eta_plus = number("eta_plus", eta_plus, 1, open_low=True)
        self.min_step = number("min_step", min_step, 0, open_low=True)
        self.max_step = number("max_step", max_step, self.min_step)


class Ftrl(Optimizer):
    r"""Follow the regularized leader (FTRL): L1 regularization that sets weights exactly to 0.

    Parameters
    ----------
    learning_rate : float or schedule
    learning_rate_power : float
        At most 0.
    initial_accumulator_value : float
    l1_regularization_strength, l2_regularization_strength : float
    l2_shrinkage_regularization_strength, beta : float
    **kwargs
        As for `Adam`.

    References
    ----------
    McMahan et al. 2013, algorithm 1.
    """

    row = "ftrl"

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate: ScheduleLike = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power = number("learning_rate_power", learning_rate_power, None, 0)
        strengths = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
        }
        for name, value in strengths.items():
            setattr(self, name, number(name, value, 0))


def get(identifier: OptimizerLike | None) -> Optimizer | None:
    """Return the optimizer for a name (in any case), a description, an object or a class; None for None, as in Keras.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    if isinstance(identifier, type):
        found = identifier()  # type: ignore[call-arg]  # but for the base class, all have a default
    else:
        found = _registry.made(identifier)
    if found is None or isinstance(found, Optimizer):
        return found
    raise TypeError(f"optimizer: expected a name or an Optimizer, got {found!r}")


def names() -> list[str]:
    """Return the class names of the optimizers that make a step for each batch: all but `LBFGS`.

    Lookups ignore case and underscores.
    """
    return _registry.names()


def serialize(optimizer: Optimizer) -> Config:
    """Return the description of an optimizer, for `deserialize` and `get`."""
    return optimizer.describe()


def deserialize(config: str | Config, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the optimizer for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, config, custom_objects)


_registry.add_classes(globals(), Optimizer)
_registry.add(LBFGS, "LBFGS", *LBFGS.aliases, listed=False)
__all__ = ["Optimizer", "LBFGS", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
