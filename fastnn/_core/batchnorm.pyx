"""Batch normalisation on row-major arrays.

Statistics and the backward pass reduce over the batch, feature by feature: there a task is some feature panels with
all samples, gathered together.  So a feature is summed by one thread, in one order.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray

from . cimport kernels as k
from . cimport operands, rows

cdef ptrdiff_t TASK_BYTES = 256 * 1024
cdef double SECONDS = 1e-9    # an element, roughly


cdef struct Columns:
    int f64
    ptrdiff_t B
    ptrdiff_t F
    ptrdiff_t width      # features of a task
    size_t panels        # bytes of one array's panels of a task
    size_t each          # bytes of a task
    double epsilon
    const char *x
    const char *dy
    const char *gamma
    const char *mean
    const char *var
    char *dx
    char *out0           # mean, or dgamma
    char *out1           # variance, or dbeta
    ptrdiff_t stride_x
    ptrdiff_t stride_dy
    ptrdiff_t stride_dx


cdef void fill(int f64, char *to, const char *source, ptrdiff_t f, ptrdiff_t n, ptrdiff_t width,
               double rest) noexcept nogil:
    """A vector of the layer as kernels want it, aligned and padded: n elements from f on, then (or instead) `rest`."""
    cdef ptrdiff_t i
    for i in range(width):
        if f64:
            (<double *>to)[i] = (<const double *>source)[f + i] if source != NULL and i < n else rest
        else:
            (<float *>to)[i] = (<const float *>source)[f + i] if source != NULL and i < n else <float>rest


cdef void one_task(const Columns *q, ptrdiff_t task, char *memory) noexcept nogil:
    """The feature panels from task * q.width on: statistics, or with dy the backward pass."""
    cdef ptrdiff_t item = 8 if q.f64 else 4, lanes = rows.panel_width(q.f64), f = task * q.width
    cdef ptrdiff_t n = min(q.width, q.F - f), width = rows.ceil_div(n, lanes) * lanes, i
    cdef size_t vector = <size_t>(q.width * item)
    cdef char *x = memory
    cdef char *dy = x + q.panels
    cdef char *out = dy + (q.panels if q.dy != NULL else 0)   # two vectors, width apart
    cdef char *mean = out + 2 * vector
    cdef char *rstd = mean + vector
    cdef char *gamma = rstd + vector
    cdef k.fnn_op op
    cdef operands.fnn_p_bn_train *stats = <operands.fnn_p_bn_train *>op.p
    cdef operands.fnn_p_bn_bwd *back = <operands.fnn_p_bn_bwd *>op.p
    cdef operands.fnn_n_bn_bwd *sizes = <operands.fnn_n_bn_bwd *>op.n
    cdef k.fnn_run run
    cdef k.fnn_rect r
    memset(&op, 0, sizeof(op))
    memset(&run, 0, sizeof(run))
    run.n = run.batch = q.B
    r.f0, r.f1, r.p0, r.p1 = 0, n, 0, rows.ceil_div(q.B, lanes)
    rows.gather(q.f64, x, q.x + f * item, n, q.stride_x, 0, q.B)
    if q.dy == NULL:
        # the training kernel with momentum 0 leaves the batch's moments in the moving averages
        memset(out, 0, 2 * vector)
        stats.y, stats.x, stats.mean, stats.rstd = x, x, mean, rstd
        stats.moving_mean, stats.moving_variance = out, out + vector
        (<operands.fnn_n_bn_train *>op.n).F = n
        rows.kernel("bn_train", q.f64)(&op, &run, &r)
    else:
        rows.gather(q.f64, dy, q.dy + f * item, n, q.stride_dy, 0, q.B)
        fill(q.f64, mean, q.mean, f, n, width, 0)
        fill(q.f64, gamma, q.gamma, f, n, width, 1)
        fill(q.f64, rstd, q.var, f, n, width, 1)
        for i in range(width):  # rounded as bn_train rounds, so that the bits here are those of a model
            if q.f64:
                (<double *>rstd)[i] = 1 / sqrt((<double *>rstd)[i] + q.epsilon)
            else:
                (<float *>rstd)[i] = <float>1 / <float>sqrt(<float>((<float *>rstd)[i] + <float>q.epsilon))
        back.dx, back.dy, back.x, back.mean, back.rstd = (dy if q.dx != NULL else NULL), dy, x, mean, rstd
        back.theta, back.grad = gamma, out
        sizes.F, sizes.gamma, sizes.beta = n, 0, q.width
        rows.kernel("bn_bwd", q.f64)(&op, &run, &r)
        if q.dx != NULL:
            rows.scatter(q.f64, q.dx + f * item, dy, n, q.stride_dx, 0, q.B, 0, r.f1)
    memcpy(q.out0 + f * item, out, <size_t>(n * item))
    memcpy(q.out1 + f * item, out + vector, <size_t>(n * item))


cdef int run_columns(Columns *q, int threads) noexcept nogil:
    cdef ptrdiff_t item = 8 if q.f64 else 4, lanes = rows.panel_width(q.f64), task, tasks
    cdef ptrdiff_t arrays = 1 if q.dy == NULL else 2
    cdef ptrdiff_t line = arrays * rows.ceil_div(q.B, lanes) * lanes * lanes * item   # a feature panel
    cdef char *memory
    q.width = min(rows.ceil_div(q.F, lanes), max(1, TASK_BYTES // max(1, line))) * lanes
    q.width = min(q.width, max(1, rows.ceil_div(rows.ceil_div(q.F, lanes), threads)) * lanes)
    tasks = rows.ceil_div(q.F, q.width)
    threads = <int>min(<ptrdiff_t>threads, tasks)
    q.panels = rows.whole_lines(<size_t>(rows.ceil_div(q.B, lanes) * lanes * min(q.width, q.F) * item))
    q.each = arrays * q.panels + rows.whole_lines(<size_t>(5 * q.width * item))
    memory = <char *>rows.lines(q.each * threads)
    if memory == NULL:
        return -1
    if threads == 1:
        for task in range(tasks):
            one_task(q, task, memory)
    else:
        for task in prange(tasks, num_threads=threads, schedule="static"):
            one_task(q, task, memory + threadid() * q.each)
    free(memory)
    return 0


cdef int batch_norm_stats(int f64, void *mean, void *var, const void *x, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_x,
                          int threads) noexcept nogil:
    cdef Columns q
    if F == 0:
        return 0
    memset(&q, 0, sizeof(q))
    q.f64, q.B, q.F, q.x, q.stride_x = f64, B, F, <const char *>x, stride_x
    q.out0, q.out1 = <char *>mean, <char *>var
    return run_columns(&q, threads)


cdef int batch_norm_forward(int f64, void *y, const void *x, const void *gamma, const void *beta, const void *mean,
                            const void *var, double epsilon, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_y,
                            ptrdiff_t stride_x, int threads) noexcept nogil:
    cdef rows.Job job
    cdef operands.fnn_p_bn_infer *p = <operands.fnn_p_bn_infer *>job.op.p
    cdef ptrdiff_t lanes = rows.panel_width(f64), width = rows.ceil_div(F, lanes) * lanes
    cdef size_t vector = rows.whole_lines(<size_t>(width * (8 if f64 else 4)))
    cdef char *memory = <char *>rows.lines(4 * vector)
    cdef int status
    if memory == NULL:
        return -1
    fill(f64, memory, <const char *>gamma, 0, F, width, 1)
    fill(f64, memory + vector, <const char *>beta, 0, F, width, 0)
    fill(f64, memory + 2 * vector, <const char *>mean, 0, F, width, 0)
    fill(f64, memory + 3 * vector, <const char *>var, 0, F, width, 1)
    rows.start(&job, "bn_infer", f64, B)
    p.gamma, p.beta = memory, memory + vector
    p.moving_mean, p.moving_variance = memory + 2 * vector, memory + 3 * vector
    (<operands.fnn_n_bn_infer *>job.op.n).F = F
    (<operands.fnn_s_bn_infer *>job.op.s).epsilon = epsilon
    job.features, job.sides = F, 1
    job.side[0] = rows.Side(<const char *>x, <char *>y, F, stride_x, stride_y, rows.place(&job, &p.x),
                            rows.place(&job, &p.y))
    status = rows.run_rows(&job, B, threads)
    free(memory)
    return status


cdef int batch_norm_backward(int f64, void *dx, void *dgamma, void *dbeta, const void *dy, const void *x,
                             const void *gamma, const void *mean, const void *var, double epsilon, ptrdiff_t B,
                             ptrdiff_t F, ptrdiff_t stride_dx, ptrdiff_t stride_dy, ptrdiff_t stride_x,
                             int threads) noexcept nogil:
    cdef Columns q
    if F == 0:
        return 0
    memset(&q, 0, sizeof(q))
    q.f64, q.B, q.F, q.epsilon = f64, B, F, epsilon
    q.x, q.dy, q.gamma, q.mean, q.var = <char *>x, <char *>dy, <char *>gamma, <char *>mean, <char *>var
    q.dx, q.out0, q.out1 = <char *>dx, <char *>dgamma, <char *>dbeta
    q.stride_x, q.stride_dy, q.stride_dx = stride_x, stride_dy, stride_dx
    return run_columns(&q, threads)


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


cdef const void *data(array) noexcept:
    return NULL if array is None else PyArray_DATA(array)


def stats(ndarray mean, ndarray var, ndarray x, threads):
    """mean, var (F,) of x (B, F)."""
    cdef ptrdiff_t B = x.shape[0], F = x.shape[1], stride_x = PyArray_STRIDE(x, 0)
    cdef int f64 = x.itemsize == 8, team = rows.team_for(B * F * SECONDS, threads), status
    cdef void *pm = PyArray_DATA(mean)
    cdef void *pv = PyArray_DATA(var)
    cdef const void *px = PyArray_DATA(x)
    with nogil:
        status = batch_norm_stats(f64, pm, pv, px, B, F, stride_x, team)
    rows.done(status)


def forward(ndarray y, ndarray x, gamma, beta, ndarray mean, ndarray var, double epsilon, threads):
    cdef ptrdiff_t B = x.shape[0], F = x.shape[1], stride_y = PyArray_STRIDE(y, 0), stride_x = PyArray_STRIDE(x, 0)
    cdef int f64 = x.itemsize == 8, team = rows.team_for(B * F * SECONDS, threads), status
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    cdef const void *pg = data(gamma)
    cdef const void *pb = data(beta)
    cdef const void *pm = PyArray_DATA(mean)
    cdef const void *pv = PyArray_DATA(var)
    with nogil:
        status = batch_norm_forward(f64, py, px, pg, pb, pm, pv, epsilon, B, F, stride_y, stride_x, team)
    rows.done(status)


def backward(ndarray dx, ndarray dgamma, ndarray dbeta, ndarray dy, ndarray x, gamma, ndarray mean, ndarray var,
             double epsilon, threads):
    cdef ptrdiff_t B = x.shape[0], F = x.shape[1], stride_dx = PyArray_STRIDE(dx, 0)
    cdef ptrdiff_t stride_dy = PyArray_STRIDE(dy, 0), stride_x = PyArray_STRIDE(x, 0)
    cdef int f64 = x.itemsize == 8, team = rows.team_for(2 * B * F * SECONDS, threads), status
    cdef void *pdx = PyArray_DATA(dx)
    cdef void *pdg = PyArray_DATA(dgamma)
    cdef void *pdb = PyArray_DATA(dbeta)
    cdef const void *pdy = PyArray_DATA(dy)
    cdef const void *px = PyArray_DATA(x)
    cdef const void *pg = data(gamma)
    cdef const void *pm = PyArray_DATA(mean)
    cdef const void *pv = PyArray_DATA(var)
    with nogil:
        status = batch_norm_backward(f64, pdx, pdg, pdb, pdy, px, pg, pm, pv, epsilon, B, F, stride_dx, stride_dy,
                                     stride_x, team)
    rows.done(status)
