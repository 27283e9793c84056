"""The progress bar of `fit` as a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .callback import Callback
from .progress import Progress

if TYPE_CHECKING:
    from .._base.types import Logs


class ProgbarLogger(Callback):
    """Print the output of ``fit(verbose=1)``, as a callback; use it with ``verbose=0``.

    It has batch hooks, so it costs a return to Python after each batch; `fit`'s own progress bar does not. The line
    of every epoch is kept.
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._line, self._epochs = Progress(1), self.params.get("epochs", 1)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._line.start(f"Epoch {epoch + 1}/{self._epochs}", self.params.get("steps") or 1)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._line.update(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._line.finish(logs or {})
