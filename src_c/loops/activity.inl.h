/* The penalty on what a layer puts out: (l1 sum |x| + l2 sum x^2) / batch, part of the loss. */
#ifndef FNN_ACTIVITY_KERNELS
#define FNN_ACTIVITY_KERNELS(X) X(activity) X(activity_bwd)
#endif

/* p: 0 double partial[][2] of the loss, 1 x   n: 0 F, 1 nonzero: there is no other loss   s: 0 l1, 1 l2 */
static void FN(activity)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t F = op->n[0];
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const ptrdiff_t lanes = fnn_min(PW, run->n - p * PW);
        double *partial = (double *)op->p[0] + 2 * (run->s0 / PW + p), sum = 0;
        for (int h = 0; h < PW; h += VW) {
            const T *x = (const T *)op->p[1] + p * F * PW + h;
            double acc[VW] = {0};
            for (ptrdiff_t f = 0; f < F; f++) {
                const V v = v_load(x + f * PW);
                FN(add_lanes)(acc, v_abs(v) * ((T)op->s[0] + (T)op->s[1] * v_abs(v)));
            }
            for (int i = 0; i < VW && h + i < lanes; i++) sum += acc[i];
        }
        if (op->n[1]) partial[0] = 0, partial[1] = (double)lanes;
        partial[0] += sum;
    }
}

/* dx = (l1 sign(x) + 2 l2 x) / batch, and 0 at 0.   p: 0 dx, 1 x   n: 0 F   s: 0 l1, 1 l2 */
static void FN(activity_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    T *dx = op->p[0];
    const T *x = op->p[1];
    const V l1 = v_set1((T)(op->s[0] / (double)run->batch)), l2 = v_set1((T)(2 * op->s[1] / (double)run->batch));
    FNN_EACH_PIECE(op->n[0], r, at, count,
                   for (ptrdiff_t i = at; i < at + count; i += VW) {
                       const V v = v_load(x + i);
                       v_store(dx + i, v_fma(l2, v, v_sel(v == 0, (V){0}, v_copysign(l1, v))));
                   });
}
