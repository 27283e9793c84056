/* What changes weights besides the optimizer: penalties, decay, accumulated gradients, averages, constraints.
 *
 * (a) Kernels that run the optimizer on a tile apply a variable's rule (fnn_rule) there, while gradient and weights
 *     are in L1.  `rules` is the pass for everything else: chunked gradients, clipping by norm, vectors.
 * (b) The order is Keras': penalty, clipping, decay, step, average, constraint.  Decay touches only weights and
 *     clipping only gradients, so the two may be done the other way round.
 * (c) Padding is zero and stays zero: sign(0) is 0, and a constraint only multiplies. */
#ifndef FNN_RULE_KERNELS
#define FNN_RULE_KERNELS(X) X(rules) X(accumulate) X(average) X(constrain_units) X(constrain_groups)
#define FNN_OPERANDS_rules(_)                                                                             \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, theta, io, blocks) _(P, T, grad, io, blocks) \
    _(P, fnn_rule, rules, in, all) _(P, double, values, out_opt, blocks) _(N, what) _(N, every)
#define FNN_OPERANDS_accumulate(_)                                                                        \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, grad, io, blocks)                      \
    _(P, T, accumulated, io, blocks) _(N, every)
#define FNN_OPERANDS_average(_)                                                                           \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, theta, io, blocks)                     \
    _(P, T, average, io, blocks) _(N, overwrite) _(N, every) _(S, momentum)
#define FNN_OPERANDS_constrain_units(_)                                                                   \
    _(SPLIT, items, none) _(P, T, w, io, all) _(N, rows) _(N, count) _(SV, limits, 4) _(S, nonnegative)
#define FNN_OPERANDS_constrain_groups(_)                                                                  \
    _(SPLIT, items, none) _(P, T, theta, io, all) _(P, int64_t, members, in, all) _(N, size) _(SV, limits, 4)
FNN_RULE_KERNELS(FNN_LAYOUT)
enum { FNN_RULE_PENALTY = 1, FNN_RULE_DECAY = 2, FNN_RULE_ALL = 3 };
#endif
#ifdef SFX

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

/* rules: one a variable; values: of the penalties, one a block (NULL: not wanted); what: FNN_RULE_*; every: steps that
 * make one update (0, 1: each): there is no decay in the others */
static void FN(rules)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(rules)
    const int now = (int)what & (fnn_due(run->step, every) ? FNN_RULE_ALL : FNN_RULE_PENALTY);
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        fnn_rule rule = rules[b.var];
        rule.values = values;
        FN(apply_rule)(&rule, grad + b.off, theta + b.off, b.len, run->rate, now, f);
    }
}

/* Gradients of several steps make one update: A <- A + G, and in the last of them G <- (G + A) / steps, A <- 0 */
static void FN(accumulate)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(accumulate)
    const int due = fnn_due(run->step, every);
    const V steps = v_set1((T)every);
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        T *g = grad + b.off, *a = accumulated + b.off;
        for (ptrdiff_t i = 0; i < b.len; i += VW) {
            const V sum = v_load(g + i) + v_load(a + i);
            v_store(a + i, due ? (V){0} : sum);
            if (due) v_store(g + i, sum / steps);
        }
    }
}

/* average <- momentum average + (1 - momentum) w, w itself in the first update; every so many updates w <- average.
 * overwrite: updates from one overwriting to the next (0: never); every: steps of an update */
static void FN(average)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(average)
    const uint64_t update = run->step / (uint64_t)(every > 1 ? every : 1);
    const int over = overwrite > 0 && fnn_due(update, overwrite);
    const V m = v_set1((T)momentum), rest = 1 - m;
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        T *w = theta + b.off, *a = average + b.off;
        for (ptrdiff_t i = 0; i < b.len; i += VW) {
            const V x = v_load(w + i), mean = update ? v_fma(m, v_load(a + i), rest * x) : x;
            v_store(a + i, mean);
            if (over) v_store(w + i, mean);
        }
    }
}

/* What weights of a norm are multiplied with: (rate clip(norm, low, high) + (1 - rate) norm) / (epsilon + norm).
 * limits: low, high, rate, epsilon */
FNN_INLINE V FN(constraint_factor)(V norm, const double *limits)
{
    const double low = limits[0], high = limits[1], rate = limits[2], epsilon = limits[3];
    const V inside = v_min(v_set1((T)high), v_max(v_set1((T)low), norm));
    const V wanted = inside * (T)rate + norm * (T)(1 - rate);
    return wanted / (norm + (T)epsilon);
}

/* A norm for each unit, over its inputs.  Items are unit panels of `rows` rows, of
 * which the first `count` take part.  nonnegative: if not 0, negative weights become 0 instead */
static void FN(constrain_units)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(constrain_units)
    (void)run;
    const ptrdiff_t end = count * PW;
    for (ptrdiff_t u = r->f0; u < r->f1; u++)
        for (int h = 0; h < PW; h += VW) {
            T *unit = w + u * rows * PW + h;
            if (nonnegative != 0) {
                for (ptrdiff_t i = 0; i < end; i += PW) v_store(unit + i, v_max((V){0}, v_load(unit + i)));
                continue;
            }
            V sum = {0};
            for (ptrdiff_t i0 = 0; i0 < end; i0 += 16 * PW) {
                V part = {0};
                for (ptrdiff_t i = i0; i < fnn_min(end, i0 + 16 * PW); i += PW)
                    part = v_fma(v_load(unit + i), v_load(unit + i), part);
                sum += part;
            }
            const V factor = FN(constraint_factor)(v_sqrt(sum), limits);
            for (ptrdiff_t i = 0; i < end; i += PW) v_store(unit + i, v_load(unit + i) * factor);
        }
}

/* A norm for each group of elements wherever they lie.  Items are groups; members: [group][size] offsets in theta */
static void FN(constrain_groups)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(constrain_groups)
    (void)run;
    for (ptrdiff_t g = r->f0; g < r->f1; g++) {
        const int64_t *at = members + g * size;
        double sum = 0;
        for (ptrdiff_t i = 0; i < size; i++) sum += (double)theta[at[i]] * (double)theta[at[i]];
        const T factor = FN(constraint_factor)(v_set1((T)__builtin_sqrt(sum)), limits)[0];
        for (ptrdiff_t i = 0; i < size; i++) theta[at[i]] *= factor;
    }
}
#endif
