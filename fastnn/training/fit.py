"""The loop of `fit`: epochs, blocks of steps, validation, callbacks, progress.

(a) The core runs as many steps as fit into `running.BLOCK_SECONDS`, so that the live line is updated and Ctrl-C
    is handled; single batches only if a callback has batch hooks.
(b) Ctrl-C during a block is recorded and raised after it, so that weights, step count and optimizer state
    are consistent (`interrupts`). A second Ctrl-C is raised immediately.
"""

import time
import warnings
from contextlib import contextmanager, suppress
from functools import wraps
from math import ceil

import numpy as np

from .._base.checks import flag, integer
from .._base.numbers import is_batches
from .._base.random import permutation
from .._core import threads as core_threads
from ..callbacks import CallbackList, History, ProgbarLogger
from ..callbacks.progress import FEW, Progress, verbosity
from ..engine.health import AT_ONCE
from ..engine.replay import Block, Epochs
from . import arguments
from .compiled_metrics import means
from .data.batches import Batches, Feed, none_but_x, order_of
from .data.feature_names import refuse_others
from .evaluate import measure
from .fit_arguments import Plan, held_out, split
from .health import EVERY, HealthKeeper, checked
from .inference import inference_batch, no_more
from .interrupts import Steps
from .needs import by_lbfgs, need_compile, need_loss
from .non_finite import checked as checked_policy
from .planning import Unchanged
from .running import UNLIMITED, Running, checked_record, checked_seconds

AHEAD = 1 << 16  # samples of the epochs that are trained in one call


def fit(model, *given, shuffle, check_finite, threads, **more):
    """`Model.fit`: the arguments of `start`, and `threads`."""
    shuffle, check_finite = flag("shuffle", shuffle), flag("check_finite", check_finite)
    need_compile(model, "fit")
    with core_threads.using(threads), explained(model, *given[:2], given[7]):
        for _ in start(model, *given, shuffle=shuffle, check_finite=check_finite, **more):
            pass
    return model.history


@contextmanager
def explained(model, x, y, validation_data):
    """Give errors about data, and of trainings that diverge, a `finding`: what the doctor says about the cause."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError) as error:
        if getattr(error, "finding", None) is None:
            from ..diagnostics.doctor import check as doctor  # only an error needs it

            error.finding = doctor.of_error(model, error, x, y, validation_data)
        raise


def _forgets_names(begin):
    """Restore the column names if training fails to start."""

    @wraps(begin)
    def start(model, *args, **kwargs):
        before = model.feature_names
        try:
            return begin(model, *args, **kwargs)
        except BaseException:
            model.feature_names = before
            raise

    return start


@_forgets_names
def start(
    model, x, y, batch_size=None, epochs=None, verbose=0, callbacks=None, validation_split=0.0, validation_data=None,
    shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0, steps_per_epoch=None, validation_steps=None,
    validation_batch_size=None, validation_freq=1, check_finite=True, ahead=None, rows=None, validation_rows=None,
    feature_names=None, health=False, on_nan="ignore", max_seconds=None, replay=None,
):  # fmt: skip
    """Check the arguments of `Model.fit`; return the generator of its epochs, see `Training.run`.

    `rows`, `validation_rows`: samples of x and y for training and validation; `feature_names`: column names, if `x`
    was a data frame."""
    health, on_nan = checked(health), checked_policy(on_nan)
    max_seconds, replay = checked_seconds(max_seconds), checked_record(replay)
    if replay is not None:
        if max_seconds is not None:
            raise ValueError("max_seconds, replay: expected at most one of them, got both")
        batch_size = replay["batch_size"] if batch_size is None else batch_size
        initial_epoch = initial_epoch or replay["first_epoch"]
        epochs = replay["first_epoch"] + len(replay["steps"])
    if epochs is None:
        epochs = 1 if max_seconds is None else UNLIMITED
    need_loss(model, "fit")
    if is_batches(x):
        none_but_x("x", {"y": y, "batch_size": batch_size, "sample_weight": sample_weight})
        steps = None if steps_per_epoch is None else integer("steps_per_epoch", steps_per_epoch, 1)
        train = Feed(model, Batches("x", x, steps), class_weight, check_finite, training=True)
        train.prepare()
    else:
        refuse_others("x", model.feature_names, feature_names)
        train = arguments.data(model, x, y, sample_weight, None, check_finite, training=True)
        model.feature_names = model.feature_names or feature_names
        if not train.n:
            raise ValueError("x: expected at least one row, got none")
    everything = train
    if rows is not None:
        train = train.of_rows(rows)
    given = {"batch_size": batch_size, "replay": replay, "steps_per_epoch": steps_per_epoch}
    batch_size = integer("batch_size", 32 if batch_size is None else batch_size, 1)
    if validation_rows is not None:
        validation = everything.of_rows(validation_rows)
    elif validation_data is None:
        train, validation = split(train, validation_split)
    else:
        validation = held_out(model, validation_data, validation_steps, check_finite)
    if not isinstance(train, Feed):
        if class_weight is not None:
            # after the split: validation has no class weights
            train = arguments.weighted(model, train, class_weight, whole=True)
        batch_size = no_more(batch_size, train.n)
    plan = Plan(
        batch_size,
        epochs=integer("epochs", epochs, 0),
        initial_epoch=integer("initial_epoch", initial_epoch, 0),
        shuffle=shuffle,
        steps_per_epoch=steps_per_epoch,
        validation_batch_size=inference_batch(validation_batch_size, "validation_batch_size"),
        validation_freq=validation_freq,
        validation_steps=validation_steps,
    )
    if by_lbfgs(model):
        from . import lbfgs  # imported if it is used

        lbfgs.check(train, given)
        return lbfgs.Training(model, train, validation, plan, callbacks, verbose, max_seconds).run()
    running = Running(model, on_nan, max_seconds, replay)
    return Training(model, train, validation, plan, callbacks, verbose, ahead, health, running).run()


class Training:
    """One call of `fit`, after its arguments were checked.

    Parameters
    ----------
    model : Model
    train, validation : Data or Feed
        `validation` may be None.
    plan : Plan
    callbacks : list of Callback, optional
    verbose : {"auto", 0, 1, 2}
    ahead : callable, optional
        Returns the maximum number of epochs to train in one call.
    health : bool or "every"
    running : Running
    """

    def __init__(self, model, train, validation, plan, callbacks, verbose, ahead, health, running):
        self.running, self.model, self.train, self.validation, self.plan, self.ahead = (
            running, model, train, validation, plan, ahead
        )
        self.batches = isinstance(train, Feed)
        self.history = History()
        names = model.metrics_names
        names = names + [f"val_{n}" for n in names] if validation is not None else names
        self.hooks = CallbackList(
            [callbacks or [], self.history],
            model=model,
            epochs=plan.epochs,
            steps=plan.steps(train),
            verbose=verbosity(verbose),
            metrics=names,
        )
        self.progress = Progress(0 if self.hooks.has(ProgbarLogger) else verbose)
        model.history, model.stop_training = self.history, False
        self.still, self.logs = Unchanged(model, "fit"), {}
        if health:
            self.still.health = HealthKeeper(health == EVERY)
        alone = not self.batches and validation is None and not self.progress.out
        self.alone = alone and all(type(c) is History for c in self.hooks.callbacks) and running.replay is None
        if any(getattr(c, "handles_non_finite", False) for c in self.hooks.callbacks):
            running.guard.policy = "ignore"
        running.start(plan, train, self.batches)
        self.history.record, self.history.non_finite = running.record, running.guard.errors
        self.trained = iter(())  # epochs that were trained in one call
        if ahead is None and model._ports is None:  # else it is one of many networks, or no rule knows it
            from ..diagnostics.doctor.seen import Seen

            self.history.seen = Seen(model, train, validation, plan)

    def run(self):
        """Generator that trains one epoch per `next` and yields its logs; updates `model.history`.

        To stop early, set `model.stop_training` and exhaust the generator: averaged weights are set at the
        end, also after an error or Ctrl-C. If there is no Python between epochs, several
        are trained in one call."""
        ended = False
        with self.progress:
            try:
                self.hooks.call("on_train_begin")
                yield from self._epochs()
                self.running.close()
                for error in self.running.guard.errors if self.progress.out else ():
                    print(f"on_nan={self.running.guard.policy!r}: {error}")
                self._finalize()
                ended = True
                self.hooks.call("on_train_end", logs=self.logs)
            except GeneratorExit:  # the caller does not need the rest
                raise
            except BaseException:
                if not ended:
                    with suppress(Exception):  # the original error is raised
                        self._finalize()
                raise
            finally:
                self.running.cut_record()
                self.model.history = self.history
                if self.still.health is not None:
                    self.still.health.detach()

    def _resume(self):
        """Begin with the epoch to which a callback has restored the model."""
        epoch = self.model.__dict__.pop("_initial_epoch", None)
        if epoch is not None:
            self.plan.initial_epoch = max(epoch, self.plan.initial_epoch)
            self.running.step0 = self.model.optimizer._iterations
            self.running.start(self.plan, self.train, self.batches)
            self.history.record = self.running.record

    def _epochs(self):
        self._resume()
        for epoch in range(self.plan.initial_epoch, self.plan.epochs):
            if self.alone:
                self.logs = self._epoch_ahead(epoch)
                if self.logs is not None:
                    self._note(epoch)
                    self.hooks.call("on_epoch_end", epoch, logs=self.logs)
                    yield self.logs
                    continue
                if self.model.stop_training or self.running.ended:
                    break
            if not self._epoch(epoch):
                break
            yield self.logs
            if self.model.stop_training or self.running.ended:
                break
            if self.batches and self.train.batches.exhausted and epoch + 1 < self.plan.epochs:
                warn_of_end(self.train.batches, epoch + 1, self.plan)
                break

    def _epoch_ahead(self, epoch):
        """The logs of an epoch that was, or now is, trained in one call with others; None if that is impossible."""
        logs = next(self.trained, None)
        if logs is None:
            left = self.plan.epochs - epoch
            left = left if self.ahead is None else min(left, self.ahead())
            if self.running.ended:
                return None
            self.trained = train_epochs(self.model, self.train, self.plan, left, self.still, self.running, epoch)
            logs = next(self.trained, None)
        return logs

    def _epoch(self, epoch):
        """Train an epoch and validate; returns whether there were data for it."""
        model, plan, hooks, progress, train = self.model, self.plan, self.hooks, self.progress, self.train
        title = f"Epoch {epoch + 1}" + (f"/{plan.epochs}" if plan.epochs < UNLIMITED else "")
        progress.start(title, None if self.batches else plan.samples(train.n))
        hooks.call("on_epoch_begin", epoch)
        began = time.perf_counter()
        one_epoch = train_batches if self.batches else train_epoch
        logs, steps = one_epoch(model, train, plan, hooks, progress, self.still, self.running, epoch)
        if self.running.guard.ended and not steps:  # a step of an earlier epoch has failed, or the first of this one
            return False
        if self.batches and not train.n:  # the generator had ended: this epoch does not exist
            self.logs = logs
            warn_of_end(train.batches, epoch, plan)
            return False
        self.logs = logs
        self.running.trained(steps)
        seconds = time.perf_counter() - began
        if self.still or not model.stop_training:
            self.still.check()
        if self.validation is not None and plan.validates(epoch) and self.still:
            progress.part("validation", plan.validation_samples(self.validation))
            size, steps = plan.validation_batch_size, plan.validation_steps
            found = measure(model, self.validation, size, hooks, progress, steps)
            logs.update({f"val_{name}": value for name, value in found.items()})
        model.epochs_done += 1
        model.history = self.history  # a hook may have called `fit`
        if self.still.health is not None:
            self.still.health.finish()
            self.still.health.clear()
            self._note(epoch)
        keep = plan.epochs - plan.initial_epoch <= FEW
        progress.finish(self.logs, seconds, train.n if self.batches else None, keep)
        hooks.call("on_epoch_end", epoch, logs=self.logs)
        return True

    def _note(self, epoch):
        """Append the health of an epoch that has ended to the history."""
        if self.still.health is not None:
            self.logs = self.still.health.add_to(self.history, epoch, self.logs)

    def _finalize(self):
        """Set averaged weights, if there was at least one epoch."""
        if self.plan.epochs and self.still:
            with self.model._lock:
                self.still.engine().finalize()


def warn_of_end(batches, done, plan):
    """The warning that a generator has ended before the last epoch."""
    if batches.steps is None:  # otherwise it has been given within the epoch
        warnings.warn(
            f"{batches.name}: the generator ended, training stops after epoch {done} of {plan.epochs}; pass"
            " steps_per_epoch, or batches that can be iterated again for each epoch (a list of batches, a class with"
            " __iter__)",
            stacklevel=2,
        )


def train_epochs(model, data, plan, epochs, still, running, first):
    """Train several epochs without a return to Python between them; yields the means of each.

    Yields nothing if the steps contain Python, or an epoch is so long that there is nothing to gain. `first`: number
    of the first epoch."""
    n, batch = data.n, plan.batch_size
    epochs, per_epoch, health = min(epochs, AHEAD // n), ceil(n / batch), still.health
    epochs = epochs if health is None else min(epochs, AT_ONCE)
    if epochs < 2 or plan.samples(n) != n:
        return
    with model._lock:
        engine = still.engine()
        totals = engine.room_for_epochs(data.x, data.y, data.w, batch, epochs)
    if totals is None:
        return
    index = permutation(model.seed, model.epochs_done, n, epochs) if plan.shuffle else None
    if index is None and data.rows is not None:
        index = np.tile(np.arange(n), epochs)
    index = data.ordered(index)
    rates, step, interrupt = running.rates(engine.step, epochs * per_epoch), 0, None
    began = engine.step
    try:
        while step < len(rates) and not model.stop_training:
            with model._lock:
                engine = still.engine()  # another thread may have frozen a layer
                if running.is_timed:
                    rates[step:] = running.rates(engine.step, 1)
                with Steps(model.optimizer, engine):
                    job = Epochs((data.x, data.y, data.w), index, epochs, batch, rates, step, totals, first)
                    running.run(engine, job)
                    step = job.stop
            if running.ended:
                break
    except BaseException as error:  # from a signal: raised after the finished epochs are in the history
        interrupt, step = error, engine.step - began
    done, rest = divmod(step, per_epoch)
    part = bool(rest and interrupt is None and running.ended)  # the last epoch is shorter
    model.epochs_done += done + part
    for i, sums in enumerate(engine.epoch_sums(totals)[: done + part]):
        if health is not None:
            health.finish(i, done + part)
        steps = per_epoch if i < done else rest
        running.trained(steps)
        yield means(model, min(n, steps * batch) - running.guard.left_out.get(first + i, 0), *sums)
    if health is not None:
        health.clear()
    if interrupt is not None:
        raise interrupt


def train_epoch(model, data, plan, hooks, progress, still, running, epoch):
    """Train one epoch; return the means and the number of steps."""
    n, batch, limit = plan.samples(data.n), plan.batch_size, running.limit(epoch)
    n = n if limit is None else min(n, limit * batch)
    index = data.ordered(permutation(model.seed, model.epochs_done, data.n) if plan.shuffle else None)
    single, rates = hooks.per_batch("train"), None
    done, step, logs, sums, left_out = 0, 0, {}, [0.0] * (1 + len(model.metrics)), running.guard.left_out
    while done < n:
        if single:
            hooks.batch("train", "begin", step)
        with model._lock:
            engine = still.engine()  # the hook may have frozen a layer
            if single:
                rates = running.rates(engine.step, 1)
            elif rates is None or running.is_timed:
                rates = running.rates(engine.step, ceil((n - done) / batch))
            count = min(batch, n - done) if single else n - done
            with Steps(model.optimizer, engine):
                job = Block(
                    (data.x, data.y, data.w), index, done, count, batch, rates, sums, epoch, step
                )
                running.run(engine, job)
        steps = ceil(job.done / batch)
        rates, sums = rates[steps:], job.sums
        done, step = done + job.done, step + steps
        if single or progress.live:  # only if needed, as metrics by ranks cost a sort
            logs = means(model, done - left_out.get(epoch, 0), *sums)
        if single and not running.guard.ended:
            hooks.batch("train", "end", step - 1, logs)
        progress.update(done, logs)
        if model.stop_training or running.ended:
            break
    return means(model, done - left_out.get(epoch, 0), *sums) if still else logs, step


def train_batches(model, feed, plan, hooks, progress, still, running, epoch):
    """Train one epoch of batches that come one by one; return the means and the number of steps."""
    single, sums, logs, step, n = hooks.per_batch("train"), [0.0] * (1 + len(model.metrics)), {}, 0, 0
    limit, left_out, watched = running.limit(epoch), running.guard.left_out, running.guard.policy != "ignore"
    for i, data in enumerate(feed.epoch(order_of(model, plan.shuffle))):
        if single:
            hooks.batch("train", "begin", i)
        with model._lock:
            engine = still.engine()
            rates = running.rates(engine.step, 1)
            with Steps(model.optimizer, engine):
                job = Block(
                    (data.x, data.y, data.w), None, 0, data.n, feed.largest, rates, sums, epoch, i, watched
                )
                running.run(engine, job)
        sums, n = job.sums, n + job.done
        step = i + (job.done > 0)
        if single or progress.live:
            logs = means(model, n - left_out.get(epoch, 0), *sums)
        if single and not running.guard.ended:
            hooks.batch("train", "end", i, logs)
        progress.update(feed.n, logs)
        if model.stop_training or running.ended or step == limit:
            break
        still.check()
    return means(model, n - left_out.get(epoch, 0), *sums) if n and still else logs, step
