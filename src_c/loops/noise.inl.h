/* Layers that draw a number for each element while training.  To add one: a row and its function here.
 *
 * (a) Row X(name, params): FN(noise_<name>)(x, r, s, mask) returns y and sets the mask, dy/dx, which `mul` multiplies
 *     by on the way back.  r: what is drawn, see FN(draw); s: the numbers made of the parameters,
 *     once a call and in double.
 * (b) The words are those of dropout (panel_words), so everything there about threads, cuts and resuming holds. */
#ifndef FNN_NOISE_KERNELS
#define FNN_NOISE_KERNELS(X) X(gaussian_noise) X(gaussian_dropout) X(alpha_dropout) X(rrelu)
#define FNN_OPERANDS_noise(_)                                                                             \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(P, T, mask, out_opt, local)          \
    _(N, F) FNN_OPERANDS_words(_) _(SV, p, 2)
#define FNN_OPERANDS_gaussian_noise FNN_OPERANDS_noise
#define FNN_OPERANDS_gaussian_dropout FNN_OPERANDS_noise
#define FNN_OPERANDS_alpha_dropout FNN_OPERANDS_noise
#define FNN_OPERANDS_rrelu FNN_OPERANDS_noise
FNN_NOISE_KERNELS(FNN_LAYOUT)
enum { FNN_DRAW_NORMAL, FNN_DRAW_UNIFORM };
#define FNN_ALPHA_DROPPED (-1.7580993408473766) /* -alpha scale of SELU: its limit far to the left */
#endif
#ifdef SFX

/* The standard normal number of a word w: Phi^-1((w + 1/2) / 2^32), by AS 241 (Wichura 1988), whose third branch
 * 32 bits never reach.  tail = min(u, 1 - u) and centre = |u - 1/2|, both without cancellation; `low`: u < 1/2. */
FNN_INLINE V FN(normal)(V tail, V centre, VI low)
{
    static const T a[] = {(T)3.3871328727963666080e0,  (T)1.3314166789178437745e+2, (T)1.9715909503065514427e+3,
                          (T)1.3731693765509461125e+4, (T)4.5921953931549871457e+4, (T)6.7265770927008700853e+4,
                          (T)3.3430575583588128105e+4, (T)2.5090809287301226727e+3};
    static const T b[] = {(T)1.0,                      (T)4.2313330701600911252e+1, (T)6.8718700749205790830e+2,
                          (T)5.3941960214247511077e+3, (T)2.1213794301586595867e+4, (T)3.9307895800092710610e+4,
                          (T)2.8729085735721942674e+4, (T)5.2264952788528545610e+3};
    static const T c[] = {(T)1.42343711074968357734e0,  (T)4.63033784615654529590e0,  (T)5.76949722146069140550e0,
                          (T)3.64784832476320460504e0,  (T)1.27045825245236838258e0,  (T)2.41780725177450611770e-1,
                          (T)2.27238449892691845833e-2, (T)7.74545014278341407640e-4};
    static const T d[] = {(T)1.0,                       (T)2.05319162663775882187e0,  (T)1.67638483018380384940e0,
                          (T)6.89767334985100004550e-1, (T)1.48103976427480074590e-1, (T)1.51986665636164571966e-2,
                          (T)5.47593808499534494600e-4, (T)1.05075007164441684324e-9};
    const V r = (T)0.180625 - centre * centre, q = v_sqrt(-FN(vlog)(tail)) - (T)1.6;
    const V middle = centre * FN(vpoly)(r, a, 8) / FN(vpoly)(r, b, 8), outer = FN(vpoly)(q, c, 8) / FN(vpoly)(q, d, 8);
    const V z = v_sel(centre <= (T)0.425, middle, outer);
    return v_sel(low, -z, z);
}

/* The numbers of VW words: standard normal, or uniform in [0, 1) with 24 bits, the same in either dtype. */
FNN_INLINE V FN(draw)(int what, const uint32_t *words)
{
    T a[VW], b[VW];
    TI low[VW];
    if (what == FNN_DRAW_UNIFORM) {
        for (int i = 0; i < VW; i++) a[i] = (T)(int32_t)(words[i] >> 8) * (T)0x1p-24;
        return v_loadu(a);
    }
    for (int i = 0; i < VW; i++) {
        const int32_t w = (int32_t)words[i], m = w < 0 ? ~w : w; /* m: distance to the nearer end, 31 bits */
        a[i] = ((T)m + (T)0.5) * (T)0x1p-32;
        b[i] = ((T)(INT32_MAX - m) + (T)0.5) * (T)0x1p-32;
        low[i] = w < 0 ? 0 : -1;
    }
    VI mask;
    memcpy(&mask, low, sizeof mask);
    return FN(normal)(v_loadu(a), v_loadu(b), mask);
}

/* y = x + stddev z.   s: 0 stddev */
FNN_INLINE V FN(noise_gaussian_noise)(V x, V r, const V *s, V *mask) { *mask = v_set1(1); return x + s[0] * r; }

/* y = x (1 + z sqrt(rate / (1 - rate))), Srivastava et al. 2014, section 10.   s: 0 rate -> the root */
FNN_INLINE V FN(noise_gaussian_dropout)(V x, V r, const V *s, V *mask) { *mask = 1 + s[0] * r; return x * *mask; }

/* y = a x + b, x replaced by SELU's lower limit with probability `rate`; a and b keep mean 0 and variance 1
 * (Klambauer et al. 2017, section 2).   s: 0 rate -> rate in 24 bits, 1 a, 2 b, 3 a limit + b */
FNN_INLINE V FN(noise_alpha_dropout)(V x, V r, const V *s, V *mask)
{
    const VI keep = r >= s[0];
    *mask = v_sel(keep, s[1], v_set1(0));
    return v_sel(keep, x * s[1] + s[2], s[3]);
}

/* y = x above 0, else x times a slope drawn from [lower, upper) (Xu et al. 2015).   s: 0 lower, 1 upper -> width */
FNN_INLINE V FN(noise_rrelu)(V x, V r, const V *s, V *mask)
{
    *mask = v_sel(x > 0, v_set1(1), s[0] + r * s[1]);
    return x * *mask;
}

#define FNN_NOISE(name, what, ...)                                                                          \
    /* x may be y; p: the row's parameters */                                                                \
    static void FN(name)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)                            \
    {                                                                                                        \
        FNN_OPEN(name)                                                                                       \
        const ptrdiff_t end = fnn_min(r->f1, F);                                                             \
        const double made[4] = {__VA_ARGS__};                                                                \
        uint32_t words[FNN_WORDS] __attribute__((aligned(64)));                                              \
        V s[4], keep;                                                                                        \
        V64 keys[20];                                                                                        \
        for (int i = 0; i < 4; i++) s[i] = v_set1((T)made[i]);                                               \
        FNN_CAT(philox_keys_, FNN_ISA)(keys, (uint32_t)run->seed, (uint32_t)(run->seed >> 32));              \
        for (ptrdiff_t q = r->p0; q < r->p1; q++)                                                            \
            for (ptrdiff_t f = r->f0; f < end; f += FNN_WORD_COLS) {                                    \
                const ptrdiff_t n = fnn_min(FNN_WORD_COLS, end - f), at = (q * F + f) * PW;                  \
                FN(shared_words)(words, id, axes, across, sizes, run, q, f, n, keys);                        \
                for (ptrdiff_t i = 0; i < n * PW; i += VW) {                                                 \
                    const V drawn = FN(draw)(what, words + i);                                               \
                    v_store(y + at + i, FN(noise_##name)(v_load(x + at + i), drawn, s, &keep));              \
                    if (mask) v_store(mask + at + i, keep);                                                  \
                }                                                                                            \
            }                                                                                                \
    }
#define ALPHA_A (1 / sqrt((1 - p[0]) * (1 + p[0] * FNN_ALPHA_DROPPED * FNN_ALPHA_DROPPED)))
FNN_NOISE(gaussian_noise, FNN_DRAW_NORMAL, p[0])
FNN_NOISE(gaussian_dropout, FNN_DRAW_NORMAL, sqrt(p[0] / (1 - p[0])))
FNN_NOISE(alpha_dropout, FNN_DRAW_UNIFORM, ceil(p[0] * 0x1p24) * 0x1p-24, ALPHA_A,
          -ALPHA_A * FNN_ALPHA_DROPPED * p[0], ALPHA_A * FNN_ALPHA_DROPPED * (1 - p[0]))
FNN_NOISE(rrelu, FNN_DRAW_UNIFORM, p[0], p[1] - p[0])
#undef ALPHA_A
#undef FNN_NOISE
#endif
