# Random numbers by counter (Philox4x32-10).  Plain C types: no header is needed.
from libc.stdint cimport uint32_t, uint64_t

# Words of the counters c, c + 1, ..., four each.
cdef void philox(uint32_t *out, ptrdiff_t n, const uint32_t *counter, const uint32_t *key) noexcept nogil
# y = x or 0, kept with probability 1 - rate and then divided by it.  Strides in bytes, rows contiguous; y may be x.
# 0, or -1 if there is no memory.
cdef int dropout(int f64, void *y, const void *x, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_y, ptrdiff_t stride_x,
                 double rate, uint64_t seed, uint64_t step, uint32_t layer, int threads) noexcept nogil
