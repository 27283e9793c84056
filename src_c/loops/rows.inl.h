/* Kernels that go over all features of a sample: softmax, losses, metrics.
 *
 * (a) A sample is a lane, so a sum over features is a plain vector sum and no lane ever sees another one: what the
 *     lanes past the last sample hold cannot matter.  Only the sums over samples look at single lanes, and stop there.
 * (b) Orders of summation depend on the number of features alone.  Sums of exponentials go by blocks of 16 (error
 *     K/16 ulp at worst instead of K); losses are added up in double.
 * (c) A rect names sample panels; all features are done.  run->s0 is a multiple of PW.
 *
 * (d) grad: NULL: the value only; may be y_pred.  y_pred: logits for softmax_*.  target: panels like y_pred, or the
 *     int32 labels of the data (rows by run->index or row0).  weight: of the data, NULL: 1 each.  sums: [s0/PW +
 *     p][2]: of weight * loss, and the number of samples; of a metric: of weight * value, and of the weights; pair j
 *     of a wide metric `stride` doubles further on each.  probabilities: where softmax_* leave them, or NULL; may be
 *     y_pred. terms: of each sample at s0 + b: its weight * loss, or NULL.  factor: of every weight (loss_factor),
 *     NULL: 1. by_sum: nonzero: the gradient is that of the sum over the batch, not of the mean.  params: of the row.
 *     grad = weight / run->batch * dloss/dy_pred, 0 in the lanes past the last sample.
 * A sample whose label is ignore_class adds nothing to a loss.  Any other label that is no
 * class gives a NaN loss and gradient, and never counts as hit; nothing is read for it. */
#ifndef FNN_ROW_LOSSES
#define FNN_ROW_KERNELS(X) X(softmax_fwd) X(softmax_bwd) X(log_softmax_fwd) X(log_softmax_bwd) X(loss_factor)
#define FNN_OPERANDS_softmax_fwd(_) \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(N, K) _(N, groups)
#define FNN_OPERANDS_softmax_bwd(_)                                                                       \
    _(SPLIT, samples, none) _(P, T, dx, out, samples) _(P, T, dy, in, samples) _(P, T, y, in, samples)    \
    _(N, K) _(N, groups)
#define FNN_OPERANDS_log_softmax_fwd FNN_OPERANDS_softmax_fwd
#define FNN_OPERANDS_log_softmax_bwd FNN_OPERANDS_softmax_bwd
#define FNN_OPERANDS_loss_factor(_)                                                                       \
    _(SPLIT, one, none) _(P, double, factor, out, all) _(P, int32_t, labels, in_opt, all)                 \
    _(P, T, weight, in_opt, all) _(S, ignore_class)
#define FNN_OPERANDS_loss(_)                                                                              \
    _(SPLIT, samples, none) _(P, T, grad, out_opt, samples) _(P, T, y_pred, in, samples)                  \
    _(P, void, target, in, samples) _(P, T, weight, in_opt, samples) _(P, double, sums, out, samples)     \
    _(P, T, probabilities, out_opt, samples) _(P, T, terms, out_opt, samples)                             \
    _(P, double, factor, in_opt, all) _(N, K) _(N, by_sum) _(SV, params, FNN_MAX_S)
#define FNN_OPERANDS_metric(_)                                                                            \
    _(SPLIT, samples, none) _(P, double, sums, out, samples) _(P, T, y_pred, in, samples)                 \
    _(P, void, target, in, samples) _(P, T, weight, in_opt, samples) _(N, K) _(N, stride)                 \
    _(SV, params, FNN_MAX_S)
FNN_ROW_KERNELS(FNN_LAYOUT) FNN_LAYOUT(loss) FNN_LAYOUT(metric)
#define FNN_ROW_LOSSES(X)                                                        \
    X(sparse_softmax_crossentropy, "ignore_class=inf", FNN_TARGET_LABELS)        \
    X(softmax_crossentropy, "label_smoothing=0.0", FNN_TARGET_VALUES)            \
    X(sparse_crossentropy, "ignore_class=inf", FNN_TARGET_LABELS)                \
    X(crossentropy, "label_smoothing=0.0", FNN_TARGET_VALUES)                    \
    X(nll, "ignore_class=inf", FNN_TARGET_LABELS)                                \
    X(categorical_hinge, "", FNN_TARGET_VALUES)                                  \
    X(cosine_similarity, "", FNN_TARGET_VALUES)                                  \
    X(categorical_focal, "alpha=0.25,gamma=2.0,label_smoothing=0.0", FNN_TARGET_VALUES)        \
    X(categorical_focal_logits, "alpha=0.25,gamma=2.0,label_smoothing=0.0", FNN_TARGET_VALUES) \
    X(gaussian_nll, "full=0,eps=1e-6", FNN_TARGET_VALUES)
#define FNN_METRICS(X)                                                           \
    X(sparse_accuracy, "", FNN_TARGET_LABELS)                                    \
    X(categorical_accuracy, "", FNN_TARGET_VALUES)                               \
    X(binary_accuracy, "threshold=0.5", FNN_TARGET_VALUES)                       \
    X(equal_accuracy, "", FNN_TARGET_VALUES)                                     \
    X(sparse_top_k_accuracy, "k=5", FNN_TARGET_LABELS)                           \
    X(top_k_accuracy, "k=5", FNN_TARGET_VALUES)
/* X(name, params, target, pairs of sums: of each output, or FNN_PAIRS_PARAM) */
#define FNN_WIDE_METRICS(X)                                                      \
    X(confusion, "threshold=0.5", FNN_TARGET_VALUES, 2)                          \
    X(squares, "", FNN_TARGET_VALUES, 2)                                         \
    X(histogram, "num_thresholds=200,from_logits=0", FNN_TARGET_VALUES, FNN_PAIRS_PARAM)
enum {
#define X(name, params) FNN_POINT_##name,
    FNN_POINT_LOSSES(X)
#undef X
};
#endif
#ifdef SFX

/* ---- softmax ------------------------------------------------------------------------------------------ */

/* Of each lane of a panel: the maximum m and the sum of exp(x - m) over the features.  With `keep`, e (which may be
 * x) gets exp(x - m).  If m were not subtracted, exp would overflow at 88; with it the sum is between 1 and K. */
FNN_INLINE void FN(softmax_sums)(const T *x, ptrdiff_t K, V m[2], V sum[2], int keep, T *e)
{
    m[0] = v_load(x), m[1] = v_load(x + VW);
    for (ptrdiff_t k = 1; k < K; k++) /* a NaN may get lost here, but not in the exponential */
        for (int h = 0; h < 2; h++) m[h] = v_max(m[h], v_load(x + k * PW + h * VW));
    sum[0] = sum[1] = (V){0};
    for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
        V part[2] = {{0}, {0}};
        for (ptrdiff_t k = k0; k < K && k < k0 + 16; k++)
            for (int h = 0; h < 2; h++) {
                const V v = FN(vexp)(v_load(x + k * PW + h * VW) - m[h]);
                if (keep) v_store(e + k * PW + h * VW, v);
                part[h] += v;
            }
        sum[0] += part[0], sum[1] += part[1];
    }
}

/* y_k = exp(x_k) / sum_j exp(x_j).  x may be y; groups: runs of K, each by itself (0: one) */
static void FN(softmax_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(softmax_fwd)
    (void)run;
    const ptrdiff_t runs = fnn_max(groups, 1);
    for (ptrdiff_t p = r->p0 * runs; p < r->p1 * runs; p++) {
        T *to = y + p * K * PW;
        V m[2], s[2];
        FN(softmax_sums)(x + p * K * PW, K, m, s, 1, to);
        s[0] = 1 / s[0], s[1] = 1 / s[1];
        for (ptrdiff_t k = 0; k < K; k++)
            for (int h = 0; h < 2; h++) v_store(to + k * PW + h * VW, v_load(to + k * PW + h * VW) * s[h]);
    }
}

/* y_k = (x_k - m) - log sum_j exp(x_j - m) */
static void FN(log_softmax_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(log_softmax_fwd)
    (void)run;
    const ptrdiff_t runs = fnn_max(groups, 1);
    for (ptrdiff_t p = r->p0 * runs; p < r->p1 * runs; p++) {
        T *to = y + p * K * PW;
        const T *from = x + p * K * PW;
        V m[2], s[2];
        FN(softmax_sums)(from, K, m, s, 0, NULL);
        s[0] = FN(vlog)(s[0]), s[1] = FN(vlog)(s[1]);
        for (ptrdiff_t k = 0; k < K; k++)
            for (int h = 0; h < 2; h++) v_store(to + k * PW + h * VW, v_load(from + k * PW + h * VW) - m[h] - s[h]);
    }
}

/* dx_k = y_k (dy_k - sum_j y_j dy_j), or of log_softmax: dy_k - exp(y_k) sum_j dy_j */
FNN_INLINE void FN(softmax_bwd_panels)(const fnn_op *op, const fnn_rect *r, int log)
{
    FNN_OPEN(softmax_bwd)
    const ptrdiff_t panel = K * fnn_max(groups, 1) * PW;
    for (ptrdiff_t q = r->p0 * panel; q < r->p1 * panel; q += K * PW)
        for (int h = 0; h < PW; h += VW) {
            const T *dyq = dy + q + h, *yq = y + q + h;
            V s = {0};
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < K && k < k0 + 16; k++)
                    part = log ? part + v_load(dyq + k * PW) : v_fma(v_load(dyq + k * PW), v_load(yq + k * PW), part);
                s += part;
            }
            for (ptrdiff_t k = 0; k < K; k++) {
                const V g = v_load(dyq + k * PW), v = v_load(yq + k * PW);
                v_store(dx + q + h + k * PW, log ? v_fma(-FN(vexp)(v), s, g) : v * (g - s));
            }
        }
}
/* dy may be dx */
static void FN(softmax_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    FN(softmax_bwd_panels)(op, r, 0);
}
static void FN(log_softmax_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    FN(softmax_bwd_panels)(op, r, 1);
}

/* ---- what the losses share ---------------------------------------------------------------------------- */

/* One sample panel: its lanes' weights and their labels (-1: none, or no class) */
typedef struct FN(panel) {
    ptrdiff_t lanes;            /* that hold a sample */
    double *partial;
    T *each;
    T weight[PW], scale[PW];    /* weight; weight / batch / divisor, 0 past the last sample */
    int32_t label[PW];
} FN(panel_t);

FNN_INLINE FN(panel_t) FN(panel_open)(const fnn_op *op, const fnn_run *run, ptrdiff_t p, int labels, double divisor)
{
    FNN_OPEN(loss)
    FN(panel_t) s;
    const ptrdiff_t left = run->n - p * PW;
    const double times = (factor ? *factor : 1) * (by_sum ? (double)run->batch : 1);
    const double inv = 1 / ((double)run->batch * divisor);
    s.lanes = left < PW ? left : PW;
    s.partial = sums + 2 * (run->s0 / PW + p);
    s.each = terms ? terms + run->s0 + p * PW : NULL;
    if (!weight && !labels && !factor && !by_sum) { /* every sample counts the same */
        for (ptrdiff_t i = 0; i < PW; i++) s.weight[i] = i < s.lanes, s.scale[i] = i < s.lanes ? (T)inv : 0;
        return s;
    }
    for (ptrdiff_t i = 0; i < PW; i++) s.weight[i] = s.scale[i] = 0, s.label[i] = -1;
    for (ptrdiff_t i = 0; i < s.lanes; i++) {
        const ptrdiff_t row = FN(data_row)(run, p * PW + i);
        s.weight[i] = weight ? weight[row] : 1;
        if (factor || by_sum) s.weight[i] = (T)((double)s.weight[i] * times);
        if (labels) s.label[i] = ((const int32_t *)target)[row];
        if (labels && (double)s.label[i] == params[0]) s.label[i] = 0, s.weight[i] = 0;
        if (labels && (s.label[i] < 0 || s.label[i] >= K)) s.label[i] = -1, s.weight[i] = (T)NAN;
        s.scale[i] = (T)((double)s.weight[i] * inv);
    }
    return s;
}

/* partial <- weighted sum of the samples' losses, and their number; each <- the terms of that sum */
FNN_INLINE void FN(panel_close)(const FN(panel_t) *s, const double *loss)
{
    double term[PW], sum[4] = {0};
    for (ptrdiff_t i = s->lanes; i < PW; i++) term[i] = 0;
    for (ptrdiff_t i = 0; i < s->lanes; i++) term[i] = s->weight[i] == 0 ? 0 : (double)s->weight[i] * loss[i];
    for (ptrdiff_t i = 0; s->each && i < s->lanes; i++) s->each[i] = (T)term[i];
    for (ptrdiff_t i = 0; i < PW; i += 4) /* four at a time: one would wait for each addition */
        for (int j = 0; j < 4; j++) sum[j] += term[i + j];
    s->partial[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]), s->partial[1] = (double)s->lanes;
}

/* acc[lane] += v[lane] */
FNN_INLINE void FN(add_lanes)(double *acc, V v)
{
    T t[VW]; /* through memory: lane by lane the compiler would not convert several at once */
    v_storeu(t, v);
    for (int i = 0; i < VW; i++) acc[i] += (double)t[i];
}

/* What turns the mean over a batch into one over its valid samples, or by their weights: batch / sum of those.
 * labels: NULL: all are valid; weight: NULL: 1 each */
static void FN(loss_factor)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss_factor)
    double sum = 0;
    (void)r;
    for (ptrdiff_t i = 0; i < run->n; i++) {
        const ptrdiff_t row = FN(data_row)(run, i);
        if (!labels || (double)labels[row] != ignore_class) sum += weight ? (double)weight[row] : 1;
    }
    *factor = sum == 0 ? 0 : (double)run->n / sum;
}

/* ---- pointwise losses: mean over the features --------------------------------------------------------- */

FNN_INLINE V FN(point_f)(int id, V y_pred, V y_true, const V *s)
{
    switch (id) { /* a constant wherever this is expanded */
#define X(name, params) case FNN_POINT_##name: return FN(loss_##name##_f)(y_pred, y_true, s);
    FNN_POINT_LOSSES(X)
#undef X
    }
    return y_pred;
}
FNN_INLINE V FN(point_b)(int id, V y_pred, V y_true, const V *s)
{
    switch (id) {
#define X(name, params) case FNN_POINT_##name: return FN(loss_##name##_b)(y_pred, y_true, s);
    FNN_POINT_LOSSES(X)
#undef X
    }
    return y_pred;
}

FNN_INLINE double FN(point_divisor)(int id, double K)
{
    switch (id) {
#define X(name, params) case FNN_POINT_##name: return 1;
    FNN_SUM_LOSSES(X)
#undef X
    }
    return K;
}

FNN_INLINE void FN(point_loss)(int id, const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    V par[FNN_MAX_S];
    for (int i = 0; i < FNN_MAX_S; i++) par[i] = v_set1((T)params[i]);
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const double divisor = FN(point_divisor)(id, (double)K);
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, divisor);
        const T *y = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            T *dy = grad ? grad + p * K * PW + h : NULL;
            const V scale = v_loadu(s.scale + h);
            const VI in = v_firstn(s.lanes - h);
            double acc[VW] = {0};
            for (ptrdiff_t k = 0; k < K; k++) {
                const V a = v_load(y + k * PW + h), b = v_load(t + k * PW + h);
                FN(add_lanes)(acc, FN(point_f)(id, a, b, par));
                if (dy) v_store(dy + k * PW, v_sel(in, FN(point_b)(id, a, b, par) * scale, (V){0}));
            }
            for (int i = 0; i < VW; i++) loss[h + i] = acc[i] / divisor;
        }
        FN(panel_close)(&s, loss);
    }
}
#define X(name, params)                                                                          \
    static void FN(loss_##name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)         \
    {                                                                                            \
        FN(point_loss)(FNN_POINT_##name, op, run, r);                                            \
    }
FNN_POINT_LOSSES(X)
#undef X

/* ---- cross-entropy of logits: the softmax is part of it ------------------------------------------------ */

/* loss = log sum_j exp(x_j - m) - (x_label - m);  dx = softmax(x) - onehot(label) */
static void FN(loss_sparse_softmax_crossentropy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 1, 1);
        const T *x = y_pred + p * K * PW;
        T *dy = grad ? grad + p * K * PW : NULL, *prob = probabilities ? probabilities + p * K * PW : NULL;
        T *e = prob ? prob : dy, picked[PW], max[PW], logsum[PW];
        double loss[PW];
        V m[2], sum[2];
        for (ptrdiff_t i = 0; i < s.lanes; i++) picked[i] = s.label[i] < 0 ? 0 : x[s.label[i] * PW + i];
        if (e) FN(softmax_sums)(x, K, m, sum, 1, e);
        else FN(softmax_sums)(x, K, m, sum, 0, NULL);
        for (int h = 0; h < 2; h++) {
            v_storeu(max + h * VW, m[h]);
            v_storeu(logsum + h * VW, FN(vlog)(sum[h]));
        }
        for (ptrdiff_t i = 0; i < s.lanes; i++) loss[i] = (double)logsum[i] - ((double)picked[i] - (double)max[i]);
        FN(panel_close)(&s, loss);
        if (!e) continue;
        for (int h = 0; h < 2; h++) {
            const V inv = 1 / sum[h], scale = v_loadu(s.scale + h * VW);
            const VI in = v_firstn(s.lanes - h * VW);
            for (ptrdiff_t k = 0, at = h * VW; k < K; k++, at += PW) {
                const V y = v_load(e + at) * inv;
                if (prob) v_store(prob + at, y);
                if (dy) v_store(dy + at, v_sel(in, y * scale, (V){0}));
            }
        }
        for (ptrdiff_t i = 0; dy && i < s.lanes; i++)
            if (s.label[i] >= 0) dy[s.label[i] * PW + i] -= s.scale[i];
    }
}

/* t <- (1 - a) t + a / K;  loss = -sum_k t_k log softmax(x)_k;  dx = softmax(x) sum_k t_k - t.
 * The targets need not sum to 1.  A class of target 0 adds nothing, not even where its logit is -Inf. */
static void FN(loss_softmax_crossentropy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    const V keep = v_set1((T)(1 - params[0])), add = v_set1((T)(params[0] / (double)K));
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, 1);
        const T *x = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        T *dy = grad ? grad + p * K * PW : NULL, *prob = probabilities ? probabilities + p * K * PW : NULL;
        T *e = prob ? prob : dy;
        double loss[PW], total[PW] = {0}, dot[PW] = {0};
        T logsum[VW];
        for (int h = 0; h < PW; h += VW) {
            V m = v_load(x + h), sum = {0}, tsum;
            for (ptrdiff_t k = 1; k < K; k++) m = v_max(m, v_load(x + k * PW + h));
            for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                V part = {0};
                for (ptrdiff_t k = k0; k < K && k < k0 + 16; k++) {
                    const V target = v_fma(v_load(t + k * PW + h), keep, add), d = v_load(x + k * PW + h) - m;
                    const V v = FN(vexp)(d);
                    FN(add_lanes)(total + h, target);
                    FN(add_lanes)(dot + h, v_sel(target == 0, (V){0}, target * d));
                    part += v;
                    if (e) v_store(e + k * PW + h, v);
                }
                sum += part;
            }
            const V inv = 1 / sum, scale = v_loadu(s.scale + h);
            const VI in = v_firstn(s.lanes - h);
            v_storeu(logsum, FN(vlog)(sum));
            for (int i = 0; i < VW; i++) {
                loss[h + i] = total[h + i] * (double)logsum[i] - dot[h + i];
                tsum[i] = (T)total[h + i];
            }
            for (ptrdiff_t k = 0, at = h; e && k < K; k++, at += PW) {
                const V y = v_load(e + at) * inv, target = v_fma(v_load(t + at), keep, add);
                if (prob) v_store(prob + at, y);
                if (dy) v_store(dy + at, v_sel(in, v_fma(y, tsum, -target) * scale, (V){0}));
            }
        }
        FN(panel_close)(&s, loss);
    }
}

/* ---- cross-entropy of probabilities -------------------------------------------------------------------- */

/* As Keras has it: o = y / sum y, clipped to [eps, 1 - eps]; loss = -sum_k t_k log o_k.  With c_k = 1 where the clip
 * is not at work and else 0:  dy_k = (sum_j c_j t_j - c_k t_k / o_k) / sum y. */
FNN_INLINE V FN(sum_features)(const T *y, ptrdiff_t K)
{
    V s = {0};
    for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
        V part = {0};
        for (ptrdiff_t k = k0; k < K && k < k0 + 16; k++) part += v_load(y + k * PW);
        s += part;
    }
    return s;
}
FNN_INLINE V FN(log_clipped)(V o)
{
    return FN(vlog)(v_min(v_set1((T)(1 - FNN_LOSS_EPS)), v_max(v_set1((T)FNN_LOSS_EPS), o)));
}
FNN_INLINE VI FN(is_clipped)(V o) { return (o < (T)FNN_LOSS_EPS) | (o > (T)(1 - FNN_LOSS_EPS)); }

static void FN(loss_sparse_crossentropy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 1, 1);
        const T *y = y_pred + p * K * PW;
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            T *dy = grad ? grad + p * K * PW + h : NULL;
            T picked[VW], logs[VW], at_label[VW];
            for (int i = 0; i < VW; i++) picked[i] = s.label[h + i] < 0 ? (T)NAN : y[s.label[h + i] * PW + h + i];
            const V sum = FN(sum_features)(y + h, K), o = v_loadu(picked) / sum;
            const V g = v_sel(FN(is_clipped)(o), (V){0}, v_loadu(s.scale + h) / sum);
            v_storeu(logs, FN(log_clipped)(o));
            v_storeu(at_label, v_sel(FN(is_clipped)(o), g, g - g / o));
            for (int i = 0; i < VW; i++) loss[h + i] = -(double)logs[i];
            for (ptrdiff_t k = 0; dy && k < K; k++) v_store(dy + k * PW, v_sel(v_firstn(s.lanes - h), g, (V){0}));
            for (ptrdiff_t i = 0; dy && i < VW && h + i < s.lanes; i++)
                if (s.label[h + i] >= 0) dy[s.label[h + i] * PW + i] = at_label[i];
        }
        FN(panel_close)(&s, loss);
    }
}

static void FN(loss_crossentropy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    const V keep = v_set1((T)(1 - params[0])), add = v_set1((T)(params[0] / (double)K)), zero = {0};
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, 1);
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            const T *y = y_pred + p * K * PW + h, *t = (const T *)target + p * K * PW + h;
            T *dy = grad ? grad + p * K * PW + h : NULL;
            const V sum = FN(sum_features)(y, K), scale = v_loadu(s.scale + h) / sum;
            double acc[VW] = {0};
            V free_sum = zero;
            for (ptrdiff_t k = 0; k < K; k++) {
                const V o = v_load(y + k * PW) / sum, target = v_fma(v_load(t + k * PW), keep, add);
                FN(add_lanes)(acc, target * FN(log_clipped)(o));
                free_sum += v_sel(FN(is_clipped)(o), zero, target);
            }
            for (int i = 0; i < VW; i++) loss[h + i] = -acc[i];
            for (ptrdiff_t k = 0; dy && k < K; k++) {
                const V o = v_load(y + k * PW) / sum, target = v_fma(v_load(t + k * PW), keep, add);
                const V g = (free_sum - v_sel(FN(is_clipped)(o), zero, target / o)) * scale;
                v_store(dy + k * PW, v_sel(v_firstn(s.lanes - h), g, zero));
            }
        }
        FN(panel_close)(&s, loss);
    }
}

/* t <- (1 - a) t + a / K;  loss = sum_k f_k, f_k = -alpha t_k (1 - o_k)^gamma log o_k of the clipped share o (Lin et al.
 * 2017, eq. 5).  With d_k = df_k/do_k, 0 where the clip is at work, and D = sum_j d_j o_j:  dy_k = (d_k - D) / sum y of
 * probabilities, o_k (d_k - D) of logits.  s: 0 alpha, 1 gamma */
FNN_INLINE V FN(focal_class)(V o, V t, const V *s, V *slope)
{
    const V c = v_min(v_set1((T)(1 - FNN_LOSS_EPS)), v_max(v_set1((T)FNN_LOSS_EPS), o)), q = 1 - c, l = FN(vlog)(c);
    const V at = s[0] * t, power = FN(focal_power)(q, s[1]);
    *slope = v_sel(FN(is_clipped)(o), (V){0}, at * (s[1] * FN(focal_power)(q, s[1] - 1) * l - power / c));
    return -at * power * l;
}
FNN_INLINE V FN(share_of)(V y, V most, V sum, int logits) { return (logits ? FN(vexp)(y - most) : y) / sum; }
FNN_INLINE void FN(focal_classes)(const fnn_op *op, const fnn_run *run, const fnn_rect *r, int logits)
{
    FNN_OPEN(loss)
    const V keep = v_set1((T)(1 - params[2])), add = v_set1((T)(params[2] / (double)K)), zero = {0};
    const V s2[2] = {v_set1((T)params[0]), v_set1((T)params[1])};
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, 1);
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            const T *y = y_pred + p * K * PW + h, *t = (const T *)target + p * K * PW + h;
            T *dy = grad ? grad + p * K * PW + h : NULL;
            V most = v_load(y), sum = zero, along = zero, slope;
            double acc[VW] = {0};
            if (logits) {
                for (ptrdiff_t k = 1; k < K; k++) most = v_max(most, v_load(y + k * PW));
                for (ptrdiff_t k = 0; k < K; k++) sum += FN(vexp)(v_load(y + k * PW) - most);
            } else {
                sum = FN(sum_features)(y, K);
            }
            for (ptrdiff_t k = 0; k < K; k++) {
                const V o = FN(share_of)(v_load(y + k * PW), most, sum, logits);
                FN(add_lanes)(acc, FN(focal_class)(o, v_fma(v_load(t + k * PW), keep, add), s2, &slope));
                along += slope * o;
            }
            for (int i = 0; i < VW; i++) loss[h + i] = acc[i];
            for (ptrdiff_t k = 0; dy && k < K; k++) {
                const V o = FN(share_of)(v_load(y + k * PW), most, sum, logits);
                (void)FN(focal_class)(o, v_fma(v_load(t + k * PW), keep, add), s2, &slope);
                const V g = (slope - along) * (logits ? o : 1 / sum) * v_loadu(s.scale + h);
                v_store(dy + k * PW, v_sel(v_firstn(s.lanes - h), g, zero));
            }
        }
        FN(panel_close)(&s, loss);
    }
}
static void FN(loss_categorical_focal)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(focal_classes)(op, run, r, 0);
}
static void FN(loss_categorical_focal_logits)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(focal_classes)(op, run, r, 1);
}

/* ---- other losses over all outputs of a sample ---------------------------------------------------------- */

/* Of M = K / 2 means m_k and as many variances: v_k = max(y_{M+k}, eps), e = m - t;  mean over k of
 * (log v + e^2 / v + full log 2 pi) / 2 (Nix & Weigend 1994, eq. 3).  dm = e / v, dv = (1 - e^2 / v) / (2 v), also where
 * the variance is below eps, so that it comes back.  Targets are the first M. */
static void FN(loss_gaussian_nll)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    const ptrdiff_t M = K / 2;
    const double divisor = M > 0 ? (double)M : 1, constant = params[0] != 0 ? 0.91893853320467274178 : 0;
    const V eps = v_set1((T)params[1]);
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, divisor);
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            const T *y = y_pred + p * K * PW + h, *t = (const T *)target + p * K * PW + h;
            T *dy = grad ? grad + p * K * PW + h : NULL;
            const V scale = v_loadu(s.scale + h);
            const VI in = v_firstn(s.lanes - h);
            double acc[VW] = {0};
            for (ptrdiff_t k = 0; k < M; k++) {
                const V given = v_load(y + (M + k) * PW), v = v_sel(given < eps, eps, given);
                const V e = v_load(y + k * PW) - v_load(t + k * PW), q = e / v, z = q * e;
                FN(add_lanes)(acc, (T)0.5 * (FN(vlog)(v) + z));
                if (!dy) continue;
                v_store(dy + k * PW, v_sel(in, q * scale, (V){0}));
                v_store(dy + (M + k) * PW, v_sel(in, (T)0.5 * (1 - z) / v * scale, (V){0}));
            }
            if (dy && K > 2 * M) v_store(dy + 2 * M * PW, (V){0});
            for (int i = 0; i < VW; i++) loss[h + i] = acc[i] / divisor + constant;
        }
        FN(panel_close)(&s, loss);
    }
}

/* -y_label: of log-probabilities the cross-entropy */
static void FN(loss_nll)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 1, 1);
        const T *y = y_pred + p * K * PW;
        T *dy = grad ? grad + p * K * PW : NULL;
        double loss[PW];
        for (ptrdiff_t i = 0; i < s.lanes; i++) loss[i] = s.label[i] < 0 ? NAN : -(double)y[s.label[i] * PW + i];
        FN(panel_close)(&s, loss);
        if (!dy) continue;
        memset(dy, 0, (size_t)(K * PW) * sizeof(T));
        for (ptrdiff_t i = 0; i < s.lanes; i++) {
            if (s.label[i] >= 0) dy[s.label[i] * PW + i] = -s.scale[i];
            else for (ptrdiff_t k = 0; k < K; k++) dy[k * PW + i] = (T)NAN;
        }
    }
}

/* max(max_k (1 - t_k) y_k - sum_k t_k y_k + 1, 0); of several largest the first has the derivative */
static void FN(loss_categorical_hinge)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, 1);
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            const T *y = y_pred + p * K * PW + h, *t = (const T *)target + p * K * PW + h;
            T *dy = grad ? grad + p * K * PW + h : NULL;
            double pos[VW] = {0};
            V most = (1 - v_load(t)) * v_load(y), live;
            VI at = {0};
            for (ptrdiff_t k = 0; k < K; k++) {
                const V a = v_load(y + k * PW), b = v_load(t + k * PW), other = (1 - b) * a;
                const VI better = ~(other <= most) & (most == most);
                FN(add_lanes)(pos, a * b);
                most = v_sel(better, other, most);
                at = (at & ~better) | (v_set1i((TI)k) & better);
            }
            for (int i = 0; i < VW; i++) {
                const double margin = (double)most[i] - pos[i] + 1;
                loss[h + i] = margin < 0 ? 0 : margin;
                live[i] = (T)(margin > 0 ? 1 : margin < 0 ? 0 : margin); /* NaN stays */
            }
            const V scale = live * v_loadu(s.scale + h);
            for (ptrdiff_t k = 0; dy && k < K; k++) {
                const V b = v_load(t + k * PW);
                const V g = (v_sel(at == v_set1i((TI)k), 1 - b, (V){0}) - b) * scale;
                v_store(dy + k * PW, v_sel(v_firstn(s.lanes - h), g, (V){0}));
            }
        }
        FN(panel_close)(&s, loss);
    }
}

/* c = -sum_k u_k v_k, u = t / |t|, v = y / |y|, where a norm below eps counts as eps;
 * dy_k = -(u_k - v_k sum_j u_j v_j) / |y| */
static void FN(loss_cosine_similarity)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(loss)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const FN(panel_t) s = FN(panel_open)(op, run, p, 0, 1);
        double loss[PW];
        for (int h = 0; h < PW; h += VW) {
            const T *y = y_pred + p * K * PW + h, *t = (const T *)target + p * K * PW + h;
            T *dy = grad ? grad + p * K * PW + h : NULL;
            double yy[VW] = {0}, tt[VW] = {0}, yt[VW] = {0};
            V by_t, by_y;
            for (ptrdiff_t k = 0; k < K; k++) {
                const V a = v_load(y + k * PW), b = v_load(t + k * PW);
                for (int i = 0; i < VW; i++) {
                    yy[i] += (double)a[i] * (double)a[i];
                    tt[i] += (double)b[i] * (double)b[i];
                    yt[i] += (double)a[i] * (double)b[i];
                }
            }
            for (int i = 0; i < VW; i++) {
                const double ny = sqrt(yy[i]), nt = sqrt(tt[i]), least = FNN_LOSS_EPS;
                const double iy = 1 / (ny < least ? least : ny), it = 1 / (nt < least ? least : nt);
                const double scale = (double)s.scale[h + i] * iy;
                loss[h + i] = -yt[i] * iy * it;
                by_t[i] = (T)(-it * scale);
                by_y[i] = (T)(ny < least ? 0 : -loss[h + i] * iy * scale);
            }
            for (ptrdiff_t k = 0; dy && k < K; k++) {
                const V g = v_load(t + k * PW) * by_t + v_load(y + k * PW) * by_y;
                v_store(dy + k * PW, v_sel(v_firstn(s.lanes - h), g, (V){0}));
            }
        }
        FN(panel_close)(&s, loss);
    }
}

/* ---- metrics ------------------------------------------------------------------------------------------- */

/* w[lane] <- weight of the sample: 1 where there are none, 0 past the last sample; returns their sum. */
FNN_INLINE double FN(metric_weights)(const fnn_op *op, const fnn_run *run, ptrdiff_t p, ptrdiff_t lanes, double *w)
{
    FNN_OPEN(metric)
    double sum = 0;
    for (ptrdiff_t i = 0; i < PW; i++) w[i] = 0;
    for (ptrdiff_t i = 0; i < lanes; i++) {
        w[i] = weight ? (double)weight[FN(data_row)(run, p * PW + i)] : 1;
        sum += w[i];
    }
    return sum;
}

/* Index of the largest feature of each lane as np.argmax finds it: the first of equals, and the first NaN of all. */
FNN_INLINE VI FN(argmax)(const T *y, ptrdiff_t K)
{
    V best = v_load(y);
    VI at = {0};
    for (ptrdiff_t k = 1; k < K; k++) {
        const V v = v_load(y + k * PW);
        const VI better = ~(v <= best) & (best == best);
        best = v_sel(better, v, best);
        at = (at & ~better) | (v_set1i((TI)k) & better);
    }
    return at;
}

FNN_INLINE void FN(accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r, int labels)
{
    FNN_OPEN(metric)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW], hits = 0;
        partial[1] = FN(metric_weights)(op, run, p, lanes, w);
        for (int h = 0; h < PW; h += VW) {
            const VI got = FN(argmax)(y_pred + p * K * PW + h, K);
            const VI want = labels ? got : FN(argmax)((const T *)target + p * K * PW + h, K);
            for (ptrdiff_t i = 0; i < VW && h + i < lanes; i++) {
                const int32_t *label = target;
                if (got[i] == (labels ? (TI)label[FN(data_row)(run, p * PW + h + i)] : want[i])) hits += w[h + i];
            }
        }
        partial[0] = hits;
    }
}
static void FN(metric_sparse_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(accuracy)(op, run, r, 1);
}
static void FN(metric_categorical_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(accuracy)(op, run, r, 0);
}

/* share of the features with y_true == (y_pred > threshold), where y_true = -1 counts as 0 (as hinge losses have it) */
static void FN(metric_binary_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    const V threshold = v_set1((T)params[0]), one = v_set1(1), zero = {0};
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const T *y = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW], hits = 0;
        partial[1] = FN(metric_weights)(op, run, p, lanes, w);
        for (int h = 0; h < PW; h += VW) {
            VI count = {0};
            for (ptrdiff_t k = 0; k < K; k++) {
                const V a = v_load(t + k * PW + h), want = v_sel(a == -one, zero, a);
                count -= v_sel(v_load(y + k * PW + h) > threshold, one, zero) == want;
            }
            for (ptrdiff_t i = 0; i < VW && h + i < lanes; i++) hits += w[h + i] * (double)count[i];
        }
        partial[0] = hits / (double)K;
    }
}

/* share of the outputs that equal their targets */
static void FN(metric_equal_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const T *y = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW], hits = 0;
        partial[1] = FN(metric_weights)(op, run, p, lanes, w);
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < lanes; i++)
                if (y[k * PW + i] == t[k * PW + i]) hits += w[i];
        partial[0] = hits / (double)K;
    }
}

/* whether fewer than k outputs are larger than that of the class, which must be a number */
FNN_INLINE void FN(top_k)(const fnn_op *op, const fnn_run *run, const fnn_rect *r, int labels)
{
    FNN_OPEN(metric)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const T *y = y_pred + p * K * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW], hits = 0;
        partial[1] = FN(metric_weights)(op, run, p, lanes, w);
        for (int h = 0; h < PW; h += VW) {
            const VI want = labels ? (VI){0} : FN(argmax)((const T *)target + p * K * PW + h, K);
            for (ptrdiff_t i = 0; i < VW && h + i < lanes; i++) {
                const int32_t *label = target;
                const ptrdiff_t c = labels ? (ptrdiff_t)label[FN(data_row)(run, p * PW + h + i)] : (ptrdiff_t)want[i];
                ptrdiff_t above = 0;
                if (c < 0 || c >= K) continue;
                for (ptrdiff_t k = 0; k < K; k++) above += !(y[k * PW + h + i] <= y[c * PW + h + i]);
                if ((double)above < params[0]) hits += w[h + i];
            }
        }
        partial[0] = hits;
    }
}
static void FN(metric_top_k_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(top_k)(op, run, r, 0);
}
static void FN(metric_sparse_top_k_accuracy)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FN(top_k)(op, run, r, 1);
}

/* Of output k, yes = (y_pred > threshold), or the largest output if threshold = inf:
 * pair 2 k: {sum of w t yes, of w (1 - t) yes}, pair 2 k + 1: {of w t no, of w (1 - t) no}, w the sample's weight */
static void FN(metric_confusion)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    const int by_largest = params[0] > 1e300;
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const T *y = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        T limit[PW];
        double w[PW];
        FN(metric_weights)(op, run, p, lanes, w);
        for (ptrdiff_t i = 0; i < lanes; i++) limit[i] = by_largest ? y[i] : (T)params[0];
        for (ptrdiff_t k = 1; by_largest && k < K; k++)
            for (ptrdiff_t i = 0; i < lanes; i++)
                if (y[k * PW + i] > limit[i]) limit[i] = y[k * PW + i];
        for (ptrdiff_t k = 0; k < K; k++) {
            double sum[2][2] = {{0}};
            for (ptrdiff_t i = 0; i < lanes; i++) {
                const T v = y[k * PW + i];
                const int yes = by_largest ? v >= limit[i] && (v > (T)1e-9 || v < (T)-1e-9) : v > limit[i];
                sum[!yes][0] += w[i] * (double)t[k * PW + i];
                sum[!yes][1] += w[i] * (1 - (double)t[k * PW + i]);
            }
            for (int j = 0; j < 2; j++) memcpy(partial + (2 * k + j) * stride, sum[j], sizeof(sum[j]));
        }
    }
}

/* Of output k, pair 2 k: {sum of w t, of w t^2}, pair 2 k + 1: {of w (t - y_pred)^2, of w}, w the sample's weight */
static void FN(metric_squares)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const T *y = y_pred + p * K * PW, *t = (const T *)target + p * K * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW];
        const double weights = FN(metric_weights)(op, run, p, lanes, w);
        for (ptrdiff_t k = 0; k < K; k++) {
            double *out = partial + 2 * k * stride, *more = out + stride, sum[3] = {0};
            for (ptrdiff_t i = 0; i < lanes; i++) {
                const double b = (double)t[k * PW + i], e = b - (double)y[k * PW + i];
                sum[0] += w[i] * b, sum[1] += w[i] * (b * b), sum[2] += w[i] * (e * e);
            }
            out[0] = sum[0], out[1] = sum[1], more[0] = sum[2], more[1] = weights;
        }
    }
}

/* Bucket j = max(ceil(y (n - 1)) - 1, 0) of y_pred (or its sigmoid) cut to [0, 1], all outputs together:
 * pair j: weights of {t != 0, t = 0}.  A NaN makes the first bucket NaN.   s: 0 n, 1 from_logits */
static void FN(metric_histogram)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    const ptrdiff_t buckets = (ptrdiff_t)params[0];
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        double *partial = sums + 2 * (run->s0 / PW + p);
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        double w[PW];
        FN(metric_weights)(op, run, p, lanes, w);
        for (ptrdiff_t j = 0; j < buckets; j++) partial[j * stride] = partial[j * stride + 1] = 0;
        for (ptrdiff_t k = 0; k < K; k++)
            for (int h = 0; h < PW; h += VW) {
                const ptrdiff_t q = (p * K + k) * PW + h;
                V y = v_load(y_pred + q);
                if (params[1] != 0) y = FN(vsigmoid)(y);
                y = v_min(v_set1(1), v_max(v_set1(0), y)) * (T)(buckets - 1);
                for (ptrdiff_t i = 0; i < VW && h + i < lanes; i++) {
                    const double up = ceil((double)y[i]) - 1;
                    const ptrdiff_t j = up > 0 ? (ptrdiff_t)up : 0;
                    partial[j * stride + (((const T *)target)[q + i] == 0)] += up == up ? w[h + i] : NAN;
                }
            }
    }
}

/* Every loss as a metric: no gradient, and the sum of the weights in the place of the number of samples. */
FNN_INLINE void FN(count_weights)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(metric)
    double w[PW];
    for (ptrdiff_t p = r->p0; weight && p < r->p1; p++) {
        const ptrdiff_t left = run->n - p * PW;
        sums[2 * (run->s0 / PW + p) + 1] = FN(metric_weights)(op, run, p, left < PW ? left : PW, w);
    }
}
#define FNN_AS_METRIC(name)                                                                      \
    static void FN(metric_##name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)       \
    {                                                                                            \
        const fnn_p_metric *const from = (const void *)op->p;                                    \
        fnn_op loss = *op;                                                                       \
        *(fnn_p_loss *)(void *)loss.p = (fnn_p_loss){.sums = from->sums, .y_pred = from->y_pred, \
                                                     .target = from->target, .weight = from->weight}; \
        ((fnn_n_loss *)(void *)loss.n)->by_sum = 0;                                              \
        FN(loss_##name)(&loss, run, r);                                                          \
        FN(count_weights)(op, run, r);                                                           \
    }
#define X(name, params) FNN_AS_METRIC(name)
FNN_POINT_LOSSES(X)
#undef X
#define X(name, params, target) FNN_AS_METRIC(name)
FNN_ROW_LOSSES(X)
#undef X
#undef FNN_AS_METRIC
#endif
