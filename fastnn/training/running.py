"""How `fit` calls the engine: for how long, at which rates, watched for NaN; and the record of what was done.

(a) With `max_seconds`, calls of the core end with the time, at a step boundary. How many steps that are depends on the
    machine, so they are recorded, and the rates as well if the schedule follows the time. Everything else about a
    training follows from its arguments: the record replays it bit for bit.
"""

import time
from math import inf

import numpy as np

from .._base.checks import number
from ..optimizers.schedules import OverBudget
from .interrupts import Steps
from .non_finite import Guard

BLOCK_SECONDS = 0.1
UNLIMITED = 2**31 - 1  # epochs of a training that time ends


class _Default(int):
    """A default that can be told from the same number given by a user."""

    __slots__ = ()


ONE_EPOCH = _Default(1)  # as in Keras; with a time budget there is no limit
RATES = 200  # rates of a schedule over the budget
VERSION = 1


class Running:
    """One call of `fit`.

    Parameters
    ----------
    model : Model
    on_nan : str
    max_seconds : float or None
    record : dict or None
        To replay.
    """

    def __init__(self, model, on_nan="ignore", max_seconds=None, record=None):
        self.model, self.guard, self.seconds, self.replay = model, Guard(on_nan), max_seconds, record
        self.began, self.step0, self.given_rates = time.monotonic(), model.optimizer._iterations, None
        if record is not None and "rates" in record:
            runs = record["rates"]
            self.given_rates = np.repeat(np.array([run[1:] for run in runs], float), [run[0] for run in runs], axis=0)
            self.given_rates = self.given_rates.reshape(len(self.given_rates), -1)
        schedule = model.optimizer._rate
        self.schedule = schedule if isinstance(schedule, OverBudget) else None
        self.record, self.ran = {}, False  # ran: whether a step was done

    def start(self, plan, data, batches):
        """Begin the record; `plan` and `data` as in `Training`."""
        self.began = time.monotonic()
        model, steps = self.model, plan.steps(data)
        self.record = {
            "version": VERSION, "batch_size": None if batches else plan.batch_size,
            "rows": None if batches else data.n, "seed": int(model.seed), "first_epoch": plan.initial_epoch,
            "epochs_before": int(model.epochs_done), "steps_before": self.step0, "steps": [],
        }  # fmt: skip
        if self.replay is not None:
            self._compare()
            span = self.replay.get("span")
        else:
            span = None if self.seconds or steps is None else plan.epochs * steps
        if self.schedule is not None and self.given_rates is None:
            if self.seconds is None and span is None:
                raise ValueError(
                    "learning_rate: expected max_seconds, steps_per_epoch or batches of known number for OverBudget,"
                    " got none of them"
                )
            self.schedule.begin(self.step0, span)
            if span is not None:
                self.record["span"] = span  # steps of the whole schedule
        if self.is_timed or self.given_rates is not None:
            self.record["rates"] = []

    def _compare(self):
        """ValueError unless this training begins as the recorded one."""
        for name, what in (
            ("batch_size", "batch size"), ("rows", "number of training rows"), ("seed", "seed"),
            ("first_epoch", "initial_epoch"), ("epochs_before", "number of epochs trained before"),
            ("steps_before", "number of steps trained before"),
        ):  # fmt: skip
            mine, recorded = self.record[name], self.replay[name]
            if mine != recorded:
                raise ValueError(f"replay: expected the {what} of the record, {recorded}, got {mine}")

    # -- time -------------------------------------------------------------------------------------------------
    @property
    def is_timed(self):
        """Whether rates follow the time."""
        return self.schedule is not None and self.seconds is not None and self.replay is None

    @property
    def left(self):
        """Seconds left; infinite without a budget."""
        return inf if self.seconds is None else self.seconds - (time.monotonic() - self.began)

    @property
    def ended(self):
        """Whether training has to end: the time is over, after at least one step, or a step has failed."""
        return self.guard.ended or self.ran and self.left <= 0

    def _deadline(self):
        most = min(BLOCK_SECONDS, self.seconds / RATES) if self.is_timed else BLOCK_SECONDS
        return max(min(most, self.left), 1e-9)

    def limit(self, epoch):
        """Number of steps of the last epoch of a record, which may be shorter than others; None for all others."""
        if self.replay is None or epoch + 1 < self.replay["first_epoch"] + len(self.replay["steps"]):
            return None
        return self.replay["steps"][-1]

    # -- steps ------------------------------------------------------------------------------------------------
    def rates(self, step, n):
        """Rates of steps step ... step + n - 1 of the engine."""
        if self.given_rates is not None:
            found = self.given_rates[step - self.step0 :][:n]
            return found[:, 0] if found.shape[1] == 1 else found
        if self.is_timed:
            self.schedule.advance(1 - self.left / self.seconds)
        return self.model.optimizer.rates(step, n)

    def run(self, engine, job):
        """Run a job of the engine within the time; the rates of its steps are recorded."""
        before, self.ran = engine.step, True
        try:
            self.guard.run(engine, job, self._deadline())
        finally:
            if "rates" in self.record:
                self._keep_rates(job, engine.step - before)

    def _keep_rates(self, job, steps):
        runs, first = self.record["rates"], getattr(job, "start", 0)
        for row in np.reshape(job.rates, (len(job.rates), -1))[first : first + max(steps, 0)].tolist():
            if runs and runs[-1][1:] == row:
                runs[-1][0] += 1
            else:
                runs.append([1, *row])

    def trained(self, steps):
        """An epoch has ended after so many steps."""
        self.record["steps"].append(int(steps))

    def close(self):
        """After the last step, or an error: the last weights are checked, and the record ends where they do."""
        engine = self.guard.engine
        if engine is not None:
            with self.model._lock, Steps(self.model.optimizer, engine):
                self.guard.finish()

    def cut_record(self):
        """Shorten the record to the steps whose weights are kept, where a step has failed in an earlier epoch."""
        if not (self.guard.errors and (self.guard.ended or self.guard.policy == "raise")):
            return
        error, first = self.guard.errors[-1], self.record["first_epoch"]
        at = error.epoch - first
        del self.record["steps"][at + 1 :]
        if at < len(self.record["steps"]):
            self.record["steps"][at] = min(self.record["steps"][at], error.batch)
        elif error.batch:
            self.record["steps"].append(error.batch)


def checked_seconds(max_seconds):
    """The argument `max_seconds`."""
    return None if max_seconds is None else number("max_seconds", max_seconds, 0, open_low=True)


def checked_record(record):
    """The argument `replay`: the record of a history, also after JSON."""
    if record is None:
        return None
    record = getattr(record, "record", record)  # of a History
    if not isinstance(record, dict) or not {"version", "steps", "steps_before"} <= set(record):
        raise TypeError(f"replay: expected history.record of an earlier fit, got {type(record).__name__}")
    if record["version"] != VERSION:
        raise ValueError(f"replay: expected a record of version {VERSION}, got {record['version']!r}")
    return record
