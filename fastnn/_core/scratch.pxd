"""Scratch of the threads of a run: see scratch.pyx."""

# `nbytes`, at a multiple of 64, until `give`; NULL without memory.
cdef void *take(size_t nbytes) noexcept nogil
cdef void give(void *block) noexcept nogil

# Between the two, blocks are kept for the next run; the last one to leave frees them.
cdef void enter() noexcept nogil
cdef void leave() noexcept nogil
