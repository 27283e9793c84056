/* Maxout (Goodfellow et al. 2013): the largest of k neighbouring features.  f: units. */
#ifndef FNN_MAXOUT_KERNELS
#define FNN_MAXOUT_KERNELS(X) X(maxout_fwd) X(maxout_bwd)
#endif

/* y_j = max_i z_(j k + i), NaN if one of them is.  With k = 2 and (0, x) it is relu's own max(0, x).
 * p: 0 y, 1 z   n: 0 units, 1 k */
static void FN(maxout_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t U = op->n[0], k = op->n[1];
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t u = r->f0; u < fnn_min(r->f1, U); u++)
            for (int h = 0; h < PW; h += VW) {
                const T *z = (const T *)op->p[1] + (p * U + u) * k * PW + h;
                V m = v_load(z);
                for (ptrdiff_t i = 1; i < k; i++) m = v_sel(m == m, v_max(m, v_load(z + i * PW)), m);
                v_store((T *)op->p[0] + (p * U + u) * PW + h, m);
            }
}

/* dz = dy for the first of the k that is the largest, 0 for the others.   p: 0 dz, 1 dy, 2 z, 3 y   n: as maxout_fwd */
static void FN(maxout_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    (void)run;
    const ptrdiff_t U = op->n[0], k = op->n[1];
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t u = r->f0; u < fnn_min(r->f1, U); u++)
            for (int h = 0; h < PW; h += VW) {
                const ptrdiff_t at = (p * U + u) * PW + h, from = (p * U + u) * k * PW + h;
                const V y = v_load((const T *)op->p[3] + at);
                V left = v_load((const T *)op->p[1] + at);
                for (ptrdiff_t i = 0; i < k; i++) {
                    const VI hit = v_load((const T *)op->p[2] + from + i * PW) == y;
                    v_store((T *)op->p[0] + from + i * PW, v_sel(hit, left, (V){0}));
                    left = v_sel(hit, (V){0}, left);
                }
            }
}
