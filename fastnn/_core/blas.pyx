"""The only door to ``scipy.linalg.cython_blas``.

Nothing here sets a number of threads, which is the host program's: so a call may run on as many as the BLAS likes, and
its bits may depend on that. The kernels do not call it; docs/decisions has the measurements.
"""
from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray
from scipy.linalg.cython_blas cimport dgemm, sgemm

cdef enum:
    MOST = 0x7fffffff   # a BLAS int


cdef int gemm(int f64, bint trans_a, bint trans_b, ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, double alpha, const void *A,
              ptrdiff_t lda, const void *B, ptrdiff_t ldb, double beta, void *C, ptrdiff_t ldc) noexcept nogil:
    cdef int m, n, k, a, b, c
    # a matrix of one row, or of none, may have any stride; BLAS wants one that a row fits in
    lda = max(lda, <ptrdiff_t>1, M if trans_a else K)
    ldb = max(ldb, <ptrdiff_t>1, K if trans_b else N)
    ldc = max(ldc, <ptrdiff_t>1, N)
    cdef char ta = c"T" if trans_a else c"N"
    cdef char tb = c"T" if trans_b else c"N"
    cdef double alpha64 = alpha, beta64 = beta
    cdef float alpha32 = <float>alpha, beta32 = <float>beta
    if max(M, N, K) > MOST or max(lda, ldb, ldc) > MOST or min(M, N, K) < 0:
        return -1
    if M == 0 or N == 0:
        return 0
    # BLAS knows columns: what is C row-major is C transposed to it, op(B)^T op(A)^T
    m, n, k = <int>N, <int>M, <int>K
    a, b, c = <int>lda, <int>ldb, <int>ldc
    if f64:
        dgemm(&tb, &ta, &m, &n, &k, &alpha64, <double *>B, &b, <double *>A, &a, &beta64, <double *>C, &c)
    else:
        sgemm(&tb, &ta, &m, &n, &k, &alpha32, <float *>B, &b, <float *>A, &a, &beta32, <float *>C, &c)
    return 0


def matmul(ndarray c, ndarray a, ndarray b, bint trans_a=False, bint trans_b=False):
    """c = op(a) op(b) for arrays of one dtype with contiguous rows; for measurements and tests."""
    cdef int f64 = a.itemsize == 8, item = a.itemsize, status
    cdef ptrdiff_t M = c.shape[0], N = c.shape[1], K = a.shape[0] if trans_a else a.shape[1]
    cdef ptrdiff_t lda = PyArray_STRIDE(a, 0) // item, ldb = PyArray_STRIDE(b, 0) // item
    cdef ptrdiff_t ldc = PyArray_STRIDE(c, 0) // item
    cdef const void *pa = PyArray_DATA(a)
    cdef const void *pb = PyArray_DATA(b)
    cdef void *pc = PyArray_DATA(c)
    with nogil:
        status = gemm(f64, trans_a, trans_b, M, N, K, 1.0, pa, lda, pb, ldb, 0.0, pc, ldc)
    if status != 0:
        raise ValueError("a size is above what the BLAS counts with")
    return c
