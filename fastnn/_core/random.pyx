"""Dropout and its generator on arrays."""
import numpy as np

from libc.stdint cimport uint32_t, uint64_t

from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray

from . cimport rows

cdef double SECONDS = 1.5e-9   # an element, roughly

ctypedef void (*fill_function)(uint32_t *, ptrdiff_t, const uint32_t *, const uint32_t *) noexcept nogil


cdef void philox(uint32_t *out, ptrdiff_t n, const uint32_t *counter, const uint32_t *key) noexcept nogil:
    (<fill_function>rows.function("philox_fill", 0))(out, n, counter, key)


cdef int dropout(int f64, void *y, const void *x, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_y, ptrdiff_t stride_x,
                 double rate, uint64_t seed, uint64_t step, uint32_t layer, int threads) noexcept nogil:
    cdef rows.Job job
    rows.start(&job, "dropout", f64, B)
    job.op.n[0], job.op.n[1], job.op.s[0] = F, layer, rate
    job.run.seed, job.run.step = seed, step
    job.features, job.sides = F, 2
    job.side[0] = rows.Side(<const char *>x, <char *>y, F, stride_x, stride_y, 1, 0)
    job.side[1] = rows.Side(NULL, NULL, F, 0, 0, 2, -1)   # the mask: the same call makes it again for the gradient
    return rows.run_rows(&job, B, threads)


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


def words(ptrdiff_t n, counter, key):
    """n words of uint32; counter: four, key: two of them."""
    out = np.empty(n, np.uint32)
    cdef uint32_t c[4]
    cdef uint32_t q[2]
    cdef uint32_t *p = <uint32_t *>PyArray_DATA(out)
    c[0], c[1], c[2], c[3] = counter
    q[0], q[1] = key
    with nogil:
        philox(p, n, c, q)
    return out


def drop(ndarray y, ndarray x, double rate, uint64_t seed, uint64_t step, uint32_t layer, threads):
    """y, x: (B, F) with contiguous rows."""
    cdef ptrdiff_t B = x.shape[0], F = x.shape[1], stride_y = PyArray_STRIDE(y, 0), stride_x = PyArray_STRIDE(x, 0)
    cdef int f64 = x.itemsize == 8, team = rows.team_for(B * F * SECONDS, threads), status
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    with nogil:
        status = dropout(f64, py, px, B, F, stride_y, stride_x, rate, seed, step, layer, team)
    rows.done(status)
