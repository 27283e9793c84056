"""One of the networks of a sweep: its parameters and its progress."""

import time
from inspect import Parameter, signature
from math import isfinite
from traceback import clear_frames

from .._base.checks import integer
from .._base.random import check_seed, seed_of, seeded
from ..callbacks import History
from ..models.model import Model
from ..saving.configuration import encode
from ..training import fit
from .data import OF_DATA

OURS = ("batch_size", "epochs", "seed", *OF_DATA)  # entries of `params` that `build` need not accept
LIVE = ("waiting", "training")  # statuses of networks that have not ended


def rounds_of(epochs, eta, first):
    """The epochs at which networks wait for each other, and the last one."""
    found = []
    while eta is not None and first < epochs:
        found.append(first)
        first *= eta
    return [*found, epochs]


def networks_of(params, entropy, epochs, halved):
    """The networks of a sweep, with seeds from `entropy` unless given."""
    if not hasattr(params, "__iter__"):
        params = [{}] * integer("params", params, 1)
    networks = []
    for k, given in enumerate(params):
        if not hasattr(given, "keys"):
            raise TypeError(f"params[{k}]: expected a dict of arguments of build, got {given!r}")
        network = Network(k, dict(given), seed_of(entropy, k))
        network.epochs = integer(f"params[{k}]['epochs']", network.given.get("epochs", epochs), 1)
        if halved and network.epochs != epochs:
            raise ValueError(
                f"params[{k}]['epochs']: expected {epochs}, as halving needs equal epochs, got {network.epochs}"
            )
        networks.append(network)
    if not networks:
        raise ValueError("params: expected at least one network, got none")
    return networks


def named_arguments(function):
    """Names of the arguments that `build` accepts by name."""
    if not callable(function) or isinstance(function, Model):
        raise TypeError(f"build: expected a function that returns a compiled model, got {function!r}")
    try:
        found = signature(function).parameters.values()
    except ValueError:  # some builtins have none
        return set()
    return {p.name for p in found if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)}


class Network:
    """One of the networks."""

    def __init__(self, index, given, seed):
        self.index, self.given = index, given
        self.seed = check_seed(f"params[{index}]['seed']", given.get("seed", seed))
        self.leave()
        self.error = self.rows = self.validation_rows = self.restored = None
        self.status = "waiting"

    def leave(self):
        """Reset to the state before the first epoch."""
        self.scope = seeded(self.seed)
        self.model = self.run = self.best_epoch = None
        self.history, self.done, self.seconds, self.until, self.callbacks = {}, 0, 0.0, 0, ()

    def build(self, function, takes):
        """Build the model."""
        model = function(**{n: v for n, v in self.given.items() if n not in OURS or takes(n)})
        if not isinstance(model, Model) or not model.compiled:
            raise TypeError(f"build: expected a compiled model, got {model!r}")
        return model

    def start(self, model, common, batch_size, callbacks):
        """Check the training arguments of a model."""
        self.history, self.done, self.seconds = {}, 0, 0.0  # if from a journal, it is trained again
        self.model, self.status, self.callbacks = model, "training", ()
        if callbacks is not None:
            self.callbacks = list(_flat(callbacks()))
        self.run = fit.start(
            model, batch_size=self.given.get("batch_size", batch_size), epochs=self.epochs, verbose=0,
            callbacks=self.callbacks, ahead=lambda: self.until - self.done, **common,
        )  # fmt: skip

    def advance(self, until, stopping):
        """Train up to an epoch, until a callback stops it, or until the sweep stops."""
        self.until, begun = until, time.perf_counter()
        while self.done < until and not stopping():
            logs = next(self.run, None)
            if stopping():  # the epoch may be incomplete
                break
            if logs is None:  # a callback has stopped it
                self.end("done")
                break
            self.done += 1
            for name, value in logs.items():
                self.history.setdefault(name, []).append(value)
            if not isfinite(logs["loss"]):
                self.stop("diverged")
                break
        self.seconds += time.perf_counter() - begun
        ended = self.done >= self.epochs or (self.model.stop_training and not stopping())
        if self.status == "training" and ended:
            self.stop("done")
        self.look_for_best()
        if self.restored is not None and not stopping():
            self.compare()

    @property
    def waits(self):
        """Whether the network is at the end of a round."""
        return self.status == "training" and self.done == self.until > 0

    def stop(self, status="stopped"):
        """Stop training as `fit` does."""
        if self.run is None:  # from a journal: at the end of a round, without a model
            self.status = status
            return
        self.model.stop_training, self.status = True, status
        for _ in self.run:
            pass
        self.end(status)

    def end(self, status):
        self.look_for_best()
        self.status, self.run, self.callbacks = status, None, ()

    def look_for_best(self):
        """The epoch that `EarlyStopping(restore_best_weights=True)` restores, from 1."""
        for callback in self.callbacks:
            if getattr(callback, "restore_best_weights", False) and getattr(callback, "best_weights", None) is not None:
                self.best_epoch = callback.best_epoch + 1

    def last(self, name):
        """A value of the epoch whose weights the model has."""
        values = self.history.get(name)
        return values[min(self.best_epoch or len(values), len(values)) - 1] if values else None

    def fail(self, error):
        self.error, self.status, self.model, self.run, self.callbacks = error, "error", None, None, ()

    def interrupt(self):
        """Mark a network that had not ended when the sweep ended."""
        if self.status == "training":
            self.status = "interrupted"
            self.model, self.run, self.callbacks = None, None, ()

    # --- from a journal ---

    def restore(self, said):
        """Restore the state from a journal, without a model."""
        self.restored, self.status, self.done = said, said["status"], said["epochs"]
        self.history, self.seconds, self.best_epoch = said["history"], said["seconds"], said["best_epoch"]

    def finish_as(self, said):
        """Finish after the model was loaded from a file."""
        self.run, self.callbacks, self.model.stop_training = None, (), True
        self.restore(said)
        history = self.model.history = History()
        history.history, history.epoch = {n: list(v) for n, v in said["history"].items()}, list(range(said["epochs"]))
        history.set_model(self.model)

    def compare(self):
        """ValueError if training again gave a different history."""
        said, n = self.restored, self.restored["epochs"]
        if self.done < n:
            return
        self.restored = None
        now = {name: values[:n] for name, values in self.history.items()}
        if said["same bits"] and _exactly(now) != _exactly(said["history"]):
            raise ValueError(
                f"journal: expected {_ends(said['history'])} after {n} epochs of network {self.index}, got"
                f" {_ends(now)}; build, callbacks or code that they use have changed"
            )


def _flat(made):
    """Iterate over callbacks, flattening lists and CallbackLists."""
    made = getattr(made, "callbacks", made)
    if made is None or isinstance(made, str) or not hasattr(made, "__iter__"):
        yield from () if made is None else (made,)
        return
    for each in made:
        yield from _flat(each)


def _exactly(history):
    return repr(encode(history, "history"))


def _ends(history):
    return {name: values[-1] for name, values in history.items()}


def free(error):
    """Free the local variables in the traceback of an error: models and programs."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
