/* A tile of dW with the update of the tile before it: roots and quotients between products.
 *
 * (a) The divider takes about eleven cycles for a vector of Adam, in which the multipliers could do two steps of k.  An
 *     update after its tile overlaps with the next one only as far as the processor looks ahead; vector by vector,
 *     between the steps of k, it does all along.  Sums and updates are the same operations in the same order as apart:
 *     the same bits.
 * (b) One function a row of the optimizers, because the formula is expanded between products.
 * (c) Only in units that ask for it, FNN_UPDATE_EVERY being the steps of k from one vector to the next.  Measured on
 *     AVX2, 784-300-100-10, batch 32: 1.07 times as fast, 60 KB of code; every 1 or 4 steps, and tiles of 4 or 5 rows,
 *     gain half of that.  On AVX-512, where the root is no longer the divider's, it cost up to 3 %. */

/* backward_<FNN_GEMM_ROWS> (micro.inl.h), and the update of as many rows from element `at` of the weights of `op` on
 * (gemm/dense.inl.h), whose gradient is `before` (NULL: none) */
FNN_INLINE void FN(tile_beside)(int id, const int states, ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c,
                                int resume, const fnn_op *op, ptrdiff_t at, const T *before, const V *h)
{
    enum { ROWS = FNN_GEMM_ROWS };
    FNN_OPEN(dense_dw)
    const ptrdiff_t end = before ? ROWS * PW : 0;
    T *const of_tile = w + at, *const first[3] = {state0, state1, state2}, *s[3];
    ptrdiff_t i = 0;
    V acc[ROWS][2];
    for (int j = 0; j < states; j++) s[j] = first[j] + at;
    if (resume) FN(acc_load)(ROWS, acc, c); else FN(acc_bias)(ROWS, acc, NULL);
    for (; k >= PW && i < end; k -= PW, a += a_panel)
        for (int l = 0; l < PW; l += FNN_UPDATE_EVERY, b += FNN_UPDATE_EVERY * PW) {
            for (int j = 0; j < FNN_UPDATE_EVERY; j++) FN(mul_add_rows)(ROWS, acc, a + l + j, PW, b + j * PW);
            if (i < end) FN(update_vector)(id, states, of_tile, s, before, i, h), i += VW;
        }
    FN(tile_lanes)(ROWS, acc, k, a, a_panel, b);
    for (; i < end; i += VW) FN(update_vector)(id, states, of_tile, s, before, i, h);
    FN(acc_store)(ROWS, acc, c);
}

typedef void (*FN(beside))(ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c, int resume, const fnn_op *op,
                           ptrdiff_t at, const T *before, const V *h);
/* how many state vectors "a,b,c" names; the compiler knows */
#ifndef FNN_STATES
#define FNN_STATES(state) \
    (*(state) == 0 ? 0 : strchr(state, ',') == NULL ? 1 : strchr(state, ',') == strrchr(state, ',') ? 2 : 3)
#endif
#define X(name, params, state)                                                                                    \
    static void FN(beside_##name)(ptrdiff_t k, const T *a, ptrdiff_t a_panel, const T *b, T *c, int resume,       \
                                  const fnn_op *op, ptrdiff_t at, const T *before, const V *h)                    \
    {                                                                                                             \
        FN(tile_beside)(FNN_UPDATE_##name, FNN_STATES(state), k, a, a_panel, b, c, resume, op, at, before, h);    \
    }
FNN_OPTIMIZERS(X)
#undef X
