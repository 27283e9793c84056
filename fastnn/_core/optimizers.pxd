# One step of an optimizer on n contiguous parameters.  Plain C types: no header is needed.
from libc.stdint cimport uint64_t

# The row of an optimizer by its name; NULL: unknown.
cdef const void *optimizer_row(const char *name) noexcept nogil
# w and the state vectors <- step t (1, 2, ...) with gradient g.  A state vector may be NULL (then so are those after
# it): it is taken as zero and not kept.  s: the n_s parameters of the row; NULL and 0: their defaults.  A Status.
cdef int optimizer_step(const void *row, int f64, void *w, void *s0, void *s1, void *s2, const void *g, ptrdiff_t n,
                        double lr, uint64_t t, const double *s, int n_s, int threads) noexcept nogil
