/* What recurrent layers share: time steps in panels, and the products of one step.
 *
 * (a) A sample of `steps` time steps of F features is `steps` panels of F features in its sample panel, one after the
 *     other: a time step is an offset.  A kernel carries a few sample panels (FNN_STEP_PANELS) through all steps, so
 *     that what it reads of the recurrent kernel serves all of them; sample panels are independent: no barrier.
 * (b) What the layer reads has gone through a dense layer before (`z`, with the bias): one product for all steps.  The
 *     gradients of both kernels are one `dense_dw` each, over all samples and steps: for that of the recurrent kernel,
 *     `h` holds at each step the state *before* it, as the product of that step read it.
 * (c) z becomes the values of the gates in place.  What is needed on the way back is kept in the order of x; steps are
 *     taken from the end if `backwards`, and then results are in the order in which they are made, unless `flipped`.
 * (d) Operands that all cells have.
 *     y: results of a sample, all steps (`sequences`) or the last; after them (`states`) the last states.
 *     h: states before each step; hk: times `keep`, the mask of dropout; pre: what the activations read, for those
 *     whose derivative needs it; h0: the first state (NULL: 0); mask: of each step of a sample whether it counts (0:
 *     the state stays as it is).
 *     dh: the gradient of the state, that of h0 in the end (if `initial`); back: memory for a product that is to be
 *     multiplied by `keep`; truncate: the gradient stops after so many steps, counted from the last (0: never). */
#ifndef FNN_STEP_PANELS
#define FNN_STEP_PANELS 4
#define FNN_OPERANDS_steps(_) \
    _(N, units) _(N, steps) _(N, backwards) _(N, sequences) _(N, flipped) _(N, states) _(N, truncate) _(N, initial)
/* by_input: which derivatives of LSTM and GRU are by what the activation reads, not by its result */
enum { FNN_ACT_BY_INPUT = 1, FNN_GATE_BY_INPUT = 2 };
/* numbers of the activation and of that of the gates; the loops want room for FNN_MAX_S of each */
#define FNN_OPERANDS_gates(_) _(SV, of_act, 4) _(SV, of_gate, 4)
#define FNN_OPEN_GATES                                                          \
    const double s_act[FNN_MAX_S] FNN_UNUSED = {of_act[0], of_act[1], of_act[2], of_act[3]}; \
    const double s_gate[FNN_MAX_S] FNN_UNUSED = {of_gate[0], of_gate[1], of_gate[2], of_gate[3]};
#define FNN_STEP_KERNELS(X) X(step_sums) X(step_mask) X(mask_steps)
#define FNN_OPERANDS_step_sums(_)                                                                             \
    _(SPLIT, slots, count) _(P, T, grad, io, features) _(P, T, dy, in, all) _(N, count) _(N, steps)           \
    _(N, stride) _(N, offset) _(N, adds)
#define FNN_OPERANDS_step_mask(_)                                                                             \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(N, F) _(N, steps) _(S, value)
#define FNN_OPERANDS_mask_steps(_)                                                                            \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(P, T, mask, in, samples)       \
    _(N, F) _(N, steps)
FNN_STEP_KERNELS(FNN_LAYOUT)

/* where step s is in a sample */
static inline ptrdiff_t fnn_time(ptrdiff_t s, ptrdiff_t steps, ptrdiff_t backwards)
{
    return backwards ? steps - 1 - s : s;
}
#endif
#ifdef SFX

/* Rows [f0, f1) of z, which begins with row f0: (+)= h w, at one step of `panels` sample panels.  bias: at which the
 * sums start, unless `resume`. */
static void FN(step_product)(T *z, ptrdiff_t z_panel, const T *h, ptrdiff_t h_panel, const T *w, ptrdiff_t units,
                             ptrdiff_t f0, ptrdiff_t f1, const T *bias, ptrdiff_t panels, int resume)
{
    const ptrdiff_t blocks = fnn_parts(units, FNN_KC);
    for (ptrdiff_t kb = 0; kb < blocks; kb++) {
        const ptrdiff_t k0 = fnn_cut(units, blocks, kb, 1), k1 = fnn_cut(units, blocks, kb + 1, 1);
        for (ptrdiff_t f = f0, next; f < f1; f = next) {
            next = FN(panel_end)(f, f1);
            const T *wf = w + (f / PW * units + k0) * PW + f % PW;
            for (ptrdiff_t p = 0; p < panels; p++)
                FN(forward_panel)(z + p * z_panel + (f - f0) * PW, h + p * h_panel + k0 * PW, wf,
                                  bias ? bias + f - f0 : NULL, k1 - k0, next - f, resume || kb > 0);
        }
    }
}

/* dh (+)= dz w^T over the rows [k0, k1) of dz, k0 a multiple of PW, at one step of `panels` sample panels */
static void FN(step_back)(T *dh, ptrdiff_t dh_panel, const T *dz, ptrdiff_t dz_panel, const T *w, ptrdiff_t units,
                          ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t panels, int resume)
{
    const ptrdiff_t blocks = fnn_parts(k1 - k0, FNN_KC);
    for (ptrdiff_t kb = 0; kb < blocks; kb++) {
        const ptrdiff_t a = k0 + fnn_cut(k1 - k0, blocks, kb, PW), b = k0 + fnn_cut(k1 - k0, blocks, kb + 1, PW);
        for (ptrdiff_t f = 0, next; f < units; f = next) {
            next = FN(panel_end)(f, units);
            for (ptrdiff_t p = 0; p < panels; p++)
                FN(backward_panel)(dh + p * dh_panel + f * PW, dz + p * dz_panel + a * PW,
                                   w + (a / PW * units + f) * PW, units * PW, b - a, next - f, resume || kb > 0);
        }
    }
}

/* The places of one step of a sample panel. */
typedef struct FN(time_step) {
    ptrdiff_t t;     /* the step in the order of x */
    T *out, *last;   /* where its result and the last states go; NULL: nowhere */
    T *after;        /* where the next step reads the state */
    const T *result; /* the same of the gradient: of its result, of the last states */
    const T *states;
    VI valid[2];     /* where a mask lets it count */
} FN(time_step);

/* Step s of panel q.  y, h, dy: of all panels, or NULL. */
FNN_INLINE FN(time_step) FN(step_at)(ptrdiff_t q, ptrdiff_t s, ptrdiff_t units, ptrdiff_t steps, ptrdiff_t backwards,
                                ptrdiff_t sequences, ptrdiff_t flipped, ptrdiff_t states, T *y, T *h, const T *dy,
                                const T *mask)
{
    const ptrdiff_t results = sequences ? steps : 1, from = q * (results + states) * units * PW;
    FN(time_step) at = {.t = fnn_time(s, steps, backwards)};
    const ptrdiff_t place = from + (sequences ? (flipped ? steps - 1 - s : s) : 0) * units * PW;
    const int last = s == steps - 1;
    if (y && (sequences || last)) at.out = y + place;
    if (dy && (sequences || last)) at.result = dy + place;
    if (y && last && states) at.last = y + from + results * units * PW;
    if (h && !last) at.after = h + (q * steps + fnn_time(s + 1, steps, backwards)) * units * PW;
    if (dy && last && states) at.states = dy + from + results * units * PW;
    for (int h = 0; mask && h < 2; h++) at.valid[h] = v_load(mask + (q * steps + at.t) * PW + h * VW) != 0;
    return at;
}
/* of a forward and a backward kernel that have the operands of this file */
#define FNN_STEP(q, s) FN(step_at)(q, s, units, steps, backwards, sequences, flipped, states, y, h, NULL, mask)
#define FNN_STEP_BACK(q, s) FN(step_at)(q, s, units, steps, backwards, sequences, flipped, states, NULL, NULL, dy, mask)

/* The state before the first step. */
FNN_INLINE void FN(first_state)(T *h, const T *h0, ptrdiff_t length)
{
    if (h0) memcpy(h, h0, (size_t)length * sizeof(T));
    else memset(h, 0, (size_t)length * sizeof(T));
}

/* y = x times keep */
FNN_INLINE void FN(step_keep)(T *y, const T *x, const T *keep, ptrdiff_t length)
{
    for (ptrdiff_t i = 0; i < length; i += VW) v_store(y + i, v_load(x + i) * v_load(keep + i));
}

/* Before step s of `panels` sample panels from p on: the first state, and the factor of a product with dropout. */
FNN_INLINE void FN(step_begin)(T *h, T *hk, const T *h0, const T *keep, ptrdiff_t p, ptrdiff_t s, ptrdiff_t first,
                               ptrdiff_t panels, ptrdiff_t steps, ptrdiff_t length)
{
    for (ptrdiff_t q = 0; q < panels; q++) {
        const ptrdiff_t at = first + q * steps * length, of_panel = (p + q) * length;
        if (s == 0) FN(first_state)(h + at, h0 ? h0 + of_panel : NULL, length);
        if (hk) FN(step_keep)(hk + at, h + at, keep + of_panel, length);
    }
}

/* The state v after a step, from element i on. */
FNN_INLINE void FN(step_end)(const FN(time_step) *at, ptrdiff_t i, V v)
{
    if (at->after) v_store(at->after + i, v);
    if (at->out) v_store(at->out + i, v);
    if (at->last) v_store(at->last + i, v);
}

/* dh (+)= back times keep, the gradient of a product of the state times keep */
FNN_INLINE void FN(step_kept)(T *dh, const T *back, const T *keep, ptrdiff_t length, int adds)
{
    for (ptrdiff_t i = 0; i < length; i += VW) {
        const V d = v_load(back + i) * v_load(keep + i);
        v_store(dh + i, adds ? v_load(dh + i) + d : d);
    }
}

/* dh (+)= dz w^T over `rows` rows of dz, for `panels` sample panels from p on; with dropout times keep, by way of back.
 * dz: of the first of them, at one step. */
static void FN(step_state_back)(T *dh, T *back, const T *keep, ptrdiff_t p, const T *dz, ptrdiff_t dz_panel, const T *w,
                                ptrdiff_t units, ptrdiff_t rows, ptrdiff_t panels, int adds)
{
    const ptrdiff_t length = units * PW;
    T *into = (keep ? back : dh) + p * length;
    FN(step_back)(into, length, dz, dz_panel, w, units, 0, rows, panels, adds && !keep);
    if (keep) FN(step_kept)(dh + p * length, into, keep + p * length, panels * length, adds);
}

/* The gradient of the state after a step, from that of the step after it: more from the results. */
FNN_INLINE void FN(step_gather)(T *dh, const T *result, const T *state, int begins, ptrdiff_t length)
{
    for (ptrdiff_t i = 0; i < length; i += VW) {
        V d = begins ? (V){0} : v_load(dh + i);
        if (result) d += v_load(result + i);
        if (state) d += v_load(state + i);
        v_store(dh + i, d);
    }
}

/* Whether the gradient stops before step s. */
FNN_INLINE int FN(step_cut)(ptrdiff_t s, ptrdiff_t steps, ptrdiff_t truncate)
{
    return truncate > 0 && (steps - s) % truncate == 0;
}

/* grad[offset + j] = the sum of dy[j] over the samples of the rect and all steps.  f: elements j, `count` of them. */
static void FN(step_sums)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(step_sums)
    const ptrdiff_t end = fnn_min(r->p1 * PW, run->n);
    for (ptrdiff_t j = r->f0; j < fnn_min(r->f1, count); j += VW) {
        V sums[VW];
        for (int i = 0; i < VW; i++) {
            sums[i] = (V){0};
            for (ptrdiff_t s = r->p0 * PW; j + i < count && s < end; s += PW) {
                V a = {0}, b = {0};
                for (ptrdiff_t t = 0; t < steps; t++) {
                    const T *from = dy + ((s / PW * steps + t) * count + j + i) * PW;
                    a += v_load(from), b += v_load(from + VW);
                }
                sums[i] += FN(valid)(a, s, end) + FN(valid)(b, s + VW, end);
            }
        }
        T *g = grad + run->slot * stride + offset + j; /* anywhere in a vector: two runs of sums are one variable */
        const ptrdiff_t n = fnn_min(VW, count - j);
        const V before = run->accumulate || adds ? v_loadn(g, n) : (V){0};
        v_storen(g, before + FN(sum_lanes)(sums), n);
    }
}

/* y = 1 for steps of which a feature is not `value`, else 0 */
static void FN(step_mask)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(step_mask)
    const V padding = v_set1((T)value);
    (void)run;
    for (ptrdiff_t q = r->p0 * steps; q < r->p1 * steps; q++)
        for (int h = 0; h < PW; h += VW) {
            VI counts = {0};
            for (ptrdiff_t f = 0; f < F; f++) counts |= v_load(x + (q * F + f) * PW + h) != padding;
            v_store(y + q * PW + h, v_sel(counts, v_set1(1), (V){0}));
        }
}

/* y = x for the steps that count, else 0, whatever x is */
static void FN(mask_steps)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(mask_steps)
    (void)run;
    for (ptrdiff_t q = r->p0 * steps; q < r->p1 * steps; q++)
        for (int h = 0; h < PW; h += VW) {
            const VI counts = v_load(mask + q * PW + h) != 0;
            for (ptrdiff_t f = 0; f < F; f++) {
                const ptrdiff_t at = (q * F + f) * PW + h;
                v_store(y + at, v_sel(counts, v_load(x + at), (V){0}));
            }
        }
}
#endif
