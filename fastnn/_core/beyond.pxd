# Index of the first of n contiguous numbers beyond `limit` in magnitude, or -1 (src_c/beyond.h).
cdef ptrdiff_t first_beyond(int f64, const void *x, ptrdiff_t n, double limit, int finite) noexcept nogil
