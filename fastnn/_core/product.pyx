"""y = x w + b and y = x w^T of row-major arrays: forward and dx of a dense layer.

(a) A task is a chunk of samples, and where chunks are fewer than threads a part of the outputs. It goes from slice to
    slice of the outputs, each with its part of w in L2. An element is one chain of fma over the features, so no cut
    shows in the bits.
(b) A slice of w is packed into unit panels for all chunks before, or by the only chunk when its turn comes.
"""
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from . cimport kernels as k
from . cimport operands, packing, rows

cdef ptrdiff_t TASK_PANELS = 16         # of samples (FNN_PC of gemm/dense.inl.h)
cdef ptrdiff_t TASK_BYTES = 4 << 20     # of x's panels
cdef ptrdiff_t SLICE_BYTES = 256 << 10  # of w's panels


cdef void plan_product(Product *q, int threads) noexcept nogil:
    """Cut y into tasks: chunks of samples by parts of the slices."""
    cdef ptrdiff_t width = rows.panel_width(q.f64), item = 8 if q.f64 else 4, line = width * item
    cdef ptrdiff_t panels = rows.ceil_div(q.B, width), features = max(1, rows.ceil_div(q.G, width)), chunk, slice
    chunk = max(1, min(TASK_PANELS, TASK_BYTES // max(1, q.F * line)))
    chunk = max(1, min(chunk, rows.ceil_div(panels, threads)))
    q.chunk, q.chunks = chunk * width, rows.ceil_div(panels, chunk)
    slice = max(1, min(features, SLICE_BYTES // max(1, q.F * line)))
    slice = min(slice, max(1, rows.ceil_div(features * max(1, q.chunks), threads)))
    q.slice, q.slices = slice * width, rows.ceil_div(features, slice)
    q.parts = 1 if q.chunks >= threads else min(q.slices, rows.ceil_div(threads, max(1, q.chunks)))
    q.x_bytes = rows.whole_lines(<size_t>(q.chunk * q.F * item)) if q.x != NULL else 0
    q.y_bytes = rows.whole_lines(<size_t>(q.chunk * q.slice * item))
    q.slice_bytes = rows.whole_lines(<size_t>(q.slice * (rows.ceil_div(q.F, width) * width + 1) * item))
    q.each = q.x_bytes + q.y_bytes + q.slice_bytes


cdef void pack_slice(const Product *q, ptrdiff_t i, char *panels) noexcept nogil:
    cdef packing.Weights c
    cdef ptrdiff_t first = i * q.slice, n = min(q.slice, q.G - first), item = 8 if q.f64 else 4
    c.panels, c.stride, c.b = panels, q.stride_w, NULL
    if q.turned:
        c.w, c.inputs, c.outputs, c.rows = q.w + first * q.stride_w, n, q.F, n
    else:
        c.w, c.inputs, c.outputs, c.rows = q.w + first * item, q.F, n, q.F
        if q.b != NULL:
            c.b, c.rows = q.b + first * item, q.F + 1
    packing.copy(&c, q.f64, 0, 1)


cdef void product_task(const Product *q, ptrdiff_t task, int thread) noexcept nogil:
    cdef ptrdiff_t width = rows.panel_width(q.f64), item = 8 if q.f64 else 4, part = task % q.parts, i, n
    cdef ptrdiff_t first = task // q.parts * q.chunk, samples = min(q.chunk, q.B - first)
    cdef char *x = q.memory + q.each * thread
    cdef char *y = x + q.x_bytes
    cdef char *w = y + q.y_bytes
    cdef k.fnn_op op = q.op
    cdef operands.fnn_p_dense_fwd *fwd = <operands.fnn_p_dense_fwd *>op.p
    cdef operands.fnn_n_dense_fwd *fwd_sizes = <operands.fnn_n_dense_fwd *>op.n
    cdef operands.fnn_p_dense_dx *dx = <operands.fnn_p_dense_dx *>op.p
    cdef operands.fnn_n_dense_dx *dx_sizes = <operands.fnn_n_dense_dx *>op.n
    cdef k.fnn_run run
    cdef k.fnn_rect r
    memset(&run, 0, sizeof(run))
    if q.x != NULL:
        rows.gather(q.f64, x, q.x, q.F, q.stride_x, first, samples)
    else:
        x = q.x_panels + first * q.F * item
    for i in range(q.slices * part // q.parts, q.slices * (part + 1) // q.parts):
        n = min(q.slice, q.G - i * q.slice)
        if q.w_panels != NULL:
            w = q.w_panels + q.slice_bytes * i
        else:
            pack_slice(q, i, w)
        run.n = samples
        if q.turned:
            dx.dx, dx.dy, dx.w = y, x, w
            dx_sizes.I, dx_sizes.O, dx_sizes.rows = n, q.F, n
        else:
            fwd.y, fwd.x, fwd.w = y, x, w
            fwd_sizes.I, fwd_sizes.O, fwd_sizes.rows = q.F, n, q.F + (q.b != NULL)
        r.f0, r.f1, r.p0, r.p1 = 0, n, 0, rows.ceil_div(samples, width)
        op.run(&op, &run, &r)
        rows.scatter(q.f64, q.y + i * q.slice * item, y, n, q.stride_y, first, samples, 0, r.f1)


cdef void run_product(const Product *q, int threads) noexcept nogil:
    cdef ptrdiff_t task
    if threads == 1:
        for task in range(q.chunks * q.parts):
            product_task(q, task, 0)
    else:
        for task in prange(q.chunks * q.parts, num_threads=threads, schedule="static"):
            product_task(q, task, threadid())


cdef void pack_slices(const Product *q, int threads) noexcept nogil:
    cdef ptrdiff_t i
    if threads == 1:
        for i in range(q.slices):
            pack_slice(q, i, q.w_panels + q.slice_bytes * i)
    else:
        for i in prange(q.slices, num_threads=threads, schedule="static"):
            pack_slice(q, i, q.w_panels + q.slice_bytes * i)
