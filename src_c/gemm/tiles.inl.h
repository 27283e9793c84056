/* Products of float32 by bfloat16 tiles (AMX): what `high` and `medium` precision may run instead of fma.
 *
 * (a) A float32 is taken as the sum of `pieces` bfloat16 numbers, each the rounded rest of those before: one piece is
 *     "medium", two are "high", of which lo*hi + hi*hi + hi*lo is multiplied (Henry, Tang, Heinecke 2019,
 *     arXiv:1904.06376).  Sums are float32, in the tiles, and go through c from one block of k to the next.
 * (b) A tile of the left factor a has k along its rows, one of the right factor b pairs of k in its rows; a pair is
 *     (j, j + VW) of a block of PW, so that two neighbouring vectors make it by shift and or.  Both factors are
 *     packed at every call, a once for all sample panels of a rectangle, b once for all of its unit panels:
 *        [block of PW k][piece][PW rows of a][VW pairs],   [block of PW k][piece][VW pairs][PW columns of b]
 *     Only the forward pass has to transpose (w), as dW has to transpose dY with and without tiles.
 * (c) Infinities, NaN and numbers from 2^127 on have no pieces: where a packed block holds one, that block of the
 *     product is fma's.  What counts as one block follows from shapes, so it does not show how work was shared.
 * (d) The configuration of tiles is set up and released by every call: nothing is left behind in the host's thread.
 * (e) Registers are named in the instructions themselves: 0..3 sums, 4, 5 of a, 6, 7 of b. */
#if IS_F32 && defined(FNN_TILES)
#ifndef FNN_TILE_WORDS
#define FNN_TILE_WORDS (16 * 32) /* 32-bit words of a packed block: PW rows of pairs, or pairs of PW columns */
#define FNN_TILE_A_BYTES (576 * 1024) /* of the left factor, in dW */
#define FNN_MAX_PIECES 2
#endif

/* x <- the rest of x after its leading bfloat16, which comes back in the upper halves */
FNN_INLINE VI FN(cut_piece)(V *x)
{
    const VI u = v_bits(*x);
    const VI top = (u + 0x7fff + ((u >> 16) & 1)) & (TI)0xffff0000; /* to the nearest, ties to even */
    *x = *x - v_frombits(top);
    return top;
}
/* -1 where a number has no pieces */
FNN_INLINE VI FN(wild_lanes)(V x) { return (v_bits(x) & 0x7f000000) == 0x7f000000; }

/* the pairs (x, y) of every piece, at out, out + FNN_TILE_WORDS, ... or in r[piece] */
FNN_INLINE VI FN(cut_pairs)(int pieces, V x, V y, VI *r)
{
    const VI wild = FN(wild_lanes)(x) | FN(wild_lanes)(y);
    for (int i = 0; i < pieces; i++) r[i] = ((FN(cut_piece)(&x) >> 16) & 0xffff) | FN(cut_piece)(&y);
    return wild;
}
FNN_INLINE int FN(any_lane)(VI m)
{
    TI any = 0;
    for (int i = 0; i < VW; i++) any |= m[i];
    return any != 0;
}

/* b from k rows of PW columns, of which the first `columns` count.  Returns whether a number has no pieces. */
static int FN(pack_b)(int pieces, TI *out, const T *b, ptrdiff_t k, ptrdiff_t columns)
{
    const VI first = v_firstn(columns), second = v_firstn(columns - VW);
    VI wild = {0}, pair[FNN_MAX_PIECES];
    for (ptrdiff_t k0 = 0; k0 < k; k0 += PW, out += pieces * FNN_TILE_WORDS)
        for (int j = 0; j < VW; j++)
            for (int h = 0; h < 2; h++) {
                const VI count = h ? second : first;
                const T *row = b + (k0 + j) * PW + h * VW;
                V x = k0 + j < k ? v_load(row) : (V){0}, y = k0 + j + VW < k ? v_load(row + VW * PW) : (V){0};
                wild |= FN(cut_pairs)(pieces, v_frombits(v_bits(x) & count), v_frombits(v_bits(y) & count), pair);
                for (int i = 0; i < pieces; i++)
                    v_store((T *)(out + i * FNN_TILE_WORDS) + j * PW + h * VW, v_frombits(pair[i]));
            }
    return FN(any_lane)(wild);
}

/* a from `rows` (at most PW) neighbouring rows with k along the lanes, PW of them in each panel */
static int FN(pack_a)(int pieces, TI *out, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows)
{
    VI wild = {0}, pair[FNN_MAX_PIECES];
    for (; k > 0; k -= PW, a += a_panel, out += pieces * FNN_TILE_WORDS) {
        const VI first = v_firstn(k), second = v_firstn(k - VW);
        for (ptrdiff_t r = 0; r < PW; r++) {
            V x = {0}, y = {0};
            if (r < rows) {
                x = v_frombits(v_bits(v_load(a + r * PW)) & first);
                y = v_frombits(v_bits(v_load(a + r * PW + VW)) & second);
            }
            wild |= FN(cut_pairs)(pieces, x, y, pair);
            for (int i = 0; i < pieces; i++) v_store((T *)(out + i * FNN_TILE_WORDS) + r * VW, v_frombits(pair[i]));
        }
    }
    return FN(any_lane)(wild);
}

/* a from k rows with its PW rows along the lanes: transposed */
static int FN(pack_a_turned)(int pieces, TI *out, const T *a, ptrdiff_t k)
{
    VI wild = {0}, pair[FNN_MAX_PIECES];
    for (ptrdiff_t k0 = 0; k0 < k; k0 += PW, out += pieces * FNN_TILE_WORDS)
        for (int h = 0; h < 2; h++) {
            V turned[FNN_MAX_PIECES][VW];
            for (int j = 0; j < VW; j++) {
                const T *row = a + (k0 + j) * PW + h * VW;
                V x = k0 + j < k ? v_load(row) : (V){0}, y = k0 + j + VW < k ? v_load(row + VW * PW) : (V){0};
                wild |= FN(cut_pairs)(pieces, x, y, pair);
                for (int i = 0; i < pieces; i++) turned[i][j] = v_frombits(pair[i]);
            }
            for (int i = 0; i < pieces; i++) {
                FN(transpose)(turned[i]);
                for (int j = 0; j < VW; j++)
                    v_store((T *)(out + i * FNN_TILE_WORDS) + (h * VW + j) * VW, turned[i][j]);
            }
        }
    return FN(any_lane)(wild);
}

static void FN(tiles_begin)(void)
{
    struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
    FNN_TILE_CONFIG(shape);
}
static void FN(tiles_end)(void) { FNN_TILE_RELEASE(); }

#define FNN_TILE_LOAD_A(p) FNN_TILE_LOAD(4, p, 64); FNN_TILE_LOAD(5, (p) + FNN_TILE_WORDS / 2, 64)
#define FNN_TILE_LOAD_B(p) FNN_TILE_LOAD(6, p, 128); FNN_TILE_LOAD(7, (p) + 16, 128)
#define FNN_TILE_MULTIPLY() FNN_TILE_DP(0, 4, 6); FNN_TILE_DP(1, 4, 7); FNN_TILE_DP(2, 5, 6); FNN_TILE_DP(3, 5, 7)

/* c[PW][PW] += a b over k; only the first `rows` of c are there */
static void FN(tiles_multiply)(int pieces, T *c, ptrdiff_t rows, const TI *a, const TI *b, ptrdiff_t k)
{
    T own[PW * PW] __attribute__((aligned(64))), *sum = rows < PW ? own : c;
    if (rows < PW) {
        memcpy(own, c, (size_t)(rows * PW) * sizeof(T));
        memset(own + rows * PW, 0, (size_t)((PW - rows) * PW) * sizeof(T));
    }
    FNN_TILE_LOAD(0, sum, 128);
    FNN_TILE_LOAD(1, sum + VW, 128);
    FNN_TILE_LOAD(2, sum + VW * PW, 128);
    FNN_TILE_LOAD(3, sum + VW * PW + VW, 128);
    for (; k > 0; k -= PW, a += pieces * FNN_TILE_WORDS, b += pieces * FNN_TILE_WORDS) {
        if (pieces == 2) {
            FNN_TILE_LOAD_A(a + FNN_TILE_WORDS);
            FNN_TILE_LOAD_B(b);
            FNN_TILE_MULTIPLY();
            FNN_TILE_LOAD_A(a);
            FNN_TILE_MULTIPLY();
            FNN_TILE_LOAD_B(b + FNN_TILE_WORDS);
            FNN_TILE_MULTIPLY();
        } else {
            FNN_TILE_LOAD_A(a);
            FNN_TILE_LOAD_B(b);
            FNN_TILE_MULTIPLY();
        }
    }
    FNN_TILE_STORE(0, sum, 128);
    FNN_TILE_STORE(1, sum + VW, 128);
    FNN_TILE_STORE(2, sum + VW * PW, 128);
    FNN_TILE_STORE(3, sum + VW * PW + VW, 128);
    if (rows < PW) memcpy(c, own, (size_t)(rows * PW) * sizeof(T));
}
#undef FNN_TILE_LOAD_A
#undef FNN_TILE_LOAD_B
#undef FNN_TILE_MULTIPLY

/* c[row][PW] = bias[row], or 0 */
FNN_INLINE void FN(set_rows)(T *c, ptrdiff_t rows, const T *bias)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        const V start = bias ? v_set1(bias[r]) : (V){0};
        v_store(c + r * PW, start), v_store(c + r * PW + VW, start);
    }
}

/* dense_fwd with op->n[3] pieces */
static void FN(dense_fwd_tiles)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t I = op->n[0], O = op->n[1], rows = op->n[2];
    const int pieces = (int)op->n[3];
    T *y = op->p[0], *z = op->p[3] ? op->p[3] : y;
    const T *x = op->p[1], *w = op->p[2];
    const fnn_map_fwd act = (fnn_map_fwd)op->fn[0];
    const ptrdiff_t blocks = fnn_parts(I, FNN_KC), packed = (FNN_KC / PW) * pieces * FNN_TILE_WORDS;
    TI *b = run->scratch, *a = b + FNN_PC * packed;
    int wild_b[FNN_PC];
    FN(tiles_begin)();
    for (ptrdiff_t pb = r->p0; pb < r->p1; pb += FNN_PC)
        for (ptrdiff_t kb = 0; kb < blocks; kb++) {
            const ptrdiff_t k0 = fnn_cut(I, blocks, kb, 1), k = fnn_cut(I, blocks, kb + 1, 1) - k0;
            const ptrdiff_t panels = fnn_min(FNN_PC, r->p1 - pb);
            for (ptrdiff_t p = 0; p < panels; p++)
                wild_b[p] = FN(pack_b)(pieces, b + p * packed, x + ((pb + p) * I + k0) * PW, k, run->n - (pb + p) * PW);
            for (ptrdiff_t u = r->f0 / PW; u * PW < fnn_min(r->f1, O); u++) {
                const T *wu = w + u * rows * PW, *bias = rows > I ? wu + I * PW : NULL;
                const ptrdiff_t units = fnn_min(PW, O - u * PW);
                const int wild_a = FN(pack_a_turned)(pieces, a, wu + k0 * PW, k);
                for (ptrdiff_t p = 0; p < panels; p++) {
                    T *zp = z + ((pb + p) * O + u * PW) * PW;
                    if (wild_a || wild_b[p])
                        FN(forward_panel)(zp, x + ((pb + p) * I + k0) * PW, wu + k0 * PW, bias, k, units, kb > 0);
                    else {
                        if (kb == 0) FN(set_rows)(zp, units, bias);
                        FN(tiles_multiply)(pieces, zp, units, a, b + p * packed, k);
                    }
                    if (act && kb == blocks - 1) act(y + ((pb + p) * O + u * PW) * PW, zp, units * PW, op->s);
                }
            }
        }
    FN(tiles_end)();
}

/* dense_dx with op->n[3] pieces */
static void FN(dense_dx_tiles)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t I = op->n[0], O = op->n[1], rows = op->n[2];
    const int pieces = (int)op->n[3];
    T *dx = op->p[0];
    const T *dy = op->p[1], *w = op->p[2], *t = op->p[3];
    const fnn_map_bwd act = (fnn_map_bwd)op->fn[0];
    const ptrdiff_t blocks = fnn_parts(O, FNN_KC), packed = (FNN_KC / PW) * pieces * FNN_TILE_WORDS;
    TI *b = run->scratch, *a = b + FNN_PC * packed;
    int wild_b[FNN_PC];
    FN(tiles_begin)();
    for (ptrdiff_t pb = r->p0; pb < r->p1; pb += FNN_PC)
        for (ptrdiff_t kb = 0; kb < blocks; kb++) {
            const ptrdiff_t k0 = fnn_cut(O, blocks, kb, PW), k = fnn_cut(O, blocks, kb + 1, PW) - k0;
            const ptrdiff_t panels = fnn_min(FNN_PC, r->p1 - pb);
            for (ptrdiff_t p = 0; p < panels; p++)
                wild_b[p] = FN(pack_b)(pieces, b + p * packed, dy + ((pb + p) * O + k0) * PW, k, run->n - (pb + p) * PW);
            for (ptrdiff_t i0 = r->f0; i0 < fnn_min(r->f1, I); i0 += PW) {
                const ptrdiff_t inputs = fnn_min(PW, I - i0);
                const T *wf = w + (k0 / PW * rows + i0) * PW;
                const int wild_a = FN(pack_a)(pieces, a, wf, rows * PW, k, inputs);
                for (ptrdiff_t p = 0; p < panels; p++) {
                    T *dxp = dx + ((pb + p) * I + i0) * PW;
                    if (wild_a || wild_b[p])
                        FN(backward_panel)(dxp, dy + ((pb + p) * O + k0) * PW, wf, rows * PW, k, inputs, kb > 0);
                    else {
                        if (kb == 0) FN(set_rows)(dxp, inputs, NULL);
                        FN(tiles_multiply)(pieces, dxp, inputs, a, b + p * packed, k);
                    }
                    if (act && kb == blocks - 1) act(dxp, dxp, t + ((pb + p) * I + i0) * PW, inputs * PW, op->s);
                }
            }
        }
    FN(tiles_end)();
}

/* dense_dw with op->n[4] pieces.  x is packed for as many parts of a unit panel as there is room for. */
static void FN(dense_dw_tiles)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    const ptrdiff_t I = op->n[0], O = op->n[1], rows = op->n[2];
    const int pieces = (int)op->n[4];
    const ptrdiff_t n = fnn_min(r->p1 * PW, run->n) - r->p0 * PW;
    const T *x = (T *)op->p[0] + r->p0 * PW * I, *dy = (T *)op->p[1] + r->p0 * PW * O;
    T *g = op->p[6] ? (T *)op->p[6] + run->slot * op->n[3] : NULL;
    const ptrdiff_t parts = fnn_parts(I, FNN_IB), blocks = fnn_parts(n, FNN_NB);
    T *dyt = run->scratch, *tmp = dyt + FNN_NB * PW;
    TI *b = (TI *)tmp + (FNN_IB + 1) * PW, *a = b + FNN_NB / PW * FNN_MAX_PIECES * FNN_TILE_WORDS;
    enum { TALL = (FNN_IB + PW - 1) / PW, MOST = FNN_TILE_A_BYTES / 4 / FNN_TILE_WORDS };
    int wild_a[MOST];
    FN(tiles_begin)();
    for (ptrdiff_t nb = 0; nb < blocks; nb++) {
        const ptrdiff_t b0 = fnn_cut(n, blocks, nb, PW), k = fnn_cut(n, blocks, nb + 1, PW) - b0;
        const ptrdiff_t packed = (k + PW - 1) / PW * pieces * FNN_TILE_WORDS;
        const ptrdiff_t group = FNN_TILE_A_BYTES / 4 / (TALL * packed); /* at least one: see FNN_SCRATCH_BYTES */
        const int resume = nb > 0 || run->accumulate;
        for (ptrdiff_t q0 = 0; q0 < parts; q0 += group) {
            const ptrdiff_t q1 = fnn_min(parts, q0 + group);
            for (ptrdiff_t q = q0; q < q1; q++) {
                const ptrdiff_t next = r->f0 + (q - r->f0 % parts + parts) % parts; /* the first item with this part */
                if (next >= r->f1) continue;
                const ptrdiff_t i0 = fnn_cut(I, parts, q, 1), i1 = fnn_cut(I, parts, q + 1, 1);
                for (ptrdiff_t i = i0, at = (q - q0) * TALL; i < i1; i += PW, at++)
                    wild_a[at] = FN(pack_a)(pieces, a + at * packed, x + (b0 / PW * I + i) * PW, I * PW, k,
                                            fnn_min(PW, i1 - i));
            }
            for (ptrdiff_t u = r->f0 / parts; u * parts < r->f1; u++) {
                if (u * parts + q0 >= r->f1 || u * parts + q1 <= r->f0) continue;
                FN(transpose_dy)(dyt, dy, O, u, b0, b0 + k);
                const int wild_b = FN(pack_b)(pieces, b, dyt, k, PW);
                for (ptrdiff_t q = q0; q < q1; q++) {
                    if (u * parts + q < r->f0 || u * parts + q >= r->f1) continue;
                    const ptrdiff_t i0 = fnn_cut(I, parts, q, 1), i1 = fnn_cut(I, parts, q + 1, 1);
                    T *to = g ? g + (u * rows + i0) * PW : tmp;
                    for (ptrdiff_t i = i0, at = (q - q0) * TALL; i < i1; i += PW, at++) {
                        const ptrdiff_t tall = fnn_min(PW, i1 - i);
                        T *c = to + (i - i0) * PW;
                        const FN(dw_item) item = {.u = u, .i0 = i, .i1 = i + tall, .lane = 0, .lanes = PW};
                        if (wild_a[at] || wild_b)
                            FN(dw_rows)(op, run, &item, c, x, dyt, b0, k, resume, 0);
                        else {
                            if (!resume) FN(set_rows)(c, tall, NULL);
                            FN(tiles_multiply)(pieces, c, tall, a + at * packed, b, k);
                        }
                    }
                    if (q == parts - 1 && rows > I) /* the bias, whose factor is 1 */
                        FN(dw_rows)(op, run, &(FN(dw_item)){.u = u, .i0 = I, .i1 = rows, .lane = 0, .lanes = PW},
                                    to + (I - i0) * PW, x, dyt, b0, k, resume, 0);
                    if (nb == blocks - 1) FN(dw_finish)(op, run, to, u, q, NULL);
                }
            }
        }
    }
    FN(tiles_end)();
}

/* Whether the unit multiplies as these kernels think it does: a known product, once, before it is trusted. */
static int FN(tiles_agree)(void)
{
    enum { K = 2 * PW };
    T a[PW * K] __attribute__((aligned(64))), b[K * PW] __attribute__((aligned(64))), c[PW * PW] __attribute__((aligned(64)));
    TI pa[2 * FNN_TILE_WORDS] __attribute__((aligned(64))), pb[2 * FNN_TILE_WORDS] __attribute__((aligned(64)));
    for (int i = 0; i < PW * K; i++) a[i] = (T)((i * 7 + i / 5) % 31 - 15), b[i] = (T)((i * 11 + i / 3) % 29 - 14);
    FN(pack_a)(1, pa, a, PW * PW, K, PW);
    FN(pack_b)(1, pb, b, K, PW);
    FN(set_rows)(c, PW, NULL);
    FN(tiles_begin)();
    FN(tiles_multiply)(1, c, PW, pa, pb, K);
    FN(tiles_end)();
    for (int r = 0; r < PW; r++)
        for (int l = 0; l < PW; l++) {
            T sum = 0; /* of whole numbers below 2^24: exact in any order */
            for (int k = 0; k < K; k++) sum += a[k / PW * PW * PW + r * PW + k % PW] * b[k * PW + l];
            if (sum != c[r * PW + l]) return 0;
        }
    return 1;
}
#else
static int FN(tiles_agree)(void) { return 0; }
#endif
