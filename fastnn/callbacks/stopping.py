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
        Number of epochs without an improvement after which training stops; 0: at the first one.
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
        If `monitor` is not in the logs, or "auto" cannot determine the direction.

    Examples
    --------
    >>> callback = fastnn.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
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

    handles_non_finite = True

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


class TerminateUntrainable(Callback):
    """Stop training when no gradient reaches the first layer, so that the network cannot learn.

    An epoch counts if a layer's units are all dead (they were zero in every step of it), or if the gradient norm of the
    first layer with weights is not finite or below `ratio` times that of the whole gradient. Epochs without a sampled
    step and without a dead layer do not count in either direction.

    It reads ``logs.health``, which `fit` records by default, and `fastnn.sweep` with ``health=True``; there, stopping a
    hopeless network frees its core early: ``callbacks=lambda: [TerminateUntrainable()]``.

    Parameters
    ----------
    patience : int
        Number of successive epochs that must count.
    ratio : float
        Between 0 and 1.
    verbose : int
        1: print a message when training stops.

    Attributes
    ----------
    reason : str or None
        Why training was stopped.

    Raises
    ------
    ValueError
        In `fit`, if health is not recorded.

    Examples
    --------
    >>> callback = fastnn.callbacks.TerminateUntrainable(patience=2)
    """

    reason: str | None

    def __init__(self, patience: int = 2, ratio: float = 1e-6, verbose: int = 0) -> None:
        super().__init__()
        self.patience, self.verbose = integer("patience", patience, minimum=1), verbose
        self.ratio = number("ratio", ratio)
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio: expected a number between 0 and 1, got {ratio!r}")
        self.reason, self._count = None, 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.reason, self._count = None, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        health = getattr(logs, "health", None)
        if health is None:
            raise ValueError(
                "TerminateUntrainable: expected health in the logs, got none; call fit or sweep with health=True"
            )
        reason = self._reason(health)
        if reason is None and not health.sampled[-1]:
            return
        self._count = self._count + 1 if reason else 0
        if self._count >= self.patience:
            self.reason = f"{reason} for {self._count} epochs"
            self.model.stop_training = True
            if self.verbose:
                print(f"Epoch {epoch + 1}: training stops, {self.reason}")

    def _reason(self, health):
        """Why the network cannot learn, judged by the last epoch."""
        for layer, dead in zip(health.layers, health.dead[:, -1], strict=True):
            if dead == 1:
                return f"all units of {layer} are dead"
        norms, total = health.gradient_norm[:, -1], health.total_gradient_norm[-1]
        trained = [i for i, norm in enumerate(health.weight_norm[:, -1]) if norm == norm or norms[i] == norms[i]]
        if not trained or not health.sampled[-1]:
            return None
        first = trained[0]
        if not isfinite(norms[first]) or norms[first] <= self.ratio * total:
            return f"the gradient norm of {health.layers[first]} was {norms[first]:.2g}, of all layers {total:.2g},"
        return None
