"""Many networks over the same data, one on each core.

(a) A network is trained by one thread of Python that lets go of the interpreter while the core works: so data are
    shared, nothing is copied to other processes, and any Python can build the networks.
(b) A network is what it would be alone: its seed is its own, and its epochs are those of `Model.fit`.
(c) Halving goes in rounds: all networks still alive reach the same epoch, then the worst are stopped. So it does
    not depend on which of them was fastest.
"""

import threading
import time
from inspect import Parameter, signature
from math import ceil, inf, isfinite

from . import arrays, fitting
from ._checks import integer, one_of, refuse_keywords
from ._core import threads as core_threads
from ._random import check_seed, next_seed, seed_of, seeded
from .callbacks.base import rises
from .progress import Progress
from .sweep_result import SweepResult
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
        As for `Model.fit`.
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
        An error of `build` or of a training ends the sweep, or only that network; the error is then in its row.
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
    A network whose loss is NaN or infinite after an epoch is stopped; its status is "diverged", and it ranks last.

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
    epochs = integer("epochs", epochs, 1)
    rounds = _rounds(epochs, halving, integer("min_epochs", min_epochs, 1))
    on_error = one_of("on_error", on_error, ("raise", "keep"))
    networks = _networks(params, seed, epochs, halving is not None)
    if keep != "all":
        keep = integer("keep", keep, 0)
    workers = core_threads.get_num_threads() if workers is None else integer("workers", workers, 1)
    validation = (
        None if validation_data is None else tuple(map(_shared, ["validation_data"] * 3, validation_data))
    )
    common = {
        "x": _shared("x", x), "y": _shared("y", y), "validation_data": validation,
        "validation_split": validation_split, "sample_weight": sample_weight, "class_weight": class_weight,
        "shuffle": shuffle,
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
        for last, until in enumerate(rounds, 1):
            job.round(until, workers, progress, final=last == len(rounds))
            if last < len(rounds):
                job.stop_all_but(ceil(len(job.alive()) / halving))
    finally:
        progress.clear()
    result = SweepResult(networks, job.monitor, job.rising)
    progress.finish(result.summary())
    return result


def _rounds(epochs, halving, first):
    if halving is None:
        return [epochs]
    eta, found = integer("halving", halving, 2), []
    while first < epochs:
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
        network.epochs = integer(f"params[{k}]['epochs']", given.get("epochs", epochs), 1)
        if halved and network.epochs != epochs:
            raise ValueError(
                f"params[{k}]['epochs']: expected {epochs}, as all networks of a halving, got {network.epochs}"
            )
        networks.append(network)
    if not networks:
        raise ValueError("params: expected at least one network, got none")
    return networks


def _shared(name, value):
    """An array that all networks read where it lies."""
    if fitting.is_batches(value):
        raise TypeError(f"{name}: expected an array, got batches; a sweep reads its data many times and out of order")
    return arrays.as_array(name, value)


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

    def start(self, build, takes, common, batch_size, callbacks):
        """Build the model and check what it is to be trained with."""
        model = build(**{n: v for n, v in self.given.items() if n not in OURS or takes(n)})
        if not isinstance(model, Model) or not model.compiled:
            raise TypeError(f"build: expected a compiled model, got {model!r}")
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
        if self.done >= self.epochs and self.status == "training":
            self.stop("done")

    def stop(self, status):
        """End the training as `fit` does, here."""
        self.model.stop_training, self.status = True, status
        for _ in self.run:
            pass
        self.run = None

    def last(self, name):
        return self.history[name][-1] if self.history.get(name) else None


class _Sweep:
    """The networks of a sweep and the threads that train them."""

    def __init__(self, build, networks, common, batch_size, callbacks, monitor, mode, keep, on_error):
        validated = common["validation_data"] is not None or common["validation_split"]
        self.monitor = monitor or ("val_loss" if validated else "loss")
        self.build, self.networks, self.common, self.batch_size = build, networks, common, batch_size
        self.callbacks, self.mode, self.keep, self.on_error = callbacks, mode, keep, on_error
        self.takes = _named_arguments(build).__contains__
        self.rising, self.lock, self.failed, self.stopping = None, threading.Lock(), None, False
        self.kept = []

    def alive(self):
        return [n for n in self.networks if n.status in ("waiting", "training")]

    def rank(self, network):
        """Sorts the best network first; the earlier of two equal ones."""
        value = network.last(self.monitor)
        value = inf if value is None or value != value else -value if self.rising else value
        return (network.status in ("diverged", "error"), value, network.index)

    def stop_all_but(self, n):
        for network in sorted(self.alive(), key=self.rank)[n:]:
            network.stop("stopped")
            if self.keep != "all":
                network.model = None

    def round(self, until, workers, progress, final):
        """All networks still alive, to an epoch."""
        waiting = self.alive()
        count, order = len(waiting), iter(waiting)
        done = []

        def work():
            while True:
                with self.lock:
                    network = None if self.stopping else next(order, None)
                if network is None:
                    return
                self.one(network, until, final)
                done.append(network)

        pool = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, count))]
        try:
            for thread in pool:
                thread.start()
            for thread in pool:
                while thread.is_alive():
                    thread.join(LOOK)
                    progress.update(len(self.networks) - count + len(done), {})
        except BaseException:
            self.stopping = True
            for thread in pool:
                while thread.is_alive():
                    for network in waiting:  # again and again: one may only now have begun
                        if network.model is not None:
                            network.model.stop_training = True
                    thread.join(LOOK)
            raise
        if self.failed is not None:
            raise self.failed

    def one(self, network, until, final):
        """One network to an epoch, in a thread of its own."""
        try:
            with core_threads.using(1), network.scope:
                if network.model is None:
                    network.start(self.build, self.takes, self.common, self.batch_size, self.callbacks)
                    self.check_monitor(network.model)
                network.advance(min(until, network.epochs), lambda: self.stopping)
        except Exception as error:
            network.error, network.status, network.model, network.run = error, "error", None, None
            if self.on_error == "raise":
                with self.lock:
                    self.stopping = True
                    if self.failed is None:
                        error.add_note(f"network {network.index} of the sweep: {network.given}")
                        self.failed = error
            return
        if final or network.status != "training":
            self.let_go(network)

    def check_monitor(self, model):
        """The first network says whether its metrics rise or fall."""
        names = ["loss", *model.metrics_names[1:]]
        if self.monitor.removeprefix("val_") not in names:
            raise ValueError(f"monitor: expected one of {', '.join(names)}, also with val_, got {self.monitor!r}")
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
