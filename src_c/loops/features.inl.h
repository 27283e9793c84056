/* Elementwise layers with a number of their own for each feature, or for each group of features.
 *
 * (a) map[f] says which element of the vector belongs to feature f; NULL: element f.  The other way round,
 *     members[start[j] .. start[j + 1]) are the features of element j, in order; NULL: feature j.
 * (b) Rects of `*_fwd` and `*_bwd` are features, those of `*_params` elements of the vector. */
#ifndef FNN_FEATURE_KERNELS
#define FNN_FEATURE_KERNELS(X) X(prelu_fwd) X(prelu_bwd) X(prelu_params) X(normalize_fwd) X(normalize_bwd)
#define FNN_OPERANDS_prelu_fwd(_)                                                                                \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(P, T, alpha, in, all)                       \
    _(P, int32_t, map, in_opt, all) _(N, F)
#define FNN_OPERANDS_prelu_bwd(_)                                                                                \
    _(SPLIT, rect, F) _(P, T, dx, out, local) _(P, T, dy, in, local) _(P, T, x, in, local)                       \
    _(P, T, alpha, in, all) _(P, int32_t, map, in_opt, all) _(N, F)
#define FNN_OPERANDS_prelu_params(_)                                                                             \
    _(SPLIT, slots, count) _(P, T, grad, io, features) _(P, T, dy, in, all) _(P, T, x, in, all)                  \
    _(P, int32_t, start, in_opt, all) _(P, int32_t, members, in_opt, all)                                        \
    _(N, F) _(N, count) _(N, stride) _(N, offset) _(N, adds)
#define FNN_OPERANDS_normalize_fwd(_)                                                                            \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(P, T, mean, in, all)                        \
    _(P, T, variance, in, all) _(P, int32_t, map, in_opt, all) _(N, F) _(S, least) _(S, inverse)
#define FNN_OPERANDS_normalize_bwd(_)                                                                            \
    _(SPLIT, rect, F) _(P, T, dx, out, local) _(P, T, dy, in, local) _(P, T, variance, in, all)                  \
    _(P, int32_t, map, in_opt, all) _(N, F) _(S, least) _(S, inverse)
FNN_FEATURE_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* Calls `body` for each feature of the rect, `at` its first lane in a panel, j its element of the vector. */
#define FNN_EACH_FEATURE(map, j, at, body)                                                                  \
    for (ptrdiff_t fnn_p = r->p0; fnn_p < r->p1; fnn_p++)                                                   \
        for (ptrdiff_t fnn_f = r->f0; fnn_f < fnn_min(r->f1, F); fnn_f++) {                                 \
            const ptrdiff_t j = (map) ? (map)[fnn_f] : fnn_f, fnn_at = (fnn_p * F + fnn_f) * PW;            \
            for (ptrdiff_t at = fnn_at; at < fnn_at + PW; at += VW) { body; }                               \
        }

/* y = x above 0, else alpha x (He et al. 2015).  x may be y */
static void FN(prelu_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(prelu_fwd)
    (void)run;
    FNN_EACH_FEATURE(map, j, at, const V v = v_load(x + at);
                     v_store(y + at, v_sel(v > 0, v, FN(slope_times)(v_set1(alpha[j]), v))))
}

/* dx = dy above 0, else alpha dy */
static void FN(prelu_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(prelu_bwd)
    (void)run;
    FNN_EACH_FEATURE(map, j, at, const V v = v_load(x + at);
                     v_store(dx + at, v_load(dy + at) * v_sel(v > 0, v_set1(1), v_set1(alpha[j]))))
}

/* dalpha = sum of dy min(x, 0) over its features and the samples of the rect.
 * grad: of all parameters; alpha's `count` elements begin at `offset`, and the next slot `stride` elements further on;
 * adds: it holds the gradient of another use already */
static void FN(prelu_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(prelu_params)
    const ptrdiff_t end = fnn_min(r->p1 * PW, run->n);
    for (ptrdiff_t j = r->f0; j < fnn_min(r->f1, count); j += VW) {
        V sums[VW];
        for (int i = 0; i < VW; i++) {
            sums[i] = (V){0};
            if (j + i >= count) continue;
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
        FN(give)(grad, run, adds, stride, offset + j, FN(sum_lanes)(sums));
    }
}

/* y = (x - mean) / max(sqrt(variance), least), or (inverse is not 0) the inverse of that.  x may be y */
static void FN(normalize_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(normalize_fwd)
    (void)run;
    FNN_EACH_FEATURE(map, j, at, const V m = v_set1(mean[j]);
                     const V d = v_max(v_set1((T)least), v_sqrt(v_set1(variance[j])));
                     v_store(y + at, inverse != 0 ? v_load(x + at) * d + m : (v_load(x + at) - m) / d))
}

static void FN(normalize_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(normalize_bwd)
    (void)run;
    FNN_EACH_FEATURE(map, j, at, const V d = v_max(v_set1((T)least), v_sqrt(v_set1(variance[j])));
                     v_store(dx + at, inverse != 0 ? v_load(dy + at) * d : v_load(dy + at) / d))
}
#undef FNN_EACH_FEATURE
#endif
