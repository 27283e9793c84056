/* Embedding: each feature of a sample, an integer, becomes a row of a table (rows, D), row-major and a plain vector.
 *
 * (a) Indices come as T, like all features: float32 has every integer up to 2^24, which is what the layer checks.
 * (b) An index that is no row gives NaN, and its gradient goes nowhere; nothing is read or written for it.
 * (c) The gradient of the table is summed by the owner of its elements, in the order of the samples: a thread goes over
 *     all indices and takes what is in its range.  So the bits do not depend on who owns what. */
#ifndef FNN_EMBEDDING_KERNELS
#define FNN_EMBEDDING_KERNELS(X) X(embedding_fwd) X(embedding_params)
#define FNN_OPERANDS_embedding_fwd(_)                                                                            \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(P, T, table, in, all)             \
    _(N, F) _(N, rows) _(N, D)
#define FNN_OPERANDS_embedding_params(_)                                                                         \
    _(SPLIT, slots, count) _(P, T, grad, io, features) _(P, T, dy, in, all) _(P, T, x, in, all)                  \
    _(N, F) _(N, D) _(N, count) _(N, stride) _(N, offset) _(N, adds)
FNN_EMBEDDING_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* row of an index, as C converts it: towards 0; -1: none (NaN included) */
FNN_INLINE ptrdiff_t FN(table_row)(T index, ptrdiff_t rows)
{
    return index >= 0 && index < (T)rows ? (ptrdiff_t)index : -1;
}

/* y[f][d] = table[x[f]][d] */
static void FN(embedding_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(embedding_fwd)
    (void)run;
    const ptrdiff_t full = D / VW * VW;
    for (ptrdiff_t q = r->p0 * F; q < r->p1 * F; q++) {
        T *to = y + q * D * PW;
        const T *from[PW];
        int wrong[PW], any = 0;
        for (int i = 0; i < PW; i++) {
            const ptrdiff_t row = FN(table_row)(x[q * PW + i], rows);
            wrong[i] = row < 0, any |= row < 0;
            from[i] = table + (row < 0 ? 0 : row * D);
        }
        FN(panel_from_rows)(to, from, full);
        for (ptrdiff_t d = full; d < D; d++)
            for (int i = 0; i < PW; i++) to[d * PW + i] = from[i][d];
        for (int i = 0; any && i < PW; i++)
            for (ptrdiff_t d = 0; wrong[i] && d < D; d++) to[d * PW + i] = (T)NAN;
    }
}

/* dtable[x[f]] += dy[f] over the samples of the rect; f: elements of the table, `count` of them.
 * grad: of all parameters; the table begins at `offset`, and the next slot `stride` elements further on; adds: it holds
 * the gradient of another use already */
static void FN(embedding_params)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(embedding_params)
    const ptrdiff_t end = fnn_min(r->p1 * PW, run->n), e0 = r->f0, e1 = fnn_min(r->f1, count);
    T *const table = grad + run->slot * stride + offset;
    if (e0 >= e1) return;
    if (!run->accumulate && !adds) memset(table + e0, 0, (size_t)(e1 - e0) * sizeof(T));
    for (ptrdiff_t s = r->p0 * PW; s < end; s += PW)
        for (ptrdiff_t f = 0; f < F; f++) {
            const ptrdiff_t q = s / PW * F + f;
            for (ptrdiff_t i = 0; i < fnn_min(PW, end - s); i++) {
                const ptrdiff_t row = FN(table_row)(x[q * PW + i], count / D) * D;
                const ptrdiff_t first = fnn_max(e0, row), last = fnn_min(e1, row + D);
                for (ptrdiff_t e = first; row >= 0 && e < last; e++) table[e] += dy[(q * D + e - row) * PW + i];
            }
        }
}
#endif
