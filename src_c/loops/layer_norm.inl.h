/* Layer normalisation (Ba, Kiros & Hinton 2016): each sample by its own mean and variance.
 *
 * (a) A sample is a lane, so sums over features are plain vector sums; they go by blocks of 16, as in rows.inl.h.
 * (b) The features are `groups` runs of K, each normalised by itself; gamma and beta are those of a run.
 * (c) The gradient of gamma and beta is an operation of its own, over the samples at hand: it goes to the gradient, or
 *     to the slot of the chunk. */
#ifndef FNN_LAYER_NORM_KERNELS
#define FNN_LAYER_NORM_KERNELS(X) X(ln_fwd) X(ln_bwd) X(ln_params)
#endif

/* y = gamma (x - mean) / sqrt(var + eps) + beta.  Two passes as in `moments` of cols.inl.h.
 * p: 0 y, 1 x (may be y), 2 gamma, 3 beta (NULL: none), 4 panels of (mean, 1 / sqrt(var + eps)) of each group
 * n: 0 K, 1 groups   s: 0 eps */
static void FN(ln_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t K = op->n[0], groups = op->n[1];
    const T *gamma = op->p[2], *beta = op->p[3];
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++)
        for (int h = 0; h < PW; h += VW) {
            const T *x = (const T *)op->p[1] + g * K * PW + h;
            T *y = (T *)op->p[0] + g * K * PW + h, *stats = (T *)op->p[4] + 2 * g * PW + h;
            V sum = {0}, sq = {0}, se = {0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) part += v_load(x + k * PW);
                sum += part;
            }
            const V m = sum / (T)K;
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) {
                    const V d = v_load(x + k * PW) - m;
                    se += d, part = v_fma(d, d, part);
                }
                sq += part;
            }
            const V e = se / (T)K, rs = 1 / v_sqrt(v_max((V){0}, sq / (T)K - e * e) + (T)op->s[0]), mean = m + e;
            v_store(stats, mean), v_store(stats + PW, rs);
            for (ptrdiff_t k = 0; k < K; k++) {
                const V scale = gamma ? rs * gamma[k] : rs;
                v_store(y + k * PW, v_fma(v_load(x + k * PW) - mean, scale, v_set1(beta ? beta[k] : 0)));
            }
        }
}

/* With xh = (x - mean) rstd, g = dy gamma:  dx = rstd (g - mean(g) - xh mean(g xh)), times act'(t) of what made x.
 * p: 0 dx, 1 dy, 2 x, 3 gamma, 4 stats of ln_fwd, 5 t   n: as ln_fwd   fn: 0 activation derivative   s: of it */
static void FN(ln_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t K = op->n[0], groups = op->n[1];
    const T *gamma = op->p[3], *t = op->p[5];
    const fnn_map_bwd act = (fnn_map_bwd)op->fn[0];
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++) {
        const ptrdiff_t at = g * K * PW;
        for (int h = 0; h < PW; h += VW) {
            const T *dy = (const T *)op->p[1] + at + h, *x = (const T *)op->p[2] + at + h;
            const T *stats = (const T *)op->p[4] + 2 * g * PW + h;
            T *dx = (T *)op->p[0] + at + h;
            const V m = v_load(stats), rs = v_load(stats + PW);
            V sum = {0}, by_xh = {0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V a = {0}, b = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) {
                    const V d = v_load(dy + k * PW) * (gamma ? gamma[k] : 1);
                    a += d, b = v_fma(d, (v_load(x + k * PW) - m) * rs, b);
                }
                sum += a, by_xh += b;
            }
            sum /= (T)K, by_xh = by_xh * rs / (T)K;
            for (ptrdiff_t k = 0; k < K; k++) {
                const V d = v_load(dy + k * PW) * (gamma ? gamma[k] : 1);
                v_store(dx + k * PW, rs * (d - sum - (v_load(x + k * PW) - m) * by_xh));
            }
        }
        if (act) act((T *)op->p[0] + at, (T *)op->p[0] + at, t + at, K * PW, op->s);
    }
}

/* The gradient of a vector of the layer, VW of it from `at`: into the slot, added to an earlier chunk's. */
FNN_INLINE void FN(give)(T *grad, const fnn_run *run, ptrdiff_t stride, ptrdiff_t at, V value)
{
    T *g = grad + run->slot * stride + at;
    v_store(g, run->accumulate ? v_load(g) + value : value);
}

/* dgamma = sum dy xh, dbeta = sum dy over the samples of the rect.  f: features of K.
 * p: 0 gradients, 1 dy, 2 x, 3 stats   n: 0 K, 1 groups, 2 elements from slot to slot, 3 offset of gamma (-1: none),
 * 4 of beta */
static void FN(ln_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t K = op->n[0], groups = op->n[1], end = fnn_min(r->p1 * PW, run->n);
    const T *dy = op->p[1], *x = op->p[2], *stats = op->p[3];
    for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, K); f += VW) {
        V sb[VW], sg[VW];
        for (int i = 0; i < VW; i++) {
            V b = {0}, g = {0};
            for (ptrdiff_t s = r->p0 * PW; f + i < K && s < end; s += PW)
                for (ptrdiff_t q = s / PW * groups; q < (s / PW + 1) * groups; q++)
                    for (int h = 0; h < PW; h += VW) {
                        const ptrdiff_t at = (q * K + f + i) * PW + h;
                        const T *st = stats + 2 * q * PW + h;
                        b += FN(valid)(v_load(dy + at), s + h, end);
                        g += FN(valid)(v_load(dy + at) * ((v_load(x + at) - v_load(st)) * v_load(st + PW)), s + h, end);
                    }
            sb[i] = b, sg[i] = g;
        }
        const V dbeta = FN(sum_lanes)(sb), dgamma = FN(sum_lanes)(sg);
        if (op->n[3] >= 0) FN(give)(op->p[0], run, op->n[2], op->n[3] + f, dgamma);
        if (op->n[4] >= 0) FN(give)(op->p[0], run, op->n[2], op->n[4] + f, dbeta);
    }
}
