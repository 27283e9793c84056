/* What is counted about a training besides loss and metrics (fastnn/engine/health.py): units that were active, moments
 * of what layers put out, norms of parameters and of what an update changed. */
#ifndef FNN_HEALTH_KERNELS
#define FNN_HEALTH_KERNELS(X) X(active_units) X(unit_sums) X(keep_blocks) X(moved_blocks)
#define FNN_OPERANDS_active_units(_) \
    _(SPLIT, rect, F) _(P, T, y, in, local) _(P, uint64_t, seen, io, local) _(N, F) _(N, stride)
#define FNN_OPERANDS_unit_sums(_)                                                                                  \
    _(SPLIT, features, F) _(P, T, y, in, features) _(P, T, t, in_opt, features) _(P, double, sum, io_opt, features) \
    _(P, double, square, io, features) _(P, double, flat, io_opt, features) _(N, F) _(S, limit)                    \
    _(SV, s, 4) _(F, fnn_map_bwd, act)
#define FNN_OPERANDS_keep_blocks(_)                                                                                \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, theta, in, blocks) _(P, T, old, out, blocks)    \
    _(P, double, partial, out, blocks)
#define FNN_OPERANDS_moved_blocks(_)                                                                               \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, theta, in, blocks) _(P, T, old, in, blocks)     \
    _(P, double, partial, out, blocks)
FNN_HEALTH_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* seen[p][f]: bit e is set once y of the feature was above 0 for a sample of the panel in epoch e of the call, modulo
 * 64.  Nearly always all bits of an epoch are set after its first step: then no y is read.  stride: from the words of a
 * gradient slot to those of the next, where each chunk begins with the first panel. */
static void FN(active_units)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(active_units)
    const uint64_t bit = (uint64_t)1 << (run->epoch & 63);
    const ptrdiff_t end = fnn_min(r->f1, F);
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const ptrdiff_t lanes = fnn_min(PW, run->n - p * PW);
        uint64_t *of = seen + run->slot * stride + p * F, all = bit;
        for (ptrdiff_t f = r->f0; f < end; f++) all &= of[f];
        if (all) continue;
        for (ptrdiff_t f = r->f0; f < end; f++) {
            const T *from = y + (p * F + f) * PW;
            int hit = 0;
            if (of[f] & bit) continue;
            if (lanes == PW)
                for (int i = 0; i < PW; i++) hit |= from[i] > 0;
            else
                for (ptrdiff_t i = 0; i < lanes; i++) hit |= from[i] > 0;
            if (hit) of[f] |= bit;
        }
    }
}

/* Of each feature, over the batch, added to what the vectors hold: the sum of y, that of y^2, and how many samples have
 * an activation flatter than the limit, |f'(t)| < limit, t as for act_bwd.  In double, lane by lane, then the lanes in
 * order; there is no such operation in a step that is not looked at. */
static void FN(unit_sums)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(unit_sums)
    const ptrdiff_t end = fnn_min(r->f1, F), panels = fnn_parts(run->n, PW);
    T ones[PW], slope[PW];
    for (int i = 0; i < PW; i++) ones[i] = 1;
    for (ptrdiff_t f = r->f0; f < end; f++) {
        double a[PW] = {0}, b[PW] = {0}, c[PW] = {0};
        for (ptrdiff_t p = 0; p < panels; p++) {
            const ptrdiff_t at = (p * F + f) * PW, lanes = fnn_min(PW, run->n - p * PW);
            if (lanes == PW)
                for (int i = 0; i < PW; i++) a[i] += (double)y[at + i], b[i] += (double)y[at + i] * (double)y[at + i];
            else
                for (ptrdiff_t i = 0; i < lanes; i++)
                    a[i] += (double)y[at + i], b[i] += (double)y[at + i] * (double)y[at + i];
            if (!flat) continue;
            act(slope, ones, t + at, PW, s);
            for (ptrdiff_t i = 0; i < lanes; i++) c[i] += slope[i] < (T)limit && slope[i] > -(T)limit;
        }
        for (int i = 1; i < PW; i++) a[0] += a[i], b[0] += b[i], c[0] += c[i];
        if (sum) sum[f] += a[0];
        square[f] += b[0];
        if (flat) flat[f] += c[0];
    }
}

/* old = theta, and the sum of its squares in each block */
static void FN(keep_blocks)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(keep_blocks)
    (void)run;
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        memcpy(old + b.off, theta + b.off, (size_t)b.len * sizeof(T));
        partial[f] = FN(sumsq_block)(theta + b.off, b.len);
    }
}

/* The sum of (theta - old)^2 in each block; differences of neighbouring floats are exact */
static void FN(moved_blocks)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(moved_blocks)
    (void)run;
    T moved[FNN_BLOCK_LEN];
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        for (ptrdiff_t i = 0; i < b.len; i++) moved[i] = theta[b.off + i] - old[b.off + i];
        partial[f] = FN(sumsq_block)(moved, b.len);
    }
}
#endif
