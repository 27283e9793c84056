/* Kernels that move features about inside each sample: picked by a map, added up, products over an axis, unit length.
 *
 * (a) A feature is a row of a sample panel, so whatever the shapes, a move copies whole vectors of lanes, and a lane
 *     sees no other one.
 * (b) Which features go where is data: int32 maps that the lowering makes once from the shapes.  So permutations,
 *     repetitions, broadcasting and sums over an axis are two kernels, each the other's backward pass. */
#ifndef FNN_ARRANGE_KERNELS
#define FNN_ARRANGE_KERNELS(X) X(pick) X(collect) X(add_slice) X(product) X(unit_fwd) X(unit_bwd)
#define FNN_OPERANDS_pick(_)                                                                                     \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, samples) _(P, int32_t, map, in, all)                 \
    _(N, F) _(N, width) _(S, scale)
#define FNN_OPERANDS_collect(_)                                                                                  \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, samples) _(P, int32_t, start, in, all)               \
    _(P, int32_t, members, in, all) _(N, F) _(N, width) _(S, scale)
#define FNN_OPERANDS_add_slice(_)                                                                                \
    _(SPLIT, samples, none) _(P, T, y, io, samples) _(P, T, x, in, samples) _(N, F) _(N, width) _(N, first)      \
    _(N, adds)
#define FNN_OPERANDS_product(_)                                                                                  \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, a, in, samples) _(P, T, b, in, samples)             \
    _(N, M) _(N, O) _(N, K) _(NV, ma, 2) _(NV, ob, 2) _(NV, moy, 2)
#define FNN_OPERANDS_unit_fwd(_)                                                                                 \
    _(SPLIT, samples, none) _(P, T, y, out, samples) _(P, T, x, in, samples) _(N, groups) _(N, K) _(N, inner)    \
    _(S, least)
#define FNN_OPERANDS_unit_bwd(_)                                                                                 \
    _(SPLIT, samples, none) _(P, T, dx, out, samples) _(P, T, dy, in, samples) _(P, T, x, in, samples)           \
    _(N, groups) _(N, K) _(N, inner) _(S, least)
FNN_ARRANGE_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* y[f] = scale x[map[f]]; width: features of x */
static void FN(pick)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(pick)
    const V factor = v_set1((T)scale);
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, F); f++)
            for (int h = 0; h < PW; h += VW)
                v_store(y + (p * F + f) * PW + h, factor * v_load(x + (p * width + map[f]) * PW + h));
}

/* y[f] = scale times the sum of x[members[k]], k from start[f] to start[f + 1]; width: features of x */
static void FN(collect)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(collect)
    const V factor = v_set1((T)scale);
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t f = r->f0; f < fnn_min(r->f1, F); f++)
            for (int h = 0; h < PW; h += VW) {
                V sum = {0};
                for (ptrdiff_t k0 = start[f]; k0 < start[f + 1]; k0 += 16) { /* in blocks, as all sums over features */
                    V part = {0};
                    for (ptrdiff_t k = k0; k < fnn_min(start[f + 1], k0 + 16); k++)
                        part += v_load(x + (p * width + members[k]) * PW + h);
                    sum += part;
                }
                v_store(y + (p * F + f) * PW + h, factor * sum);
            }
}

/* y[first + f] = x[f], the other features of y zero; adds: y[first + f] += x[f] instead, the others as they are */
static void FN(add_slice)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(add_slice)
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++) {
        T *to = y + (p * width + first) * PW;
        const T *from = x + p * F * PW;
        if (adds) {
            for (ptrdiff_t i = 0; i < F * PW; i += VW) v_store(to + i, v_load(to + i) + v_load(from + i));
            continue;
        }
        memset(y + p * width * PW, 0, (size_t)(width * PW) * sizeof(T));
        memcpy(to, from, (size_t)(F * PW) * sizeof(T));
    }
}

/* y[m, o] = sum over k of a[m, k] b[o, k].  ma: features from m to m + 1 of a, and from k to k + 1; ob: of b; moy: from
 * m to m + 1 and from o to o + 1 of y.  So it is its own backward pass, with other strides. */
static void FN(product)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(product)
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t m = 0; m < M; m++)
            for (ptrdiff_t o = 0; o < O; o++)
                for (int h = 0; h < PW; h += VW) {
                    const T *of_a = a + (p * M * K + m * ma[0]) * PW + h, *of_b = b + (p * O * K + o * ob[0]) * PW + h;
                    V sum = {0};
                    for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
                        V part = {0};
                        for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++)
                            part = v_fma(v_load(of_a + k * ma[1] * PW), v_load(of_b + k * ob[1] * PW), part);
                        sum += part;
                    }
                    v_store(y + (p * M * O + m * moy[0] + o * moy[1]) * PW + h, sum);
                }
}

/* min(1 / ||x||, 1 / least) of K features, `stride` apart */
FNN_INLINE V FN(inverse_norm)(const T *x, ptrdiff_t K, ptrdiff_t stride, double least)
{
    V sum = {0};
    for (ptrdiff_t k0 = 0; k0 < K; k0 += 16) {
        V part = {0};
        for (ptrdiff_t k = k0; k < fnn_min(K, k0 + 16); k++) {
            const V v = v_load(x + k * stride * PW);
            part = v_fma(v, v, part);
        }
        sum += part;
    }
    return v_min(v_set1((T)(1 / least)), v_set1(1) / v_sqrt(sum));
}

/* y = x / ||x|| over K features, `inner` apart, in each of groups * inner runs; norms below `least` count as that */
static void FN(unit_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(unit_fwd)
    (void)run;
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++)
        for (ptrdiff_t i = 0; i < inner; i++)
            for (int h = 0; h < PW; h += VW) {
                const ptrdiff_t at = (g * K * inner + i) * PW + h;
                const V factor = FN(inverse_norm)(x + at, K, inner, least);
                for (ptrdiff_t k = 0; k < K; k++)
                    v_store(y + at + k * inner * PW, factor * v_load(x + at + k * inner * PW));
            }
}

/* dx = (dy - y sum(dy y)) / ||x||; without the second term where the norm is below `least` */
static void FN(unit_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(unit_bwd)
    const V most = v_set1((T)(1 / least));
    (void)run;
    for (ptrdiff_t g = r->p0 * groups; g < r->p1 * groups; g++)
        for (ptrdiff_t i = 0; i < inner; i++)
            for (int h = 0; h < PW; h += VW) {
                const ptrdiff_t at = (g * K * inner + i) * PW + h;
                const V factor = FN(inverse_norm)(x + at, K, inner, least);
                V sum = {0};
                for (ptrdiff_t k = 0; k < K; k++) {
                    const ptrdiff_t j = at + k * inner * PW;
                    sum = v_fma(v_load(dy + j), factor * v_load(x + j), sum);
                }
                sum = v_sel(factor == most, (V){0}, sum);
                for (ptrdiff_t k = 0; k < K; k++) {
                    const ptrdiff_t j = at + k * inner * PW;
                    v_store(dx + j, factor * (v_load(dy + j) - factor * v_load(x + j) * sum));
                }
            }
}
#endif
