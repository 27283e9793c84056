"""Clocks: see clocks.pyx."""

cdef extern from *:
    """
    /* the builtin: clang refuses what Cython generates for an atomic_llong */
    #define fnn_clock_add(reading, n) __atomic_fetch_add(reading, n, __ATOMIC_SEQ_CST)
    """
    long long fnn_clock_add(long long *reading, long long n) noexcept nogil


cdef class Clock:
    cdef long long reading
