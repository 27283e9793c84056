"""Optimizers, with Keras' arguments and defaults.

An optimizer object names the kernel row to run; the core updates all weights.
"""

import re
from inspect import signature

import numpy as np

from .._base.checks import (
    flag,
    integer,
    number,
    refuse_keywords,
    takes,
)
from .._base.config import Configurable, CoreRow, is_description
from .._base.registry import Registry, deserialized
from .._base.signatures import taking
from .._core.kernels import optimizer_rows
from . import schedules

_registry = Registry("optimizer")
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


class Optimizer(CoreRow):
    r"""Base class of the optimizers.

    Parameters
    ----------
    learning_rate : float or schedule
        A number, a `fastnn.optimizers.schedules.LearningRateSchedule`, a function of the step, or a function
        without arguments. Keras 2's name `lr` is accepted too.
    weight_decay : float, optional
        λ of decoupled weight decay: :math:`w \leftarrow w - \eta \lambda w` before each step, including
        biases unless excluded by `exclude_from_weight_decay`.
    clipnorm : float, optional
        The gradient of each weight is scaled so that its norm is at most this value; its direction is kept.
    clipvalue : float, optional
        Each element of the gradient is clipped to ± this value, which changes the direction.
    global_clipnorm : float, optional
        All gradients together are scaled so that their global norm is at most this value. Only one of
        the three can be set.
    use_ema : bool
        Maintain an exponential moving average of the weights, :math:`a \leftarrow \mu a + (1 - \mu) w` after
        each step; at the end of `fit`, it replaces the weights.
    ema_momentum : float
        μ, 0 to 1.
    ema_overwrite_frequency : int, optional
        Also replace the weights by their average after every `ema_overwrite_frequency` updates.
    loss_scale_factor : float, optional
        For compatibility with Keras, without effect: it prevents underflow of gradients in 16-bit
        training, and gradients here have at least 32 bits.
    gradient_accumulation_steps : int, optional
        Number of batches per update, at least 2; the update uses the mean of their gradients. Schedules
        count batches, as in Keras.
    name : str, optional

    Raises
    ------
    TypeError
        For an unknown argument; the message suggests the nearest name.
    ValueError
        For a value out of range, or more than one kind of clipping.
    """

    rows = optimizer_rows()
    _iterations = 0
    _not_decayed = frozenset(), None  # variables, pattern of names
    _planned = False

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        if "lr" in kwargs:
            default = signature(type(self).__init__).parameters.get("learning_rate")
            if default is not None and learning_rate is not default.default and learning_rate != default.default:
                raise TypeError("lr, learning_rate: expected one of the two (lr is an alias), got both")
            learning_rate = kwargs.pop("lr")
        if "decay" in kwargs:
            raise TypeError(
                "decay: Keras 2's learning rate decay is a schedule in Keras 3; use learning_rate="
                f"fastnn.optimizers.schedules.InverseTimeDecay({learning_rate!r}, decay_steps=1,"
                f" decay_rate={kwargs['decay']!r}). (weight_decay is something else: it shrinks the weights.)"
            )
        refuse_keywords(type(self), kwargs, also=["lr"])
        self._rate = _checked_rate(learning_rate)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        given = {n: getattr(self, n) for n in CLIPS if getattr(self, n) is not None}
        if len(given) > 1:
            raise ValueError(
                f"clipnorm, clipvalue, global_clipnorm: expected at most one of them, got {given}"
            )
        for n, value in given.items():
            setattr(self, n, number(n, value, 0, open_low=True))
        self.weight_decay = _optional("weight_decay", weight_decay, number, 0)
        self.use_ema = flag("use_ema", use_ema)
        self.ema_momentum = number("ema_momentum", ema_momentum, 0, 1)
        self.ema_overwrite_frequency = _optional(
            "ema_overwrite_frequency", ema_overwrite_frequency, integer, 1
        )
        self.loss_scale_factor = _optional(
            "loss_scale_factor", loss_scale_factor, number, 0, open_low=True
        )
        self.gradient_accumulation_steps = _optional(
            "gradient_accumulation_steps", gradient_accumulation_steps, integer, 2
        )
        self.name = name or type(self).__name__

    @property
    def iterations(self):
        """Number of updates so far; read-only, as it belongs to the weights and optimizer state."""
        return self._iterations // (self.gradient_accumulation_steps or 1)

    def at_batch(self, batches):
        """Set the number of batches so far; called by the training loop."""
        self._iterations = batches

    @property
    def learning_rate(self):
        """The learning rate; with a schedule, that of the next step. It can be set between epochs or batches.

        Raises
        ------
        TypeError
            If a number is set while the rate follows a schedule.
        """
        if not callable(self._rate):
            return self._rate
        return float(schedules.rates(self._rate, self._iterations, 1)[0])

    @learning_rate.setter
    def learning_rate(self, value):
        if callable(self._rate) and not callable(value):
            raise TypeError(
                f"learning_rate: expected a schedule, got {value!r}; this optimizer was created with a schedule, which"
                " sets the rate at every step. Create it with a number to be able to set the rate"
            )
        self._rate = _checked_rate(value)

    lr = learning_rate

    @property
    def schedule(self):
        """The learning rate schedule; None if the rate is a number."""
        return getattr(self._rate, "of_no_arguments", self._rate) if callable(self._rate) else None

    def rates(self, first, n):
        """Learning rates of steps first … first + n − 1, float64 (n,); with momenta of the schedule (n, 2)."""
        rates, momenta = schedules.rates(self._rate, first, n), schedules.momenta(self._rate, first, n)
        if momenta is None:
            return rates
        if not {"momentum", "beta_1"} & set(self.parameters):
            raise ValueError(f"{self.name}: the schedule sets the momentum, but this optimizer has no momentum")
        return np.column_stack([rates, momenta])

    def use_row(self, row):
        """Run a kernel row other than that of the class, with only the state that is needed."""
        self.row = row
        self.parameters = next(tuple(parameters) for name, parameters, _ in self.rows if name == row)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Exclude weights from `weight_decay`; must be called before the first step.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : list of str, optional
            Exclude every weight whose own name ("kernel", "bias", "gamma", …) contains one of these.

        Raises
        ------
        ValueError
            If the optimizer has been used already.

        Examples
        --------
        >>> optimizer = fastnn.optimizers.AdamW()
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        if self._planned:
            raise ValueError("exclude_from_weight_decay: expected a call before the first step, got one after it")
        names = [var_names] if isinstance(var_names, str) else var_names
        pattern = re.compile("|".join(names)) if names else None
        self._not_decayed = frozenset(var_list or ()), pattern

    def decay_of(self, variable):
        """The weight decay λ of a variable."""
        variables, pattern = self._not_decayed
        left_alone = variable in variables
        left_alone |= pattern is not None and bool(pattern.search(variable.name.split("/")[-1]))
        return 0.0 if left_alone else self.weight_decay or 0.0

    def for_core(self):
        """The optimizer for the engine: row, parameters, and further options by name."""
        self._planned = True
        names = [*CLIPS, "gradient_accumulation_steps"]
        if self.use_ema:
            names += ["ema_momentum", "ema_overwrite_frequency"]
        around = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        if self.weight_decay:
            around["decay_of"] = self.decay_of
        return self.row, self.params, around

    def get_config(self):
        """The constructor's arguments, as plain Python values."""
        rate = getattr(self._rate, "of_no_arguments", self._rate)
        rate = rate.describe() if isinstance(rate, Configurable) else rate
        return {**super().get_config(), "learning_rate": rate}


def _optional(name, value, check, *args, **kwargs):
    return None if value is None else check(name, value, *args, **kwargs)


def _checked_rate(rate):
    if is_description(rate):
        rate = schedules.from_description(rate)
    if not callable(rate):
        return number("learning_rate", rate, 0)
    if isinstance(rate, type):
        raise TypeError(f"learning_rate: expected a number or a schedule, got the class {rate.__name__}; create one")
    if takes(rate, 1):
        return rate
    if not takes(rate, 0):
        raise TypeError(f"learning_rate: expected a function of the step, or without arguments, got {rate!r}")

    def at_step(step):
        return rate()

    at_step.of_no_arguments = rate
    return at_step


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
    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.momentum = number("momentum", momentum, 0, 1)
        self.nesterov = flag("nesterov", nesterov)


class Adam(Optimizer):
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

    @taking(Optimizer)
    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **kwargs,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number("beta_1", beta_1, 0, 1, open_high=True)
        self.beta_2 = number("beta_2", beta_2, 0, 1, open_high=True)
        self.epsilon, self.amsgrad = number("epsilon", epsilon, 0), flag("amsgrad", amsgrad)
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
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **kwargs,
    ):
        weight_decay = number("weight_decay", weight_decay, 0)
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class _Betas(Optimizer):
    @taking(Optimizer)
    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number("beta_1", beta_1, 0, 1, open_high=True)
        self.beta_2 = number("beta_2", beta_2, 0, 1, open_high=True)
        self.epsilon = number("epsilon", epsilon, 0, open_low=True)


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
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
        **kwargs,
    ):
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
    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **kwargs):
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
    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, **kwargs):
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
    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, **kwargs):
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
        learning_rate=0.01,
        eta_minus=0.5,
        eta_plus=1.2,
        min_step=1e-6,
        max_step=50.0,
        **kwargs,
    ):
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
        learning_rate=0.001,
        learning_rate_power=-0.5,
        initial_accumulator_value=0.1,
        l1_regularization_strength=0.0,
        l2_regularization_strength=0.0,
        l2_shrinkage_regularization_strength=0.0,
        beta=0.0,
        **kwargs,
    ):
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


def get(identifier):
    """Return the optimizer for a name (in any case), a description, an object or a class; None for None, as in Keras.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is None or isinstance(found, Optimizer):
        return found
    raise TypeError(f"optimizer: expected a name or an Optimizer, got {found!r}")


def names():
    """Return the class names of the optimizers; lookups ignore case and underscores."""
    return _registry.names()


def serialize(optimizer):
    """Return the description of an optimizer, for `deserialize` and `get`."""
    return optimizer.describe()


def deserialize(config, custom_objects=None):
    """Return the optimizer for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, config, custom_objects)


_registry.add_classes(globals(), Optimizer)
__all__ = ["Optimizer", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
