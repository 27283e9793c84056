"""Clocks: see clocks.pyx."""

cdef extern from *:
    """
    #include <stdatomic.h>
    """
    ctypedef long long fnn_clock "atomic_llong"
    long long fnn_clock_add "atomic_fetch_add" (fnn_clock *clock, long long n) noexcept nogil


cdef class Clock:
    cdef fnn_clock reading
