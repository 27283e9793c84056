/* The simple recurrent layer (Elman 1990): h_t = act(z_t + h_(t-1) U).  Operands: steps.inl.h. */
#ifndef FNN_SIMPLE_RNN_KERNELS
#define FNN_SIMPLE_RNN_KERNELS(X) X(simple_rnn_fwd) X(simple_rnn_bwd)
#define FNN_OPERANDS_simple_rnn_fwd(_)                                                                        \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, z, io, samples) _(P, T, w, in, all)              \
    _(P, T, h, out, samples) _(P, T, hk, out_opt, samples) _(P, T, pre, out_opt, samples)                     \
    _(P, T, h0, in_opt, samples) _(P, T, keep, in_opt, samples) _(P, T, mask, in_opt, samples)                \
    FNN_OPERANDS_steps(_) _(SV, s_act, FNN_MAX_S) _(F, fnn_map_fwd, act)
#define FNN_OPERANDS_simple_rnn_bwd(_)                                                                        \
    _(SPLIT, samples, none) _(P, T, dz, out, samples) _(P, T, dy, in, samples) _(P, T, z, in, samples)        \
    _(P, T, w, in, all) _(P, T, pre, in_opt, samples) _(P, T, dh, out, samples) _(P, T, back, out_opt, samples) \
    _(P, T, keep, in_opt, samples) _(P, T, mask, in_opt, samples)                                             \
    FNN_OPERANDS_steps(_) _(SV, s_act, FNN_MAX_S) _(F, fnn_map_bwd, act)
FNN_SIMPLE_RNN_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

static void FN(simple_rnn_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(simple_rnn_fwd)
    const ptrdiff_t H = units * PW, all = steps * H;
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_STEP_PANELS) {
        const ptrdiff_t panels = fnn_min(FNN_STEP_PANELS, r->p1 - p);
        for (ptrdiff_t s = 0; s < steps; s++) {
            const ptrdiff_t first = p * all + fnn_time(s, steps, backwards) * H;
            FN(step_begin)(h, hk, h0, keep, p, s, first, panels, steps, H);
            if (s > 0 || h0)
                FN(step_product)(z + first, all, (hk ? hk : h) + first, all, w, units, 0, units, NULL, panels, 1);
            for (ptrdiff_t q = 0; q < panels; q++) {
                const FN(time_step) at = FNN_STEP(p + q, s);
                T *now = z + first + q * all;
                const T *before = h + first + q * all;
                if (pre) memcpy(pre + first + q * all, now, (size_t)H * sizeof(T));
                act(now, now, H, s_act);
                for (ptrdiff_t i = 0; i < H; i += VW) {
                    V v = v_load(now + i);
                    if (mask) v = v_sel(at.valid[i / VW % 2], v, v_load(before + i));
                    FN(step_end)(&at, i, v);
                }
            }
        }
    }
}

/* dz_t = dh_t act'(.),   dh_(t-1) = dz_t U^T + the gradient of its result */
static void FN(simple_rnn_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(simple_rnn_bwd)
    const ptrdiff_t H = units * PW, all = steps * H;
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_STEP_PANELS) {
        const ptrdiff_t panels = fnn_min(FNN_STEP_PANELS, r->p1 - p);
        int begins = 1;
        for (ptrdiff_t s = steps - 1; s >= 0; s--) {
            const ptrdiff_t first = p * all + fnn_time(s, steps, backwards) * H;
            const int cut = FN(step_cut)(s, steps, truncate);
            for (ptrdiff_t q = 0; q < panels; q++) {
                const FN(time_step) at = FNN_STEP_BACK(p + q, s);
                const ptrdiff_t place = first + q * all;
                T *dhq = dh + (p + q) * H;
                FN(step_gather)(dhq, at.result, at.states, begins, H);
                act(dz + place, dhq, (pre ? pre : z) + place, H, s_act);
                for (ptrdiff_t i = 0; mask && i < H; i += VW) {
                    const VI valid = at.valid[i / VW % 2];
                    v_store(dz + place + i, v_sel(valid, v_load(dz + place + i), (V){0}));
                    v_store(dhq + i, v_sel(valid, (V){0}, v_load(dhq + i)));
                }
            }
            begins = cut;
            if (cut && s > 0) continue;
            if (s == 0 && !initial) break;
            FN(step_state_back)(dh, back, keep, p, dz + first, all, w, units, units, panels, mask != NULL);
        }
    }
}
#endif
