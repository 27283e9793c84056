/* Elementwise loops: the formulas over contiguous elements, and kernels that apply them to a rectangle. */
#ifndef FNN_MAP_KERNELS
#define FNN_MAP_KERNELS(X) X(act_fwd) X(act_bwd) X(mul) X(add) X(quotient) X(larger) X(smaller) \
    X(quotient_bwd) X(larger_bwd) X(smaller_bwd) X(affine) X(copy_part)
#define FNN_OPERANDS_act_fwd(_) \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(N, F) _(SV, s, FNN_MAX_S) _(F, fnn_map_fwd, act)
#define FNN_OPERANDS_act_bwd(_)                                                                                  \
    _(SPLIT, rect, F) _(P, T, dx, out, local) _(P, T, dy, in, local) _(P, T, t, in, local) _(N, F)               \
    _(SV, s, FNN_MAX_S) _(F, fnn_map_bwd, act)
#define FNN_OPERANDS_mul(_) _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, a, in, local) _(P, T, b, in, local) _(N, F)
#define FNN_OPERANDS_add FNN_OPERANDS_mul
#define FNN_OPERANDS_quotient FNN_OPERANDS_mul
#define FNN_OPERANDS_larger FNN_OPERANDS_mul
#define FNN_OPERANDS_smaller FNN_OPERANDS_mul
#define FNN_OPERANDS_larger_bwd(_)                                                                     \
    _(SPLIT, rect, F) _(P, T, da, out, local) _(P, T, dy, in, local) _(P, T, a, in, local)             \
    _(P, T, b, in, local) _(N, F)
#define FNN_OPERANDS_smaller_bwd FNN_OPERANDS_larger_bwd
#define FNN_OPERANDS_quotient_bwd(_)                                                                   \
    _(SPLIT, rect, F) _(P, T, db, out, local) _(P, T, dy, in, local) _(P, T, y, in, local)             \
    _(P, T, b, in, local) _(N, F)
#define FNN_OPERANDS_affine(_) \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(N, F) _(S, scale) _(S, offset)
#define FNN_OPERANDS_copy_part(_)                                                                       \
    _(SPLIT, rect, F) _(P, T, y, out, samples) _(P, T, x, in, samples) _(N, F)                          \
    _(N, y_width) _(N, y_first) _(N, x_width) _(N, x_first)
FNN_MAP_KERNELS(FNN_LAYOUT)
#endif
#ifdef SFX

/* s -> vectors.  Always all FNN_MAX_S of fnn_op: what a formula does not use is dropped after inlining. */
#define FNN_BROADCAST(v, s) \
    V v[FNN_MAX_S];         \
    for (int fnn_j = 0; fnn_j < FNN_MAX_S; fnn_j++) v[fnn_j] = v_set1((T)(s)[fnn_j])

/* map_<activation>_fwd: two vectors a turn, so that their chains of dependent operations overlap.
 * In either direction the tail runs through the same vector code, masked: a cut changes nothing. */
#define X(name, params, from_input)                                                                        \
    static void FN(map_##name##_fwd)(void *y_, const void *x_, ptrdiff_t n, const double *s)               \
    {                                                                                                      \
        T *y = y_;                                                                                         \
        const T *x = x_;                                                                                   \
        FNN_BROADCAST(v, s);                                                                               \
        for (; n >= PW; n -= PW, x += PW, y += PW) {                                                       \
            V a = FN(act_##name##_f)(v_loadu(x), v), b = FN(act_##name##_f)(v_loadu(x + VW), v);           \
            v_storeu(y, a);                                                                                \
            v_storeu(y + VW, b);                                                                           \
        }                                                                                                  \
        for (; n > 0; n -= VW, x += VW, y += VW) {                                                         \
            const ptrdiff_t m = n < VW ? n : VW;                                                           \
            v_storen(y, FN(act_##name##_f)(v_loadn(x, m), v), m);                                          \
        }                                                                                                  \
    }                                                                                                      \
    static void FN(map_##name##_bwd)(void *dx_, const void *dy_, const void *t_, ptrdiff_t n, const double *s) \
    {                                                                                                      \
        T *dx = dx_;                                                                                       \
        const T *dy = dy_, *t = t_;                                                                        \
        FNN_BROADCAST(v, s);                                                                               \
        for (; n >= VW; n -= VW, dx += VW, dy += VW, t += VW)                                              \
            v_storeu(dx, v_loadu(dy) * FN(act_##name##_b)(v_loadu(t), v));                                 \
        if (n > 0) v_storen(dx, v_loadn(dy, n) * FN(act_##name##_b)(v_loadn(t, n), v), n);                 \
    }
FNN_ACTIVATIONS(X)
#undef X

/* Calls `body` with the contiguous pieces of a rectangle of panels of F features: `at` elements from the
 * start, `count` of them (a multiple of VW).  Full width is one piece. */
#define FNN_EACH_PIECE(F, r, at, count, body)                                                              \
    do {                                                                                                   \
        ptrdiff_t fnn_a = (r)->f0, fnn_b = (r)->f1 < (F) ? (r)->f1 : (F);                   \
        ptrdiff_t fnn_p = (r)->p0, fnn_step = fnn_a == 0 && fnn_b == (F) ? (r)->p1 - (r)->p0 : 1;          \
        for (; fnn_a < fnn_b && fnn_p < (r)->p1; fnn_p += fnn_step) {                                      \
            const ptrdiff_t at = (fnn_p * (F) + fnn_a) * PW, count = fnn_step * (fnn_b - fnn_a) * PW;      \
            body;                                                                                          \
        }                                                                                                  \
    } while (0)

/* y = f(x) */
static void FN(act_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(act_fwd)
    (void)run;
    FNN_EACH_PIECE(F, r, at, count, act(y + at, x + at, count, s));
}

/* dx = dy f'(t), t being y, or x if the row says so (from_input) */
static void FN(act_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(act_bwd)
    (void)run;
    FNN_EACH_PIECE(F, r, at, count, act(dx + at, dy + at, t + at, count, s));
}

/* y of a and b; NaN in either is NaN, as in IEEE 754-2019's maximum and minimum */
#define FNN_BINARY(name, result)                                                                           \
    static void FN(name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)                          \
    {                                                                                                      \
        FNN_OPEN(name)                                                                                     \
        (void)run;                                                                                         \
        FNN_EACH_PIECE(F, r, at, count, for (ptrdiff_t i = at; i < at + count; i += VW) {                  \
            const V p = v_load(a + i);                                                                     \
            const V q = v_load(b + i);                                                                     \
            v_store(y + i, result);                                                                        \
        });                                                                                                \
    }
FNN_BINARY(mul, p * q)
FNN_BINARY(add, p + q)
FNN_BINARY(quotient, p / q)
FNN_BINARY(larger, v_sel((p > q) | (p != p), p, q))
FNN_BINARY(smaller, v_sel((p < q) | (p != p), p, q))
#undef FNN_BINARY

/* da = dy where the result is a, half of it where a and b are equal, so that the two gradients sum to dy, else 0 */
#define FNN_CHOSEN_BWD(name, is_a)                                                                         \
    static void FN(name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)                          \
    {                                                                                                      \
        FNN_OPEN(name)                                                                                     \
        (void)run;                                                                                         \
        const V none = v_set1(0), half = v_set1((T)0.5);                                                   \
        FNN_EACH_PIECE(F, r, at, count, for (ptrdiff_t i = at; i < at + count; i += VW) {                  \
            const V p = v_load(a + i);                                                                     \
            const V q = v_load(b + i);                                                                     \
            const V d = v_load(dy + i);                                                                    \
            v_store(da + i, v_sel(is_a, d, v_sel(p == q, half * d, none)));                                \
        });                                                                                                \
    }
FNN_CHOSEN_BWD(larger_bwd, p > q)
FNN_CHOSEN_BWD(smaller_bwd, p < q)
#undef FNN_CHOSEN_BWD

/* y = a / b: db = -dy y / b */
static void FN(quotient_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(quotient_bwd)
    (void)run;
    FNN_EACH_PIECE(F, r, at, count,
                   for (ptrdiff_t i = at; i < at + count; i += VW)
                       v_store(db + i, -v_load(dy + i) * v_load(y + i) / v_load(b + i)));
}

/* y = x scale + offset */
static void FN(affine)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(affine)
    const V factor = v_set1((T)scale), term = v_set1((T)offset);
    (void)run;
    FNN_EACH_PIECE(F, r, at, count,
                   for (ptrdiff_t i = at; i < at + count; i += VW)
                       v_store(y + i, v_fma(v_load(x + i), factor, term)));
}

/* y[y_first + f] = x[x_first + f], F features of samples of y_width and of x_width */
static void FN(copy_part)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(copy_part)
    const ptrdiff_t end = fnn_min(r->f1, F);
    (void)run;
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        memcpy(y + (p * y_width + y_first + r->f0) * PW, x + (p * x_width + x_first + r->f0) * PW,
               (size_t)((end - r->f0) * PW) * sizeof(T));
}
#endif
