# The only door to SciPy's BLAS.  Row-major, strides (ld*) in elements.  0, or -1 if a size is no BLAS int.
# C = alpha op(A) op(B) + beta C, C (M, N), op(A) (M, K), op(B) (K, N).  BLAS may use threads of its own: see blas.pyx.
cdef int gemm(int f64, bint trans_a, bint trans_b, ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, double alpha, const void *A,
              ptrdiff_t lda, const void *B, ptrdiff_t ldb, double beta, void *C, ptrdiff_t ldc) noexcept nogil
