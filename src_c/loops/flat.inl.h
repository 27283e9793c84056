/* Kernels over the flat parameter block.  theta, gradient and optimizer states are parallel vectors with the same
 * offsets; a rect's f0..f1 are indices of blocks (fnn_block), which fix the order of every sum: a result depends on
 * the list of blocks and never on who ran which of them.  A block that is no multiple of a vector long ends in a
 * masked vector that runs the very same code. */
#ifndef FNN_FLAT_KERNELS
#define FNN_FLAT_KERNELS(X) X(reduce_slots) X(norm_partials) X(clip_finish) X(update)
#define FNN_FLAT_FUNCTIONS(X) X(sumsq) X(clip_value) X(scale)
#define FNN_OPERANDS_reduce_slots(_)                                                                      \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, grad, out, blocks) _(P, T, slot, in, all) \
    _(N, slots) _(N, stride) _(N, chunk)
#define FNN_OPERANDS_norm_partials(_)                                                                     \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, grad, in, blocks)                      \
    _(P, double, partial, out, blocks) _(P, double, largest, out_opt, blocks)
#define FNN_OPERANDS_clip_finish(_)                                                                       \
    _(SPLIT, one, none) _(P, fnn_block, blocks, in, all) _(P, double, partial, in, all)                   \
    _(P, double, scale, out, all) _(N, count) _(N, variables) _(S, clipnorm) _(S, global_clipnorm)
#define FNN_OPERANDS_update(_)                                                                            \
    _(SPLIT, items, none) _(P, fnn_block, blocks, in, all) _(P, T, theta, io, blocks)                     \
    _(P, T, state0, io_opt, blocks) _(P, T, state1, io_opt, blocks) _(P, T, state2, io_opt, blocks)       \
    _(P, T, grad, in, blocks) _(P, double, scale, in_opt, all) _(N, every) _(S, clipvalue)                \
    _(F, fnn_update, update)
FNN_FLAT_KERNELS(FNN_LAYOUT)
enum {
#define X(name, params, state) FNN_UPDATE_##name,
    FNN_OPTIMIZERS(X)
#undef X
};
#endif
#ifdef SFX

FNN_INLINE void FN(step)(int id, V *w, V *s0, V *s1, V *s2, V g, const V *h)
{
    switch (id) { /* a constant wherever this is expanded */
#define X(name, params, state) case FNN_UPDATE_##name: FN(step_##name)(w, s0, s1, s2, g, h); break;
    FNN_OPTIMIZERS(X)
#undef X
    }
}

/* one vector of an update, at element i of all */
FNN_INLINE void FN(update_vector)(int id, int states, T *w, T *const *s, const T *g, ptrdiff_t i, const V *h)
{
    V x = v_loadu(w + i), q[3] = {{0}, {0}, {0}};
    for (int k = 0; k < states; k++) q[k] = v_loadu(s[k] + i);
    FN(step)(id, &x, &q[0], &q[1], &q[2], v_loadu(g + i), h);
    for (int k = 0; k < states; k++) v_storeu(s[k] + i, q[k]);
    v_storeu(w + i, x);
}

FNN_INLINE void FN(update_loop)(int id, int states, T *w, T *const *s, const T *g, ptrdiff_t n, ptrdiff_t rows,
                                ptrdiff_t stride, const double *hyper)
{
    V h[FNN_MAX_H];
    for (int i = 0; i < FNN_MAX_H; i++) h[i] = v_set1((T)hyper[i]);
    for (ptrdiff_t first = 0; rows > 0; rows--, first += stride) {
        ptrdiff_t i = first;
        for (; i + VW <= first + n; i += VW) FN(update_vector)(id, states, w, s, g, i, h);
        if (i < first + n) {
            const ptrdiff_t left = first + n - i;
            V x = v_loadn(w + i, left), q[3] = {{0}, {0}, {0}};
            for (int k = 0; k < states; k++) q[k] = v_loadn(s[k] + i, left);
            FN(step)(id, &x, &q[0], &q[1], &q[2], v_loadn(g + i, left), h);
            for (int k = 0; k < states; k++) v_storen(s[k] + i, q[k], left);
            v_storen(w + i, x, left);
        }
    }
}

/* update_<name>: fnn_update.  A state vector may be NULL (then so are those after it): it reads as zero and is not
 * kept, which is what SGD without momentum wants. */
FNN_INLINE void FN(update_states)(int id, T *w, T *s0, T *s1, T *s2, const T *g, ptrdiff_t n, ptrdiff_t rows,
                                  ptrdiff_t stride, const double *h)
{
    T *const s[3] = {s0, s1, s2};
    if (!s0) FN(update_loop)(id, 0, w, s, g, n, rows, stride, h);
    else if (!s1) FN(update_loop)(id, 1, w, s, g, n, rows, stride, h);
    else if (!s2) FN(update_loop)(id, 2, w, s, g, n, rows, stride, h);
    else FN(update_loop)(id, 3, w, s, g, n, rows, stride, h);
}
#define X(name, params, state)                                                                                      \
    static void FN(update_##name)(void *w, void *s0, void *s1, void *s2, const void *g, ptrdiff_t n, ptrdiff_t rows, \
                                  ptrdiff_t stride, const double *h)                                                \
    {                                                                                                               \
        FN(update_states)(FNN_UPDATE_##name, w, s0, s1, s2, g, n, rows, stride, h);                                 \
    }
FNN_OPTIMIZERS(X)
#undef X

/* y = min(max(a x, -c), c), with or without the two halves; NaN stays NaN */
FNN_INLINE void FN(scale_clip)(T *y, const T *x, ptrdiff_t n, int scaled, T a, int clipped, T c)
{
    const V va = v_set1(a), hi = v_set1(c), lo = v_set1(-c);
    for (ptrdiff_t i = 0; i < n; i += VW) {
        V v = n - i >= VW ? v_loadu(x + i) : v_loadn(x + i, n - i);
        if (scaled) v *= va;
        if (clipped) v = v_min(hi, v_max(lo, v));
        if (n - i >= VW) v_storeu(y + i, v);
        else v_storen(y + i, v, n - i);
    }
}
static void FN(clip_value)(T *y, const T *x, ptrdiff_t n, double limit)
{
    FN(scale_clip)(y, x, n, 0, 1, 1, (T)limit);
}
static void FN(scale)(T *y, const T *x, ptrdiff_t n, double a) { FN(scale_clip)(y, x, n, 1, (T)a, 0, 0); }

/* Sum of squares in double: sixteen sums side by side, folded in pairs.  Squares of floats are exact. */
FNN_INLINE double FN(sumsq_block)(const T *x, ptrdiff_t n)
{
    double s[16] = {0};
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) s[i & 15] += (double)x[i] * (double)x[i];
    for (int h = 8; h > 0; h /= 2)
        for (int j = 0; j < h; j++) s[j] += s[j + h];
    return s[0];
}
/* Blocks of FNN_BLOCK_LEN, added up in order: whoever cuts at multiples of that and adds in order gets these bits. */
static double FN(sumsq)(const T *x, ptrdiff_t n)
{
    double s = 0;
    for (ptrdiff_t i = 0; i < n; i += FNN_BLOCK_LEN)
        s += FN(sumsq_block)(x + i, n - i < FNN_BLOCK_LEN ? n - i : FNN_BLOCK_LEN);
    return s;
}

/* G[block] = slot 0 + slot 1 + ... in this order; a short batch has fewer chunks and leaves the last slots alone.
 * slot: the first; slot k is the vector parallel to G at k * stride; chunk: samples of one */
static void FN(reduce_slots)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(reduce_slots)
    const ptrdiff_t filled = fnn_min(slots, fnn_parts(run->n, chunk));
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        T *g = grad + b.off;
        const T *x = slot + b.off;
        ptrdiff_t i = 0;
        for (; i + PW <= b.len; i += PW) {
            V a0 = v_loadu(x + i), a1 = v_loadu(x + i + VW);
            for (ptrdiff_t k = 1; k < filled; k++)
                a0 += v_loadu(x + k * stride + i), a1 += v_loadu(x + k * stride + i + VW);
            v_storeu(g + i, a0);
            v_storeu(g + i + VW, a1);
        }
        for (; i < b.len; i++) {
            T a = x[i];
            for (ptrdiff_t k = 1; k < filled; k++) a += x[k * stride + i];
            g[i] = a;
        }
    }
}

/* partial[block] = sum of the squares of G[block], largest[block] = that of their magnitudes, NaN left out */
static void FN(norm_partials)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(norm_partials)
    (void)run;
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const T *g = grad + blocks[f].off;
        T most = 0;
        partial[f] = FN(sumsq_block)(g, blocks[f].len);
        if (!largest) continue;
        for (ptrdiff_t i = 0; i < blocks[f].len; i++) {
            const T size = g[i] < 0 ? -g[i] : g[i];
            most = size > most ? size : most;
        }
        largest[f] = (double)most;
    }
}

/* What each variable's gradient is to be multiplied with, as Keras 3 has it.
 *   clipnorm c:         c / max(||g_v||, c)       an infinite norm gives 0 (so NaN where g itself is infinite)
 *   global_clipnorm c:  min(1, c / ||g||)         an infinite norm gives NaN: the step is visibly spoilt
 * A NaN norm gives NaN in both. 
 * count: of blocks and of partial; scale: one a variable; a limit of 0 is off */
static void FN(clip_finish)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(clip_finish)
    (void)run, (void)r;
    double total = 0, all = 1;
    for (ptrdiff_t v = 0; v < variables; v++) scale[v] = 0;
    for (ptrdiff_t f = 0; f < count; f++) scale[blocks[f].var] += partial[f];
    for (ptrdiff_t v = 0; v < variables; v++) total += scale[v];
    if (global_clipnorm > 0) {
        const double norm = sqrt(total);
        all = (norm > global_clipnorm ? global_clipnorm / norm : 1) + (norm - norm); /* the last term: 0, or NaN */
    }
    for (ptrdiff_t v = 0; v < variables; v++) {
        const double norm = sqrt(scale[v]);
        scale[v] = all * (clipnorm > 0 && !(norm <= clipnorm) ? clipnorm / norm : 1);
    }
}

/* theta, states <- one step with clip(G * scale[variable]).  G itself is left as it is.
 * scale: one a variable, or NULL; every: steps that make one update (0, 1: each); a clipvalue of 0 is off */
static void FN(update)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(update)
    const T clip = (T)clipvalue;
    if (!fnn_due(run->step, every)) return;
    for (ptrdiff_t f = r->f0; f < r->f1; f++) {
        const fnn_block b = blocks[f];
        const T *g = grad + b.off;
        const T a = scale ? (T)scale[b.var] : 1;
        for (ptrdiff_t i = 0; i < b.len; i += FNN_BLOCK_LEN) {
            const ptrdiff_t n = b.len - i < FNN_BLOCK_LEN ? b.len - i : FNN_BLOCK_LEN, at = b.off + i;
            const T *gi = g + i;
            if (a != 1 || clip > 0) {
                if (clip > 0) FN(scale_clip)(run->scratch, gi, n, 1, a, 1, clip);
                else FN(scale_clip)(run->scratch, gi, n, 1, a, 0, 0);
                gi = run->scratch;
            }
            update(theta + at, state0 ? state0 + at : 0, state1 ? state1 + at : 0, state2 ? state2 + at : 0, gi, n, 1,
                   0, run->hyper);
        }
    }
}
#endif
