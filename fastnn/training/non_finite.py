"""What `fit` does about NaN and infinity: `on_nan`.

(a) While all is well it costs a look at the loss after each call of the core, and now and then a check and a copy of
    weights and optimizer state (`Boundary`), so rarely that both take a few thousandths of the time.
(b) If the loss or a weight is non-finite, the steps since the copy are done again one by one, up to the first that
    fails: the model is then at the boundary before it. That step is looked into (engine/non_finite.py).
"""

from __future__ import annotations

import time
from math import isinf, isnan, log
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import one_of
from .._core.beyond import find_beyond
from ..diagnostics.non_finite import error_of
from ..engine import non_finite
from ..engine.lowering.health import activation_of
from ..engine.objective import whole_loss
from ..engine.replay import Block, Boundary, Epochs
from . import arguments
from .needs import need_loss

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

    from ..diagnostics.non_finite import NonFiniteError

POLICIES = ("raise", "stop", "restore", "ignore")
SHARE = 0.002  # of the time of training that copies and checks of the weights may take
RARELY = 0.25  # seconds between copies, at least
JOBS, BYTES = 4096, 1 << 26  # calls of the core, and bytes of what is kept for them, from which a copy is due
KEPT_BYTES = 1 << 26  # of a copy that stays between trainings
IN_ROW = 10  # failing steps, one after the other, that end a training with "restore"


def checked(on_nan):
    """The argument `on_nan`."""
    return one_of("on_nan", on_nan, POLICIES)


class Guard:
    """Watches one call of `fit`.

    Parameters
    ----------
    policy : one of POLICIES

    Attributes
    ----------
    errors : list of NonFiniteError
        Steps that failed; with "restore", they were left out.
    ended : bool
        Whether training has to end.
    left_out : dict of int
        By epoch, samples of steps that were left out.
    """

    def __init__(self, policy):
        self.policy, self.errors, self.ended, self.left_out = policy, [], False, {}
        self.engine, self.boundary, self.jobs, self.kept, self.reading = None, None, [], 0, None
        self.due, self.in_row = 0.0, 0

    # -- steps ------------------------------------------------------------------------------------------------
    def run(self, engine, job, seconds):
        """Run a job (engine/replay.py): afterwards it says what of it has been done."""
        if self.policy == "ignore":
            job.run(engine, seconds)
            return
        if not self._begin(engine, job):
            return
        finite = job.run(engine, seconds)
        self.reading = engine.store.weights_clock.now
        self.jobs.append(job)
        self.kept += job.nbytes
        if not finite:
            self._replay(engine, job)
        elif time.perf_counter() > self.due or len(self.jobs) > JOBS or self.kept > BYTES:
            if find_beyond(engine.store.flat["theta"]) < 0:
                self._save(engine)
            else:
                self._replay(engine, job)

    def _begin(self, engine, job):
        """Before a call of the core: a copy, if there is none or the weights have changed since; whether to go on."""
        engine.store.acquire()
        engine.start_averages()
        known, now = self.engine is engine, engine.store.weights_clock.now
        if known and self.reading == now:
            return True
        if engine.finite_at != now and find_beyond(engine.store.flat["theta"]) >= 0:  # not by a step of this training
            origin = non_finite.weight(engine, non_finite.bad_variables(engine))
            epoch, batch = job.place(getattr(job, "start", 0))
            self.errors.append(error_of({"epoch": epoch, "batch": batch, **details(engine, origin, (), np.nan)}))
            self._end()
            return False
        if not known:
            self._give_back()
            self.engine, self.boundary, engine.boundary = engine, engine.boundary or Boundary(engine), None
        self._save(engine)
        return True

    def _give_back(self):
        """Leave the memory of the copy to the next training, unless it is large."""
        if self.engine is not None and self.boundary.nbytes <= KEPT_BYTES:
            self.engine.boundary = self.boundary
        self.engine = self.boundary = None

    def _save(self, engine):
        begun = time.perf_counter()
        self.boundary.save(engine)
        self.jobs, self.kept, self.reading = [], 0, engine.store.weights_clock.now
        engine.finite_at = self.reading
        now = time.perf_counter()
        self.due = now + max(RARELY, 2 * (now - begun) / SHARE)

    def finish(self):
        """After the last step: check its weights."""
        engine = self.engine
        if self.jobs and not self.ended and self.reading == engine.store.weights_clock.now:
            if find_beyond(engine.store.flat["theta"]) >= 0:
                self._replay(engine, self.jobs[-1])
            engine.finite_at = self.reading
        self.jobs = []
        self._give_back()

    # -- after a failure --------------------------------------------------------------------------------------
    def _replay(self, engine, current):
        """Do the steps since the copy again, without those that fail, or up to the first of them."""
        health, engine.health = engine.health, None
        if health is not None:
            health.keep()
        later, engine.later = engine.later, None  # a long step that Ctrl-C interrupts is done again
        before, last, spare = None, None, Boundary(engine)
        failed = len(self.errors)
        try:
            self.boundary.restore(engine)
            for job in self.jobs:
                job.rewind(before)
                for k in job.steps:
                    spare.save(engine)
                    finite = job.again(engine, k)
                    if finite and find_beyond(engine.store.flat["theta"]) < 0:
                        self.in_row = 0
                        continue
                    last = job
                    if not self._failed(engine, spare, job, k, finite):
                        self._cut(job, k, current)
                        return
                before = job
            if len(self.errors) == failed:
                self.errors.append(self._unknown(engine, current))
                self._end()
        finally:
            engine.health, engine.later = health, later
            if last is not None or self.ended:
                engine.store.weights_clock.tick()
        self._save(engine)

    def _failed(self, engine, spare, job, k, finite):
        """A step has failed: undo it, say why; returns whether to go on without it."""
        job.undo()
        origin = _origin(engine, spare, job, k, finite)
        self.errors.append(_error(engine, origin, job, k))
        self.in_row += 1
        if self.policy != "restore" or self.in_row >= IN_ROW:
            self._end()
            return False
        epoch = job.place(k)[0]
        self.left_out[epoch] = self.left_out.get(epoch, 0) + job.samples(k)
        engine.step += 1
        return True

    def _cut(self, job, k, current):
        """The training ends before step k of a job; what `current` says it has done must fit that."""
        if isinstance(job, Block):
            job.done = k * job.batch
        else:
            job.stop = k
        if job is current:
            return
        if isinstance(current, Block):
            same = isinstance(job, Block) and job.epoch == current.epoch
            current.done = job.first + job.done - current.first if same else 0
            current.sums = job.sums if same else current.carry
        else:
            same = isinstance(job, Epochs) and job.totals is current.totals
            current.stop = k if same else 0

    def _end(self):
        self.ended = True
        if self.policy == "raise":
            raise self.errors[-1]

    def _unknown(self, engine, job):
        epoch, batch = job.place(next(iter(job.steps), 0))
        return error_of({
            "epoch": epoch, "batch": batch,
            "cause": "not found, as the steps were finite when they were repeated: a custom layer, loss or metric has"
            " internal state, or the data have changed",
            "advice": "The weights are those of the repeated steps",
        })  # fmt: skip


def _origin(engine, boundary, job, k, finite):
    """What has failed in a step that was just done; afterwards the engine is at the boundary before it.

    finite: whether the loss was."""
    after = non_finite.bad_variables(engine)
    value = non_finite.weight(engine, after).value if after else np.nan
    boundary.restore(engine)
    step = non_finite.Step(engine, job.data, *job.rows_of(k), job.samples(k), job.batch, job.rate(k))
    origin = step.origin(not finite, after)
    if origin.tensor == "weight":
        origin.value = value
    boundary.restore(engine)
    return origin


def _error(engine, origin, job, k):
    epoch, batch = job.place(k)
    rows, row0 = job.rows_of(k)
    rows = np.arange(row0, row0 + job.samples(k)) if rows is None else np.array(rows)
    rows = np.sort(rows if origin.rows is None else rows[origin.rows])
    rate = float(np.ravel(job.rate(k))[0])
    return error_of({"epoch": epoch, "batch": batch, **details(engine, origin, rows, rate)})


def details(engine, origin, rows, rate):
    """The attributes of the error for what was found."""
    node = origin.node
    layer = node and (node.act_layer if origin.tensor == "activation" and node.act_layer else node.layer)
    cause, advice = _why(engine, origin, rate)
    return {
        "rows": np.asarray(rows, np.int64), "layer": layer[0] if layer and node.kind != "input" else None,
        "tensor": origin.tensor, "weight": origin.variable.name if origin.variable is not None else None,
        "value": origin.value, "largest_input": origin.largest_input, "learning_rate": rate, "cause": cause,
        "advice": advice,
    }  # fmt: skip


def _why(engine, origin, rate):
    """(likely cause, what helps)."""
    tensor, node = origin.tensor, origin.node
    if tensor in ("input", "target", "sample_weight"):
        return "the data have such values", "Replace or drop them; check_finite=True finds them before training"
    if tensor == "loss" and engine.python_loss:
        return "the custom loss returns it", "Keep logarithms, divisions and roots away from 0 in it"
    if origin.backward:
        return "the layer's own backward returns it", "fastnn.check_gradient compares gradients with differences"
    if node is not None and node.kind == "python" and tensor == "activation":
        return "the layer's own call returns it", "Keep logarithms, divisions and roots away from 0 in it"
    large, most = origin.largest_input, float(np.finfo(engine.dtype).max)
    if tensor == "weight" and isnan(rate):
        return "the initializer, or values that were assigned", "Look at the weights before training"
    if tensor == "weight":
        lower = f"Lower the learning rate ({rate:.3g}), or clip gradients (clipnorm)"
        if large * rate > most / 1e6:
            return f"the update is too large: the learning rate times gradients up to {large:.3g}", lower
        return "the optimizer's state or a constraint", lower
    if node is not None and tensor == "activation" and (activation_of(node) or ("",))[0] == "exponential":
        return f"e^x overflows {engine.dtype} above {log(most):.0f}", "Scale its inputs, or use another activation"
    if isinf(origin.value) or large > most**0.25:
        return (
            f"overflow of {engine.dtype}: the weights have grown, or the data are not scaled",
            f"Lower the learning rate ({rate:.3g}), clip gradients (clipnorm), scale the data",
        )
    if tensor == "loss":
        return "the loss is not defined for such outputs or targets", "Use a last activation that fits the loss"
    return "a logarithm, division or root at 0, or growth within a step", "Lower the learning rate, scale the data"


def find_non_finite(
    model: Any, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> NonFiniteError | None:
    """Find the first NaN or infinity in a training step of these samples, for custom training loops.

    The step is computed as `train_on_batch` would do it next, with its dropout masks and its learning rate; weights,
    optimizer state and step count stay as they are.

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight
        One batch, as for `train_on_batch`; they are not checked for NaN before.

    Returns
    -------
    NonFiniteError or None
        The error that `fit` would raise; None if all is finite.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((8, 3))
    >>> fastnn.diagnostics.find_non_finite(model, x, np.ones((8, 1))) is None
    True
    >>> x[5, 1] = np.nan
    >>> error = fastnn.diagnostics.find_non_finite(model, x, np.ones((8, 1)))
    >>> error.tensor, error.rows.tolist()
    ('input', [5])
    """
    need_loss(model, "find_non_finite")
    data = arguments.data(model, x, y, sample_weight, None, False)
    if not data.n:
        raise ValueError("x: expected at least one row, got none")
    with model._lock:
        engine = model.engine()
        engine.store.acquire()
        engine.start_averages()
        bad = non_finite.bad_variables(engine)
        if bad:
            return error_of(details(engine, non_finite.weight(engine, bad), (), np.nan))
        boundary, sums = Boundary(engine), [0.0] * (1 + len(model.metrics))
        boundary.save(engine)
        job = Block(
            (data.x, data.y, data.w), None, 0, data.n, data.n, model.optimizer.rates(engine.step, 1), sums, None, None
        )
        try:
            if job.run(engine, 0.0) and find_beyond(engine.store.flat["theta"]) < 0:
                return None
            return _error(engine, _origin(engine, boundary, job, 0, np.isfinite(whole_loss(engine, job.sums))), job, 0)
        finally:
            boundary.restore(engine)
