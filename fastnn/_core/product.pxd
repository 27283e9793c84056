# A matrix product of row-major arrays by the dense kernels, in tasks.  See product.pyx.
from . cimport kernels as k

cdef struct Product:    # y = x w + b, or turned = 1: y = x w^T
    k.fnn_op op
    int f64
    int turned
    const char *x       # NULL: x_panels holds all of it
    char *x_panels
    char *y
    char *w
    char *b
    char *w_panels      # all slices, or NULL: a task packs each slice just before it is used
    char *memory        # one `each` per thread
    size_t each
    size_t x_bytes      # of which x's panels, y's panels
    size_t y_bytes
    size_t slice_bytes  # of the panels of a slice of w
    ptrdiff_t B
    ptrdiff_t F         # features of x
    ptrdiff_t G         # of y
    ptrdiff_t stride_x
    ptrdiff_t stride_y
    ptrdiff_t stride_w
    ptrdiff_t chunk     # samples of a task
    ptrdiff_t chunks
    ptrdiff_t slice     # features of y that are computed together
    ptrdiff_t slices
    ptrdiff_t parts     # into which the slices are cut

cdef void plan_product(Product *q, int threads) noexcept nogil   # needs f64, B, F, G and whether x is NULL
cdef void pack_slices(const Product *q, int threads) noexcept nogil
cdef void run_product(const Product *q, int threads) noexcept nogil
