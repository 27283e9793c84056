"""The search for non-finite numbers in arrays: at the speed of memory, by all threads."""
from cython.parallel cimport prange

from . cimport kernels as k
from .threads cimport affordable

from .threads import get_num_threads

ctypedef int (*all_finite_of)(const void *x, ptrdiff_t n) noexcept nogil

cdef enum:
    PIECE = 1 << 16  # numbers of a thread's turn: some microseconds, so that a small array costs no team


def all_finite(x, threads=None, isa=None):
    """Whether a C-contiguous array of float32 or float64 holds neither infinities nor NaN.

    threads: at most so many; None: as many as a call may use."""
    cdef all_finite_of finite = <all_finite_of>k.find_function(k.table_of(isa), "all_finite", x.dtype.itemsize == 8)
    cdef ptrdiff_t n = x.size, pieces = (n + PIECE - 1) // PIECE, piece
    cdef size_t first = x.ctypes.data, itemsize = x.dtype.itemsize
    cdef int team = 1, bad = 0
    if pieces > 1:
        team = affordable(min(get_num_threads() if threads is None else threads, pieces))
    with nogil:
        if team == 1:
            bad = not finite(<const void *>first, n)
        else:
            for piece in prange(pieces, num_threads=team, schedule="static"):
                bad += not finite(<const void *>(first + piece * PIECE * itemsize), min(n - piece * PIECE, PIECE))
    return bad == 0
