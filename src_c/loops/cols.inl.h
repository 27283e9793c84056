/* Kernels that reduce over the batch, feature by feature: batch normalisation (Ioffe & Szegedy 2015, alg. 1).
 * A rect names features; every sample panel of the batch is read.  Vectors of the layer (gamma, moving
 * averages, ...) may be NULL where the layer has none.
 *
 * Sums over the batch are taken for a group of VW features at a time: a vector of lane sums each, then `sum_lanes` of
 * all of them.  What follows per feature is then vector code too.  The padding of a vector of the layer takes part,
 * with 0 for every sum. */
#ifndef FNN_COL_KERNELS
#define FNN_COL_KERNELS(X) X(bn_train) X(bn_infer) X(bn_bwd) X(bn_params) X(bn_infer_bwd)
#define FNN_OPERANDS_bn_train(_)                                                                                     \
    _(SPLIT, features, F) _(P, T, y, out, local) _(P, T, x, in, features)                                            \
    _(P, T, gamma, in_opt, features) _(P, T, beta, in_opt, features)                                                 \
    _(P, T, moving_mean, io, features) _(P, T, moving_variance, io, features)                                        \
    _(P, T, mean, out, features) _(P, T, rstd, out, features) _(P, T, z, out_opt, local) _(P, T, xh, out_opt, local) \
    _(N, F) _(SV, s, 4) _(S, momentum) _(S, epsilon) _(F, fnn_map_fwd, act)
#define FNN_OPERANDS_bn_infer(_)                                                                                     \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local)                                                   \
    _(P, T, gamma, in_opt, features) _(P, T, beta, in_opt, features)                                                 \
    _(P, T, moving_mean, in, features) _(P, T, moving_variance, in, features) _(P, T, z, out_opt, local)             \
    _(N, F) _(SV, s, 4) _(S, epsilon) _(F, fnn_map_fwd, act)
#define FNN_OPERANDS_bn_bwd(_)                                                                                       \
    _(SPLIT, features, F) _(P, T, dx, out_opt, local) _(P, T, dy, in, features) _(P, T, x, in, features)             \
    _(P, T, theta, updated, features) _(P, T, state0, updated_opt, features) _(P, T, state1, updated_opt, features)  \
    _(P, T, state2, updated_opt, features) _(P, T, grad, io, features)                                               \
    _(P, T, mean, in, features) _(P, T, rstd, in, features) _(P, T, t, in_opt, local)                                \
    _(P, fnn_rule, rules, in_opt, all) _(N, F) _(N, gamma) _(N, beta) _(N, trained) _(N, moving) _(N, adds)          \
    _(SV, s, 4) _(S, epsilon) _(S, clipvalue) _(F, fnn_map_bwd, act) _(F, fnn_update, update)
#define FNN_OPERANDS_bn_params(_)                                                                                    \
    _(SPLIT, features, F) _(P, T, parts, in, all) _(P, T, theta, updated, features)                                  \
    _(P, T, state0, updated_opt, features) _(P, T, state1, updated_opt, features)                                    \
    _(P, T, state2, updated_opt, features) _(P, T, grad, out, features) _(P, fnn_rule, rules, in_opt, all)           \
    _(N, F) _(N, gamma) _(N, beta) _(N, trained) _(N, panels) _(S, clipvalue) _(F, fnn_update, update)
#define FNN_OPERANDS_bn_infer_bwd(_)                                                                                 \
    _(SPLIT, rect, F) _(P, T, dx, out, local) _(P, T, dy, in, local) _(P, T, gamma, in_opt, features)                \
    _(P, T, moving_variance, in, features) _(P, T, t, in_opt, local) _(N, F) _(SV, s, 4) _(S, epsilon)               \
    _(F, fnn_map_bwd, act)
FNN_COL_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* the vector at sample b of a batch of n, its lanes past the end 0 */
FNN_INLINE V FN(valid)(V x, ptrdiff_t b, ptrdiff_t n) { return b + VW <= n ? x : v_sel(v_firstn(n - b), x, (V){0}); }

/* Mean and biased variance of features f .. f + count (at most VW).  Two passes, the second about the mean of the first
 * and corrected for that mean's own rounding (Chan, Golub & LeVeque 1983, eq. 1.7): never E[x^2] - E[x]^2. */
static void FN(moments)(const T *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t count, V *mean, V *var)
{
    V s[VW], q[VW], e[VW];
    for (int i = 0; i < VW; i++) {
        V a = {0};
        for (ptrdiff_t b = 0; i < count && b < n; b += PW) {
            const T *at = x + b / PW * stride + i * PW;
            a += FN(valid)(v_load(at), b, n) + FN(valid)(v_load(at + VW), b + VW, n);
        }
        s[i] = a;
    }
    const V m = FN(sum_lanes)(s) / (T)n;
    for (int i = 0; i < VW; i++) {
        const V c = v_set1(m[i]);
        V sq = {0}, se = {0};
        for (ptrdiff_t b = 0; i < count && b < n; b += PW) {
            const T *at = x + b / PW * stride + i * PW;
            V d0 = FN(valid)(v_load(at) - c, b, n), d1 = FN(valid)(v_load(at + VW) - c, b + VW, n);
            se += d0 + d1;
            sq = v_fma(d1, d1, v_fma(d0, d0, sq));
        }
        q[i] = sq, e[i] = se;
    }
    const V d = FN(sum_lanes)(e) / (T)n, v = FN(sum_lanes)(q) / (T)n - d * d;
    *mean = m + d;
    *var = v_max((V){0}, v); /* NaN stays NaN */
}

/* y = act(gamma * (x - mean) / sqrt(var + eps) + beta), moving averages <- momentum * old + (1 - momentum) * new.
 * mean, rstd = 1 / sqrt(var + eps): kept for bn_bwd; z: NULL, or where the input of the activation is kept;
 * xh = (x - mean) rstd: NULL if it is not wanted; may be x */
static void FN(bn_train)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(bn_train)
    const ptrdiff_t n = run->n, stride = F * PW;
    T *const linear = z ? z : y, *const mm = moving_mean, *const mv = moving_variance;
    const T keep = (T)momentum, eps = (T)epsilon;
    for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, F); f += VW) {
        const ptrdiff_t count = fnn_min(VW, F - f);
        V m, v;
        FN(moments)(x + f * PW, stride, n, count, &m, &v);
        const V rs = 1 / v_sqrt(v + eps), one = v_set1(1);
        v_store(mean + f, m), v_store(rstd + f, rs);
        v_store(mm + f, v_load(mm + f) * keep + m * (1 - keep));
        v_store(mv + f, v_load(mv + f) * keep + v * (1 - keep));
        const V g = (gamma ? v_load(gamma + f) : one) * rs, h = beta ? v_load(beta + f) : (V){0};
        for (int i = 0; i < count; i++) {
            const V c = v_set1(m[i]), k = v_set1(g[i]), o = v_set1(h[i]), q = v_set1(rs[i]);
            for (ptrdiff_t at = (f + i) * PW; at < (n + PW - 1) / PW * stride; at += stride) {
                const V d0 = v_load(x + at) - c, d1 = v_load(x + at + VW) - c;
                v_store(linear + at, v_fma(d0, k, o)), v_store(linear + at + VW, v_fma(d1, k, o));
                if (xh) v_store(xh + at, d0 * q), v_store(xh + at + VW, d1 * q);
            }
        }
    }
    if (act)
        for (ptrdiff_t p = 0; p * PW < n; p++) {
            const ptrdiff_t at = p * stride + r->f0 * PW, len = (fnn_min(r->f1, F) - r->f0) * PW;
            act(y + at, linear + at, len, s);
        }
}

/* The same with the moving averages in place of the batch's; local to a sample. */
static void FN(bn_infer)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(bn_infer)
    (void)run;
    const ptrdiff_t stride = F * PW, f0 = r->f0, f1 = fnn_min(r->f1, F);
    T *const linear = z ? z : y;
    for (ptrdiff_t f = f0; f < f1; f++) {
        const T rs = 1 / (T)__builtin_sqrt((double)(moving_variance[f] + (T)epsilon));
        const V g = v_set1((gamma ? gamma[f] : 1) * rs), b = v_set1(beta ? beta[f] : 0), c = v_set1(moving_mean[f]);
        for (ptrdiff_t p = r->p0; p < r->p1; p++) {
            const ptrdiff_t q = p * stride + f * PW;
            v_store(linear + q, v_fma(v_load(x + q) - c, g, b));
            v_store(linear + q + VW, v_fma(v_load(x + q + VW) - c, g, b));
        }
    }
    if (act)
        for (ptrdiff_t p = r->p0; p < r->p1; p++)
            act(y + p * stride + f0 * PW, linear + p * stride + f0 * PW, (f1 - f0) * PW, s);
}

/* Ends bn_bwd and bn_params: rule, clipping and optimizer on the rect's part of gamma or of beta, which begins at
 * `first` in each of the vectors (-1: there is none). */
static void FN(bn_update)(fnn_update update, ptrdiff_t first, T *theta, T *state0, T *state1, T *state2, T *grad,
                          const fnn_rule *rule, double clipvalue, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t at = first + r->f0, len = (r->f1 - r->f0 + VW - 1) / VW * VW;
    if (first < 0) return;
    for (ptrdiff_t f = r->f0; rule && f < r->f1; f += VW)
        FN(apply_rule)(rule, grad + first + f, theta + first + f, VW, run->rate, FNN_RULE_ALL, f / VW);
    if (clipvalue > 0) FN(clip_value)(grad + at, grad + at, len, clipvalue);
    update(theta + at, state0 ? state0 + at : NULL, state1 ? state1 + at : NULL, state2 ? state2 + at : NULL, grad + at,
           len, 1, 0, run->hyper);
}
#define FNN_BN_UPDATE(first, rule) \
    FN(bn_update)(update, first, theta, state0, state1, state2, grad, rule, clipvalue, run, r)

/* With xh = (x - mean) * rstd:  dbeta = sum dy,  dgamma = sum dy xh,
 * dx = gamma rstd (dy - dbeta/n - xh dgamma/n), then times act'(t) of the activation that made x.
 * gamma, beta: offsets in theta (-1: none), the same in the optimizer's states and in grad; trained: 1, or 0: update
 * leaves them alone; moving: 1: mean and rstd are the moving mean and variance (epsilon counts only then), and dx is
 * not wanted; rules: of gamma and beta, with update; without update the gradient stays in grad, to which it is added
 * if `adds` */
static void FN(bn_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(bn_bwd)
    const ptrdiff_t n = run->n, stride = F * PW;
    for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, F); f += VW) {
        const ptrdiff_t count = fnn_min(VW, F - f);
        const V m = v_load(mean + f), kept = v_load(rstd + f), rs = moving ? 1 / v_sqrt(kept + (T)epsilon) : kept;
        V sb[VW], sg[VW];
        for (int i = 0; i < VW; i++) {
            const V c = v_set1(m[i]), k = v_set1(rs[i]);
            V b = {0}, g = {0};
            for (ptrdiff_t q = 0; i < count && q < n; q += PW) {
                const ptrdiff_t at = q / PW * stride + (f + i) * PW;
                V d0 = FN(valid)(v_load(dy + at), q, n), d1 = FN(valid)(v_load(dy + at + VW), q + VW, n);
                V h0 = FN(valid)((v_load(x + at) - c) * k, q, n);
                V h1 = FN(valid)((v_load(x + at + VW) - c) * k, q + VW, n);
                b += d0 + d1;
                g = v_fma(d1, h1, v_fma(d0, h0, g));
            }
            sb[i] = b, sg[i] = g;
        }
        const V dbeta = FN(sum_lanes)(sb), dgamma = FN(sum_lanes)(sg);
        if (dx) {
            const V scale = (gamma >= 0 ? v_load(theta + gamma + f) : v_set1(1)) * rs;
            const V mb = dbeta / (T)n, mg = dgamma / (T)n;
            for (int i = 0; i < count; i++) {
                const V c = v_set1(m[i]), k = v_set1(scale[i]), o = v_set1(mb[i]), q = v_set1(mg[i] * rs[i]);
                for (ptrdiff_t at = (f + i) * PW; at < (n + PW - 1) / PW * stride; at += stride)
                    for (int h = 0; h < PW; h += VW)
                        v_store(dx + at + h, k * (v_load(dy + at + h) - o - (v_load(x + at + h) - c) * q));
            }
        }
        if (gamma >= 0) v_store(grad + gamma + f, adds ? v_load(grad + gamma + f) + dgamma : dgamma);
        if (beta >= 0) v_store(grad + beta + f, adds ? v_load(grad + beta + f) + dbeta : dbeta);
    }
    if (dx && act)
        for (ptrdiff_t p = 0; p * PW < n; p++) {
            const ptrdiff_t at = p * stride + r->f0 * PW;
            act(dx + at, dx + at, t + at, (fnn_min(r->f1, F) - r->f0) * PW, s);
        }
    if (!update || !trained) return;
    FNN_BN_UPDATE(gamma, rules);
    FNN_BN_UPDATE(beta, rules ? rules + 1 : NULL);
}

/* The gradients of gamma and beta where the dense layer behind has made them by the way (gemm/dense.inl.h): its parts
 * added up, unit panel by unit panel.
 * parts: [unit panel][2][features, in whole panels]; the others as in bn_bwd */
static void FN(bn_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(bn_params)
    const ptrdiff_t wide = (F + PW - 1) / PW * PW;
    for (int v = 0; v < 2; v++) {
        const ptrdiff_t to = v ? beta : gamma;
        for (ptrdiff_t f = r->f0; to >= 0 && f < r->f1; f += VW) {
            V sum = {0};
            for (ptrdiff_t u = 0; u < panels; u++) sum += v_load(parts + (2 * u + v) * wide + f);
            v_store(grad + to + f, sum);
        }
    }
    if (!update || !trained) return;
    FNN_BN_UPDATE(gamma, rules);
    FNN_BN_UPDATE(beta, rules ? rules + 1 : NULL);
}
#undef FNN_BN_UPDATE

/* Backward through bn_infer of a frozen layer: dx = dy * gamma / sqrt(moving variance + eps) * act'(t). */
static void FN(bn_infer_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(bn_infer_bwd)
    (void)run;
    const ptrdiff_t stride = F * PW, f0 = r->f0, f1 = fnn_min(r->f1, F);
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        for (ptrdiff_t f = f0; f < f1; f++) {
            const V k = v_set1((gamma ? gamma[f] : 1) / (T)__builtin_sqrt((double)(moving_variance[f] + (T)epsilon)));
            const ptrdiff_t q = p * stride + f * PW;
            v_store(dx + q, v_load(dy + q) * k), v_store(dx + q + VW, v_load(dy + q + VW) * k);
        }
        const ptrdiff_t at = p * stride + f0 * PW;
        if (act) act(dx + at, dx + at, t + at, (f1 - f0) * PW, s);
    }
}
#endif
