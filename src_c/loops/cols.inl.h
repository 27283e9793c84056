/* Kernels that reduce over the batch, feature by feature: batch normalisation (Ioffe & Szegedy 2015, alg. 1).
 * A rect names features; every sample panel of the batch is read.  Vectors of the layer (gamma, moving
 * averages, ...) may be NULL where the layer has none.
 *
 * Sums over the batch are taken for a group of VW features at a time: a vector of lane sums each, then `sum_lanes` of
 * all of them.  What follows per feature is then vector code too.  The padding of a vector of the layer takes part,
 * with 0 for every sum. */
#ifndef FNN_COL_KERNELS
#define FNN_COL_KERNELS(X) X(bn_train) X(bn_infer) X(bn_bwd) X(bn_params) X(bn_infer_bwd)
#endif

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
 * p: 0 y, 1 x, 2 gamma, 3 beta, 4 moving mean, 5 moving variance, 6 mean, 7 1 / sqrt(var + eps) (both kept for
 *    bn_bwd), 8 z (NULL, or where the input of the activation is kept), 9 xh = (x - mean) / sqrt(var + eps) (NULL: not
 *    wanted; may be x)
 * n: 0 features   fn: 0 activation   s: 0..3 its parameters, 4 momentum, 5 eps */
static void FN(bn_train)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t F = op->n[0], n = run->n, stride = F * PW;
    T *y = op->p[0], *z = op->p[8] ? op->p[8] : y, *mm = op->p[4], *mv = op->p[5], *mean = op->p[6], *rstd = op->p[7];
    T *xh = op->p[9];
    const T *x = op->p[1], *gamma = op->p[2], *beta = op->p[3];
    const T keep = (T)op->s[4], eps = (T)op->s[5];
    const fnn_map_fwd act = (fnn_map_fwd)op->fn[0];
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
                v_store(z + at, v_fma(d0, k, o)), v_store(z + at + VW, v_fma(d1, k, o));
                if (xh) v_store(xh + at, d0 * q), v_store(xh + at + VW, d1 * q);
            }
        }
    }
    if (act)
        for (ptrdiff_t p = 0; p * PW < n; p++) {
            const ptrdiff_t at = p * stride + r->f0 * PW, len = (fnn_min(r->f1, F) - r->f0) * PW;
            act(y + at, z + at, len, op->s);
        }
}

/* The same with the moving averages in place of the batch's; local to a sample.  p, n, fn, s as bn_train. */
static void FN(bn_infer)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t F = op->n[0], stride = F * PW, f0 = r->f0, f1 = fnn_min(r->f1, F);
    T *y = op->p[0], *z = op->p[8] ? op->p[8] : y;
    const T *x = op->p[1], *gamma = op->p[2], *beta = op->p[3], *mm = op->p[4], *mv = op->p[5];
    const T eps = (T)op->s[5];
    const fnn_map_fwd act = (fnn_map_fwd)op->fn[0];
    for (ptrdiff_t f = f0; f < f1; f++) {
        const T rs = 1 / (T)__builtin_sqrt((double)(mv[f] + eps));
        const V g = v_set1((gamma ? gamma[f] : 1) * rs), b = v_set1(beta ? beta[f] : 0), c = v_set1(mm[f]);
        for (ptrdiff_t p = r->p0; p < r->p1; p++) {
            const ptrdiff_t q = p * stride + f * PW;
            v_store(z + q, v_fma(v_load(x + q) - c, g, b));
            v_store(z + q + VW, v_fma(v_load(x + q + VW) - c, g, b));
        }
    }
    if (act)
        for (ptrdiff_t p = r->p0; p < r->p1; p++)
            act(y + p * stride + f0 * PW, z + p * stride + f0 * PW, (f1 - f0) * PW, op->s);
}

/* Ends bn_bwd and bn_params: the optimizer on gamma and beta of the rect, whose gradients are in p[7].  p, n, fn, s as
 * there. */
static void FN(bn_update)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    T *theta = op->p[3], *grad = op->p[7];
    const fnn_update update = (fnn_update)op->fn[1];
    if (!update || !op->n[3]) return;
    for (int v = 1; v <= 2; v++) {
        if (op->n[v] < 0) continue;
        const ptrdiff_t at = op->n[v] + r->f0, len = (r->f1 - r->f0 + VW - 1) / VW * VW;
        T *s[3];
        for (int i = 0; i < 3; i++) s[i] = op->p[4 + i] ? (T *)op->p[4 + i] + at : NULL;
        for (ptrdiff_t f = r->f0; op->p[11] && f < r->f1; f += VW)
            FN(apply_rule)((const fnn_rule *)op->p[11] + v - 1, grad + op->n[v] + f, theta + op->n[v] + f, VW, run->rate,
                           FNN_RULE_ALL, f / VW);
        if (op->s[6] > 0) FN(clip_value)(grad + at, grad + at, len, op->s[6]);
        update(theta + at, s[0], s[1], s[2], grad + at, len, 1, 0, run->hyper);
    }
}

/* With xh = (x - mean) * rstd:  dbeta = sum dy,  dgamma = sum dy xh,
 * dx = gamma rstd (dy - dbeta/n - xh dgamma/n), then times act'(t) of the activation that made x.
 * p: 0 dx (NULL: not wanted), 1 dy, 2 x, 3 theta, 4..6 optimizer state, 7 gradients (same offsets as theta),
 *    8 mean, 9 rstd, 10 t, 11 fnn_rule[2] of gamma and beta, with update (NULL: none)
 * n: 0 features, 1 offset of gamma in theta (-1: none), 2 of beta, 3 1: they are trained, 4 1: 8 and 9 are the moving
 *    mean and variance, and dx is not wanted
 * fn: 0 activation derivative, 1 optimizer update (NULL: leave the gradient)
 * s: 0..3 of the activation, 5 epsilon (with n 4), 6 clipvalue */
static void FN(bn_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t F = op->n[0], n = run->n, stride = F * PW, og = op->n[1], ob = op->n[2];
    T *dx = op->p[0], *theta = op->p[3], *grad = op->p[7];
    const T *dy = op->p[1], *x = op->p[2], *mean = op->p[8], *rstd = op->p[9], *t = op->p[10];
    const fnn_map_bwd act = (fnn_map_bwd)op->fn[0];
    for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, F); f += VW) {
        const ptrdiff_t count = fnn_min(VW, F - f);
        const V m = v_load(mean + f), kept = v_load(rstd + f), rs = op->n[4] ? 1 / v_sqrt(kept + (T)op->s[5]) : kept;
        V sb[VW], sg[VW];
        for (int i = 0; i < VW; i++) {
            const V c = v_set1(m[i]), k = v_set1(rs[i]);
            V b = {0}, g = {0};
            for (ptrdiff_t s = 0; i < count && s < n; s += PW) {
                const ptrdiff_t at = s / PW * stride + (f + i) * PW;
                V d0 = FN(valid)(v_load(dy + at), s, n), d1 = FN(valid)(v_load(dy + at + VW), s + VW, n);
                V h0 = FN(valid)((v_load(x + at) - c) * k, s, n), h1 = FN(valid)((v_load(x + at + VW) - c) * k, s + VW, n);
                b += d0 + d1;
                g = v_fma(d1, h1, v_fma(d0, h0, g));
            }
            sb[i] = b, sg[i] = g;
        }
        const V dbeta = FN(sum_lanes)(sb), dgamma = FN(sum_lanes)(sg);
        if (dx) {
            const V scale = (og >= 0 ? v_load(theta + og + f) : v_set1(1)) * rs, mb = dbeta / (T)n, mg = dgamma / (T)n;
            for (int i = 0; i < count; i++) {
                const V c = v_set1(m[i]), k = v_set1(scale[i]), o = v_set1(mb[i]), q = v_set1(mg[i] * rs[i]);
                for (ptrdiff_t at = (f + i) * PW; at < (n + PW - 1) / PW * stride; at += stride)
                    for (int h = 0; h < PW; h += VW)
                        v_store(dx + at + h, k * (v_load(dy + at + h) - o - (v_load(x + at + h) - c) * q));
            }
        }
        if (og >= 0) v_store(grad + og + f, dgamma);
        if (ob >= 0) v_store(grad + ob + f, dbeta);
    }
    if (dx && act)
        for (ptrdiff_t p = 0; p * PW < n; p++) {
            const ptrdiff_t at = p * stride + r->f0 * PW;
            act(dx + at, dx + at, t + at, (fnn_min(r->f1, F) - r->f0) * PW, op->s);
        }
    FN(bn_update)(op, run, r);
}

/* The gradients of gamma and beta where the dense layer behind has made them by the way (gemm/dense.inl.h): its parts
 * added up, unit panel by unit panel.
 * p: 0 parts[unit panel][2][features, in whole panels], 3..7, 11 as bn_bwd
 * n: 0 features, 1..3 as bn_bwd, 4 unit panels   fn: 1 optimizer update (NULL: leave the gradient)   s: 6 clipvalue */
static void FN(bn_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t wide = (op->n[0] + PW - 1) / PW * PW;
    const T *parts = op->p[0];
    T *grad = op->p[7];
    for (int v = 0; v < 2; v++) {
        const ptrdiff_t to = op->n[1 + v];
        for (ptrdiff_t f = r->f0; to >= 0 && f < r->f1; f += VW) {
            V sum = {0};
            for (ptrdiff_t u = 0; u < op->n[4]; u++) sum += v_load(parts + (2 * u + v) * wide + f);
            v_store(grad + to + f, sum);
        }
    }
    FN(bn_update)(op, run, r);
}

/* Backward through bn_infer of a frozen layer: dx = dy * gamma / sqrt(moving variance + eps) * act'(t).
 * p: 0 dx, 1 dy, 2 gamma, 5 moving variance, 10 t   n: 0 features   fn: 0 activation derivative   s: 0..3, 5 eps */
static void FN(bn_infer_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t F = op->n[0], stride = F * PW, f0 = r->f0, f1 = fnn_min(r->f1, F);
    T *dx = op->p[0];
    const T *dy = op->p[1], *gamma = op->p[2], *mv = op->p[5], *t = op->p[10];
    const fnn_map_bwd act = (fnn_map_bwd)op->fn[0];
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        for (ptrdiff_t f = f0; f < f1; f++) {
            const V k = v_set1((gamma ? gamma[f] : 1) / (T)__builtin_sqrt((double)(mv[f] + (T)op->s[5])));
            const ptrdiff_t q = p * stride + f * PW;
            v_store(dx + q, v_load(dy + q) * k), v_store(dx + q + VW, v_load(dy + q + VW) * k);
        }
        const ptrdiff_t at = p * stride + f0 * PW;
        if (act) act(dx + at, dx + at, t + at, (f1 - f0) * PW, op->s);
    }
}
