"""Losses and metrics on arrays: every row of the kernels' lists."""
from libc.stdlib cimport free
from libc.string cimport strcmp

from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray

import numpy as np

from . cimport kernels as k
from . cimport operands, rows
from .parameters cimport LOSS, METRIC, NO_MEMORY, OK, UNKNOWN_ROW, read_parameters

cdef double SECONDS = 3e-9    # an element, roughly


cdef const void *loss_row(const char *name, int metric) noexcept nogil:
    cdef const k.fnn_loss *row = rows.table().metrics if metric else rows.table().losses
    while row.name != NULL:
        if strcmp(row.name, name) == 0:
            return row
        row += 1
    return NULL


cdef void fill_metric(rows.Job *job, ptrdiff_t K, ptrdiff_t stride, const double *s, double *sums) noexcept nogil:
    """The operands of a metric other than its panels."""
    cdef operands.fnn_n_metric *sizes = <operands.fnn_n_metric *>job.op.n
    cdef int i
    (<operands.fnn_p_metric *>job.op.p).sums = sums
    sizes.K, sizes.stride = K, stride
    for i in range(k.FNN_MAX_S):
        (<operands.fnn_s_metric *>job.op.s).params[i] = s[i]


cdef int loss_forward_backward(const void *row, int f64, double *total, void *each, void *dy, const void *y_pred,
                               const void *target, const void *weight, const double *given, int n_s, ptrdiff_t B,
                               ptrdiff_t K, ptrdiff_t stride_dy, ptrdiff_t stride_pred, ptrdiff_t stride_target,
                               int threads) noexcept nogil:
    cdef const k.fnn_loss *loss = <const k.fnn_loss *>row
    cdef ptrdiff_t panels = rows.ceil_div(B, rows.panel_width(f64)), p
    cdef double *partial
    cdef double s[8]
    cdef rows.Job job
    cdef operands.fnn_p_loss *of_loss = <operands.fnn_p_loss *>job.op.p
    cdef operands.fnn_p_metric *of_metric = <operands.fnn_p_metric *>job.op.p
    cdef int metric = each == NULL, status = read_parameters(METRIC if metric else LOSS, row, given, n_s, s), i
    cdef int y_pred_at, target_at
    if status == OK and loss.pairs != 0:
        status = UNKNOWN_ROW    # made of more sums than this function has room for
    if status != OK:
        return status
    partial = <double *>rows.lines(<size_t>panels * 2 * sizeof(double))
    if partial == NULL:
        return NO_MEMORY
    rows.start(&job, NULL, f64, 1)   # a batch of 1: the gradient is not divided by the number of rows
    job.op.run = loss.run[f64]
    job.sides = 1
    if metric:
        fill_metric(&job, K, 0, s, partial)
        y_pred_at, target_at = rows.place(&job, &of_metric.y_pred), rows.place(&job, &of_metric.target)
    else:
        of_loss.weight, of_loss.sums, of_loss.terms = <void *>weight, partial, each
        (<operands.fnn_n_loss *>job.op.n).K = K
        for i in range(k.FNN_MAX_S):
            (<operands.fnn_s_loss *>job.op.s).params[i] = s[i]
        y_pred_at, target_at = rows.place(&job, &of_loss.y_pred), rows.place(&job, &of_loss.target)
    job.side[0] = rows.Side(<const char *>y_pred, <char *>dy, K, stride_pred, stride_dy, y_pred_at,
                            rows.place(&job, &of_loss.grad) if dy != NULL else -1)
    if loss.target == k.FNN_TARGET_LABELS:
        job.op.p[target_at] = <void *>target
    else:
        job.sides = 2
        job.side[1] = rows.Side(<const char *>target, NULL, K, stride_target, 0, target_at, -1)
    status = rows.run_rows(&job, B, threads)
    total[0] = total[1] = 0
    for p in range(panels if status == 0 else 0):   # in the order of the rows, whoever computed them
        total[0] += partial[2 * p]
        total[1] += partial[2 * p + 1]
    free(partial)
    return status


cdef int wide_metric(const void *row, int f64, double[:, ::1] sums, const void *y_pred, const void *target,
                     const double *s, ptrdiff_t B, ptrdiff_t K, ptrdiff_t stride_pred, ptrdiff_t stride_target,
                     int threads) noexcept nogil:
    """A metric of several pairs of sums; `sums` come as zeros."""
    cdef ptrdiff_t panels = rows.ceil_div(B, rows.panel_width(f64)), j, p
    cdef double *partial = <double *>rows.lines(<size_t>(panels * 2 * sums.shape[0]) * sizeof(double))
    cdef rows.Job job
    cdef operands.fnn_p_metric *of_metric = <operands.fnn_p_metric *>job.op.p
    cdef int status
    if partial == NULL:
        return NO_MEMORY
    rows.start(&job, NULL, f64, 1)
    job.op.run = (<const k.fnn_loss *>row).run[f64]
    fill_metric(&job, K, 2 * panels, s, partial)
    job.sides = 2
    job.side[0] = rows.Side(<const char *>y_pred, NULL, K, stride_pred, 0, rows.place(&job, &of_metric.y_pred), -1)
    job.side[1] = rows.Side(<const char *>target, NULL, K, stride_target, 0, rows.place(&job, &of_metric.target), -1)
    status = rows.run_rows(&job, B, threads)
    for j in range(sums.shape[0] if status == 0 else 0):
        for p in range(panels):   # in the order of the rows, whoever computed them
            sums[j, 0] += partial[2 * (j * panels + p)]
            sums[j, 1] += partial[2 * (j * panels + p) + 1]
    free(partial)
    return status


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


cdef const void *data(array) noexcept:
    return NULL if array is None else PyArray_DATA(array)


def run(str name, bint metric, each, dy, ndarray y_pred, ndarray target, weight, values, threads):
    """each (B,) and dy (B, K), or None both for a metric.  Returns the sum over the rows; of a metric that is made of
    more than one, (pairs, 2) sums."""
    text = name.encode()
    cdef const void *row = loss_row(text, metric)
    if row == NULL:
        raise KeyError(f"no loss or metric row {name!r}")
    cdef ptrdiff_t B = y_pred.shape[0], K = y_pred.shape[1], stride_pred = PyArray_STRIDE(y_pred, 0)
    cdef ptrdiff_t stride_target = PyArray_STRIDE(target, 0), stride_dy = 0 if dy is None else PyArray_STRIDE(dy, 0)
    cdef int f64 = y_pred.itemsize == 8, team = rows.team_for(B * K * SECONDS, threads), status
    cdef double s[8]
    cdef double total[2]
    cdef void *pe = <void *>data(each)
    cdef void *pdy = <void *>data(dy)
    cdef const void *pp = PyArray_DATA(y_pred)
    cdef const void *pt = PyArray_DATA(target)
    cdef const void *pw = data(weight)
    cdef int n_s = rows.read_scalars(s, values)
    cdef ptrdiff_t pairs = k.pairs_of(<const k.fnn_loss *>row, s, K)
    cdef double[:, ::1] sums
    if (<const k.fnn_loss *>row).pairs != 0:
        sums = result = np.zeros((pairs, 2))
        with nogil:
            status = wide_metric(row, f64, sums, pp, pt, s, B, K, stride_pred, stride_target, team)
        rows.done(status)
        return result
    with nogil:
        status = loss_forward_backward(row, f64, total, pe, pdy, pp, pt, pw, s, n_s, B, K, stride_dy, stride_pred,
                                       stride_target, team)
    rows.done(status)
    return total[0]
