"""The engine of a model: plans the programs it needs, binds arrays to them, and keeps step, state and threads.

This is the only object through which `models` uses the core. Arrays are checked before: two-dimensional with contiguous
rows of a dtype in `kernels.DATA_CODES`, labels int32 and contiguous, weights in the model's dtype.
"""

import time
from copy import copy
from functools import partial
from itertools import accumulate

import numpy as np

from .._base.numbers import as_array, check_finite
from .._core import calls, kernels, threads
from .._core.beyond import find_beyond
from ..metrics.curves import BY_RANKS, Scores
from . import graph as graphs
from . import plan_cache
from .long_steps import LONG, is_long, watch
from .parameter_store import Store
from .precision import splits_of
from .program import Program, plan
from .thread_tuner import Team

TRAINED = "the model was trained after it"  # why `backward` raises an error
STAGES = ("forward", "backward", "update")  # of a manual step
STATE_VECTORS = {name: len(state) for name, _, state in kernels.optimizer_rows()}


def _code(array):
    return (array.strides[0] if len(array) else array.dtype.itemsize, kernels.DATA_CODES[array.dtype.str])


def _number_or_copy(sums):
    return sums.copy() if sums.ndim else float(sums)


def _address(array):
    return 0 if array is None else kernels.address(array)


class Engine:
    """A model's engine.

    Parameters
    ----------
    graph : Graph
    x, y : Tensor
        Input and output.
    dtype : {"float32", "float64"}
    loss : None, LossSpec or callable
        A callable takes (y_true, y_pred) and returns (value of each sample, its gradient with respect to y_pred).
    optimizer : None or (row, parameters, {...})
        Options: "clipvalue", "clipnorm", "global_clipnorm"; "gradient_accumulation_steps";
        "ema_momentum" and "ema_overwrite_frequency"; "decay_of", a function from a variable to its decoupled decay.
    metrics : list of (row, parameters, "labels" | "values") or callable (y_true, y_pred) -> value of each sample
        The row may be `metrics.curves.BY_RANKS`.
    weighted_metrics : list of the same
        Metrics with sample weights. They come after `metrics`.
    seed : int
        Key of dropout and other noise.
    threads : int, optional
        Maximum thread count; default: as many as pay off.
    schedule : {None, "layers", "samples"}
        None: chosen from the sizes.
    isa : str, optional
        Instruction set; default: that of the process.
    weight_decay : float
        λ of the penalty λ / 2 sum w² on every weight matrix.
    precision : {None, "highest", "high", "medium"}
        Precision of float32 products; None: the setting of the thread that requests a program.
    store : Store, optional
        Store of an engine of the same variables, which this engine only reads.
    """

    def __init__(self, graph, x, y, *, dtype="float32", loss=None, optimizer=None, metrics=(), weighted_metrics=(),
                 seed=0, threads=None, schedule=None, isa=None, weight_decay=0.0, precision=None,
                 store=None):  # fmt: skip
        self.precision, self.later = precision, None  # later: a `fitting.InterruptLater` around the calls
        self.weight_decay = float(weight_decay or 0)
        self.graph, self.isa, self.seed, self.threads, self.schedule = graph, isa, int(seed), threads, schedule
        self.nodes, self.x, self.y, self.consumers = graphs.simplify(graph, x, y)
        self.trainable = graph.trainable_variables()
        self.optimizer_row, self.update_options = None, {}
        n_state = 0
        if optimizer is not None:
            row, params, self.update_options = optimizer
            self.optimizer_row = (row, tuple(params))
            n_state = STATE_VECTORS[row]
        more = ["average"] if "ema_momentum" in self.update_options else []
        more += ["accumulated"] if self.update_options.get("gradient_accumulation_steps") else []
        self.store = Store(graph, dtype, isa, n_state, tuple(more)) if store is None else store
        self.dtype = self.store.dtype
        self.step = 0
        self._set_loss(loss)
        self._set_metrics(metrics, weighted_metrics)
        # Copies, so that later plans use the current settings: regularizers and constraints are mutable, and plans are
        # shared by all models with the same structure.
        self.regularizers = {v: copy(v.regularizer) for v in self.trainable}
        self.constraints = {v: copy(v.constraint) for v in self.trainable}
        self.rules = {v: self._rule(v) for v in self.trainable}
        self.structure = plan_cache.structure(self)
        self._programs = {}
        self._manual = None
        self.expired = None  # why `backward` may not follow the last `forward(training=True)`
        self.besides = {}  # engines of other gradients, see `training.input_gradient`
        self.has_gradients = False  # of the last `backward`, or given

    def _set_loss(self, loss):
        self.loss, self.loss_row, self.loss_reads_pre = loss, None, False
        self.python_loss = not hasattr(loss, "row") and callable(loss)
        self.reduction = getattr(loss, "reduction", "sum_over_batch_size")
        if self.reduction == "none":
            raise ValueError(f"loss {loss.name}: expected reduction a mean or 'sum' for training, got 'none'")
        if loss is None or self.python_loss:
            return
        node = self.y.node
        softmax = node.kind == "softmax" and node.attrs["length"] == self.y.size
        through = node.attrs["row"] if softmax else node.act[0] if node.act else None
        self.loss_reads_pre = not loss.from_logits and loss.through is not None and loss.through == through
        self.loss_reads_pre &= not self.consumers.get(self.y)  # a penalty on the output needs its own gradient
        row = loss.logits_row if loss.from_logits or self.loss_reads_pre else loss.row
        self.loss_row = ("loss:" + row, loss.params, loss.target)

    def _set_metrics(self, metrics, weighted_metrics):
        self.metrics = [*metrics, *weighted_metrics]
        weighted = [False] * len(metrics) + [True] * len(weighted_metrics)
        both = list(zip(self.metrics, weighted, strict=True))
        by_ranks = [not callable(m) and m[0] == BY_RANKS for m in self.metrics]
        in_core = [not callable(m) and not ranks for m, ranks in zip(self.metrics, by_ranks, strict=True)]
        self.score_places = [(1 + i, weighted[i]) for i, ranks in enumerate(by_ranks) if ranks]
        self.metric_rows = [
            ("metric:" + m[0], m[1], m[2], w) for (m, w), here in zip(both, in_core, strict=True) if here
        ]
        self.python_metrics = [(1 + i, m, w) for i, (m, w) in enumerate(both) if callable(m)]
        # number of pairs of sums of each row of loss and metrics
        self.core_loss = self.loss_row is not None or any(n.kind == "activity" for n in self.nodes)
        self.pairs = [1] * self.core_loss
        rows = [m for m, here in zip(self.metrics, in_core, strict=True) if here]
        self.pairs += [kernels.metric_pairs(row[0], row[1], self.y.size) for row in rows]
        # which of [loss, *metrics] the core accumulates, in its order, and where in its totals: a single sum, or rows
        # of pairs for several sums and for weighted sums
        places = ([0] if self.core_loss else []) + [1 + i for i, here in enumerate(in_core) if here]
        starts = [0, *accumulate(self.pairs)]
        self._core_sums = [
            (place, slice(row, row + pairs) if pairs > 1 or place and weighted[place - 1] else (row, 0))
            for place, row, pairs in zip(places, starts, self.pairs, strict=False)
        ]

    # -- penalties on weights ---------------------------------------------------------------------------------
    def _rule(self, variable):
        """(l1, l2, decay): l1 sign(w) + l2 w is added to the gradient, decay is applied before the step."""
        penalty, decay_of = self.regularizers[variable], self.update_options.get("decay_of")
        l1, l2 = (0.0, 0.0) if penalty is None else (penalty.l1, 2 * penalty.l2)
        if self.weight_decay and (variable.layout == "kernel" or variable.name.split("/")[-1] == "kernel"):
            l2 += self.weight_decay
        return l1, l2, decay_of(variable) if decay_of else 0.0

    def penalty(self):
        """The penalties of the current trainable weights, added to the loss of each sample."""
        total = 0.0
        for variable in self.trainable:
            l1, l2, _ = self.rules[variable]
            rule, w = self.regularizers[variable], None
            if rule is not None or l1 or l2:
                w = self.store.get("theta", variable)
            if rule is not None:
                total += rule(w)
                l2 -= 2 * rule.l2
            if l2:
                total += l2 / 2 * float(np.sum(np.square(w, dtype=np.float64)))
        return total

    # -- programs and threads ---------------------------------------------------------------------------------
    def program(self, what, batch, x_code=None, y_code=None, weighted=False):
        splits = splits_of(self.precision, self.isa) if self.dtype == np.float32 else 0
        key = (what, batch, x_code, y_code, weighted, splits)
        program = self._programs.get(key)
        if program is None and what in ("train", "manual", "derivative"):
            self._refuse_used_twice()
        if program is None:
            while len(self._programs) >= 16:
                self._programs.pop(next(iter(self._programs)))
            found = plan(self, what, batch, x_code, y_code, weighted, self.schedule, splits)
            team = Team(self.threads, found.seconds)
            program = self._programs[key] = Program(found, self, team.at_most())
            program.team, program.teams = team, {}  # of the program, and of the stages of a manual step
        return program

    def forget_programs(self):
        """Plan again: the memory of the programs belongs to an unfinished step."""
        self._programs, self._manual, self.has_gradients, self.besides = {}, None, False, {}

    def _refuse_used_twice(self):
        """ValueError if a trainable weight is used twice: it has one gradient buffer, written by one node."""
        used = set()
        for variable in (v for n in self.nodes if n.trainable for v in n.variables.values() if v.trainable):
            if variable in used:
                raise ValueError(
                    f"{variable.name}: expected a layer that is used once in the model, got one that is used several"
                    " times; such a model can predict, but can be trained only with that layer frozen (trainable ="
                    " False)"
                )
            used.add(variable)

    def _ends(self):
        """Whether an interrupted step should not be repeated, as the caller will raise Ctrl-C."""
        return self.later is not None and self.later.came

    def _long_steps(self, program, live, count, batch, steps, deadline, step, **job):
        """`_steps` one by one, each of which Ctrl-C may interrupt."""
        team, begun = program.team, time.monotonic()
        while step < steps:
            n, watched = team.next()[0], watch(program, self.store, job.get("counter") is not None, self.later)
            started = time.perf_counter()
            ran = program.core.run(live, count, batch, start=step, seed=self.seed, threads=n, **watched, **job)
            if ran:
                team.report(n, time.perf_counter() - started, ran, program.core.disturbed)
            step += ran
            if not ran and self._ends() or deadline > 0 and time.monotonic() - begun > deadline:
                break
        return step

    def _steps(self, program, live, count, batch, steps, deadline, step=0, **job):
        """Run steps [step, steps) in slices, each with the thread count that pays off; returns the step reached.

        `job`: further arguments of `Executor.run`."""
        if program.plan.seconds >= LONG and is_long(program, self.store, job.get("counter") is not None):
            return self._long_steps(program, live, count, batch, steps, deadline, step, **job)
        core, team, begin, start = program.core, program.team, step, time.monotonic()
        while step < steps:
            n, seconds = team.next()
            if n > 1 and seconds > 0 and step == begin and steps - begin > 1:
                # sleeping threads need time to wake up: the first steps are not timed
                step += core.run(live, count, batch, start=step, seed=self.seed, threads=n, seconds=1e-9, **job)
            left = deadline - (time.monotonic() - start) if deadline > 0 else 0.0
            if deadline > 0 and left <= 0 and step > begin:
                break
            limits = [s for s in (seconds, max(left, 1e-9) if deadline > 0 else 0.0) if s > 0]
            seconds = min(limits, default=0.0)
            begun = time.perf_counter()
            ran = core.run(live, count, batch, start=step, seed=self.seed, threads=n, seconds=seconds, **job)
            team.report(n, time.perf_counter() - begun, ran, core.disturbed)
            step += ran
        return step

    def _targets(self, y):
        return _code(y) if y is not None and y.ndim == 2 else None

    # -- training and evaluation ------------------------------------------------------------------------------
    def fit_block(self, x, y, w, index, first, count, batch_size, lrs, deadline=0.0, carry=None):
        """Train on samples [first, first + count) of the order `index` (None: in memory order).

        Stops at a step boundary after `deadline` seconds. Returns (samples done, sum of w * loss, [sums of metrics]);
        the sums continue those of an earlier block, `carry`, as if it were one block."""
        self._begin_training()
        program = self.program("train", batch_size, _code(x), self._targets(y), w is not None)
        done, sums = self._run(program, x, y, w, index, first, count, batch_size, lrs, deadline, True, carry)
        return done, sums[0] if sums else 0.0, sums[1:]

    def fit_epochs(self, x, y, w, index, epochs, batch_size, lrs, step, totals, deadline=0.0):
        """Train several epochs on all samples, starting at `step`; returns the step reached.

        `index` has the concatenated orders of the epochs, or is None; `lrs` the rate of every step;
        `totals` receives the sums of every epoch, see `epoch_sums`."""
        self._begin_training()  # weights may have been assigned or a layer frozen between two calls
        program = self.program("train", batch_size, _code(x), self._targets(y), w is not None)
        live = (_address(x), _address(y), _address(w), 0, 0, 0)
        n = len(x) if index is None else len(index) // epochs
        self.store.weights_clock.tick()
        program.refresh(self.store, training=True)
        at = self._steps(
            program, live, epochs * n, batch_size, len(lrs), deadline, step,
            epoch=n, index=index, lrs=lrs, step0=self.step - step, totals=totals, counter=self,
        )  # fmt: skip
        return at

    def room_for_epochs(self, x, y, w, batch_size, epochs):
        """The array for `fit_epochs`' sums of so many epochs; None if Python has a part in every step."""
        self._begin_training()
        program = self.program("train", batch_size, _code(x), self._targets(y), w is not None)
        alone = program.plan.separate or self.score_places
        return None if alone else np.zeros((epochs * sum(self.pairs), 2))

    def epoch_sums(self, totals):
        """For each epoch [sum of w * loss, *sums of metrics], added up as `fit_block` does."""
        nothing = [0.0] * (1 + len(self.metrics))
        return [self._add_sums(rows, list(nothing)) for rows in totals.reshape(-1, sum(self.pairs), 2)]

    def _add_sums(self, totals, sums):
        """`sums` with those that the core has made in their places."""
        for place, at in self._core_sums:
            sums[place] = _number_or_copy(totals[at])
        return sums

    def evaluate(self, x, y, w=None, batch_size=1024, index=None, carry=None):
        """(samples, sum of w * loss, [sums of metrics]) in inference mode; of the rows `index`, or all.

        The sums go on from `carry`."""
        self.store.acquire()
        program = self.program("evaluate", batch_size, _code(x), self._targets(y), w is not None)
        n = len(x) if index is None else len(index)
        done, sums = self._run(program, x, y, w, index, 0, n, batch_size, None, 0.0, False, carry)
        return done, sums[0] if sums else 0.0, sums[1:]

    def _run(self, program, x, y, w, index, first, count, batch, lrs, deadline, training, carry=None):
        sums = [0.0] * (1 + len(self.metrics)) if carry is None else list(carry)
        if count <= 0:
            return 0, sums
        # the outputs are written at their places in the order of the epoch; of those that are not, no memory is touched
        out = np.empty((first + count, self.y.size), self.dtype) if self.score_places else None
        live = (_address(x), _address(y), _address(w), _address(out), 0, 0)
        if training:
            self.store.weights_clock.tick()
        program.refresh(self.store, training)
        lrs = np.zeros(-(-count // batch)) if lrs is None else np.require(lrs, np.float64, ["C", "A"])
        if program.plan.separate:
            done, sums = self._run_parts(
                program, x, y, w, index, first, count, batch, lrs, deadline, training, live, sums
            )
            self._keep_scores(sums, out, y, w, index, first, done)
            return done, sums
        totals = np.zeros_like(program.core.totals)
        for place, at in self._core_sums:
            totals[at] = sums[place]
        part = None if index is None else index[first : first + count]
        step = self._steps(
            program, live, count, batch, -(-count // batch), deadline,
            index=part, row0=first, lrs=lrs, step0=self.step, totals=totals, counter=self if training else None,
        )  # fmt: skip
        done = min(count, step * batch)
        self._add_sums(totals, sums)
        self._keep_scores(sums, out, y, w, index, first, done)
        if not training:
            sums[0] += self.penalty() * done
        return done, sums

    def _keep_scores(self, sums, out, y, w, index, first, done):
        """Hand the outputs of samples [first, first + done) of the order to those metrics that need all of them."""
        if out is None:
            return
        rows = slice(first, first + done)
        outputs, rows = out[rows].copy(), rows if index is None else index[rows]
        for kind in {weighted for _, weighted in self.score_places}:  # one for all of a kind: it sorts once
            places = [place for place, weighted in self.score_places if weighted == kind]
            if not isinstance(sums[places[0]], Scores):
                scores = Scores()
                for place in places:
                    sums[place] = scores
            sums[places[0]].add(outputs, y[rows], w[rows] if kind and w is not None else None)

    def _run_parts(self, program, x, y, w, index, first, count, batch, lrs, deadline, training, live, sums):
        """One step at a time, as there is Python between the kernels."""
        end, done, step = time.monotonic() + deadline, 0, 0
        while done < count:
            n, at = min(batch, count - done), first + done
            rows = slice(at, at + n) if index is None else index[at : at + n]
            before, given_up, watched = list(sums), False, watch(program, self.store, training, self.later)
            if sums:
                sums[0] += self.penalty() * n
            n_threads, seconds, disturbed = program.team.next()[0], 0.0, False
            for name, lo, hi, call in program.parts:
                if call is not None:
                    self._call(program, call, y, w, rows, n, training, sums)
                elif hi > lo:
                    begun = time.perf_counter()
                    given_up = not program.core.run(
                        live, n, n, index=None if index is None else rows, row0=at, lrs=lrs[step : step + 1],
                        step0=self.step, seed=self.seed, threads=n_threads, first=lo, last=hi, **watched,
                    )  # fmt: skip
                    if given_up:
                        break
                    seconds += time.perf_counter() - begun
                    disturbed |= program.core.disturbed
                    if name == "loss":
                        for place, where in self._core_sums:
                            sums[place] = sums[place] + _number_or_copy(program.core.totals[where])
            if given_up:
                sums[:] = before
                if self._ends():
                    break
                continue
            program.team.report(n_threads, seconds, 1, disturbed)
            done, step = done + n, step + 1
            self.step += training  # immediately, as the Python of the next step may raise
            if deadline > 0 and time.monotonic() > end:
                break
        return done, sums

    def _call(self, program, call, y, w, rows, n, training, sums):
        """One call of Python between the kernels; arrays are (samples, *shape) copies."""
        what, layer, (in_key, in_tensor), (out_key, out_tensor) = call
        given = program.get(in_key, in_tensor, n)
        if what == "call":
            program.put(out_key, out_tensor, layer.call(given, training=training), n, layer)
            layer._call_clock.tick()
        elif what == "backward":
            result = layer.backward(given)
            for variable, gradient in layer.gradients():
                if variable in self.trainable:
                    if np.shape(gradient) != variable.shape:
                        raise ValueError(
                            f"{layer.name}.gradients(): expected shape {variable.shape} for {variable.name}, got"
                            f" {np.shape(gradient)}"
                        )
                    self.store.put("grad", variable, gradient)
            if out_key is not None:
                program.put(out_key, out_tensor, result, n, layer)
        elif what == "metrics":
            for place, metric, weighted in self.python_metrics:
                values = np.reshape(metric(np.array(y[rows]), given), n)
                if not weighted:
                    sums[place] += float(np.sum(values))
                    continue
                weights = np.ones(n) if w is None else np.asarray(w[rows], np.float64)
                # a value with weight 0 may be NaN
                total = np.sum(values * weights, where=weights != 0)
                sums[place] = sums[place] + np.array([[total, weights.sum()]])
        else:
            values, gradient = self.loss(np.array(y[rows]), given)  # a copy, as the function may write to it
            weights = np.ones(n) if w is None else w[rows]
            sums[0] += float(np.sum(np.reshape(values, n) * weights))
            if out_key is not None:
                scale = np.reshape(weights / n, (n,) + (1,) * (np.ndim(gradient) - 1))
                program.put(out_key, out_tensor, gradient * scale, n, "loss")

    def call(self, what, x, y, layers_at, make=None):
        """A `calls.Call` for batches like (x, y), and its program; None if the slow path is as good or required.

        layers_at: reading of the clock LAYERS for which this engine was made.
        make: what to make in its place, from this engine and the same arguments."""
        usual = x.ndim == 2 and x.flags.c_contiguous and "average" not in self.store.flat
        usual &= y is None or y.flags.c_contiguous  # the program contains y's stride
        usual &= threads.asked() is None  # not for a thread count given for one call
        simple = all(pairs == 1 for pairs in self.pairs) and not self.score_places
        simple = simple and not any(row[3] for row in self.metric_rows)
        if not usual or what != "derivative" and not simple:
            return None
        program = self.program(what, len(x), _code(x), self._targets(y))
        if program.plan.separate:
            return None
        y_dtype = None if y is None or y.ndim == 1 else y.dtype
        call = (calls.Call if make is None else partial(make, self))(
            program.core, len(x), x.dtype, self.x.size, y_dtype, self.y.size, self.dtype, self.seed,
            self.store.values_at, layers_at, None if program.team.is_alone() else program.team,
        )
        return call, program

    def manual_call(self, x, layers_at):
        """A `calls.ManualCall` for batches like x, and its program; None if the slow path is required."""
        if x.ndim != 2 or not x.flags.c_contiguous:
            return None
        program = self.program("manual", len(x), _code(x), _code(np.empty((1, self.y.size), self.dtype)))
        parts = {name: (lo, hi) for name, lo, hi, call in program.parts if call is None}
        if len(parts) < len(program.parts) or "average" in self.store.flat or threads.asked() is not None:
            return None
        if is_long(program, self.store, True) or program.derives:  # Ctrl-C must not wait; kept splits need updates
            return None
        teams = [program.teams.setdefault(stage, Team(self.threads, program.plan.seconds)) for stage in STAGES]
        program.by_hand = calls.ManualCall(
            program, [parts[stage] for stage in STAGES], tuple(None if t.is_alone() else t for t in teams),
            self.store.weights_clock, self.store.load_clock,
            program.core, len(x), x.dtype, self.x.size, None, self.y.size, self.dtype, self.seed,
            self.store.values_at, layers_at, None,
        )  # fmt: skip
        return program.by_hand, program

    # -- single passes, manual steps ---------------------------------------------------------------------------
    def predict(self, x, batch_size=1024, out=None):
        """Results of all samples in inference mode, (n, *shape)."""
        self.store.acquire()
        n = len(x)
        if out is None:
            out = np.empty((n, self.y.size), self.dtype)
        if n:
            batch = min(batch_size, n)
            program = self.program("predict", batch, _code(x))
            live = (_address(x), 0, 0, _address(out), 0, 0)
            program.refresh(self.store)
            if program.plan.separate:
                rates = np.zeros(-(-n // batch))
                self._run_parts(program, x, None, None, None, 0, n, batch, rates, 0.0, False, live, [])
            else:
                steps = -(-n // batch)
                self._steps(program, live, n, batch, steps, 0.0, lrs=np.zeros(steps), step0=self.step)
        return out.reshape(n, *self.y.shape)

    def forward(self, x, training=False):
        """Results of one batch. ``training=True`` uses dropout and batch statistics, and `backward` may follow."""
        if not training:
            return self.predict(x, max(1, len(x)))
        self.store.acquire()
        n = len(x)
        out = np.empty((n, self.y.size), self.dtype)
        program = self.program("manual", n, _code(x), _code(out))
        self._manual, self.has_gradients = None, False  # until it is done, as its Python may raise
        self._run_manual((program, n, x), "forward", (_address(x), 0, 0, _address(out), 0, 0))
        self._manual, self.expired, self.store.forward_at = (program, n, x), None, self.store.load_clock.now
        self._called = self._calls_of_layers()
        return out.reshape(n, *self.y.shape)

    def backward(self, dy):
        """Gradient of the last `forward(training=True)` batch: returns dL/dx; `gradients` has those of the weights."""
        self._refuse_expired()
        program, n, x = self._manual
        if len(dy) != n:
            raise ValueError(f"dy: expected {n} rows, as many as x of the last call of forward, got {len(dy)}")
        dx = np.empty((n, self.x.size), self.dtype)
        self._run_manual(self._manual, "backward", (_address(x), 0, 0, 0, _address(dy), _address(dx)))
        self.has_gradients = True
        return dx.reshape(n, *self.x.shape)

    def _calls_of_layers(self):
        layers = [n.attrs["layer"] for n in self.nodes if n.kind == "python"]
        return [(layer, layer._call_clock.now) for layer in layers]

    def _refuse_expired(self):
        """RuntimeError if the state has changed since the last `forward(training=True)`."""
        if self._manual is not None and self.expired is None:
            self.store.acquire()
            if self.store.load_clock.now != self.store.forward_at:
                self.expired = "its weights were assigned, or trained by another model, after it"
            for layer, reading in self._called:
                if layer._call_clock.now != reading:
                    self.expired = f"the NumPy layer {layer.name!r} was called again after it"
        if self.expired is not None:
            raise RuntimeError(f"backward: expected forward(x, training=True) right before it, but {self.expired}")
        if self._manual is None:
            raise RuntimeError("backward: expected a call of forward(x, training=True) before it")

    def gradients(self):
        """Gradients of the trainable variables, row-major, in their order."""
        if not self.has_gradients:
            raise RuntimeError("gradients: expected calls of forward(x, training=True) and backward before it")
        return [self.store.get("grad", v) for v in self.trainable]

    def set_gradients(self, gradients):
        """Gradients of the trainable variables, as `gradients` has them."""
        own = self.trainable
        arrays = [as_array(f"gradients[{i}]", g) for i, g in enumerate(gradients)]
        if [v.shape for v in own] != [a.shape for a in arrays]:
            raise ValueError(
                f"gradients: expected arrays of shapes {[v.shape for v in own]}, got {[a.shape for a in arrays]}"
            )
        for i, array in enumerate(arrays):
            check_finite(f"gradients[{i}] ({own[i].name})", array, self.dtype, finite=False)
        for variable, array in zip(own, arrays, strict=True):
            self.store.put("grad", variable, array)
        self.has_gradients = True

    def apply_gradients(self, lr, check_finite=True):
        """One optimizer step with the current gradients."""
        if self._manual is None or not self.has_gradients:
            raise RuntimeError("apply_gradients: expected calls of forward(x, training=True) and backward before it")
        if check_finite and find_beyond(self.store.flat["grad"]) >= 0:
            self._refuse_non_finite()
        self.expired = calls.APPLIED
        self._run_manual(self._manual, "update", (0,) * 6, lr)
        self.step += 1

    def _refuse_non_finite(self):
        for variable in self.trainable:
            check_finite(f"apply_gradients: the gradient of {variable.name}", self.store.get("grad", variable))

    def _run_manual(self, manual, stage, live, lr=0.0):
        program, n, _ = manual
        self.store.acquire()  # another model that shares a layer, or `assign`, may have had the weights since `forward`
        self._start_averages()
        self.store.weights_clock.tick()
        program.refresh(self.store, training=True)
        while not self._run_stage(program, n, stage, live, lr):
            pass

    def _run_stage(self, program, n, stage, live, lr):
        """Run a stage; returns False if it was interrupted by a signal that raises nothing."""
        team = program.teams.setdefault(stage, Team(self.threads, program.plan.seconds))
        n_threads, seconds, current, disturbed = team.next()[0], 0.0, None, False
        watched = {} if stage == "update" else watch(program, self.store, True, self.later)
        for name, lo, hi, call in program.parts:
            current = name if name != "python" else current
            if current != stage:
                continue
            if call is not None:
                self._call(program, call, None, None, None, n, True, None)
            elif hi > lo:
                begun = time.perf_counter()
                if not program.core.run(
                    live, n, n, lrs=np.reshape(lr, (1, -1)), step0=self.step, seed=self.seed,
                    threads=n_threads, first=lo, last=hi, **watched,
                ):  # fmt: skip
                    return False
                seconds += time.perf_counter() - begun
                disturbed |= program.core.disturbed
        team.report(n_threads, seconds, 1, disturbed)
        return True

    def _begin_training(self):
        """Acquire the newest weights and invalidate the gradients of `backward`."""
        self.store.acquire()
        self.has_gradients, self.expired = False, TRAINED
        self._start_averages()

    # -- averages of weights ----------------------------------------------------------------------------------
    def _start_averages(self):
        if "average" in self.store.flat:
            self.store.start_averages()

    def finalize(self):
        """Replace the trained weights by their averages, if the optimizer maintains them."""
        if "average" in self.store.flat and self.step:
            self.store.acquire()
            for variable in self.trainable:
                self.store.put("theta", variable, self.store.get("average", variable))

    # -- optimizer state --------------------------------------------------------------------------------------
    def get_state(self):
        return {"step": self.step, "slots": self.store.get_state()}

    def take_over(self, other):
        """Take over step and optimizer state of the engine that a model had before a change."""
        self.step = other.step
        if other._manual is not None:
            self.expired = "the model was changed after it"
        self.store.take_over(other.store)

    def set_state(self, state):
        """Set the state returned by `get_state` of an engine with the same state vectors."""
        self.step = state["step"]
        self.store.set_state(state["slots"])
