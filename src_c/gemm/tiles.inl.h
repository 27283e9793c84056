/* Products of float32 by bfloat16 tiles (AMX).
 *
 * (a) A float32 is taken as the sum of 1, 2 or 3 bfloat16 splits, each the rounded rest of those before.  One split is
 *     "medium".  Two are "high", of which lo*hi + hi*hi + hi*lo is multiplied (Henry, Tang, Heinecke 2019,
 *     arXiv:1904.06376).  Three are "highest": the six products that are not below the last bit.  Sums are float32, in
 *     the tiles, and go through memory from one block of k to the next; of three splits each block has its own.
 * (b) A tile of the left factor a has k along its rows, one of the right factor b pairs of k in its rows; a pair is
 *     (j, j + VW) of a block of PW.  A packed factor is
 *        a: [block of PW k][split][PW rows of a][VW pairs],   b: [block of PW k][split][VW pairs][PW columns of b]
 * (c) The forward pass makes z^T = x^T w, so that w is a right factor, which is split without a transpose; finished
 *     blocks of z are transposed back.  dX makes w dy, dW x dy^T.  So one packed form of w is enough for the first two:
 *     a shift and an or make its pairs go the other way.  Of one split it is kept from step to step, and renewed by dW
 *     while the new weights are in L1; `dense_split` makes it where they change otherwise.
 * (d) Infinities, NaN and numbers that round to infinity leave infinities or NaN in every sum they are part of.  A
 *     block of PW x PW sums that has such is fma's, over all of k, so it does not show how work was shared.  So is, of
 *     three splits, one whose numbers are so small that the unit takes some for zero: see `tiles_doubt`.
 * (e) The configuration of tiles is set up and released by every call: nothing is left behind in the host's thread.
 * (f) Registers are named in the instructions themselves: 0..3 sums, 4, 5 of a, 6, 7 of b.
 * (g) Memory for packed factors and sums is the thread's scratch, not its stack: a host may have made that small. */
#if IS_F32 && defined(FNN_TILES)
#ifndef FNN_TILE_WORDS
#define FNN_TILE_WORDS (16 * 32)  /* 32-bit words of a packed block: PW rows of pairs, or pairs of PW columns */
#define FNN_TILE_SUMS (32 * 32)   /* of a block of sums */
#define FNN_MAX_SPLITS 3
#define FNN_TILE_DEPTH(splits) ((splits) == 1 ? 10 : 5) /* blocks of k whose packed factors stay in L1, about */
#define FNN_TILE_PANEL (16 * FNN_TILE_WORDS)            /* words of one panel so deep */
#define FNN_TILE_X_WORDS (288 * 256)                    /* of x in an item of dW, three splits */
#define FNN_TILE_DY_WORDS (1024 * 256)                  /* of dy there: as many unit panels as fit */
#define FNN_TILE_PARTS (FNN_DW_INPUTS / 32)             /* panels of inputs in an item of dW */
#define FNN_TILE_PANELS 4096                            /* panels of weights whose least numbers are known at a time */
#define FNN_TILE_X_PANELS (FNN_TILE_X_WORDS / (3 * FNN_TILE_WORDS))   /* of three splits, at most */
#define FNN_TILE_DY_PANELS (FNN_TILE_DY_WORDS / (3 * FNN_TILE_WORDS))
_Static_assert(FNN_TILE_DEPTH(1) <= 16 && FNN_TILE_DEPTH(3) * 3 <= 16, "a packed panel");
_Static_assert(FNN_TILE_PARTS * (FNN_DW_SAMPLES / 32) * FNN_MAX_SPLITS * FNN_TILE_WORDS <= FNN_TILE_X_WORDS,
               "x of an item");
_Static_assert(4 * ((FNN_PC + 1) * (FNN_TILE_PANEL + FNN_TILE_SUMS) + FNN_PC + FNN_TILE_PANELS) <=
                   FNN_TILE_SCRATCH_BYTES, "scratch");
_Static_assert(4 * (FNN_DW_SAMPLES * 32 + (FNN_DW_INPUTS + 1) * 32 + (FNN_TILE_PARTS + 1) * FNN_TILE_SUMS +
                    FNN_TILE_X_WORDS + FNN_TILE_DY_WORDS + FNN_TILE_X_PANELS + FNN_TILE_DY_PANELS) <=
                   FNN_TILE_SCRATCH_BYTES, "of dW");
/* f(1, ...), f(2, ...) or f(3, ...): bodies for a constant number of splits */
#define FNN_FOR_SPLITS(splits, f, ...) \
    ((splits) == 1 ? f(1, __VA_ARGS__) : (splits) == 2 ? f(2, __VA_ARGS__) : f(3, __VA_ARGS__))
#endif

typedef uint32_t FN(uvec) __attribute__((vector_size(FNN_VBYTES)));
#include "tiles_pack.inl.h"

static void FN(tiles_begin)(void)
{
    struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
    FNN_TILE_CONFIG(shape);
}
static void FN(tiles_end)(void) { FNN_TILE_RELEASE(); }

/* Factors of a block of sums of 16 or (tall) 32 rows by 16 or (wide) 32 columns. */
FNN_INLINE void FN(tiles_load_a)(const int tall, const TI *a)
{
    FNN_TILE_LOAD(4, a, 64);
    if (tall) FNN_TILE_LOAD(5, a + FNN_TILE_WORDS / 2, 64);
}
FNN_INLINE void FN(tiles_load_b)(const int wide, const TI *b)
{
    FNN_TILE_LOAD(6, b, 128);
    if (wide) FNN_TILE_LOAD(7, b + 16, 128);
}
FNN_INLINE void FN(tiles_add)(const int tall, const int wide)
{
    FNN_TILE_DP(0, 4, 6);
    if (wide) FNN_TILE_DP(1, 4, 7);
    if (tall) FNN_TILE_DP(2, 5, 6);
    if (tall && wide) FNN_TILE_DP(3, 5, 7);
}
/* sums += a b over blocks of k, of one split or two */
FNN_INLINE void FN(tiles_add_blocks)(const int splits, const int tall, const int wide, const TI *a, const TI *b,
                                     ptrdiff_t blocks)
{
    for (; blocks > 0; blocks--, a += splits * FNN_TILE_WORDS, b += splits * FNN_TILE_WORDS) {
        FN(tiles_load_b)(wide, b);
        if (splits == 2) {
            FN(tiles_load_a)(tall, a + FNN_TILE_WORDS);
            FN(tiles_add)(tall, wide);
        }
        FN(tiles_load_a)(tall, a);
        FN(tiles_add)(tall, wide);
        if (splits == 2) {
            FN(tiles_load_b)(wide, b + FNN_TILE_WORDS);
            FN(tiles_add)(tall, wide);
        }
    }
}
/* The same of three: the five small products of all blocks come first, so that sums of full size are rounded once a
 * block and not six times. */
FNN_INLINE void FN(tiles_add_blocks_of_three)(const int tall, const int wide, const TI *a, const TI *b,
                                              ptrdiff_t blocks)
{
    const ptrdiff_t step = 3 * FNN_TILE_WORDS;
    for (ptrdiff_t at = 0; at < blocks * step; at += step) {
        FN(tiles_load_b)(wide, b + at);
        FN(tiles_load_a)(tall, a + at + 2 * FNN_TILE_WORDS);
        FN(tiles_add)(tall, wide);
        FN(tiles_load_a)(tall, a + at + FNN_TILE_WORDS);
        FN(tiles_add)(tall, wide);
        FN(tiles_load_b)(wide, b + at + FNN_TILE_WORDS);
        FN(tiles_add)(tall, wide);
        FN(tiles_load_a)(tall, a + at);
        FN(tiles_add)(tall, wide);
        FN(tiles_load_b)(wide, b + at + 2 * FNN_TILE_WORDS);
        FN(tiles_add)(tall, wide);
    }
    for (ptrdiff_t at = 0; at < blocks * step; at += step) {
        FN(tiles_load_a)(tall, a + at);
        FN(tiles_load_b)(wide, b + at);
        FN(tiles_add)(tall, wide);
    }
}
/* to <- from (NULL: 0) + a b, in the order of the tiles */
FNN_INLINE void FN(tiles_product)(const int splits, const int tall, const int wide, T *to, const T *from, const TI *a,
                                  const TI *b, ptrdiff_t blocks)
{
    if (from) {
        FNN_TILE_LOAD(0, from, 128);
        if (wide) FNN_TILE_LOAD(1, from + VW, 128);
        if (tall) FNN_TILE_LOAD(2, from + VW * PW, 128);
        if (tall && wide) FNN_TILE_LOAD(3, from + VW * PW + VW, 128);
    } else {
        FNN_TILE_ZERO(0);
        if (wide) FNN_TILE_ZERO(1);
        if (tall) FNN_TILE_ZERO(2);
        if (tall && wide) FNN_TILE_ZERO(3);
    }
    if (splits == 3) FN(tiles_add_blocks_of_three)(tall, wide, a, b, blocks);
    else FN(tiles_add_blocks)(splits, tall, wide, a, b, blocks);
    FNN_TILE_STORE(0, to, 128);
    if (wide) FNN_TILE_STORE(1, to + VW, 128);
    if (tall) FNN_TILE_STORE(2, to + VW * PW, 128);
    if (tall && wide) FNN_TILE_STORE(3, to + VW * PW + VW, 128);
}
FNN_INLINE void FN(tiles_product_of)(const int splits, T *to, const T *from, ptrdiff_t rows, ptrdiff_t columns,
                                     const TI *a, const TI *b, ptrdiff_t blocks)
{
    if (rows > VW && columns > VW) FN(tiles_product)(splits, 1, 1, to, from, a, b, blocks);
    else if (rows > VW) FN(tiles_product)(splits, 1, 0, to, from, a, b, blocks);
    else if (columns > VW) FN(tiles_product)(splits, 0, 1, to, from, a, b, blocks);
    else FN(tiles_product)(splits, 0, 0, to, from, a, b, blocks);
}

/* to[PW][PW] <- from (NULL: 0) + a b over blocks of k; only the first `rows` and `columns` matter, and may be all that
 * is written.  Three splits are summed by themselves, in `apart` (may be `to`, if that is not `from`), and added then:
 * their roundings are those of short sums. */
static void FN(tiles_multiply)(int splits, T *to, const T *from, ptrdiff_t rows, ptrdiff_t columns, const TI *a,
                               const TI *b, ptrdiff_t blocks, T *apart)
{
    if (splits < 3 || !from) {
        FNN_FOR_SPLITS(splits, FN(tiles_product_of), to, from, rows, columns, a, b, blocks);
        return;
    }
    FN(tiles_product_of)(3, apart, NULL, rows, columns, a, b, blocks);
    for (ptrdiff_t i = 0; i < rows * PW; i += VW)
        if (i % PW < columns) v_store(to + i, v_load(from + i) + v_load(apart + i));
}

/* to <- `rows` rows of c, which may be the same.  Returns whether all are finite. */
static int FN(finish_rows)(T *to, const T *c, ptrdiff_t rows)
{
    V bad[2] = {{0}, {0}};
    for (ptrdiff_t r = 0; r < rows; r++)
        for (int h = 0; h < 2; h++) {
            const V x = v_load(c + r * PW + h * VW);
            bad[h] = v_fma(x, (V){0}, bad[h]);
            if (to != c) v_store(to + r * PW + h * VW, x);
        }
    return FN(vhsum)(bad[0] + bad[1]) == 0;
}
/* z <- the transpose of c[sample][unit] plus bias, `units` rows.  Returns whether all are finite. */
static int FN(finish_transposed)(T *z, const T *c, ptrdiff_t units, const T *bias)
{
    V bad = {0};
    for (int o = 0; o < PW && o < units; o += VW) {
        const V start = bias ? v_load(bias + o) : (V){0};
        for (int l = 0; l < PW; l += VW) {
            V r[VW];
            for (int i = 0; i < VW; i++) {
                r[i] = v_load(c + (l + i) * PW + o) + start;
                bad = v_fma(r[i], (V){0}, bad);
            }
            FN(transpose)(r);
            for (int i = 0; i < VW && o + i < units; i++) v_store(z + (o + i) * PW + l, r[i]);
        }
    }
    return FN(vhsum)(bad) == 0;
}

/* *a <- the smaller of it and b; of nothing: infinity */
FNN_INLINE void FN(note)(T *a, T b) { *a = b < *a ? b : *a; }
FNN_INLINE void FN(note_nothing)(T *a, ptrdiff_t n) { for (ptrdiff_t i = 0; i < n; i++) a[i] = INFINITY; }

/* Memory of the forward pass and of dX, in the thread's scratch. */
typedef struct FN(tiles_memory) {
    TI *samples, *weights; /* packed: a block of k of FNN_PC sample panels, of one panel of w */
    T *sums, *edge;        /* one block; blocks of the last panel, of which there are fewer rows, one a sample panel */
    T *least, *least_w;    /* of each sample panel, of each panel of w (from the first one on that is at hand) */
} FN(tiles_memory);
FNN_INLINE FN(tiles_memory) FN(tiles_memory_of)(const fnn_run *run)
{
    FN(tiles_memory) m;
    m.samples = run->scratch, m.weights = m.samples + FNN_PC * FNN_TILE_PANEL;
    m.sums = (T *)(m.weights + FNN_TILE_PANEL), m.edge = m.sums + FNN_TILE_SUMS;
    m.least = m.edge + FNN_PC * FNN_TILE_SUMS, m.least_w = m.least + FNN_PC;
    return m;
}

/* dense_fwd by tiles: unit panels [f0, f1), sample panels [p0, p1); at most FNN_TILE_PANELS and FNN_PC */
static void FN(forward_by_tiles)(const fnn_op *op, const fnn_run *run, ptrdiff_t f0, ptrdiff_t f1, ptrdiff_t p0,
                                 ptrdiff_t p1)
{
    FNN_OPEN(dense_fwd)
    const ptrdiff_t all = (I + PW - 1) / PW;
    T *const linear = z ? z : y;
    const ptrdiff_t depth = FNN_TILE_DEPTH(splits), parts = fnn_parts(all, depth);
    const ptrdiff_t packed = depth * splits * FNN_TILE_WORDS;
    const FN(tiles_memory) m = FN(tiles_memory_of)(run);
    FN(note_nothing)(m.least, p1 - p0), FN(note_nothing)(m.least_w, f1 - f0);
    for (ptrdiff_t kb = 0; kb < parts; kb++) {
        const ptrdiff_t first = all * kb / parts, blocks = all * (kb + 1) / parts - first;
        const ptrdiff_t k0 = first * PW, k = fnn_min(I - k0, blocks * PW);
        for (ptrdiff_t p = p0; p < p1; p++)
            FN(note)(m.least + p - p0,
                     FN(pack_a_transposed)(splits, m.samples + (p - p0) * packed, x + (p * I + k0) * PW, k,
                                           run->n - p * PW));
        for (ptrdiff_t u = f0; u < f1; u++) {
            const T *wu = w + u * rows * PW, *bias = rows > I ? wu + I * PW : NULL;
            const ptrdiff_t units = fnn_min(PW, O - u * PW);
            const TI *b = kept ? kept + (u * all + first) * FNN_TILE_WORDS : m.weights;
            if (!kept) FN(note)(m.least_w + u - f0, FN(pack_b)(splits, m.weights, wu + k0 * PW, k, PW));
            for (ptrdiff_t p = p0; p < p1; p++) {
                const TI *a = m.samples + (p - p0) * packed;
                /* z itself holds z^T from one block of k to the next; the last one leaves it beside its place */
                T *zp = linear + (p * O + u * PW) * PW, *c = units == PW ? zp : m.edge + (p - p0) * FNN_TILE_SUMS;
                const int last = kb == parts - 1;
                FN(tiles_multiply)(splits, last ? m.sums : c, kb ? c : NULL, PW, units, a, b, blocks, m.sums);
                if (!last) continue;
                if (!FN(finish_transposed)(zp, m.sums, units, bias) ||
                    FN(tiles_lost)(FN(tiles_doubt)(splits, m.least[p - p0], m.least_w[u - f0]), zp, units,
                                   run->n - p * PW, I))
                    FN(forward_panel)(zp, x + p * I * PW, wu, bias, I, units, 0);
                if (act) act(y + (p * O + u * PW) * PW, zp, units * PW, s);
            }
        }
    }
}
/* kernel: the rectangle r in blocks of panels of its features, of which there are `extent`, by panels of samples */
#define FNN_IN_BLOCKS(kernel, extent, part)                                                                \
    static void FN(kernel##_tiles)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)                \
    {                                                                                                      \
        FNN_OPEN(kernel)                                                                                   \
        const ptrdiff_t end = (fnn_min(r->f1, extent) + PW - 1) / PW;                                      \
        FN(tiles_begin)();                                                                                 \
        for (ptrdiff_t f = r->f0 / PW; f < end; f += FNN_TILE_PANELS)                                      \
            for (ptrdiff_t p = r->p0; p < r->p1; p += FNN_PC)                                              \
                FN(part)(op, run, f, fnn_min(f + FNN_TILE_PANELS, end), p, fnn_min(p + FNN_PC, r->p1));    \
        FN(tiles_end)();                                                                                   \
    }
FNN_IN_BLOCKS(dense_fwd, O, forward_by_tiles)

/* dense_dx by tiles: panels of inputs [f0, f1), sample panels [p0, p1), as above */
static void FN(dx_by_tiles)(const fnn_op *op, const fnn_run *run, ptrdiff_t f0, ptrdiff_t f1, ptrdiff_t p0,
                            ptrdiff_t p1)
{
    FNN_OPEN(dense_dx)
    const ptrdiff_t all = (O + PW - 1) / PW, of_w = (I + PW - 1) / PW;
    const ptrdiff_t depth = FNN_TILE_DEPTH(splits), parts = fnn_parts(all, depth);
    const ptrdiff_t packed = depth * splits * FNN_TILE_WORDS;
    const FN(tiles_memory) m = FN(tiles_memory_of)(run);
    FN(note_nothing)(m.least, p1 - p0), FN(note_nothing)(m.least_w, f1 - f0);
    for (ptrdiff_t kb = 0; kb < parts; kb++) {
        const ptrdiff_t first = all * kb / parts, blocks = all * (kb + 1) / parts - first;
        const ptrdiff_t k0 = first * PW, k = fnn_min(O - k0, blocks * PW);
        for (ptrdiff_t p = p0; p < p1; p++)
            FN(note)(m.least + p - p0,
                     FN(pack_b)(splits, m.samples + (p - p0) * packed, dy + (p * O + k0) * PW, k, run->n - p * PW));
        for (ptrdiff_t f = f0; f < f1; f++) {
            const ptrdiff_t i0 = f * PW, inputs = fnn_min(PW, I - i0);
            if (!kept)
                FN(note)(m.least_w + f - f0,
                         FN(pack_a)(splits, m.weights, w + (first * rows + i0) * PW, rows * PW, k, inputs));
            else
                for (ptrdiff_t u = 0; u < blocks; u++)
                    FN(transpose_pairs)(m.weights + u * FNN_TILE_WORDS,
                                        kept + ((first + u) * of_w + f) * FNN_TILE_WORDS);
            for (ptrdiff_t p = p0; p < p1; p++) {
                const TI *b = m.samples + (p - p0) * packed;
                T *dxp = dx + (p * I + i0) * PW, *c = inputs == PW ? dxp : m.edge + (p - p0) * FNN_TILE_SUMS;
                FN(tiles_multiply)(splits, c, kb ? c : NULL, inputs, PW, m.weights, b, blocks, m.sums);
                if (kb < parts - 1) continue;
                if (!FN(finish_rows)(dxp, c, inputs) ||
                    FN(tiles_lost)(FN(tiles_doubt)(splits, m.least_w[f - f0], m.least[p - p0]), dxp, inputs,
                                   run->n - p * PW, O))
                    FN(backward_panel)(dxp, dy + p * O * PW, w + i0 * PW, rows * PW, O, inputs, 0);
                if (act) act(dxp, dxp, t + (p * I + i0) * PW, inputs * PW, s);
            }
        }
    }
}
FNN_IN_BLOCKS(dense_dx, I, dx_by_tiles)
#undef FNN_IN_BLOCKS

/* What is at hand of one block of samples in dense_dw. */
typedef struct FN(dw_block) {
    const T *x, *dy;       /* of the rectangle */
    ptrdiff_t b0, n;       /* its samples */
    ptrdiff_t packed;      /* words of a packed panel of it */
    int resume;            /* gradients have those of earlier samples */
    TI *a, *b;             /* packed x of some parts of the inputs, packed dy of some unit panels */
    T *least_x, *least_dy; /* of each panel in a and b, for three splits */
    T *sums, *apart, *dyt; /* FNN_TILE_PARTS blocks of sums, one more, and room for a transposed unit panel */
} FN(dw_block);

/* g (+)= x dy^T over the block's samples, of inputs [i0, i1) and unit panel u, packed panels xs ... and dys */
static void FN(dw_tiles)(const fnn_op *op, const FN(dw_block) *s, T *g, ptrdiff_t u, ptrdiff_t i0, ptrdiff_t i1,
                         ptrdiff_t xs, ptrdiff_t dys)
{
    const TI *a = s->a + xs * s->packed, *b = s->b + dys * s->packed;
    FNN_OPEN(dense_dw)
    const ptrdiff_t units = fnn_min(PW, O - u * PW), all = (s->n + PW - 1) / PW;
    const ptrdiff_t deep = fnn_parts(all, FNN_TILE_DEPTH(splits));
    int transposed = 0;
    for (ptrdiff_t kb = 0; kb < deep; kb++) {
        const ptrdiff_t first = all * kb / deep, blocks = all * (kb + 1) / deep - first;
        const ptrdiff_t start = first * splits * FNN_TILE_WORDS;
        for (ptrdiff_t i = i0, at = 0; i < i1; i += PW, at++) {
            const ptrdiff_t tall = fnn_min(PW, i1 - i);
            const int direct = !s->resume && tall == PW && units > VW; /* tiles write all of this block of g, no more */
            T *to = g + (i - i0) * PW, *c = direct ? to : s->sums + at * FNN_TILE_SUMS;
            if (units <= VW && !kb) memset(c, 0, FNN_TILE_SUMS * sizeof(T));
            FN(tiles_multiply)(splits, c, kb ? c : NULL, tall, units, a + at * s->packed + start, b + start, blocks,
                               s->apart);
            if (kb < deep - 1) continue;
            const int doubt = splits == 3 ? FN(tiles_doubt)(splits, s->least_x[xs + at], s->least_dy[dys]) : 0;
            const int finite = FN(finish_rows)(s->resume ? c : to, c, tall);
            const int fine = finite && !FN(tiles_lost)(doubt, c, tall, units, s->n);
            for (ptrdiff_t r = 0; fine && s->resume && r < tall * PW; r += VW)
                v_store(to + r, v_load(to + r) + v_load(c + r));
            if (fine) continue;
            if (!transposed) FN(transpose_dy)(s->dyt, s->dy, O, u, s->b0, s->b0 + s->n);
            transposed = 1;
            const FN(dw_item) item = {.u = u, .i0 = i, .i1 = i + tall, .lanes = PW};
            FN(dw_rows)(op, NULL, &item, to, s->x, s->dyt, s->b0, s->n, s->resume, 0, NULL);
        }
    }
}

/* the item of unit panel u and the inputs [i0, i1), the last one with the bias: its gradient at g */
static void FN(dw_tiles_item)(const fnn_op *op, const FN(dw_block) *s, T *g, ptrdiff_t u, ptrdiff_t i0, ptrdiff_t i1,
                              ptrdiff_t xs, ptrdiff_t dys)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t left = s->n % PW;
    FN(dw_tiles)(op, s, g, u, i0, i1, xs, dys);
    if (i1 < I || rows == I) return;
    const VI mask[2] = {v_firstn(left), v_firstn(left - VW)};
    T *gb = g + (I - i0) * PW; /* its factor is 1 */
    if (!s->resume) memset(gb, 0, PW * sizeof(T));
    FN(narrow_bias)(gb, s->dy + (s->b0 / PW * O + u * PW) * PW, O * PW, fnn_min(PW, O - u * PW), s->n / PW, left, mask);
}

/* x of inputs [i0, i1), packed from panel xs on */
static void FN(dw_pack_x)(const fnn_op *op, const FN(dw_block) *s, ptrdiff_t xs, ptrdiff_t i0, ptrdiff_t i1)
{
    FNN_OPEN(dense_dw)
    for (ptrdiff_t i = i0; i < i1; i += PW, xs++) {
        const T *from = s->x + (s->b0 / PW * I + i) * PW;
        const T least = FN(pack_a)(splits, s->a + xs * s->packed, from, I * PW, s->n, fnn_min(PW, i1 - i));
        if (splits == 3) s->least_x[xs] = least;
    }
}
/* dy of a unit panel, packed as panel dys */
static void FN(dw_pack_dy)(const fnn_op *op, const FN(dw_block) *s, ptrdiff_t dys, ptrdiff_t u)
{
    FNN_OPEN(dense_dw)
    const T *from = s->dy + (s->b0 / PW * O + u * PW) * PW;
    const T least = FN(pack_b_transposed)(splits, s->b + dys * s->packed, from, O * PW, s->n, fnn_min(PW, O - u * PW));
    if (splits == 3) s->least_dy[dys] = least;
}

/* Items [f0, f1) of one block of samples: dy is packed for as many unit panels as there is room for, x for as many
 * parts of the inputs.  own: where the gradient of an item is made if none is kept; last: no block follows */
static void FN(dw_items)(const fnn_op *op, const fnn_run *run, const FN(dw_block) *s, ptrdiff_t f0, ptrdiff_t f1,
                         T *own, int last)
{
    FNN_OPEN(dense_dw)
    T *const slot = grad ? grad + run->slot * stride : NULL;
    const ptrdiff_t some_u = FNN_TILE_DY_WORDS / s->packed, some_q = FNN_TILE_X_WORDS / (FNN_TILE_PARTS * s->packed);
    for (ptrdiff_t u0 = f0 / parts; u0 * parts < f1; u0 += some_u) {
        const ptrdiff_t u1 = fnn_min(u0 + some_u, (f1 + parts - 1) / parts);
        const ptrdiff_t from = fnn_max(f0, u0 * parts), to = fnn_min(f1, u1 * parts);
        for (ptrdiff_t u = u0; u < u1; u++) FN(dw_pack_dy)(op, s, u - u0, u);
        for (ptrdiff_t q0 = 0; q0 < parts; q0 += some_q) {
            const ptrdiff_t q1 = fnn_min(parts, q0 + some_q);
            for (ptrdiff_t q = q0; q < q1; q++)
                if (from + (q - from % parts + parts) % parts < to) /* else no item has this part */
                    FN(dw_pack_x)(op, s, (q - q0) * FNN_TILE_PARTS, fnn_cut(I, parts, q, PW),
                                  fnn_cut(I, parts, q + 1, PW));
            for (ptrdiff_t u = u0; u < u1; u++)
                for (ptrdiff_t q = q0; q < q1; q++) {
                    if (u * parts + q < f0 || u * parts + q >= f1) continue;
                    const ptrdiff_t i0 = fnn_cut(I, parts, q, PW), i1 = fnn_cut(I, parts, q + 1, PW);
                    T *g = slot ? slot + (u * rows + i0) * PW : own;
                    FN(dw_tiles_item)(op, s, g, u, i0, i1, (q - q0) * FNN_TILE_PARTS, u - u0);
                    if (last) FN(dw_finish)(op, run, g, u, q, NULL);
                }
        }
    }
}

/* dense_dw by tiles */
static void FN(dense_dw_tiles)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dense_dw)
    const ptrdiff_t n = fnn_min(r->p1 * PW, run->n) - r->p0 * PW, blocks = fnn_parts(n, FNN_DW_SAMPLES);
    T *dyt = run->scratch, *own = dyt + FNN_DW_SAMPLES * PW, *sums = own + (FNN_DW_INPUTS + 1) * PW;
    TI *a = (TI *)(sums + (FNN_TILE_PARTS + 1) * FNN_TILE_SUMS);
    T *least = (T *)(a + FNN_TILE_X_WORDS + FNN_TILE_DY_WORDS);
    FN(dw_block) s = {.x = x + r->p0 * PW * I, .dy = dy + r->p0 * PW * O,
                      .a = a, .b = a + FNN_TILE_X_WORDS, .least_x = least, .least_dy = least + FNN_TILE_X_PANELS,
                      .sums = sums, .apart = sums + FNN_TILE_PARTS * FNN_TILE_SUMS, .dyt = dyt};
    FN(tiles_begin)();
    for (ptrdiff_t nb = 0; nb < blocks; nb++) {
        s.b0 = fnn_cut(n, blocks, nb, PW), s.n = fnn_cut(n, blocks, nb + 1, PW) - s.b0;
        s.packed = (s.n + PW - 1) / PW * splits * FNN_TILE_WORDS;
        s.resume = nb > 0 || run->accumulate || adds;
        FN(dw_items)(op, run, &s, r->f0, r->f1, own, nb == blocks - 1);
    }
    FN(tiles_end)();
}

/* kept <- the split of inputs [i0, i1) (i0: a multiple of PW) of unit panel u; w: its row i0 */
static void FN(keep_split)(TI *kept, const T *w, ptrdiff_t I, ptrdiff_t u, ptrdiff_t i0, ptrdiff_t i1)
{
    FN(pack_b)(1, kept + (u * ((I + PW - 1) / PW) + i0 / PW) * FNN_TILE_WORDS, w, i1 - i0, PW);
}

/* Whether the unit multiplies as these kernels think it does: known products of 1, 2 and 3 splits, once, before it is
 * trusted.  memory: FNN_TILES_AGREE_BYTES, 64-byte aligned */
static int FN(tiles_agree)(void *memory)
{
    enum { K = 2 * PW, PACKED = K / PW * FNN_MAX_SPLITS * FNN_TILE_WORDS };
    T *a = memory, *b = a + PW * K, *c = b + K * PW;
    TI *pa = (TI *)(c + 2 * FNN_TILE_SUMS), *pb = pa + PACKED;
    _Static_assert(4 * (2 * PW * K + 2 * FNN_TILE_SUMS + 2 * PACKED) <= FNN_TILES_AGREE_BYTES, "memory");
    for (int splits = 1; splits <= FNN_MAX_SPLITS; splits++) {
        /* Whole numbers that need so many splits, but sums of at most 2^24: exact in any order.  One factor is long
         * where the other one is 0 or -1. */
        const int32_t most = splits == 1 ? 1 << 7 : splits == 2 ? 1 << 15 : 1 << 19;
        uint32_t h = 1;
        for (int i = 0; i < PW * K; i++) {
            const int second = i % PW % 2; /* of a: k = i / (PW PW) PW + i % PW, of b: k = i / PW */
            h = h * 1664525 + 1013904223;
            a[i] = (T)((int32_t)(h >> 8) % (second ? 2 : most)) - (T)(second ? 1 : most / 2);
            h = h * 1664525 + 1013904223;
            b[i] = (T)((int32_t)(h >> 8) % (i / PW % 2 ? most : 2)) - (T)(i / PW % 2 ? most / 2 : 1);
        }
        FN(pack_a)(splits, pa, a, PW * PW, K, PW);
        FN(pack_b)(splits, pb, b, K, PW);
        FN(tiles_begin)();
        FN(tiles_multiply)(splits, c, NULL, PW, PW, pa, pb, 1, c + FNN_TILE_SUMS);
        FN(tiles_multiply)(splits, c, c, PW, PW, pa + splits * FNN_TILE_WORDS, pb + splits * FNN_TILE_WORDS, 1,
                           c + FNN_TILE_SUMS);
        FN(tiles_end)();
        for (int r = 0; r < PW; r++)
            for (int l = 0; l < PW; l++) {
                T sum = 0;
                for (int k = 0; k < K; k++) sum += a[k / PW * PW * PW + r * PW + k % PW] * b[k * PW + l];
                if (sum != c[r * PW + l]) return 0;
            }
    }
    return 1;
}
#else
static void FN(keep_split)(TI *kept, const T *w, ptrdiff_t I, ptrdiff_t u, ptrdiff_t i0, ptrdiff_t i1)
{
    (void)kept, (void)w, (void)I, (void)u, (void)i0, (void)i1; /* the planner asks for it only where there are tiles */
}
static int FN(tiles_agree)(void *memory) { return (void)memory, 0; }
#endif
