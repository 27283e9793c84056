/* Elementwise layers with a number of their own for each feature, or for each group of features.
 *
 * (a) map[f] says which element of the vector belongs to feature f; NULL: element f.  The other way round,
 *     members[start[j] .. start[j + 1]) are the features of element j, in order; NULL: feature j.
 * (b) Rects of `*_fwd` and `*_bwd` are features, those of `*_params` elements of the vector. */
#ifndef FNN_FEATURE_KERNELS
#define FNN_FEATURE_KERNELS(X) X(prelu_fwd) X(prelu_bwd) X(prelu_params) X(normalize_fwd) X(normalize_bwd)
#endif

/* Calls `body` for each feature of the rect, `at` its first lane in a panel, j its element of the vector. */
#define FNN_EACH_FEATURE(map, j, at, body)                                                                  \
    for (ptrdiff_t fnn_p = r->p0; fnn_p < r->p1; fnn_p++)                                                   \
        for (ptrdiff_t fnn_f = r->f0; fnn_f < fnn_min(r->f1, op->n[0]); fnn_f++) {                \
            const ptrdiff_t j = (map) ? (map)[fnn_f] : fnn_f, fnn_at = (fnn_p * op->n[0] + fnn_f) * PW;     \
            for (ptrdiff_t at = fnn_at; at < fnn_at + PW; at += VW) { body; }                               \
        }

/* y = x above 0, else alpha x (He et al. 2015).   p: 0 y, 1 x (may be y), 2 alpha, 3 map   n: 0 F */
static void FN(prelu_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    T *y = op->p[0];
    const T *x = op->p[1], *alpha = op->p[2];
    const int32_t *map = op->p[3];
    FNN_EACH_FEATURE(map, j, at, const V v = v_load(x + at);
                     v_store(y + at, v_sel(v > 0, v, FN(slope_times)(v_set1(alpha[j]), v))))
}

/* dx = dy above 0, else alpha dy.   p: 0 dx, 1 dy, 2 x, 3 alpha, 4 map   n: 0 F */
static void FN(prelu_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    T *dx = op->p[0];
    const T *dy = op->p[1], *x = op->p[2], *alpha = op->p[3];
    const int32_t *map = op->p[4];
    FNN_EACH_FEATURE(map, j, at, const V v = v_load(x + at);
                     v_store(dx + at, v_load(dy + at) * v_sel(v > 0, v_set1(1), v_set1(alpha[j]))))
}

/* dalpha = sum of dy min(x, 0) over its features and the samples of the rect.
 * p: 0 gradients, 1 dy, 2 x, 3 start, 4 members   n: 0 F, 1 elements of alpha, 2 from slot to slot, 3 offset */
static void FN(prelu_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t F = op->n[0], A = op->n[1], end = fnn_min(r->p1 * PW, run->n);
    const T *dy = op->p[1], *x = op->p[2];
    const int32_t *start = op->p[3], *members = op->p[4];
    for (ptrdiff_t j = r->f0; j < fnn_min(r->f1, A); j += VW) {
        V sums[VW];
        for (int i = 0; i < VW; i++) {
            sums[i] = (V){0};
            if (j + i >= A) continue;
            for (ptrdiff_t k = start ? start[j + i] : 0; k < (start ? start[j + i + 1] : 1); k++) {
                const ptrdiff_t f = members ? members[k] : j + i;
                V a = {0};
                for (ptrdiff_t s = r->p0 * PW; s < end; s += PW)
                    for (int h = 0; h < PW; h += VW) {
                        const ptrdiff_t at = (s / PW * F + f) * PW + h;
                        a += FN(valid)(v_load(dy + at) * v_min((V){0}, v_load(x + at)), s + h, end);
                    }
                sums[i] += a;
            }
        }
        FN(give)(op->p[0], run, op->n[2], op->n[3] + j, FN(sum_lanes)(sums));
    }
}

/* y = (x - mean) / max(sqrt(variance), least), or the inverse of that.
 * p: 0 y, 1 x (may be y), 2 mean, 3 variance, 4 map   n: 0 F   s: 0 least, 1 nonzero: the inverse */
static void FN(normalize_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    T *y = op->p[0];
    const T *x = op->p[1], *mean = op->p[2], *variance = op->p[3], least = (T)op->s[0];
    const int32_t *map = op->p[4];
    const int inverse = op->s[1] != 0;
    FNN_EACH_FEATURE(map, j, at, const V m = v_set1(mean[j]);
                     const V d = v_max(v_set1(least), v_sqrt(v_set1(variance[j])));
                     v_store(y + at, inverse ? v_load(x + at) * d + m : (v_load(x + at) - m) / d))
}

/* p: 0 dx, 1 dy, 3 variance, 4 map   n, s: as normalize_fwd */
static void FN(normalize_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    T *dx = op->p[0];
    const T *dy = op->p[1], *variance = op->p[3], least = (T)op->s[0];
    const int32_t *map = op->p[4];
    const int inverse = op->s[1] != 0;
    FNN_EACH_FEATURE(map, j, at, const V d = v_max(v_set1(least), v_sqrt(v_set1(variance[j])));
                     v_store(dx + at, inverse ? v_load(dy + at) * d : v_load(dy + at) / d))
}
#undef FNN_EACH_FEATURE
