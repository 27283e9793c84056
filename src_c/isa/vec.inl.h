/* The vocabulary, expanded once per dtype inside a unit.
 *
 * Needs: SFX (f32 | f64), T, TI (signed integer of the same width), FNN_VBYTES and the FNN_*_SFX hooks of
 * isa/vec_<target>.h.  Gives V, VI, VW and the v_* operations below; arithmetic, comparison and bit
 * operators are the compiler's own on vector types (a comparison gives a VI mask of 0 / -1).
 *
 * Width of a panel: PW = 2 * VW lanes.  It is the unit of every layout (see src_c/fnn.h). */
#define VW ((int)(FNN_VBYTES / sizeof(T)))
#define PW (2 * VW)
#define V FN(vec)
#define VI FN(ivec)

typedef T V __attribute__((vector_size(FNN_VBYTES)));
typedef TI VI __attribute__((vector_size(FNN_VBYTES)));
/* may_alias and the element's own alignment: the only types through which memory is read or written */
typedef T FN(vec_u) __attribute__((vector_size(FNN_VBYTES), aligned(sizeof(T)), may_alias));
typedef T FN(vec_a) __attribute__((vector_size(FNN_VBYTES), may_alias));

FNN_INLINE V FN(vload)(const T *p) { return *(const FN(vec_a) *)p; }   /* FNN_VBYTES-aligned */
FNN_INLINE V FN(vloadu)(const T *p) { return *(const FN(vec_u) *)p; }  /* any address of a T */
FNN_INLINE void FN(vstore)(T *p, V a) { *(FN(vec_a) *)p = a; }
FNN_INLINE void FN(vstoreu)(T *p, V a) { *(FN(vec_u) *)p = a; }
FNN_INLINE V FN(vset1)(T a) { return a - (V){0}; } /* a + 0 would lose -0.0 and cost an add */
FNN_INLINE VI FN(vset1i)(TI a) { return (VI){0} + a; }
FNN_INLINE VI FN(vbits)(V a) { return (VI)a; }   /* reinterpret */
FNN_INLINE V FN(vfrombits)(VI a) { return (V)a; }
FNN_INLINE V FN(vfma)(V a, V b, V c) { return FNN_CAT(FNN_FMA_, SFX)(a, b, c); } /* a*b + c */
/* mask ? a : b, lane by lane; mask lanes are 0 or -1 */
#ifdef FNN_SEL_f32
FNN_INLINE V FN(vsel)(VI m, V a, V b) { return FNN_CAT(FNN_SEL_, SFX)(m, a, b); }
#else
FNN_INLINE V FN(vsel)(VI m, V a, V b) { return (V)((m & (VI)a) | (~m & (VI)b)); }
#endif
/* If a or b is NaN the result is b (as MAXPS does): write max(limit, x) to let a NaN in x through. */
#ifdef FNN_MAX_f32
FNN_INLINE V FN(vmax)(V a, V b) { return FNN_CAT(FNN_MAX_, SFX)(a, b); }
FNN_INLINE V FN(vmin)(V a, V b) { return FNN_CAT(FNN_MIN_, SFX)(a, b); }
#else
FNN_INLINE V FN(vmax)(V a, V b) { return FN(vsel)(a > b, a, b); }
FNN_INLINE V FN(vmin)(V a, V b) { return FN(vsel)(a < b, a, b); }
#endif
FNN_INLINE VI FN(vsignbit)(void) { return FN(vbits)(FN(vset1)((T)-0.0)); }
FNN_INLINE V FN(vabs)(V a) { return (V)((VI)a & ~FN(vsignbit)()); }
FNN_INLINE V FN(vcopysign)(V mag, V sign) { return (V)(((VI)mag & ~FN(vsignbit)()) | ((VI)sign & FN(vsignbit)())); }
FNN_INLINE V FN(vsqrt)(V a)
{
#ifdef FNN_SQRT_f32
    return FNN_CAT(FNN_SQRT_, SFX)(a);
#else
    V r;
    for (int i = 0; i < VW; i++) r[i] = (T)__builtin_sqrt((double)a[i]);
    return r;
#endif
}
/* Square root of a >= 0 within 1 ulp, for the optimizers, which divide by it: hardware square roots and quotients
 * share one unit, the divider, so where a cheap estimate of 1 / sqrt(a) exists, one Newton step (Heron's) leaves the
 * divider to the quotient.  a is clamped to the normal numbers: the estimate of 1 / 0 is infinite.  So the root of
 * less than 2^-126 is 2^-63, that of infinity the root of the largest number; NaN stays NaN. */
FNN_INLINE V FN(vroot)(V a)
{
#if IS_F32 && defined(FNN_RSQRT_f32)
    a = FNN_MAX_f32(FN(vset1)(0x1p-126f), FNN_MIN_f32(FN(vset1)(0x1.fffffep127f), a));
    const V q = FNN_RSQRT_f32(a), s = a * q;
    return FN(vfma)(FN(vfma)(-s, s, a), (T)0.5 * q, s);
#else
    return FN(vsqrt)(a);
#endif
}
/* Sum of the lanes in one fixed order (pairs at distance VW/2, VW/4, ...). */
FNN_INLINE T FN(vhsum)(V a)
{
    T t[VW];
    FN(vstoreu)(t, a);
    for (int h = VW / 2; h > 0; h /= 2)
        for (int i = 0; i < h; i++) t[i] += t[i + h];
    return t[0];
}
/* The first n lanes (0 <= n <= VW) from or to memory; the others read as zero and are not touched. */
FNN_INLINE V FN(vloadn)(const T *p, ptrdiff_t n)
{
    T t[VW] = {0};
    memcpy(t, p, (size_t)n * sizeof(T));
    return FN(vloadu)(t);
}
FNN_INLINE void FN(vstoren)(T *p, V a, ptrdiff_t n)
{
    T t[VW];
    FN(vstoreu)(t, a);
    memcpy(p, t, (size_t)n * sizeof(T));
}
/* -1 in the first n lanes, 0 in the others (n may be negative or above VW) */
FNN_INLINE VI FN(vfirstn)(ptrdiff_t n)
{
    VI lane;
    for (int i = 0; i < VW; i++) lane[i] = (TI)i;
    return lane < (TI)(n < 0 ? 0 : n > VW ? VW : n);
}

#define v_load FN(vload)
#define v_loadu FN(vloadu)
#define v_store FN(vstore)
#define v_storeu FN(vstoreu)
#define v_set1 FN(vset1)
#define v_set1i FN(vset1i)
#define v_bits FN(vbits)
#define v_frombits FN(vfrombits)
#define v_fma FN(vfma)
#define v_sel FN(vsel)
#define v_max FN(vmax)
#define v_min FN(vmin)
#define v_abs FN(vabs)
#define v_copysign FN(vcopysign)
#define v_sqrt FN(vsqrt)
#define v_root FN(vroot)
#define v_hsum FN(vhsum)
#define v_loadn FN(vloadn)
#define v_storen FN(vstoren)
#define v_firstn FN(vfirstn)
