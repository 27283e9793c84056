# Operands of the kernels that are called from here, by the names that src_c declares beside each (src_c/operands.h):
# fnn_p_<kernel> lies over the p of an operation, fnn_n_ over n, fnn_s_ over s, fnn_f_ over fn. The order of fields does
# not matter here; one that the kernel does not have fails to compile.
from .kernels cimport FNN_MAX_S, fnn_any


cdef extern from "layouts.h" nogil:
    ctypedef struct fnn_p_gather:
        void *y
        void *x
    ctypedef struct fnn_n_gather:
        ptrdiff_t F
        ptrdiff_t stride
        ptrdiff_t dtype

    ctypedef struct fnn_p_scatter:
        void *y
        void *x
    ctypedef struct fnn_n_scatter:
        ptrdiff_t F
        ptrdiff_t stride

    ctypedef struct fnn_p_softmax_fwd:   # and of log_softmax
        void *y
        void *x
    ctypedef struct fnn_n_softmax_fwd:
        ptrdiff_t K
    ctypedef struct fnn_p_softmax_bwd:
        void *dx
        void *dy
        void *y
    ctypedef struct fnn_n_softmax_bwd:
        ptrdiff_t K

    ctypedef struct fnn_p_bn_train:
        void *y
        void *x
        void *moving_mean
        void *moving_variance
        void *mean
        void *rstd
    ctypedef struct fnn_n_bn_train:
        ptrdiff_t F
    ctypedef struct fnn_p_bn_infer:
        void *y
        void *x
        void *gamma
        void *beta
        void *moving_mean
        void *moving_variance
    ctypedef struct fnn_n_bn_infer:
        ptrdiff_t F
    ctypedef struct fnn_s_bn_infer:
        double epsilon
    ctypedef struct fnn_p_bn_bwd:
        void *dx
        void *dy
        void *x
        void *theta
        void *grad
        void *mean
        void *rstd
    ctypedef struct fnn_n_bn_bwd:
        ptrdiff_t F
        ptrdiff_t gamma
        ptrdiff_t beta

    ctypedef struct fnn_p_clip_finish:
        void *blocks
        void *partial
        void *scale
    ctypedef struct fnn_n_clip_finish:
        ptrdiff_t count
        ptrdiff_t variables
    ctypedef struct fnn_s_clip_finish:
        double clipnorm
        double global_clipnorm

    ctypedef struct fnn_p_dense_fwd:
        void *y
        void *x
        void *w
    ctypedef struct fnn_n_dense_fwd:
        ptrdiff_t I
        ptrdiff_t O
        ptrdiff_t rows
    ctypedef struct fnn_s_dense_fwd:
        double s[FNN_MAX_S]
    ctypedef struct fnn_f_dense_fwd:
        fnn_any act
    ctypedef struct fnn_p_dense_dx:
        void *dx
        void *dy
        void *w
    ctypedef struct fnn_n_dense_dx:
        ptrdiff_t I
        ptrdiff_t O
        ptrdiff_t rows
    ctypedef struct fnn_p_dense_dw:
        void *x
        void *dy
        void *grad
    ctypedef struct fnn_n_dense_dw:
        ptrdiff_t I
        ptrdiff_t O
        ptrdiff_t rows
        ptrdiff_t parts
    ctypedef struct fnn_p_dense_split:
        void *kept
        void *w
    ctypedef struct fnn_n_dense_split:
        ptrdiff_t I
        ptrdiff_t O
        ptrdiff_t rows

    ctypedef struct fnn_p_loss:
        void *grad
        void *y_pred
        void *target
        void *weight
        void *sums
        void *terms
    ctypedef struct fnn_n_loss:
        ptrdiff_t K
    ctypedef struct fnn_s_loss:
        double params[FNN_MAX_S]
    ctypedef struct fnn_p_metric:
        void *sums
        void *y_pred
        void *target
    ctypedef struct fnn_n_metric:
        ptrdiff_t K
        ptrdiff_t stride
    ctypedef struct fnn_s_metric:
        double params[FNN_MAX_S]

    ctypedef struct fnn_p_dropout:
        void *y
        void *x
        void *mask
    ctypedef struct fnn_n_dropout:
        ptrdiff_t F
        ptrdiff_t id
    ctypedef struct fnn_s_dropout:
        double rate
