"""Optimizer steps on arrays: every row of the kernels' list."""
from cython.parallel cimport prange
from libc.stdint cimport uint64_t
from libc.string cimport memset, strcmp

from numpy cimport PyArray_DATA, ndarray

from . cimport kernels as k
from . cimport rows
from .parameters cimport OK, OPTIMIZER, read_parameters

cdef ptrdiff_t PIECE = 1024    # elements; a multiple of every vector
cdef double SECONDS = 0.6e-9   # an element, roughly


cdef const void *optimizer_row(const char *name) noexcept nogil:
    cdef const k.fnn_optimizer *row = rows.table().optimizers
    while row.name != NULL:
        if strcmp(row.name, name) == 0:
            return row
        row += 1
    return NULL


cdef inline void *at(void *p, ptrdiff_t offset) noexcept nogil:
    return NULL if p == NULL else <char *>p + offset


cdef int optimizer_step(const void *row, int f64, void *w, void *s0, void *s1, void *s2, const void *g, ptrdiff_t n,
                        double lr, uint64_t t, const double *given, int n_s, int threads) noexcept nogil:
    cdef k.fnn_update f
    cdef ptrdiff_t item = 8 if f64 else 4, pieces = rows.ceil_div(n, PIECE), i, lo, hi
    cdef double h[8]
    cdef double s[8]
    cdef int status = read_parameters(OPTIMIZER, row, given, n_s, s)
    if status != OK:
        return status
    f = (<const k.fnn_optimizer *>row).update[f64]
    memset(h, 0, sizeof(h))
    (<const k.fnn_optimizer *>row).prep(h, lr, t, s)
    threads = <int>min(<ptrdiff_t>threads, pieces)
    if threads <= 1:
        f(w, s0, s1, s2, g, n, 1, 0, h)
        return OK
    for i in prange(threads, num_threads=threads, schedule="static"):
        lo = pieces * i // threads * PIECE
        hi = min(n, pieces * (i + 1) // threads * PIECE)
        f(<char *>w + lo * item, at(s0, lo * item), at(s1, lo * item), at(s2, lo * item), <const char *>g + lo * item,
          hi - lo, 1, 0, h)
    return OK


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


def step(str name, ndarray w, list states, ndarray g, double lr, uint64_t t, values, threads):
    """In place; contiguous, of one dtype.  states: as many as the row has, or none."""
    text = name.encode()
    cdef const void *row = optimizer_row(text)
    if row == NULL:
        raise KeyError(f"no optimizer row {name!r}")
    cdef ptrdiff_t n = w.size
    cdef int f64 = w.itemsize == 8, team = rows.team_for(n * SECONDS, threads), i
    cdef double s[8]
    cdef void *p[3]
    cdef void *pw = PyArray_DATA(w)
    cdef const void *pg = PyArray_DATA(g)
    cdef int n_s = rows.read_scalars(s, values), status
    for i in range(3):
        p[i] = PyArray_DATA(states[i]) if i < len(states) else NULL
    with nogil:
        status = optimizer_step(row, f64, pw, p[0], p[1], p[2], pg, n, lr, t, s, n_s, team)
    rows.done(status)
