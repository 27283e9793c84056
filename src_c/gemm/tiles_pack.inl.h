/* Factors of products by tiles (tiles.inl.h): float32 into bfloat16 splits, in the order of the tiles.
 *
 * What packs three splits returns the least magnitude of its numbers that is not zero (infinity: all are zero), from
 * which `tiles_doubt` knows whether splits or products of them may be so small that the unit takes them for zero. */

/* least <- the smaller of it and (bits of |x|) - 2^31 - 1, which is the largest integer for zero */
FNN_INLINE VI FN(note_least)(VI least, V x)
{
    const FN(uvec) bits = (FN(uvec))v_bits(x);
    return FNN_TILE_MIN(least, (VI)((bits | 0x80000000u) - 1));
}
static T FN(least_of)(VI least)
{
    TI lane[VW] __attribute__((aligned(FNN_VBYTES))), found = INT32_MAX;
    v_store((T *)lane, v_frombits(least));
    for (int i = 0; i < VW; i++) found = lane[i] < found ? lane[i] : found;
    if (found == INT32_MAX) return INFINITY;
    const uint32_t bits = ((uint32_t)found + 1) & 0x7fffffff;
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

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
FNN_INLINE VI FN(pack_b_block)(const int splits, const int whole, TI *out, const T *b, ptrdiff_t k, VI first, VI second,
                               VI least)
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
            if (splits == 3) least = FN(note_least)(FN(note_least)(least, x), y);
        }
    return least;
}
FNN_INLINE T FN(pack_b_of)(const int splits, TI *out, const T *b, ptrdiff_t k, ptrdiff_t columns)
{
    const VI first = v_firstn(columns), second = v_firstn(columns - VW);
    VI least = v_set1i(INT32_MAX);
    for (; k >= PW; k -= PW, b += PW * PW, out += splits * FNN_TILE_WORDS)
        least = FN(pack_b_block)(splits, 1, out, b, k, first, second, least);
    if (k > 0) least = FN(pack_b_block)(splits, 0, out, b, k, first, second, least);
    return splits == 3 ? FN(least_of)(least) : INFINITY;
}
static T FN(pack_b)(int splits, TI *out, const T *b, ptrdiff_t k, ptrdiff_t columns)
{
    return FNN_FOR_SPLITS(splits, FN(pack_b_of), out, b, k, columns);
}

/* a from `rows` (at most PW) neighbouring rows with k along the lanes, PW of them in each panel */
FNN_INLINE T FN(pack_a_of)(const int splits, TI *out, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows)
{
    VI pair[FNN_MAX_SPLITS], least = v_set1i(INT32_MAX);
    for (; k > 0; k -= PW, a += a_panel, out += splits * FNN_TILE_WORDS) {
        const VI first = v_firstn(k), second = v_firstn(k - VW);
        for (ptrdiff_t r = 0; r < rows; r++) {
            const V x = v_frombits(v_bits(v_load(a + r * PW)) & first);
            const V y = v_frombits(v_bits(v_load(a + r * PW + VW)) & second);
            FN(split_pairs)(splits, x, y, pair);
            for (int i = 0; i < splits; i++) v_store((T *)(out + i * FNN_TILE_WORDS) + r * VW, v_frombits(pair[i]));
            if (splits == 3) least = FN(note_least)(FN(note_least)(least, x), y);
        }
        for (int i = 0; i < splits; i++)
            memset(out + i * FNN_TILE_WORDS + rows * VW, 0, (size_t)((PW - rows) * VW) * sizeof(T));
    }
    return splits == 3 ? FN(least_of)(least) : INFINITY;
}
static T FN(pack_a)(int splits, TI *out, const T *a, ptrdiff_t a_panel, ptrdiff_t k, ptrdiff_t rows)
{
    return FNN_FOR_SPLITS(splits, FN(pack_a_of), out, a, a_panel, k, rows);
}

/* a from k rows with its PW rows, of which the first `count` count, along the lanes: transposed */
FNN_INLINE T FN(pack_a_transposed_of)(const int splits, TI *out, const T *a, ptrdiff_t k, ptrdiff_t count)
{
    VI least = v_set1i(INT32_MAX);
    const VI mask[2] = {v_firstn(count), v_firstn(count - VW)};
    for (; k > 0; k -= PW, a += PW * PW, out += splits * FNN_TILE_WORDS)
        for (int h = 0; h < 2; h++) {
            V r[FNN_MAX_SPLITS][VW];
            for (int j = 0; j < VW; j++) {
                VI pair[FNN_MAX_SPLITS];
                const T *row = a + j * PW + h * VW;
                V x = j < k ? v_load(row) : (V){0}, y = j + VW < k ? v_load(row + VW * PW) : (V){0};
                x = v_frombits(v_bits(x) & mask[h]), y = v_frombits(v_bits(y) & mask[h]);
                FN(split_pairs)(splits, x, y, pair);
                for (int i = 0; i < splits; i++) r[i][j] = v_frombits(pair[i]);
                if (splits == 3) least = FN(note_least)(FN(note_least)(least, x), y);
            }
            for (int i = 0; i < splits; i++) {
                FN(transpose)(r[i]);
                for (int j = 0; j < VW; j++) v_store((T *)(out + i * FNN_TILE_WORDS) + (h * VW + j) * VW, r[i][j]);
            }
        }
    return splits == 3 ? FN(least_of)(least) : INFINITY;
}
static T FN(pack_a_transposed)(int splits, TI *out, const T *a, ptrdiff_t k, ptrdiff_t count)
{
    return FNN_FOR_SPLITS(splits, FN(pack_a_transposed_of), out, a, k, count);
}

/* b from PW rows, of which the first `rows` are there, with k along the lanes, PW of them in each panel: transposed */
FNN_INLINE T FN(pack_b_transposed_of)(const int splits, TI *out, const T *b, ptrdiff_t b_panel, ptrdiff_t k,
                                      ptrdiff_t rows)
{
    VI least = v_set1i(INT32_MAX);
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
                if (splits == 3) least = FN(note_least)(FN(note_least)(least, x), y);
            }
            for (int i = 0; i < splits; i++) {
                FN(transpose)(r[i]);
                for (int j = 0; j < VW; j++) v_store((T *)(out + i * FNN_TILE_WORDS) + j * PW + h * VW, r[i][j]);
            }
        }
    }
    return splits == 3 ? FN(least_of)(least) : INFINITY;
}
static T FN(pack_b_transposed)(int splits, TI *out, const T *b, ptrdiff_t b_panel, ptrdiff_t k, ptrdiff_t rows)
{
    return FNN_FOR_SPLITS(splits, FN(pack_b_transposed_of), out, b, b_panel, k, rows);
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

/* What the unit may have taken for zero in products of three splits: what is below 2^-126.  a, b: the least magnitudes
 * in the two factors, over all of k.
 *   TILE_FINE: nothing, or what is nothing beside products that are 2^-96 at least.
 *   TILE_LOOK: parts of products, at most 5 times 2^-126 of each, which shows in results below 2^-96 for each product.
 *   TILE_SMALL: splits, the last of which are 2^-23 of a number: they may be factors of large numbers. */
enum { FN(TILE_FINE), FN(TILE_LOOK), FN(TILE_SMALL) };
FNN_INLINE int FN(tiles_doubt)(int splits, T a, T b)
{
    if (splits < 3 || a == INFINITY || b == INFINITY) return FN(TILE_FINE);
    if (a < 0x1p-102f || b < 0x1p-102f) return FN(TILE_SMALL);
    return a * b < 0x1p-96f ? FN(TILE_LOOK) : FN(TILE_FINE);
}
/* Whether some of `rows` rows of `columns` results of k products each are so small that what the unit lost shows. */
static int FN(tiles_small)(const T *c, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t k)
{
    const V limit = v_set1((T)k * 0x1p-96f);
    const VI count[2] = {v_firstn(columns), v_firstn(columns - VW)};
    VI small = {0};
    for (ptrdiff_t r = 0; r < rows; r++)
        for (int h = 0; h < 2; h++) small |= (v_abs(v_load(c + r * PW + h * VW)) < limit) & count[h];
    for (int i = 0; i < VW; i++)
        if (small[i]) return 1;
    return 0;
}
FNN_INLINE int FN(tiles_lost)(int doubt, const T *c, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t k)
{
    return doubt == FN(TILE_SMALL) || (doubt == FN(TILE_LOOK) && FN(tiles_small)(c, rows, columns, k));
}
