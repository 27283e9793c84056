"""Callbacks that keep the state of a training on disk, to resume it, and evaluate its averaged weights."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .._base.checks import flag, integer
from .._base.files import naming
from .callback import Callback

if TYPE_CHECKING:
    from typing import Any, Literal

    from .._base.types import Logs, Path

NAME = re.compile(r"epoch-(\d+)\.fastnn$")


class BackupAndRestore(Callback):
    """Back up the training after every epoch, so that the same call of `fit` resumes it after an interruption.

    If the process ends or is killed, run the same program again: `fit` restores weights, optimizer state, learning rate
    and random state from the last backup and goes on with the next epoch, to the same weights, bit for bit, as without
    the interruption. Files are replaced atomically. (What other callbacks remember is not included.)

    Parameters
    ----------
    backup_dir : str or path-like
        Folder for the backups of this one training; created if missing.
    save_freq : "epoch" or int
        An int: back up after that number of batches. A training that is interrupted within an epoch starts that epoch
        again with the weights it had reached.
    double_checkpoint : bool
        Keep the last backup but one too, and restore it if the last one cannot be read.
    delete_checkpoint : bool
        Delete the backups at the end of `fit`; otherwise another call finds the training finished.

    Raises
    ------
    ValueError
        If the model is not built before `fit`.
    FormatError
        If a backup belongs to another model.

    References
    ----------
    Keras' callback of this name restores weights and epoch.

    Examples
    --------
    >>> import tempfile
    >>> backup = fastnn.callbacks.BackupAndRestore(tempfile.mkdtemp())
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,))])
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=3, verbose=0, callbacks=[backup])
    """

    def __init__(
        self,
        backup_dir: Path,
        save_freq: Literal["epoch"] | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("backup_dir: expected the name of a folder, got an empty one")
        self.double_checkpoint = flag("double_checkpoint", double_checkpoint)
        self.delete_checkpoint = flag("delete_checkpoint", delete_checkpoint)
        self.save_freq = save_freq
        if save_freq != "epoch":
            self.save_freq = integer("save_freq ('epoch', or a number of batches)", save_freq, minimum=1)
            self.on_train_batch_end = self._on_batch  # type: ignore[method-assign]  # only if needed, as batch hooks cost time
        self._epoch = self._batches = 0

    def _backups(self) -> list[tuple[int, str]]:
        """(epochs done, path) of the backups, the last one first."""
        if not os.path.isdir(self.backup_dir):
            return []
        found = ((NAME.match(name), name) for name in os.listdir(self.backup_dir))
        return sorted(((int(m[1]), os.path.join(self.backup_dir, name)) for m, name in found if m), reverse=True)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the last backup, if there is one."""
        if not self.model.built:
            raise ValueError("BackupAndRestore: expected a built model, got one without weights; add an Input")
        self._epoch = self._batches = 0
        backups = self._backups()
        for at, (epoch, path) in enumerate(backups):
            try:
                self.model._restore_state(path)
            except (OSError, ValueError):
                if at + 1 == len(backups):
                    raise
                continue
            self.model._initial_epoch = self._epoch = epoch
            return

    def _on_batch(self, batch, logs=None):
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save(self._epoch)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up."""
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(epoch + 1)

    def _save(self, epoch):
        path = os.path.join(self.backup_dir, f"epoch-{epoch:06d}.fastnn")
        with naming(path):
            os.makedirs(self.backup_dir, exist_ok=True)
        self.model._write_state(path)
        for _, old in self._backups()[1 + self.double_checkpoint :]:
            os.remove(old)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backups, if asked for."""
        for _, path in self._backups() if self.delete_checkpoint else ():
            os.remove(path)
        if self.delete_checkpoint and os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)


class SwapEMAWeights(Callback):
    """Validate, evaluate and predict with the averages of the weights that the optimizer maintains (``use_ema=True``).

    Parameters
    ----------
    swap_on_epoch : bool
        Also have the averages in the model from the end of an epoch to the beginning of the next, for callbacks after
        this one, such as `ModelCheckpoint`.

    Raises
    ------
    ValueError
        If the optimizer maintains no averages.

    References
    ----------
    Polyak & Juditsky 1992.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,))])
    >>> model.compile(fastnn.SGD(0.1, use_ema=True), "mse")
    >>> x = np.ones((8, 1))
    >>> history = model.fit(x, x, validation_data=(x, x), verbose=0, callbacks=[fastnn.callbacks.SwapEMAWeights()])
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = flag("swap_on_epoch", swap_on_epoch)

    def _swap(self, averages: bool) -> None:
        self.model._swap_averages(averages)

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)
