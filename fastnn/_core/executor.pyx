"""Runs a planned program: many steps in one call, one parallel region, no Python inside.

(a) A program is a list of operations (fnn_op) cut into segments.  A *layered* segment runs operation by operation;
    all threads share one, each takes a part of its panels, and wait for each other where the planner has set a
    barrier.  A *chunked* segment is run by each thread for chunk after chunk of the samples, without waiting.
(b) Shares depend on the number of threads; what is computed for a feature and a sample panel, in a chunk or a gradient
    slot does not.  So the bits are the same for any number of threads.  Shares are even by cost, to within an item:
    half a panel of features, or what an operation says its last items cost.
(c) What a program does is made once (`Operations`) and shared by all networks of one structure; an `Executor` is a copy
    with pointers to one network's memory.  Those into the caller's arrays (data, labels, output) are patched at each
    call.
(d) Threads run on copies of the operations where a chunked segment has activations of its own in each thread. Copies
    and activations are made when that many threads are first to run; scratch is taken for each run (scratch.pyx).
(e) A long step is given up on Ctrl-C: threads leave out what is left of it, but for the barriers, and what it may have
    changed is put back.
"""
import numpy as np

from cython.parallel cimport parallel, threadid
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from cpython.exc cimport PyErr_CheckSignals

from numpy cimport PyArray_DATA, PyArray_NBYTES, ndarray

from . cimport kernels as k
from . cimport operands, scratch
from .team cimport (
    ACROSS_MAX, BY_BOTH, BY_FEATURES, BY_ONE, BY_SAMPLES, MAX_THREADS, OF_LOSS, WITHIN_MAX, Member, begin_step,
    ceil_div, chunked, finish_step, fnn_barrier_forget, fnn_barrier_new, fnn_barrier_wait, fnn_float_enter,
    fnn_float_leave, fnn_now, fnn_watch_begin, fnn_watch_end, join, layered, operations_of, share)
from .threads cimport affordable, fnn_team_size

from .kernels import optimizer_rows

MOMENTA = ("momentum", "beta_1")  # what a schedule may change beside the rate
SCRATCH_BYTES = k.FNN_SCRATCH_BYTES
TILE_SCRATCH_BYTES = k.FNN_TILE_SCRATCH_BYTES
NO_SCRATCH = "no memory for the scratch of a run, {} bytes"
SPLITS = {"features": BY_FEATURES, "samples": BY_SAMPLES, "both": BY_BOTH, "one": BY_ONE}


cdef enum:
    MAX_BASES = 16
    MAX_LIVE = 128


cdef void work(Job *job, int tid, int team) noexcept nogil:
    cdef Member me
    cdef const Segment *seg
    cdef const k.fnn_op *ops = operations_of(job, tid)
    cdef ptrdiff_t step, panels
    cdef int i, j, last
    cdef unsigned csr = fnn_float_enter()
    join(job, &me, tid)
    for step in range(job.start, job.steps):
        begin_step(job, &me, step)
        panels = ceil_div(me.run.n, job.panel)
        for j in range(job.first_segment, job.last_segment):
            seg = &job.segments[j]
            if seg.chunked:
                fnn_barrier_wait(job.barrier, team)
                chunked(job, ops, seg, &me.run, tid, team)
                fnn_barrier_wait(job.barrier, team)
            else:
                for i in range(seg.lo, seg.hi):
                    if job.plan[i].barrier:
                        fnn_barrier_wait(job.barrier, team)
                    layered(job, &ops[i], &job.plan[i], &me.run, panels, tid, team)
        # Written by the first thread after the step before, and so, for a barrier lies between (`Planner.finish`), seen
        # alike by all; it will be written again only when all have passed the next line.
        last = job.stop_after == step
        fnn_barrier_wait(job.barrier, team)
        if job.given_up:  # the only step of the run, so nobody writes to it any more
            break
        if tid == 0:
            finish_step(job, step, me.run.n, team)
            last = last or job.stop_after == step
        if last:
            break
    fnn_float_leave(csr)


cdef bint came_before(later) except -1:
    """Whether Ctrl-C came before the watch for it began, just now; the flag of the watch has no trace of that."""
    try:
        PyErr_CheckSignals()
        return later is not None and later.came
    except BaseException:
        fnn_watch_end()
        raise


def split_weights(isa, size_t kept, size_t w, ptrdiff_t panels, ptrdiff_t I, ptrdiff_t O, ptrdiff_t rows):
    """Run the kernel `dense_split` (gemm/dense.inl.h) on weights at an address: for programs that keep their split."""
    cdef k.fnn_op op
    cdef k.fnn_run run
    cdef k.fnn_rect r
    cdef operands.fnn_p_dense_split *p = <operands.fnn_p_dense_split *>op.p
    cdef operands.fnn_n_dense_split *sizes = <operands.fnn_n_dense_split *>op.n
    op.run = k.find_kernel(k.table_of(isa), "dense_split", 0)
    p.kept, p.w = <void *>kept, <void *>w
    sizes.I, sizes.O, sizes.rows = I, O, rows
    r.f0, r.f1, r.p0, r.p1 = 0, panels, 0, 1
    with nogil:
        op.run(&op, &run, &r)


cdef class Operations:
    """What a program does, without the memory it does it in: nothing in it belongs to one network.

    Parameters
    ----------
    isa : str
    dtype : numpy dtype, float32 or float64
    ops : list of (kernel, p, n, s, fn, split, barrier)
        p: (base, byte offset) or None each; fn: ("act_fwd" | "act_bwd" | "update" | "beside", row name) or None
        each; split: a `Split` of program.py.
    segments : list of (chunked, lo, hi)
    bases : tuple of names of bases that an executor brings
    live : tuple of names of bases that come with each call
    partials : (base, byte offset, count, stride in doubles) of the partial sums of losses and metrics, or None
    optimizer : str or None
        Its row.
    counters : tuple of (base, byte offset, count, row or None, within, across)
        Doubles that are added up or maximised, see engine/counters.py; row: after those of the partials; None: parts of
        a penalty on weights, whose sum is added to the loss of every sample.
    accumulate : int
        Steps that make one update of the weights.
    """
    def __cinit__(self, isa, dtype, list ops, list segments, tuple bases, tuple live, partials, optimizer,
                  ptrdiff_t panel, ptrdiff_t chunk, ptrdiff_t slots, tuple counters=(), ptrdiff_t accumulate=1):
        cdef const k.fnn_table *table = k.table_of(isa)
        cdef int f64 = np.dtype(dtype) == np.float64, i, j
        cdef k.fnn_op *op
        cdef list own = [], patches = []
        self.bases, self.live, self.counters = bases, live, counters
        self.n_ops, self.n_segments = len(ops), len(segments)
        self.panel, self.chunk, self.slots, self.accumulate = panel, chunk, slots, accumulate
        self.ops = <k.fnn_op *>calloc(len(ops) + 1, sizeof(k.fnn_op))
        self.plan = <Plan *>calloc(len(ops) + 1, sizeof(Plan))
        self.segments = <Segment *>calloc(len(segments) + 1, sizeof(Segment))
        if self.ops == NULL or self.plan == NULL or self.segments == NULL:
            raise MemoryError("program")
        for i, (kernel, p, n, s, fn, split, barrier) in enumerate(ops):
            self.plan[i].split = SPLITS[split.way]
            self.plan[i].items, self.plan[i].grain, self.plan[i].extent = split.items, split.grain, split.extent
            self.plan[i].cost, self.plan[i].last, self.plan[i].few = split.cost, split.last, split.few
            self.plan[i].group = split.group
            self.plan[i].barrier = barrier
            op = &self.ops[i]
            for what, given, most in (("p", p, k.FNN_MAX_P), ("n", n, k.FNN_MAX_N), ("s", s, k.FNN_MAX_S),
                                      ("fn", fn, k.FNN_MAX_FN)):
                if len(given) > most:
                    raise ValueError(f"operation {i}, {kernel}: expected at most {most} of {what}, got {len(given)}")
            op.run = k.find_kernel(table, kernel, f64)
            for j, where in enumerate(p):
                if where is not None:
                    base, offset = where
                    if base in live:
                        patches.append((i, j, live.index(base), offset))
                    else:
                        own.append((i, j, bases.index(base), offset))
            for j, number in enumerate(n):
                op.n[j] = number
            for j, scalar in enumerate(s):
                op.s[j] = scalar
            for j, what in enumerate(fn):
                if what is None:
                    continue
                kind, row = what
                if kind == "act_fwd":
                    op.fn[j] = <k.fnn_any>k.find_activation(table, row).fwd[f64]
                elif kind == "act_bwd":
                    op.fn[j] = <k.fnn_any>k.find_activation(table, row).bwd[f64]
                elif kind == "update":
                    op.fn[j] = <k.fnn_any>k.find_optimizer(table, row).update[f64]
                else:
                    op.fn[j] = k.find_optimizer(table, row).beside[f64]
        for i, (is_chunked, lo, hi) in enumerate(segments):
            self.segments[i].chunked, self.segments[i].lo, self.segments[i].hi = is_chunked, lo, hi
        self.n_own, self.own = len(own), new_patches(own)
        self.n_patches, self.patches = len(patches), new_patches(patches)
        if partials is not None:
            base, offset, self.n_partials, self.partial_stride = partials
            self.partials = base, offset
        self.n_rows = self.n_partials + len({row for _, _, _, row, _, _ in counters if row is not None})
        self.momentum_at = -1
        if optimizer is not None:
            self.prep = k.find_optimizer(table, optimizer).prep
            names = next(list(names) for name, names, _ in optimizer_rows() if name == optimizer)
            self.momentum_at = next((names.index(n) for n in MOMENTA if n in names), -1)

    def __dealloc__(self):
        free(self.ops)
        free(self.plan)
        free(self.segments)
        free(self.own)
        free(self.patches)

    @property
    def barriers(self):
        """Numbers of the operations before which threads wait. A door for tests, which may set others."""
        return tuple(i for i in range(self.n_ops) if self.plan[i].barrier)

    @barriers.setter
    def barriers(self, chosen):
        for i in range(self.n_ops):
            self.plan[i].barrier = i in chosen

    def shares(self, ptrdiff_t op, ptrdiff_t panels, int team):
        """Where the items of each thread begin in an operation split by features, and where the last one's end."""
        if not 0 <= op < self.n_ops:
            raise IndexError(f"op: expected 0 to {self.n_ops - 1}, got {op}")
        each = panels if self.plan[op].split == BY_BOTH else 1
        return [share(&self.plan[op], each, tid, team) for tid in range(team + 1)]


cdef Patch *new_patches(list found) except NULL:
    cdef Patch *patches = <Patch *>calloc(len(found) + 1, sizeof(Patch))
    if patches == NULL:
        raise MemoryError("program")
    for i, (op, place, which, offset) in enumerate(found):
        patches[i].op, patches[i].place, patches[i].which, patches[i].offset = op, place, which, offset
    return patches


cdef class Executor:
    """Operations bound to the memory of one network.

    Parameters
    ----------
    operations : Operations
    make_arena : function of int
        The activations, an array of bytes, of each of the threads that have their own.
    copies : int
        How many threads can have their own; 0: all share those of the batch.
    shared : tuple of int
        Addresses of ``operations.bases[1:]``; the first base is the arena.
    scratch_bytes : int
        What each thread needs during a run.
    params : tuple of float
        The optimizer's parameters.
    keep : object
        What must live as long.
    """
    def __cinit__(self, Operations operations, make_arena, int copies, tuple shared, size_t scratch_bytes, tuple params,
                  keep):
        cdef int i, n = operations.n_ops
        cdef size_t address
        cdef tuple bases = operations.bases
        if len(bases) > MAX_BASES or len(shared) != len(bases) - 1:
            raise ValueError(f"bases: expected at most {MAX_BASES}, got {len(bases)}, and addresses of {len(shared)}")
        scratch.enter()
        self.entered = 1
        self.operations, self.keep, self.make_arena, self.shared = operations, keep, make_arena, shared
        self.arenas, self.most_copies, self.scratch_bytes = [], max(1, copies), scratch_bytes
        self.counters = <Counter *>calloc(len(operations.counters) + 1, sizeof(Counter))
        self.barrier = fnn_barrier_new()
        if self.counters == NULL or self.barrier == NULL:
            raise MemoryError("program")
        self.job.n_ops, self.job.n_partials, self.job.n_rows = n, operations.n_partials, operations.n_rows
        self.add_copy()
        self.job.panel, self.job.chunk, self.job.slots = operations.panel, operations.chunk, operations.slots
        self.job.partial_stride = operations.partial_stride
        if operations.partials is not None:
            base, offset = operations.partials
            address = shared[bases.index(base) - 1] + offset
            self.job.partials = <const double *>address
        for i, (base, offset, count, row, within, across) in enumerate(operations.counters):
            address = shared[bases.index(base) - 1] + offset
            self.counters[i].first, self.counters[i].count = <const double *>address, count
            self.counters[i].row = 0 if row is None else operations.n_partials + row
            self.counters[i].ways = ((OF_LOSS if row is None else 0) | (WITHIN_MAX if within == "max" else 0)
                                     | (ACROSS_MAX if across == "max" else 0))
        self.job.counters, self.job.n_counters = self.counters, len(operations.counters)
        self.job.accumulate = operations.accumulate
        self.totals = np.zeros((max(1, self.job.n_rows), 2))
        self.own_totals = <double *>PyArray_DATA(self.totals)
        self.job.plan, self.job.segments = operations.plan, operations.segments
        self.job.barrier = self.barrier
        self.job.prep, self.job.prep_s, self.job.momentum_at = operations.prep, self.prep_s, operations.momentum_at
        for i, scalar in enumerate(params):
            self.prep_s[i] = scalar

    def __dealloc__(self):
        free(self.job.ops)
        free(self.counters)
        free(self.barrier)
        if self.entered:
            scratch.leave()

    cdef int add_copy(self) except -1:
        """Operations with an arena of their own, for one thread more."""
        cdef int i, c = self.job.n_copies, n = self.job.n_ops
        cdef size_t addresses[MAX_BASES]
        cdef const Patch *own
        cdef k.fnn_op *ops
        arena = self.make_arena(c)
        addresses[0] = <size_t>PyArray_DATA(<ndarray?>arena)
        for i, given in enumerate(self.shared):
            addresses[i + 1] = given
        ops = <k.fnn_op *>realloc(self.job.ops, (n * (c + 1) + 1) * sizeof(k.fnn_op))
        if ops == NULL:
            raise MemoryError("program")
        self.job.ops = ops
        memcpy(ops + c * n, self.operations.ops, n * sizeof(k.fnn_op))
        for i in range(self.operations.n_own):
            own = &self.operations.own[i]
            ops[c * n + own.op].p[own.place] = <void *>(addresses[own.which] + own.offset)
        self.arenas.append(arena)
        self.job.n_copies = c + 1
        return 0

    cpdef int prepare(self, int threads) except -1:
        """See that so many threads have what they need: nothing will be allocated when they run again."""
        while self.job.n_copies < min(threads, self.most_copies):
            self.add_copy()
        return 0

    cdef int read(self, tuple live, void **bases) except -1:
        """The addresses of the caller's arrays."""
        cdef int i
        cdef size_t address
        if len(live) != len(self.operations.live) or len(live) > MAX_LIVE:
            raise ValueError(f"live: expected {len(self.operations.live)} of at most {MAX_LIVE}, got {len(live)}")
        for i, given in enumerate(live):
            address = given
            bases[i] = <void *>address
        return 0

    cdef void bind(self, void **live) noexcept nogil:
        """Point the operations to the caller's arrays."""
        cdef int c, i
        cdef void *base
        cdef const Patch *patch
        for c in range(self.job.n_copies):
            for i in range(self.operations.n_patches):
                patch = &self.operations.patches[i]
                base = live[patch.which]
                self.job.ops[c * self.job.n_ops + patch.op].p[patch.place] = (
                    NULL if base == NULL else <void *>(<char *>base + patch.offset))

    cdef int once(self, void **live, ptrdiff_t n, double rate, uint64_t step, uint64_t seed,
                  int threads, int first, int last) except -1:
        """Segments [first, last) for one batch (last < 0: all that follow); the totals are those of the batch alone."""
        cdef Job *job = &self.job
        cdef int i, failed
        self.prepare(threads)
        self.bind(live)
        for i in range(2 * job.n_rows):
            self.own_totals[i] = 0
        job.totals, job.index, job.hypers, job.lrs = self.own_totals, NULL, 1, &rate
        job.row0, job.count, job.batch, job.epoch, job.start, job.steps = 0, n, n, n, 0, 1
        job.step0, job.seed = step, seed
        job.first_segment, job.last_segment = first, self.operations.n_segments if last < 0 else last
        job.stop_after, job.steps_done, job.deadline, job.pieces, job.given_up = -1, 0, 0, 0, 0
        with nogil:
            failed = self.start(threads)
        if failed:
            raise MemoryError(NO_SCRATCH.format(self.scratch_bytes))
        return 0

    cdef int start(self, int threads) noexcept nogil:
        """Run with so many threads, or as many as there is memory for: the bits are the same. 0, or -1 if for none."""
        cdef void *blocks[MAX_THREADS]
        cdef int i, taken = 0
        threads = affordable(max(1, min(threads, MAX_THREADS)))
        self.job.disturbed, self.job.scratch = 0, blocks
        while taken < threads:
            blocks[taken] = scratch.take(self.scratch_bytes)
            if blocks[taken] == NULL:
                break
            taken += 1
        threads = taken
        if threads == 0:
            return -1
        if threads == 1:
            work(&self.job, 0, 1)
        else:
            self.job.begun = fnn_now()
            fnn_barrier_forget(self.barrier)
            with parallel(num_threads=threads):
                work(&self.job, threadid(), fnn_team_size())
        for i in range(taken):
            scratch.give(blocks[i])
        return 0

    def run(self, tuple live, ptrdiff_t count, ptrdiff_t batch, *, const int64_t[::1] index=None, int64_t row0=0,
            ptrdiff_t epoch=0, ptrdiff_t start=0, ptrdiff_t stop=0, lrs=None, uint64_t step0=0, uint64_t seed=0,
            int threads=1, double seconds=0, int first=0, int last=-1, double[:, ::1] totals=None, counter=None,
            ptrdiff_t pieces=0, tuple saved=(), later=None):
        """Run segments [first, last) for `count` samples in batches; returns the number of steps done.

        live: addresses of the bases named at construction.  epoch: samples of one, where count is that of several (0:
        of one); the last batch of each may be smaller, and rows without an index begin anew.  start: the step to begin
        with, stop: that to end before (0: after the last); all else is given as for all of them.  lrs: learning rates
        (steps,), or with the momentum of each step beside them (steps, 2).  seconds: stop at the first step boundary
        after so long (0: never), or after
        threads had to wait for one that did not run (see `disturbed`).  Sums of losses and metrics are added to
        `totals`, step by step: where a run is cut leaves no trace in them (default: the attribute `totals`, from zero).
        Each epoch has rows of its own there, one after the other.  counter: its `step` goes up by the steps done, here,
        where no handler of a signal can come between the two.

        pieces: do one step, a long one, and look for Ctrl-C between so many pieces of each operation; if it comes, the
        arrays of `saved`, a tuple of (array, copy), are put back, the handlers of signals run, and no step is done.
        later: its `came` says whether such a signal came before.  In the main thread."""
        cdef Job *job = &self.job
        cdef ptrdiff_t steps
        cdef ndarray array, copy
        cdef int watched = 0, failed = 0
        cdef void *bases[MAX_LIVE]
        cdef const double[:, ::1] hypers
        epoch = epoch if epoch > 0 else max(1, count)
        steps = count // epoch * ceil_div(epoch, batch) + ceil_div(count % epoch, batch) if count > 0 else 0
        if totals is None:
            totals = self.totals
            totals[:, :] = 0
        elif totals.shape[0] < job.n_rows * ceil_div(count, epoch) or totals.shape[1] != 2:
            raise ValueError("totals: wrong shape")
        if index is not None and index.shape[0] < count:
            raise ValueError(f"index: expected at least {count} entries, got {index.shape[0]}")
        if lrs is not None:
            lrs = np.ascontiguousarray(lrs, np.float64)
            hypers = lrs.reshape(len(lrs), -1)
        if job.prep != NULL and (lrs is None or hypers.shape[0] < steps or hypers.shape[1] not in (1, 2)):
            raise ValueError(f"lrs: expected {steps} learning rates")
        if lrs is not None and hypers.shape[1] == 2 and job.momentum_at < 0:
            raise ValueError("lrs: a momentum for an optimizer that has none")
        self.read(live, bases)
        self.prepare(threads)
        self.bind(bases)
        job.totals = &totals[0, 0]
        job.index = NULL if index is None or steps == 0 else <int64_t *>&index[0]
        job.lrs = NULL if lrs is None or steps == 0 else <double *>&hypers[0, 0]
        job.hypers = 1 if lrs is None else hypers.shape[1]
        job.row0, job.count, job.batch, job.epoch, job.start, job.steps = row0, count, batch, epoch, start, steps
        job.step0, job.seed = step0, seed
        job.first_segment, job.last_segment = first, self.operations.n_segments if last < 0 else last
        job.stop_after, job.steps_done, job.given_up, job.pieces = -1, 0, 0, 0
        if stop > 0:
            job.steps = min(steps, stop)
        if pieces > 0:
            job.steps = min(steps, start + 1)
            watched = fnn_watch_begin()
            job.pieces = pieces if watched else 0
            job.given_up = watched and came_before(later)
        job.deadline = fnn_now() + seconds if seconds > 0 else 0
        if not job.given_up:
            with nogil:
                failed = self.start(threads)
        if watched:
            fnn_watch_end()
        if failed:
            raise MemoryError(NO_SCRATCH.format(self.scratch_bytes))
        if job.given_up:
            for array, copy in saved:
                memcpy(PyArray_DATA(array), PyArray_DATA(copy), PyArray_NBYTES(array))
            PyErr_CheckSignals()
            return 0
        if counter is not None:
            counter.step = counter.step + job.steps_done
        return job.steps_done

    @property
    def disturbed(self):
        """Whether threads of the last run had to wait for one that did not run: the machine is busy."""
        return self.job.disturbed != 0
