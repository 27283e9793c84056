# What other Cython modules may cimport: kernels on row-major arrays, all `noexcept nogil`, no link step, no header.
#
#     from fastnn.capi cimport activation_row, dense_forward
#
# Pointers are to float (f64 = 0) or double (f64 = 1), aligned to their size; outputs must not overlap inputs unless
# said otherwise; strides are in bytes; `threads` is taken as it is (1: the caller's own).  What returns an int returns
# a Status; of the arrays nothing is checked.  The declarations' comments are in fastnn/_core/*.pxd, a page on all of
# it is docs/capi.md.
#
# Parameters of a row are `const double *s, int n_s`: all of them, in the order below.  NULL and 0: the defaults.
# row_defaults(row, s) writes the defaults to s and returns how many there are.
#
# Activations that have parameters, in their order, and the defaults:
#     relu_general: negative_slope=0, max_value=inf, threshold=0
#     leaky_relu: negative_slope=0.2
#     elu: alpha=1
#     gelu_general: approximate=0
#     celu: alpha=1
#     soft_shrink: threshold=0.5
#     hard_shrink: threshold=0.5
#     threshold: threshold=0, default_value=0
#     squareplus: b=4
# Optimizers:
#     sgd: momentum=0, nesterov=0
#     adam: beta_1=0.9, beta_2=0.999, epsilon=1e-07
#     amsgrad: beta_1=0.9, beta_2=0.999, epsilon=1e-07
#     adamax: beta_1=0.9, beta_2=0.999, epsilon=1e-07
#     nadam: beta_1=0.9, beta_2=0.999, epsilon=1e-07
#     rmsprop: rho=0.9, epsilon=1e-07
#     rmsprop_momentum: rho=0.9, epsilon=1e-07, momentum=0
#     rmsprop_centered: rho=0.9, epsilon=1e-07
#     rmsprop_centered_momentum: rho=0.9, epsilon=1e-07, momentum=0
#     adagrad: initial_accumulator_value=0.1, epsilon=1e-07
#     adadelta: rho=0.95, epsilon=1e-07
#     lion: beta_1=0.9, beta_2=0.99
#     rprop: eta_minus=0.5, eta_plus=1.2, min_step=1e-06, max_step=50
#     ftrl: learning_rate_power=-0.5, initial_accumulator_value=0.1, l1_regularization_strength=0,
#         l2_regularization_strength=0, l2_shrinkage_regularization_strength=0, beta=0
# Losses, which are metrics too:
#     binary_crossentropy: label_smoothing=0
#     binary_crossentropy_logits: label_smoothing=0
#     huber: delta=1
#     quantile: quantile=0.5
#     binary_focal_crossentropy: apply_class_balancing=0, alpha=0.25, gamma=2, label_smoothing=0
#     binary_focal_crossentropy_logits: apply_class_balancing=0, alpha=0.25, gamma=2, label_smoothing=0
#     sparse_softmax_crossentropy: ignore_class=inf
#     softmax_crossentropy: label_smoothing=0
#     sparse_crossentropy: ignore_class=inf
#     crossentropy: label_smoothing=0
#     nll: ignore_class=inf
# Further metrics:
#     binary_accuracy: threshold=0.5
#     sparse_top_k_accuracy: k=5
#     top_k_accuracy: k=5
from fastnn._core.activations cimport (
    activation_backward, activation_forward, activation_from_input, activation_row, softmax_backward, softmax_forward,
)
from fastnn._core.batchnorm cimport batch_norm_backward, batch_norm_forward, batch_norm_stats
from fastnn._core.clipping cimport clip_factors, clip_value, scale, square_sum
from fastnn._core.dense cimport dense_backward, dense_forward
from fastnn._core.losses cimport loss_forward_backward, loss_row
from fastnn._core.optimizers cimport optimizer_row, optimizer_step
from fastnn._core.parameters cimport NO_MEMORY, OK, UNKNOWN_ROW, WRONG_COUNT, Status, row_defaults
from fastnn._core.random cimport dropout, philox
