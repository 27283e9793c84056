"""Callbacks that write files."""

import csv
import os

from .._base.checks import flag, integer, number, one_of
from .._base.files import naming
from .base import Callback, improves, monitored, rises


class ModelCheckpoint(Callback):
    """Save the model after every epoch, or when it is the best so far, or every so many batches.

    A file is replaced at once or not at all, see `Model.save`: what is on disk is always whole.

    Parameters
    ----------
    filepath : str or path-like
        May have ``{epoch}`` (from 1) and the names of the logs, such as
        ``"weights-{epoch:02d}-{val_loss:.3f}"``. The suffix does not matter (one of another format is warned of).
    monitor : str
        A key of the logs.
    verbose : int
    save_best_only : bool
        Only when the monitored number has improved. NaN is never an improvement.
    save_weights_only : bool
        With `Model.save_weights`; otherwise the whole model, optimizer included, with which
        training goes on exactly where it was.
    mode : {"auto", "min", "max"}
    save_freq : "epoch" or int
        An int: after so many batches, counted over all epochs.
    initial_value_threshold : float, optional
        Only what is better than this is an improvement.

    Raises
    ------
    ValueError
        For a name in `filepath` or `monitor` that is not in the logs.

    Examples
    --------
    >>> callback = ModelCheckpoint("best.fastnn", monitor="val_accuracy", save_best_only=True)
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__()
        self.filepath, self.monitor, self.verbose = os.fspath(filepath), monitor, verbose
        self.save_best_only = flag("save_best_only", save_best_only)
        self.save_weights_only = flag("save_weights_only", save_weights_only)
        self.mode = one_of("mode", mode, ("auto", "min", "max"))
        self.save_freq = save_freq
        if save_freq != "epoch":
            self.save_freq = integer("save_freq ('epoch', or a number of batches)", save_freq, minimum=1)
            self.on_train_batch_end = self._on_batch  # else batches would be entered for nothing
        if initial_value_threshold is not None:
            initial_value_threshold = number("initial_value_threshold", initial_value_threshold)
        self.initial_value_threshold = self.best = initial_value_threshold
        self._batches = 0

    def on_train_begin(self, logs=None):
        self.epoch = 0
        if self.save_best_only:
            self.rising = rises(self.mode, self.monitor, self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def _on_batch(self, batch, logs=None):
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save({**(logs or {}), "batch": batch + 1})

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs):
        if self.save_best_only:
            if self.save_freq != "epoch" and self.monitor not in logs:
                raise ValueError(
                    f"monitor: nothing called {self.monitor!r} in the logs of a batch, which save_freq={self.save_freq}"
                    f" looks at. There are: {', '.join(logs)}"
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
                f"filepath: nothing called {error} in the logs. There are: epoch, {', '.join(logs)}"
            ) from None
        except (IndexError, ValueError) as error:
            raise ValueError(f"filepath: {self.filepath!r} is no format of names of the logs: {error}") from None


class CSVLogger(Callback):
    """A line of comma-separated values for each epoch.

    Parameters
    ----------
    filename : str or path-like
    separator : str
    append : bool
        Go on at the end of an existing file, without a second head line.

    The columns are those of the first epoch, and of the validation if there will be one.

    Raises
    ------
    ValueError
        When the file to go on with has no column for the loss or a metric.
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, flag("append", append)
        self._file = self._names = None

    def on_train_begin(self, logs=None):
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
                    f"filename: {self.filename} has no column {', '.join(missing)};"
                    f" its columns are {', '.join(self._names)}"
                )
        elif not self.append:
            self._names = None
        if self._file is not None:  # of a training that ended with an error
            self._file.close()
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 - over many hooks
        if has_head and not _ends_a_line(self.filename):  # of a process that was killed in the middle of one
            self._file.write("\r\n")
        self._headed = has_head

    def on_epoch_end(self, epoch, logs=None):
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

    def on_train_end(self, logs=None):
        file, self._file = self._file, None
        with naming(self.filename):
            file.close()


def _ends_a_line(filename):
    with open(filename, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
