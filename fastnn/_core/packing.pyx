"""Between a dense layer's row-major weights and the unit panels its kernels read."""
from cython.parallel cimport prange

from . cimport rows

ctypedef void (*copy_rows)(void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
ctypedef void (*copy_row)(void *, const void *, ptrdiff_t, ptrdiff_t) noexcept nogil


cdef void copy_unit(const Weights *c, int f64, ptrdiff_t u, int out) noexcept nogil:
    cdef ptrdiff_t item = 8 if f64 else 4, width = rows.panel_width(f64), units = min(width, c.outputs - u * width)
    cdef char *panels = c.panels + u * c.rows * width * item
    cdef char *w = c.w + u * width * item
    cdef char *b = c.b + u * width * item
    cdef copy_rows kernel = <copy_rows>rows.function("unpack_kernel" if out else "pack_kernel", f64)
    cdef copy_row bias = <copy_row>rows.function("unpack_bias" if out else "pack_bias", f64)
    if c.w != NULL:
        kernel(w if out else panels, panels if out else w, c.inputs, units, c.stride // item, c.rows)
    if c.b != NULL:
        bias(b if out else panels, panels if out else b, c.inputs, units)


cdef void copy(const Weights *c, int f64, int out, int threads) noexcept nogil:
    cdef ptrdiff_t u, units = rows.ceil_div(c.outputs, rows.panel_width(f64))
    if threads == 1:
        for u in range(units):
            copy_unit(c, f64, u, out)
    else:
        for u in prange(units, num_threads=threads, schedule="static"):
            copy_unit(c, f64, u, out)
