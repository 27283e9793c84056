"""Callbacks that write files."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from .._base.checks import flag, integer, number, one_of
from .._base.files import naming
from .callback import Callback
from .monitor import improves, monitored, rises

if TYPE_CHECKING:
    from typing import Any, Literal

    from .._base.types import Logs, Mode, Path


class ModelCheckpoint(Callback):
    """Save the model after every epoch, whenever it is the best so far, or after a number of batches.

    Files are replaced atomically, see `Model.save`: a file on disk is always complete.

    Parameters
    ----------
    filepath : str or path-like
        May contain ``{epoch}`` (from 1) and names of the logs, such as
        ``"weights-{epoch:02d}-{val_loss:.3f}"``. Any suffix is allowed (that of another format causes a warning).
    monitor : str
        A key of the logs.
    verbose : int
        1: print a message when the model is saved.
    save_best_only : bool
        Save only if the monitored value has improved. NaN is never an improvement.
    save_weights_only : bool
        Save with `Model.save_weights`; otherwise save the whole model, optimizer included, from which
        training resumes exactly.
    mode : {"auto", "min", "max"}
        As for `EarlyStopping`.
    save_freq : "epoch" or int
        An int: save after that number of batches, counted over all epochs.
    initial_value_threshold : float, optional
        Only values better than this count as improvements.

    Raises
    ------
    ValueError
        If `filepath` contains, or `monitor` is, a name that is not in the logs.

    Examples
    --------
    >>> callback = ModelCheckpoint("best.fastnn", monitor="val_accuracy", save_best_only=True)
    """

    def __init__(
        self,
        filepath: Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath, self.monitor, self.verbose = os.fspath(filepath), monitor, verbose
        self.save_best_only = flag("save_best_only", save_best_only)
        self.save_weights_only = flag("save_weights_only", save_weights_only)
        self.mode = one_of("mode", mode, ("auto", "min", "max"))
        self.save_freq = save_freq
        if save_freq != "epoch":
            self.save_freq = integer("save_freq ('epoch', or a number of batches)", save_freq, minimum=1)
            self.on_train_batch_end = self._on_batch  # type: ignore[method-assign]  # only if needed, as batch hooks cost time
        if initial_value_threshold is not None:
            initial_value_threshold = number("initial_value_threshold", initial_value_threshold)
        self.initial_value_threshold = self.best = initial_value_threshold
        self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = 0
        if self.save_best_only:
            self.rising = rises(self.mode, self.monitor, self.model)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def _on_batch(self, batch, logs=None):
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save({**(logs or {}), "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs):
        if self.save_best_only:
            if self.save_freq != "epoch" and self.monitor not in logs:
                raise ValueError(
                    f"monitor: expected a name in the logs of a batch for save_freq={self.save_freq}, got"
                    f" {self.monitor!r}. Available: {', '.join(logs)}"
                )
            value = monitored(self.monitor, logs, self.params)
            if value is None or not improves(value, self.best, 0, self.rising):
                return
            self.best = value
        path = self._path(logs)
        with naming(path):
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {self.epoch + 1}: saved to {path}")

    def _path(self, logs):
        try:
            return self.filepath.format(epoch=self.epoch + 1, **logs)
        except KeyError as error:
            raise ValueError(
                f"filepath: expected names in the logs, got {error}. Available: epoch, {', '.join(logs)}"
            ) from None
        except (IndexError, ValueError) as error:
            raise ValueError(
                f"filepath: expected a format of names in the logs, got {self.filepath!r}: {error}"
            ) from None


class CSVLogger(Callback):
    """Write the logs of each epoch to a CSV file.

    Parameters
    ----------
    filename : str or path-like
    separator : str
    append : bool
        Append to an existing file, without a second header.

    Columns are the names in the logs of the first epoch, including validation values if there will be any.

    Raises
    ------
    ValueError
        If the file to append to lacks a column for the loss or a metric.
    """

    def __init__(self, filename: Path, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, flag("append", append)
        self._file: Any = None
        self._names: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        with naming(self.filename):
            self._begin()

    def _begin(self):
        has_head = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        if has_head:
            with open(self.filename, newline="") as file:
                self._names = next(csv.reader(file, delimiter=self.separator))
            missing = [n for n in self.params.get("metrics", ()) if n not in self._names]
            if missing:
                raise ValueError(
                    f"filename: expected a file with columns {', '.join(missing)}, among others, for append=True;"
                    f" got {', '.join(self._names)} in {self.filename}"
                )
        elif not self.append:
            self._names = None
        if self._file is not None:  # of a training that ended with an error
            self._file.close()
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 - over many hooks
        if has_head and not _ends_a_line(self.filename):  # of a process that was killed in the middle of one
            self._file.write("\r\n")
        self._headed = has_head

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        if self._names is None:
            # what `fit` will report, so that numbers of a later validation have their column
            self._names = list(dict.fromkeys([*row, *self.params.get("metrics", ())]))
        with naming(self.filename):
            self._write(row)

    def _write(self, row):
        writer = csv.DictWriter(
            self._file, self._names, restval="NA", extrasaction="ignore", delimiter=self.separator
        )
        if not self._headed:
            writer.writeheader()
            self._headed = True
        writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        file, self._file = self._file, None
        with naming(self.filename):
            file.close()


def _ends_a_line(filename):
    with open(filename, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
