# Kernels over row-major arrays: gather, run, scatter, by a team of threads.  See rows.pyx.
from . cimport kernels as k

cdef struct Side:        # a row-major array and the panels it travels in
    const char *source   # gathered from here before the kernel; NULL: not read
    char *target         # scattered to here after it; NULL: not written
    ptrdiff_t features
    ptrdiff_t source_stride   # bytes from row to row
    ptrdiff_t target_stride
    int p                # the op's p[] that is bound to the panels
    int also             # another one, or -1

cdef struct Job:
    k.fnn_op op
    k.fnn_run run
    Side side[3]
    int sides
    int f64
    ptrdiff_t features   # of what the kernel calls feature panels; 0: the kernel does all

cdef inline int place(Job *job, void **operand) noexcept nogil:
    """The number of an operand of the job's kernel (operands.pxd), for a `Side`."""
    return <int>(operand - job.op.p)

cdef struct Functions:   # what is looked up once
    k.fnn_kernel gather[2]
    k.fnn_kernel scatter[2]
    k.fnn_any dense_rows[2]

cdef const Functions *functions() noexcept nogil
cdef ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil
cdef size_t whole_lines(size_t nbytes) noexcept nogil
cdef const k.fnn_table *table() noexcept nogil
cdef ptrdiff_t panel_width(int f64) noexcept nogil
cdef k.fnn_kernel kernel(const char *name, int f64) noexcept nogil
cdef k.fnn_any function(const char *name, int f64) noexcept nogil
cdef void start(Job *job, const char *name, int f64, ptrdiff_t samples) noexcept nogil
cdef void gather(int f64, void *panels, const char *rows, ptrdiff_t features, ptrdiff_t stride,
                 ptrdiff_t first, ptrdiff_t samples) noexcept nogil
cdef void scatter(int f64, char *rows, const void *panels, ptrdiff_t features, ptrdiff_t stride, ptrdiff_t first,
                  ptrdiff_t samples, ptrdiff_t f0, ptrdiff_t f1) noexcept nogil
cdef void *lines(size_t nbytes) noexcept nogil
cdef int run_rows(const Job *job, ptrdiff_t samples, int team) noexcept nogil
cdef bint pays_off(double seconds) noexcept nogil
cdef int team_for(double seconds, threads) except -1
cdef int done(int status) except -1
cdef int read_scalars(double *s, values) except -1
