"""Activations on arrays: every row of the kernels' list, softmax and log-softmax."""
from cython.parallel cimport prange
from libc.string cimport strcmp

from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray

from . cimport kernels as k
from . cimport operands, rows
from .parameters cimport ACTIVATION, OK, UNKNOWN_ROW, read_parameters

cdef ptrdiff_t PIECE = 1024            # elements; a multiple of every vector
cdef double SECONDS_FORWARD = 1.2e-9   # an element, roughly: between relu's and tanh's
cdef double SECONDS_SOFTMAX = 2.5e-9


cdef const void *activation_row(const char *name) noexcept nogil:
    cdef const k.fnn_activation *row = rows.table().activations
    while row.name != NULL:
        if strcmp(row.name, name) == 0:
            return row
        row += 1
    return NULL


cdef int activation_from_input(const void *row) noexcept nogil:
    cdef double s[8]
    if read_parameters(ACTIVATION, row, NULL, 0, s) != OK:
        return UNKNOWN_ROW
    return (<const k.fnn_activation *>row).from_input


cdef int activation_forward(const void *row, int f64, void *y, const void *x, ptrdiff_t n, const double *given, int n_s,
                            int threads) noexcept nogil:
    cdef k.fnn_map_fwd f
    cdef ptrdiff_t item = 8 if f64 else 4, pieces = rows.ceil_div(n, PIECE), i, lo, hi
    cdef double s[8]
    cdef int status = read_parameters(ACTIVATION, row, given, n_s, s)
    if status != OK:
        return status
    f = (<const k.fnn_activation *>row).fwd[f64]
    threads = <int>min(<ptrdiff_t>threads, pieces)
    if threads <= 1:
        f(y, x, n, s)
        return OK
    for i in prange(threads, num_threads=threads, schedule="static"):
        lo = pieces * i // threads * PIECE
        hi = min(n, pieces * (i + 1) // threads * PIECE)
        f(<char *>y + lo * item, <const char *>x + lo * item, hi - lo, s)
    return OK


cdef int activation_backward(const void *row, int f64, void *dx, const void *dy, const void *t, ptrdiff_t n,
                             const double *given, int n_s, int threads) noexcept nogil:
    cdef k.fnn_map_bwd f
    cdef ptrdiff_t item = 8 if f64 else 4, pieces = rows.ceil_div(n, PIECE), i, lo, hi
    cdef double s[8]
    cdef int status = read_parameters(ACTIVATION, row, given, n_s, s)
    if status != OK:
        return status
    f = (<const k.fnn_activation *>row).bwd[f64]
    threads = <int>min(<ptrdiff_t>threads, pieces)
    if threads <= 1:
        f(dx, dy, t, n, s)
        return OK
    for i in prange(threads, num_threads=threads, schedule="static"):
        lo = pieces * i // threads * PIECE
        hi = min(n, pieces * (i + 1) // threads * PIECE)
        f(<char *>dx + lo * item, <const char *>dy + lo * item, <const char *>t + lo * item, hi - lo, s)
    return OK


cdef int softmax_forward(int f64, int log, void *y, const void *x, ptrdiff_t B, ptrdiff_t K, ptrdiff_t stride_y,
                         ptrdiff_t stride_x, int threads) noexcept nogil:
    cdef rows.Job job
    cdef operands.fnn_p_softmax_fwd *p = <operands.fnn_p_softmax_fwd *>job.op.p
    if K == 0:
        return 0
    rows.start(&job, "log_softmax_fwd" if log else "softmax_fwd", f64, B)
    (<operands.fnn_n_softmax_fwd *>job.op.n).K = K
    job.sides = 1
    job.side[0] = rows.Side(<const char *>x, <char *>y, K, stride_x, stride_y, rows.place(&job, &p.x),
                            rows.place(&job, &p.y))
    return rows.run_rows(&job, B, threads)


cdef int softmax_backward(int f64, int log, void *dx, const void *dy, const void *y, ptrdiff_t B, ptrdiff_t K,
                          ptrdiff_t stride_dx, ptrdiff_t stride_dy, ptrdiff_t stride_y, int threads) noexcept nogil:
    cdef rows.Job job
    cdef operands.fnn_p_softmax_bwd *p = <operands.fnn_p_softmax_bwd *>job.op.p
    if K == 0:
        return 0
    rows.start(&job, "log_softmax_bwd" if log else "softmax_bwd", f64, B)
    (<operands.fnn_n_softmax_bwd *>job.op.n).K = K
    job.sides = 2
    job.side[0] = rows.Side(<const char *>dy, <char *>dx, K, stride_dy, stride_dx, rows.place(&job, &p.dy),
                            rows.place(&job, &p.dx))
    job.side[1] = rows.Side(<const char *>y, NULL, K, stride_y, 0, rows.place(&job, &p.y), -1)
    return rows.run_rows(&job, B, threads)


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


cdef const void *named(str name) except NULL:
    text = name.encode()
    cdef const void *row = activation_row(text)
    if row == NULL:
        raise KeyError(f"no activation row {name!r}")
    return row


def forward(str name, ndarray y, ndarray x, values, threads):
    """y = f(x); contiguous, of one dtype."""
    cdef const void *row = named(name)
    cdef double s[8]
    cdef ptrdiff_t n = x.size
    cdef int team = rows.team_for(n * SECONDS_FORWARD, threads), f64 = x.itemsize == 8
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    cdef int n_s = rows.read_scalars(s, values), status
    with nogil:
        status = activation_forward(row, f64, py, px, n, s, n_s, team)
    rows.done(status)


def backward(str name, ndarray dx, ndarray dy, ndarray t, values, threads):
    """dx = dy f'(t); contiguous, of one dtype."""
    cdef const void *row = named(name)
    cdef double s[8]
    cdef ptrdiff_t n = dy.size
    cdef int team = rows.team_for(n * SECONDS_FORWARD / 2, threads), f64 = dy.itemsize == 8
    cdef void *pdx = PyArray_DATA(dx)
    cdef const void *pdy = PyArray_DATA(dy)
    cdef const void *pt = PyArray_DATA(t)
    cdef int n_s = rows.read_scalars(s, values), status
    with nogil:
        status = activation_backward(row, f64, pdx, pdy, pt, n, s, n_s, team)
    rows.done(status)


def softmax(bint log, ndarray y, ndarray x, threads):
    """y, x: (B, K) with contiguous rows."""
    cdef ptrdiff_t B = x.shape[0], K = x.shape[1], stride_y = PyArray_STRIDE(y, 0), stride_x = PyArray_STRIDE(x, 0)
    cdef int team = rows.team_for(B * K * SECONDS_SOFTMAX, threads), f64 = x.itemsize == 8, status
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    with nogil:
        status = softmax_forward(f64, log, py, px, B, K, stride_y, stride_x, team)
    rows.done(status)


def softmax_grad(bint log, ndarray dx, ndarray dy, ndarray y, threads):
    """dx, dy, y: (B, K) with contiguous rows."""
    cdef ptrdiff_t B = dy.shape[0], K = dy.shape[1], stride_dx = PyArray_STRIDE(dx, 0)
    cdef ptrdiff_t stride_dy = PyArray_STRIDE(dy, 0), stride_y = PyArray_STRIDE(y, 0)
    cdef int team = rows.team_for(B * K * SECONDS_SOFTMAX, threads), f64 = dy.itemsize == 8, status
    cdef void *pdx = PyArray_DATA(dx)
    cdef const void *pdy = PyArray_DATA(dy)
    cdef const void *py = PyArray_DATA(y)
    with nogil:
        status = softmax_backward(f64, log, pdx, pdy, py, B, K, stride_dx, stride_dy, stride_y, team)
    rows.done(status)
