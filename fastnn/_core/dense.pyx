"""Dense layers on row-major arrays.

(a) Forward and dx are products (product.pyx). A small forward pass reads the arrays as they lie (gemm/rows.inl.h).
(b) dw, db: samples go by blocks of BLOCK, in order; within a block a thread owns pieces of dw.  BLOCK is fixed, because
    it decides the order of the sum.  Pieces are walked so that the rows of x they share stay in L2.
"""
from cpython.unicode cimport PyUnicode_AsUTF8
from cython.parallel cimport prange, threadid
from libc.stdlib cimport free
from libc.string cimport memset, strcmp

from numpy cimport (NPY_FLOAT32, NPY_FLOAT64, PyArray_CheckExact, PyArray_DATA, PyArray_DIM, PyArray_EMPTY,
                    PyArray_IS_C_CONTIGUOUS, PyArray_ISALIGNED, PyArray_ISNOTSWAPPED, PyArray_NDIM, PyArray_STRIDE,
                    PyArray_TYPE, import_array, ndarray, npy_intp)

from . cimport kernels as k
from . cimport operands, packing, rows
from .activations cimport activation_row
from .parameters cimport ACTIVATION, NO_MEMORY, OK, read_parameters
from .product cimport Product, pack_slices, plan_product, run_product

import_array()

cdef ptrdiff_t BLOCK = k.FNN_DW_SAMPLES   # a multiple of every panel
cdef ptrdiff_t PARTS = k.FNN_DW_INPUTS
cdef ptrdiff_t SHARED_BYTES = 256 << 10  # of x's panels, in dw
cdef ptrdiff_t FEW_ROWS = 6             # FNN_ROW_TILE of gemm/rows.inl.h: with so many, w is read once
cdef ptrdiff_t NEAR_BYTES = 64 << 10    # of w, which more rows read again and again
cdef double FLOPS = 60e9                # of one thread, float32, roughly

ctypedef void (*row_product)(void *, const void *, const void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                             ptrdiff_t, ptrdiff_t, ptrdiff_t, k.fnn_map_fwd, const double *) noexcept nogil


cdef int read_fused(const void **act, const double *s, int n_s, double *parameters) noexcept nogil:
    """Parameters of a fused activation; a linear one becomes NULL here. A caller's NULL is not that: it may come from a
    misspelt name."""
    cdef int status = read_parameters(ACTIVATION, act[0], s, n_s, parameters)
    if status == OK and strcmp((<const k.fnn_activation *>act[0]).name, "linear") == 0:
        act[0] = NULL
    return status


cdef int dense_forward(int f64, void *y, const void *x, const void *w, const void *b, ptrdiff_t B, ptrdiff_t I,
                       ptrdiff_t O, ptrdiff_t stride_y, ptrdiff_t stride_x, ptrdiff_t stride_w, const void *act,
                       const double *s, int n_s, int threads) noexcept nogil:
    cdef Product q
    cdef double parameters[8]
    cdef char *memory
    cdef size_t w_bytes
    cdef ptrdiff_t item = 8 if f64 else 4
    cdef int i, status = read_fused(&act, s, n_s, parameters)
    if status != OK or B == 0 or O == 0:
        return status
    if threads == 1 and 2 * O >= rows.panel_width(f64) and (B <= FEW_ROWS or I * O * item <= NEAR_BYTES):
        (<row_product>rows.functions().dense_rows[f64])(
            y, x, w, b, B, I, O, stride_y // item, stride_x // item, stride_w // item,
            NULL if act == NULL else (<const k.fnn_activation *>act).fwd[f64], parameters)
        return OK
    memset(&q, 0, sizeof(q))
    q.f64, q.B, q.F, q.G, q.stride_x, q.stride_y, q.stride_w = f64, B, I, O, stride_x, stride_y, stride_w
    q.x, q.y, q.w, q.b = <char *>x, <char *>y, <char *>w, <char *>b
    q.op.run = rows.kernel("dense_fwd", f64)
    if act != NULL:
        (<operands.fnn_f_dense_fwd *>q.op.fn).act = <k.fnn_any>(<const k.fnn_activation *>act).fwd[f64]
        for i in range(k.FNN_MAX_S):
            (<operands.fnn_s_dense_fwd *>q.op.s).s[i] = parameters[i]
    plan_product(&q, threads)
    w_bytes = q.slice_bytes * q.slices if q.chunks > 1 else 0
    memory = <char *>rows.lines(w_bytes + q.each * threads)
    if memory == NULL:
        return NO_MEMORY
    q.memory = memory + w_bytes
    if w_bytes > 0:
        q.w_panels = memory
        pack_slices(&q, threads)
    run_product(&q, threads)
    free(memory)
    return OK


cdef struct Block:      # a block of samples of the backward pass
    k.fnn_op dw
    k.fnn_map_bwd act
    const double *s
    const char *dy
    const char *x
    const char *t
    char *dy_panels
    char *x_panels
    char *t_panels      # one sample panel per thread
    char *scratch
    ptrdiff_t first
    ptrdiff_t n
    ptrdiff_t inputs
    ptrdiff_t outputs
    ptrdiff_t stride_dy
    ptrdiff_t stride_x
    ptrdiff_t stride_t
    int f64


cdef void gather_block(const Block *q, ptrdiff_t p, int thread) noexcept nogil:
    """Sample panel p: x, and dy times the activation's derivative."""
    cdef ptrdiff_t width = rows.panel_width(q.f64), item = 8 if q.f64 else 4, line = width * item
    cdef ptrdiff_t first = q.first + p * width, samples = min(width, q.n - p * width)
    cdef char *dy = q.dy_panels + p * q.outputs * line
    cdef char *t = q.t_panels + thread * rows.whole_lines(<size_t>(q.outputs * line))
    rows.gather(q.f64, dy, q.dy, q.outputs, q.stride_dy, first, samples)
    if q.act != NULL:
        rows.gather(q.f64, t, q.t, q.outputs, q.stride_t, first, samples)
        q.act(dy, dy, t, q.outputs * width, q.s)
    if q.dw.run != NULL:
        rows.gather(q.f64, q.x_panels + p * q.inputs * line, q.x, q.inputs, q.stride_x, first, samples)


cdef void dw_task(const Block *q, ptrdiff_t first, ptrdiff_t last, int thread) noexcept nogil:
    """Pieces first .. last of dw; piece u * parts + i is unit panel u, rows i of x."""
    cdef ptrdiff_t parts = max(1, rows.ceil_div(q.inputs, PARTS)), group, i, j, u
    cdef k.fnn_run run
    cdef k.fnn_rect r
    memset(&run, 0, sizeof(run))
    run.n, run.accumulate = q.n, q.first > 0
    run.scratch = q.scratch + <ptrdiff_t>k.FNN_SCRATCH_BYTES * thread
    r.p0, r.p1 = 0, rows.ceil_div(q.n, rows.panel_width(q.f64))
    group = max(1, SHARED_BYTES // (PARTS * q.n * (8 if q.f64 else 4)))
    group = rows.ceil_div(parts, rows.ceil_div(parts, group))
    for j in range(rows.ceil_div(parts, group)):
        i = j * group
        for u in range(first // parts, rows.ceil_div(last, parts)):
            r.f0, r.f1 = max(first, u * parts + i), min(last, u * parts + min(parts, i + group))
            if r.f0 < r.f1:
                q.dw.run(&q.dw, &run, &r)


cdef void backward_block(Block *g, Product *q, ptrdiff_t items, int threads) noexcept nogil:
    """Panels of x and dy of a block of samples; from them dx, where q.y is not NULL, and its part of dw, if wanted."""
    cdef ptrdiff_t p, panels = rows.ceil_div(g.n, rows.panel_width(g.f64))
    if threads == 1:
        for p in range(panels):
            gather_block(g, p, 0)
    else:
        for p in prange(panels, num_threads=threads, schedule="static"):
            gather_block(g, p, threadid())
    if q.y != NULL:
        run_product(q, threads)
    if g.dw.run != NULL and threads == 1:
        dw_task(g, 0, items, 0)
    elif g.dw.run != NULL:
        for p in prange(threads, num_threads=threads, schedule="static"):
            dw_task(g, items * p // threads, items * (p + 1) // threads, threadid())


cdef int dense_backward(int f64, void *dx, void *dw, void *db, const void *dy, const void *x, const void *w,
                        const void *t, ptrdiff_t B, ptrdiff_t I, ptrdiff_t O, ptrdiff_t stride_dx,
                        ptrdiff_t stride_dw, ptrdiff_t stride_dy, ptrdiff_t stride_x, ptrdiff_t stride_w,
                        ptrdiff_t stride_t, const void *act, const double *s, int n_s, int threads) noexcept nogil:
    cdef ptrdiff_t item = 8 if f64 else 4, width = rows.panel_width(f64), line = width * item, items
    cdef ptrdiff_t block = min(B, BLOCK), panels = rows.ceil_div(block, width), units = rows.ceil_div(O, width)
    cdef size_t g_bytes = rows.whole_lines(<size_t>(units * (I + 1) * line)) if dw != NULL else 0
    cdef size_t x_bytes = rows.whole_lines(<size_t>(panels * I * line)) if dw != NULL else 0
    cdef size_t dy_bytes = rows.whole_lines(<size_t>(panels * O * line))
    cdef size_t t_bytes
    cdef size_t scratch = <size_t>k.FNN_SCRATCH_BYTES * threads if dw != NULL else 0, w_bytes
    cdef Product q
    cdef Block g
    cdef operands.fnn_p_dense_dw *p = <operands.fnn_p_dense_dw *>g.dw.p
    cdef operands.fnn_n_dense_dw *sizes = <operands.fnn_n_dense_dw *>g.dw.n
    cdef packing.Weights c
    cdef char *memory
    cdef double parameters[8]
    cdef int status = read_fused(&act, s, n_s, parameters)
    if status != OK or B == 0:
        return status
    t_bytes = rows.whole_lines(<size_t>(O * line)) * threads if act != NULL else 0
    memset(&q, 0, sizeof(q))
    memset(&g, 0, sizeof(g))
    q.f64, q.turned, q.B, q.F, q.G, q.stride_y, q.stride_w = f64, 1, block, O, I, stride_dx, stride_w
    q.op.run, q.w = rows.kernel("dense_dx", f64), <char *>w
    plan_product(&q, threads)
    w_bytes = q.slice_bytes * q.slices if dx != NULL and (q.chunks > 1 or B > block) else 0
    memory = <char *>rows.lines(g_bytes + x_bytes + dy_bytes + t_bytes + scratch + w_bytes + q.each * threads)
    if memory == NULL:
        return NO_MEMORY
    g.x_panels = memory + g_bytes
    q.x_panels = g.dy_panels = g.x_panels + x_bytes
    g.t_panels = g.dy_panels + dy_bytes
    g.scratch = g.t_panels + t_bytes
    q.memory = g.scratch + scratch + w_bytes
    g.f64, g.dy, g.x, g.t, g.inputs, g.outputs = f64, <char *>dy, <char *>x, <char *>t, I, O
    g.stride_dy, g.stride_x, g.stride_t = stride_dy, stride_x, stride_t
    if act != NULL:
        g.act, g.s = (<const k.fnn_activation *>act).bwd[f64], parameters
    if w_bytes > 0:
        q.w_panels = g.scratch + scratch
        pack_slices(&q, threads)
    items = units * max(1, rows.ceil_div(I, PARTS))
    if dw != NULL:
        g.dw.run = rows.kernel("dense_dw", f64)
        p.x, p.dy, p.grad = g.x_panels, g.dy_panels, memory
        sizes.I, sizes.O, sizes.rows, sizes.parts = I, O, I + 1, max(1, rows.ceil_div(I, PARTS))
    while g.first < B:
        g.n = q.B = min(BLOCK, B - g.first)
        q.y = NULL if dx == NULL else <char *>dx + g.first * stride_dx
        q.chunks = rows.ceil_div(g.n, q.chunk)
        backward_block(&g, &q, items, threads)
        g.first += g.n
    if dw != NULL:
        c.panels, c.w, c.b, c.stride = memory, <char *>dw, <char *>db, stride_dw
        c.inputs, c.outputs, c.rows = I, O, I + 1
        packing.copy(&c, f64, 1, threads)
    free(memory)
    return OK


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


cdef const void *data(array) noexcept:
    return NULL if array is None else PyArray_DATA(array)


cdef ptrdiff_t row_stride(array) noexcept:
    return 0 if array is None else PyArray_STRIDE(array, 0)


cdef const void *activation(name) except NULL:
    text = b"linear" if name is None else name.encode()
    cdef const void *row = activation_row(text)
    if row == NULL:
        raise KeyError(f"no activation row {name!r}")
    return row


cdef bint is_plain(array, int kind, int axes) noexcept:
    """Whether the core reads `array` where it lies, all of it in one run."""
    return (PyArray_CheckExact(array) and PyArray_TYPE(<ndarray>array) == kind and PyArray_NDIM(<ndarray>array) == axes
            and PyArray_IS_C_CONTIGUOUS(<ndarray>array) and PyArray_ISALIGNED(<ndarray>array)
            and PyArray_ISNOTSWAPPED(<ndarray>array))


def forward_at_once(x, w, b, act):
    """The result for plain matrices that are too small for a second thread and for letting others have the interpreter;
    None for whatever else comes, which takes the long way to a result or to an error.  act: None or a name."""
    cdef ptrdiff_t B, inputs, units, item
    cdef const void *row
    cdef npy_intp shape[2]
    cdef int kind
    if not PyArray_CheckExact(x):
        return None
    kind = PyArray_TYPE(<ndarray>x)
    if kind not in (NPY_FLOAT32, NPY_FLOAT64) or not is_plain(x, kind, 2) or not is_plain(w, kind, 2):
        return None
    B, inputs, units = PyArray_DIM(<ndarray>x, 0), PyArray_DIM(<ndarray>x, 1), PyArray_DIM(<ndarray>w, 1)
    if PyArray_DIM(<ndarray>w, 0) != inputs:
        return None
    if b is not None and not (is_plain(b, kind, 1) and PyArray_DIM(<ndarray>b, 0) == units):
        return None
    item = 8 if kind == NPY_FLOAT64 else 4
    if rows.pays_off(<double>B * inputs * units * 2 * item / 4 / FLOPS):
        return None
    if act is None:
        row = activation_row("linear")
    elif type(act) is str:
        row = activation_row(PyUnicode_AsUTF8(act))
    else:
        return None
    if row == NULL:
        return None
    shape[0], shape[1] = B, units
    y = PyArray_EMPTY(2, shape, kind, 0)
    rows.done(dense_forward(kind == NPY_FLOAT64, PyArray_DATA(<ndarray>y), PyArray_DATA(<ndarray>x),
                            PyArray_DATA(<ndarray>w), data(b), B, inputs, units, units * item, inputs * item,
                            units * item, row, NULL, 0, 1))
    return y


def forward(ndarray y, ndarray x, ndarray w, b, act, values, threads):
    """y = act(x w + b): x (B, inputs), w (inputs, units) and y with contiguous rows; b (units,) or None."""
    cdef ptrdiff_t B = x.shape[0], inputs = w.shape[0], units = w.shape[1]
    cdef ptrdiff_t stride_y = row_stride(y), stride_x = row_stride(x), stride_w = row_stride(w)
    cdef int f64 = x.itemsize == 8, status
    cdef int team = rows.team_for(<double>B * inputs * units * 2 * x.itemsize / 4 / FLOPS, threads)
    cdef const void *row = activation(act)
    cdef double s[8]
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    cdef const void *pw = PyArray_DATA(w)
    cdef const void *pb = data(b)
    cdef int n_s = rows.read_scalars(s, values)
    with nogil:
        status = dense_forward(f64, py, px, pw, pb, B, inputs, units, stride_y, stride_x, stride_w, row, s, n_s, team)
    rows.done(status)


def backward(dx, dw, db, ndarray dy, x, ndarray w, t, act, values, threads):
    """dx, dw, db (each an array or None); t: (B, units) for the activation's derivative, or None."""
    cdef ptrdiff_t B = dy.shape[0], inputs = w.shape[0], units = w.shape[1]
    cdef ptrdiff_t stride_dx = row_stride(dx), stride_dw = row_stride(dw), stride_dy = row_stride(dy)
    cdef ptrdiff_t stride_x = row_stride(x), stride_w = row_stride(w), stride_t = row_stride(t)
    cdef int f64 = w.itemsize == 8, status
    cdef int team = rows.team_for(<double>B * inputs * units * 4 * w.itemsize / 4 / FLOPS, threads)
    cdef const void *row = activation(act)
    cdef double s[8]
    cdef void *pdx = <void *>data(dx)
    cdef void *pdw = <void *>data(dw)
    cdef void *pdb = <void *>data(db)
    cdef const void *pdy = PyArray_DATA(dy)
    cdef const void *px = data(x)
    cdef const void *pw = PyArray_DATA(w)
    cdef const void *pt = data(t)
    cdef int n_s = rows.read_scalars(s, values)
    with nogil:
        status = dense_backward(f64, pdx, pdw, pdb, pdy, px, pw, pt, B, inputs, units, stride_dx, stride_dw, stride_dy,
                                stride_x, stride_w, stride_t, row, s, n_s, team)
    rows.done(status)
