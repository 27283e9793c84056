"""Executor: see executor.pyx."""
from libc.stdint cimport int64_t, uint64_t

from . cimport kernels as k

cdef extern from "sync.h" nogil:
    ctypedef struct fnn_barrier:
        pass
    fnn_barrier *fnn_barrier_new() noexcept
    void fnn_barrier_wait(fnn_barrier *b, int n) noexcept
    void fnn_barrier_forget(fnn_barrier *b) noexcept
    int fnn_barrier_disturbed(fnn_barrier *b, int n, double begun) noexcept
    double fnn_now() noexcept
    unsigned fnn_float_enter() noexcept
    void fnn_float_leave(unsigned old) noexcept

cdef extern from "interrupt.h" nogil:
    int fnn_interrupted
    int fnn_watch_begin() noexcept
    void fnn_watch_end() noexcept

cdef enum Split:
    BY_FEATURES = 0   # items, each with every sample panel
    BY_SAMPLES = 1    # sample panels, each with every item
    BY_BOTH = 2       # pairs of item and sample panel, item by item
    BY_ONE = 3        # the first thread does it

cdef enum Chunked:
    PRIVATE = 1       # a thread's activations hold one chunk at a time and stay in its cache
    SHARED = 2        # activations hold the batch, because a reduction over it stands between two chunked segments

cdef struct Plan:
    Split split
    ptrdiff_t items    # what threads share: runs of features, blocks of parameters, ...
    ptrdiff_t grain    # the rect's f of an item to that of the next: features, or 1
    ptrdiff_t extent   # where the rect's f ends
    ptrdiff_t cost     # of an item, relative to
    ptrdiff_t last     # that of each of the last
    ptrdiff_t few      # so many items, which do not cost as much
    ptrdiff_t group    # items that are cheaper together: long steps are cut between groups
    int barrier        # wait for the others first (layered segments)

cdef struct Segment:
    int chunked
    int lo
    int hi

cdef struct Values:
    const double *first    # parts of one penalty on weights
    ptrdiff_t count

cdef struct Job:
    int n_ops
    int n_copies             # of the operations: thread t has number t modulo this
    int n_partials
    int first_segment
    int last_segment
    ptrdiff_t panel
    ptrdiff_t chunk          # samples of a chunk
    ptrdiff_t slots
    ptrdiff_t count
    ptrdiff_t batch
    ptrdiff_t epoch          # samples of one; count may be that of several
    ptrdiff_t start          # the step to begin with, of
    ptrdiff_t steps
    ptrdiff_t partial_stride
    const int64_t *index
    int64_t row0
    const double *lrs        # of each step the learning rate and, if hypers is 2, the momentum
    ptrdiff_t hypers
    uint64_t step0
    uint64_t seed
    double begun             # when the threads of this run were started
    double deadline
    k.fnn_prep prep
    const double *prep_s     # the optimizer's parameters
    int momentum_at          # which of them is the momentum, -1: none
    const Plan *plan
    const Segment *segments
    k.fnn_op *ops
    void **scratch
    const double *partials
    const Values *penalties  # what is added to the loss of every sample
    int n_penalties
    ptrdiff_t accumulate     # steps that make one update of the weights
    double *totals           # per epoch and partial {sum, weight}
    fnn_barrier *barrier
    ptrdiff_t stop_after     # the last step to do
    ptrdiff_t steps_done
    int disturbed            # threads have waited for one that did not run
    ptrdiff_t pieces         # at least, of each operation, between looks for Ctrl-C; 0: no look
    int given_up             # a thread has left something out: the step counts for nothing

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
    cdef int n_ops, n_segments, n_own, n_patches, n_partials, momentum_at
    cdef ptrdiff_t panel, chunk, slots, accumulate, partial_stride
    cdef k.fnn_prep prep
    cdef readonly tuple bases, live
    cdef readonly object partials, penalties


cdef class Executor:
    cdef Operations operations
    cdef Values *penalties
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

    cdef void bind(self, void **live) noexcept nogil
    cpdef int prepare(self, int threads) except -1
    cdef int once(self, void **live, ptrdiff_t n, double rate, uint64_t step, uint64_t seed,
                  int threads, int first, int last) except -1
    cdef int start(self, int threads) noexcept nogil
    cdef int add_copy(self) except -1
