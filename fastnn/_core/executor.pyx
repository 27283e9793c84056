"""Runs a planned program: many steps in one call, one parallel region, no Python inside.

(a) A program is a list of operations (fnn_op) cut into segments.  A *layered* segment runs operation by operation;
    all threads share one, each takes a part of its panels, and wait for each other where the planner has set a
    barrier.  A *chunked* segment is run by each thread for chunk after chunk of the samples, without waiting.
(b) Parts depend on the number of threads; what is computed in a panel, a chunk or a gradient slot does not.  So the
    bits are the same for any number of threads.
(c) Pointers are bound once.  Those into the caller's arrays (data, labels, output) are patched at each call.
(d) Threads run on copies of the operations, because a chunked segment has activations of its own in each thread.
"""
import numpy as np

from cython.parallel cimport parallel, threadid
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from numpy cimport PyArray_DATA

from . cimport kernels as k
from .threads cimport fnn_team_size

from .kernels import optimizer_rows

MOMENTA = ("momentum", "beta_1")  # what a schedule may change beside the rate
SCRATCH_BYTES = k.FNN_SCRATCH_BYTES
TILE_SCRATCH_BYTES = k.FNN_TILE_SCRATCH_BYTES
SPLITS = {"features": BY_FEATURES, "samples": BY_SAMPLES, "both": BY_BOTH, "one": BY_ONE}


cdef inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline void layered(const k.fnn_op *op, const Plan *plan, const k.fnn_run *run, ptrdiff_t panels,
                         int tid, int team) noexcept nogil:
    """The part of thread `tid` of one operation."""
    cdef k.fnn_rect r
    cdef ptrdiff_t items, lo, hi, f, p
    r.f0, r.f1, r.p0, r.p1 = 0, plan.items, 0, panels
    if plan.split == BY_ONE:
        if tid == 0:
            op.run(op, run, &r)
        return
    if plan.split == BY_BOTH:
        items = plan.items * panels
    else:
        items = plan.items if plan.split == BY_FEATURES else panels
    lo = items * tid // team
    hi = items * (tid + 1) // team
    if lo >= hi:
        return
    if plan.split == BY_FEATURES:
        r.f0, r.f1 = lo, hi
        op.run(op, run, &r)
    elif plan.split == BY_SAMPLES:
        r.p0, r.p1 = lo, hi
        op.run(op, run, &r)
    else:
        while lo < hi:
            f = lo // panels
            p = lo - f * panels
            r.f0, r.p0 = f, p
            if p == 0 and hi - lo >= panels:
                r.f1 = f + (hi - lo) // panels
                r.p1 = panels
                lo += (r.f1 - f) * panels
            else:
                r.f1 = f + 1
                r.p1 = min(panels, p + hi - lo)
                lo += r.p1 - p
            op.run(op, run, &r)


cdef inline void chunked(const Job *job, const k.fnn_op *ops, const Segment *seg, k.fnn_run *run,
                         int tid, int team) noexcept nogil:
    """Every chunk of the gradient slots of thread `tid`, through all operations of the segment."""
    cdef ptrdiff_t n = run.n, chunks = ceil_div(n, job.chunk), slots = min(job.slots, chunks)
    cdef ptrdiff_t slot, c, c0
    cdef k.fnn_rect r
    cdef int i
    team = min(team, <int>slots)  # so that the first threads work: only they have activations of their own
    if tid >= team:
        return
    for slot in range(slots * tid // team, slots * (tid + 1) // team):
        c0 = chunks * slot // slots
        for c in range(c0, chunks * (slot + 1) // slots):
            run.slot = slot
            run.accumulate = c > c0
            r.f0 = 0
            if seg.chunked == SHARED:
                r.p0 = c * job.chunk // job.panel
                r.p1 = ceil_div(min(n, (c + 1) * job.chunk), job.panel)
            else:
                run.s0 = c * job.chunk
                run.n = min(job.chunk, n - run.s0)
                r.p0, r.p1 = 0, ceil_div(run.n, job.panel)
            for i in range(seg.lo, seg.hi):
                r.f1 = job.plan[i].items
                ops[i].run(&ops[i], run, &r)
    run.s0, run.n, run.slot, run.accumulate = 0, n, 0, 0


cdef void finish_step(Job *job, ptrdiff_t step, ptrdiff_t panels, ptrdiff_t n) noexcept nogil:
    """First thread: add up the partial sums in the order of the samples; decide whether to go on."""
    cdef int i
    cdef ptrdiff_t p
    cdef double a, b, penalty = 0
    cdef const double *row
    for i in range(job.n_penalties):
        for p in range(job.penalties[i].count):
            penalty += job.penalties[i].first[p]
    for i in range(job.n_partials):
        a = b = 0
        row = job.partials + i * job.partial_stride
        for p in range(panels):
            a += row[2 * p]
            b += row[2 * p + 1]
        if i == 0:
            a += penalty * <double>n
        job.totals[2 * i] += a
        job.totals[2 * i + 1] += b
        if job.step_totals != NULL:
            job.step_totals[2 * (step * job.n_partials + i)] = a
            job.step_totals[2 * (step * job.n_partials + i) + 1] = b
    job.steps_done = step + 1 - job.start
    if job.deadline > 0 and fnn_now() > job.deadline:
        job.stop = 1


cdef void work(Job *job, int tid, int team) noexcept nogil:
    cdef k.fnn_run run
    cdef double hyper[8]
    cdef double params[8]
    cdef const Segment *seg
    cdef k.fnn_op *ops = job.ops + <ptrdiff_t>tid * job.n_ops
    cdef ptrdiff_t step, panels, at, within, per_epoch = ceil_div(job.epoch, job.batch)
    cdef int i, j
    cdef unsigned csr = fnn_float_enter()
    run.s0 = run.slot = run.accumulate = 0
    run.seed = job.seed
    run.index = NULL
    run.hyper = hyper
    run.rate = 0
    run.scratch = job.scratch[tid]
    if job.prep != NULL:
        memcpy(params, job.prep_s, sizeof(params))
    for step in range(job.start, job.steps):
        within = step % per_epoch * job.batch
        at = step // per_epoch * job.epoch + within
        run.n = run.batch = min(job.batch, min(job.epoch - within, job.count - at))
        run.step = job.step0 + <uint64_t>step
        run.row0 = job.row0 + within
        if job.index != NULL:
            run.index = job.index + at
        if job.prep != NULL:
            if job.hypers == 2:
                params[job.momentum_at] = job.lrs[2 * step + 1]
            run.rate = job.lrs[job.hypers * step]
            job.prep(hyper, run.rate, run.step // <uint64_t>job.accumulate + 1, params)
        panels = ceil_div(run.n, job.panel)
        for j in range(job.first_segment, job.last_segment):
            seg = &job.segments[j]
            if seg.chunked:
                fnn_barrier_wait(job.barrier, team)
                chunked(job, ops, seg, &run, tid, team)
                fnn_barrier_wait(job.barrier, team)
            else:
                for i in range(seg.lo, seg.hi):
                    if job.plan[i].barrier:
                        fnn_barrier_wait(job.barrier, team)
                    layered(&ops[i], &job.plan[i], &run, panels, tid, team)
        fnn_barrier_wait(job.barrier, team)
        if tid == 0:
            finish_step(job, step, panels, run.n)
        fnn_barrier_wait(job.barrier, team)
        if job.stop:
            break
    fnn_float_leave(csr)


cdef class Executor:
    """One program, bound to its memory.

    Parameters
    ----------
    isa : str
    dtype : numpy dtype, float32 or float64
    ops : list of (kernel, p, n, s, fn, split, items, barrier)
        p: (base, byte offset) or None each; fn: ("act_fwd" | "act_bwd" | "update", row name) or None each.
    segments : list of (chunked, lo, hi)
    bases : list (one per copy) of {base: address}; a base named in `live` is patched by `run`.
    live : tuple of names of bases that come with each call
    partials : (address, count, stride in doubles) of the partial sums of losses and metrics
    optimizer : (row name, parameters) or None
    penalties : list of (address, count)
        Parts of penalties on weights, in double: their sum is added to the loss of every sample.
    accumulate : int
        Steps that make one update of the weights.
    """
    def __cinit__(self, isa, dtype, list ops, list segments, list bases, tuple live, partials, optimizer,
                  ptrdiff_t panel, ptrdiff_t chunk, ptrdiff_t slots, list scratch, keep,
                  tuple penalties=(), ptrdiff_t accumulate=1):
        cdef const k.fnn_table *table = k.table_of(isa)
        cdef int f64 = np.dtype(dtype) == np.float64, i, j, c
        cdef k.fnn_op *op
        cdef size_t address
        self.n_copies, self.n_segments = len(bases), len(segments)
        self.keep, self.live, found = keep, live, []
        self.ops = <k.fnn_op *>calloc(len(ops) * self.n_copies + 1, sizeof(k.fnn_op))
        self.plan = <Plan *>calloc(len(ops) + 1, sizeof(Plan))
        self.segments = <Segment *>calloc(len(segments) + 1, sizeof(Segment))
        self.scratch = <void **>calloc(self.n_copies + 1, sizeof(void *))
        self.penalties = <Values *>calloc(len(penalties) + 1, sizeof(Values))
        if (self.ops == NULL or self.plan == NULL or self.segments == NULL or self.scratch == NULL
                or self.penalties == NULL):
            raise MemoryError("program")
        for c in range(self.n_copies):
            address = scratch[c]
            self.scratch[c] = <void *>address
        for i, (kernel, p, n, s, fn, split, items, barrier) in enumerate(ops):
            self.plan[i].split = SPLITS[split]
            self.plan[i].items = items
            self.plan[i].barrier = barrier
            for c in range(self.n_copies):
                op = &self.ops[c * len(ops) + i]
                op.run = k.find_kernel(table, kernel, f64)
                for j, where in enumerate(p):
                    if where is None:
                        continue
                    base, offset = where
                    if base in live:
                        if c == 0:
                            found.append((i, j, live.index(base), offset))
                        continue
                    address = bases[c][base] + offset
                    op.p[j] = <void *>address
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
                    else:
                        op.fn[j] = <k.fnn_any>k.find_optimizer(table, row).update[f64]
        for i, (is_chunked, lo, hi) in enumerate(segments):
            self.segments[i].chunked, self.segments[i].lo, self.segments[i].hi = is_chunked, lo, hi
        self.patches = <Patch *>calloc(len(found) + 1, sizeof(Patch))
        if self.patches == NULL:
            raise MemoryError("program")
        for i, (which, place, base, offset) in enumerate(found):
            self.patches[i].op, self.patches[i].place, self.patches[i].which = which, place, base
            self.patches[i].offset = offset
        self.n_patches = len(found)
        self.barrier = fnn_barrier_new()
        if self.barrier == NULL:
            raise MemoryError("program")
        self.job.n_ops = len(ops)
        self.job.panel, self.job.chunk, self.job.slots = panel, chunk, slots
        address, self.job.n_partials, self.job.partial_stride = partials
        self.job.partials = <const double *>address
        for i, (address, count) in enumerate(penalties):
            self.penalties[i].first, self.penalties[i].count = <const double *>address, count
        self.job.penalties, self.job.n_penalties, self.job.accumulate = self.penalties, len(penalties), accumulate
        self.totals = np.zeros((max(1, self.job.n_partials), 2))
        self.own_totals = <double *>PyArray_DATA(self.totals)
        self.job.plan, self.job.segments, self.job.ops = self.plan, self.segments, self.ops
        self.job.scratch, self.job.barrier = self.scratch, self.barrier
        if optimizer is not None:
            row, params = optimizer
            self.job.prep = k.find_optimizer(table, row).prep
            for j, scalar in enumerate(params):
                self.prep_s[j] = scalar
            self.job.prep_s = self.prep_s
            names = next(list(names) for name, names, _ in optimizer_rows() if name == row)
            self.job.momentum_at = next((names.index(n) for n in MOMENTA if n in names), -1)

    def __dealloc__(self):
        free(self.ops)
        free(self.plan)
        free(self.segments)
        free(self.scratch)
        free(self.penalties)
        free(self.patches)
        free(self.barrier)

    cdef void bind(self, void **live, int copies) noexcept nogil:
        """Point the operations of the first `copies` threads to the caller's arrays."""
        cdef int c, i
        cdef void *base
        for c in range(copies):
            for i in range(self.n_patches):
                base = live[self.patches[i].which]
                self.ops[c * self.job.n_ops + self.patches[i].op].p[self.patches[i].place] = (
                    NULL if base == NULL else <void *>(<char *>base + self.patches[i].offset))

    cdef void once(self, ptrdiff_t n, double rate, uint64_t step, uint64_t seed) noexcept nogil:
        """All segments for one batch, on this thread; the totals are those of the batch alone."""
        cdef Job *job = &self.job
        cdef int i
        for i in range(2 * job.n_partials):
            self.own_totals[i] = 0
        job.totals, job.step_totals, job.index, job.hypers, job.lrs = self.own_totals, NULL, NULL, 1, &rate
        job.row0, job.count, job.batch, job.epoch, job.start, job.steps = 0, n, n, n, 0, 1
        job.step0, job.seed, job.first_segment, job.last_segment = step, seed, 0, self.n_segments
        job.stop, job.steps_done, job.deadline = 0, 0, 0
        work(job, 0, 1)

    def run(self, tuple live, ptrdiff_t count, ptrdiff_t batch, *, const int64_t[::1] index=None, int64_t row0=0,
            ptrdiff_t epoch=0, ptrdiff_t start=0, lrs=None, uint64_t step0=0, uint64_t seed=0, int threads=1,
            double seconds=0, int first=0, int last=-1, double[:, ::1] totals=None, double[:, :, ::1] step_totals=None):
        """Run segments [first, last) for `count` samples in batches; returns the number of steps done.

        live: addresses of the bases named at construction.  epoch: samples of one, where count is that of several (0:
        of one); the last batch of each may be smaller, and rows without an index begin anew.  start: the step to begin
        with; all else is given as for beginning with the first.  lrs: learning rates (steps,), or with the momentum of
        each step beside them (steps, 2).  seconds: stop at the first step boundary after so long (0: never).  Sums of
        losses and metrics are added to `totals`, step by step: where a run is cut leaves no trace in them (default: the
        attribute `totals`, from zero).  `step_totals` gets those of each step."""
        cdef Job *job = &self.job
        cdef size_t address
        cdef ptrdiff_t steps
        cdef int i, team = max(1, min(threads, self.n_copies))
        cdef void *bases[8]
        cdef const double[:, ::1] hypers
        epoch = epoch if epoch > 0 else max(1, count)
        steps = count // epoch * ceil_div(epoch, batch) + ceil_div(count % epoch, batch) if count > 0 else 0
        if totals is None:
            totals = self.totals
            totals[:, :] = 0
        elif totals.shape[0] < job.n_partials or totals.shape[1] != 2:
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
        if step_totals is not None and (step_totals.shape[0] < steps or step_totals.shape[1] != job.n_partials
                                        or step_totals.shape[2] != 2):
            raise ValueError("step_totals: wrong shape")
        for i, given in enumerate(live):
            address = given
            bases[i] = <void *>address
        self.bind(bases, self.n_copies)
        job.totals = &totals[0, 0]
        job.step_totals = NULL if step_totals is None or steps == 0 else &step_totals[0, 0, 0]
        job.index = NULL if index is None or steps == 0 else <int64_t *>&index[0]
        job.lrs = NULL if lrs is None or steps == 0 else <double *>&hypers[0, 0]
        job.hypers = 1 if lrs is None else hypers.shape[1]
        job.row0, job.count, job.batch, job.epoch, job.start, job.steps = row0, count, batch, epoch, start, steps
        job.step0, job.seed = step0, seed
        job.first_segment, job.last_segment = first, self.n_segments if last < 0 else last
        job.stop, job.steps_done = 0, 0
        job.deadline = fnn_now() + seconds if seconds > 0 else 0
        with nogil:
            if team == 1:
                work(job, 0, 1)
            else:
                with parallel(num_threads=team):
                    work(job, threadid(), fnn_team_size())
        return job.steps_done
