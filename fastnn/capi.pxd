# What other Cython modules may cimport: kernels on row-major arrays, all `noexcept nogil`, no link step, no header.
#
#     from fastnn.capi cimport activation_row, dense_forward
#
# Pointers are to float (f64 = 0) or double (f64 = 1), aligned to their size; outputs must not overlap inputs unless
# said otherwise; strides are in bytes; `threads` is taken as it is (1: the caller's own).  Nothing is checked.  What
# returns an int returns 0, or -1 if there was no memory.  The declarations' comments are in fastnn/_core/*.pxd.
from fastnn._core.activations cimport (
    activation_backward, activation_forward, activation_from_input, activation_row, softmax_backward, softmax_forward,
)
from fastnn._core.batchnorm cimport batch_norm_backward, batch_norm_forward, batch_norm_stats
from fastnn._core.clipping cimport clip_factors, clip_value, scale, square_sum
from fastnn._core.dense cimport dense_backward, dense_forward
from fastnn._core.losses cimport loss_forward_backward, loss_row
from fastnn._core.optimizers cimport optimizer_row, optimizer_step
from fastnn._core.random cimport dropout, philox
