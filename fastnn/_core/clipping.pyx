"""Norms and clipping on arrays; the rules are the kernels' own (clip_finish)."""
import numpy as np

from cython.parallel cimport prange
from libc.stdlib cimport free
from libc.string cimport memset

from numpy cimport PyArray_DATA, ndarray

from . cimport kernels as k
from . cimport operands, rows

cdef ptrdiff_t PIECE = k.FNN_BLOCK_LEN   # sums of squares are added up by pieces of this, in order
cdef double SECONDS = 0.3e-9             # an element, roughly

ctypedef double (*sum_function)(const void *, ptrdiff_t) noexcept nogil
ctypedef void (*vector_function)(void *, const void *, ptrdiff_t, double) noexcept nogil


cdef double square_sum(int f64, const void *x, ptrdiff_t n, int threads) noexcept nogil:
    cdef sum_function f = <sum_function>rows.function("sumsq", f64)
    cdef ptrdiff_t item = 8 if f64 else 4, pieces = rows.ceil_div(n, PIECE), i
    cdef double *partial
    cdef double total = 0
    threads = <int>min(<ptrdiff_t>threads, pieces)
    if threads <= 1:
        return f(x, n)
    partial = <double *>rows.lines(<size_t>pieces * sizeof(double))
    if partial == NULL:   # the same bits, without a list
        return f(x, n)
    for i in prange(pieces, num_threads=threads, schedule="static"):
        partial[i] = f(<const char *>x + i * PIECE * item, min(PIECE, n - i * PIECE))
    for i in range(pieces):
        total = total + partial[i]
    free(partial)
    return total


cdef void apply(vector_function f, int f64, void *y, const void *x, ptrdiff_t n, double c, int threads) noexcept nogil:
    cdef ptrdiff_t item = 8 if f64 else 4, pieces = rows.ceil_div(n, PIECE), i, lo, hi
    threads = <int>min(<ptrdiff_t>threads, pieces)
    if threads <= 1:
        f(y, x, n, c)
        return
    for i in prange(threads, num_threads=threads, schedule="static"):
        lo = pieces * i // threads * PIECE
        hi = min(n, pieces * (i + 1) // threads * PIECE)
        f(<char *>y + lo * item, <const char *>x + lo * item, hi - lo, c)


cdef void clip_value(int f64, void *y, const void *x, ptrdiff_t n, double limit, int threads) noexcept nogil:
    apply(<vector_function>rows.function("clip_value", f64), f64, y, x, n, limit, threads)


cdef void scale(int f64, void *y, const void *x, ptrdiff_t n, double factor, int threads) noexcept nogil:
    apply(<vector_function>rows.function("scale", f64), f64, y, x, n, factor, threads)


cdef void clip_factors(double *factor, const double *sums, ptrdiff_t n, double clipnorm,
                       double global_clipnorm) noexcept nogil:
    cdef k.fnn_op op
    cdef operands.fnn_p_clip_finish *p = <operands.fnn_p_clip_finish *>op.p
    cdef operands.fnn_n_clip_finish *sizes = <operands.fnn_n_clip_finish *>op.n
    cdef operands.fnn_s_clip_finish *limits = <operands.fnn_s_clip_finish *>op.s
    cdef k.fnn_run run
    cdef k.fnn_rect r
    cdef k.fnn_block block
    cdef double total = 0
    cdef ptrdiff_t v
    memset(&op, 0, sizeof(op))
    memset(&run, 0, sizeof(run))
    memset(&r, 0, sizeof(r))
    memset(&block, 0, sizeof(block))
    limits.clipnorm, limits.global_clipnorm = clipnorm, global_clipnorm
    p.blocks, sizes.count, sizes.variables = &block, 1, 1
    if global_clipnorm > 0:      # one vector made of all
        for v in range(n):
            total += sums[v]
        p.partial, p.scale = &total, factor
        rows.kernel("clip_finish", 0)(&op, &run, &r)
        for v in range(1, n):
            factor[v] = factor[0]
        return
    for v in range(n):
        p.partial, p.scale = <void *>(sums + v), factor + v
        rows.kernel("clip_finish", 0)(&op, &run, &r)


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


def norm_factors(list arrays, double clipnorm, double global_clipnorm, threads):
    """What each of the contiguous arrays is to be multiplied with, and its sum of squares: two arrays."""
    cdef ptrdiff_t n = len(arrays), i, size
    sums, factors = np.zeros(max(n, 1)), np.ones(max(n, 1))
    cdef double *ps = <double *>PyArray_DATA(sums)
    cdef double *pf = <double *>PyArray_DATA(factors)
    cdef ndarray a
    cdef const void *pa
    cdef int f64, team
    for i in range(n):
        a = arrays[i]
        pa, size, f64 = PyArray_DATA(a), a.size, a.itemsize == 8
        team = rows.team_for(size * SECONDS, threads)
        with nogil:
            ps[i] = square_sum(f64, pa, size, team)
    if n:
        clip_factors(pf, ps, n, clipnorm, global_clipnorm)
    return factors[:n], sums[:n]


def run(ndarray y, ndarray x, bint clip, double c, threads):
    """y = x clipped to [-c, c], or else y = c x; contiguous, of one dtype."""
    cdef ptrdiff_t n = x.size
    cdef int f64 = x.itemsize == 8, team = rows.team_for(n * SECONDS, threads)
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    with nogil:
        if clip:
            clip_value(f64, py, px, n, c, team)
        else:
            scale(f64, py, px, n, c, team)
