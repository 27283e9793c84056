/* What changes weights besides the optimizer: penalties, decay, accumulated gradients, averages, constraints.
 *
 * (a) Kernels that run the optimizer on a tile apply a variable's rule (fnn_rule) there, while gradient and weights
 *     are in L1.  `rules` is the pass for everything else: chunked gradients, clipping by norm, vectors.
 * (b) The order is Keras': penalty, clipping, decay, step, average, constraint.  Decay touches only weights and
 *     clipping only gradients, so the two may be done the other way round.
 * (c) Padding is zero and stays zero: sign(0) is 0, and a constraint only multiplies. */
#ifndef FNN_RULE_KERNELS
#define FNN_RULE_KERNELS(X) X(rules) X(accumulate) X(average) X(constrain_units) X(constrain_groups)
enum { FNN_RULE_PENALTY = 1, FNN_RULE_DECAY = 2, FNN_RULE_ALL = 3 };
#endif

/* g += l1 sign(w) + l2 w;  w <- w - rate decay w;  values[item] = l1 sum |w| + l2 / 2 sum w^2 of w as it was.
 * n: a multiple of a vector.   what: FNN_RULE_* */
static void FN(apply_rule)(const fnn_rule *rule, T *g, T *w, ptrdiff_t n, double rate, int what, ptrdiff_t item)
{
    const int penalty = what & FNN_RULE_PENALTY && (rule->l1 != 0 || rule->l2 != 0);
    const int decay = what & FNN_RULE_DECAY && rule->decay != 0;
    const V l1 = v_set1((T)rule->l1), l2 = v_set1((T)rule->l2), off = v_set1((T)(-rate * rule->decay));
    V sizes = {0}, squares = {0};
    if (n <= 0) return;
    if (penalty)
        for (ptrdiff_t i = 0; i < n; i += VW) {
            const V x = v_load(w + i);
            v_store(g + i, v_load(g + i) + v_fma(l2, x, v_sel(x == 0, (V){0}, v_copysign(l1, x))));
            sizes += v_abs(x), squares = v_fma(x, x, squares);
        }
    if (penalty && rule->values)
        rule->values[item] = rule->l1 * (double)v_hsum(sizes) + rule->l2 / 2 * (double)v_hsum(squares);
    if (decay)
        for (ptrdiff_t i = 0; i < n; i += VW) {
            const V x = v_load(w + i);
            v_store(w + i, v_fma(off, x, x));
        }
}

/* p: 0 blocks, 1 theta, 2 G, 3 fnn_rule[variable], 4 double value[block] of the penalties (NULL: not wanted)
 * n: 0 FNN_RULE_*, 1 steps that make one update (0, 1: each): there is no decay in the others */
static void FN(rules)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const int what = (int)op->n[0] & (fnn_due(run->step, op->n[1]) ? FNN_RULE_ALL : FNN_RULE_PENALTY);
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = ((const fnn_block *)op->p[0])[f];
        fnn_rule rule = ((const fnn_rule *)op->p[3])[b.var];
        rule.values = op->p[4];
        FN(apply_rule)(&rule, (T *)op->p[2] + b.off, (T *)op->p[1] + b.off, b.len, run->rate, what, f);
    }
}

/* Gradients of several steps make one update: A <- A + G, and in the last of them G <- (G + A) / steps, A <- 0.
 * p: 0 blocks, 1 G, 2 A   n: 0 steps */
static void FN(accumulate)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const int due = fnn_due(run->step, op->n[0]);
    const V steps = v_set1((T)op->n[0]);
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = ((const fnn_block *)op->p[0])[f];
        T *g = (T *)op->p[1] + b.off, *a = (T *)op->p[2] + b.off;
        for (ptrdiff_t i = 0; i < b.len; i += VW) {
            const V sum = v_load(g + i) + v_load(a + i);
            v_store(a + i, due ? (V){0} : sum);
            if (due) v_store(g + i, sum / steps);
        }
    }
}

/* average <- momentum average + (1 - momentum) w, w itself in the first update; every so many updates w <- average.
 * p: 0 blocks, 1 theta, 2 average   n: 0 updates from one overwriting to the next (0: never), 1 steps of an update
 * s: 0 momentum */
static void FN(average)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const uint64_t update = run->step / (uint64_t)(op->n[1] > 1 ? op->n[1] : 1);
    const int over = op->n[0] > 0 && fnn_due(update, op->n[0]);
    const V m = v_set1((T)op->s[0]), rest = 1 - m;
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = ((const fnn_block *)op->p[0])[f];
        T *w = (T *)op->p[1] + b.off, *a = (T *)op->p[2] + b.off;
        for (ptrdiff_t i = 0; i < b.len; i += VW) {
            const V x = v_load(w + i), mean = update ? v_fma(m, v_load(a + i), rest * x) : x;
            v_store(a + i, mean);
            if (over) v_store(w + i, mean);
        }
    }
}

/* What weights of a norm are multiplied with: (rate clip(norm, low, high) + (1 - rate) norm) / (epsilon + norm).
 * s: 0 low, 1 high, 2 rate, 3 epsilon */
FNN_INLINE V FN(constraint_factor)(V norm, const double *s)
{
    const V inside = v_min(v_set1((T)s[1]), v_max(v_set1((T)s[0]), norm));
    const V wanted = inside * (T)s[2] + norm * (T)(1 - s[2]);
    return wanted / (norm + (T)s[3]);
}

/* A norm for each unit, over its inputs.  Items are unit panels.
 * p: 0 w   n: 0 rows of a unit panel, 1 rows that count   s: as above, 4 nonzero: negative weights become 0 instead */
static void FN(constrain_units)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t end = op->n[1] * PW;
    for (ptrdiff_t u = r->f0; u < r->f1; u++)
        for (int h = 0; h < PW; h += VW) {
            T *w = (T *)op->p[0] + u * op->n[0] * PW + h;
            if (op->s[4] != 0) {
                for (ptrdiff_t i = 0; i < end; i += PW) v_store(w + i, v_max((V){0}, v_load(w + i)));
                continue;
            }
            V sum = {0};
            for (ptrdiff_t i0 = 0; i0 < end; i0 += 16 * PW) {
                V part = {0};
                for (ptrdiff_t i = i0; i < fnn_min(end, i0 + 16 * PW); i += PW) part = v_fma(v_load(w + i), v_load(w + i), part);
                sum += part;
            }
            const V factor = FN(constraint_factor)(v_sqrt(sum), op->s);
            for (ptrdiff_t i = 0; i < end; i += PW) v_store(w + i, v_load(w + i) * factor);
        }
}

/* A norm for each group of elements wherever they lie.  Items are groups.
 * p: 0 theta, 1 int64 members[group][size]: offsets in theta   n: 0 size   s: as constrain_units, without 4 */
static void FN(constrain_groups)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    T *theta = op->p[0];
    for (ptrdiff_t g = r->f0; g < r->f1; g++) {
        const int64_t *at = (const int64_t *)op->p[1] + g * op->n[0];
        double sum = 0;
        for (ptrdiff_t i = 0; i < op->n[0]; i++) sum += (double)theta[at[i]] * (double)theta[at[i]];
        const T factor = FN(constraint_factor)(v_set1((T)__builtin_sqrt(sum)), op->s)[0];
        for (ptrdiff_t i = 0; i < op->n[0]; i++) theta[at[i]] *= factor;
    }
}
