/* Long short-term memory (Hochreiter & Schmidhuber 1997; with a forget gate, Gers et al. 2000), as in Keras:
 *     i, f, o = gate(.),   g = act(.)       of z_t + h_(t-1) U, whose columns are i, f, g, o
 *     c_t = f c_(t-1) + i g,   h_t = o act(c_t)
 * Operands: steps.inl.h; c: c_t of each step, ac: act(c_t); c0: as h0, dc: as dh. */
#ifndef FNN_LSTM_KERNELS
#define FNN_LSTM_KERNELS(X) X(lstm_fwd) X(lstm_bwd)
#define FNN_OPERANDS_lstm_fwd(_)                                                                              \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, z, io, samples) _(P, T, w, in, all)              \
    _(P, T, h, out, samples) _(P, T, hk, out_opt, samples) _(P, T, pre, out_opt, samples)                     \
    _(P, T, c, out, samples) _(P, T, ac, out, samples) _(P, T, h0, in_opt, samples)                           \
    _(P, T, c0, in_opt, samples) _(P, T, keep, in_opt, samples) _(P, T, mask, in_opt, samples)                \
    FNN_OPERANDS_steps(_) FNN_OPERANDS_gates(_) _(F, fnn_map_fwd, act) _(F, fnn_map_fwd, gate)
#define FNN_OPERANDS_lstm_bwd(_)                                                                              \
    _(SPLIT, samples, none) _(P, T, dz, out, samples) _(P, T, dy, in, samples) _(P, T, z, in, samples)        \
    _(P, T, w, in, all) _(P, T, pre, in_opt, samples) _(P, T, c, in, samples) _(P, T, ac, in, samples)        \
    _(P, T, dh, out, samples) _(P, T, dc, out, samples) _(P, T, c0, in_opt, samples)                          \
    _(P, T, back, out_opt, samples) _(P, T, keep, in_opt, samples) _(P, T, mask, in_opt, samples)             \
    FNN_OPERANDS_steps(_) FNN_OPERANDS_gates(_) _(N, by_input) _(F, fnn_map_bwd, act) _(F, fnn_map_bwd, gate)
FNN_LSTM_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* c before step s of sample panel q; NULL: 0 */
FNN_INLINE const T *FN(memory_before)(const T *c, const T *c0, ptrdiff_t q, ptrdiff_t s, ptrdiff_t steps,
                                      ptrdiff_t backwards, ptrdiff_t length)
{
    if (s > 0) return c + (q * steps + fnn_time(s - 1, steps, backwards)) * length;
    return c0 ? c0 + q * length : NULL;
}

static void FN(lstm_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(lstm_fwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW, all = steps * H;
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_STEP_PANELS) {
        const ptrdiff_t panels = fnn_min(FNN_STEP_PANELS, r->p1 - p);
        for (ptrdiff_t s = 0; s < steps; s++) {
            const ptrdiff_t first = p * all + fnn_time(s, steps, backwards) * H;
            FN(step_begin)(h, hk, h0, keep, p, s, first, panels, steps, H);
            if (s > 0 || h0)
                FN(step_product)(z + 4 * first, 4 * all, (hk ? hk : h) + first, all, w, units, 0, 4 * units, NULL,
                                 panels, 1);
            for (ptrdiff_t q = 0; q < panels; q++) {
                const FN(time_step) at = FNN_STEP(p + q, s);
                const ptrdiff_t place = first + q * all;
                T *i_ = z + 4 * place, *f_ = i_ + H, *g_ = f_ + H, *o_ = g_ + H, *now = c + place, *active = ac + place;
                const T *before = h + place;
                const T *c_before = FN(memory_before)(c, c0, p + q, s, steps, backwards, H);
                if (pre) memcpy(pre + 4 * place, i_, (size_t)(4 * H) * sizeof(T));
                gate(i_, i_, 2 * H, s_gate);
                act(g_, g_, H, s_act);
                gate(o_, o_, H, s_gate);
                for (ptrdiff_t i = 0; i < H; i += VW) {
                    const V old = c_before ? v_load(c_before + i) : (V){0};
                    V v = v_fma(v_load(f_ + i), old, v_load(i_ + i) * v_load(g_ + i));
                    if (mask) v = v_sel(at.valid[i / VW % 2], v, old);
                    v_store(now + i, v);
                    if (at.last) v_store(at.last + H + i, v);
                }
                act(active, now, H, s_act);
                for (ptrdiff_t i = 0; i < H; i += VW) {
                    V v = v_load(o_ + i) * v_load(active + i);
                    if (mask) v = v_sel(at.valid[i / VW % 2], v, v_load(before + i));
                    FN(step_end)(&at, i, v);
                }
            }
        }
    }
}

/* The gradients of one step of a sample panel.  With dh, dc those of h_t and c_t:
 *     do = dh act(c_t),   dc += dh o act'(c_t),   di = dc g,   df = dc c_(t-1),   dg = dc i,   dc_(t-1) = dc f
 * and each, but the last, times the derivative of its gate; where the step does not count, dh and dc pass it by. */
static void FN(lstm_step_bwd)(const fnn_op *op, const FN(time_step) *at, ptrdiff_t place, T *dhq, T *dcq,
                              const T *c_before)
{
    FNN_OPEN(lstm_bwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW;
    const T *i_ = z + 4 * place, *f_ = i_ + H, *g_ = f_ + H, *o_ = g_ + H, *active = ac + place;
    const T *t_act = (by_input & FNN_ACT_BY_INPUT ? pre : z) + 4 * place;
    const T *t_gate = (by_input & FNN_GATE_BY_INPUT ? pre : z) + 4 * place;
    T *di = dz + 4 * place, *df = di + H, *dg = df + H, *d_o = dg + H;
    for (ptrdiff_t i = 0; i < H; i += VW) {
        const V d = v_load(dhq + i);
        v_store(d_o + i, d * v_load(active + i));
        v_store(dg + i, d * v_load(o_ + i));
    }
    act(dg, dg, by_input & FNN_ACT_BY_INPUT ? c + place : active, H, s_act);
    for (ptrdiff_t i = 0; i < H; i += VW) {
        const V old = c_before ? v_load(c_before + i) : (V){0};
        V d = v_load(dcq + i), dct = v_load(dg + i) + d;
        if (mask) {
            const VI valid = at->valid[i / VW % 2];
            dct = v_sel(valid, dct, (V){0});
            v_store(d_o + i, v_sel(valid, v_load(d_o + i), (V){0}));
            v_store(dhq + i, v_sel(valid, (V){0}, v_load(dhq + i)));
            d = v_sel(valid, dct * v_load(f_ + i), d);
        } else d = dct * v_load(f_ + i);
        v_store(di + i, dct * v_load(g_ + i));
        v_store(df + i, dct * old);
        v_store(dg + i, dct * v_load(i_ + i));
        v_store(dcq + i, d);
    }
    gate(di, di, t_gate, 2 * H, s_gate);
    act(dg, dg, t_act + 2 * H, H, s_act);
    gate(d_o, d_o, t_gate + 3 * H, H, s_gate);
}

static void FN(lstm_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(lstm_bwd)
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
                T *dhq = dh + (p + q) * H, *dcq = dc + (p + q) * H;
                const T *c_before = FN(memory_before)(c, c0, p + q, s, steps, backwards, H);
                FN(step_gather)(dhq, at.result, at.states, begins, H);
                if (begins) FN(step_gather)(dcq, NULL, at.states ? at.states + H : NULL, 1, H);
                FN(lstm_step_bwd)(op, &at, first + q * all, dhq, dcq, c_before);
            }
            begins = cut;
            if (cut && s > 0) continue;
            if (s == 0 && !initial) break;
            FN(step_state_back)(dh, back, keep, p, dz + 4 * first, 4 * all, w, units, 4 * units, panels, mask != NULL);
        }
    }
}
#endif
