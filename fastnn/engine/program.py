"""Plans and programs.

A *plan* has offsets and no addresses, and knows no model: so models of one structure share it (plan_cache.py). A
*program* is a plan with memory of its own and the weights of one model.
"""

from functools import partial
from math import prod

import numpy as np

from .._core import executor
from .._core.kernels import address
from . import lowering, plan_cache
from .folding import Fold
from .parameter_store import aligned
from .planner import Planner
from .ports import names
from .schedule import estimate_seconds


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
    terms : dict
        Output to the offset in the kept block of the loss of each row of the last batch, if its reduction is "none".
    left : list of (node, key of x, key of dy)
        Nodes whose gradients of parameters by_row.py makes, of numbers.
    kept_splits : list of (offset in the kept block, offset in theta, unit panels, sizes of the kernel `dense_split`)
    """

    def __init__(self, planner):
        engine = planner.engine
        self.ops, self.segments = planner.ops, planner.segments
        self.fused, self.separate, self.counted_in = planner.fused, planner.separate, planner.counted_in
        self.dtype, self.panel, self.capacity = planner.dtype, planner.panel, planner.capacity
        self.places, self.arena_bytes = planner.arena, planner.bytes_needed
        self.copies = planner.slots if planner.private else 0
        self.schedule = planner.schedule
        self.by_row, self.left = planner.by_row, planner.left
        self.terms = {port: where.offset for port, where in planner.terms.items()}
        self.scratch_bytes = executor.TILE_SCRATCH_BYTES if planner.by_tiles else executor.SCRATCH_BYTES
        starts = [start for _, start, _ in planner.parts] + [len(planner.segments)]
        self.parts = [(name, starts[i], starts[i + 1], call) for i, (name, _, call) in enumerate(planner.parts)]
        partials = getattr(planner, "partials", None)
        if partials is not None:
            partials = (*planner.keep(partials)[:2], len(partials), partials[0].size)
        self.flat = tuple(planner.store.flat)
        optimizer = None if engine.optimizer_row is None else engine.optimizer_row[0]
        self.operations = executor.Operations(
            engine.isa, self.dtype, self.ops, planner.segments, ("arena", "kept", *self.flat),
            names(len(engine.inputs), len(engine.outputs)), partials, optimizer, self.panel, planner.chunk,
            planner.slots, tuple(planner.counters), planner.accumulate,
        )  # fmt: skip
        numbers = {node: i for i, node in enumerate(engine.nodes)}
        self.folds = [
            (*(numbers.get(node) for node in (fold.dense, fold.before, fold.after)), planner.keep(fold.panels).offset,
             fold.panels.shape)
            for fold in planner.folds
        ]  # fmt: skip
        self.isa = engine.isa
        self.kept_splits = [
            (at.offset, off * self.dtype.itemsize, panels, sizes)
            for off, (at, panels, sizes, _) in planner.kept_splits.items()
        ]
        block = planner.panel**2 * 2  # bytes of a split of one panel of units by one of inputs
        self.split_bytes = [(to, panels * -(-n["I"] // planner.panel) * block) for to, _, panels, n in self.kept_splits]
        self.kept_bytes, self.links = planner.kept_bytes, planner.links
        images = [(start, owner.reshape(-1).view(np.uint8)) for start, owner in planner.owners.values()]
        self.images = [(start, image.copy()) for start, image in images if image.any()]
        look = planner.look  # what of the memory is noted about a training, see health.py
        self.seen, self.figures, self.numbers, self.after = look.seen, look.figures, look.numbers, look.after
        self.figures_at = planner.keep(look.memory).offset if look.looks else 0
        blocks = len(look.numbers)
        self.doubles, self.blocks = look.doubles, {name: (at.offset, blocks) for name, at in look.parameters.items()}
        self.moments = [(node, mean.offset, deviation.offset) for node, mean, deviation in look.moments]
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
        self.kept = kept
        # [(node, bits of its units (sample panels, features)), ...], see health.py
        self.seen = [
            (number, kept[at : at + 8 * panels * size].view(np.uint64).reshape(panels, size))
            for number, at, panels, size in plan.seen
        ]
        self.core = executor.Executor(
            plan.operations, arena, plan.copies, shared, plan.scratch_bytes, params, (kept, flat)
        )
        self.core.prepare(threads)
        self.arena, self.folds = self.core.arenas[0], []
        self.current = None  # reading of the clock of the weights at the last `refresh`
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
        if self.current != store.weights_clock.now - training:
            for fold in self.folds:
                fold.refresh(store)
            for *where, sizes in self.kept_splits:
                executor.split_weights(self.plan.isa, *where, **sizes)
        self.current = store.weights_clock.now

    def row_losses(self, n, weights):
        """The losses (n,) of the last batch, times their weights: of the outputs whose losses are kept."""
        found, dtype = 0, self.plan.dtype
        for port, at in self.plan.terms.items():
            terms = self.kept[at : at + n * dtype.itemsize].view(dtype)
            found = found + (terms if weights[port] == 1 else weights[port] * terms)
        return np.array(found, dtype)

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
        planner.finish()
        found = Plan(planner)
        plan_cache.add(engine.structure, request, found)
    return found
