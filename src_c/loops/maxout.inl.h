/* Maxout (Goodfellow et al. 2013): the largest of k neighbouring features.  f: units. */
#ifndef FNN_MAXOUT_KERNELS
#define FNN_MAXOUT_KERNELS(X) X(maxout_fwd) X(maxout_bwd)
#define FNN_OPERANDS_maxout_fwd(_) \
    _(SPLIT, rect, units) _(P, T, y, out, local) _(P, T, z, in, samples) _(N, units) _(N, k)
#define FNN_OPERANDS_maxout_bwd(_)                                                                        \
    _(SPLIT, rect, units) _(P, T, dz, out, samples) _(P, T, dy, in, local) _(P, T, z, in, samples)        \
    _(P, T, y, in, local) _(N, units) _(N, k)
FNN_MAXOUT_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* y_j = max_i z_(j k + i), NaN if one of them is.  With k = 2 and (0, x) it is relu's own max(0, x). */
static void FN(maxout_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(maxout_fwd)
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t u = r->f0; u < fnn_min(r->f1, units); u++)
            for (int h = 0; h < PW; h += VW) {
                const T *from = z + (p * units + u) * k * PW + h;
                V m = v_load(from);
                for (ptrdiff_t i = 1; i < k; i++) m = v_sel(m == m, v_max(m, v_load(from + i * PW)), m);
                v_store(y + (p * units + u) * PW + h, m);
            }
}

/* dz = dy for the first of the k that is the largest, 0 for the others */
static void FN(maxout_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(maxout_bwd)
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t u = r->f0; u < fnn_min(r->f1, units); u++)
            for (int h = 0; h < PW; h += VW) {
                const ptrdiff_t at = (p * units + u) * PW + h, from = (p * units + u) * k * PW + h;
                const V largest = v_load(y + at);
                V left = v_load(dy + at);
                for (ptrdiff_t i = 0; i < k; i++) {
                    const VI hit = v_load(z + from + i * PW) == largest;
                    v_store(dz + from + i * PW, v_sel(hit, left, (V){0}));
                    left = v_sel(hit, (V){0}, left);
                }
            }
}
#endif
