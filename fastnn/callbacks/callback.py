"""Callbacks with Keras' hooks, called between epochs and batches.

Batch hooks cost a return to Python after each batch, so they are called only if a callback
overrides them; otherwise many steps run in one call of the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import check_keywords

if TYPE_CHECKING:
    from typing import Any, Self

    from .._base.types import Logs


class Callback:
    """Base class of the callbacks; override the hooks you need.

    Attributes
    ----------
    model : the model being trained
    params : dict
        "epochs", "steps", "verbose", "metrics" (the names of the values in the logs).
    handles_non_finite : bool
        True in a class that acts on a loss of NaN itself: `fit` then trains on as with ``on_nan="ignore"``.

    Examples
    --------
    >>> class Stop(fastnn.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_keywords(cls, kwargs)
        return super().__new__(cls)

    handles_non_finite: bool = False
    model: Any
    params: dict[str, Any]

    def __init__(self) -> None:
        self.model, self.params = None, {}

    def set_model(self, model: Any) -> None:
        """Set `model`; called by `fit`, `evaluate` and `predict`."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Set `params`; called by `fit`, `evaluate` and `predict`."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last epoch; not after an error."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before epoch 0, 1, …"""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch; `logs` has the loss and metrics, including those with prefix ``val_``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `fit`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `fit`; `logs` has the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Alias of `on_train_batch_begin`, as in Keras; called by it unless it is overridden."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Alias of `on_train_batch_end`, as in Keras; called by it unless it is overridden."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before `evaluate`, and before validation in `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after `evaluate`, and after validation in `fit`; `logs` has the loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `evaluate`."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `evaluate`; `logs` has the means so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `predict`; `logs` has its results as "outputs"."""
