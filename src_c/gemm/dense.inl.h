/* The dense layer: forward, gradient of the input, gradient of the parameters with the optimizer fused.
 *
 * (a) k is cut into equal blocks of at most FNN_KC rows, so that one unit panel's block of w and one sample
 *     panel's block of x sit in L1 together; samples into blocks of FNN_PC panels, so that x stays in L2 while
 *     the unit panels stream past.  Both cuts depend on shapes only.
 * (b) The activation is an epilogue on the panel just finished (PW x PW elements, still in L1): one indirect
 *     call per panel, no code per activation here.  So is the activation's derivative after dX.
 * (c) dW needs dY with units in the lanes: each unit panel of dY is transposed into scratch once per use.  A panel with
 *     few units (a small last layer, the rest of a wide one) or a layer with few inputs is summed along the lanes
 *     instead, see `dw_narrow`; a panel with at most half its units takes tiles of half the width.
 * (d) dW ends in the optimizer while the gradient is in L1, where nothing comes between tile by tile: then the divider
 *     works on one tile while the next is multiplied, see beside.inl.h.  In fused mode the gradient stays in L1.
 * (e) Behind a batch normalisation whose own input needs no gradient, there is no dX: gamma and beta get their
 *     gradients from the tile of dW (`tile_behind_bn`): a handful of operations a weight, not 2 a weight and sample.
 * (f) Of few samples, the forward pass has the units along the lanes (`forward_few`): a panel has room for PW samples
 *     and costs the same for one.  Each sum has the same terms in the same order, so a sample's bits do not depend on
 *     it.
 * (g) Products by bfloat16 tiles are in tiles.inl.h, where the unit has such.
 * (h) A sample of shape (groups, I), as with time steps, needs no copy and no stride: the features of a group are
 *     neighbouring rows of the sample panel, so it is `groups` panels of I features, one after the other.  Only the
 *     samples of a last, partial panel are not neighbours then: dW takes its groups one by one.
 */
#ifndef FNN_DENSE_KERNELS
#define FNN_DENSE_KERNELS(X) X(dense_fwd) X(dense_dx) X(dense_dw) X(dense_split)
#define FNN_OPERANDS_dense_fwd(_)                                                                         \
    _(SPLIT, rect, O) _(P, T, y, out, local) _(P, T, x, in, samples) _(P, T, w, in, all)                  \
    _(P, T, z, out_opt, local) _(P, TI, kept, in_opt, all)                                                \
    _(N, I) _(N, O) _(N, rows) _(N, splits) _(N, groups) _(SV, s, FNN_MAX_S) _(F, fnn_map_fwd, act)
#define FNN_OPERANDS_dense_dx(_)                                                                          \
    _(SPLIT, rect, I) _(P, T, dx, out, local) _(P, T, dy, in, samples) _(P, T, w, in, all)                \
    _(P, T, t, in_opt, local) _(P, TI, kept, in_opt, all)                                                 \
    _(N, I) _(N, O) _(N, rows) _(N, splits) _(N, groups) _(SV, s, FNN_MAX_S) _(F, fnn_map_bwd, act)
#define FNN_OPERANDS_dense_dw(_)                                                                          \
    _(SPLIT, slots, none) _(P, T, x, in, all) _(P, T, dy, in, all) _(P, T, w, updated, all)               \
    _(P, T, state0, updated_opt, all) _(P, T, state1, updated_opt, all) _(P, T, state2, updated_opt, all) \
    _(P, T, grad, io_opt, all) _(P, fnn_rule, rules, in_opt, all) _(P, T, of_bn, out_opt, all)            \
    _(P, T, gamma, in_opt, all) _(P, T, beta, in_opt, all) _(P, TI, kept, out_opt, all)                   \
    _(N, I) _(N, O) _(N, rows) _(N, stride) _(N, splits) _(N, parts) _(N, adds) _(N, groups) _(S, clipvalue)        \
    _(F, fnn_update, update) _(F, fnn_beside, beside)
#define FNN_OPERANDS_dense_split(_) \
    _(SPLIT, items, none) _(P, TI, kept, out, all) _(P, T, w, in, all) _(N, I) _(N, O) _(N, rows)
FNN_DENSE_KERNELS(FNN_LAYOUT)
#define FNN_KC (FNN_VBYTES == 64 ? 160 : 256) /* half of that many KiB (AVX-512: of twice that many) are two blocks */
#define FNN_PC 16
#define FNN_DENSE_FUNCTIONS(X) X(tiles_agree)
#define FNN_NARROW (VW / 2) /* units of a panel, or inputs, whose dW goes without a transpose */
#define FNN_WIDE 4 /* unit panels whose sums go side by side then: one alone would wait for each fma */
#endif
#ifdef SFX
#undef FNN_BY_TILES
#if IS_F32 && defined(FNN_TILES)
#define FNN_BY_TILES(kernel, splits) if (splits) { FN(kernel)(op, run, r); return; }
#else
#define FNN_BY_TILES(kernel, splits) (void)run; /* the planner asks for splits only where there are tiles */
#endif

/* where the panel of feature f ends, or the range before it */
FNN_INLINE ptrdiff_t FN(panel_end)(ptrdiff_t f, ptrdiff_t end) { return fnn_min((f / PW + 1) * PW, end); }

/* units rows of z: += w x over k, from the bias on or (resume) from what is there */
FNN_INLINE void FN(forward_panel)(T *z, const T *x, const T *w, const T *bias, ptrdiff_t k, ptrdiff_t units, int resume)
{
    for (ptrdiff_t o = 0; o < units;) {
        const int mr = FN(tile_height)(units - o);
        FN(forward_tiles)[mr](k, w + o, x, z + o * PW, bias ? bias + o : NULL, resume);
        o += mr;
    }
}

/* `rows` rows of c: (+)= a b over k, a with k along its lanes */
FNN_INLINE void FN(backward_panel)(T *c, const T *b, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows, int resume)
{
    for (ptrdiff_t i = 0; i < rows;) {
        const int mr = FN(tile_height)(rows - i);
        FN(backward_tiles)[mr](k, a + i * PW, a_panel, b, c + i * PW, resume);
        i += mr;
    }
}

/* dyt[sample][unit] <- src[unit][sample], PW samples of `units` units; lanes past the last unit are zero */
FNN_INLINE void FN(transpose_panel)(T *dyt, const T *src, const ptrdiff_t units)
{
    for (ptrdiff_t o = 0; o < PW; o += VW)
        for (ptrdiff_t l = 0; l < PW; l += VW) {
            V r[VW];
            for (int i = 0; i < VW; i++) r[i] = o + i < units ? v_load(src + (o + i) * PW + l) : (V){0};
            if (o < units) FN(transpose)(r);
            for (int i = 0; i < VW; i++) v_store(dyt + (l + i) * PW + o, r[i]);
        }
}

/* The same of unit panel u of dy, samples [b0, b1) (b0 a multiple of PW) and on to a whole panel.  Lanes past the last
 * unit: zero, so the padding of the parameters never moves. */
static void FN(transpose_dy)(T *dyt, const T *dy, ptrdiff_t O, ptrdiff_t u, ptrdiff_t b0, ptrdiff_t b1)
{
    const ptrdiff_t units = fnn_min(PW, O - u * PW);
    for (ptrdiff_t b = b0; b < b1; b += PW, dyt += PW * PW) {
        const T *src = dy + (b / PW * O + u * PW) * PW;
        if (units == PW) FN(transpose_panel)(dyt, src, PW); /* without a question for every row */
        else FN(transpose_panel)(dyt, src, units);
    }
}

/* s[..] += the sum over n samples of dyt, of so many lanes */
FNN_INLINE void FN(add_dy)(V s[2], const T *dyt, ptrdiff_t n, int lanes)
{
    for (; n >= 4; n -= 4, dyt += 4 * PW) /* four at a time: one would wait for each addition */
        for (int h = 0; h < lanes; h += VW) {
            const T *d = dyt + h;
            s[h / VW] += (v_load(d) + v_load(d + PW)) + (v_load(d + 2 * PW) + v_load(d + 3 * PW));
        }
    for (; n > 0; n--, dyt += PW)
        for (int h = 0; h < lanes; h += VW) s[h / VW] += v_load(dyt + h);
}

/* A part of the gradient of a unit panel: some input rows, row I being the bias, and the first `lanes` lanes: those of
 * the panel, or one vector of them where it has no more units. */
typedef struct FN(dw_item) {
    ptrdiff_t u, i0, i1;
    int lanes;
} FN(dw_item);

/* `tile_behind_bn` for `count` inputs, at most VW */
FNN_INLINE void FN(rows_behind_bn)(const ptrdiff_t count, ptrdiff_t room, T *g, const T *w, const V db[2],
                                   const T *gamma, const T *beta, T *dgamma, T *dbeta)
{
    const V d0 = db[0], d1 = db[1];
    V sg[VW], sb[VW];
    for (int i = 0; i < VW; i++) {
        if (i >= count) {
            sg[i] = sb[i] = (V){0};
            continue;
        }
        const V w0 = v_load(w + i * PW), w1 = v_load(w + i * PW + VW);
        const V g0 = v_load(g + i * PW), g1 = v_load(g + i * PW + VW);
        const V k = v_set1(gamma ? gamma[i] : 1), o = v_set1(beta ? beta[i] : 0);
        sg[i] = v_fma(w1, g1, w0 * g0);
        sb[i] = v_fma(w1, d1, w0 * d0);
        v_store(g + i * PW, v_fma(k, g0, o * d0));
        v_store(g + i * PW + VW, v_fma(k, g1, o * d1));
    }
    if (room >= VW) {
        v_storeu(dgamma, FN(sum_lanes)(sg));
        v_storeu(dbeta, FN(sum_lanes)(sb));
    } else {
        v_storen(dgamma, FN(sum_lanes)(sg), count);
        v_storen(dbeta, FN(sum_lanes)(sb), count);
    }
}

/* The layer reads h = gamma xh + beta, and g holds G = sum over samples of xh dy, for `rows` inputs.  With db = sum dy:
 *   dgamma = sum over units of w G,   dbeta = sum over units of w db,   dw = gamma G + beta db, which g becomes.
 * Right where gamma is 0, too, and without the difference of large numbers that raw x in place of xh would need.
 * w: as it was in the forward pass.  dgamma, dbeta: the part of this unit panel, with room for so many numbers; those
 * past the rows may be overwritten, the rows they belong to come later.  gamma, beta: NULL: 1, 0 */
static void FN(tile_behind_bn)(T *g, const T *w, ptrdiff_t rows, ptrdiff_t room, const V db[2], const T *gamma,
                               const T *beta, T *dgamma, T *dbeta)
{
    ptrdiff_t i = 0;
#define ROWS(count)                                                                                   \
    FN(rows_behind_bn)(count, room - i, g + i * PW, w + i * PW, db, gamma ? gamma + i : NULL,         \
                       beta ? beta + i : NULL, dgamma + i, dbeta + i)
    for (; i + VW <= rows; i += VW) ROWS(VW);
    if (rows - i == FNN_GEMM_ROWS % VW) ROWS(FNN_GEMM_ROWS % VW); /* one after a whole tile */
    else if (i < rows) ROWS(rows - i);
#undef ROWS
}

/* `tile_behind_bn` for `count` rows of an item from row i on, whose gradient is at g */
FNN_INLINE void FN(dw_behind_bn)(const fnn_op *op, const FN(dw_item) *item, T *g, ptrdiff_t i, ptrdiff_t count,
                                 const V db[2])
{
    FNN_OPEN(dense_dw)
    const T *of_item = w + (item->u * rows + i) * PW;
    const ptrdiff_t wide = (I + PW - 1) / PW * PW, room = fnn_min(item->i1, I) - i;
    T *dgamma = of_bn + 2 * item->u * wide + i;
    FN(tile_behind_bn)(g, of_item, count, room, db, gamma ? gamma + i : NULL, beta ? beta + i : NULL, dgamma,
                       dgamma + wide);
}

/* The optimizer on `count` rows of an item from row i on, whose gradient is at g */
FNN_INLINE void FN(dw_update)(const fnn_op *op, const fnn_run *run, const FN(dw_item) *item, const T *g, ptrdiff_t i,
                              ptrdiff_t count)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t at = (item->u * rows + i) * PW;
    const int whole = item->lanes == PW; /* then the rows are one run */
    update(w + at, state0 ? state0 + at : NULL, state1 ? state1 + at : NULL, state2 ? state2 + at : NULL, g,
           whole ? count * PW : VW, whole ? 1 : count, PW, run->hyper);
}

#if FNN_BESIDE
#include "beside.inl.h"

/* The whole tiles of `dw_rows`, each with the update of the one before; returns the rows done.  A row of the optimizers
 * keeps all its states or none, as SGD without momentum, which has nothing to hide. */
static ptrdiff_t FN(dw_beside)(const fnn_op *op, const fnn_run *run, const FN(dw_item) *item, T *g,
                               const T *x_block, const T *dyt, ptrdiff_t n, int resume, const V *db)
{
    enum { ROWS = FNN_GEMM_ROWS };
    FNN_OPEN(dense_dw)
    const ptrdiff_t at = (item->u * rows + item->i0) * PW, count = fnn_min(item->i1, I) - item->i0;
    const FN(beside) tile = (FN(beside))beside;
    const T *before = NULL;
    V h[FNN_MAX_H];
    ptrdiff_t i = 0;
    if (!tile || !state0 || item->lanes < PW || count < 2 * ROWS) return 0;
    for (int j = 0; j < FNN_MAX_H; j++) h[j] = v_set1((T)run->hyper[j]);
    for (; i + ROWS <= count; i += ROWS, before = g, g += ROWS * PW) {
        const ptrdiff_t last = at + fnn_max(0, i - ROWS) * PW;
        tile(n, x_block + (item->i0 + i) * PW, I * PW, dyt, g, resume, op, last, before, h);
        if (of_bn) FN(dw_behind_bn)(op, item, g, item->i0 + i, ROWS, db);
    }
    FN(dw_update)(op, run, item, before, item->i0 + i - ROWS, ROWS);
    return i;
}
#endif

/* g[i - i0][PW] (+)= sum over n samples from b0 on of x[i] * dyt, in the lanes of the item; x of the bias is 1.
 * updates: then the optimizer follows tile by tile, so that the divider works on one while the next is multiplied.
 * db: sums of dy, for `tile_behind_bn` */
static void FN(dw_rows)(const fnn_op *op, const fnn_run *run, const FN(dw_item) *item, T *g, const T *x_rect,
                        const T *dyt, ptrdiff_t b0, ptrdiff_t n, int resume, int updates, const V *db)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t last = fnn_min(item->i1, I);
    const T *x_block = x_rect + b0 / PW * I * PW;
    const FN(backward_tile) *tiles = item->lanes == PW ? FN(backward_tiles) : FN(half_tiles);
    ptrdiff_t i = item->i0;
#if FNN_BESIDE
    if (updates) i += FN(dw_beside)(op, run, item, g, x_block, dyt, n, resume, db);
    g += (i - item->i0) * PW;
#endif
    while (i < last) {
        const int mr = FN(tile_height)(last - i);
        tiles[mr](n, x_block + i * PW, I * PW, dyt, g, resume);
        if (updates && of_bn) FN(dw_behind_bn)(op, item, g, i, mr, db);
        if (updates) FN(dw_update)(op, run, item, g, i, mr);
        i += mr, g += mr * PW;
    }
    if (item->i1 <= I) return;
    V s[2] = {{0}, {0}};
    for (int h = 0; resume && h < item->lanes; h += VW) s[h / VW] = v_load(g + h);
    FN(add_dy)(s, dyt, n, item->lanes);
    for (int h = 0; h < item->lanes; h += VW) v_store(g + h, s[h / VW]);
    if (updates) FN(dw_update)(op, run, item, g, I, 1);
}

/* One panel of samples for a tile of `dw_narrow`, ni inputs by VW / ni units: each vector loaded takes part in several
 * products.  masked: a last panel, of which only the lanes of `mask` count */
FNN_INLINE void FN(narrow_panel)(const int ni, const int masked, V sum[VW], const T *const *x, ptrdiff_t x_at,
                                 const T *const *d, ptrdiff_t d_at, const VI mask[2])
{
    const int nu = VW / ni;
    for (int h = 0; h < 2; h++) {
        V a[VW], b[VW];
        for (int i = 0; i < ni; i++) a[i] = v_load(x[i] + x_at + h * VW);
        for (int o = 0; o < nu; o++) b[o] = v_load(d[o] + d_at + h * VW);
        for (int i = 0; masked && i < ni; i++) a[i] = v_frombits(v_bits(a[i]) & mask[h]);
        for (int o = 0; masked && o < nu; o++) b[o] = v_frombits(v_bits(b[o]) & mask[h]);
        for (int i = 0; i < ni; i++)
            for (int o = 0; o < nu; o++) sum[i * nu + o] = v_fma(a[i], b[o], sum[i * nu + o]);
    }
}

/* g[i][o] += the sum over samples of x[i] dy[o], samples along the lanes, tile by tile.  x_panel, d_panel: distance
 * from a panel of samples to the next; whole: full panels; left: samples of one more */
FNN_INLINE void FN(narrow_tiles)(const int ni, T *g, const T *x, ptrdiff_t x_panel, ptrdiff_t inputs, const T *dy,
                                 ptrdiff_t d_panel, ptrdiff_t units, ptrdiff_t whole, ptrdiff_t left, const VI mask[2])
{
    const int nu = VW / ni;
    for (ptrdiff_t i = 0; i < inputs; i += ni, g += ni * PW) {
        const T *row[VW], *unit[VW]; /* past the last one: that one again, for nothing */
        for (int r = 0; r < ni; r++) row[r] = x + fnn_min(i + r, inputs - 1) * PW;
        for (ptrdiff_t o = 0; o < units; o += nu) {
            V sum[VW];
            T sums[VW] __attribute__((aligned(FNN_VBYTES)));
            for (int c = 0; c < nu; c++) unit[c] = dy + fnn_min(o + c, units - 1) * PW;
            for (int c = 0; c < VW; c++) sum[c] = (V){0};
            for (ptrdiff_t p = 0; p < whole; p++) FN(narrow_panel)(ni, 0, sum, row, p * x_panel, unit, p * d_panel, mask);
            if (left) FN(narrow_panel)(ni, 1, sum, row, whole * x_panel, unit, whole * d_panel, mask);
            v_store(sums, FN(sum_lanes)(sum));
            for (int r = 0; r < fnn_min(ni, inputs - i); r++)
                for (int c = 0; c < fnn_min(nu, units - o); c++) g[r * PW + o + c] += sums[r * nu + c];
        }
    }
}

/* g[o] += the sum over samples of dy[o] */
FNN_INLINE void FN(narrow_bias)(T *g, const T *dy, ptrdiff_t d_panel, ptrdiff_t units, ptrdiff_t whole, ptrdiff_t left,
                                const VI mask[2])
{
    for (ptrdiff_t o0 = 0; o0 < units; o0 += VW) {
        const ptrdiff_t count = fnn_min(VW, units - o0);
        V sum[VW];
        T sums[VW] __attribute__((aligned(FNN_VBYTES)));
        for (int o = 0; o < VW; o++) sum[o] = (V){0};
        for (ptrdiff_t o = 0; o < count; o++) {
            const T *d = dy + (o0 + o) * PW;
            V s = {0};
            for (ptrdiff_t p = 0; p < whole; p++, d += d_panel) s += v_load(d) + v_load(d + VW);
            if (left) s += v_frombits(v_bits(v_load(d)) & mask[0]) + v_frombits(v_bits(v_load(d + VW)) & mask[1]);
            sum[o] = s;
        }
        v_store(sums, FN(sum_lanes)(sum));
        for (ptrdiff_t o = 0; o < count; o++) g[o0 + o] += sums[o];
    }
}

/* As `dw_rows`, for few units or few inputs: samples stay along the lanes, so that lanes of units that are not there
 * cost nothing and dy is not transposed. */
static void FN(dw_narrow)(const fnn_op *op, const fnn_run *run, const FN(dw_item) *item, T *g, const T *x_rect,
                          const T *dy_rect, ptrdiff_t b0, ptrdiff_t n, int resume, int updates)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t first = item->u * PW, units = fnn_min(item->lanes, O - first);
    const ptrdiff_t whole = n / PW, left = n - whole * PW;
    const ptrdiff_t count = item->i1 - item->i0, inputs = fnn_min(item->i1, I) - item->i0;
    const VI mask[2] = {v_firstn(left), v_firstn(left - VW)};
    const T *x_block = x_rect + (b0 / PW * I + item->i0) * PW, *dy_block = dy_rect + (b0 / PW * O + first) * PW;
    for (ptrdiff_t i = 0; !resume && i < count * PW; i += PW) {
        v_store(g + i, (V){0});
        if (item->lanes == PW) v_store(g + i + VW, (V){0});
    }
#define TILES(ni) FN(narrow_tiles)(ni, g, x_block, I * PW, inputs, dy_block, O * PW, units, whole, left, mask)
    if (units == 1) TILES(VW);
    else if (units == 2 || VW < 8) TILES(VW / 2);
    else TILES(4);
#undef TILES
    if (item->i1 > I) FN(narrow_bias)(g + inputs * PW, dy_block, O * PW, units, whole, left, mask);
    if (updates) FN(dw_update)(op, run, item, g, item->i0, count);
}

/* The rules of kernel and bias on a tile whose first `kernel` of `len` elements are the kernel's. */
static void FN(tile_rules)(const fnn_rule *rules, T *g, T *w, ptrdiff_t kernel, ptrdiff_t len, ptrdiff_t item,
                           double rate)
{
    FN(apply_rule)(rules, g, w, kernel, rate, FNN_RULE_ALL, item);
    FN(apply_rule)(rules + 1, g + kernel, w + kernel, len - kernel, rate, FNN_RULE_ALL, item);
}

static void FN(keep_split)(TI *kept, const T *w, ptrdiff_t I, ptrdiff_t u, ptrdiff_t i0, ptrdiff_t i1);

/* Input rows of part `part` of a unit panel, all its lanes; they start at a whole block of tiles, where such read or
 * are left something */
FNN_INLINE FN(dw_item) FN(dw_part)(const fnn_op *op, ptrdiff_t u, ptrdiff_t part)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t whole = splits || kept ? PW : 1;
    if (parts == 1) return (FN(dw_item)){.u = u, .i0 = 0, .i1 = rows, .lanes = PW}; /* quotients take longer */
    const ptrdiff_t i0 = fnn_cut(I, parts, part, whole);
    const ptrdiff_t i1 = part == parts - 1 ? rows : fnn_cut(I, parts, part + 1, whole);
    return (FN(dw_item)){.u = u, .i0 = i0, .i1 = i1, .lanes = PW};
}

/* The finished gradient of part `part` of unit panel u, at g: what a batch normalisation before the layer wants (db:
 * sums of dy, used only then), and rules, clipping and update, if they are fused. */
static void FN(dw_finish)(const fnn_op *op, const fnn_run *run, T *g, ptrdiff_t u, ptrdiff_t part, const V *db)
{
    FNN_OPEN(dense_dw)
    const FN(dw_item) item = FN(dw_part)(op, u, part);
    const ptrdiff_t at = (u * rows + item.i0) * PW, len = (item.i1 - item.i0) * PW;
    if (of_bn) FN(dw_behind_bn)(op, &item, g, item.i0, fnn_min(item.i1, I) - item.i0, db);
    if (!update) return;
    if (rules)
        FN(tile_rules)(rules, g, w + at, (fnn_min(item.i1, I) - item.i0) * PW, len, u * parts + part, run->rate);
    if (clipvalue > 0) FN(clip_value)(g, g, len, clipvalue);
    FN(dw_update)(op, run, &item, g, item.i0, item.i1 - item.i0);
    if (kept) FN(keep_split)(kept, w + at, I, u, item.i0, fnn_min(item.i1, I));
}

#include "tiles.inl.h"

/* `dense_fwd` of the sample in one lane, for units [o0, o1) of `count` unit panels.  x_lane: that lane in the first
 * row; panels: of w; y_lane, z_lane: that lane of unit 0 of the first of them. */
FNN_INLINE void FN(forward_sample)(const int count, const fnn_op *op, T *y_lane, T *z_lane, const T *x_lane,
                                   const T *panels, ptrdiff_t o0, ptrdiff_t o1)
{
    FNN_OPEN(dense_fwd)
    V sum[FNN_WIDE][2];
    for (int c = 0; c < count; c++)
        for (int h = 0; h < 2; h++) sum[c][h] = rows > I ? v_load(panels + (c * rows + I) * PW + h * VW) : (V){0};
    for (ptrdiff_t k = 0; k < I; k++) {
        const V xk = v_set1(x_lane[k * PW]);
        for (int c = 0; c < count; c++)
            for (int h = 0; h < 2; h++) sum[c][h] = v_fma(xk, v_load(panels + (c * rows + k) * PW + h * VW), sum[c][h]);
    }
    for (int c = 0; c < count; c++, y_lane += PW * PW, z_lane += PW * PW, o0 -= PW, o1 -= PW) {
        T before[PW] __attribute__((aligned(FNN_VBYTES))), after[PW] __attribute__((aligned(FNN_VBYTES)));
        v_store(before, sum[c][0]), v_store(before + VW, sum[c][1]);
        if (act) act(after, before, PW, s);
        for (ptrdiff_t o = fnn_max(o0, 0); o < fnn_min(PW, o1); o++) {
            z_lane[o * PW] = before[o];
            if (act) y_lane[o * PW] = after[o];
        }
    }
}

/* `dense_fwd` of the first n samples of panel p */
static void FN(forward_few)(const fnn_op *op, const fnn_rect *r, ptrdiff_t p, ptrdiff_t n)
{
    FNN_OPEN(dense_fwd)
    const ptrdiff_t end = fnn_min(r->f1, O);
    T *const linear = z ? z : y;
    for (ptrdiff_t u = r->f0 / PW; u * PW < end;) {
        const ptrdiff_t count = end - u * PW > (FNN_WIDE - 1) * PW ? FNN_WIDE : 1, at = (p * O + u * PW) * PW;
        const ptrdiff_t o0 = r->f0 - u * PW, o1 = end - u * PW;
        for (ptrdiff_t i = 0; i < n; i++)
#define SAMPLE(panels)                                                                                        \
    FN(forward_sample)(panels, op, y + at + i, linear + at + i, x + p * I * PW + i, w + u * rows * PW, o0, o1)
            if (count == 1) SAMPLE(1);
            else SAMPLE(FNN_WIDE);
#undef SAMPLE
        u += count;
    }
}

/* y = act(x w + b).  f: units.
 * w: unit panels of `rows` rows, I + 1 with a bias; z: NULL, or where the input of the activation is kept; kept: the
 * split of w, for one split (NULL: to be made; see `dense_split`); splits: of a number (0: fma); groups: of a sample, each
of which the layer acts on (0: it is one; more: without splits) */
static void FN(dense_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dense_fwd)
    FNN_BY_TILES(dense_fwd_tiles, splits)
    T *const linear = z ? z : y;
    const ptrdiff_t blocks = fnn_parts(I, FNN_KC), end = fnn_min(r->f1, O), each = fnn_max(groups, 1);
    const ptrdiff_t first = r->p0 * each, last = r->p1 * each;
    if (run->n - r->p0 * PW <= FNN_FEW) {
        for (ptrdiff_t p = first; p < last; p++) FN(forward_few)(op, r, p, run->n - r->p0 * PW);
        return;
    }
    for (ptrdiff_t pb = first; pb < last; pb += FNN_PC)
        for (ptrdiff_t kb = 0; kb < blocks; kb++) {
            const ptrdiff_t k0 = fnn_cut(I, blocks, kb, 1), k1 = fnn_cut(I, blocks, kb + 1, 1);
            for (ptrdiff_t f = r->f0, next; f < end; f = next) {
                next = FN(panel_end)(f, end);
                const T *wu = w + f / PW * rows * PW + f % PW, *bias = rows > I ? wu + I * PW : NULL;
                for (ptrdiff_t p = pb; p < fnn_min(pb + FNN_PC, last); p++) {
                    const T *xp = x + (p * I + k0) * PW;
                    T *zp = linear + (p * O + f) * PW;
                    FN(forward_panel)(zp, xp, wu + k0 * PW, bias, k1 - k0, next - f, kb > 0);
                    if (act && kb == blocks - 1) act(y + (p * O + f) * PW, zp, (next - f) * PW, s);
                }
            }
        }
}

/* dx = (dy w^T) * act'(t), act the activation that made x (t: NULL: none).  f: inputs. */
static void FN(dense_dx)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dense_dx)
    FNN_BY_TILES(dense_dx_tiles, splits)
    const ptrdiff_t blocks = fnn_parts(O, FNN_KC), end = fnn_min(r->f1, I), each = fnn_max(groups, 1);
    const ptrdiff_t last = r->p1 * each;
    for (ptrdiff_t pb = r->p0 * each; pb < last; pb += FNN_PC)
        for (ptrdiff_t kb = 0; kb < blocks; kb++) {
            const ptrdiff_t k0 = fnn_cut(O, blocks, kb, PW), k1 = fnn_cut(O, blocks, kb + 1, PW);
            for (ptrdiff_t f = r->f0, next; f < end; f = next) {
                next = FN(panel_end)(f, end);
                for (ptrdiff_t p = pb; p < fnn_min(pb + FNN_PC, last); p++) {
                    T *dxp = dx + (p * I + f) * PW;
                    FN(backward_panel)(dxp, dy + (p * O + k0) * PW, w + (k0 / PW * rows + f) * PW, rows * PW, k1 - k0,
                                       next - f, kb > 0);
                    if (act && kb == blocks - 1) act(dxp, dxp, t + (p * I + f) * PW, (next - f) * PW, s);
                }
            }
        }
}

/* Gradient of w and bias over the samples of the rect, and (fused) the optimizer step.
 * f: items, (unit panel) * parts + part of the inputs
 * grad: in unit panels; may be NULL if update is given and the batch has at most FNN_DW_SAMPLES samples.
 * rules: of kernel and bias, with update.  of_bn: [unit panel][2][inputs, in whole panels] of dgamma and dbeta (NULL: x
 * is what the layer reads; else x is xh, see `tile_behind_bn`, and splits is 0).  kept: the split of the new weights,
 * which update leaves there (NULL: it does not).  stride: elements from a gradient slot to the next.  parts: of the
 * inputs, of at most FNN_DW_INPUTS.  adds: grad holds the gradient of another use of w already.  groups: of a sample (0:
 * it is one; more: with grad, and without of_bn, kept and splits).  update: NULL: leave the gradient in grad; beside: the same beside products (NULL: never).  A clipvalue of 0 is off. */
static void FN(dense_dw)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dense_dw)
    FNN_BY_TILES(dense_dw_tiles, splits)
    const ptrdiff_t each = fnn_max(groups, 1), samples = fnn_min(r->p1 * PW, run->n) - r->p0 * PW;
    /* n neighbouring samples in blocks, and of those left in a partial panel (only of several groups) a block each */
    const ptrdiff_t left = each > 1 ? samples % PW : 0, n = (samples - left) * each;
    const ptrdiff_t whole = n ? fnn_parts(n, FNN_DW_SAMPLES) : 0, blocks = whole + (left ? each : 0);
    const T *x_rect = x + r->p0 * each * PW * I, *dy_rect = dy + r->p0 * each * PW * O;
    T *g = grad ? grad + run->slot * stride : NULL;
    /* nothing stands between the gradient of a tile and its update, or what a tile is enough for */
    const int plain = update && !rules && !kept && !(clipvalue > 0) && (!of_bn || FNN_BESIDE);
    T *dyt = run->scratch, *tmp = dyt + FNN_DW_SAMPLES * PW;

    for (ptrdiff_t u = r->f0 / parts; u * parts < r->f1; u++) {
        const ptrdiff_t first = fnn_max(r->f0 - u * parts, 0), last = fnn_min(r->f1 - u * parts, parts), units = O - u * PW;
        const int narrow = (units <= FNN_NARROW || I <= FNN_NARROW) && !of_bn;
        V db[2] = {{0}, {0}};
        for (ptrdiff_t nb = 0; nb < blocks; nb++) {
            const ptrdiff_t b0 = nb < whole ? fnn_cut(n, whole, nb, PW) : n + (nb - whole) * PW;
            const ptrdiff_t k = nb < whole ? fnn_cut(n, whole, nb + 1, PW) - b0 : left;
            const int resume = nb > 0 || run->accumulate || adds, end = nb == blocks - 1;
            if (!narrow) FN(transpose_dy)(dyt, dy_rect, O, u, b0, b0 + k);
            if (of_bn) FN(add_dy)(db, dyt, k, PW);
            for (ptrdiff_t part = first; part < last; part++) {
                FN(dw_item) item = FN(dw_part)(op, u, part);
                T *to = g ? g + (u * rows + item.i0) * PW : tmp;
                if (units <= VW && (plain || !narrow)) {
                    item.lanes = VW; /* half the work, but `dw_finish` and `dw_behind_bn` look at all lanes */
                    for (ptrdiff_t i = 0; (!plain || of_bn) && i < item.i1 - item.i0; i++)
                        v_store(to + i * PW + VW, (V){0});
                }
                if (narrow) FN(dw_narrow)(op, run, &item, to, x_rect, dy_rect, b0, k, resume, end && plain);
                else FN(dw_rows)(op, run, &item, to, x_rect, dyt, b0, k, resume, end && plain, db);
                if (end && !plain) FN(dw_finish)(op, run, to, u, part, db);
            }
        }
    }
}

/* The one split of w that products of one split read, for as long as w stays the same.  f: unit panels.
 * kept: [unit panel][block of PW inputs] in the form of a right factor */
static void FN(dense_split)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dense_split)
    (void)run;
    for (ptrdiff_t u = r->f0; u < r->f1; u++) FN(keep_split)(kept, w + u * rows * PW, I, u, 0, I);
}
#endif
