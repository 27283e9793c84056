"""Executor: see executor.pyx."""
from libc.stdint cimport uint64_t

from . cimport kernels as k

from .team cimport Counter, Job, Plan, Segment, fnn_barrier

cdef struct Patch:
    int op                 # whose pointer
    int place              # number of that pointer
    int which              # of the bases
    ptrdiff_t offset


cdef class Operations:
    cdef k.fnn_op *ops     # of one thread; pointers are NULL
    cdef Plan *plan
    cdef Segment *segments
    cdef Patch *own        # pointers into memory that each executor has of its own
    cdef Patch *patches    # pointers into arrays that come with each call
    cdef int n_ops, n_segments, n_own, n_patches, n_partials, n_rows, momentum_at
    cdef ptrdiff_t panel, chunk, slots, accumulate, partial_stride
    cdef k.fnn_prep prep
    cdef readonly tuple bases, live
    cdef readonly object partials, counters


cdef class Executor:
    cdef Operations operations
    cdef Counter *counters
    cdef fnn_barrier *barrier
    cdef Job job
    cdef int most_copies
    cdef size_t scratch_bytes
    cdef int entered
    cdef double prep_s[8]
    cdef object keep, make_arena
    cdef tuple shared
    cdef readonly list arenas
    cdef readonly object totals
    cdef double *own_totals

    cdef int read(self, tuple live, void **bases) except -1
    cdef void bind(self, void **live) noexcept nogil
    cpdef int prepare(self, int threads) except -1
    cdef int once(self, void **live, ptrdiff_t n, double rate, uint64_t step, uint64_t seed,
                  int threads, int first, int last) except -1
    cdef int start(self, int threads) noexcept nogil
    cdef int add_copy(self) except -1
