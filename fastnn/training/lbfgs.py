"""`fit` with `optimizers.LBFGS`: SciPy's loop on the loss of all rows; each of its iterations is an epoch."""

import time

import numpy as np

from .. import derivatives
from ..callbacks import CallbackList, History, ProgbarLogger
from ..callbacks.progress import FEW, Progress, verbosity
from .data.batches import Feed
from .evaluate import measure
from .inference import inference_batch
from .planning import Unchanged


def check(data, given):
    """ValueError or TypeError for arguments of `fit` that make no sense here; `given` has them by name."""
    if isinstance(data, Feed):
        raise TypeError("x: expected arrays for LBFGS, which needs all rows at once, got batches")
    size = given.pop("batch_size")
    if size is not None and size < data.n:
        raise ValueError(f"batch_size: expected None or at least {data.n}, as LBFGS uses all rows at once, got {size}")
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name}: expected None for LBFGS, got {value!r}")


class _Ended(Exception):
    """Ends SciPy's loop."""


class Training:
    """One call of `fit` with L-BFGS; arguments as for `fit.Training`, and `seconds` or None."""

    def __init__(self, model, train, validation, plan, callbacks, verbose, seconds):
        self.model, self.train, self.validation, self.plan, self.seconds = model, train, validation, plan, seconds
        if train.rows is not None:
            rows = train.rows
            self.x, self.y, self.w = train.x[rows], train.y[rows], None if train.w is None else train.w[rows]
        else:
            self.x, self.y, self.w = train.x, train.y, train.w
        self.history = History()
        names = model.metrics_names
        names = names + [f"val_{n}" for n in names] if validation is not None else names
        self.hooks = CallbackList(
            [callbacks or [], self.history], model=model, epochs=plan.epochs, steps=1, verbose=verbosity(verbose),
            metrics=names,
        )  # fmt: skip
        self.progress = Progress(0 if self.hooks.has(ProgbarLogger) else verbose)
        model.history, model.stop_training = self.history, False
        self.still, self.logs, self.epoch = Unchanged(model, "fit"), {}, plan.initial_epoch
        self.last = None  # (theta, loss) of the last evaluation

    def run(self):
        """Generator, as that of `fit.Training`; yields once, at the end."""
        with self.progress:
            try:
                self.hooks.call("on_train_begin")
                if self.plan.epochs > self.plan.initial_epoch:
                    self._minimize()
                self.hooks.call("on_train_end", logs=self.logs)
            finally:
                self.model.history = self.history
        yield self.logs

    def _minimize(self):
        from scipy.optimize import minimize  # SciPy takes time to import

        chosen = self.model.optimizer
        options = {
            "maxiter": self.plan.epochs - self.plan.initial_epoch, "maxfun": 2**31 - 1, "maxcor": chosen.history_size,
            "gtol": chosen.gtol, "ftol": chosen.ftol, "maxls": chosen.max_line_search,
        }  # fmt: skip
        self.began = self.started = time.monotonic()
        theta = derivatives.get_parameters(self.model).astype(np.float64)
        self._begin()
        try:
            minimize(self._loss, theta, jac=True, method="L-BFGS-B", callback=self._iterated, options=options)
        except _Ended:
            pass

    def _loss(self, theta):
        with self.model._lock:
            loss, gradient = derivatives.evaluate(self.still.engine(), theta, self.x, self.y, self.w)
        self.last = theta.copy(), loss
        return loss, gradient

    def _begin(self):
        title = f"Epoch {self.epoch + 1}/{self.plan.epochs}"
        self.progress.start(title, None)
        self.hooks.call("on_epoch_begin", self.epoch)

    def _iterated(self, theta):
        """After an iteration, whose weights are `theta`."""
        model, plan = self.model, self.plan
        derivatives.set_parameters(model, theta)
        with model._lock:
            engine = self.still.engine()
            engine.step += 1
            model.optimizer.at_batch(engine.step)
        self.logs = self._values(theta)
        if self.validation is not None and plan.validates(self.epoch):
            size, steps = plan.validation_batch_size, plan.validation_steps
            found = measure(model, self.validation, size, self.hooks, self.progress, steps)
            self.logs |= {f"val_{name}": value for name, value in found.items()}
        model.epochs_done += 1
        now = time.monotonic()
        self.progress.finish(self.logs, now - self.started, None, plan.epochs - plan.initial_epoch <= FEW)
        self.started = now
        self.hooks.call("on_epoch_end", self.epoch, logs=self.logs)
        self.epoch += 1
        over = self.seconds is not None and now - self.began >= self.seconds
        if model.stop_training or over or self.epoch >= plan.epochs:
            raise _Ended
        self._begin()

    def _values(self, theta):
        """Loss and metrics of the training data."""
        if self.model.metrics_names == ["loss"]:
            if self.last is None or not np.array_equal(self.last[0], theta):
                self._loss(np.array(theta))
            return {"loss": self.last[1]}
        return measure(self.model, self.train, inference_batch(None), CallbackList([], model=self.model))
