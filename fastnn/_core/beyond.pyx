"""Non-finite numbers, and those that another dtype cannot hold, in arrays: one pass in C."""
from numpy cimport (NPY_DOUBLE, NPY_FLOAT, PyArray_DATA, PyArray_DIM, PyArray_ISALIGNED,
                    PyArray_ISNOTSWAPPED, PyArray_IS_C_CONTIGUOUS, PyArray_NDIM, PyArray_SIZE, PyArray_STRIDE,
                    PyArray_TYPE, import_array, ndarray)

cdef extern from "beyond.h" nogil:
    ptrdiff_t fnn_first_beyond_f32(const float *x, ptrdiff_t n, double limit, int finite) noexcept
    ptrdiff_t fnn_first_beyond_f64(const double *x, ptrdiff_t n, double limit, int finite) noexcept

import_array()

cdef double LARGEST_FLOAT = 3.4028234663852886e38
cdef double LARGEST_DOUBLE = 1.7976931348623157e308


cdef ptrdiff_t first_beyond(int f64, const void *x, ptrdiff_t n, double limit, int finite) noexcept nogil:
    if f64:
        return fnn_first_beyond_f64(<const double *>x, n, limit, finite)
    return fnn_first_beyond_f32(<const float *>x, n, limit, finite)


def find_beyond(array, double limit=0, bint finite=True):
    """Index, in C order, of the first number beyond `limit` (0: the dtype's largest) in magnitude, or -1.

    array: native, aligned float32 or float64; contiguous, or of two axes with contiguous rows.
    finite: whether NaN and infinity count."""
    cdef ndarray a
    cdef ptrdiff_t rows = 1, columns, stride = 0, row, found = -1
    cdef int kind
    cdef const char *data
    if not isinstance(array, ndarray):
        raise TypeError(f"array: expected an ndarray, got {type(array).__name__}")
    a = array
    kind = PyArray_TYPE(a)
    if kind not in (NPY_FLOAT, NPY_DOUBLE) or not (PyArray_ISALIGNED(a) and PyArray_ISNOTSWAPPED(a)):
        raise TypeError(f"array: expected native, aligned float32 or float64, got dtype {array.dtype}")
    columns = PyArray_SIZE(a)
    if not PyArray_IS_C_CONTIGUOUS(a):
        if PyArray_NDIM(a) != 2 or PyArray_DIM(a, 1) > 1 and PyArray_STRIDE(a, 1) != a.itemsize:
            raise TypeError("array: expected contiguous rows")
        rows, columns, stride = PyArray_DIM(a, 0), PyArray_DIM(a, 1), PyArray_STRIDE(a, 0)
    if limit <= 0:
        limit = LARGEST_FLOAT if kind == NPY_FLOAT else LARGEST_DOUBLE
    data = <const char *>PyArray_DATA(a)
    with nogil:
        for row in range(rows):
            found = first_beyond(kind == NPY_DOUBLE, data + row * stride, columns, limit, finite)
            if found >= 0:
                found = found + row * columns
                break
    return found
