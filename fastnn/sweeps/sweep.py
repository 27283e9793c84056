"""Sweeps: many networks trained on the same data, one on each core.

(a) A network is trained by one Python thread that releases the GIL while the core runs: so data are
    shared, nothing is copied to other processes, and any Python code can build the networks.
(b) A network gives the same result as alone: it has its own seed, and its epochs are those of `Model.fit`.
(c) Halving proceeds in rounds: all remaining networks reach the same epoch, then the worst are stopped. So it does
    not depend on which of them was fastest.
"""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from math import ceil
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .._base.checks import flag, integer, one_of, refuse_keywords
from .._base.config import float_dtype
from .._base.files import warn
from .._base.random import check_seed, next_seed
from .._core import threads as core_threads
from ..callbacks.monitor import rises
from ..callbacks.progress import Progress
from ..engine.precision import get_float32_matmul_precision
from ..saving import state
from ..training.data import arrays
from ..training.data.feature_names import names_of, refuse_others
from ..training.health import checked
from . import data
from .journal import Journal, digest
from .network import LIVE, Network, free, named_arguments, networks_of, rounds_of
from .result import SweepResult, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal

    from .._base.types import ArraysLike, Mode, Path, Verbosity
    from ..models.model import Model

LOOK = 0.05  # polling interval of the main thread in seconds


def sweep(
    build: Callable[..., Model],
    params: Iterable[Mapping[str, Any]] | int,
    x: ArraysLike,
    y: ArraysLike,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    validation_data: tuple[ArraysLike, ArraysLike] | tuple[ArraysLike, ArraysLike, ArraysLike] | None = None,
    validation_split: float = 0.0,
    sample_weight: ArraysLike | None = None,
    class_weight: Mapping[int, float] | None = None,
    shuffle: bool = True,
    callbacks: Callable[[], Any] | None = None,
    monitor: str | None = None,
    mode: Mode = "auto",
    halving: int | None = None,
    min_epochs: int = 1,
    keep: int | Literal["all"] = 1,
    seed: int | None = None,
    workers: int | None = None,
    on_error: Literal["raise", "keep"] = "raise",
    journal: Path | None = None,
    verbose: Verbosity = "auto",
    check_finite: bool = True,
    health: bool | Literal["every"] = False,
    **kwargs: Any,
) -> SweepResult:
    r"""Train many networks, of any widths, depths, activations, optimizers and seeds, one on each core.

    Network k is bitwise identical to ``set_random_seed(result[k]["seed"]); model = build(**params[k]);
    model.fit(x, y, ...)``, for any number of workers.

    Parameters
    ----------
    build : callable
        ``build(**params[k])`` returns a compiled model.
    params : iterable of dict, or int
        One dict for each network: a list, scikit-learn's ``ParameterGrid`` or ``ParameterSampler``, or the suggestions
        of an Optuna study. These entries apply to the training of that network, and are passed to `build` only if it
        has such an argument: "batch_size", "epochs", "seed"; "indices", the rows of x and y to train on (repetitions
        are allowed: bootstrap); "fold", a pair (training rows, validation rows), as yielded by the splitters of
        scikit-learn; "sample_weight" (n,), in place of that of the sweep. An int: that number of networks
        ``build()``, which differ in their seeds.
    x, y : array_like, or list or dict of arrays
        As for `Model.fit`; shared, not copied for each network.
    epochs : int
    batch_size : int
    validation_data : (x, y) or (x, y, sample_weight), optional
    validation_split : float
    sample_weight, class_weight, shuffle
        As for `Model.fit`. (Weights from `class_weight` are computed for each network.)
    callbacks : callable, optional
        Returns a new list of callbacks for each network. They are called in the thread that trains it.
    monitor : str, optional
        Name of the value that networks are ranked by, at their last epoch. Default: "val_loss", or "loss" without
        validation.
    mode : {"auto", "min", "max"}
        Whether to minimise or maximise the monitored value.
    halving : int, optional
        η, at least 2: successive halving. After `min_epochs`, η `min_epochs`, η² `min_epochs`, … epochs only the best
        1/η of the networks continue.
    min_epochs : int
        Number of epochs before the first decision of `halving`.
    keep : int or "all"
        Number of best models to keep; the others are freed as soon as they are done.
    seed : int, optional
        Seed from which the seeds of the networks are derived; default: the next seed of the process.
    workers : int, optional
        Number of networks trained concurrently; default: the number of cores (`get_num_threads`).
    on_error : {"raise", "keep"}
        Whether an error in `build` or in training ends the sweep, or only that network; the error is then in its row.
        A `monitor` that a network does not have, and exceptions other than `Exception` (``sys.exit()``, Ctrl-C),
        always end the sweep.
    journal : str or path-like, optional
        A file to which each network is written as soon as it has ended; kept models are saved in the directory
        ``<journal>.models``. Repeating the call resumes an interrupted or killed sweep, with bitwise identical
        results: networks in the journal are not trained again.
    verbose : {"auto", 0, 1, 2}
        1: a live line on a terminal and in a notebook, and one line at the end. 0: silent.
    check_finite : bool
        Check x and y for NaN and infinity, once.
    health : bool or "every"
        As in `Model.fit`, for callbacks and the histories of the models that are kept.

    Returns
    -------
    SweepResult
        A sequence with a dict for each network, in the order of `params`.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, after the current steps. This and any other error that ends the sweep has an attribute ``result``,
        a `SweepResult` of the networks that have ended.
    ValueError
        If the journal belongs to another sweep; the message says what differs.
    FormatError
        If the file is not a journal, or is corrupted.

    Notes
    -----
    A network whose loss is NaN or infinite after an epoch is stopped; its status is "diverged", and it ranks last. Its
    row and history end with that epoch; the model may have been trained for a few more epochs, at most 65,536 samples
    in total, until this was detected.

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
            f"callbacks: expected a function that returns a new list of callbacks for each network, got {callbacks!r}"
        )
    if keep != "all":
        keep = integer("keep", keep, 0)
    workers = core_threads.get_num_threads() if workers is None else integer("workers", workers, 1)
    validation = data.validation(validation_data)
    if validation_data is not None:
        refuse_others("validation_data[0]", names_of(x), names_of(validation_data[0]))
    inputs = data.shared("x", x)
    n = data.count(inputs)
    common = {
        "x": inputs, "y": data.labels(data.shared("y", y, n)),
        "validation_data": validation, "validation_split": validation_split, "class_weight": class_weight,
        "check_finite": None if check_finite else False,  # whether a network's dtype can hold them, it looks itself
        "shuffle": shuffle, "feature_names": names_of(x), "health": checked(health),
        "sample_weight": None if sample_weight is None else data.shared("sample_weight", sample_weight, n),
    }  # fmt: skip
    book = None if journal is None else Journal(journal)
    try:
        entropy = next_seed() if seed is None else check_seed("seed", seed)
        if seed is None and book is not None and book.seed is not None:
            entropy = book.seed
        networks = networks_of(params, entropy, epochs, eta is not None)
        validated = validation is not None or bool(validation_split)
        validated |= data.set_rows(networks, n, validated)
        rounds = rounds_of(max(n.epochs for n in networks), eta, first)
        if check_finite:
            data.check_finite(common["x"], common["y"], validation)
        job = _Sweep(build, networks, common, batch_size, callbacks, monitor, mode, keep, on_error)
        job.validated, job.rounds, job.journal = validated, rounds, book
        job.monitor = monitor or ("val_loss" if validated else "loss")
        if book is not None:
            book.check(entropy, job.definition(epochs, eta, first))
            job.restore()
        return _run(job, eta, workers, Progress(verbose))
    finally:
        if book is not None:
            book.close()


def _run(job, eta, workers, progress):
    """All rounds of a sweep, and its result."""
    progress.start("Sweep", len(job.networks))
    with progress:
        try:
            for until in job.rounds:
                job.each(job.alive(), job.advance_to(until), workers, progress)
                if until != job.rounds[-1]:
                    job.each(job.cut(until, eta), Network.stop, workers, progress)
            job.each(job.without_model(), job.again, workers, progress)
        except BaseException as error:
            try:
                error.result = job.result(interrupted=True)
            except Exception:  # an error without attributes, or before there are results
                pass
            raise
    result = job.result()
    progress.finish(result.summary())
    return result


class WrongMonitor(ValueError):
    """A wrong argument of the sweep, not of one network: it ends the sweep regardless of `on_error`."""


class _Sweep:
    """The networks of a sweep and the threads that train them."""

    def __init__(self, build, networks, common, batch_size, callbacks, monitor, mode, keep, on_error):
        self.validated, self.monitor, self.rounds, self.journal = False, monitor, (), None
        self.build, self.networks, self.common, self.batch_size = build, networks, common, batch_size
        self.callbacks, self.mode, self.keep, self.on_error = callbacks, mode, keep, on_error
        self.takes = named_arguments(build).__contains__
        self.rising, self.lock, self.failed, self.stopping = None, threading.Lock(), None, False
        self.kept, self.weights, self.ending = [], {}, threading.Lock()
        self.owners = WeakKeyDictionary()  # of models and optimizers: number of the network

    def alive(self):
        return [n for n in self.networks if n.status in LIVE]

    def rank(self, network):
        return place(network, self.monitor, self.rising)

    def advance_to(self, until):
        def advance(network):
            if network.run is None:
                if network.done >= until:  # according to the journal, it waits there
                    return
                self.begin(network)
            network.advance(min(until, network.epochs), self.is_stopping)

        return advance

    def cut(self, until, eta):
        """The networks to stop after a round: according to the journal, or the worst of those that wait."""
        if self.journal is not None and until in self.journal.rounds:
            return [n for n in self.alive() if n.index in self.journal.rounds[until]]
        ranked = sorted(self.alive(), key=self.rank)
        worst = ranked[ceil(len(ranked) / eta) :]
        if self.journal is not None:
            self.journal.round(until, worst)
        return worst

    def result(self, interrupted=False):
        if interrupted:
            for network in self.networks:
                network.interrupt()
        return SweepResult(self.networks, self.monitor, self.rising)

    # --- the journal ---

    def definition(self, epochs, eta, first):
        """The definition of the sweep, with digests of large values."""
        common = self.common
        return {
            "params": [digest([n.given, n.seed]) for n in self.networks], "x": digest(common["x"]),
            "y": digest(common["y"]), "validation_data": digest(common["validation_data"]),
            "sample_weight": digest(common["sample_weight"]), "class_weight": digest(common["class_weight"]),
            "validation_split": float(common["validation_split"]), "shuffle": bool(common["shuffle"]),
            "epochs": epochs, "batch_size": self.batch_size, "monitor": self.monitor, "mode": self.mode, "halving": eta,
            "min_epochs": first, "precision": get_float32_matmul_precision(), "build": digest(self.build),
            "callbacks": digest(self.callbacks),
        }  # fmt: skip

    def restore(self):
        """Restore the networks from the journal."""
        for k, said in self.journal.networks.items():
            if not 0 <= k < len(self.networks):
                raise ValueError(
                    f"journal: expected networks 0 to {len(self.networks) - 1}, got network {k} in {self.journal.path}"
                )
            self.networks[k].restore({**said, "same bits": self.journal.same_bits})
            self.rising = said["rising"]
        self.kept = sorted((n for n in self.networks if n.status not in LIVE), key=self.rank)
        if self.keep != "all":
            del self.kept[self.keep :]

    def without_model(self):
        """The networks to keep whose models were in another process."""
        kept = self.networks if self.keep == "all" else self.kept
        return [n for n in kept if n.model is None and n.status != "error"]

    def again(self, network):
        """The model of a network that has ended, from its file, or trained again."""
        said = {**network.restored, "status": network.status}
        try:
            if said["model"] and os.path.exists(self.journal.model_path(network)):
                self.begin(network, silent=True)
                state.put(self.journal.model_path(network), network.model)
                network.finish_as(said)
                return
            self.begin(network)
            # Up to the end of its round: in a diverging network, the number of epochs trained ahead may matter.
            network.advance(min([r for r in self.rounds if r >= said["epochs"]] + [network.epochs]), self.is_stopping)
            if network.status in LIVE and not self.stopping:
                network.stop(said["status"])
        finally:
            if network.status != said["status"]:
                network.leave()
                network.restore(said)

    def is_stopping(self):
        return self.stopping

    # --- threads ---

    def each(self, networks, action, workers, progress):
        """Run `action` for every network, in `workers` threads."""
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

        # Each with a copy of the context of the caller: precision of products, NumPy's errstate.
        pool = [
            threading.Thread(target=copy_context().run, args=(work,), daemon=True) for _ in range(min(workers, count))
        ]
        try:
            pool = _started(pool, workers)
            if not pool:
                work()
            self.join(pool, networks, look)
        except BaseException:
            self.stopping = True
            self.join(pool, networks, lambda: None)
            raise
        if self.failed is not None:
            raise self.failed

    def join(self, pool, networks, look):
        """Wait for the threads, and stop their networks if the sweep stops."""
        for thread in pool:
            while thread.is_alive():
                thread.join(LOOK)
                look()
                for network in networks if self.stopping else ():  # repeatedly, as one may have just started
                    model = network.model
                    if model is not None:
                        model.stop_training = True

    def one(self, network, action):
        """Run `action` for a network, in its thread."""
        before = network.status
        try:
            with core_threads.using(1), network.scope:
                action(network)
        except BaseException as error:
            network.fail(error)
            if isinstance(error, WrongMonitor) or self.on_error == "raise" or not isinstance(error, Exception):
                self.fail(network, error)
            else:
                free(error)
            return
        try:
            if before in LIVE:
                self.ended(network)
        except BaseException as error:  # of the journal: stop if results cannot be saved
            self.fail(network, error)

    def begin(self, network, silent=False):
        """Build the model; `silent`: without callbacks, as it will not be trained."""
        model = network.build(self.build, self.takes)
        self.own(network, model, "model")
        self.own(network, model.optimizer, "optimizer")
        callbacks = None if silent else self.callbacks
        network.start(model, self.data_for(model, network), self.batch_size, callbacks)
        self.check_monitor(model)

    def ended(self, network):
        """Keep the model if it is among the best so far, and record it in the journal."""
        if network.status in LIVE:
            if self.journal is not None and network.waits:
                with self.ending:
                    self.journal.ended(network, self.rising, False)
            return
        with self.ending:
            gone = [] if self.keep == "all" else self.let_go(network)
            if self.journal is not None:
                self.journal.ended(network, self.rising, network.model is not None)
                for each in gone:
                    if each is not network:
                        self.journal.drop(each)

    def fail(self, network, error):
        """Record the first error that ends the sweep."""
        with self.lock:
            self.stopping = True
            if self.failed is None:
                self.failed = error
                try:
                    error.add_note(f"network {network.index} of the sweep: {network.given}")
                except Exception:  # a parameter that cannot be printed must not hide the error
                    error.add_note(f"network {network.index} of the sweep")

    def own(self, network, thing, what):
        """TypeError if another network uses the same object, which both would train."""
        with self.lock:
            owner = self.owners.setdefault(thing, network.index)
        if owner != network.index:
            raise TypeError(
                f"build: expected a new {what} for each network, got the {what} of network {owner} for network"
                f" {network.index}; create the {what} in build"
            )

    def data_for(self, model, network):
        """Arguments of `fitting.start`: sample weights in the dtype of the model, converted once for each dtype."""
        weight, dtype = self.common["sample_weight"], float_dtype(model.dtype)
        common = {**self.common, "rows": network.rows, "validation_rows": network.validation_rows}
        if network.given.get("sample_weight") is not None:
            return {**common, "sample_weight": network.given["sample_weight"]}
        if weight is None:
            return common
        with self.lock:
            if dtype not in self.weights:
                self.weights[dtype] = data.mapped(lambda array: arrays.aligned(array, dtype), weight)
        return {**common, "sample_weight": self.weights[dtype]}

    def check_monitor(self, model):
        """Check the monitor; the first network determines the direction of its metrics."""
        names = ["loss", *model.metrics_names[1:]]
        names += [f"val_{name}" for name in names if self.validated]
        if self.monitor not in names:
            hint = "" if self.validated else "; names with val_ need validation_data or validation_split"
            raise WrongMonitor(f"monitor: expected one of {', '.join(names)}, got {self.monitor!r}{hint}")
        with self.lock:
            if self.rising is None:
                self.rising = rises(self.mode, self.monitor, model)

    def let_go(self, network):
        """Free the models that are no longer among the best; returns their networks."""
        with self.lock:
            self.kept = sorted([*self.kept, network], key=self.rank)
            gone = self.kept[self.keep :]
            for each in gone:
                each.model = None
            del self.kept[self.keep :]
        return gone


def _started(pool, workers):
    """The threads that could be started; fewer threads train the same networks."""
    for i, thread in enumerate(pool):
        try:
            thread.start()
        except RuntimeError as error:
            warn(f"sweep: expected {min(workers, len(pool))} threads, could start only {i} ({error})", RuntimeWarning)
            return pool[:i]
    return pool
