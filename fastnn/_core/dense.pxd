# Dense layers on row-major arrays.  Plain C types: no header is needed.  Strides in bytes, rows contiguous.
# act: a handle from activations.activation_row (that of "linear": none); s: its n_s parameters, NULL and 0: their
# defaults.  A Status.

# y = act(x w + b); b may be NULL.
cdef int dense_forward(int f64, void *y, const void *x, const void *w, const void *b, ptrdiff_t B, ptrdiff_t I,
                       ptrdiff_t O, ptrdiff_t stride_y, ptrdiff_t stride_x, ptrdiff_t stride_w, const void *act,
                       const double *s, int n_s, int threads) noexcept nogil
# t may be NULL if act is linear.
# dz = dy act'(t);  dx = dz w^T,  dw = x^T dz,  db = sum of dz.  dx may be NULL; so may db; dw, if db is.
cdef int dense_backward(int f64, void *dx, void *dw, void *db, const void *dy, const void *x, const void *w,
                        const void *t, ptrdiff_t B, ptrdiff_t I, ptrdiff_t O, ptrdiff_t stride_dx,
                        ptrdiff_t stride_dw, ptrdiff_t stride_dy, ptrdiff_t stride_x, ptrdiff_t stride_w,
                        ptrdiff_t stride_t, const void *act, const double *s, int n_s, int threads) noexcept nogil
