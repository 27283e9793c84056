# The only window on src_c.  Everything else cimports from here.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "fnn.h" nogil:
    enum:
        FNN_MAX_P
        FNN_MAX_N
        FNN_MAX_S
        FNN_MAX_FN
        FNN_MAX_H
        FNN_SCRATCH_BYTES
        FNN_TILE_SCRATCH_BYTES
        FNN_BLOCK_LEN
        FNN_FEW
        FNN_DW_SAMPLES
        FNN_DW_INPUTS
        FNN_EMULATED
        FNN_U8, FNN_I8, FNN_U16, FNN_I16, FNN_U32, FNN_I32, FNN_U64, FNN_I64, FNN_F16, FNN_F32, FNN_F64
        FNN_BLOCK_IS_KERNEL
        FNN_TARGET_LABELS
        FNN_TARGET_VALUES
        FNN_PAIRS_PARAM

    ctypedef struct fnn_run:
        ptrdiff_t n
        ptrdiff_t s0
        ptrdiff_t batch
        uint64_t seed
        uint64_t step
        const int64_t *index
        int64_t row0
        const double *hyper
        ptrdiff_t slot
        int accumulate
        void *scratch
        double rate
        ptrdiff_t epoch

    ctypedef struct fnn_rect:
        ptrdiff_t f0
        ptrdiff_t f1
        ptrdiff_t p0
        ptrdiff_t p1

    ctypedef struct fnn_op
    ctypedef void (*fnn_kernel)(const fnn_op *op, const fnn_run *run, const fnn_rect *r) noexcept nogil
    ctypedef void (*fnn_any)() noexcept nogil
    ctypedef struct fnn_op:
        fnn_kernel run
        fnn_any *fn
        void **p
        ptrdiff_t *n
        double *s

    ctypedef struct fnn_block:
        ptrdiff_t off
        ptrdiff_t len
        int32_t var
        int32_t flags

    ctypedef void (*fnn_map_fwd)(void *y, const void *x, ptrdiff_t n, const double *s) noexcept nogil
    ctypedef void (*fnn_map_bwd)(void *dx, const void *dy, const void *t, ptrdiff_t n, const double *s) noexcept nogil
    ctypedef void (*fnn_update)(void *w, void *s0, void *s1, void *s2, const void *g, ptrdiff_t n,
                                ptrdiff_t rows, ptrdiff_t stride, const double *h) noexcept nogil
    ctypedef void (*fnn_prep)(double *h, double lr, uint64_t t, const double *s) noexcept nogil

    ctypedef struct fnn_activation:
        const char *name
        const char *params
        int from_input
        fnn_map_fwd fwd[2]
        fnn_map_bwd bwd[2]

    ctypedef struct fnn_optimizer:
        const char *name
        const char *params
        const char *state
        fnn_prep prep
        fnn_update update[2]
        fnn_any beside[2]

    ctypedef struct fnn_loss:
        const char *name
        const char *params
        int target
        fnn_kernel run[2]
        int pairs
        const char *signature

    ctypedef struct fnn_named:
        const char *name
        fnn_any fn[2]
        const char *signature

    ctypedef struct fnn_table:
        const char *isa
        int vector_bytes
        int tiles
        const fnn_activation *activations
        const fnn_optimizer *optimizers
        const fnn_loss *losses
        const fnn_loss *metrics
        const fnn_named *kernels
        const fnn_named *functions

    const fnn_table *fnn_select(const char *isa, const char **why)
    const char *const *fnn_targets()
    int fnn_cpu_has(const char *isa)
    int FNN_NO_TILES, FNN_TILES_DISAGREE
    int FNN_TILES_AGREE_BYTES
    int fnn_tiles_refusal(const fnn_table *table, void *memory) nogil


cdef const fnn_table *table_of(isa) except NULL
cdef const fnn_activation *find_activation(const fnn_table *t, name) except NULL
cdef const fnn_optimizer *find_optimizer(const fnn_table *t, name) except NULL
cdef fnn_any find_function(const fnn_table *t, name, int f64) except NULL
cdef ptrdiff_t pairs_of(const fnn_loss *row, const double *s, ptrdiff_t outputs) noexcept nogil
cdef fnn_kernel find_kernel(const fnn_table *t, name, int f64) except NULL
cdef dict read_params(const char *text)
