"""What each thread of a team does, whoever calls it: its share of an operation, its chunks, begin and end of a step.

Here because two callers compile it into their loops: `work` of executor.pyx, the threads of a parallel region, and the
virtual team of virtual_team.pyx."""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from . cimport kernels as k

cdef extern from "sync.h" nogil:
    ctypedef struct fnn_barrier:
        pass
    fnn_barrier *fnn_barrier_new() noexcept
    void fnn_barrier_wait(fnn_barrier *b, int n) noexcept
    void fnn_barrier_forget(fnn_barrier *b) noexcept
    int fnn_barrier_disturbed(fnn_barrier *b, int n, double begun) noexcept
    double fnn_now() noexcept
    unsigned fnn_float_enter() noexcept
    void fnn_float_leave(unsigned old) noexcept

cdef extern from "interrupt.h" nogil:
    int fnn_interrupted
    int fnn_watch_begin() noexcept
    void fnn_watch_end() noexcept

cdef enum:
    MAX_THREADS = 64

cdef enum Split:
    BY_FEATURES = 0   # items, each with every sample panel
    BY_SAMPLES = 1    # sample panels, each with every item
    BY_BOTH = 2       # pairs of item and sample panel, item by item
    BY_ONE = 3        # the first thread does it

cdef enum Chunked:
    PRIVATE = 1       # a thread's activations hold one chunk at a time and stay in its cache
    SHARED = 2        # activations hold the batch, because a reduction over it stands between two chunked segments

cdef struct Plan:
    Split split
    ptrdiff_t items    # what threads share: runs of features, blocks of parameters, ...
    ptrdiff_t grain    # the rect's f of an item to that of the next: features, or 1
    ptrdiff_t extent   # where the rect's f ends
    ptrdiff_t cost     # of an item, relative to
    ptrdiff_t last     # that of each of the last
    ptrdiff_t few      # so many items, which do not cost as much
    ptrdiff_t group    # items that are cheaper together: long steps are cut between groups
    int barrier        # wait for the others first (layered segments)

cdef struct Segment:
    int chunked
    int lo
    int hi

cdef enum Ways:            # of a counter
    OF_LOSS = 1            # a penalty: added to the loss of every sample
    WITHIN_MAX = 2         # the largest of the doubles of a step, not their sum
    ACROSS_MAX = 4         # the largest of several steps

cdef struct Counter:
    const double *first    # its doubles
    ptrdiff_t count
    ptrdiff_t row          # of the totals
    int ways

cdef struct Job:
    int n_ops
    int n_copies             # of the operations: thread t has number t modulo this
    int n_partials
    ptrdiff_t n_rows         # of the totals: partials, then counters
    int first_segment
    int last_segment
    ptrdiff_t panel
    ptrdiff_t chunk          # samples of a chunk
    ptrdiff_t slots
    ptrdiff_t count
    ptrdiff_t batch
    ptrdiff_t epoch          # samples of one; count may be that of several
    ptrdiff_t start          # the step to begin with, of
    ptrdiff_t steps
    ptrdiff_t partial_stride
    const int64_t *index
    int64_t row0
    const double *lrs        # of each step the learning rate and, if hypers is 2, the momentum
    ptrdiff_t hypers
    uint64_t step0
    uint64_t seed
    double begun             # when the threads of this run were started
    double deadline
    k.fnn_prep prep
    const double *prep_s     # the optimizer's parameters
    int momentum_at          # which of them is the momentum, -1: none
    const Plan *plan
    const Segment *segments
    k.fnn_op *ops
    void **scratch
    const double *partials
    const Counter *counters
    int n_counters
    ptrdiff_t accumulate     # steps that make one update of the weights
    double *totals           # per epoch and row {sum, weight}; of a counter {figure, steps}
    fnn_barrier *barrier
    ptrdiff_t stop_after     # the last step to do
    ptrdiff_t steps_done
    int disturbed            # threads have waited for one that did not run
    ptrdiff_t pieces         # at least, of each operation, between looks for Ctrl-C; 0: no look
    int given_up             # a thread has left something out: the step counts for nothing


cdef struct Member:
    k.fnn_run run            # of one thread, with its
    double hyper[8]
    double params[8]         # the optimizer's, with the momentum of the step


cdef inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline ptrdiff_t share(const Plan *plan, ptrdiff_t panels, int tid, int team) noexcept nogil:
    """Where the items of thread `tid` begin, each taken `panels` times; nearest to its part of the whole cost."""
    cdef ptrdiff_t items = plan.items * panels, few = plan.few * panels, front = items - few, part
    part = (front * plan.cost + few * plan.last) * tid // team
    if tid == team:
        return items
    if part < front * plan.cost:
        return (part + plan.cost // 2) // plan.cost
    return front + (part - front * plan.cost + plan.last // 2) // plan.last


cdef inline bint goes_on(Job *job) noexcept nogil:
    """Whether the step is not given up; a thread asks before each piece of its work."""
    if job.pieces and fnn_interrupted:
        job.given_up = 1
    return not job.given_up


cdef inline void in_pieces(Job *job, const k.fnn_op *op, const Plan *plan, const k.fnn_run *run,
                           const k.fnn_rect *whole) noexcept nogil:
    """A rectangle of a long step: what is computed does not depend on how it is cut."""
    cdef k.fnn_rect r = whole[0]
    cdef ptrdiff_t length, unit = plan.grain * plan.group
    if plan.split == BY_FEATURES:
        length = ceil_div(ceil_div(whole.f1 - whole.f0, job.pieces), unit) * unit
        while r.f0 < whole.f1 and goes_on(job):
            r.f1 = min(whole.f1, r.f0 + length)
            op.run(op, run, &r)
            r.f0 = r.f1
    else:
        length = ceil_div(whole.p1 - whole.p0, job.pieces)
        while r.p0 < whole.p1 and goes_on(job):
            r.p1 = min(whole.p1, r.p0 + length)
            op.run(op, run, &r)
            r.p0 = r.p1


cdef inline void rectangle(Job *job, const k.fnn_op *op, const Plan *plan, const k.fnn_run *run,
                           const k.fnn_rect *r) noexcept nogil:
    if job.pieces:
        in_pieces(job, op, plan, run, r)
    else:
        op.run(op, run, r)


cdef inline void layered(Job *job, const k.fnn_op *op, const Plan *plan, const k.fnn_run *run, ptrdiff_t panels,
                         int tid, int team) noexcept nogil:
    """The part of thread `tid` of one operation."""
    cdef k.fnn_rect r
    cdef ptrdiff_t lo, hi, f, p
    r.f0, r.f1, r.p0, r.p1 = 0, plan.extent, 0, panels
    if plan.split == BY_ONE:
        if tid == 0 and goes_on(job):
            op.run(op, run, &r)
        return
    if plan.split == BY_SAMPLES:
        lo, hi = panels * tid // team, panels * (tid + 1) // team
    else:
        p = panels if plan.split == BY_BOTH else 1
        lo, hi = share(plan, p, tid, team), share(plan, p, tid + 1, team)
    if lo >= hi:
        return
    if plan.split == BY_FEATURES:
        r.f0, r.f1 = lo * plan.grain, min(hi * plan.grain, plan.extent)
        rectangle(job, op, plan, run, &r)
    elif plan.split == BY_SAMPLES:
        r.p0, r.p1 = lo, hi
        rectangle(job, op, plan, run, &r)
    else:
        while lo < hi:
            f = lo // panels
            p = lo - f * panels
            r.f0, r.p0 = f * plan.grain, p
            if p == 0 and hi - lo >= panels:
                r.f1 = f + (hi - lo) // panels
                r.p1 = panels
                lo += (r.f1 - f) * panels
                r.f1 = min(r.f1 * plan.grain, plan.extent)
            else:
                r.f1 = min((f + 1) * plan.grain, plan.extent)
                r.p1 = min(panels, p + hi - lo)
                lo += r.p1 - p
            rectangle(job, op, plan, run, &r)


cdef inline void chunked(Job *job, const k.fnn_op *ops, const Segment *seg, k.fnn_run *run, int tid,
                         int team) noexcept nogil:
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
            if not goes_on(job):
                break
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
                r.f1 = job.plan[i].extent
                ops[i].run(&ops[i], run, &r)
    run.s0, run.n, run.slot, run.accumulate = 0, n, 0, 0


cdef inline void join(const Job *job, Member *me, int tid) noexcept nogil:
    """Thread `tid` at the beginning of a run."""
    me.run.s0 = me.run.slot = me.run.accumulate = 0
    me.run.seed = job.seed
    me.run.index = NULL
    me.run.hyper = me.hyper
    me.run.rate = 0
    me.run.scratch = job.scratch[tid]
    if job.prep != NULL:
        memcpy(me.params, job.prep_s, sizeof(me.params))


cdef inline const k.fnn_op *operations_of(const Job *job, int tid) noexcept nogil:
    return job.ops + <ptrdiff_t>(tid % job.n_copies) * job.n_ops


cdef inline ptrdiff_t epoch_of(const Job *job, ptrdiff_t step) noexcept nogil:
    return step // ceil_div(job.epoch, job.batch)


cdef inline void begin_step(const Job *job, Member *me, ptrdiff_t step) noexcept nogil:
    """A thread before its first operation of a step."""
    cdef k.fnn_run *run = &me.run
    cdef ptrdiff_t within = step % ceil_div(job.epoch, job.batch) * job.batch
    cdef ptrdiff_t at = epoch_of(job, step) * job.epoch + within
    run.n = run.batch = min(job.batch, min(job.epoch - within, job.count - at))
    run.step = job.step0 + <uint64_t>step
    run.row0 = job.row0 + within
    run.epoch = epoch_of(job, step)
    if job.index != NULL:
        run.index = job.index + at
    if job.prep != NULL:
        if job.hypers == 2:
            me.params[job.momentum_at] = job.lrs[2 * step + 1]
        run.rate = job.lrs[job.hypers * step]
        job.prep(me.hyper, run.rate, run.step // <uint64_t>job.accumulate + 1, me.params)


cdef inline double figure_of(const Counter *counter) noexcept nogil:
    """Of one step, in the order of its doubles; NaN if one of them is."""
    cdef double figure = 0
    cdef ptrdiff_t p
    for p in range(counter.count):
        if not counter.ways & WITHIN_MAX:
            figure += counter.first[p]
        elif p == 0 or not counter.first[p] <= figure:
            figure = counter.first[p] if figure == figure else figure
    return figure


cdef inline void count_step(double *total, double figure, int ways) noexcept nogil:
    if not ways & ACROSS_MAX:
        total[0] += figure
    elif total[1] == 0 or (total[0] == total[0] and not figure <= total[0]):
        total[0] = figure
    total[1] += 1


cdef inline void finish_step(Job *job, ptrdiff_t step, ptrdiff_t n, int team) noexcept nogil:
    """First thread: add up the partial sums in the order of the samples; decide whether to go on.

    The others are in the next step already, which saves a barrier; so that step will be done in any case."""
    cdef int i
    cdef ptrdiff_t p, panels = ceil_div(n, job.panel)
    cdef double a, b, penalty = 0
    cdef const double *row
    cdef double *totals = job.totals + 2 * epoch_of(job, step) * job.n_rows
    for i in range(job.n_counters):
        a = figure_of(&job.counters[i])
        if job.counters[i].ways & OF_LOSS:
            penalty += a
        else:
            count_step(totals + 2 * job.counters[i].row, a, job.counters[i].ways)
    for i in range(job.n_partials):
        a = b = 0
        row = job.partials + i * job.partial_stride
        for p in range(panels):
            a += row[2 * p]
            b += row[2 * p + 1]
        if i == 0:
            a += penalty * <double>n
        totals[2 * i] += a
        totals[2 * i + 1] += b
    job.steps_done = step + 1 - job.start
    if team > 1 and fnn_barrier_disturbed(job.barrier, team, job.begun):
        job.disturbed = 1
    # of a disturbed run the rest may be done better with fewer threads
    if job.deadline > 0 and job.stop_after < 0 and (job.disturbed or fnn_now() > job.deadline):
        job.stop_after = step + (team > 1)
