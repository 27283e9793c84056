"""The search for a repair: the original, fixes of findings one at a time, a recipe, short runs; then the full training.

(a) Candidates are compared at a quarter of the epochs (`SHORT`), with the figures that the current best had then.
(b) The original is trained to the end, unless it is no better than a constant after half of the epochs; it is
    continued if the repaired model is not clearly better than that.
(c) After the fixes, a recipe that works for most small networks is tried as a whole, and if the result is worse than
    simple methods (`task.yardstick`), rates, initial weights and widths, by successive halving.
"""

from __future__ import annotations

import time
import warnings
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ..._base.checks import flag, integer, number
from ..._base.numbers import as_array
from ..._base.random import check_seed, generator, seeded
from . import proposals, recipes
from .blueprint import Blueprint
from .edits import early_stop
from .result import Change, Repair
from .task import Task, yardstick
from .trial import Data, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from ...models.model import Model

SHORT = 4  # a short run has this part of the epochs
ROUNDS = 8  # at most so many changes by findings
NEAR = 0.02  # of the score of simple methods
LATE = 3  # candidates that are trained to the end after they were rejected
CLEAR = 0.1  # a gain of the score that needs no further comparison


def repair(
    build: Callable[[], Model],
    x: ArrayLike,
    y: ArrayLike,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    dry_run: bool = False,
    verbose: int = 1,
) -> Repair:
    """Find what keeps a model from learning, change it, and return a better, trained model.

    The fixes that the findings propose are applied one at a time, and each is kept if the model improves on the
    validation data: last activation, loss and scales first, then initial weights, activations, batch normalisation,
    learning rate, optimizer, clipping and regularisation. If the model is still worse than simple
    methods, learning rate, initial weights and width are then searched with short runs. If nothing helps, the trained
    original is returned.

    The arrays are not changed. Scaling becomes part of the repaired model, as layers, so that it takes the same `x` and
    predicts `y` in the same unit.

    Parameters
    ----------
    build : callable
        ``build()`` returns a new compiled model each time.
    x : array_like (n, *input_shape)
    y : array_like (n, ...)
        Rows of x and y with NaN or infinity are left out.
    validation_data : (x, y), optional
        Default: a fifth of the rows.
    epochs : int, optional
        Number of epochs of a full training; default 30.
    batch_size : int, optional
        Default 32.
    seconds : float, optional
        After this time no new candidate is started, and training stops at the end of an epoch.
    seed : int
        Seed of initial weights and sample orders, the same for all candidates.
    dry_run : bool
        Only return the plan, without any training.
    verbose : {0, 1}
        1: print a line for each candidate, or the plan.

    Returns
    -------
    diagnostics.Repair
        With ``model``, ``changes``, ``before`` and ``after``; print it for a summary.

    Raises
    ------
    TypeError
        If `build` does not return a compiled model.
    ValueError
        If x and y have different lengths, or no finite rows.

    References
    ----------
    Zhang, Zhai, Ma & Shen 2021 (AutoTrainer: fixes that are tried and verified); Jamieson & Talwalkar
    2016 (successive halving).

    Examples
    --------
    >>> def build():
    ...     model = fastnn.Sequential([
    ...         fastnn.layers.Dense(16, "relu", input_shape=(2,)), fastnn.layers.Dense(1, "softmax")])
    ...     model.compile("adam", "binary_crossentropy")
    ...     return model
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(400, 2))
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> repaired = fastnn.repair(build, x, y, epochs=20, verbose=0)
    >>> repaired.after["accuracy"] > 0.9 > repaired.before["accuracy"]
    True
    >>> repaired.changes[0].what
    'last layer: at least 1 unit, sigmoid and binary_crossentropy'
    """
    if not callable(build) or hasattr(build, "compiled"):  # a model may be called, too
        raise TypeError(f"build: expected a function that returns a compiled model, got {build!r}")
    epochs = integer("epochs", 30 if epochs is None else epochs, 1)
    batch_size = integer("batch_size", 32 if batch_size is None else batch_size, 1)
    seed, dry_run = check_seed("seed", seed), flag("dry_run", dry_run)
    seconds = None if seconds is None else number("seconds", seconds, 0)
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build()
    if not getattr(model, "compiled", False):
        raise TypeError(f"build: expected a function that returns a compiled model, got one that returns {model!r}")
    if model._ports is not None:
        raise ValueError(
            f"build: expected a model with one input and one output, got one with {len(model.inputs)} and"
            f" {len(model.outputs)}"
        )
    data = _data(x, y, validation_data, seed)
    job = _Job(model, data, epochs, batch_size, seed, seconds, verbose)
    result = job.plan() if dry_run else job.run()
    if dry_run and verbose:
        print(result)
    return result


def _data(x, y, validation_data, seed):
    """Finite rows, split if there are no validation data."""
    x, y = as_array("x", x), as_array("y", y)
    if len(x) != len(y):
        raise ValueError(f"y: expected {len(x)} rows like x, got {len(y)}")
    (x, y), n = _finite(x, y), len(x)
    if len(x) < 2:
        raise ValueError(f"x: expected at least 2 rows without NaN and infinity, got {len(x)} of {n}")
    left_out = n - len(x)
    if validation_data is None:
        order = generator(seed).permutation(len(x))
        held = order[: max(1, len(x) // 5)]
        kept = np.sort(order[len(held) :])
        return Data(x[kept], y[kept], x[held], y[held], left_out)
    xv, yv = (as_array(f"validation_data[{i}]", validation_data[i]) for i in range(2))
    return Data(x, y, *_finite(xv, yv), left_out)


def _finite(x, y):
    good = np.ones(len(x), bool)
    for array in (x, y):
        if array.dtype.kind == "f":
            good &= np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return (x, y) if good.all() else (x[good], y[good])


class _Job:
    """One call of `repair`."""

    def __init__(self, model, data, epochs, batch_size, seed, seconds, verbose):
        self.data, self.epochs, self.seed, self.verbose = data, epochs, seed, verbose
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.original = Blueprint.of(model, min(batch_size, data.n), epochs, data.x.shape[1:])
        self.task = Task.of(data.y, model.output_shape[-1] if model.built else self.original.units, model.loss)
        self.model, self.steps = model, 0
        self.changes, self.rejected, self.trials, self.late_bloomers = [], [], [], []
        if data.left_out:
            self.changes.append(Change(f"{data.left_out} rows with NaN or infinity left out", "they make weights NaN"))

    def trial(self, blueprint, model=None):
        """A candidate; None if it cannot be built."""
        try:
            model = blueprint.build(self.seed) if model is None else model
        except Exception:
            return None
        made = Trial(blueprint, model, self.task, self.data)
        self.trials.append(made)
        return made

    def cost(self):
        """In trainings of the original."""
        rows = sum(len(t.curve) for t in self.trials)
        return rows / self.epochs

    def late(self):
        return self.deadline is not None and time.monotonic() > self.deadline

    def checked(self, model):
        """Findings before training; none if the check itself fails."""
        d = self.data
        try:
            return list(model.check(d.x, d.y, validation_data=(d.xv, d.yv))) if hasattr(model, "check") else []
        except Exception:
            return []

    def short(self, blueprint):
        return ceil(min(blueprint.epochs, max(self.epochs, 30)) / SHORT)

    # --- without training ---

    def plan(self):
        findings = self.checked(self.model)
        current, changes = self.original, list(self.changes)
        kept = set()
        available = proposals.of(self.task, self.data, current)
        for edit, finding in proposals.proposed(findings, available, set(), kept):
            if edit.family not in kept and (made := edit.applied(current)) is not None:
                kept.add(edit.family)
                current = made
                changes.append(Change(edit.what, finding.message, finding.code))
        return Repair(None, changes, {}, {}, findings, current.epochs, current.batch_size, planned=True)

    # --- with training ---

    def run(self):
        before = self.trial(self.original, self.model)
        findings = self.checked(self.model)
        before.train(self.epochs, self.deadline, hopeless_at=ceil(self.epochs / 2))
        findings = merged(findings, before.findings())
        self.say("original", before.last)
        best = self.fix(before, findings)
        best = self.challenge(best)
        best.train(best.blueprint.epochs, self.deadline)
        if not self.satisfied(best):
            best = self.extend(best)
        if not self.satisfied(best):
            best = self.search(best)
        best = self.finish(best, before)
        if self.verbose and best is before:
            print("nothing that was tried helps")
        after = best.last
        if best is before:
            self.changes = self.changes[: bool(self.data.left_out)]
        figures = [{} if self.data.left_out else before.last.as_dict(self.task), after.as_dict(self.task)]
        return Repair(best.model, self.changes, *figures, findings, len(best.curve), best.blueprint.batch_size,
                      self.cost(), self.rejected)  # fmt: skip

    def fix(self, best, findings):
        """Apply what the findings propose, one change at a time."""
        tried, kept, asked = set(), set(), list(findings)
        for _ in range(ROUNDS):
            available = proposals.of(self.task, self.data, best.blueprint)
            for edit, finding in proposals.proposed(asked, available, tried, kept):
                if self.late():
                    return best
                tried.add(edit.what)
                made = edit.applied(best.blueprint)
                better = self.attempt(best, made, [edit.what], finding.message, finding.code)
                if better is not None:
                    best = better
                    kept.add(edit.family)
                    break
            else:
                return best
            asked = merged(self.checked(best.blueprint.build(self.seed)), best.findings())
        return best

    def attempt(self, best, blueprint, what, why, code=None):
        """Train a candidate for a short run; it, if it is better than the best one was then."""
        made = None if blueprint is None else self.trial(blueprint)
        if made is None:
            return None
        short = self.short(blueprint)
        made.train(short, self.deadline)
        old, new = best.at(short), made.at(short)
        self.say("; ".join(what), new)
        if not new.better_than(old):
            self.rejected += what
            self.late_bloomers.append((best, made, what, why, code))
            return None
        self.note(what, why, code, old, new)
        return made

    def note(self, what, why, code, old, new):
        """Log what was kept."""
        pair = [f.as_dict(self.task) for f in (old, new)]
        self.changes += [Change(each, why, code, *pair) for each in what]

    def challenge(self, best):
        """The recipe as a whole, for what no finding said."""
        blueprint, what = recipes.usual(best.blueprint, self.task, self.data)
        if set(what) <= set(self.rejected) or self.late():
            return best
        best.train(self.short(blueprint), self.deadline)
        return self.attempt(best, blueprint, what, "usual for small networks, and better than before") or best

    def extend(self, best):
        """Train to the end what was rejected after a short run: some changes pay off late."""
        for base, made, what, why, code in self.late_bloomers[:LATE]:
            if base is best and not self.late():
                made.train(made.blueprint.epochs, self.deadline)
                self.say("; ".join(what) + ", all epochs", made.last)
                if made.last.better_than(best.last):
                    self.note(what, why, code, best.last, made.last)
                    self.rejected = [each for each in self.rejected if each not in what]
                    return made
        return best

    def satisfied(self, best):
        d = self.data
        bar = yardstick(self.task, d.x, d.y, d.xv, d.yv)
        return best.last.score >= bar - max(NEAR, 2 * best.last.margin)

    def search(self, best):
        """Successive halving over rate, initial weights and width, from an eighth of the epochs."""
        field = [(best, [])]
        for blueprint, what in recipes.neighbours(best.blueprint):
            made = self.trial(blueprint)
            if made is not None:
                field.append((made, what))
        epochs = max(1, self.short(best.blueprint) // 2)
        while len(field) > 1 and not self.late():
            for each, _ in field:
                each.train(epochs, self.deadline)
            field.sort(key=lambda pair: (-pair[0].at(epochs).score, pair[0].at(epochs).loss))
            field, epochs = field[: len(field) // 2], epochs * 2
        found, what = field[0]
        epochs = len(found.curve)
        if not what or not found.at(epochs).better_than(best.train(epochs, self.deadline).at(epochs)):
            return best
        self.say("; ".join(what), found.at(epochs))
        self.note(what, "found by a search with short runs", None, best.at(epochs), found.at(epochs))
        return found

    def finish(self, best, before):
        """Train the best one to the end; the original, if it is not worse."""
        best.train(best.blueprint.epochs, self.deadline)
        if best is not before:
            if best.last.score < before.last.score + CLEAR:
                before.train(self.epochs, self.deadline)
            if not best.last.better_than(before.last):
                best.keep_best()
            if not best.last.better_than(before.last):
                best = before
        at_end = best.last
        if best.best is not None and (
            best.best[0].score > at_end.score + 3 * at_end.margin or best.best[0].loss < 0.8 * at_end.loss
        ):
            unchanged = best is before
            if unchanged:
                best = self.copy_of(before)
            if best.keep_best():
                self.changes = self.changes[: bool(self.data.left_out)] if unchanged else self.changes
                self.note([early_stop().what], "better than the last epoch", None, at_end, best.last)
        return best

    def copy_of(self, trial):
        """The same trial for other weights: the original keeps its own."""
        made = Trial(trial.blueprint, trial.blueprint.build(self.seed), self.task, self.data, list(trial.curve),
                     trial.history, trial.error, trial.best)  # fmt: skip
        made.model.set_weights(trial.model.get_weights())
        return made

    def say(self, what, figures):
        if self.verbose:
            shown = figures.as_dict(self.task).items()
            text = ", ".join(f"{name} {value:.4g}" for name, value in shown) or "no finite predictions"
            print(f"{what}: {text}", flush=True)


def merged(*lists):
    """Findings of several sources, each code and layer once, in their order."""
    found = {}
    for findings in lists:
        for f in findings:
            found.setdefault((f.code, f.layer), f)
    return list(found.values())
