"""Many networks over the same data, one on each core.

(a) A network is trained by one thread of Python that lets go of the interpreter while the core works: so data are
    shared, nothing is copied to other processes, and any Python can build the networks.
(b) A network is what it would be alone: its seed is its own, and its epochs are those of `Model.fit`.
(c) Halving goes in rounds: all networks still alive reach the same epoch, then the worst are stopped. So it does
    not depend on which of them was fastest.
"""

import threading
import time
from contextvars import copy_context
from inspect import Parameter, signature
from math import ceil, isfinite
from traceback import clear_frames
from weakref import WeakKeyDictionary

import numpy as np

from . import arrays, fitting
from ._checks import flag, integer, one_of, refuse_keywords
from ._config import float_dtype
from ._core import threads as core_threads
from ._random import check_seed, next_seed, seed_of, seeded
from .callbacks.base import rises
from .progress import Progress
from .sweep_result import SweepResult, place
from .training import Model

OURS = ("batch_size", "epochs", "seed")  # entries of `params` that `build` need not take
LOOK = 0.05  # seconds between two looks of the main thread


def sweep(
    build,
    params,
    x,
    y,
    *,
    epochs=1,
    batch_size=32,
    validation_data=None,
    validation_split=0.0,
    sample_weight=None,
    class_weight=None,
    shuffle=True,
    callbacks=None,
    monitor=None,
    mode="auto",
    halving=None,
    min_epochs=1,
    keep=1,
    seed=None,
    workers=None,
    on_error="raise",
    verbose="auto",
    check_finite=True,
    **kwargs,
):
    r"""Train many networks, of any widths, depths, activations, optimizers and seeds, one on each core.

    Network k has the same bits as ``set_random_seed(result[k]["seed"]); model = build(**params[k]);
    model.fit(x, y, ...)`` has alone, for any number of workers.

    Parameters
    ----------
    build : callable
        ``build(**params[k])`` returns a compiled model.
    params : iterable of dict, or int
        One for each network: a list, scikit-learn's ``ParameterGrid`` or ``ParameterSampler``, what the trials of
        an Optuna study suggest. Entries "batch_size", "epochs" and "seed" are of the training of that network, and
        given to `build` only if it has such an argument. An int: so many networks ``build()``, which differ in
        their seeds.
    x, y : array_like
        As for `Model.fit`; shared, not copied for each network.
    epochs : int
    batch_size : int
    validation_data : (x, y) or (x, y, sample_weight), optional
    validation_split : float
    sample_weight, class_weight, shuffle
        As for `Model.fit`. (Weights from `class_weight` are made for each network.)
    callbacks : callable, optional
        Returns a list of callbacks, anew for each network. They are called in the thread that trains it.
    monitor : str, optional
        What networks are ranked by, at their last epoch. Default: "val_loss", or "loss" without validation.
    mode : {"auto", "min", "max"}
        Whether less or more of it is better.
    halving : int, optional
        η, at least 2: successive halving. After `min_epochs`, η `min_epochs`, η² `min_epochs`, … epochs only the best
        1/η of the networks go on.
    min_epochs : int
        Epochs before the first decision of `halving`.
    keep : int or "all"
        How many of the best models are kept; the others leave memory as soon as they are done.
    seed : int, optional
        From which the seeds of the networks follow; default: the next seed of the process.
    workers : int, optional
        Networks trained at a time; default: as many as there are cores (`get_num_threads`).
    on_error : {"raise", "keep"}
        An error of `build` or of a training ends the sweep, or only that network; the error is then in its row. A
        `monitor` that a network does not have, and what is no `Exception` (``sys.exit()``, Ctrl-C), always end it.
    verbose : {"auto", 0, 1, 2}
        1: a live line on a terminal, one line at the end elsewhere. 0: nothing.
    check_finite : bool
        Look for NaN and infinity in x and y, once.

    Returns
    -------
    SweepResult
        A sequence with a dict for each network, in the order of `params`; see there.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, after the steps at hand.

    Notes
    -----
    A network whose loss is NaN or infinite after an epoch is stopped; its status is "diverged", and it ranks last. Its
    row and history end with that epoch; the model may have gone through a few more, of 65,536 samples together at the
    most, until it was seen.

    References
    ----------
    Jamieson & Talwalkar 2016 (successive halving).

    Examples
    --------
    >>> def build(units, learning_rate):
    ...     model = fastnn.Sequential([
    ...         fastnn.layers.Dense(units, "tanh", input_shape=(2,)), fastnn.layers.Dense(1)])
    ...     model.compile(fastnn.Adam(learning_rate), "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(256, 2))
    >>> grid = [{"units": u, "learning_rate": r} for u in (4, 16) for r in (1e-2, 1e-6)]
    >>> result = fastnn.sweep(build, grid, x, x[:, :1] * x[:, 1:], epochs=20, seed=1, verbose=0)
    >>> len(result), result.best["learning_rate"]
    (4, 0.01)
    >>> result.best_model.predict(x, verbose=0).shape
    (256, 1)
    """
    refuse_keywords(sweep, kwargs)
    shuffle, check_finite = flag("shuffle", shuffle), flag("check_finite", check_finite)
    epochs = integer("epochs", epochs, 1)
    first = integer("min_epochs", min_epochs, 1)
    eta = None if halving is None else integer("halving", halving, 2)
    on_error = one_of("on_error", on_error, ("raise", "keep"))
    mode = one_of("mode", mode, ("auto", "min", "max"))
    if callbacks is not None and not callable(callbacks):
        raise TypeError(
            f"callbacks: expected a function that returns a list of callbacks, anew for each network, got {callbacks!r}"
        )
    networks = _networks(params, seed, epochs, eta is not None)
    rounds = _rounds(max(n.epochs for n in networks), eta, first)
    if keep != "all":
        keep = integer("keep", keep, 0)
    workers = core_threads.get_num_threads() if workers is None else integer("workers", workers, 1)
    validation = _validation(validation_data)
    common = {
        "x": _shared("x", x), "y": _labels(_shared("y", y)), "validation_data": validation,
        "validation_split": validation_split, "class_weight": class_weight, "shuffle": shuffle,
        "sample_weight": None if sample_weight is None else _shared("sample_weight", sample_weight),
    }  # fmt: skip
    if check_finite:
        for name, array in (("x", common["x"]), ("y", common["y"])):
            arrays.check_finite(name, array)
        for i, array in enumerate((validation or ())[:2]):
            arrays.check_finite(f"validation_data[{i}]", array)
    job = _Sweep(build, networks, common, batch_size, callbacks, monitor, mode, keep, on_error)
    progress = Progress(verbose)
    progress.start("Sweep", len(networks))
    try:
        for until in rounds:
            job.each(job.alive(), job.advance_to(until), workers, progress)
            if until != rounds[-1]:
                ranked = sorted(job.alive(), key=job.rank)
                job.each(ranked[ceil(len(ranked) / eta) :], Network.stop, workers, progress)
    finally:
        progress.clear()
    result = SweepResult(networks, job.monitor, job.rising)
    progress.finish(result.summary())
    return result


def _rounds(epochs, eta, first):
    """The epochs at which networks wait for each other, and the last one."""
    found = []
    while eta is not None and first < epochs:
        found.append(first)
        first *= eta
    return [*found, epochs]


def _networks(params, seed, epochs, halved):
    if not hasattr(params, "__iter__"):
        params = [{}] * integer("params", params, 1)
    entropy = next_seed() if seed is None else check_seed("seed", seed)
    networks = []
    for k, given in enumerate(params):
        if not hasattr(given, "keys"):
            raise TypeError(f"params[{k}]: expected a dict of arguments of build, got {given!r}")
        network = Network(k, dict(given), seed_of(entropy, k))
        network.epochs = integer(f"params[{k}]['epochs']", network.given.get("epochs", epochs), 1)
        if halved and network.epochs != epochs:
            raise ValueError(
                f"params[{k}]['epochs']: expected {epochs}, as all networks of a halving, got {network.epochs}"
            )
        networks.append(network)
    if not networks:
        raise ValueError("params: expected at least one network, got none")
    return networks


def _shared(name, value):
    """An array that all networks read where it lies: what the core cannot read there is copied here, once."""
    if fitting.is_batches(value):
        raise TypeError(f"{name}: expected an array, got batches; a sweep reads its data many times and out of order")
    array = arrays.as_array(name, value)
    return arrays.readable(array, array.dtype.newbyteorder("="))


def _labels(array):
    """Whole numbers that may be classes, as a network with classes reads them; to others they are the same."""
    if array.dtype.kind in "iu" and array.ndim and array.size and array.size == len(array):
        limits = np.iinfo(np.int32)
        if limits.min <= array.min() and array.max() <= limits.max:
            return np.ascontiguousarray(array, np.int32)
    return array


def _validation(given):
    if given is None:
        return None
    x, y, weight = fitting.held_out_arrays(given)
    of_x, of_y, of_weight = fitting.HELD_OUT
    return _shared(of_x, x), _labels(_shared(of_y, y)), None if weight is None else _shared(of_weight, weight)


def _named_arguments(function):
    if not callable(function) or isinstance(function, Model):
        raise TypeError(f"build: expected a function that returns a compiled model, got {function!r}")
    try:
        found = signature(function).parameters.values()
    except ValueError:  # some builtins have none
        return set()
    return {p.name for p in found if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)}


class Network:
    """One of the networks: what it is made of, and how far it is."""

    def __init__(self, index, given, seed):
        self.index, self.given = index, given
        self.seed = check_seed(f"params[{index}]['seed']", given.get("seed", seed))
        self.scope = seeded(self.seed)
        self.model = self.run = self.error = None
        self.history, self.done, self.seconds, self.status = {}, 0, 0.0, "waiting"

    def build(self, function, takes):
        """The model."""
        model = function(**{n: v for n, v in self.given.items() if n not in OURS or takes(n)})
        if not isinstance(model, Model) or not model.compiled:
            raise TypeError(f"build: expected a compiled model, got {model!r}")
        return model

    def start(self, model, common, batch_size, callbacks):
        """Check what a model is to be trained with."""
        self.model, self.status = model, "training"
        self.run = fitting.start(
            model, batch_size=self.given.get("batch_size", batch_size), epochs=self.epochs, verbose=0,
            callbacks=None if callbacks is None else callbacks(), check_finite=False,
            ahead=lambda: self.until - self.done, **common,
        )  # fmt: skip

    def advance(self, until, stopping):
        """Train to an epoch, or as far as its callbacks let it, or until all is to stop."""
        self.until, begun = until, time.perf_counter()
        while self.done < until and not stopping():
            logs = next(self.run, None)
            if logs is None:  # a callback has ended it
                self.status, self.run = "done", None
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

    def stop(self, status="stopped"):
        """End the training as `fit` does, here."""
        self.model.stop_training, self.status = True, status
        for _ in self.run:
            pass
        self.run = None

    def last(self, name):
        return self.history[name][-1] if self.history.get(name) else None


class WrongMonitor(ValueError):
    """An argument of the sweep, not of one network: it ends the sweep whatever `on_error` says."""


class _Sweep:
    """The networks of a sweep and the threads that train them."""

    def __init__(self, build, networks, common, batch_size, callbacks, monitor, mode, keep, on_error):
        self.validated = common["validation_data"] is not None or bool(common["validation_split"])
        self.monitor = monitor or ("val_loss" if self.validated else "loss")
        self.build, self.networks, self.common, self.batch_size = build, networks, common, batch_size
        self.callbacks, self.mode, self.keep, self.on_error = callbacks, mode, keep, on_error
        self.takes = _named_arguments(build).__contains__
        self.rising, self.lock, self.failed, self.stopping = None, threading.Lock(), None, False
        self.kept, self.weights = [], {}
        self.owners = WeakKeyDictionary()  # of models and optimizers: number of the network

    def alive(self):
        return [n for n in self.networks if n.status in ("waiting", "training")]

    def rank(self, network):
        return place(network, self.monitor, self.rising)

    def advance_to(self, until):
        return lambda network: network.advance(min(until, network.epochs), lambda: self.stopping)

    def each(self, networks, action, workers, progress):
        """`action` of every network, of `workers` of them at a time."""
        count, order, done = len(networks), iter(networks), []

        def work():
            while True:
                with self.lock:
                    network = None if self.stopping else next(order, None)
                if network is None:
                    return
                self.one(network, action)
                done.append(network)

        def look():
            progress.update(len(self.networks) - count + len(done), {})

        # Each with a copy of what is set where `sweep` was called: precision of products, NumPy's errstate.
        pool = [
            threading.Thread(target=copy_context().run, args=(work,), daemon=True) for _ in range(min(workers, count))
        ]
        try:
            for thread in pool:
                thread.start()
            self.join(pool, networks, look)
        except BaseException:
            self.stopping = True
            self.join(pool, networks, lambda: None)
            raise
        if self.failed is not None:
            raise self.failed

    def join(self, pool, networks, look):
        """Wait for threads, and stop their networks when all is to stop."""
        for thread in pool:
            while thread.is_alive():
                thread.join(LOOK)
                look()
                for network in networks if self.stopping else ():  # again and again: one may only now have begun
                    model = network.model
                    if model is not None:
                        model.stop_training = True

    def one(self, network, action):
        """`action` of a network, in a thread of its own; the first one is to make the model."""
        try:
            with core_threads.using(1), network.scope:
                if network.status == "waiting":
                    self.begin(network)
                action(network)
            if network.status not in ("waiting", "training"):
                self.let_go(network)
        except BaseException as error:
            network.error, network.status, network.model, network.run = error, "error", None, None
            if isinstance(error, WrongMonitor) or self.on_error == "raise" or not isinstance(error, Exception):
                self.fail(network, error)
            else:
                free(error)

    def begin(self, network):
        model = network.build(self.build, self.takes)
        self.own(network, model, "model")
        self.own(network, model.optimizer, "optimizer")
        network.start(model, self.data_for(model), self.batch_size, self.callbacks)
        self.check_monitor(model)

    def fail(self, network, error):
        """An error that ends the sweep: the first one."""
        with self.lock:
            self.stopping = True
            if self.failed is None:
                self.failed = error
                try:
                    error.add_note(f"network {network.index} of the sweep: {network.given}")
                except Exception:  # a parameter that cannot be printed must not hide what happened
                    error.add_note(f"network {network.index} of the sweep")

    def own(self, network, thing, what):
        """TypeError if another network has this very object, too: two trainings of one would mix."""
        with self.lock:
            owner = self.owners.setdefault(thing, network.index)
        if owner != network.index:
            raise TypeError(
                f"build: expected {what}s of their own for all networks; network {network.index} has that of network"
                f" {owner}. Make the {what} in build"
            )

    def data_for(self, model):
        """What `fitting.start` is to train it with: weights as this model wants them, made once for all such."""
        weight, dtype = self.common["sample_weight"], float_dtype(model.dtype)
        if weight is None:
            return self.common
        with self.lock:
            if dtype not in self.weights:
                self.weights[dtype] = np.ascontiguousarray(weight, dtype)
        return {**self.common, "sample_weight": self.weights[dtype]}

    def check_monitor(self, model):
        """The first network says whether its metrics rise or fall."""
        names = ["loss", *model.metrics_names[1:]]
        names += [f"val_{name}" for name in names if self.validated]
        if self.monitor not in names:
            hint = "" if self.validated else "; those with val_ need validation_data or validation_split"
            raise WrongMonitor(f"monitor: expected one of {', '.join(names)}, got {self.monitor!r}{hint}")
        with self.lock:
            if self.rising is None:
                self.rising = rises(self.mode, self.monitor, model)

    def let_go(self, network):
        """Keep the model if it is among the best so far."""
        if self.keep == "all" or network.model is None:
            return
        with self.lock:
            self.kept = sorted([*self.kept, network], key=self.rank)
            for each in self.kept[self.keep :]:
                each.model = None
            del self.kept[self.keep :]


def free(error):
    """Let go of what the functions had at hand through which an error came: models and programs."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
