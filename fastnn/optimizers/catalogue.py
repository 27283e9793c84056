"""How a gradient changes the weights: optimizers, with Keras' arguments and defaults.

An optimizer object says which row of the kernels to run; the pass over all weights is the core's.
"""

import re
from inspect import signature

import numpy as np

from .._base.checks import (
    Registry,
    flag,
    integer,
    module_attributes,
    number,
    refuse_keywords,
    takes,
)
from .._base.config import Configurable, CoreRow, is_description
from .._base.signatures import deserialized, taking
from .._core.kernels import optimizer_rows
from . import schedules

_registry = Registry("optimizer")
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


class Optimizer(CoreRow):
    r"""Base of the optimizers.

    Parameters
    ----------
    learning_rate : float or schedule
        A number, a `fastnn.optimizers.schedules.LearningRateSchedule`, a function of the step, or one of no
        arguments. Keras 2's name `lr` works too.
    weight_decay : float, optional
        λ of decoupled decay: :math:`w \leftarrow w - \eta \lambda w` before each step, of biases
        too unless `exclude_from_weight_decay` says otherwise.
    clipnorm : float, optional
        Scales the gradient of each weight so that its norm is at most this. Keeps its direction.
    clipvalue : float, optional
        Cuts each entry of the gradient to ±this. Changes the direction.
    global_clipnorm : float, optional
        Scales all gradients together so that their common norm is at most this. Only one of the
        three.
    use_ema : bool
        Keep an average of the weights, :math:`a \leftarrow \mu a + (1 - \mu) w` after each step;
        `fit` ends with the weights replaced by it.
    ema_momentum : float
        μ, 0 to 1.
    ema_overwrite_frequency : int, optional
        Replace the weights by their average every so many updates, too.
    loss_scale_factor : float, optional
        Accepted because Keras has it, and without effect: it keeps small gradients of 16-bit
        training from vanishing, and gradients here have at least 32 bits.
    gradient_accumulation_steps : int, optional
        At least 2: that many batches make one update, with the mean of their gradients. Schedules
        count batches, as in Keras.
    name : str, optional

    Raises
    ------
    TypeError
        For an argument that does not exist, with the nearest that does.
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
                raise TypeError("lr: another name of learning_rate; expected one of the two, got both")
            learning_rate = kwargs.pop("lr")
        if "decay" in kwargs:
            raise TypeError(
                "decay: Keras 2's decay of the learning rate is a schedule, as in Keras 3: learning_rate="
                f"fastnn.optimizers.schedules.InverseTimeDecay({learning_rate!r}, decay_steps=1,"
                f" decay_rate={kwargs['decay']!r}). (weight_decay is another thing: it makes weights smaller.)"
            )
        refuse_keywords(type(self), kwargs, also=["lr"])
        self._rate = _checked_rate(learning_rate)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        given = {n: getattr(self, n) for n in CLIPS if getattr(self, n) is not None}
        if len(given) > 1:
            raise ValueError(
                f"only one of clipnorm, clipvalue and global_clipnorm can be set, got {given}"
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
        """Updates of the weights so far; it cannot be set: weights, slots and this number belong together."""
        return self._iterations // (self.gradient_accumulation_steps or 1)

    def at_batch(self, batches):
        """What a training says: so many batches so far."""
        self._iterations = batches

    @property
    def learning_rate(self):
        """The rate; of a schedule, that of the next step. It can be set between epochs or batches.

        Raises
        ------
        TypeError
            When a number is set where a schedule decides.
        """
        if not callable(self._rate):
            return self._rate
        return float(schedules.rates(self._rate, self._iterations, 1)[0])

    @learning_rate.setter
    def learning_rate(self, value):
        if callable(self._rate) and not callable(value):
            raise TypeError(
                "learning_rate: this optimizer was made with a schedule, which decides the rate at every step;"
                " make it with a number to be able to set it"
            )
        self._rate = _checked_rate(value)

    lr = learning_rate

    @property
    def schedule(self):
        """What decides the rate at every step; None if the rate is a number."""
        return getattr(self._rate, "of_no_arguments", self._rate) if callable(self._rate) else None

    def rates(self, first, n):
        """Rates of the steps first … first + n − 1, float64 (n,); with the schedule's momenta (n, 2)."""
        rates, momenta = schedules.rates(self._rate, first, n), schedules.momenta(self._rate, first, n)
        if momenta is None:
            return rates
        if not {"momentum", "beta_1"} & set(self.parameters):
            raise ValueError(f"{self.name}: the schedule changes the momentum, and this optimizer has none")
        return np.column_stack([rates, momenta])

    def use_row(self, row):
        """Run another row of the kernels than the class's: one with just the state that is needed."""
        self.row = row
        self.parameters = next(tuple(parameters) for name, parameters, _ in self.rows if name == row)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Say which weights `weight_decay` leaves alone; before the first step.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : list of str, optional
            Every weight in whose own name ("kernel", "bias", "gamma", …) one of these occurs.

        Raises
        ------
        ValueError
            When the optimizer is at work already.

        Examples
        --------
        >>> optimizer = fastnn.optimizers.AdamW()
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        if self._planned:
            raise ValueError("exclude_from_weight_decay: expected a call before the first step")
        names = [var_names] if isinstance(var_names, str) else var_names
        pattern = re.compile("|".join(names)) if names else None
        self._not_decayed = frozenset(var_list or ()), pattern

    def decay_of(self, variable):
        """λ of one variable."""
        variables, pattern = self._not_decayed
        left_alone = variable in variables
        left_alone |= pattern is not None and bool(pattern.search(variable.name.split("/")[-1]))
        return 0.0 if left_alone else self.weight_decay or 0.0

    def for_core(self):
        """What the engine takes: row, parameters, and what is done around the row by name."""
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
        raise TypeError(f"learning_rate: expected a number or a schedule, got the class {rate.__name__}; call it")
    if takes(rate, 1):
        return rate
    if not takes(rate, 0):
        raise TypeError(f"learning_rate: expected a function of the step, or of no arguments, got {rate!r}")

    def at_step(step):
        return rate()

    at_step.of_no_arguments = rate
    return at_step


class SGD(Optimizer):
    r"""Gradient descent, with or without momentum.

    :math:`v \leftarrow \mu v - \eta g,\; w \leftarrow w + v`.

    With Nesterov's look-ahead :math:`w \leftarrow w + \mu v - \eta g` (with the new v).

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
        μ, 0 to 1.
    nesterov : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, name and more
        As for `Optimizer`, in its order; `lr` too.

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
    r"""Adam: steps of about the learning rate, by running means of the gradient and of its square.

    :math:`m \leftarrow \beta_1 m + (1-\beta_1) g,\; v \leftarrow \beta_2 v + (1-\beta_2) g^2,\;
    w \leftarrow w - \eta \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t} \frac{m}{\sqrt v + \epsilon}`.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2 : float
        At least 0, below 1.
    epsilon : float
        Beside √v before bias correction, as in Keras (PyTorch's is beside the corrected root).
    amsgrad : bool
        The largest v so far in place of v.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, name and more
        As for `Optimizer`, in its order; `lr` too.

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
    r"""Adam with the largest gradient, slowly forgotten, in place of the root of the mean square.

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
    r"""Adam with Nesterov's momentum.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2, epsilon : float
        β₁ is warmed up as β₁ (1 − 0.96ᵗ / 2); ε is beside the corrected root, as in Keras.
    **kwargs
        As for `Adam`.

    References
    ----------
    Dozat 2016, algorithm 2.
    """

    row = "nadam"


class RMSprop(Optimizer):
    r"""The gradient divided by the root of its mean square.

    :math:`v \leftarrow \rho v + (1-\rho) g^2,\; w \leftarrow w - \eta \frac{g}{\sqrt{v + \epsilon}}`.

    Parameters
    ----------
    learning_rate : float or schedule
    rho, momentum, epsilon : float
        ε is under the root, as in Keras (PyTorch's is beside it).
    centered : bool
        The variance of the gradient in place of its mean square.
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
    r"""The gradient divided by the root of the sum of its squares.

    Parameters
    ----------
    learning_rate : float or schedule
    initial_accumulator_value, epsilon : float
        What the sum starts from, and what is added to it under the root.
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
    r"""The gradient divided by the root of its mean square, times the root of the mean square of the steps.

    Parameters
    ----------
    learning_rate : float or schedule
        1 is the method of the paper; 0.001 is Keras' default.
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
    r"""Steps of the learning rate, by the sign of a mean of momentum and gradient.

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
    r"""Each weight has a step of its own, which grows while the gradient keeps its sign. For whole batches.

    Parameters
    ----------
    learning_rate : float
        The first step.
    eta_minus, eta_plus : float
        Factors of a step after a change of sign, and without one.
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
    r"""Follow the regularized leader: L1 regularization that makes weights exactly 0.

    Parameters
    ----------
    learning_rate : float or schedule
    learning_rate_power : float
        Not positive.
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
    """The optimizer for a name in any case, a description, an object or a class; None for None, as in Keras.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return _registry.find(identifier)()
    if is_description(identifier):
        return _registry.find(identifier["class_name"]).from_config(identifier["config"])
    if isinstance(identifier, type):
        return get(identifier())
    raise TypeError(f"optimizer: expected a name or an Optimizer, got {identifier!r}")


def names():
    """Names of the optimizers, as classes; any case is found."""
    return _registry.names()


def serialize(optimizer):
    """The description of an optimizer, which `deserialize` and `get` take."""
    return optimizer.describe()


def deserialize(config, custom_objects=None):
    """The optimizer that `serialize` described; `custom_objects` has names to classes of your own."""
    return deserialized(get, config, custom_objects)


_registry.add_classes(globals(), Optimizer)
__all__ = ["Optimizer", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
__getattr__, __dir__ = module_attributes(__name__, __all__)
