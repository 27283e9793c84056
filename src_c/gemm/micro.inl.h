/* The matrix product of everything: a tile of `mr` rows by PW lanes in registers.
 *
 * (a) acc[r][0..PW) += sum over k of a(r, k) * b[k][0..PW).  b is one contiguous stream of panel rows, a is
 *     broadcast.  Sample panels and unit panels (fnn.h) were chosen so that forward, dX and dW all have this
 *     form and never pack:
 *        forward  a = w[u][k][r]            rows of a tile are neighbours, k steps a row     -> tile_rows
 *        dX       a = w[k / PW][r][k % PW]  k runs along the lanes, then to the next panel   -> tile_lanes
 *        dW       a = x[k / PW][r][k % PW]  the same
 * (b) `mr` is a constant at every call site after inlining, so acc lives in registers: FNN_GEMM_ROWS x 2
 *     accumulators, two vectors of b, one broadcast.
 * (c) Each element is one chain of fma in the order of k: the bits depend on nothing but the shapes. */
#if defined(__clang__)
#define FNN_UNROLL_ROWS _Pragma("clang loop unroll(full)")
#else
#define FNN_UNROLL_ROWS _Pragma("GCC unroll 16")
#endif

FNN_INLINE void FN(mul_add_rows)(const int mr, V (*acc)[2], const T *a, ptrdiff_t a_row, const T *b)
{
    V b0 = v_load(b), b1 = v_load(b + VW);
    FNN_UNROLL_ROWS
    for (int r = 0; r < mr; r++) {
        V x = v_set1(a[r * a_row]);
        acc[r][0] = v_fma(x, b0, acc[r][0]);
        acc[r][1] = v_fma(x, b1, acc[r][1]);
    }
}

FNN_INLINE void FN(tile_rows)(const int mr, V (*acc)[2], ptrdiff_t k, const T *a, const T *b)
{
    for (; k > 0; k--, a += PW, b += PW) FN(mul_add_rows)(mr, acc, a, 1, b);
}

/* a_panel: distance from a panel of a to the next; k counts lanes over all panels */
FNN_INLINE void FN(tile_lanes)(const int mr, V (*acc)[2], ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b)
{
    for (; k >= PW; k -= PW, a += a_panel)
        for (int l = 0; l < PW; l++, b += PW) FN(mul_add_rows)(mr, acc, a + l, PW, b);
    for (int l = 0; l < (int)k; l++, b += PW) FN(mul_add_rows)(mr, acc, a + l, PW, b);
}

/* As mul_add_rows and tile_lanes for VW lanes alone, from where b and c point */
FNN_INLINE void FN(mul_add_half)(const int mr, V *acc, const T *a, const T *b)
{
    const V b0 = v_load(b);
    FNN_UNROLL_ROWS
    for (int r = 0; r < mr; r++) acc[r] = v_fma(v_set1(a[r * PW]), b0, acc[r]);
}
FNN_INLINE void FN(half_lanes)(const int mr, V *acc, ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b)
{
    for (; k >= PW; k -= PW, a += a_panel)
        for (int l = 0; l < PW; l++, b += PW) FN(mul_add_half)(mr, acc, a + l, b);
    for (int l = 0; l < (int)k; l++, b += PW) FN(mul_add_half)(mr, acc, a + l, b);
}

FNN_INLINE void FN(acc_load)(const int mr, V (*acc)[2], const T *c)
{
    FNN_UNROLL_ROWS
    for (int r = 0; r < mr; r++) acc[r][0] = v_load(c + r * PW), acc[r][1] = v_load(c + r * PW + VW);
}
FNN_INLINE void FN(acc_store)(const int mr, V (*acc)[2], T *c)
{
    FNN_UNROLL_ROWS
    for (int r = 0; r < mr; r++) v_store(c + r * PW, acc[r][0]), v_store(c + r * PW + VW, acc[r][1]);
}
/* every lane of row r starts at bias[r]; NULL: at zero */
FNN_INLINE void FN(acc_bias)(const int mr, V (*acc)[2], const T *bias)
{
    FNN_UNROLL_ROWS
    for (int r = 0; r < mr; r++) acc[r][0] = acc[r][1] = bias ? v_set1(bias[r]) : (V){0};
}

/* One function per number of rows.  `resume`: go on from what an earlier block of k left in c.  half: of b and c only
 * VW lanes, from where they point; the others of c are not touched. */
#define FNN_TILE(mr)                                                                            \
    static void FN(forward_##mr)(ptrdiff_t k, const T *a, const T *b, T *c, const T *bias, int resume) \
    {                                                                                           \
        V acc[mr][2];                                                                           \
        if (resume) FN(acc_load)(mr, acc, c); else FN(acc_bias)(mr, acc, bias);                 \
        FN(tile_rows)(mr, acc, k, a, b);                                                        \
        FN(acc_store)(mr, acc, c);                                                              \
    }                                                                                           \
    static void FN(backward_##mr)(ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c, int resume) \
    {                                                                                           \
        V acc[mr][2];                                                                           \
        if (resume) FN(acc_load)(mr, acc, c); else FN(acc_bias)(mr, acc, NULL);                 \
        FN(tile_lanes)(mr, acc, k, a, a_panel, b);                                              \
        FN(acc_store)(mr, acc, c);                                                              \
    }                                                                                           \
    static void FN(half_##mr)(ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c, int resume) \
    {                                                                                           \
        V acc[mr];                                                                              \
        for (int r = 0; r < mr; r++) acc[r] = resume ? v_load(c + r * PW) : (V){0};             \
        FN(half_lanes)(mr, acc, k, a, a_panel, b);                                              \
        for (int r = 0; r < mr; r++) v_store(c + r * PW, acc[r]);                               \
    }

FNN_TILE(1) FNN_TILE(2) FNN_TILE(3) FNN_TILE(4) FNN_TILE(5) FNN_TILE(6)
#if FNN_GEMM_ROWS > 6
FNN_TILE(7) FNN_TILE(8) FNN_TILE(9) FNN_TILE(10) FNN_TILE(11) FNN_TILE(12) FNN_TILE(13) FNN_TILE(14)
#endif
#undef FNN_TILE

typedef void (*FN(forward_tile))(ptrdiff_t k, const T *a, const T *b, T *c, const T *bias, int resume);
typedef void (*FN(backward_tile))(ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c, int resume);
#define FNN_ROWS_1_6(f) NULL, FN(f##1), FN(f##2), FN(f##3), FN(f##4), FN(f##5), FN(f##6)
#if FNN_GEMM_ROWS > 6
#define FNN_ROWS(f) FNN_ROWS_1_6(f), FN(f##7), FN(f##8), FN(f##9), FN(f##10), FN(f##11), FN(f##12), FN(f##13), FN(f##14)
#else
#define FNN_ROWS(f) FNN_ROWS_1_6(f)
#endif
static const FN(forward_tile) FN(forward_tiles)[] = {FNN_ROWS(forward_)};
static const FN(backward_tile) FN(backward_tiles)[] = {FNN_ROWS(backward_)};
static const FN(backward_tile) FN(half_tiles)[] = {FNN_ROWS(half_)};

/* Rows of the next tile when `left` remain: as few tiles as possible, of nearly equal height.  By table: a quotient
 * takes as long as a tile of a small layer. */
#ifndef FNN_TILE_HEIGHT
#define FNN_TILE_COUNT(n) (((n) + FNN_GEMM_ROWS - 1) / FNN_GEMM_ROWS)
#define FNN_TILE_HEIGHT(n) (((n) + FNN_TILE_COUNT(n) - 1) / FNN_TILE_COUNT(n))
#define FNN_TILE_HEIGHTS(n) FNN_TILE_HEIGHT(n), FNN_TILE_HEIGHT(n + 1), FNN_TILE_HEIGHT(n + 2), FNN_TILE_HEIGHT(n + 3)
static const unsigned char FNN_CAT(tile_heights_, FNN_ISA)[] = {
    0, 1, 2, 3, FNN_TILE_HEIGHTS(4), FNN_TILE_HEIGHTS(8), FNN_TILE_HEIGHTS(12), FNN_TILE_HEIGHTS(16),
    FNN_TILE_HEIGHTS(20), FNN_TILE_HEIGHTS(24), FNN_TILE_HEIGHTS(28), FNN_TILE_HEIGHT(32)}; /* a panel, at most */
#endif
FNN_INLINE int FN(tile_height)(ptrdiff_t left)
{
    if (left < (ptrdiff_t)sizeof FNN_CAT(tile_heights_, FNN_ISA)) return FNN_CAT(tile_heights_, FNN_ISA)[left];
    return (int)FNN_TILE_HEIGHT(left);
}
