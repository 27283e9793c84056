"""From a graph to a program: which kernels in which order, where their memory lies, where threads wait.

(a) *Lowering* turns each node into operations (`lowering.py`). An operation says what it reads and writes and how
    its work is split; from that alone `Planner.emit` knows whether threads must wait before it.
(b) *Schedule.* "layers": operation after operation, all threads on each. "samples": each thread carries chunks of
    the batch through everything up to the parameter gradient; gradients go to a fixed number of slots that are added
    in order. A reduction over the batch (batch normalisation in training) ends a chunked segment. The choice, like
    chunk and slot sizes, depends on shapes alone, so results do not depend on threads.
(c) *Memory* is laid out here, once. In a chunked program without batch reductions each thread has activations for
    one chunk, which stay in its cache; otherwise activations hold the batch.
(d) A *plan* has offsets and no addresses, and knows no model: so models of one structure share it (`plans.py`). A
    *program* is a plan with memory of its own and the weights of one model.
"""

from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from .._core import executor, kernels
from .._core.kernels import address
from . import lowering, plan_cache
from .folding import Fold
from .parameter_store import aligned

CHUNK = 128  # samples; measured: 32 costs 12 to 16 %, 256 gains nothing
SLOTS = 8
PARAMETERS = 768  # bytes of parameters per sample up to which adding up gradient slots pays off (docs/decisions/0002)
AT_ONCE = ("kernel", "bias", "gamma", "beta")  # what one kernel updates together with another, of its node
LIVE = ("x", "y", "weight", "out", "dy", "dx")


def choose_schedule(batch, n_params, reduces, itemsize):
    """Chunks win when the batch's activations leave L2 and the parameters are few beside them (docs/decisions)."""
    if reduces:
        return "layers"
    return "samples" if batch >= 256 and n_params * itemsize <= PARAMETERS * batch else "layers"


@dataclass(frozen=True)
class Split:
    """How an operation is split among threads; see `Plan` of _core/executor.pxd, whose fields these are."""

    way: str
    items: int
    grain: int
    extent: int
    cost: int = 1
    last: int = 1
    few: int = 0
    group: int = 1

    @classmethod
    def of_items(cls, way, items, costs):
        return cls(way, items, 1, items, *costs)

    @classmethod
    def of_features(cls, way, features, grain):
        items = max(1, -(-features // grain))
        return cls(way, items, grain, features, grain, max(1, features - (items - 1) * grain), 1)


class Planner:
    """Collects the operations of one program.

    what : {"train", "evaluate", "predict", "manual", "derivative", "gradient"}
        "manual" keeps forward, backward and update as separate parts. "derivative" is the loss as "evaluate" has it,
        penalties included, with its gradient by the weights and no update. "gradient" is that of the loss, or of the
        results times dy if there is none, by the input.
    """

    def __init__(self, engine, what, batch, x_code, y_code, weighted, schedule, splits=0):
        self.splits, self.by_tiles = splits, False  # see precision.py; whether an operation has any
        self.engine, self.what, self.batch = engine, what, batch
        self.store, self.dtype = engine.store, engine.store.dtype
        self.itemsize, self.panel = self.dtype.itemsize, engine.store.panel
        self.x_code, self.y_code, self.weighted = x_code, y_code, weighted
        self.training = what in ("train", "manual", "gradient")  # batch statistics and noise are at work, if there are
        self.differentiates = self.training or what == "derivative"
        reduces = self.differentiates and any(n.kind == "batch_norm" and n.trainable for n in engine.nodes)
        self.separate = any(n.kind == "python" for n in engine.nodes) or what == "manual"
        in_python = bool(engine.python_loss or engine.python_metrics)
        self.separate |= what in ("train", "evaluate", "gradient") and in_python
        self.separate |= what == "derivative" and bool(engine.python_loss)
        n_params = sum(v.size for v in engine.trainable)
        if self.separate:
            schedule = "layers"
        elif not self.differentiates:
            schedule = "samples"
        elif schedule is None:
            schedule = choose_schedule(batch, n_params, reduces, self.itemsize)
        self.schedule = schedule
        self.chunked = schedule == "samples"
        self.private = self.chunked and not reduces
        # small batches give every slot a chunk; a chunk is never less than a panel
        per_slot = -(-batch // (SLOTS * self.panel)) * self.panel
        self.chunk = max(self.panel, min(CHUNK, per_slot)) if self.chunked else -(-batch // self.panel) * self.panel
        self.slots = min(SLOTS, -(-batch // self.chunk)) if self.chunked else 1
        self.capacity = -(-(self.chunk if self.private else batch) // self.panel)  # sample panels of a buffer
        self.update_options = engine.update_options
        self.accumulate = (what != "derivative" and self.update_options.get("gradient_accumulation_steps")) or 1
        by_norm = self.update_options.get("clipnorm") or self.update_options.get("global_clipnorm")
        self.fused = what == "train" and not self.chunked and not by_norm and not self.separate
        self.fused &= self.accumulate == 1
        # the kernels that fuse update kernel and bias, gamma and beta together: none of them may be frozen alone
        at_once = [n.variables[role] for n in engine.nodes if n.trainable for role in AT_ONCE if role in n.variables]
        self.fused &= all(variable.trainable for variable in at_once)
        self.ops, self.parts = [], []
        self.arena, self.bytes_needed, self.since_barrier = {}, 0, {}
        self.owners = {}  # id of an array that operations point into -> (offset in the kept block, array)
        self.kept_bytes, self.links = 0, []
        self.penalties = []  # (base, offset, count) of the parts of penalties on weights
        self.folds = []  # weights that are made from others before a run
        self.kept_splits = {}  # offset of a kernel -> (where its split is kept, unit panels, n of `dense_split`)
        self.renewed = set()  # offsets of those whose split the kernel of the gradient renews
        self.segment_start, self.segment_chunked = 0, 0
        self.segments = []

    # -- memory -----------------------------------------------------------------------------------------------
    def buffer(self, key, size):
        """Activations or gradients of `size` features for the capacity, at one place of the arena."""
        if key not in self.arena:
            self.arena[key] = self.bytes_needed
            nbytes = size * self.capacity * self.panel * self.itemsize
            # an odd number of lines between buffers: they must not compete for the same cache sets
            self.bytes_needed += (-(-nbytes // 64) | 1) * 64
        return ("arena", self.arena[key])

    def keep(self, array):
        """A place in the program's own memory that starts as a copy of `array`; of a view, within that of the whole."""
        owner = array if array.base is None else array.base
        if id(owner) not in self.owners:
            start = -(-self.kept_bytes // 64) * 64
            if owner.dtype != np.uint8:
                self.kept_bytes = start + owner.nbytes
            else:  # lines of the original are lines of the copy, wherever in a line the memory of `aligned` began
                self.kept_bytes = start + 64 + owner.nbytes
                start += 64 - -address(owner) % 64
            self.owners[id(owner)] = start, owner
        return ("kept", self.owners[id(owner)][0] + address(array) - address(owner))

    def point(self, pointer, where):
        """Have the entry of a kept array, given as a view of it, point to a place that `keep` returned."""
        self.links.append((self.keep(pointer)[1], where[1]))

    def at(self, flat, offset=0):
        """Element `offset` of one of the store's flat blocks (None: the optimizer has no such state)."""
        return (flat, offset * self.itemsize) if flat in self.store.flat else None

    # -- operations -------------------------------------------------------------------------------------------
    def emit(self, kernel, p, n=(), s=(), fn=(), *, split, access, features=None, items=None, costs=None, whole=False,
             reduces=False):
        """Append an operation.

        split: "features", "samples", "both", "one" or "flat", of `features` (whole: at whole panels), or of so many
        `items`, of which `costs` = (cost of one, cost of one of the last, number of those, items of a group).
        access: (buffer, "r" | "w", own): `own` says that a thread touches only what the same split gives it, so that
        a chain of such operations needs no waiting."""
        self._segment(self.chunked and not reduces and split != "flat")
        if features is None:
            way = "features" if split == "flat" else split
            split = Split.of_items(way, 1 if items is None else items, costs or (1, 1, 0, 1))
        else:
            split = Split.of_features(split, features, self.panel if whole else self.panel // 2)
        own = ("samples",) if split.way == "samples" else split
        marks = [(key, mode, own if mine else None) for key, mode, mine in access]
        barrier = False
        if not self.segment_chunked:
            barrier = any(
                (mode == "w" or before == "w") and (part is None or part != other)
                for key, mode, part in marks
                for before, other in self.since_barrier.get(key, ())
            )
            if barrier:
                self.since_barrier = {}
            for key, mode, part in marks:
                self.since_barrier.setdefault(key, []).append((mode, part))
        self.ops.append((kernel, list(p), list(n), list(s), list(fn), split, barrier))

    def _segment(self, chunked):
        chunked = (1 if self.private else 2) if chunked else 0
        if chunked != self.segment_chunked or not self.ops:
            self._close()
            self.segment_chunked = chunked
            self.since_barrier = {}

    def _close(self):
        if len(self.ops) > self.segment_start:
            self.segments.append((self.segment_chunked, self.segment_start, len(self.ops)))
        self.segment_start = len(self.ops)

    def part(self, name, call=None):
        """Start a part that can be run by itself; `call` runs Python instead of kernels."""
        if not self.separate and self.parts:
            return
        self._close()
        self.since_barrier = {}
        self.parts.append((name, len(self.segments), call))

    def finish(self):
        self._close()
        if not self.separate:
            self._separate_steps()
        return Plan(self)

    def _separate_steps(self):
        """Set a barrier before the first partial sums: the first thread adds up those of the step before while the
        others are in the next one (`finish_step` of the executor)."""
        waits = [i for i, op in enumerate(self.ops) if op[-1]]
        waits += [lo for chunked, lo, _ in self.segments if chunked]
        sums = [i for i, op in enumerate(self.ops) if any(self._is_sum(where) for where in op[1])]
        first = min(sums, default=len(self.ops) - 1)
        if self.ops and min(waits, default=len(self.ops)) > first:
            self.ops[first] = (*self.ops[first][:-1], True)

    def _is_sum(self, where):
        """Whether an operand lies among the partial sums of losses and metrics, or of penalties."""
        partials = getattr(self, "partials", None)
        if where is None or where[0] != "kept":
            return False
        runs = [(at, 8 * count) for _, at, count in self.penalties]
        if partials is not None:
            runs.append((self.keep(partials)[1], partials.nbytes))
        return any(at <= where[1] < at + size for at, size in runs)


class Plan:
    """What a program does and the memory it needs, for any model of the structure; it refers to none.

    Attributes
    ----------
    ops, segments : list
        As the planner emitted them; `operations` are the same for the executor.
    operations : Operations
    parts : list of (name, first segment, last segment, call of Python or None)
    copies : int
        Threads that can have activations of their own; 0: all share those of the batch.
    images : list of (offset, bytes)
        What is not zero in the kept block when a program begins.
    links : list of (offset, offset)
        Pointers in the kept block, and where in it they point.
    folds : list of (numbers of nodes: dense, before, after; offset, shape)
    kept_splits : list of (offset in the kept block, offset in theta, unit panels, n of the kernel `dense_split`)
    """

    def __init__(self, planner):
        engine = planner.engine
        self.ops, self.segments = planner.ops, planner.segments
        self.fused, self.separate = planner.fused, planner.separate
        self.dtype, self.panel, self.capacity = planner.dtype, planner.panel, planner.capacity
        self.places, self.arena_bytes = planner.arena, planner.bytes_needed
        self.copies = planner.slots if planner.private else 0
        self.schedule = planner.schedule
        self.scratch_bytes = executor.TILE_SCRATCH_BYTES if planner.by_tiles else executor.SCRATCH_BYTES
        starts = [start for _, start, _ in planner.parts] + [len(planner.segments)]
        self.parts = [(name, starts[i], starts[i + 1], call) for i, (name, _, call) in enumerate(planner.parts)]
        partials = getattr(planner, "partials", None)
        if partials is not None:
            partials = (*planner.keep(partials), len(partials), partials[0].size)
        self.flat = tuple(planner.store.flat)
        optimizer = None if engine.optimizer_row is None else engine.optimizer_row[0]
        self.operations = executor.Operations(
            engine.isa, self.dtype, self.ops, planner.segments, ("arena", "kept", *self.flat), LIVE, partials,
            optimizer, self.panel, planner.chunk, planner.slots, tuple(planner.penalties), planner.accumulate,
        )  # fmt: skip
        numbers = {node: i for i, node in enumerate(engine.nodes)}
        self.folds = [
            (*(numbers.get(node) for node in (fold.dense, fold.before, fold.after)), planner.keep(fold.panels)[1],
             fold.panels.shape)
            for fold in planner.folds
        ]  # fmt: skip
        self.isa = engine.isa
        self.kept_splits = [(at[1], off * self.dtype.itemsize, *how) for off, (at, *how) in planner.kept_splits.items()]
        block = planner.panel**2 * 2  # bytes of a split of one panel of units by one of inputs
        self.split_bytes = [(to, panels * -(-n[0] // planner.panel) * block) for to, _, panels, n in self.kept_splits]
        self.kept_bytes, self.links = planner.kept_bytes, planner.links
        images = [(start, owner.reshape(-1).view(np.uint8)) for start, owner in planner.owners.values()]
        self.images = [(start, image.copy()) for start, image in images if image.any()]
        self.seconds = estimate_seconds(engine.nodes, planner.batch, planner.differentiates, planner.itemsize)


class Program:
    """A plan with memory, bound to the store of an engine: `core` runs it; `parts` are what Python may run one by
    one. There is memory for `threads` threads at once, for more when they are first to run."""

    def __init__(self, plan, engine, threads=1):
        self.plan, self.parts, self.copies_before = plan, plan.parts, []  # see long_steps.py
        self.by_hand = None  # the fast path of manual steps, once there was one
        kept = aligned(plan.kept_bytes)
        for start, image in plan.images:
            kept[start : start + image.size] = image
        for pointer, to in plan.links:
            kept[pointer : pointer + 8].view(np.uintp)[0] = address(kept) + to
        flat = [engine.store.flat[name] for name in plan.flat]
        shared = (address(kept), *map(address, flat))
        params = () if engine.optimizer_row is None else engine.optimizer_row[1]
        # as many threads as slots work on a chunked segment, each with an arena of its own
        arena = partial(aligned, plan.arena_bytes, whole_pages=True)
        self.core = executor.Executor(
            plan.operations, arena, plan.copies, shared, plan.scratch_bytes, params, (kept, flat)
        )
        self.core.prepare(threads)
        self.arena, self.folds = self.core.arenas[0], []
        self.current = None  # version of the weights at the last `refresh`
        theta = address(engine.store.flat["theta"])
        self.kept_splits = [(address(kept) + to, theta + off, *how) for to, off, *how in plan.kept_splits]
        self.splits = [kept[to : to + size] for to, size in plan.split_bytes]
        self.derives = bool(plan.folds or plan.kept_splits)
        for dense, before, after, start, shape in plan.folds:
            nodes = [None if i is None else engine.nodes[i] for i in (dense, before, after)]
            panels = kept[start : start + prod(shape) * plan.dtype.itemsize].view(plan.dtype).reshape(shape)
            self.folds.append(Fold(*nodes, panels))

    def refresh(self, store, training=False):
        """Recompute data derived from the weights, if these have changed.

        training: the run that follows may change weights. It has been counted already, and leaves the splits of its new
        weights; folds are of programs that do not train."""
        if not self.derives:
            return
        if self.current != store.version - training:
            for fold in self.folds:
                fold.refresh(store)
            for split in self.kept_splits:
                executor.split_weights(self.plan.isa, *split)
        self.current = store.version

    def _panels(self, key, size):
        plan = self.plan
        start, shape = plan.places[key], (plan.capacity, size, plan.panel)
        return self.arena[start : start + prod(shape) * plan.dtype.itemsize].view(plan.dtype).reshape(shape)

    def get(self, key, tensor, n):
        """The first n samples of an activation or gradient buffer, (n, *shape)."""
        rows = self._panels(key, tensor.size).swapaxes(1, 2).reshape(-1, tensor.size)
        return rows[:n].reshape(n, *tensor.shape).copy()

    def put(self, key, tensor, value, n, who):
        value = np.asarray(value)
        if value.shape != (n, *tensor.shape):
            raise ValueError(f"{who}: expected a result of shape {(n, *tensor.shape)}, got {value.shape}")
        panels = self._panels(key, tensor.size)
        padded = np.zeros((panels.shape[0] * panels.shape[2], tensor.size), panels.dtype)
        padded[:n] = value.reshape(n, tensor.size)
        panels[...] = padded.reshape(panels.shape[0], panels.shape[2], tensor.size).swapaxes(1, 2)


def plan(engine, *request):
    """The plan for an engine and the further arguments of `Planner`."""
    found = plan_cache.find(engine.structure, request)
    if found is None:
        planner = Planner(engine, *request)
        lowering.lower(planner)
        found = planner.finish()
        plan_cache.add(engine.structure, request, found)
    return found


def estimate_seconds(nodes, batch, training, itemsize):
    """Time of a step on one thread, from floating-point operations and parameters; a rough estimate."""
    flops = values = params = 0
    if training or batch > kernels.FEW:  # a panel of samples costs what a full one does
        batch = -(-batch // (64 // itemsize)) * (64 // itemsize)
    for node in nodes:
        if node.kind == "dense":
            size = int(np.prod(node.variables["kernel"].shape))
            flops += 2 * size * batch * (3 if training else 1)
            params += size
        values += node.out.size * batch * (4 if node.kind == "batch_norm" or node.act else 1)
    return flops * itemsize / 4 / 80e9 + values * 0.4e-9 + (params * 0.4e-9 if training else 0) + 1e-6
