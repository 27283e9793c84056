"""The engine of a model: plans the programs it needs, binds arrays to them, and keeps step, state and threads.

This is the only object through which `training` uses the core. The loops over steps are in `steps`, loss and metrics as
the core takes them in `objective`, the three calls of a custom training loop in `manual_steps`. Arrays are checked
before: two-dimensional with contiguous rows of a dtype in `kernels.DATA_CODES`, labels int32 and contiguous, weights in
the model's dtype.
"""

from copy import copy

import numpy as np

from .._core import kernels
from . import graph as graphs
from . import manual_steps, objective, plan_cache
from .counters import rows
from .lowering.health import NOTHING
from .parameter_store import Store
from .ports import addresses, code, room, shaped, targets_code, weighted
from .precision import splits_of
from .program import Program, plan
from .steps import by_parts, looking, many, run
from .thread_tuner import Team

STATE_VECTORS = {name: len(state) for name, _, state in kernels.optimizer_rows()}


class Engine:
    """A model's engine.

    Parameters
    ----------
    graph : Graph
    x, y : Tensor or list of Tensor
        Input and output, or several of them. Then arrays of several inputs or outputs are passed as `ports.Arrays`.
    dtype : {"float32", "float64"}
    loss : None, LossSpec or callable
        A callable takes (y_true, y_pred) and returns (value of each sample, its gradient with respect to y_pred).
        Of several outputs a list, None for an output that is not trained for.
    loss_weights : list of float, optional
        Factors of several losses in the whole loss; default: 1 each.
    optimizer : None or (row, parameters, {...})
        Options: "clipvalue", "clipnorm", "global_clipnorm"; "gradient_accumulation_steps";
        "ema_momentum" and "ema_overwrite_frequency"; "decay_of", a function from a variable to its decoupled decay.
    metrics : list of (row, parameters, "labels" | "values") or callable (y_true, y_pred) -> value of each sample
        The row may be `metrics.curves.BY_RANKS`.
    weighted_metrics : list of the same
        Metrics with sample weights. They come after `metrics`.
    metric_outputs : list of int, optional
        The number of the output of each of `metrics` and `weighted_metrics`; None: there is one output.
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
    counters : sequence of str
        Names of counters (counters.py), whose sums follow those of the metrics.
    order : sequence of Variable
        The order of `trainable`, where it is not that of the graph: a model's is by layers, a graph's by calls.
    """

    def __init__(self, graph, x, y, *, dtype="float32", loss=None, optimizer=None, metrics=(), weighted_metrics=(),
                 seed=0, threads=None, schedule=None, isa=None, weight_decay=0.0, precision=None,
                 store=None, counters=(), loss_weights=None, metric_outputs=None, order=()):  # fmt: skip
        self.precision, self.later = precision, None  # later: a `training.interrupts.InterruptLater` around the calls
        self.weight_decay = float(weight_decay or 0)
        self.graph, self.isa, self.seed, self.threads, self.schedule = graph, isa, int(seed), threads, schedule
        inputs, outputs = (tuple(t) if isinstance(t, (list, tuple)) else (t,) for t in (x, y))
        self.nodes, self.inputs, self.outputs, self.consumers = graphs.simplify(graph, inputs, outputs)
        self.several = len(self.inputs) > 1 or len(self.outputs) > 1
        self.x, self.y = self.inputs[0], self.outputs[0]  # the only ones, unless there are several
        places = {variable: i for i, variable in enumerate(order)}
        self.trainable = sorted(graph.trainable_variables(), key=lambda v: places.get(v, len(places)))
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
        objective.set_losses(self, loss, loss_weights)
        self.counter_rows = rows(self, counters)
        objective.set_metrics(self, metrics, weighted_metrics, metric_outputs)
        # Copies, so that later plans use the current settings: regularizers and constraints are mutable, and plans are
        # shared by all models with the same structure.
        self.regularizers = {v: copy(v.regularizer) for v in self.trainable}
        self.constraints = {v: copy(v.constraint) for v in self.trainable}
        self.rules = {v: objective.rule(self, v) for v in self.trainable}
        self.structure = plan_cache.structure(self)
        self._programs = {}
        self.swapped = False  # whether weights and averages have changed places
        self.ran = None  # the last program of `fit_block` or `evaluate`
        self.manual, self.called = None, ()  # of the last `forward(training=True)`, see `manual_steps`
        self.expired = None  # why `backward` may not follow it
        self.has_gradients = False  # of the last `backward`, or given
        self.health = None  # during `fit`: what is noted about it
        self.kept_health = {}  # between calls of `fit`: {every: Health}
        self.boundary = None  # memory for a copy of weights and state, from one `fit` to the next (replay.py)
        self.finite_at = None  # reading of `store.weights_clock` when all weights were known to be finite
        self.besides = {}  # engines of other gradients, see `training.input_gradient`

    # -- programs and threads ---------------------------------------------------------------------------------
    def program(self, what, batch, x_code=None, y_code=None, weighted=False, health=NOTHING):
        """The program for batches of a size and of arrays with such codes; `what` and `health` as in `Planner`."""
        splits = splits_of(self.precision, self.isa) if self.dtype == np.float32 else 0
        key = (what, batch, x_code, y_code, weighted, splits, health)
        program = self._programs.get(key)
        if program is None:
            while len(self._programs) >= 16:
                self._programs.pop(next(iter(self._programs)))
            found = plan(self, what, batch, x_code, y_code, weighted, self.schedule, splits, health)
            team = Team(self.threads, found.seconds)
            program = self._programs[key] = Program(found, self, team.at_most())
            program.team, program.teams = team, {}  # of the program, and of the stages of a manual step
            program.codes = (x_code, y_code, weighted)
        if health:
            self.health.register(program)
        return program

    def training_program(self, x, y, w, batch):
        """The program that trains on batches of arrays like these."""
        level = NOTHING if self.health is None else self.health.level()
        return self.program("train", batch, code(x), targets_code(y), weighted(w), level)

    def forget_programs(self):
        """Plan again: the memory of the programs belongs to an unfinished step."""
        self._programs, self.manual, self.has_gradients, self.besides, self.kept_health = {}, None, False, {}, {}

    # -- training and evaluation ------------------------------------------------------------------------------
    def fit_block(self, x, y, w, index, first, count, batch_size, lrs, deadline=0.0, carry=None):
        """Train on samples [first, first + count) of the order `index` (None: in memory order).

        Stops at a step boundary after `deadline` seconds. Returns (samples done, sum of w * loss, [sums of metrics]);
        the sums continue those of an earlier block, `carry`, as if it were one block. Of several outputs the first sum
        is that of penalties, and those of the losses come first among the metrics: see `objective.whole_loss`."""
        self._begin_training()
        program = self.ran = self.training_program(x, y, w, batch_size)
        done, sums = run(self, program, x, y, w, index, first, count, batch_size, lrs, deadline, True, carry)
        return done, sums[0] if sums else 0.0, sums[1:]

    def fit_epochs(self, x, y, w, index, epochs, batch_size, lrs, step, totals, deadline=0.0, stop=0):
        """Train several epochs on all samples, starting at `step`; returns the step reached.

        `index` has the concatenated orders of the epochs, or is None; `lrs` the rate of every step;
        `totals` receives the sums of every epoch, see `epoch_sums`; `stop` is the step to end before (0: none)."""
        self._begin_training()  # weights may have been assigned or a layer frozen between two calls
        program = self.training_program(x, y, w, batch_size)
        live = addresses(self, x, y, w)
        n = len(x) if index is None else len(index) // epochs
        self.store.weights_clock.tick()
        program.refresh(self.store, training=True)
        do = many if self.health is None else looking
        return do(
            self, program, live, epochs * n, batch_size, len(lrs), deadline, step,
            epoch=n, **({"stop": stop} if stop else {}),
            index=index, row0=0, lrs=lrs, step0=self.step - step, totals=totals, counter=self,
        )  # fmt: skip

    def room_for_epochs(self, x, y, w, batch_size, epochs):
        """The array for `fit_epochs`' sums of so many epochs; None if Python has a part in every step."""
        self._begin_training()
        program = self.training_program(x, y, w, batch_size)
        alone = program.plan.separate or self.score_places
        return None if alone else np.zeros((epochs * self.total_rows, 2))

    def epoch_sums(self, totals):
        """For each epoch [sum of w * loss, *sums of metrics], added up as `fit_block` does."""
        return [objective.add_sums(self, of_one, self.no_sums()) for of_one in totals.reshape(-1, self.total_rows, 2)]

    @property
    def total_rows(self):
        """Pairs of numbers that the core adds up in an epoch."""
        return sum(self.pairs) + len(self.counter_rows)

    def no_sums(self):
        """[loss, *metrics, *counters] of no sample."""
        return [0.0] * (1 + len(self.metrics) + len(self.counter_rows))

    def evaluate(self, x, y, w=None, batch_size=1024, index=None, carry=None):
        """(samples, sum of w * loss, [sums of metrics]) in inference mode; of the rows `index`, or all.

        The sums go on from `carry`."""
        self.store.acquire()
        program = self.ran = self.program("evaluate", batch_size, code(x), targets_code(y), weighted(w))
        n = len(x) if index is None else len(index)
        done, sums = run(self, program, x, y, w, index, 0, n, batch_size, None, 0.0, False, carry)
        return done, sums[0] if sums else 0.0, sums[1:]

    def row_losses(self, n):
        """The loss (n,) of each row of the last batch of `fit_block` or `evaluate`; None if they are not kept."""
        return self.ran.row_losses(n, [o.weight for o in self.objectives]) if self.by_rows and n else None

    # -- single passes, manual steps ---------------------------------------------------------------------------
    def predict(self, x, batch_size=1024, out=None):
        """Results of all samples in inference mode, (n, *shape)."""
        self.store.acquire()
        n = len(x)
        if out is None:
            out = room(self.outputs, n, self.dtype)
        if n:
            batch = min(batch_size, n)
            program = self.program("predict", batch, code(x))
            live = addresses(self, x, out=out)
            program.refresh(self.store)
            if program.plan.separate:
                rates = np.zeros(-(-n // batch))
                by_parts(self, program, x, None, None, None, 0, n, batch, rates, 0.0, False, live, [])
            else:
                steps = -(-n // batch)
                many(self, program, live, n, batch, steps, 0.0, lrs=np.zeros(steps), step0=self.step)
        return shaped(self.outputs, out, n)

    def forward(self, x, training=False):
        """Results of one batch. ``training=True`` uses dropout and batch statistics, and `backward` may follow."""
        return manual_steps.forward(self, x) if training else self.predict(x, max(1, len(x)))

    def backward(self, dy):
        """Gradient of the last `forward(training=True)` batch: returns dL/dx; `gradients` has those of the weights."""
        return manual_steps.backward(self, dy)

    def gradients(self):
        """Gradients of the trainable variables, row-major, in their order."""
        return manual_steps.gradients(self)

    def set_gradients(self, gradients):
        """Gradients of the trainable variables, as `gradients` has them."""
        manual_steps.set_gradients(self, gradients)

    def apply_gradients(self, lr, check_finite=True):
        """One optimizer step with the current gradients."""
        manual_steps.apply_gradients(self, lr, check_finite)

    def _begin_training(self):
        """Acquire the newest weights and invalidate the gradients of `backward`."""
        if self.unreached:
            raise ValueError(
                f"loss: expected a loss for every output that has weights of its own, got none on which"
                f" {self.unreached[0].name} depends; set trainable=False for its layer, or give its output a loss"
            )
        self.store.acquire()
        self.has_gradients, self.expired = False, manual_steps.TRAINED
        self.start_averages()

    # -- averages of weights ----------------------------------------------------------------------------------
    def start_averages(self):
        """Initialise the averages of new variables, if the optimizer maintains averages."""
        if "average" in self.store.flat:
            self.store.start_averages()

    def swap_averages(self, averages):
        """Exchange weights and averages, unless the former are already what `averages` says."""
        if "average" not in self.store.flat:
            raise ValueError("SwapEMAWeights: expected an optimizer with use_ema=True, got one without averages")
        if averages == self.swapped:
            return
        self.store.acquire()
        self.start_averages()
        for variable in self.trainable:
            both = [self.store.get(name, variable) for name in ("theta", "average")]
            for name, value in zip(("average", "theta"), both, strict=True):
                self.store.put(name, variable, value)
        self.swapped = averages

    def finalize(self):
        """Replace the trained weights by their averages, if the optimizer maintains them."""
        if self.swapped:
            self.swap_averages(False)
        if "average" in self.store.flat and self.step:
            self.store.acquire()
            for variable in self.trainable:
                self.store.put("theta", variable, self.store.get("average", variable))

    # -- optimizer state --------------------------------------------------------------------------------------
    def get_state(self):
        return {"step": self.step, "slots": self.store.get_state()}

    def take_over(self, other):
        """Take over step and optimizer state of the engine that a model had before a change."""
        self.step, self.swapped = other.step, other.swapped and "average" in self.store.flat
        if other.manual is not None:
            self.expired = manual_steps.CHANGED
        self.store.take_over(other.store)

    def set_state(self, state):
        """Set the state returned by `get_state` of an engine with the same state vectors."""
        self.step = state["step"]
        self.store.set_state(state["slots"])
