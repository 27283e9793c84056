"""Parameters of the rows of the kernels' lists: activations, optimizers, losses, metrics.

(a) What a row says of its parameters ("alpha=1.0") is read once, by Python: the C library would read numbers as its
    locale writes them.
(b) A row is handed around as an address. It is looked for in the lists before anything is read there.
"""
from libc.stdlib cimport calloc

from . cimport kernels as k

from .kernels import targets

cdef enum:
    MAX_LISTS = 64

cdef struct Rows:            # one list of one instruction set
    const char *first
    size_t size              # of a row
    ptrdiff_t count
    Kind kind
    int *counts              # of parameters, row by row
    double *defaults         # FNN_MAX_S each

cdef Rows LISTS[MAX_LISTS]
cdef int N_LISTS = 0


cdef const Rows *list_of(const void *row, ptrdiff_t *number) noexcept nogil:
    cdef const Rows *rows
    cdef size_t offset
    cdef int i
    for i in range(N_LISTS):
        rows = &LISTS[i]
        offset = <size_t>row - <size_t>rows.first
        if <size_t>row >= <size_t>rows.first and offset < <size_t>rows.count * rows.size and offset % rows.size == 0:
            number[0] = <ptrdiff_t>(offset // rows.size)
            return rows
    return NULL


cdef int row_defaults(const void *row, double *s) noexcept nogil:
    cdef ptrdiff_t number = 0
    cdef const Rows *rows = list_of(row, &number)
    cdef int i
    if rows == NULL:
        return UNKNOWN_ROW
    if s != NULL:
        for i in range(k.FNN_MAX_S):
            s[i] = rows.defaults[k.FNN_MAX_S * number + i]
    return rows.counts[number]


cdef int read_parameters(Kind kind, const void *row, const double *given, int n, double *s) noexcept nogil:
    cdef ptrdiff_t number = 0
    cdef const Rows *rows = list_of(row, &number)
    cdef int i
    if rows == NULL or rows.kind != kind:
        return UNKNOWN_ROW
    if n != (0 if given == NULL else rows.counts[number]):
        return WRONG_COUNT
    for i in range(k.FNN_MAX_S):
        s[i] = rows.defaults[k.FNN_MAX_S * number + i] if given == NULL else given[i] if i < n else 0
    return OK


# ---- read at import ------------------------------------------------------------------------------------------


cdef int add_list(Kind kind, const void *first, size_t size, size_t params) except -1:
    """A list of rows of `size` bytes that begin with a name and have the text of their parameters at `params`."""
    global N_LISTS
    cdef Rows *rows = &LISTS[N_LISTS]
    cdef ptrdiff_t i
    if N_LISTS == MAX_LISTS:
        raise RuntimeError(f"more than {MAX_LISTS} lists of rows")
    rows.kind, rows.first, rows.size, rows.count = kind, <const char *>first, size, 0
    while (<const char **>(rows.first + rows.count * size))[0] != NULL:
        rows.count += 1
    rows.counts = <int *>calloc(rows.count + 1, sizeof(int))
    rows.defaults = <double *>calloc(k.FNN_MAX_S * (rows.count + 1), sizeof(double))
    if rows.counts == NULL or rows.defaults == NULL:
        raise MemoryError("parameters of rows")
    for i in range(rows.count):
        values = k.read_params((<const char **>(rows.first + i * size + params))[0])
        rows.counts[i] = len(values)
        for j, value in enumerate(values.values()):
            rows.defaults[k.FNN_MAX_S * i + j] = value
    N_LISTS += 1
    return 0


cdef int add_lists() except -1:
    cdef const k.fnn_table *table
    cdef k.fnn_activation activation
    cdef k.fnn_optimizer optimizer
    cdef k.fnn_loss loss
    cdef size_t of_activation = <char *>&activation.params - <char *>&activation
    cdef size_t of_optimizer = <char *>&optimizer.params - <char *>&optimizer
    cdef size_t of_loss = <char *>&loss.params - <char *>&loss
    for isa in targets():
        table = k.table_of(isa)
        add_list(ACTIVATION, table.activations, sizeof(k.fnn_activation), of_activation)
        add_list(OPTIMIZER, table.optimizers, sizeof(k.fnn_optimizer), of_optimizer)
        add_list(LOSS, table.losses, sizeof(k.fnn_loss), of_loss)
        add_list(METRIC, table.metrics, sizeof(k.fnn_loss), of_loss)
    return 0


add_lists()
