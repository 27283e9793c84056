/* The penalty on what a layer puts out: (l1 sum |x| + l2 sum x^2) / batch, part of the loss. */
#ifndef FNN_ACTIVITY_KERNELS
#define FNN_ACTIVITY_KERNELS(X) X(activity) X(activity_bwd)
#define FNN_OPERANDS_activity(_)                                                                          \
    _(SPLIT, samples, none) _(P, double, partial, io, samples) _(P, T, x, in, samples)                    \
    _(N, F) _(N, alone) _(S, l1) _(S, l2)
#define FNN_OPERANDS_activity_bwd(_) \
    _(SPLIT, rect, F) _(P, T, dx, out, local) _(P, T, x, in, local) _(N, F) _(S, l1) _(S, l2)
FNN_ACTIVITY_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* partial: [sample panel][2] of the loss; alone: nonzero if there is no other loss */
static void FN(activity)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(activity)
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const ptrdiff_t lanes = fnn_min(PW, run->n - p * PW);
        double *to = partial + 2 * (run->s0 / PW + p), sum = 0;
        for (int h = 0; h < PW; h += VW) {
            const T *from = x + p * F * PW + h;
            double acc[VW] = {0};
            for (ptrdiff_t f = 0; f < F; f++) {
                const V v = v_load(from + f * PW);
                FN(add_lanes)(acc, v_abs(v) * ((T)l1 + (T)l2 * v_abs(v)));
            }
            for (int i = 0; i < VW && h + i < lanes; i++) sum += acc[i];
        }
        if (alone) to[0] = 0, to[1] = (double)lanes;
        to[0] += sum;
    }
}

/* dx = (l1 sign(x) + 2 l2 x) / batch, and 0 at 0 */
static void FN(activity_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(activity_bwd)
    const V size = v_set1((T)(l1 / (double)run->batch)), slope = v_set1((T)(2 * l2 / (double)run->batch));
    FNN_EACH_PIECE(F, r, at, count,
                   for (ptrdiff_t i = at; i < at + count; i += VW) {
                       const V v = v_load(x + i);
                       v_store(dx + i, v_fma(slope, v, v_sel(v == 0, (V){0}, v_copysign(size, v))));
                   });
}
#endif
