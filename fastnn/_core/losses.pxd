# Losses and metrics on rows of K outputs.  Plain C types: no header is needed.  Strides in bytes, rows contiguous.
# The row of a loss (metric = 0) or metric by its name; NULL: unknown.
cdef const void *loss_row(const char *name, int metric) noexcept nogil
# each[b] = weight[b] * loss of row b; dy = weight[b] * its derivative by y_pred (NULL: not wanted).
# target: int32 (B,) for a row of labels, else rows like y_pred.  weight (B,) may be NULL.
# total, 2 doubles: sum over rows and number of rows.  For a metric each, dy and weight are NULL.
# labels must be 0 .. K - 1.  K > 0.  s: the n_s parameters of the row; NULL and 0: their defaults.  A Status; it is
# UNKNOWN_ROW also for a metric that is made of more than one pair of sums.
cdef int loss_forward_backward(const void *row, int f64, double *total, void *each, void *dy, const void *y_pred,
                               const void *target, const void *weight, const double *s, int n_s, ptrdiff_t B,
                               ptrdiff_t K, ptrdiff_t stride_dy, ptrdiff_t stride_pred, ptrdiff_t stride_target,
                               int threads) noexcept nogil
