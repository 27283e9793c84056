"""Callbacks that change the learning rate."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, number, one_of, takes
from .callback import Callback
from .monitor import improves, monitored, rises

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from matplotlib.axes import Axes

    from .._base.types import Logs, Mode


def need_a_number(optimizer: Any, who: str) -> None:
    """TypeError if the rate follows a schedule, which would overwrite it."""
    if optimizer.schedule is not None:
        raise TypeError(
            f"{who}: expected an optimizer whose learning_rate is a number, got a schedule, which sets it at every step"
        )


class LearningRateScheduler(Callback):
    """Set the learning rate at the start of every epoch, and log it.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)`` or ``schedule(epoch)`` returns the new rate.
    verbose : int

    Examples
    --------
    >>> callback = LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"schedule: expected a function of the epoch, got {schedule!r}")
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if takes(self.schedule, 2):
            rate = self.schedule(epoch, optimizer.learning_rate)
        else:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, int, np.floating)) or isinstance(rate, bool):
            raise TypeError(f"schedule: expected a function that returns a float, got {rate!r} from it")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when a monitored value has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    factor : float
        Below 1.
    patience : int
    verbose : int
    mode : {"auto", "min", "max"}
    min_delta : float
        Minimum change that counts as an improvement.
    cooldown : int
        Number of epochs after a reduction that are not counted.
    min_lr : float
        Lower bound of the learning rate.

    Raises
    ------
    TypeError
        If training starts with a schedule as learning rate.
    ValueError
        As for `EarlyStopping`. NaN is never an improvement.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        self.factor = number("factor", factor, 0, 1, open_high=True)
        self.monitor, self.patience = monitor, integer("patience", patience, minimum=0)
        self.verbose, self.mode = verbose, one_of("mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(number("min_delta", min_delta))
        self.cooldown = integer("cooldown", cooldown, minimum=0)
        self.min_lr = number("min_lr", min_lr, 0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        need_a_number(self.model.optimizer, "ReduceLROnPlateau")
        self.rising = rises(self.mode, self.monitor, self.model)
        self.best = None
        self.wait = self.cooldown_counter = 0

    def improved(self, value: float) -> bool:
        """Whether `value` is better than the best so far by more than min_delta."""
        return improves(value, self.best, self.min_delta, self.rising)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value, optimizer = monitored(self.monitor, logs, self.params), self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.learning_rate
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(value):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter > 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, optimizer)

    def _reduce(self, epoch, optimizer):
        old = optimizer.learning_rate
        if old > self.min_lr:
            optimizer.learning_rate = max(old * self.factor, self.min_lr)
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")
            self.cooldown_counter, self.wait = self.cooldown, 0


class LearningRateFinder(Callback):
    """Learning rate range test: increase the rate and record the loss; run by `Model.find_learning_rate`.

    At step i of n the rate is ``min_lr * (max_lr / min_lr) ** (i / (n - 1))``. The test stops when the
    smoothed loss is `divergence` times its minimum so far, or non-finite. At the end, weights, rate and
    optimizer state are restored.

    Parameters
    ----------
    min_lr, max_lr : float
    steps : int
    smoothing : float
        Weight of past values in the running mean of the loss (bias-corrected, as in Adam).
    divergence : float

    Attributes
    ----------
    learning_rates, losses : list of float
        Learning rates, and the smoothed loss at each.
    suggestion : float
        A tenth of the rate with the minimum smoothed loss, where the loss still decreases. (The
        steepest descent, another common rule, is unreliable for small, noisy batches.) None before the test.

    References
    ----------
    Smith 2017, section 3.3; the stopping rule and the smoothing are those of Gugger, "How do you
    find a good learning rate", 2018.
    """

    learning_rates: list[float]
    losses: list[float]
    suggestion: float | None

    handles_non_finite = True

    def __init__(
        self,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.95,
        divergence: float = 4.0,
    ) -> None:
        super().__init__()
        self.min_lr = number("min_lr", min_lr, 0, open_low=True)
        self.max_lr = number("max_lr", max_lr, self.min_lr, open_low=True)
        self.steps = integer("steps", steps, minimum=2)
        self.smoothing = number("smoothing", smoothing, 0, 1, open_high=True)
        self.divergence = number("divergence", divergence, 1, open_low=True)
        self.learning_rates, self.losses, self.suggestion = [], [], None
        self._before: dict[str, Any] | None = None
        self.samples = None  # (per batch, per epoch), if known: the last batch of an epoch may be shorter

    def on_train_begin(self, logs: Logs | None = None) -> None:
        need_a_number(self.model.optimizer, "LearningRateFinder")
        self.learning_rates, self.losses, self.suggestion = [], [], None
        self._mean = self._sum = 0.0
        model = self.model
        self._before = {
            "rate": model.optimizer.learning_rate,
            "weights": model.get_weights(),
            "state": model.engine().get_state(),
            "epochs": model.epochs_done,
        }

    def restore(self) -> None:
        """Undo the changes of the test; does nothing before the test or if called again."""
        before, model = self._before, self.model
        if before is not None:
            model.set_weights(before["weights"], check_finite=False)
            model.engine().set_state(before["state"])
            model.optimizer.learning_rate = before["rate"]
            model.optimizer.at_batch(model.engine().step)
            model.epochs_done = before["epochs"]
            self._before = None  # last, so that an interrupted restore can be repeated

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._sum = 0.0

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        i = len(self.losses)
        rate = self.min_lr * (self.max_lr / self.min_lr) ** (i / (self.steps - 1))
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        # the logs have the mean over the epoch so far: the loss of this batch is the difference of the sums.
        size, n = self.samples or (1, inf)
        done = min((batch + 1) * size, n)
        total = (logs or {})["loss"] * done
        loss, self._sum = (total - self._sum) / (done - batch * size), total
        i = len(self.losses) + 1
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        smooth = self._mean / (1 - self.smoothing**i)
        if not np.isfinite(smooth) or (self.losses and smooth > self.divergence * abs(min(self.losses))):
            self.model.stop_training = True
            return
        self.learning_rates.append(self.model.optimizer.learning_rate)
        self.losses.append(smooth)
        if len(self.losses) >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.restore()
        if self.losses:
            self.suggestion = self.learning_rates[int(np.argmin(self.losses))] / 10

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the loss by learning rate, with the suggestion marked.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: pyplot's current axes.

        Returns
        -------
        matplotlib Axes
        """
        from ..plot import learning_rate_finder

        return learning_rate_finder.draw(self.learning_rates, self.losses, self.suggestion, ax)
