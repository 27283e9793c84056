# Elementwise activations and the two that look at all features of a row.  Plain C types: no header is needed.

# The row of an activation by its name, a handle for the functions here and in dense; NULL: unknown.
cdef const void *activation_row(const char *name) noexcept nogil
# Whether the derivative is computed from the input (1) or from the output (0); UNKNOWN_ROW.
cdef int activation_from_input(const void *row) noexcept nogil
# y = f(x), dx = dy f'(t): n contiguous elements, in place allowed.
# s: the n_s parameters of the row; NULL and 0: their defaults.  A Status.
cdef int activation_forward(const void *row, int f64, void *y, const void *x, ptrdiff_t n, const double *s, int n_s,
                            int threads) noexcept nogil
cdef int activation_backward(const void *row, int f64, void *dx, const void *dy, const void *t, ptrdiff_t n,
                             const double *s, int n_s, int threads) noexcept nogil
# Rows of K elements, strides in bytes.  0, or -1 if there is no memory.
cdef int softmax_forward(int f64, int log, void *y, const void *x, ptrdiff_t B, ptrdiff_t K, ptrdiff_t stride_y,
                         ptrdiff_t stride_x, int threads) noexcept nogil
cdef int softmax_backward(int f64, int log, void *dx, const void *dy, const void *y, ptrdiff_t B, ptrdiff_t K,
                          ptrdiff_t stride_dx, ptrdiff_t stride_dy, ptrdiff_t stride_y, int threads) noexcept nogil
