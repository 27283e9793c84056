# Squared norms and clips of n contiguous elements.  Plain C types: no header is needed.
cdef double square_sum(int f64, const void *x, ptrdiff_t n, int threads) noexcept nogil
cdef void clip_value(int f64, void *y, const void *x, ptrdiff_t n, double limit, int threads) noexcept nogil
cdef void scale(int f64, void *y, const void *x, ptrdiff_t n, double factor, int threads) noexcept nogil
# factor[v] for vectors whose sums of squares are given: Keras' clipnorm, global_clipnorm (0: off)
cdef void clip_factors(double *factor, const double *sums, ptrdiff_t n, double clipnorm,
                       double global_clipnorm) noexcept nogil
