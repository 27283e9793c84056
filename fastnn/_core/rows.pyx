"""Runs a kernel over row-major arrays: where functions on arrays meet panels and threads.

(a) A task is a run of sample panels: their rows are gathered into panels private to the thread, the kernel runs over
    them, what it has written is scattered back.  So the arrays may be of any size, and nothing is kept between calls.
(b) Cuts may depend on the number of threads, because no kernel's result depends on how its range was cut.
(c) No thread is started for a call that one thread does in less than PAYS_OFF.
"""
from cython.parallel cimport prange, threadid
from libc.stdlib cimport free
from libc.string cimport memset, strcmp

from . cimport kernels as k
from . cimport operands
from .parameters cimport NO_MEMORY, OK
from .threads cimport affordable, fnn_in_team

from .threads import get_num_threads

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size) noexcept

cdef double PAYS_OFF = 30e-6   # seconds of work on one thread from which a second one may gain
cdef ptrdiff_t TASK_PANELS = 16          # sample panels of a task at most
cdef ptrdiff_t TASK_BYTES = 256 * 1024   # of panels: they stay in L2
cdef const k.fnn_table *TABLE = NULL
cdef Functions FUNCTIONS


def use(isa):
    """For tests: every function on arrays runs on instruction set `isa` from now on (None: the process' own)."""
    global TABLE
    cdef int f64
    TABLE = k.table_of(isa)
    for f64 in range(2):
        FUNCTIONS.gather[f64], FUNCTIONS.scatter[f64] = kernel("gather", f64), kernel("scatter", f64)
        FUNCTIONS.dense_rows[f64] = function("dense_rows", f64)


cdef const Functions *functions() noexcept nogil:
    return &FUNCTIONS


cdef ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    return (a + b - 1) // b


cdef size_t whole_lines(size_t nbytes) noexcept nogil:
    return (nbytes + 63) // 64 * 64


cdef void *lines(size_t nbytes) noexcept nogil:
    """Memory on a cache line of its own; NULL if there is none.  Released by free."""
    return aligned_alloc(64, whole_lines(max(nbytes, <size_t>1)))


cdef const k.fnn_table *table() noexcept nogil:
    return TABLE


cdef ptrdiff_t panel_width(int f64) noexcept nogil:
    return 2 * TABLE.vector_bytes // (8 if f64 else 4)


cdef k.fnn_any find(const k.fnn_named *row, const char *name, int f64) noexcept nogil:
    while row.name != NULL:
        if strcmp(row.name, name) == 0:
            return row.fn[f64]
        row += 1
    return NULL


cdef k.fnn_kernel kernel(const char *name, int f64) noexcept nogil:
    return <k.fnn_kernel>find(TABLE.kernels, name, f64)


cdef k.fnn_any function(const char *name, int f64) noexcept nogil:
    return find(TABLE.functions, name, f64)


cdef void start(Job *job, const char *name, int f64, ptrdiff_t samples) noexcept nogil:
    """An empty job for the kernel `name` (NULL: the caller sets job.op.run)."""
    memset(job, 0, sizeof(Job))
    job.f64 = f64
    job.run.batch = samples
    if name != NULL:
        job.op.run = kernel(name, f64)


cdef void gather(int f64, void *panels, const char *rows, ptrdiff_t features, ptrdiff_t stride,
                 ptrdiff_t first, ptrdiff_t samples) noexcept nogil:
    """Rows first, first + 1, ... into panels; the last panel is filled up with zeros."""
    cdef k.fnn_op op
    cdef operands.fnn_p_gather *p = <operands.fnn_p_gather *>op.p
    cdef operands.fnn_n_gather *sizes = <operands.fnn_n_gather *>op.n
    cdef k.fnn_run run
    cdef k.fnn_rect r
    cdef ptrdiff_t width = panel_width(f64)
    memset(&op, 0, sizeof(op))
    memset(&run, 0, sizeof(run))
    p.y, p.x = panels, <void *>rows
    sizes.F, sizes.stride, sizes.dtype = features, stride, (k.FNN_F64 if f64 else k.FNN_F32)
    run.n, run.row0 = samples, first
    r.f0, r.f1, r.p0, r.p1 = 0, features, 0, ceil_div(samples, width)
    FUNCTIONS.gather[f64](&op, &run, &r)


cdef void scatter(int f64, char *rows, const void *panels, ptrdiff_t features, ptrdiff_t stride, ptrdiff_t first,
                  ptrdiff_t samples, ptrdiff_t f0, ptrdiff_t f1) noexcept nogil:
    """Features f0 .. f1 into rows first, first + 1, ..."""
    cdef k.fnn_op op
    cdef operands.fnn_p_scatter *p = <operands.fnn_p_scatter *>op.p
    cdef operands.fnn_n_scatter *sizes = <operands.fnn_n_scatter *>op.n
    cdef k.fnn_run run
    cdef k.fnn_rect r
    cdef ptrdiff_t width = panel_width(f64)
    memset(&op, 0, sizeof(op))
    memset(&run, 0, sizeof(run))
    p.y, p.x = rows, <void *>panels
    sizes.F, sizes.stride = features, stride // (8 if f64 else 4)
    run.n, run.row0 = samples, first
    r.f0, r.f1, r.p0, r.p1 = f0, f1, 0, ceil_div(samples, width)
    FUNCTIONS.scatter[f64](&op, &run, &r)


cdef size_t side_bytes(const Job *job, int i, ptrdiff_t panels) noexcept nogil:
    cdef size_t item = 8 if job.f64 else 4
    return whole_lines(<size_t>(panels * job.side[i].features * panel_width(job.f64)) * item)


cdef void one_task(const Job *job, char *memory, ptrdiff_t first, ptrdiff_t samples, ptrdiff_t chunk) noexcept nogil:
    """Rows first .. first + samples of the job, at most `chunk` panels."""
    cdef k.fnn_op op = job.op
    cdef k.fnn_run run = job.run
    cdef k.fnn_rect r
    cdef const Side *side
    cdef ptrdiff_t width = panel_width(job.f64)
    cdef char *panels = memory
    cdef int i
    run.s0, run.n = first, samples
    r.f0, r.f1, r.p0, r.p1 = 0, max(1, job.features), 0, ceil_div(samples, width)
    for i in range(job.sides):
        side = &job.side[i]
        if side.source != NULL:
            gather(job.f64, panels, side.source, side.features, side.source_stride, first, samples)
        op.p[side.p] = panels
        if side.also >= 0:
            op.p[side.also] = panels
        panels += side_bytes(job, i, chunk)
    op.run(&op, &run, &r)
    panels = memory
    for i in range(job.sides):
        side = &job.side[i]
        if side.target != NULL:
            scatter(job.f64, side.target, panels, side.features, side.target_stride, first, samples, 0, side.features)
        panels += side_bytes(job, i, chunk)


cdef int run_rows(const Job *job, ptrdiff_t samples, int team) noexcept nogil:
    """The kernel over all rows.  0, or -1 if there is no memory."""
    cdef ptrdiff_t width = panel_width(job.f64), panels = ceil_div(samples, width), chunk, rows, tasks, task
    cdef size_t one = 0, each = 0
    cdef char *memory
    cdef int i
    if panels == 0:
        return 0
    for i in range(job.sides):
        one += side_bytes(job, i, 1)
    chunk = max(1, min(TASK_PANELS, TASK_BYTES // <ptrdiff_t>max(one, <size_t>1)))
    chunk = min(chunk, ceil_div(panels, team))
    rows, tasks = chunk * width, ceil_div(panels, chunk)
    team = <int>min(<ptrdiff_t>team, tasks)
    for i in range(job.sides):
        each += side_bytes(job, i, chunk)
    memory = <char *>lines(each * team)
    if memory == NULL:
        return -1
    if team == 1:
        for task in range(tasks):
            one_task(job, memory, task * rows, min(rows, samples - task * rows), chunk)
    else:
        for task in prange(tasks, num_threads=team, schedule="static"):
            one_task(job, memory + threadid() * each, task * rows, min(rows, samples - task * rows), chunk)
    free(memory)
    return 0


cdef bint pays_off(double seconds) noexcept nogil:
    """Whether a second thread may gain from work that takes one so long."""
    return seconds >= PAYS_OFF


cdef int team_for(double seconds, threads) except -1:
    """Threads for a call that takes one thread about `seconds`.  `threads`: what the caller asked for, or None."""
    if fnn_in_team():
        return 1
    if threads is not None:
        return affordable(threads)
    if not pays_off(seconds):
        return 1
    return affordable(min(<int>get_num_threads(), max(1, <int>min(seconds * 2 / PAYS_OFF, 1024.0))))


cdef int done(int status) except -1:
    if status == NO_MEMORY:
        raise MemoryError("no memory for the panels of this call")
    if status != OK:
        raise RuntimeError(f"status {status}")
    return 0


cdef int read_scalars(double *s, values) except -1:
    """Parameters of a row into an array; how many there are."""
    cdef int i
    for i in range(k.FNN_MAX_S):
        s[i] = 0
    for i, value in enumerate(values):
        s[i] = value
    return len(values)


use(None)
