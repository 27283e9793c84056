/* Factors of products by tiles (tiles.inl.h): float32 into bfloat16 splits, in the order of the tiles. */

/* the pairs (x, y) of every split */
FNN_INLINE void FN(split_pairs)(const int splits, V x, V y, VI *r)
{
    for (int i = 0; i < splits; i++) {
        r[i] = FNN_TILE_PAIRS(x, y);
        if (i + 1 < splits) {
            x = x - v_frombits(r[i] << 16);
            y = y - v_frombits(r[i] & (TI)0xffff0000);
        }
    }
}

/* b from k rows of PW columns, of which the first `columns` count */
FNN_INLINE void FN(pack_b_block)(const int splits, const int whole, TI *out, const T *b, ptrdiff_t k, VI first,
                                 VI second)
{
    VI pair[FNN_MAX_SPLITS];
    for (int j = 0; j < VW; j++)
        for (int h = 0; h < 2; h++) {
            const VI count = h ? second : first;
            const T *row = b + j * PW + h * VW;
            V x = {0}, y = {0};
            if (whole || j < k) x = v_frombits(v_bits(v_load(row)) & count);
            if (whole || j + VW < k) y = v_frombits(v_bits(v_load(row + VW * PW)) & count);
            FN(split_pairs)(splits, x, y, pair);
            for (int i = 0; i < splits; i++)
                v_store((T *)(out + i * FNN_TILE_WORDS) + j * PW + h * VW, v_frombits(pair[i]));
        }
}
FNN_INLINE void FN(pack_b_of)(const int splits, TI *out, const T *b, ptrdiff_t k, ptrdiff_t columns)
{
    const VI first = v_firstn(columns), second = v_firstn(columns - VW);
    for (; k >= PW; k -= PW, b += PW * PW, out += splits * FNN_TILE_WORDS)
        FN(pack_b_block)(splits, 1, out, b, k, first, second);
    if (k > 0) FN(pack_b_block)(splits, 0, out, b, k, first, second);
}
static void FN(pack_b)(int splits, TI *out, const T *b, ptrdiff_t k, ptrdiff_t columns)
{
    FNN_FOR_SPLITS(splits, FN(pack_b_of), out, b, k, columns);
}

/* a from `rows` (at most PW) neighbouring rows with k along the lanes, PW of them in each panel */
FNN_INLINE void FN(pack_a_of)(const int splits, TI *out, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows)
{
    VI pair[FNN_MAX_SPLITS];
    for (; k > 0; k -= PW, a += a_panel, out += splits * FNN_TILE_WORDS) {
        const VI first = v_firstn(k), second = v_firstn(k - VW);
        for (ptrdiff_t r = 0; r < rows; r++) {
            FN(split_pairs)(splits, v_frombits(v_bits(v_load(a + r * PW)) & first),
                            v_frombits(v_bits(v_load(a + r * PW + VW)) & second), pair);
            for (int i = 0; i < splits; i++) v_store((T *)(out + i * FNN_TILE_WORDS) + r * VW, v_frombits(pair[i]));
        }
        for (int i = 0; i < splits; i++)
            memset(out + i * FNN_TILE_WORDS + rows * VW, 0, (size_t)((PW - rows) * VW) * sizeof(T));
    }
}
static void FN(pack_a)(int splits, TI *out, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows)
{
    FNN_FOR_SPLITS(splits, FN(pack_a_of), out, a, a_panel, k, rows);
}

/* a from k rows with its PW rows, of which the first `count` count, along the lanes: transposed */
FNN_INLINE void FN(pack_a_transposed_of)(const int splits, TI *out, const T *a, ptrdiff_t k, ptrdiff_t count)
{
    const VI mask[2] = {v_firstn(count), v_firstn(count - VW)};
    for (; k > 0; k -= PW, a += PW * PW, out += splits * FNN_TILE_WORDS)
        for (int h = 0; h < 2; h++) {
            V r[FNN_MAX_SPLITS][VW];
            for (int j = 0; j < VW; j++) {
                VI pair[FNN_MAX_SPLITS];
                const T *row = a + j * PW + h * VW;
                const V x = j < k ? v_load(row) : (V){0}, y = j + VW < k ? v_load(row + VW * PW) : (V){0};
                FN(split_pairs)(splits, v_frombits(v_bits(x) & mask[h]), v_frombits(v_bits(y) & mask[h]), pair);
                for (int i = 0; i < splits; i++) r[i][j] = v_frombits(pair[i]);
            }
            for (int i = 0; i < splits; i++) {
                FN(transpose)(r[i]);
                for (int j = 0; j < VW; j++) v_store((T *)(out + i * FNN_TILE_WORDS) + (h * VW + j) * VW, r[i][j]);
            }
        }
}
static void FN(pack_a_transposed)(int splits, TI *out, const T *a, ptrdiff_t k, ptrdiff_t count)
{
    FNN_FOR_SPLITS(splits, FN(pack_a_transposed_of), out, a, k, count);
}

/* b from PW rows, of which the first `rows` are there, with k along the lanes, PW of them in each panel: transposed */
FNN_INLINE void FN(pack_b_transposed_of)(const int splits, TI *out, const T *b, ptrdiff_t b_panel, ptrdiff_t k,
                                         ptrdiff_t rows)
{
    for (; k > 0; k -= PW, b += b_panel, out += splits * FNN_TILE_WORDS) {
        const VI first = v_firstn(k), second = v_firstn(k - VW);
        for (int h = 0; h < 2; h++) {
            V r[FNN_MAX_SPLITS][VW];
            for (int j = 0; j < VW; j++) {
                VI pair[FNN_MAX_SPLITS];
                V x = {0}, y = {0};
                if (h * VW + j < rows) {
                    x = v_frombits(v_bits(v_load(b + (h * VW + j) * PW)) & first);
                    y = v_frombits(v_bits(v_load(b + (h * VW + j) * PW + VW)) & second);
                }
                FN(split_pairs)(splits, x, y, pair);
                for (int i = 0; i < splits; i++) r[i][j] = v_frombits(pair[i]);
            }
            for (int i = 0; i < splits; i++) {
                FN(transpose)(r[i]);
                for (int j = 0; j < VW; j++) v_store((T *)(out + i * FNN_TILE_WORDS) + j * PW + h * VW, r[i][j]);
            }
        }
    }
}
static void FN(pack_b_transposed)(int splits, TI *out, const T *b, ptrdiff_t b_panel, ptrdiff_t k, ptrdiff_t rows)
{
    FNN_FOR_SPLITS(splits, FN(pack_b_transposed_of), out, b, b_panel, k, rows);
}

/* A block of a from one of b that is its transpose: word (i, i + VW) of columns j and j + VW -> (j, j + VW) of rows i
 * and i + VW.  One split. */
static void FN(transpose_pairs)(TI *out, const TI *b)
{
    for (int j = 0; j < VW; j++) {
        const VI x = v_bits(v_load((const T *)b + j * PW)), y = v_bits(v_load((const T *)b + j * PW + VW));
        v_store((T *)out + j * VW, v_frombits((x & 0xffff) | (y << 16)));
        v_store((T *)out + (VW + j) * VW, v_frombits(((x >> 16) & 0xffff) | (y & (TI)0xffff0000)));
    }
}
