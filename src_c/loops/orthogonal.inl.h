/* The orthogonal penalty on a matrix: factor / pairs * sum over i < j of |r_i . r_j|, pairs = n (n - 1) / 2, where
 * r_i = w_i min(1 / |w_i|, 1 / epsilon) are its rows or columns; Keras' definition.
 *
 * (a) With s_ij = sign(r_i . r_j) and d_i = sum over j != i of s_ij r_j the gradient by w_i is
 *     factor / pairs * (d_i - (r_i . d_i) r_i) / |w_i|, without the second term where epsilon cuts.
 * (b) n^2 m operations a step, many times those of a dense layer at a small batch: rows come first to memory of their
 *     own (`orthogonal_load`), then each is compared with all others (`orthogonal_add`).  Items are rows. */
#ifndef FNN_ORTHOGONAL_KERNELS
#define FNN_ORTHOGONAL_KERNELS(X) X(orthogonal_load) X(orthogonal_add)
#endif

/* Element k of row (or, by_column, column) i of a matrix in unit panels of `rows` rows */
#define FNN_ELEMENT(i, k) (by_column ? ((i) / PW * rows + (k)) * PW + (i) % PW : ((k) / PW * rows + (i)) * PW + (k) % PW)

/* p: 0 w, 1 T r[item][stride], 2 T inverse norm[item]
 * n: 0 m, 1 stride (m, padded with zeros to whole panels), 2 rows of a unit panel, 3 by column   s: 0 epsilon */
static void FN(orthogonal_load)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t rows = op->n[2], by_column = op->n[3];
    const T *w = op->p[0];
    for (ptrdiff_t i = r->f0; i < r->f1; i++) {
        T *x = (T *)op->p[1] + i * op->n[1];
        double sum = 0;
        for (ptrdiff_t k = 0; k < op->n[0]; k++) {
            x[k] = w[FNN_ELEMENT(i, k)];
            sum += (double)x[k] * (double)x[k];
        }
        const double inverse = 1 / __builtin_sqrt(sum), most = 1 / op->s[0];
        const T factor = (T)(inverse < most ? inverse : most);
        for (ptrdiff_t k = 0; k < op->n[0]; k++) x[k] *= factor;
        ((T *)op->p[2])[i] = factor;
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
 * p: 0 G of the matrix, 1 r, 2 inverse norm, 3 T d[item][stride], 4 double values[item]
 * n: as orthogonal_load, 4 number of rows   s: 0 epsilon, 1 factor / pairs */
static void FN(orthogonal_add)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t stride = op->n[1], rows = op->n[2], by_column = op->n[3];
    const T *all = op->p[1], *inverse = op->p[2];
    for (ptrdiff_t i = r->f0; i < r->f1; i++) {
        const T *x = all + i * stride;
        T *g = op->p[0], *d = (T *)op->p[3] + i * stride;
        double total = 0;
        memset(d, 0, (size_t)stride * sizeof(T));
        for (ptrdiff_t j = 0; j < op->n[4]; j++) {
            const T *other = all + j * stride, dot = j == i ? 0 : FN(dot_panels)(x, other, stride);
            const V sign = v_set1(dot > 0 ? 1 : dot < 0 ? -1 : dot); /* NaN stays NaN */
            if (dot == 0) continue;
            total += __builtin_fabs((double)dot);
            for (ptrdiff_t k = 0; k < stride; k += VW) v_store(d + k, v_fma(sign, v_load(other + k), v_load(d + k)));
        }
        const int cut = (double)inverse[i] * op->s[0] >= 1 - 1e-6;
        const T along = cut ? 0 : FN(dot_panels)(x, d, stride), factor = (T)op->s[1] * inverse[i];
        for (ptrdiff_t k = 0; k < op->n[0]; k++) g[FNN_ELEMENT(i, k)] += factor * (d[k] - along * x[k]);
        ((double *)op->p[4])[i] = op->s[1] / 2 * total;
    }
}
#undef FNN_ELEMENT
