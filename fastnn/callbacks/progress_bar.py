"""The lines of `fit` as a callback."""

from .base import Callback
from .progress import Progress


class ProgbarLogger(Callback):
    """What ``fit(verbose=1)`` prints, for those who pass callbacks of their own list; use it with ``verbose=0``.

    It looks at every batch, so it costs a return to Python for each; `fit`'s own line does not. Every
    epoch keeps its line.
    """

    def on_train_begin(self, logs=None):
        self._line, self._epochs = Progress(1), self.params.get("epochs", 1)

    def on_epoch_begin(self, epoch, logs=None):
        self._line.start(f"Epoch {epoch + 1}/{self._epochs}", self.params.get("steps") or 1)

    def on_train_batch_end(self, batch, logs=None):
        self._line.update(batch + 1, logs or {})

    def on_epoch_end(self, epoch, logs=None):
        self._line.finish(logs or {})
