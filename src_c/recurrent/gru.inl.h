/* Gated recurrent unit (Cho et al. 2014), as in Keras; columns are z (update), r (reset) and the candidate:
 *     z, r = gate(.)  of  a_t + h_(t-1) U,      h_t = z h_(t-1) + (1 - z) c
 *     reset_after (the variant of cuDNN):  c = act(a_t + r (h_(t-1) U + b)),      else:  c = act(a_t + (r h_(t-1)) U)
 * a_t being what the dense layer before gives.
 * Operands: steps.inl.h; z: a_t, then the values of z, r, c.  biases (reset_after): those of both products, one after
 * the other, as the dense layer has none then.  inner: h_(t-1) U + b of the candidate, or r h_(t-1).
 * dinner: the gradient by h_(t-1) U + b; not reset_after: of its first two thirds, and dc that of the rest (each 0
 * elsewhere), for `dense_dw`. */
#ifndef FNN_GRU_KERNELS
#define FNN_GRU_KERNELS(X) X(gru_fwd) X(gru_bwd)
#define FNN_OPERANDS_gru_fwd(_)                                                                               \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, z, io, samples) _(P, T, w, in, all)              \
    _(P, T, biases, in_opt, all) _(P, T, h, out, samples) _(P, T, hk, out_opt, samples)                       \
    _(P, T, pre, out_opt, samples) _(P, T, inner, out, samples) _(P, T, h0, in_opt, samples)                  \
    _(P, T, keep, in_opt, samples) _(P, T, mask, in_opt, samples)                                             \
    FNN_OPERANDS_steps(_) FNN_OPERANDS_gates(_) _(N, reset_after) _(F, fnn_map_fwd, act) _(F, fnn_map_fwd, gate)
#define FNN_OPERANDS_gru_bwd(_)                                                                               \
    _(SPLIT, samples, none) _(P, T, dz, out, samples) _(P, T, dinner, out, samples)                           \
    _(P, T, dc, out_opt, samples) _(P, T, dy, in, samples) _(P, T, z, in, samples) _(P, T, w, in, all)        \
    _(P, T, pre, in_opt, samples) _(P, T, h, in, samples) _(P, T, inner, in, samples)                         \
    _(P, T, dh, out, samples) _(P, T, back, out_opt, samples) _(P, T, keep, in_opt, samples)                  \
    _(P, T, mask, in_opt, samples)                                                                            \
    FNN_OPERANDS_steps(_) FNN_OPERANDS_gates(_) _(N, reset_after) _(N, by_input) _(F, fnn_map_bwd, act)        \
    _(F, fnn_map_bwd, gate)
FNN_GRU_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* Both biases of a step, but for that within the reset */
FNN_INLINE void FN(gru_biases)(T *z, const T *biases, ptrdiff_t units)
{
    for (ptrdiff_t f = 0; f < 3 * units; f++) {
        const V b = v_set1(f < 2 * units ? biases[f] + biases[3 * units + f] : biases[f]);
        for (int h = 0; h < PW; h += VW) v_store(z + f * PW + h, v_load(z + f * PW + h) + b);
    }
}

/* The products of a step of some panels, and its gates but for the candidate's activation. */
static void FN(gru_products)(const fnn_op *op, ptrdiff_t p, ptrdiff_t first, ptrdiff_t panels, int state)
{
    FNN_OPEN(gru_fwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW, all = steps * H;
    const T *read = hk ? hk : h;
    const T *bias = biases ? biases + 5 * units : NULL;
    (void)p;
    if (state) FN(step_product)(z + 3 * first, 3 * all, read + first, all, w, units, 0, 2 * units, NULL, panels, 1);
    if (reset_after) /* without a state it is the bias */
        FN(step_product)(inner + first, all, read + first, all, w, units, 2 * units, 3 * units, bias, panels, 0);
    for (ptrdiff_t q = 0; q < panels; q++) {
        const ptrdiff_t place = first + q * all;
        T *now = z + 3 * place, *r_ = now + H, *c_ = r_ + H;
        if (biases) FN(gru_biases)(now, biases, units);
        if (pre) memcpy(pre + 3 * place, now, (size_t)(2 * H) * sizeof(T));
        gate(now, now, 2 * H, s_gate);
        if (reset_after)
            for (ptrdiff_t i = 0; i < H; i += VW)
                v_store(c_ + i, v_fma(v_load(r_ + i), v_load(inner + place + i), v_load(c_ + i)));
        else FN(step_keep)(inner + place, r_, read + place, H);
    }
    if (!reset_after && state)
        FN(step_product)(z + 3 * first + 2 * H, 3 * all, inner + first, all, w, units, 2 * units, 3 * units, NULL,
                         panels, 1);
}

static void FN(gru_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(gru_fwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW, all = steps * H;
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_STEP_PANELS) {
        const ptrdiff_t panels = fnn_min(FNN_STEP_PANELS, r->p1 - p);
        for (ptrdiff_t s = 0; s < steps; s++) {
            const ptrdiff_t first = p * all + fnn_time(s, steps, backwards) * H;
            FN(step_begin)(h, hk, h0, keep, p, s, first, panels, steps, H);
            FN(gru_products)(op, p, first, panels, s > 0 || h0 != NULL);
            for (ptrdiff_t q = 0; q < panels; q++) {
                const FN(time_step) at = FNN_STEP(p + q, s);
                const ptrdiff_t place = first + q * all;
                T *z_ = z + 3 * place, *c_ = z_ + 2 * H;
                const T *before = h + place;
                if (pre) memcpy(pre + 3 * place + 2 * H, c_, (size_t)H * sizeof(T));
                act(c_, c_, H, s_act);
                for (ptrdiff_t i = 0; i < H; i += VW) {
                    const V old = v_load(before + i), new = v_load(c_ + i);
                    V v = v_fma(v_load(z_ + i), old - new, new);
                    if (mask) v = v_sel(at.valid[i / VW % 2], v, old);
                    FN(step_end)(&at, i, v);
                }
            }
        }
    }
}

/* The gradients of the gates of a step of a sample panel, before those of the products:
 *     dz = dh (h_(t-1) - c),   dc = dh (1 - z),   dh_(t-1) = dh z + ...
 * each but the last times the derivative of its gate. */
static void FN(gru_step_bwd)(const fnn_op *op, const FN(time_step) *at, ptrdiff_t place, T *dhq)
{
    FNN_OPEN(gru_bwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW;
    const T *z_ = z + 3 * place, *r_ = z_ + H, *c_ = r_ + H, *before = h + place;
    T *du = dz + 3 * place, *dr = du + H, *dcand = dr + H, *di = dinner + 3 * place;
    for (ptrdiff_t i = 0; i < H; i += VW) {
        V d = v_load(dhq + i), held = {0};
        const V u = v_load(z_ + i);
        if (mask) {
            const VI valid = at->valid[i / VW % 2];
            held = v_sel(valid, (V){0}, d), d = v_sel(valid, d, (V){0});
        }
        v_store(du + i, d * (v_load(before + i) - v_load(c_ + i)));
        v_store(dcand + i, d * (1 - u));
        v_store(dhq + i, v_fma(d, u, held));
    }
    act(dcand, dcand, (by_input & FNN_ACT_BY_INPUT ? pre : z) + 3 * place + 2 * H, H, s_act);
    if (reset_after) {
        for (ptrdiff_t i = 0; i < H; i += VW) {
            const V d = v_load(dcand + i);
            v_store(dr + i, d * v_load(inner + place + i));
            v_store(di + 2 * H + i, d * v_load(r_ + i));
        }
        gate(du, du, (by_input & FNN_GATE_BY_INPUT ? pre : z) + 3 * place, 2 * H, s_gate);
        memcpy(di, du, (size_t)(2 * H) * sizeof(T));
    } else {
        memset(dc + 3 * place, 0, (size_t)(2 * H) * sizeof(T));
        memcpy(dc + 3 * place + 2 * H, dcand, (size_t)H * sizeof(T));
    }
}

/* The same before the product of the candidate, whose gradient by r h_(t-1) is in back. */
static void FN(gru_reset_bwd)(const fnn_op *op, ptrdiff_t place, const T *drh, const T *keepq, T *dhq)
{
    FNN_OPEN(gru_bwd)
    FNN_OPEN_GATES
    const ptrdiff_t H = units * PW;
    const T *r_ = z + 3 * place + H, *before = h + place;
    T *du = dz + 3 * place, *dr = du + H, *di = dinner + 3 * place;
    for (ptrdiff_t i = 0; i < H; i += VW) {
        V d = v_load(drh + i);
        if (keepq) d = d * v_load(keepq + i);
        v_store(dr + i, d * v_load(before + i));
        v_store(dhq + i, v_fma(d, v_load(r_ + i), v_load(dhq + i)));
    }
    gate(du, du, (by_input & FNN_GATE_BY_INPUT ? pre : z) + 3 * place, 2 * H, s_gate);
    memcpy(di, du, (size_t)(2 * H) * sizeof(T));
    memset(di + 2 * H, 0, (size_t)H * sizeof(T));
}

static void FN(gru_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(gru_bwd)
    const ptrdiff_t H = units * PW, all = steps * H, whole = 2 * units / PW * PW;
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_STEP_PANELS) {
        const ptrdiff_t panels = fnn_min(FNN_STEP_PANELS, r->p1 - p);
        int begins = 1;
        for (ptrdiff_t s = steps - 1; s >= 0; s--) {
            const ptrdiff_t first = p * all + fnn_time(s, steps, backwards) * H;
            const int cut = FN(step_cut)(s, steps, truncate);
            T *dhp = dh + p * H;
            for (ptrdiff_t q = 0; q < panels; q++) {
                const FN(time_step) at = FNN_STEP_BACK(p + q, s);
                FN(step_gather)(dhp + q * H, at.result, at.states, begins, H);
                FN(gru_step_bwd)(op, &at, first + q * all, dhp + q * H);
            }
            if (!reset_after) {
                FN(step_back)(back + p * H, H, dc + 3 * first, 3 * all, w, units, whole, 3 * units, panels, 0);
                for (ptrdiff_t q = 0; q < panels; q++)
                    FN(gru_reset_bwd)(op, first + q * all, back + (p + q) * H, keep ? keep + (p + q) * H : NULL,
                                      dhp + q * H);
            }
            begins = cut;
            if (cut && s > 0) continue;
            if (s == 0 && !initial) break;
            const ptrdiff_t rows = reset_after ? 3 * units : 2 * units;
            FN(step_state_back)(dh, back, keep, p, dinner + 3 * first, 3 * all, w, units, rows, panels, 1);
        }
    }
}
#endif
