/* Between the layouts of NumPy (row-major) and those of a run (panels).
 *
 * (a) Everything rests on one register transpose of VW x VW elements: log2(VW) rounds of exchanging the off-diagonal
 *     blocks of 2x2 blocks (Eklundh 1972).
 * (b) Data of another type than T, a panel with fewer than PW samples and the last columns go through a small tile of
 *     T in L1: converted row by row there, by loops the compiler vectorises, and transposed from it.  So there is
 *     one transposition and not one per type.
 * (c) Items are aligned to their size, the row stride is a multiple of it, rows are contiguous, byte order is ours:
 *     the Python edge sees to that. */
#ifndef FNN_DATA_KERNELS
#define FNN_DATA_KERNELS(X) X(gather) X(scatter)
#define FNN_OPERANDS_gather(_) \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, char, x, in, all) _(N, F) _(N, stride) _(N, dtype)
#define FNN_OPERANDS_scatter(_) _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(N, F) _(N, stride)
FNN_DATA_KERNELS(FNN_LAYOUT)
#define FNN_DATA_FUNCTIONS(X) X(pack_kernel) X(unpack_kernel) X(pack_bias) X(unpack_bias) X(bad_label) X(all_finite)
#define FNN_TILE_COLS 64

/* clang has no __builtin_shuffle, gcc before 12 no __builtin_shufflevector */
#if defined(__clang__)
#define FNN_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FNN_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (VI){__VA_ARGS__})
#endif
#define FNN_X2(f, i, s) f(i, s), f(i + 1, s)
#define FNN_X4(f, i, s) FNN_X2(f, i, s), FNN_X2(f, i + 2, s)
#define FNN_X8(f, i, s) FNN_X4(f, i, s), FNN_X4(f, i + 4, s)
#define FNN_X16(f, i, s) FNN_X8(f, i, s), FNN_X8(f, i + 8, s)

/* A binary16 by integer operations alone: exact, whatever the CPU does with subnormals at the moment. */
static inline float fnn_from_half(uint16_t h)
{
    const int32_t sign = (int32_t)((uint32_t)(h & 0x8000) << 16), e = h >> 10 & 31, m = h & 0x3ff;
    const float tiny = (float)m * 0x1p-24f;
    int32_t bits;
    float r;
    memcpy(&bits, &tiny, 4);
    bits = e == 0 ? bits : e == 31 ? 0x7f800000 | m << 13 : (e + 112) << 23 | m << 13;
    bits |= sign;
    memcpy(&r, &bits, 4);
    return r;
}
#endif
#ifdef SFX

/* the constant lanes of the exchange at distance s: from the pair (a, b) the first and the second of each block pair */
#define TRN_LO(i, s) (((i) & (s)) ? VW + (i) - (s) : (i))
#define TRN_HI(i, s) (((i) & (s)) ? VW + (i) : (i) + (s))
#if FNN_VBYTES == 16 * (2 - IS_F32)
#define TRN_LANES(f, s) FNN_X4(f, 0, s)
#elif FNN_VBYTES == 32 * (2 - IS_F32)
#define TRN_LANES(f, s) FNN_X8(f, 0, s)
#elif FNN_VBYTES == 64 * (2 - IS_F32)
#define TRN_LANES(f, s) FNN_X16(f, 0, s)
#else
#define TRN_LANES(f, s) FNN_X2(f, 0, s)
#endif
#define TRN_ROUND(s)                                                \
    for (int i = 0; i < VW; i++)                                    \
        if (!(i & (s))) {                                           \
            const V a = r[i], b = r[i + (s)];                       \
            r[i] = FNN_SHUFFLE(a, b, TRN_LANES(TRN_LO, s));         \
            r[i + (s)] = FNN_SHUFFLE(a, b, TRN_LANES(TRN_HI, s));   \
        }
/* r[i][j] <-> r[j][i] */
FNN_INLINE void FN(transpose)(V r[VW])
{
    TRN_ROUND(1)
#if FNN_VBYTES >= 16 * (2 - IS_F32)
    TRN_ROUND(2)
#endif
#if FNN_VBYTES >= 32 * (2 - IS_F32)
    TRN_ROUND(4)
#endif
#if FNN_VBYTES >= 64 * (2 - IS_F32)
    TRN_ROUND(8)
#endif
}

/* lane i of the result: the sum of the lanes of r[i], pairs at distance VW/2 first, as v_hsum.  r is used up. */
#define TRN_ADD(s)                                                  \
    for (int i = 0; i < (s); i++) {                                 \
        const V a = r[i], b = r[i + (s)];                           \
        r[i] = FNN_SHUFFLE(a, b, TRN_LANES(TRN_LO, s)) + FNN_SHUFFLE(a, b, TRN_LANES(TRN_HI, s)); \
    }
FNN_INLINE V FN(sum_lanes)(V r[VW])
{
#if FNN_VBYTES >= 64 * (2 - IS_F32)
    TRN_ADD(8)
#endif
#if FNN_VBYTES >= 32 * (2 - IS_F32)
    TRN_ADD(4)
#endif
#if FNN_VBYTES >= 16 * (2 - IS_F32)
    TRN_ADD(2)
#endif
    TRN_ADD(1)
    return r[0];
}

/* y[c][lane] = rows[lane][c] for a full panel of rows and n columns, n a multiple of VW */
FNN_INLINE void FN(panel_from_rows)(T *y, const T *const *rows, ptrdiff_t n)
{
    for (ptrdiff_t c = 0; c < n; c += VW)
        for (int h = 0; h < PW; h += VW) {
            V r[VW];
            for (int i = 0; i < VW; i++) r[i] = v_loadu(rows[h + i] + c);
            FN(transpose)(r);
            for (int i = 0; i < VW; i++) v_store(y + (c + i) * PW + h, r[i]);
        }
}

/* y[c][lane] = rows[lane][c] for a full panel of rows and four columns */
typedef T FN(four) __attribute__((vector_size(4 * sizeof(T))));
typedef TI FN(four_i) __attribute__((vector_size(4 * sizeof(T))));
typedef T FN(four_u) __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
#if defined(__clang__)
#define FOUR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FOUR(a, b, ...) __builtin_shuffle(a, b, (FN(four_i)){__VA_ARGS__})
#endif
FNN_INLINE void FN(panel_from_four)(T *y, const T *const *rows)
{
    for (int i = 0; i < PW; i += 4) {
        const FN(four) a = *(const FN(four_u) *)rows[i], b = *(const FN(four_u) *)rows[i + 1];
        const FN(four) c = *(const FN(four_u) *)rows[i + 2], d = *(const FN(four_u) *)rows[i + 3];
        const FN(four) ab = FOUR(a, b, 0, 4, 1, 5), cd = FOUR(c, d, 0, 4, 1, 5);
        const FN(four) ab2 = FOUR(a, b, 2, 6, 3, 7), cd2 = FOUR(c, d, 2, 6, 3, 7);
        *(FN(four_u) *)(y + i) = FOUR(ab, cd, 0, 1, 4, 5);
        *(FN(four_u) *)(y + PW + i) = FOUR(ab, cd, 2, 3, 6, 7);
        *(FN(four_u) *)(y + 2 * PW + i) = FOUR(ab2, cd2, 0, 1, 4, 5);
        *(FN(four_u) *)(y + 3 * PW + i) = FOUR(ab2, cd2, 2, 3, 6, 7);
    }
}
#undef FOUR

static void FN(convert)(T *y, const char *x, ptrdiff_t dtype, ptrdiff_t n)
{
    switch (dtype) {
#define X(code, type, e)                                        \
    case code: {                                                \
        const type *q = (const type *)x;                        \
        for (ptrdiff_t i = 0; i < n; i++) y[i] = (T)(e);        \
        break;                                                  \
    }
    X(FNN_U8, uint8_t, q[i])
    X(FNN_I8, int8_t, q[i])
    X(FNN_U16, uint16_t, q[i])
    X(FNN_I16, int16_t, q[i])
    X(FNN_U32, uint32_t, q[i])
    X(FNN_I32, int32_t, q[i])
    X(FNN_U64, uint64_t, q[i])
    X(FNN_I64, int64_t, q[i])
    X(FNN_F16, uint16_t, fnn_from_half(q[i]))
    X(FNN_F32, float, q[i])
    X(FNN_F64, double, q[i])
#undef X
    }
}

/* row of sample b of the range in the data */
FNN_INLINE ptrdiff_t FN(data_row)(const fnn_run *run, ptrdiff_t b)
{
    return run->index ? (ptrdiff_t)run->index[run->s0 + b] : (ptrdiff_t)run->row0 + run->s0 + b;
}

/* Rows of the data into sample panels; the lanes past the last sample become 0.
 * stride: of a row, in bytes; dtype: FNN_<dtype> of the data */
static void FN(gather)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    static const unsigned char size[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
    FNN_OPEN(gather)
    const ptrdiff_t item = size[dtype], end = r->f1 < F ? r->f1 : F;
    T tile[PW][FNN_TILE_COLS] __attribute__((aligned(64)));
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        T *to = y + p * F * PW;
        const ptrdiff_t left = run->n - p * PW, lanes = left < PW ? left : PW;
        const char *row[PW];
        const T *from[PW];
        for (ptrdiff_t i = 0; i < lanes; i++) row[i] = x + FN(data_row)(run, p * PW + i) * stride;
        for (ptrdiff_t f = r->f0; f < end; f += FNN_TILE_COLS) {
            const ptrdiff_t n = end - f < FNN_TILE_COLS ? end - f : FNN_TILE_COLS;
            ptrdiff_t done = 0;
            if (dtype == (IS_F32 ? FNN_F32 : FNN_F64) && lanes == PW) {
                done = n / VW * VW;
                for (int i = 0; i < PW; i++) from[i] = (const T *)row[i] + f;
                FN(panel_from_rows)(to + f * PW, from, done);
            }
            if (done == n) continue;
            if (dtype == (IS_F32 ? FNN_F32 : FNN_F64) && n - done < VW) { /* few columns: not worth a transposition */
                for (; lanes == PW && done + 4 <= n; done += 4) {
                    for (int i = 0; i < PW; i++) from[i] = (const T *)row[i] + f + done;
                    FN(panel_from_four)(to + (f + done) * PW, from);
                }
                for (ptrdiff_t c = f + done; c < f + n; c++) {
                    for (ptrdiff_t i = 0; i < lanes; i++) to[c * PW + i] = ((const T *)row[i])[c];
                    for (ptrdiff_t i = lanes; i < PW; i++) to[c * PW + i] = 0;
                }
                continue;
            }
            const ptrdiff_t rest = (n - done + VW - 1) / VW * VW;
            for (int i = 0; i < PW; i++) {
                from[i] = tile[i];
                if (i >= lanes) memset(tile[i], 0, (size_t)rest * sizeof(T));
                else {
                    memset(tile[i] + rest - VW, 0, VW * sizeof(T)); /* the last columns of the last vector */
                    FN(convert)(tile[i], row[i] + (f + done) * item, dtype, n - done);
                }
            }
            const ptrdiff_t full = (n - done) / VW * VW;
            FN(panel_from_rows)(to + (f + done) * PW, from, full);
            if (full < n - done) {
                T last[VW * PW] __attribute__((aligned(64)));
                for (int i = 0; i < PW; i++) from[i] += full;
                FN(panel_from_rows)(last, from, VW);
                memcpy(to + (f + done + full) * PW, last, (size_t)((n - done - full) * PW) * sizeof(T));
            }
        }
    }
}

/* Panels into rows of a row-major array of T: row row0 + s0 + b for sample b.
 * stride: of a row, in elements */
static void FN(scatter)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(scatter)
    const ptrdiff_t end = r->f1 < F ? r->f1 : F;
    T *to = y + (run->row0 + run->s0) * stride;
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        const T *from = x + p * F * PW;
        for (ptrdiff_t h = 0; h < PW && p * PW + h < run->n; h += VW) {
            const ptrdiff_t b = p * PW + h, left = run->n - b, lanes = left < VW ? left : VW;
            ptrdiff_t f = r->f0;
            for (; f + VW <= end; f += VW) {
                V t[VW];
                for (int i = 0; i < VW; i++) t[i] = v_load(from + (f + i) * PW + h);
                FN(transpose)(t);
                for (int i = 0; i < VW; i++)
                    if (i < lanes) v_storeu(to + (b + i) * stride + f, t[i]);
            }
            for (; f < end; f++)
                for (ptrdiff_t i = 0; i < lanes; i++) to[(b + i) * stride + f] = from[f * PW + h + i];
        }
    }
}

/* w_io, O columns, rows `stride` elements apart -> rows 0..I-1 of the unit panels [u][rows][PW], padding zero;
 * rows is I, or I + 1 with a bias: row I is left to pack_bias. */
static void FN(pack_kernel)(T *panels, const T *w_io, ptrdiff_t I, ptrdiff_t O, ptrdiff_t stride, ptrdiff_t rows)
{
    for (ptrdiff_t o = 0; o < O; o += PW, panels += rows * PW) {
        const ptrdiff_t n = O - o < PW ? O - o : PW;
        for (ptrdiff_t i = 0; n == PW && i < I; i++) {
            const V a = v_loadu(w_io + i * stride + o), b = v_loadu(w_io + i * stride + o + VW);
            v_store(panels + i * PW, a), v_store(panels + i * PW + VW, b);
        }
        for (ptrdiff_t i = 0; n < PW && i < I; i++)
            for (ptrdiff_t k = 0; k < PW; k++) panels[i * PW + k] = k < n ? w_io[i * stride + o + k] : 0;
    }
}
static void FN(unpack_kernel)(T *w_io, const T *panels, ptrdiff_t I, ptrdiff_t O, ptrdiff_t stride, ptrdiff_t rows)
{
    for (ptrdiff_t o = 0; o < O; o += PW, panels += rows * PW)
        for (ptrdiff_t i = 0; i < I; i++)
            for (ptrdiff_t k = 0; k < PW && o + k < O; k++) w_io[i * stride + o + k] = panels[i * PW + k];
}
/* bias, O elements -> row I of each unit panel of I + 1 rows, padding zero */
static void FN(pack_bias)(T *panels, const T *bias, ptrdiff_t I, ptrdiff_t O)
{
    for (ptrdiff_t o = 0; o < (O + PW - 1) / PW * PW; o++)
        panels[(o / PW * (I + 1) + I) * PW + o % PW] = o < O ? bias[o] : 0;
}
static void FN(unpack_bias)(T *bias, const T *panels, ptrdiff_t I, ptrdiff_t O)
{
    for (ptrdiff_t o = 0; o < O; o++) bias[o] = panels[(o / PW * (I + 1) + I) * PW + o % PW];
}

/* whether n contiguous numbers are all finite */
static int FN(all_finite)(const T *x, ptrdiff_t n)
{
    const VI exponent = v_bits(v_set1((T)__builtin_inf()));
    VI bad = {0};
    for (; n >= 4 * VW; n -= 4 * VW, x += 4 * VW)
        for (int i = 0; i < 4; i++) bad |= (v_bits(v_loadu(x + i * VW)) & exponent) == exponent;
    for (; n > 0; n -= VW, x += VW) bad |= (v_bits(v_loadn(x, n < VW ? n : VW)) & exponent) == exponent;
    TI any = 0;
    for (int i = 0; i < VW; i++) any |= bad[i];
    return any == 0;
}

/* index of the first label that is not a class 0..K-1, or -1 */
static ptrdiff_t FN(bad_label)(const int32_t *labels, ptrdiff_t n, ptrdiff_t K)
{
    for (ptrdiff_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= K) return i;
    return -1;
}
#undef TRN_LO
#undef TRN_HI
#undef TRN_LANES
#undef TRN_ROUND
#undef TRN_ADD
#endif
