/* The orthogonal penalty on a matrix: factor / pairs * sum over i < j of |r_i . r_j|, pairs = n (n - 1) / 2, where
 * r_i = w_i min(1 / |w_i|, 1 / epsilon) are its rows or columns; Keras' definition.
 *
 * (a) With s_ij = sign(r_i . r_j) and d_i = sum over j != i of s_ij r_j the gradient by w_i is
 *     factor / pairs * (d_i - (r_i . d_i) r_i) / |w_i|, without the second term where epsilon cuts.
 * (b) n^2 m operations a step, many times those of a dense layer at a small batch: rows come first to memory of their
 *     own (`orthogonal_load`), then each is compared with all others (`orthogonal_add`).  Items are rows. */
#ifndef FNN_ORTHOGONAL_KERNELS
#define FNN_ORTHOGONAL_KERNELS(X) X(orthogonal_load) X(orthogonal_add)
#define FNN_OPERANDS_orthogonal_load(_)                                                                   \
    _(SPLIT, items, none) _(P, T, w, in, all) _(P, T, unit, out, all) _(P, T, inverse, out, all)          \
    _(N, m) _(N, stride) _(N, rows) _(N, by_column) _(S, epsilon)
#define FNN_OPERANDS_orthogonal_add(_)                                                                    \
    _(SPLIT, items, none) _(P, T, grad, io, all) _(P, T, unit, in, all) _(P, T, inverse, in, all)         \
    _(P, T, sums, out, all) _(P, double, values, out, all)                                                \
    _(N, m) _(N, stride) _(N, rows) _(N, by_column) _(N, count) _(S, epsilon) _(S, factor)
FNN_ORTHOGONAL_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* Element k of row (or, by_column, column) i of a matrix in unit panels of `rows` rows */
#define FNN_ELEMENT(i, k) (by_column ? ((i) / PW * rows + (k)) * PW + (i) % PW : ((k) / PW * rows + (i)) * PW + (k) % PW)

/* unit[item][stride] <- r, inverse[item] <- its factor.  m: length of a row; stride: that, padded with zeros to whole
 * panels; rows: of a unit panel */
static void FN(orthogonal_load)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(orthogonal_load)
    (void)run;
    for (ptrdiff_t i = r->f0; i < r->f1; i++) {
        T *x = unit + i * stride;
        double sum = 0;
        for (ptrdiff_t k = 0; k < m; k++) {
            x[k] = w[FNN_ELEMENT(i, k)];
            sum += (double)x[k] * (double)x[k];
        }
        const double exact = 1 / __builtin_sqrt(sum), most = 1 / epsilon;
        const T factor = (T)(exact < most ? exact : most);
        for (ptrdiff_t k = 0; k < m; k++) x[k] *= factor;
        inverse[i] = factor;
    }
}

FNN_INLINE T FN(dot_panels)(const T *a, const T *b, ptrdiff_t n)
{
    V s0 = {0}, s1 = {0};
    for (ptrdiff_t i = 0; i < n; i += PW)
        s0 = v_fma(v_load(a + i), v_load(b + i), s0), s1 = v_fma(v_load(a + i + VW), v_load(b + i + VW), s1);
    return v_hsum(s0 + s1);
}

/* G += gradient; values[item] = the row's half of the penalties it takes part in.
 * grad: of the matrix; sums: room for d[item][stride]; count: of rows; factor: that of the penalty / pairs */
static void FN(orthogonal_add)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(orthogonal_add)
    (void)run;
    for (ptrdiff_t i = r->f0; i < r->f1; i++) {
        const T *x = unit + i * stride;
        T *d = sums + i * stride;
        double total = 0;
        memset(d, 0, (size_t)stride * sizeof(T));
        for (ptrdiff_t j = 0; j < count; j++) {
            const T *other = unit + j * stride, dot = j == i ? 0 : FN(dot_panels)(x, other, stride);
            const V sign = v_set1(dot > 0 ? 1 : dot < 0 ? -1 : dot); /* NaN stays NaN */
            if (dot == 0) continue;
            total += __builtin_fabs((double)dot);
            for (ptrdiff_t k = 0; k < stride; k += VW) v_store(d + k, v_fma(sign, v_load(other + k), v_load(d + k)));
        }
        const int cut = (double)inverse[i] * epsilon >= 1 - 1e-6;
        const T along = cut ? 0 : FN(dot_panels)(x, d, stride), scale = (T)factor * inverse[i];
        for (ptrdiff_t k = 0; k < m; k++) grad[FNN_ELEMENT(i, k)] += scale * (d[k] - along * x[k]);
        values[i] = factor / 2 * total;
    }
}
#undef FNN_ELEMENT
#endif
