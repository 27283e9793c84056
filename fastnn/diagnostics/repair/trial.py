"""Candidates in training: each has figures of every epoch, so that two can be compared at the same epoch."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...callbacks.callback import Callback
from .task import WORST, mean_of

if TYPE_CHECKING:
    from typing import Any


@dataclass
class Data:
    """Rows for training and validation, without those that are not finite."""

    x: Any
    y: Any
    xv: Any
    yv: Any
    left_out: int = 0

    @property
    def n(self):
        return len(self.x)

    def steps_per_epoch(self, blueprint):
        return -(-self.n // blueprint.batch_size)


class _Watch(Callback):
    """Takes figures after every epoch; ends training at a deadline, or when it is hopeless."""

    def __init__(self, trial, deadline, hopeless_at):
        super().__init__()
        self.trial, self.deadline, self.hopeless_at = trial, deadline, hopeless_at

    def on_epoch_end(self, epoch, logs=None):
        trial = self.trial
        trial.note(self.model)
        loss = (logs or {}).get("loss", 0.0)
        late = self.deadline is not None and time.monotonic() > self.deadline
        if late or not np.isfinite(loss):
            self.model.stop_training = True
        if self.hopeless_at and epoch + 1 >= self.hopeless_at and trial.hopeless():
            self.model.stop_training = True


@dataclass
class Trial:
    """A model of a blueprint, and its training so far.

    Attributes
    ----------
    curve : list of Figures
        After each epoch.
    history : History
        Of the last part of the training.
    error : Exception or None
        What ended it.
    """

    blueprint: Any
    model: Any
    task: Any
    data: Data
    curve: list[Any] = field(default_factory=list)
    history: Any = None
    error: Exception | None = None
    best: Any = None  # (figures, weights, epoch)

    def train(self, epochs, deadline=None, hopeless_at=None):
        """Continue to so many epochs."""
        done, epochs = len(self.curve), min(epochs, self.blueprint.epochs)
        if self.error is not None or epochs <= done or self.stopped:
            return self
        b, d = self.blueprint, self.data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.history = self.model.fit(
                    d.x, d.y, batch_size=b.batch_size, epochs=epochs, initial_epoch=done, verbose=0,
                    validation_data=(d.xv, d.yv), callbacks=[_Watch(self, deadline, hopeless_at)],
                )  # fmt: skip
            except Exception as error:  # of any layer or loss: the candidate is no good
                self.error = error
        return self

    def findings(self):
        """Of the training, or of the error that ended it."""
        if self.error is not None:
            found = getattr(self.error, "finding", None)
            return [] if found is None else [found]
        return list(getattr(self.history, "findings", None) or ())

    @property
    def stopped(self):
        return bool(self.curve) and not np.isfinite(self.curve[-1].loss)

    def note(self, model):
        """Take the figures of now."""
        figures = self.task.figures(model.predict(self.data.xv, verbose=0), self.data.yv, model)
        self.curve.append(figures)
        if self.best is None or figures.score > self.best[0].score + figures.margin or (
            figures.score >= self.best[0].score and figures.loss < self.best[0].loss
        ):
            self.best = figures, model.get_weights(), len(self.curve)

    def at(self, epoch):
        """Figures after so many epochs, or the last there are: means over a fifth of the epochs, as single epochs of
        an unstable training may be good by chance. The worst after an error."""
        if self.error is not None or not self.curve:
            return WORST
        end = min(epoch, len(self.curve))
        return mean_of(self.curve[max(0, end - 1 - end // 5) : end])

    @property
    def last(self):
        """Figures of the weights as they are."""
        return WORST if self.error is not None or not self.curve else self.curve[-1]

    def hopeless(self):
        """Whether it is no better than a constant, and has not moved since."""
        constant = self.task.constant(self.data.yv)
        recent = self.curve[len(self.curve) // 2 :]
        still = max(f.score for f in recent) <= constant.score + 2 * constant.margin
        return still and self.curve[-1].loss > 0.98 * min(constant.loss, recent[0].loss)

    def keep_best(self):
        """Set the weights of the best epoch; whether that changes anything."""
        if self.best is None or self.error is not None or self.best[2] == len(self.curve):
            return False
        self.model.set_weights(self.best[1])
        self.curve = self.curve[: self.best[2]]
        return True
