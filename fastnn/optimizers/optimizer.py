"""Base class of the optimizers: learning rate, clipping, weight decay, averages of the weights."""

from __future__ import annotations

import re
from inspect import signature
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, integer, number, refuse_keywords, takes
from .._base.config import Configurable, CoreRow, is_description
from .._base.signatures import only_default
from .._core.kernels import optimizer_rows
from . import schedules
from .schedule import rates as rates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .._base.types import AnyArray, Config, ScheduleLike
    from ..variables import Variable

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
    loss_scale_factor : None
        For compatibility with Keras, where it prevents underflow of gradients in 16-bit training; only the default
        is accepted.
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
    _not_decayed: tuple[frozenset[Any], re.Pattern[str] | None] = frozenset(), None  # variables, pattern of names
    _planned = False

    def __init__(
        self,
        learning_rate: ScheduleLike,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
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
        only_default("loss_scale_factor", loss_scale_factor, None)
        self.loss_scale_factor = None  # in configurations, as in Keras
        self.gradient_accumulation_steps = _optional(
            "gradient_accumulation_steps", gradient_accumulation_steps, integer, 2
        )
        self.name = name or type(self).__name__

    @property
    def iterations(self) -> int:
        """Number of updates so far; read-only, as it belongs to the weights and optimizer state."""
        return self._iterations // (self.gradient_accumulation_steps or 1)

    def at_batch(self, batches: int) -> None:
        """Set the number of batches so far; called by the training loop."""
        self._iterations = batches

    @property
    def learning_rate(self) -> float:
        """The learning rate; with a schedule, that of the next step. It can be set between epochs or batches.

        Raises
        ------
        TypeError
            If a number is set while the rate follows a schedule.
        """
        if not callable(self._rate):
            return self._rate
        return float(rates_of(self._rate, self._iterations, 1)[0])

    @learning_rate.setter
    def learning_rate(self, value: ScheduleLike) -> None:
        if callable(self._rate) and not callable(value):
            raise TypeError(
                f"learning_rate: expected a schedule, got {value!r}; this optimizer was created with a schedule, which"
                " sets the rate at every step. Create it with a number to be able to set the rate"
            )
        self._rate = _checked_rate(value)

    lr = learning_rate

    @property
    def schedule(self) -> Callable[..., Any] | None:
        """The learning rate schedule; None if the rate is a number."""
        return getattr(self._rate, "of_no_arguments", self._rate) if callable(self._rate) else None

    def rates(self, first: int, n: int) -> AnyArray:
        """Learning rates of steps first … first + n − 1, float64 (n,); with momenta of the schedule (n, 2)."""
        rates, momenta = rates_of(self._rate, first, n), schedules.momenta(self._rate, first, n)
        if momenta is None:
            return rates
        if not {"momentum", "beta_1"} & set(self.parameters):
            raise ValueError(f"{self.name}: the schedule sets the momentum, but this optimizer has no momentum")
        return np.column_stack([rates, momenta])

    def use_row(self, row: str) -> None:
        """Run a kernel row other than that of the class, with only the state that is needed."""
        self.row = row
        self.parameters = next(tuple(parameters) for name, parameters, _ in self.rows if name == row)

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: str | Sequence[str] | None = None,
    ) -> None:
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

    def decay_of(self, variable: Variable) -> float:
        """The weight decay λ of a variable."""
        variables, pattern = self._not_decayed
        left_alone = variable in variables
        left_alone |= pattern is not None and bool(pattern.search(variable.name.split("/")[-1]))
        return 0.0 if left_alone else self.weight_decay or 0.0

    def for_core(self) -> tuple[str | None, tuple[float, ...], dict[str, Any]]:
        """The optimizer for the engine: row, parameters, and further options by name."""
        self._planned = True
        names = [*CLIPS, "gradient_accumulation_steps"]
        if self.use_ema:
            names += ["ema_momentum", "ema_overwrite_frequency"]
        around = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        if self.weight_decay:
            around["decay_of"] = self.decay_of
        return self.row, self.params, around

    def get_config(self) -> Config:
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
