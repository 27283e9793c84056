/* A dense layer on row-major arrays as they lie: for one call that is too small to pay for panels.
 *
 * (a) Units are along the lanes: rows of w are loaded, elements of x broadcast. An element is the chain of fma over the
 *     features that `dense_fwd` has, so both give the same bits.
 * (b) The last vector of a row ends with the row; what it shares with the one before is computed twice, and the same.
 *     So nothing outside of the rows is touched. Rows shorter than a vector are not for this kernel. */
#ifndef FNN_ROW_PRODUCT_FUNCTIONS
#define FNN_ROW_PRODUCT_FUNCTIONS(X) X(dense_rows)
#define FNN_ROW_TILE 6 /* 12 accumulators: two fma a cycle, and registers left for the addresses of the rows of x */
#endif

#define FNN_TILE(mr)                                                                                                  \
    static void FN(rows_##mr)(ptrdiff_t k, const T *x, ptrdiff_t x_row, const T *w, ptrdiff_t w_row,                  \
                              ptrdiff_t second, const T *bias, T *y, ptrdiff_t y_row)                                 \
    {                                                                                                                 \
        V acc[mr][2];                                                                                                 \
        const V b0 = bias ? v_loadu(bias) : (V){0}, b1 = bias ? v_loadu(bias + second) : (V){0};                      \
        FNN_UNROLL_ROWS                                                                                               \
        for (int r = 0; r < mr; r++) acc[r][0] = b0, acc[r][1] = b1;                                                  \
        for (; k > 0; k--, x++, w += w_row) {                                                                         \
            const V w0 = v_loadu(w), w1 = v_loadu(w + second);                                                        \
            FNN_UNROLL_ROWS                                                                                           \
            for (int r = 0; r < mr; r++) {                                                                            \
                const V a = v_set1(x[r * x_row]);                                                                     \
                acc[r][0] = v_fma(a, w0, acc[r][0]), acc[r][1] = v_fma(a, w1, acc[r][1]);                             \
            }                                                                                                         \
        }                                                                                                             \
        FNN_UNROLL_ROWS                                                                                               \
        for (int r = 0; r < mr; r++) v_storeu(y + r * y_row, acc[r][0]), v_storeu(y + r * y_row + second, acc[r][1]); \
    }
FNN_TILE(1) FNN_TILE(2) FNN_TILE(3) FNN_TILE(4) FNN_TILE(5) FNN_TILE(6)
#undef FNN_TILE

typedef void (*FN(rows_tile))(ptrdiff_t, const T *, ptrdiff_t, const T *, ptrdiff_t, ptrdiff_t, const T *, T *, ptrdiff_t);
static const FN(rows_tile) FN(rows_tiles)[] = {NULL,       FN(rows_1), FN(rows_2), FN(rows_3),
                                               FN(rows_4), FN(rows_5), FN(rows_6)};

/* y (B, O) = act(x (B, I) w (I, O) + b); b and act may be NULL; strides in elements; O at least a vector. */
static void FN(dense_rows)(void *y_, const void *x_, const void *w_, const void *b_, ptrdiff_t B, ptrdiff_t I,
                           ptrdiff_t O, ptrdiff_t y_row, ptrdiff_t x_row, ptrdiff_t w_row, fnn_map_fwd act,
                           const double *s)
{
    const T *x = x_, *w = w_, *b = b_;
    T *y = y_;
    for (ptrdiff_t left = B, n; left > 0; left -= n, x += n * x_row, y += n * y_row) {
        const ptrdiff_t tiles = (left + FNN_ROW_TILE - 1) / FNN_ROW_TILE;
        n = (left + tiles - 1) / tiles;
        for (ptrdiff_t c = 0; c < O; c += PW) {
            const ptrdiff_t first = fnn_min(c, O - VW), second = fnn_min(c + VW, O - VW) - first;
            FN(rows_tiles)[n](I, x, x_row, w + first, w_row, second, b ? b + first : NULL, y + first, y_row);
        }
        if (act && y_row == O) act(y, y, n * O, s);
        else if (act)
            for (ptrdiff_t r = 0; r < n; r++) act(y + r * y_row, y + r * y_row, O, s);
    }
}
