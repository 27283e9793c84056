# Batch normalisation of the columns of (B, F), rows contiguous, strides in bytes.  Plain C types: no header is
# needed.  0, or -1 if there is no memory.
cdef int batch_norm_stats(int f64, void *mean, void *var, const void *x, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_x,
                          int threads) noexcept nogil
# y = gamma (x - mean) / sqrt(var + epsilon) + beta; gamma and beta may be NULL
cdef int batch_norm_forward(int f64, void *y, const void *x, const void *gamma, const void *beta, const void *mean,
                            const void *var, double epsilon, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_y,
                            ptrdiff_t stride_x, int threads) noexcept nogil
# through the batch's own mean and variance; gamma and dx may be NULL
cdef int batch_norm_backward(int f64, void *dx, void *dgamma, void *dbeta, const void *dy, const void *x,
                             const void *gamma, const void *mean, const void *var, double epsilon, ptrdiff_t B,
                             ptrdiff_t F, ptrdiff_t stride_dx, ptrdiff_t stride_dy, ptrdiff_t stride_x,
                             int threads) noexcept nogil
