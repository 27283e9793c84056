"""From a graph to operations: which kernels in which order, where their memory lies, where threads wait.

(a) *Lowering* turns each node into operations (lowering/). An operation names its operands; what it reads and writes,
    and how its work is split, is declared beside the kernel (signatures.py). From that alone `Planner.emit` knows
    whether threads must wait before it.
(b) *Memory* is laid out here, once. In a chunked program without batch reductions (schedule.py) each thread has
    activations for one chunk, which stay in its cache; otherwise activations hold the batch.
"""

import numpy as np

from .._core.kernels import address
from .counters import COUNTERS
from .schedule import CHUNK, SLOTS, Split, choose_schedule
from .signatures import Place, signature

AT_ONCE = ("kernel", "bias", "gamma", "beta")  # what one kernel updates together with another, of its node
# With the gradients of each row, of its loss or of the results times dy: left in memory for by_row.py.
BY_ROW = ("per_sample", "parameter_jacobian")
WITHOUT_UPDATE = ("derivative", *BY_ROW, "input_jacobian")  # inference with gradients


class Planner:
    """Collects the operations of one program.

    what : {"train", "evaluate", "predict", "manual", "derivative", "gradient", "observe", *BY_ROW, "input_jacobian"}
        "manual" keeps forward, backward and update as separate parts. "derivative" is the loss as "evaluate" has it,
        penalties included, with its gradient by the weights and no update. "gradient" is that of the loss, or of the
        results times dy if there is none, by the input. "observe" computes what a training step does, without the
        update, for its figures. Those of `BY_ROW` and "input_jacobian" are in inference mode, see by_row.py.
    health : {NOTHING, ACTIVE, LOOK}
        What is noted, see lowering/health.py.
    """

    def __init__(self, engine, what, batch, x_code, y_code, weighted, schedule, splits=0, health=0):
        self.splits, self.by_tiles = splits, False  # see precision.py; whether an operation has any
        self.engine, self.what, self.batch, self.health = engine, what, batch, health
        self.store, self.dtype = engine.store, engine.store.dtype
        self.itemsize, self.panel = self.dtype.itemsize, engine.store.panel
        # of each input and output
        self.x_codes = x_code if len(engine.inputs) > 1 else (x_code,)
        several = len(engine.outputs) > 1
        self.y_codes = y_code or (None,) * len(engine.outputs) if several else (y_code,)
        self.weighted = weighted if isinstance(weighted, tuple) else (weighted,) * len(engine.outputs)
        # whether batch statistics and noise are at work, if there are any
        self.training = what in ("train", "manual", "gradient", "observe")
        self.differentiates = self.training or what in WITHOUT_UPDATE
        self.by_row = what in BY_ROW
        self.terms = {}  # output -> where the loss of each row is kept
        self.left = []  # nodes whose gradients of parameters are left to by_row.py: (number, key of x, key of dy)
        reduces = self.differentiates and any(n.kind == "batch_norm" and n.trainable for n in engine.nodes)
        self.separate = any(n.kind == "python" for n in engine.nodes)
        self.separate |= what in ("manual", *BY_ROW, "input_jacobian")
        in_python = bool(engine.python_loss or engine.python_metrics)
        self.separate |= what in ("train", "evaluate", "gradient") and in_python
        self.separate |= what == "derivative" and bool(engine.python_loss)
        n_params = sum(v.size for v in engine.trainable)
        if self.separate or what == "observe":
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
        self.accumulate = (what not in WITHOUT_UPDATE and self.update_options.get("gradient_accumulation_steps")) or 1
        by_norm = self.update_options.get("clipnorm") or self.update_options.get("global_clipnorm")
        self.fused = what == "train" and not self.chunked and not by_norm and not self.separate
        self.fused &= self.accumulate == 1
        self.fused &= not any(COUNTERS[row.name].whole_gradients for row in engine.counter_rows)
        # the kernels that fuse update kernel and bias, gamma and beta together: none of them may be frozen alone
        at_once = [n.variables[role] for n in engine.nodes if n.trainable for role in AT_ONCE if role in n.variables]
        self.fused &= all(variable.trainable for variable in at_once)
        self.ops, self.parts = [], []
        self.arena, self.bytes_needed, self.since_barrier = {}, 0, {}
        self.owners = {}  # id of an array that operations point into -> (offset in the kept block, array)
        self.kept_bytes, self.links = 0, []
        self.counters = []  # (base, offset, count, row or None, within, across), see `Operations`
        self.counted_in = None  # number of the part with the operations of counters
        self.folds = []  # weights that are made from others before a run
        self.kept_splits = {}  # offset of a kernel -> (where its split is kept, unit panels, n of `dense_split`)
        self.renewed = set()  # offsets of those whose split the kernel of the gradient renews
        self.ways = {}  # buffer -> how the operation that wrote it last was split
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
        start = self.arena[key]
        return Place("arena", start, (start,), key)

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
        start = self.owners[id(owner)][0]
        return Place("kept", start + address(array) - address(owner), (start,))

    def point(self, pointer, where):
        """Have the entry of a kept array, given as a view of it, point to a place that `keep` returned."""
        self.links.append((self.keep(pointer).offset, where.offset))

    def live(self, base):
        """An array of the caller."""
        return Place(base, 0, (0,))

    def at(self, flat, variables, offset=0):
        """Element `offset` of one of the store's flat blocks, through which what it has of `variables` is touched.

        None if there is no such block: the optimizer has no such state."""
        if flat not in self.store.flat:
            return None
        regions = {self.store.places[variable].off * self.itemsize for variable in variables}
        return Place(flat, offset * self.itemsize, tuple(sorted(regions)))

    # -- operations -------------------------------------------------------------------------------------------
    def emit(self, kernel, *, way=None, items=None, costs=None, whole=False, **given):
        """Append an operation; `given` are the operands of the kernel, by name.

        way: of a kernel of rectangles: "features", "samples" or "both", if not as what wrote its input (`_way`).
        whole: features are split at whole panels. items: how many there are, where no size says so, of which `costs`
        = (cost of one, cost of one of the last, number of those, items of a group)."""
        declared = signature(kernel)
        p, n, s, fn = declared.arrange(given)
        self._segment(self.chunked and not declared.reduces)
        split = self._split(declared, given, way, items, costs, whole)
        barrier = not self.segment_chunked and self._conflicts(declared, given, split)
        self.ops.append((kernel, [where and where[:2] for where in p], n, s, fn, split, barrier))

    def _split(self, declared, given, way, items, costs, whole):
        if declared.way in ("items", "slots", "features"):
            way = "features"
        elif declared.way != "rect":
            way = declared.way
        elif way is None:
            way = self._way(declared, given)
        if declared.extent is None:
            split = Split.of_items(way, items or 1, costs or (1, 1, 0, 1))
        else:
            split = Split.of_features(way, given[declared.extent], self.panel if whole else self.panel // 2)
        for operand in declared.operands:
            where = given.get(operand.name)
            if where is not None and where.key is not None and operand.mode != "in":
                self.ways[where.key] = way
        return split

    def _way(self, declared, given):
        """That of the operation which wrote the first input of the same features, so that no thread has to wait."""
        inputs = [given.get(o.name) for o in declared.operands if o.mode == "in" and o.where == "local"]
        return self.ways.get(inputs[0].key, "both") if inputs else "both"

    def _conflicts(self, declared, given, split):
        """Whether the operation touches what another thread may still be at, since the last barrier."""
        accesses = []
        for operand in declared.operands:
            where = given.get(operand.name)
            if where is not None:
                writes = operand.mode in ("out", "io") or operand.mode == "updated" and bool(given.get("update"))
                part = operand.part(split, where.regions)
                accesses += [((where.base, region), writes, part) for region in where.regions]
        barrier = any(
            (writes or wrote) and (part is None or part != other)
            for region, writes, part in accesses
            for wrote, other in self.since_barrier.get(region, ())
        )
        if barrier:
            self.since_barrier = {}
        for region, writes, part in accesses:
            self.since_barrier.setdefault(region, set()).add((writes, part))
        return barrier

    def _segment(self, chunked):
        chunked = (1 if self.private else 2) if chunked else 0
        if chunked != self.segment_chunked or not self.ops:
            self._close()
            self.segment_chunked = chunked
            self.since_barrier = {}

    def close(self):
        """End a segment: what follows can be run by itself."""
        self._close()
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
        """Whether an operand lies among the partial sums of losses and metrics, or the doubles of counters."""
        partials = getattr(self, "partials", None)
        if where is None or where[0] != "kept":
            return False
        runs = [(at, 8 * count) for _, at, count, *_ in self.counters]
        if partials is not None:
            runs.append((self.keep(partials).offset, partials.nbytes))
        return any(at <= where[1] < at + size for at, size in runs)
