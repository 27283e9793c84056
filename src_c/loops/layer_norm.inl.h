/* Layer normalisation (Ba, Kiros & Hinton 2016): each sample by its own mean and variance.
 *
 * (a) A sample is a lane, so sums over features are plain vector sums; they go by blocks of 16, as in rows.inl.h.
 * (b) The features are `groups` runs of K, each normalised by itself; gamma and beta are those of a run (runs = 1), or of
 *     all groups one after the other (runs = groups: group normalisation, Wu & He 2018).
 * (c) The gradient of gamma and beta is an operation of its own, over the samples at hand: it goes to the gradient, or
 *     to the slot of the chunk.
 * (d) centred = 0: about 0 in place of the mean (root mean square, Zhang & Sennrich 2019). */
#ifndef FNN_LAYER_NORM_KERNELS
#define FNN_LAYER_NORM_KERNELS(X) X(ln_fwd) X(ln_bwd) X(ln_params)
#define FNN_OPERANDS_ln_fwd(_)                                                                            \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(P, T, gamma, in_opt, all)  \
    _(P, T, beta, in_opt, all) _(P, T, stats, out, samples) _(N, K) _(N, groups) _(N, runs)     \
    _(N, centred) _(S, epsilon)
#define FNN_OPERANDS_ln_bwd(_)                                                                            \
    _(SPLIT, samples, none) _(P, T, dx, out, samples) _(P, T, dy, in, samples) _(P, T, x, in, samples)    \
    _(P, T, gamma, in_opt, all) _(P, T, stats, in, samples) _(P, T, t, in_opt, samples)                   \
    _(N, K) _(N, groups) _(N, runs) _(N, centred) _(SV, s, FNN_MAX_S) _(F, fnn_map_bwd, act)
#define FNN_OPERANDS_ln_params(_)                                                                         \
    _(SPLIT, slots, count) _(P, T, grad, io, features) _(P, T, dy, in, all) _(P, T, x, in, all)               \
    _(P, T, stats, in, all) _(N, K) _(N, groups) _(N, count) _(N, stride) _(N, gamma) _(N, beta) _(N, adds)
FNN_LAYER_NORM_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* y = gamma (x - mean) / sqrt(var + eps) + beta.  Two passes as in `moments` of cols.inl.h.
 * x may be y; stats: panels of (mean, 1 / sqrt(var + eps)) of each group */
static void FN(ln_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(ln_fwd)
    (void)run;
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++) {
        const ptrdiff_t own = g % runs * K;
        for (int h = 0; h < PW; h += VW) {
            const T *from = x + g * K * PW + h;
            T *to = y + g * K * PW + h, *of_group = stats + 2 * g * PW + h;
            V sum = {0}, sq = {0}, se = {0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) part += v_load(from + k * PW);
                sum += part;
            }
            const V m = centred ? sum / (T)K : (V){0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) {
                    const V d = v_load(from + k * PW) - m;
                    se += d, part = v_fma(d, d, part);
                }
                sq += part;
            }
            const V e = centred ? se / (T)K : (V){0}, rs = 1 / v_sqrt(v_max((V){0}, sq / (T)K - e * e) + (T)epsilon), mean = m + e;
            v_store(of_group, mean), v_store(of_group + PW, rs);
            for (ptrdiff_t k = 0; k < K; k++) {
                const V scale = gamma ? rs * gamma[own + k] : rs;
                v_store(to + k * PW, v_fma(v_load(from + k * PW) - mean, scale, v_set1(beta ? beta[own + k] : 0)));
            }
        }
    }
}

/* With xh = (x - mean) rstd, g = dy gamma:  dx = rstd (g - mean(g) - xh mean(g xh)), times act'(t) of what made x; without
 * mean(g) where it is not centred. */
static void FN(ln_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(ln_bwd)
    (void)run;
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++) {
        const ptrdiff_t at = g * K * PW, own = g % runs * K;
        for (int h = 0; h < PW; h += VW) {
            const T *dyg = dy + at + h, *xg = x + at + h, *of_group = stats + 2 * g * PW + h;
            const V m = v_load(of_group), rs = v_load(of_group + PW);
            V sum = {0}, by_xh = {0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V a = {0}, b = {0};
                for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) {
                    const V d = v_load(dyg + k * PW) * (gamma ? gamma[own + k] : 1);
                    a += d, b = v_fma(d, (v_load(xg + k * PW) - m) * rs, b);
                }
                sum += a, by_xh += b;
            }
            sum = centred ? sum / (T)K : (V){0}, by_xh = by_xh * rs / (T)K;
            for (ptrdiff_t k = 0; k < K; k++) {
                const V d = v_load(dyg + k * PW) * (gamma ? gamma[own + k] : 1);
                v_store(dx + at + h + k * PW, rs * (d - sum - (v_load(xg + k * PW) - m) * by_xh));
            }
        }
        if (act) act(dx + at, dx + at, t + at, K * PW, s);
    }
}

/* The gradient of a vector of the layer, VW of it from `at`: into the slot, added to an earlier chunk's or (adds)
 * use's. */
FNN_INLINE void FN(give)(T *grad, const fnn_run *run, ptrdiff_t adds, ptrdiff_t stride, ptrdiff_t at, V value)
{
    T *g = grad + run->slot * stride + at;
    v_store(g, run->accumulate || adds ? v_load(g) + value : value);
}

/* dgamma = sum dy xh, dbeta = sum dy over the samples of the rect.  f: features of count = K runs.
 * grad: of all parameters, gamma's and beta's at these offsets (-1: none); stride: elements from slot to slot; adds:
 * grad holds the gradient of another use already */
static void FN(ln_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(ln_params)
    const ptrdiff_t end = fnn_min(r->p1 * PW, run->n);
    for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, count); f += VW) {
        V sb[VW], sg[VW];
        for (int i = 0; i < VW; i++) {
            V b = {0}, g = {0};
            const ptrdiff_t own = (f + i) / K, k = (f + i) % K, runs = count / K;
            for (ptrdiff_t s = r->p0 * PW; f + i < count && s < end; s += PW)
                for (ptrdiff_t q = s / PW * groups + own; q < (s / PW + 1) * groups; q += runs)
                    for (int h = 0; h < PW; h += VW) {
                        const ptrdiff_t at = (q * K + k) * PW + h;
                        const T *st = stats + 2 * q * PW + h;
                        b += FN(valid)(v_load(dy + at), s + h, end);
                        g += FN(valid)(v_load(dy + at) * ((v_load(x + at) - v_load(st)) * v_load(st + PW)), s + h, end);
                    }
            sb[i] = b, sg[i] = g;
        }
        const V dbeta = FN(sum_lanes)(sb), dgamma = FN(sum_lanes)(sg);
        if (gamma >= 0) FN(give)(grad, run, adds, stride, gamma + f, dgamma);
        if (beta >= 0) FN(give)(grad, run, adds, stride, beta + f, dbeta);
    }
}
#endif
