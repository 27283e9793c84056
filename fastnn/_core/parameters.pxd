# The parameters of the rows that kernels come from, and what functions on arrays return.  Plain C types.

cdef enum Status:        # of a call
    OK = 0
    NO_MEMORY = -1
    UNKNOWN_ROW = -2     # no row of this build, or not one that the function works with
    WRONG_COUNT = -3     # not as many parameters as the row has

cdef enum Kind:
    ACTIVATION = 0
    OPTIMIZER = 1
    LOSS = 2
    METRIC = 3

# How many parameters a row of any kind has, in the order of the tables in capi.pxd; their defaults go to s, which has
# room for 8 (NULL: not wanted).  UNKNOWN_ROW if it is none.
cdef int row_defaults(const void *row, double *s) noexcept nogil

# What a kernel reads: the n parameters `given`, or the row's defaults for NULL (then n is 0).  A Status.
cdef int read_parameters(Kind kind, const void *row, const double *given, int n, double *s) noexcept nogil
