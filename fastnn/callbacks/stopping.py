"""Callbacks that stop training."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from .._base.checks import flag, integer, number, one_of
from .callback import Callback
from .monitor import improves, monitored, rises

if TYPE_CHECKING:

    from .._base.types import Logs, Mode


class EarlyStopping(Callback):
    """Stop training when a monitored value has not improved for `patience` epochs. NaN is never an improvement.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    min_delta : float
        Minimum change that counts as an improvement.
    patience : int
    verbose : int
        1: print a message when training stops.
    mode : {"auto", "min", "max"}
        "auto": minimise losses and errors, maximise accuracies.
    baseline : float, optional
        Only values better than the baseline reset the count of epochs without improvement.
    restore_best_weights : bool
        At the end, restore the weights of the best epoch.
    start_from_epoch : int
        Earlier epochs are ignored.

    Raises
    ------
    ValueError
        If `monitor` is not in the logs, or "auto" cannot decide on the direction.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor, self.patience = monitor, integer("patience", patience, minimum=0)
        self.min_delta = abs(number("min_delta", min_delta))
        self.verbose, self.mode = verbose, one_of("mode", mode, ("auto", "min", "max"))
        self.baseline = None if baseline is None else number("baseline", baseline)
        self.restore_best_weights = flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = integer("start_from_epoch", start_from_epoch, minimum=0)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.rising = rises(self.mode, self.monitor, self.model)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def improved(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than `best` (None: no value yet) by more than min_delta; NaN never is."""
        return improves(value, best, self.min_delta, self.rising)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = monitored(self.monitor, logs, self.params)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improved(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improved(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights, check_finite=False)


class TerminateOnNaN(Callback):
    """Stop training as soon as the loss is NaN or infinite.

    The loss is checked after every batch, as in Keras, which costs a return to Python each time.

    Parameters
    ----------
    raise_error : bool
        Raise a RuntimeError instead; `on_train_end` is not called then.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = flag("raise_error", raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"batch {batch}: expected a finite loss, got {loss}")
            print(f"Batch {batch}: the loss is {loss}, training stops")
            self.model.stop_training = True
