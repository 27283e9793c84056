/* Elementwise loops: the formulas over contiguous elements, and kernels that apply them to a rectangle. */

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

/* y = f(x).   p: 0 y, 1 x.   n: 0 F.   fn: 0 fnn_map_fwd.   s: parameters */
static void FN(act_fwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    fnn_map_fwd map = (fnn_map_fwd)op->fn[0];
    T *y = op->p[0];
    const T *x = op->p[1];
    (void)run;
    FNN_EACH_PIECE(op->n[0], r, at, count, map(y + at, x + at, count, op->s));
}

/* dx = dy f'.   p: 0 dx, 1 dy, 2 t (y, or x if from_input).   n: 0 F.   fn: 0 fnn_map_bwd.   s: parameters */
static void FN(act_bwd)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    fnn_map_bwd map = (fnn_map_bwd)op->fn[0];
    T *dx = op->p[0];
    const T *dy = op->p[1], *t = op->p[2];
    (void)run;
    FNN_EACH_PIECE(op->n[0], r, at, count, map(dx + at, dy + at, t + at, count, op->s));
}

/* mul: out = a b, add: out = a + b.   p: 0 out, 1 a, 2 b.   n: 0 F */
#define FNN_BINARY(name, operator)                                                                         \
    static void FN(name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)                          \
    {                                                                                                      \
        T *out = op->p[0];                                                                                 \
        const T *a = op->p[1], *b = op->p[2];                                                              \
        (void)run;                                                                                         \
        FNN_EACH_PIECE(op->n[0], r, at, count,                                                             \
                       for (ptrdiff_t i = at; i < at + count; i += VW)                                     \
                           v_store(out + i, v_load(a + i) operator v_load(b + i)));                        \
    }
FNN_BINARY(mul, *)
FNN_BINARY(add, +)
#undef FNN_BINARY

/* y = x scale + offset.   p: 0 y, 1 x.   n: 0 F.   s: 0 scale, 1 offset */
static void FN(affine)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    T *y = op->p[0];
    const T *x = op->p[1];
    const V scale = v_set1((T)op->s[0]), offset = v_set1((T)op->s[1]);
    (void)run;
    FNN_EACH_PIECE(op->n[0], r, at, count,
                   for (ptrdiff_t i = at; i < at + count; i += VW)
                       v_store(y + i, v_fma(v_load(x + i), scale, offset)));
}

#ifndef FNN_MAP_KERNELS
#define FNN_MAP_KERNELS(X) X(act_fwd) X(act_bwd) X(mul) X(add) X(affine)
#endif
