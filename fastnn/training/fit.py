"""The loop of `fit`: epochs, blocks of steps, validation, callbacks, progress.

(a) The core runs as many steps as fit into `BLOCK_SECONDS`, so that the live line is updated and Ctrl-C
    is handled; single batches only if a callback has batch hooks.
(b) Ctrl-C during a block is recorded and raised after it, so that weights, step count and optimizer state
    are consistent. A second Ctrl-C is raised immediately.
"""

import signal
import threading
import time
import warnings
from contextlib import suppress
from functools import wraps
from math import ceil, floor

import numpy as np

from .._base.checks import integer, number
from .._base.numbers import is_batches
from .._base.random import permutation
from ..callbacks import CallbackList, History, ProgbarLogger
from ..callbacks.progress import FEW, Progress, verbosity
from .data.batches import Batches, Feed, none_but_x, order_of
from .data.feature_names import refuse_others

BLOCK_SECONDS = 0.1
AHEAD = 1 << 16  # samples of the epochs that are trained in one call
HELD_OUT = [f"validation_data[{i}]" for i in range(3)]  # names of its parts in errors
STOPS = {"fit": "model.stop_training", "evaluate": "model.stop_evaluating", "predict": "model.stop_predicting"}
INFERENCE_BATCH = 1024  # default of validation, evaluate and predict; results do not depend on it


class Plan:
    """The checked parameters of a call of `fit`."""

    def __init__(self, batch_size, *, epochs, initial_epoch, shuffle, steps_per_epoch, validation_batch_size,
                 validation_freq, validation_steps):  # fmt: skip
        if not isinstance(shuffle, bool):
            raise TypeError(f"shuffle: expected True or False, got {shuffle!r}")
        self.batch_size, self.shuffle = batch_size, shuffle
        self.epochs, self.initial_epoch = epochs, initial_epoch
        self.steps_per_epoch = (
            None if steps_per_epoch is None else integer("steps_per_epoch", steps_per_epoch, 1)
        )
        self.validation_batch_size = validation_batch_size
        self.validation_steps = None if validation_steps is None else integer("validation_steps", validation_steps, 1)
        if hasattr(validation_freq, "__iter__"):
            self.validation_freq = {integer("validation_freq", e, 1) for e in validation_freq}
        else:
            self.validation_freq = integer("validation_freq", validation_freq, 1)

    def samples(self, n):
        """Number of samples per epoch, out of n."""
        if self.steps_per_epoch is None:
            return n
        if self.steps_per_epoch > ceil(n / self.batch_size):
            raise ValueError(
                f"steps_per_epoch: expected at most {ceil(n / self.batch_size)} steps of batch_size {self.batch_size},"
                f" as x has {n} rows, got {self.steps_per_epoch}"
            )
        return min(n, self.steps_per_epoch * self.batch_size)

    def steps(self, data):
        """Number of batches per epoch; None if unknown."""
        if isinstance(data, Feed):
            return len(data.batches) or None
        return ceil(self.samples(data.n) / self.batch_size)

    def validation_samples(self, data):
        """Number of validation samples; None if unknown."""
        if isinstance(data, Feed):
            return None
        steps = self.validation_steps
        return data.n if steps is None else min(data.n, steps * self.validation_batch_size)

    def validates(self, epoch):
        """Whether an epoch (0, 1, …) ends with validation."""
        if isinstance(self.validation_freq, set):
            return epoch + 1 in self.validation_freq
        return (epoch + 1) % self.validation_freq == 0


def inference_batch(size, name="batch_size"):
    """The checked size of batches in inference mode."""
    return INFERENCE_BATCH if size is None else integer(name, size, 1)


def no_more(batch_size, n):
    """Limit the batch size for n samples: memory is planned for it, so it should not be much larger than n."""
    return min(batch_size, max(n, 1 << 16))


def split(data, fraction):
    """``(training data, validation data or None)``: the last rows are for validation."""
    if not number("validation_split", fraction, 0, 1, open_high=True):
        return data, None
    if isinstance(data, Feed):
        raise ValueError(f"validation_split: expected 0 for batches, got {fraction!r}; pass validation_data instead")
    at = floor(data.n * (1 - fraction))
    if not 0 < at < data.n:
        raise ValueError(
            f"validation_split: expected a fraction that leaves rows for both training and validation, got {fraction}"
            f" of {data.n} rows"
        )
    return data.part(0, at), data.part(at, data.n)


def held_out_arrays(given, more=""):
    """x, y and weights (or None) of a `validation_data` of arrays; `more`: other options, for the error."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (x, y) or (x, y, sample_weight){more}, got {type(given).__name__}"
        )
    return *given, *[None] * (3 - len(given))


def held_out(model, given, steps, check_finite):
    """The checked `validation_data`."""
    if is_batches(given):
        return Feed(model, Batches("validation_data", given, steps), None, check_finite)
    x, y, w = held_out_arrays(given, ", or batches")
    data = model.data(x, y, w, None, check_finite, HELD_OUT)
    if not data.n:
        raise ValueError("validation_data[0]: expected at least one row, got none")
    return data


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
    model, x, y, batch_size=None, epochs=1, verbose=0, callbacks=None, validation_split=0.0, validation_data=None,
    shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0, steps_per_epoch=None, validation_steps=None,
    validation_batch_size=None, validation_freq=1, check_finite=True, ahead=None, rows=None, validation_rows=None,
    feature_names=None,
):  # fmt: skip
    """Check the arguments of `Model.fit`; return the generator of its epochs, see `run`.

    `rows`, `validation_rows`: samples of x and y for training and validation; `feature_names`: column names, if `x`
    was a data frame."""
    model.need_loss("fit")
    if is_batches(x):
        none_but_x("x", {"y": y, "batch_size": batch_size, "sample_weight": sample_weight})
        steps = None if steps_per_epoch is None else integer("steps_per_epoch", steps_per_epoch, 1)
        train = Feed(model, Batches("x", x, steps), class_weight, check_finite, training=True)
        train.prepare()
    else:
        refuse_others("x", model.feature_names, feature_names)
        train = model.data(x, y, sample_weight, None, check_finite, training=True)
        model.feature_names = model.feature_names or feature_names
        if not train.n:
            raise ValueError("x: expected at least one row, got none")
    everything = train
    if rows is not None:
        train = train.of_rows(rows)
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
            train = model.weighted(train, class_weight, whole=True)
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
    return run(model, train, validation, plan, callbacks, verbose, ahead)


def run(model, train, validation, plan, callbacks, verbose, ahead=None):
    """Generator that trains one epoch per `next` and yields its logs; updates `model.history`.

    To stop early, set `model.stop_training` and exhaust the generator: averaged weights are set at the
    end, also after an error or Ctrl-C. If there is no Python between epochs, several
    are trained in one call; `ahead` is a function that returns their maximum number."""
    history = History()
    names = model.metrics_names
    names = names + [f"val_{n}" for n in names] if validation is not None else names
    hooks = CallbackList(
        [callbacks or [], history],
        model=model,
        epochs=plan.epochs,
        steps=plan.steps(train),
        verbose=verbosity(verbose),
        metrics=names,
    )
    progress = Progress(0 if hooks.has(ProgbarLogger) else verbose)
    model.history, model.stop_training = history, False
    logs, batches = {}, isinstance(train, Feed)
    one_epoch = train_batches if batches else train_epoch
    alone = not batches and validation is None and not progress.out and all(type(c) is History for c in hooks.callbacks)
    trained, still, ended = iter(()), Unchanged(model, "fit"), False
    keep = plan.epochs - plan.initial_epoch <= FEW
    with progress:
        try:
            hooks.call("on_train_begin")
            for epoch in range(plan.initial_epoch, plan.epochs):
                if alone:
                    logs = next(trained, None)
                    if logs is None:
                        left = plan.epochs - epoch if ahead is None else min(plan.epochs - epoch, ahead())
                        trained = train_epochs(model, train, plan, left, still)
                        logs = next(trained, None)
                    if logs is not None:
                        hooks.call("on_epoch_end", epoch, logs=logs)
                        yield logs
                        continue
                    if model.stop_training:
                        break
                progress.start(f"Epoch {epoch + 1}/{plan.epochs}", None if batches else plan.samples(train.n))
                hooks.call("on_epoch_begin", epoch)
                began = time.perf_counter()
                logs = one_epoch(model, train, plan, hooks, progress, still)
                if batches and not train.n:  # the generator had ended: this epoch does not exist
                    warn_of_end(train.batches, epoch, plan)
                    break
                seconds = time.perf_counter() - began
                if still or not model.stop_training:
                    still.check()
                if validation is not None and plan.validates(epoch) and still:
                    progress.part("validation", plan.validation_samples(validation))
                    size, steps = plan.validation_batch_size, plan.validation_steps
                    found = model.measure(validation, size, hooks, progress, steps)
                    logs.update({f"val_{name}": value for name, value in found.items()})
                model.epochs_done += 1
                model.history = history  # a hook may have called `fit`
                progress.finish(logs, seconds, train.n if batches else None, keep)
                hooks.call("on_epoch_end", epoch, logs=logs)
                yield logs
                if model.stop_training:
                    break
                if batches and train.batches.exhausted and epoch + 1 < plan.epochs:
                    warn_of_end(train.batches, epoch + 1, plan)
                    break
            finalize(model, plan, still)
            ended = True
            hooks.call("on_train_end", logs=logs)
        except GeneratorExit:  # the caller does not need the rest
            raise
        except BaseException:
            if not ended:
                with suppress(Exception):  # the original error is raised
                    finalize(model, plan, still)
            raise
        finally:
            model.history = history


class Unchanged:
    """Check that a model has not changed since a call started: layers and, except for `predict`, `compile`."""

    def __init__(self, model, what):
        self.model, self.what = model, what
        self.edition = self._now()

    def _now(self):
        return self.model._structure_clock.now, self.what == "predict" or self.model._compile_clock.now

    def __bool__(self):
        return self._now() == self.edition

    def check(self):
        """RuntimeError if the model has changed."""
        if not self:
            raise RuntimeError(
                f"{self.what}: expected an unchanged model until {self.what} ends, got one changed by add, pop, build"
                " or compile, in a callback or another thread; end it first"
                f" ({STOPS[self.what]} = True), then change the model"
            )

    def engine(self):
        """The model's engine, if the model has not changed. Called under the model's lock."""
        self.check()
        return self.model.engine()


def finalize(model, plan, still):
    """End of training, if it had at least one epoch: averaged weights are set."""
    if plan.epochs and still:
        with model._lock:
            still.engine().finalize()


def warn_of_end(batches, done, plan):
    """The warning that a generator has ended before the last epoch."""
    if batches.steps is None:  # otherwise it has been given within the epoch
        warnings.warn(
            f"{batches.name}: the generator ended, training stops after epoch {done} of {plan.epochs}; pass"
            " steps_per_epoch, or batches that can be iterated again for each epoch (a list of batches, a class with"
            " __iter__)",
            stacklevel=2,
        )


def train_epochs(model, data, plan, epochs, still):
    """Train several epochs without a return to Python between them; yields the means of each.

    Yields nothing if the steps contain Python, or an epoch is so long that there is nothing to gain."""
    n, batch = data.n, plan.batch_size
    epochs, per_epoch = min(epochs, AHEAD // n), ceil(n / batch)
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
    rates, step, interrupt = model.optimizer.rates(engine.step, epochs * per_epoch), 0, None
    began = engine.step
    try:
        while step < len(rates) and not model.stop_training:
            with model._lock:
                engine = still.engine()  # another thread may have frozen a layer
                with Steps(model.optimizer, engine):
                    step = engine.fit_epochs(
                        data.x, data.y, data.w, index, epochs, batch, rates, step, totals, BLOCK_SECONDS
                    )
    except BaseException as error:  # from a signal: raised after the finished epochs are in the history
        interrupt, step = error, engine.step - began
    done = step // per_epoch
    model.epochs_done += done
    for sums in engine.epoch_sums(totals)[:done]:
        yield model.means(n, *sums)
    if interrupt is not None:
        raise interrupt


def train_epoch(model, data, plan, hooks, progress, still):
    """Train one epoch; return the means."""
    n, batch = plan.samples(data.n), plan.batch_size
    index = data.ordered(permutation(model.seed, model.epochs_done, data.n) if plan.shuffle else None)
    single, rates = hooks.per_batch("train"), None
    done, step, logs, sums = 0, 0, {}, [0.0] * len(model.metrics_names)
    while done < n:
        if single:
            hooks.batch("train", "begin", step)
        with model._lock:
            engine = still.engine()  # the hook may have frozen a layer
            if single:
                rates = model.optimizer.rates(engine.step, 1)
            elif rates is None:
                rates = model.optimizer.rates(engine.step, ceil((n - done) / batch))
            count = min(batch, n - done) if single else n - done
            with Steps(model.optimizer, engine):
                block = engine.fit_block(
                    data.x, data.y, data.w, index, done, count, batch, rates, BLOCK_SECONDS, sums
                )
        steps = ceil(block[0] / batch)
        rates = rates[steps:]
        done, step = done + block[0], step + steps
        sums = [block[1], *block[2]]
        if single or progress.live:  # only if needed, as metrics by ranks cost a sort
            logs = model.means(done, *sums)
        if single:
            hooks.batch("train", "end", step - 1, logs)
        progress.update(done, logs)
        if model.stop_training:
            break
    return model.means(done, *sums) if still else logs


def train_batches(model, feed, plan, hooks, progress, still):
    """Train one epoch of batches that come one by one; return the means."""
    single, sums, logs = hooks.per_batch("train"), [0.0] * len(model.metrics_names), {}
    for i, data in enumerate(feed.epoch(order_of(model, plan.shuffle))):
        if single:
            hooks.batch("train", "begin", i)
        with model._lock:
            engine = still.engine()
            rates = model.optimizer.rates(engine.step, 1)
            with Steps(model.optimizer, engine):
                _, loss, found = engine.fit_block(
                    data.x, data.y, data.w, None, 0, data.n, feed.largest, rates, 0.0, sums
                )
        sums = [loss, *found]
        if single or progress.live:
            logs = model.means(feed.n, *sums)
        if single:
            hooks.batch("train", "end", i, logs)
        progress.update(feed.n, logs)
        if model.stop_training:
            break
        still.check()
    return model.means(feed.n, *sums) if feed.n and still else logs


class InterruptLater:
    """Raise Ctrl-C inside the block at its end, a second one immediately.

    No effect outside the main thread, or if the program has its own handler.
    """

    def __enter__(self):
        self.came, self.before = False, None
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame):
        if self.came:
            raise KeyboardInterrupt
        self.came = True

    def __exit__(self, *error):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
        if self.came and error[0] is None:
            raise KeyboardInterrupt


class Steps(InterruptLater):
    """Update the step count of the optimizer at the end of the block, also after an error."""

    def __init__(self, optimizer, engine):
        self.optimizer, self.engine = optimizer, engine

    def __enter__(self):
        self.engine.later = self
        return super().__enter__()

    def __exit__(self, *error):
        self.engine.later = None
        self.optimizer.at_batch(self.engine.step)
        super().__exit__(*error)
