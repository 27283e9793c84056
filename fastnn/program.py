"""From a graph to a program: which kernels in which order, where their memory lies, where threads wait.

(a) *Lowering* turns each node into operations (`lowering.py`). An operation says what it reads and writes and how
    its work is split; from that alone `Planner.emit` knows whether threads must wait before it.
(b) *Schedule.* "layers": operation after operation, all threads on each. "samples": each thread carries chunks of
    the batch through everything up to the parameter gradient; gradients go to a fixed number of slots that are added
    in order. A reduction over the batch (batch normalisation in training) ends a chunked segment. The choice, like
    chunk and slot sizes, depends on shapes alone, so results do not depend on threads.
(c) *Memory* is laid out here, once. In a chunked program without batch reductions each thread has activations for
    one chunk, which stay in its cache; otherwise activations hold the batch.
"""

import numpy as np

from . import lowering
from ._core import executor
from .store import aligned

CHUNK = 128  # samples; measured: 32 costs 12 to 16 %, 256 gains nothing
SLOTS = 8
LIVE = ("x", "y", "weight", "out", "dy", "dx")


def choose_schedule(batch, n_params, reduces, itemsize):
    """Chunks win when the batch's activations leave L2 and the parameters are few (docs/decisions)."""
    if reduces:
        return "layers"
    return "samples" if batch >= 256 and n_params * itemsize <= 192 * 1024 else "layers"


class Planner:
    """Collects the operations of one program.

    what : {"train", "evaluate", "predict", "manual"}
        "manual" keeps forward, backward and update as separate parts.
    """

    def __init__(self, trainer, what, batch, x_code, y_code, weighted, schedule, pieces=0):
        self.pieces, self.cuts_numbers = pieces, False  # see precision.py; whether an operation does so
        self.trainer, self.what, self.batch = trainer, what, batch
        self.store, self.dtype = trainer.store, trainer.store.dtype
        self.itemsize, self.panel = self.dtype.itemsize, trainer.store.panel
        self.x_code, self.y_code, self.weighted = x_code, y_code, weighted
        self.training = what in ("train", "manual")
        reduces = self.training and any(n.kind == "batch_norm" and n.trainable for n in trainer.nodes)
        self.separate = any(n.kind == "python" for n in trainer.nodes) or what == "manual"
        self.separate |= what in ("train", "evaluate") and bool(trainer.python_loss or trainer.python_metrics)
        n_params = sum(v.size for v in trainer.trainable)
        if self.separate:
            schedule = "layers"
        elif not self.training:
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
        self.clips = trainer.clips
        self.accumulate = self.clips.get("gradient_accumulation_steps") or 1
        by_norm = self.clips.get("clipnorm") or self.clips.get("global_clipnorm")
        self.fused = what == "train" and not self.chunked and not by_norm and not self.separate
        self.fused &= self.accumulate == 1
        self.ops, self.parts, self.cuts = [], [], []
        self.arena, self.bytes_needed, self.since_barrier = {}, 0, {}
        self.kept = []  # arrays that operations point into
        self.penalties = []  # (address, count) of the parts of penalties on weights
        self.folds = []  # weights that are made from others before a run
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
        """An array of the program's own that operations may point into."""
        self.kept.append(array)
        return ("address", array.ctypes.data)

    def at(self, flat, offset=0):
        """Element `offset` of one of the store's flat blocks (None: the optimizer has no such state)."""
        if flat not in self.store.flat:
            return None
        return ("address", self.store.flat[flat].ctypes.data + offset * self.itemsize)

    # -- operations -------------------------------------------------------------------------------------------
    def emit(self, kernel, p, n=(), s=(), fn=(), *, split, items, access, reduces=False):
        """Append an operation.

        access: (buffer, "r" | "w", own): `own` says that a thread touches only the panels which the same split of
        the same number of items gives it, so that a chain of such operations needs no waiting."""
        self._segment(self.chunked and not reduces and split != "flat")
        if split == "flat":
            split = "features"
        own = (split, items)
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
        self.ops.append((kernel, list(p), list(n), list(s), list(fn), split, items, barrier))

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
        trainer = self.trainer
        # as many threads as slots work on a chunked segment, each with an arena of its own
        team = trainer.max_threads
        arenas = [aligned(self.bytes_needed, i) for i in range(min(self.slots, team) if self.private else 1)]
        nbytes = executor.TILE_SCRATCH_BYTES if self.cuts_numbers else executor.SCRATCH_BYTES
        scratch = [aligned(nbytes, i) for i in range(team)]
        bases = [{"arena": arenas[i % len(arenas)].ctypes.data, "address": 0} for i in range(team)]
        program = Program()
        starts = [start for _, start, _ in self.parts] + [len(self.segments)]
        program.parts = [(name, starts[i], starts[i + 1], call) for i, (name, _, call) in enumerate(self.parts)]
        partials = getattr(self, "partials", None)
        where = (0, 0, 0) if partials is None else (partials.ctypes.data, len(partials), partials[0].size)
        program.core = executor.Executor(
            trainer.isa, self.dtype, self.ops, self.segments, bases, LIVE, where, trainer.optimizer_row,
            self.panel, self.chunk, self.slots, [a.ctypes.data for a in scratch],
            (arenas, scratch, self.kept, self.store), tuple(self.penalties), self.accumulate,
        )  # fmt: skip
        program.arena, program.places = arenas[0], self.arena
        program.planner, program.copies = self, team
        return program


class Program:
    """A planned and bound program: `core` runs it; `parts` are the pieces Python may run one by one."""

    def refresh(self):
        """Make the weights that stand for several layers again, if those have changed."""
        planner = self.planner
        if planner.folds and self.folded != planner.store.version:
            for fold in planner.folds:
                fold.refresh(planner.store)
            self.folded = planner.store.version

    folded = None

    def _panels(self, key, size):
        planner = self.planner
        start = self.places[key]
        nbytes = size * planner.capacity * planner.panel * planner.itemsize
        return self.arena[start : start + nbytes].view(planner.dtype).reshape(planner.capacity, size, planner.panel)

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


def plan(trainer, what, batch, x_code=None, y_code=None, weighted=False, schedule=None, pieces=0):
    planner = Planner(trainer, what, batch, x_code, y_code, weighted, schedule, pieces)
    lowering.lower(planner)
    return planner.finish()


def estimate_seconds(nodes, batch, training, itemsize):
    """Time of a step on one thread, from floating-point operations and parameters; rough is enough (threads)."""
    flops = values = params = 0
    batch = -(-batch // (64 // itemsize)) * (64 // itemsize)  # a panel of samples costs what a full one does
    for node in nodes:
        if node.kind == "dense":
            size = int(np.prod(node.variables["kernel"].shape))
            flops += 2 * size * batch * (3 if training else 1)
            params += size
        values += node.out.size * batch * (4 if node.kind == "batch_norm" or node.act else 1)
    return flops * itemsize / 4 / 80e9 + values * 0.4e-9 + (params * 0.4e-9 if training else 0) + 1e-6
