/* Elementary functions, vector by vector.
 *
 * (a) At most 2 ulp (sigmoid 3), float32 and float64, whether v_fma is fused or rounds twice; infinities, NaN,
 *     -0.0 and subnormals as C's libm treats them.  tests/core/test_math.py holds them to that.  Largest errors met
 *     (all float32; a hundred million float64): log, log1p 0.9, exp 1.1, expm1 1.7, tanh 1.5 (1.3 by table), sigmoid
 *     2.4 ulp.
 * (b) No branch, no lane-by-lane code, no conversion between 64-bit integers and floats (AVX2 has none): adding
 *     a large constant rounds a float and leaves the integer in its low bits; powers of two are made by
 *     shifting an exponent into place.  Right shifts are logical: AVX2 has no other for 64 bits.
 * (c) A lane's result depends on nothing but that lane, so no cut of a range can change a bit.
 * (d) The polynomials are minimax fits (Remez exchange, coefficients rounded to T afterwards).  The argument
 *     reductions are Cody and Waite's (1980); the logarithms have the form of fdlibm's e_log.c. */
#define UV FN(uvec)
#if IS_F32
typedef uint32_t UV __attribute__((vector_size(FNN_VBYTES)));
#define MANT_BITS 23 /* bits of the mantissa */
#define EXP_BIAS 127
#else
typedef uint64_t UV __attribute__((vector_size(FNN_VBYTES)));
#define MANT_BITS 52
#define EXP_BIAS 1023
#endif
/* ln 2 in two parts; the first ends in so many zeros that n LN2_HI is exact for every exponent n */
#define LN2_HI ((T)(IS_F32 ? 0.693145751953125 : 6.93147180369123816490e-01))
#define LN2_LO ((T)(IS_F32 ? 1.42860682030941723e-6 : 1.90821492927058770002e-10))
#define v_setu(a) ((UV){0} + (a))
#define v_poly(x, c) FN(vpoly)(x, c, (int)(sizeof(c) / sizeof(c[0])))

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), n >= 2.  Even and odd powers run in two chains, which shortens the
 * wait for a long polynomial and would only cost a multiplication in a short one. */
FNN_INLINE V FN(vpoly)(V x, const T *c, const int n)
{
    V a = v_set1(c[n - 1]), b = v_set1(c[n - 2]);
    if (n < 5) {
        for (int i = n - 2; i >= 0; i--) a = v_fma(a, x, v_set1(c[i]));
        return a;
    }
    for (int i = n - 3; i >= 0; i--) {
        V t = v_fma(a, x * x, v_set1(c[i]));
        a = b;
        b = t;
    }
    return v_fma(a, x, b);
}

/* ---- exponentials ---------------------------------------------------------------------------------------- */
/* x + lo = n ln 2 + r, |r| <= ln(2)/2: returns exp(r) - 1 - r, and n + 2 EXP_BIAS at the place of the exponent,
 * where it takes one bit more than an exponent has: callers halve it or subtract from it to get a power of two. */
FNN_INLINE V FN(vexp_reduce)(V x, V lo, V *r, UV *e)
{
#if IS_F32
    static const T c[] = {0.49999997f, 0.166665435f, 0.0416672118f, 0.00836659595f, 0.0013881817f};
#else
    static const T c[] = {0.5, 0.16666666666666677, 0.041666666666666505, 0.0083333333333215995,
                          0.0013888888888963506, 0.00019841269886210547, 2.4801587170650367e-05,
                          2.7557244118467465e-06, 2.7557403992206372e-07, 2.5109070782562529e-08,
                          2.0874986198738113e-09};
#endif
    const T round = (T)(3 * ((TI)1 << (MANT_BITS - 1)) + 2 * EXP_BIAS);
    V t = v_fma(x, v_set1((T)1.44269504088896340736), v_set1(round));
    V n = t - round;
    *e = (UV)t << MANT_BITS;
    *r = v_fma(n, v_set1(-LN2_LO), v_fma(n, v_set1(-LN2_HI), x)) + lo;
    return *r * *r * v_poly(*r, c);
}

/* exp(x + lo), |lo| at most some ulp of x, of an x whose result is neither far below the subnormals nor far above the
 * largest number */
FNN_INLINE V FN(vexp_sum)(V x, V lo)
{
    V r, q;
    UV e, half;
    q = FN(vexp_reduce)(x, lo, &r, &e);
    /* 2^n as a product of two: n may be too small or too large for one exponent field */
    half = (e >> 1) & v_setu(~(((TI)1 << MANT_BITS) - 1));
    return (1 + (r + q)) * (V)half * (V)(e - half);
}
FNN_INLINE V FN(vexp_bounded)(V x) { return FN(vexp_sum)(x, v_set1((T)-0.0)); } /* adding -0.0 costs nothing */
#define EXP_LOW v_set1((T)(IS_F32 ? -104.5 : -746.5)) /* exp(EXP_LOW) rounds to 0, exp(EXP_HIGH) to infinity */
#define EXP_HIGH v_set1((T)(IS_F32 ? 89 : 710))

FNN_INLINE V FN(vexp)(V x) { return FN(vexp_bounded)(v_min(EXP_HIGH, v_max(EXP_LOW, x))); }

/* 2 (h (r + q) + h - 1/2) with h = 2^(n-1), which unlike 2^n is a float for every n */
FNN_INLINE V FN(vexpm1)(V x)
{
    V r, q, h, k, hi, lo, y;
    UV e;
    q = FN(vexp_reduce)(v_min(EXP_HIGH, v_max(v_set1((T)(IS_F32 ? -18 : -38)), x)), v_set1((T)-0.0), &r, &e);
    h = (V)(e - v_setu((TI)(EXP_BIAS + 1) << MANT_BITS));
    k = h - (T)0.5;
    hi = k + h * r;
    lo = (k - hi) + h * r; /* the rounding error of hi: |k| >= |h r|, or k = 0 */
    y = v_fma(h, q, lo) + hi;
    return v_sel(v_abs(x) < (T)1 / ((TI)2 << MANT_BITS), x, y + y); /* also -0.0 and subnormals */
}

/* y, which has no sign yet, with that of x */
FNN_INLINE V FN(with_sign)(V y, V x) { return (V)((VI)y | ((VI)x & v_bits(v_set1((T)-0.0)))); }

#if IS_F32 && defined(FNN_LOOKUP_f32)
/* By table, where a register pair is one: |x| lies in one of 30 intervals, the quarters of [2^e, 2^(e + 1)) for e =
 * -4..2, what is below them and what is above, so that the top bits of the float are its index.  In each tanh is a
 * minimax polynomial
 * (Remez exchange) in x less the middle of the interval; below 1/16 the odd powers alone.  No quotient, which is most
 * of the time of the other body; at most 1.3 ulp.  Rows: middles, then the coefficients of t^0 to t^5. */
static const T FN(tanh_table)[7][32] __attribute__((aligned(FNN_VBYTES))) = {
    {0.f, 0.0703125f, 0.0859375f, 0.1015625f, 0.1171875f, 0.140625f, 0.171875f, 0.203125f, 0.234375f, 0.28125f,
     0.34375f, 0.40625f, 0.46875f, 0.5625f, 0.6875f, 0.8125f, 0.9375f, 1.125f, 1.375f, 1.625f, 1.875f, 2.25f, 2.75f,
     3.25f, 3.75f, 4.5f, 5.5f, 6.5f, 7.5f, 8.5f, 8.5f, 8.5f},
    {0.f, 0.0701968595f, 0.0857265666f, 0.101214729f, 0.116653986f, 0.1397053f, 0.170202315f, 0.200376719f,
     0.230175704f, 0.27406159f, 0.330821127f, 0.385283977f, 0.437188774f, 0.509829998f, 0.596373558f, 0.670967102f,
     0.734071493f, 0.809301078f, 0.879826725f, 0.925346196f, 0.954045236f, 0.978026092f, 0.991859734f, 0.996997654f,
     0.998894453f, 0.999753237f, 0.999966621f, 0.99999547f, 0.999999404f, 0.99999994f, 0.99999994f, 0.99999994f},
    {1.f, 0.995072424f, 0.992650986f, 0.989755571f, 0.986391842f, 0.980482399f, 0.971031189f, 0.959849179f,
     0.9470191f, 0.92489028f, 0.890557408f, 0.851556301f, 0.808865964f, 0.740073442f, 0.644338608f, 0.549803197f,
     0.461138994f, 0.345031768f, 0.225904986f, 0.143734366f, 0.0897976384f, 0.0434649177f, 0.0162142869f,
     0.00599571504f, 0.00220989226f, 0.000493518775f, 6.68045686e-05f, 9.04127592e-06f, 1.22360848e-06f,
     1.65597413e-07f, 1.65597413e-07f, 1.65597413e-07f},
    {0.f, -0.0701437593f, -0.0851308554f, -0.0999445319f, -0.114759617f, -0.136898607f, -0.165478244f, -0.192354351f,
     -0.217748016f, -0.25348863f, -0.294688851f, -0.328175187f, -0.353540689f, -0.377359867f, -0.384271532f,
     -0.368955582f, -0.338456213f, -0.279240608f, -0.19877097f, -0.132989749f, -0.0856590569f, -0.0425057374f,
     -0.0160822384f, -0.00597958267f, -0.00220854627f, -0.000493386469f, -6.74618132e-05f, -8.7373719e-06f,
     -1.71477689e-06f, -8.645805e-07f, -8.645805e-07f, -8.645805e-07f},
    {-0.333332986f, -0.330938309f, -0.323985785f, -0.317497462f, -0.31277895f, -0.307129472f, -0.296725601f,
     -0.281520844f, -0.264541298f, -0.238868251f, -0.199585974f, -0.15763016f, -0.114860266f, -0.0543971583f,
     0.0143810939f, 0.064206101f, 0.0948100537f, 0.110972643f, 0.0995675921f, 0.0751660168f, 0.0518027619f,
     0.0270877071f, 0.0105463034f, 0.00396104623f, 0.00146831991f, 0.000328490132f, 4.4503071e-05f, 6.02385444e-06f,
     8.15239446e-07f, 1.63949167e-07f, 1.63949167e-07f, 1.63949167e-07f},
    {0.f, 4.81987333f, 0.615296721f, -3.73799253f, -4.92873812f, -0.237355649f, 0.94699049f, 0.213936985f,
     -0.81504178f, 0.161849156f, 0.239145532f, 0.255762756f, 0.0800339654f, 0.165613919f, 0.120747291f,
     0.0940830186f, 0.0298834685f, 0.00394043233f, -0.0203053709f, -0.0260635801f, -0.0216155052f, -0.0124329301f,
     -0.00513505237f, -0.0019421886f, -0.000719439937f, -0.000169800463f, -2.03951677e-05f, -4.32568595e-06f,
     1.53324163e-06f, 2.62623098e-06f, 2.62623098e-06f, 2.62623098e-06f},
    {0.133042768f, 67.799118f, 6.60037088f, -37.0751305f, -42.194191f, -2.17609763f, 4.90415287f, 0.538718939f,
     -3.82522535f, 0.0995963588f, 0.234143779f, 0.195700705f, -0.18011491f, -0.0255348366f, -0.0601801798f,
     -0.0510460287f, -0.0615447387f, -0.0319041349f, -0.0092885308f, 0.00125865638f, 0.00453305384f, 0.00397709711f,
     0.00191484543f, 0.000769953476f, 0.000292344717f, 6.82116297e-05f, 9.23286643e-06f, 1.24885707e-06f,
     1.69079115e-07f, -3.88243848e-07f, -3.88243848e-07f, -3.88243848e-07f},
};
FNN_INLINE V FN(vtanh)(V x)
{
    const V a = v_min(v_set1(9.02f), v_abs(x)); /* beyond it rounds to 1 */
    /* exponent and the first two bits of the mantissa: 0x1ec for 2^-4, the first quarter of the first binade */
    const VI at = (VI)((UV)v_max(v_set1(0x1.cp-5f), a) >> 21) - 0x1eb;
#define COLUMN(c) FNN_LOOKUP_f32(FN(tanh_table)[c], at)
    const V t = a - COLUMN(0);
    V y = COLUMN(6);
    for (int c = 5; c > 0; c--) y = v_fma(y, t, COLUMN(c));
#undef COLUMN
    return FN(with_sign)(y, x);
}
#else
/* |x| = n ln(2)/2 + r, t = tanh(r), h = 2^-n.  The addition theorem, divided by 2^n, gives
 *     tanh |x| = (A + (1 + h) t) / ((1 + h) + A t) = A - h (A - (2 + A) t) / ((1 + h) + A t),   A = 1 - h.
 * The second form keeps its digits: it is t itself for n = 0, and for n > 0 the quotient is a small correction to A.
 * n is rounded down sooner than to nearest (r from -0.09 to 0.26), for n = 0 is best.  float32 needs no second part
 * of ln(2)/2: its rounding error is 0.03 of the last place, and the slope of tanh falls faster than n grows. */
FNN_INLINE V FN(vtanh)(V x)
{
#if IS_F32
    static const T c[] = {-0.333332151f, 0.133227468f, -0.0512317792f};
    const T half_ln2 = 0.346573591f, half_ln2_rest = 0;
#else
    static const T c[] = {-0.33333333333332887, 0.13333333333093481, -0.053968253612234313, 0.021869465042295807,
                          -0.0088624289950593998, 0.0035770911140237389, -0.0013104113068062523};
    const T half_ln2 = 0.5 * LN2_HI, half_ln2_rest = 0.5 * LN2_LO;
#endif
    const T round = (T)(3 * ((TI)1 << (MANT_BITS - 1)) + EXP_BIAS), shift = (T)0.25;
    const V a = v_min(v_set1((T)(IS_F32 ? 9.5 : 20)), v_abs(x)); /* beyond it rounds to 1 */
    const V m = v_fma(a, v_set1((T)-2.88539008177792681472), v_set1(shift)) + round, n = m - round; /* -n, exactly */
    V r = v_fma(n, v_set1(half_ln2), a);
    if (half_ln2_rest != 0) r = v_fma(n, v_set1(half_ln2_rest), r);
    const V r2 = r * r, t = v_fma(r * r2, v_poly(r2, c), r);
    const V h = (V)((UV)m << MANT_BITS), A = 1 - h;
    const V y = A - h * v_fma(h - 3, t, A) / v_fma(A, t, 1 + h);
    return FN(with_sign)(y, x);
}
#endif

/* 1 / (1 + exp(-x)), for x < 0 as exp(x) / (1 + exp(x)): right down to the smallest subnormal */
FNN_INLINE V FN(vsigmoid)(V x)
{
    V e = FN(vexp_bounded)(v_max(EXP_LOW, -v_abs(x)));
    return v_sel(x < 0, e, v_set1(1)) / (1 + e);
}

/* ---- numbers in two parts ---------------------------------------------------------------------------------- */
/* a in two parts of half the digits: their products are exact, or nearly so (Dekker 1971) */
FNN_INLINE V FN(vsplit)(V a, V *low)
{
    const V high = (V)((UV)a & v_setu(~(((TI)1 << (MANT_BITS + 2) / 2) - 1)));
    *low = a - high;
    return high;
}
/* a b, and in *rest what its rounding lost */
FNN_INLINE V FN(vproduct)(V a, V b, V *rest)
{
    V a1, b1;
    const V a0 = FN(vsplit)(a, &a1), b0 = FN(vsplit)(b, &b1), p = a * b;
    *rest = ((a0 * b0 - p) + a0 * b1 + a1 * b0) + a1 * b1;
    return p;
}

/* ---- the normal distribution ----------------------------------------------------------------------------- */
/* Q(a) = 1 - Phi(a) = erfc(a / sqrt 2) / 2 as a product: *e = exp(-a^2/2), returned is Q(a) / *e.
 * 0 <= a <= NORMAL_FAR, where Q(a) a is below every float.  The quotient times 1 + a is a polynomial in
 * (a - 4) / (a + 4) (Shepherd & Laframboise 1981); the square goes into the exponential in two parts,
 * or its rounding error would come out a^2 times as large. */
#define NORMAL_FAR v_set1((T)(IS_F32 ? 14.6 : 39))
FNN_INLINE V FN(vnormal_tail)(V a, V *e)
{
#if IS_F32
    static const T c[] = {
        0.4720532f, -0.09670347f, 0.01399961f, 0.028599989f, -0.03219746f, 0.017939996f,
        -0.0050035543f, -0.00030251048f, 0.00069203455f, -6.2729356e-05f, -7.255785e-05f};
#else
    static const T c[] = {
        0.47205320650984467, -0.09670347732652544, 0.013999634724429945, 0.028600364053511816,
        -0.03219783742833523, 0.017936097480879654, -0.005002378585592395,
        -0.00028562311476767923, 0.0006948970424197793, -9.443012830223604e-05,
        -8.785276441903661e-05, 2.1249504490331806e-05, 1.3625085531076016e-05,
        -3.430811430734164e-06, -2.607988870219395e-06, 4.0257840297623313e-07,
        5.432292897334665e-07, 2.248191459221684e-09, -1.012389737104872e-07,
        -1.8517951237265233e-08, 1.1479571738307538e-08, 4.24506846753307e-09,
        1.4667101033791731e-10};
#endif
    V rest;
    const V square = FN(vproduct)(a, a, &rest);
    *e = FN(vexp_sum)(v_max(EXP_LOW, (T)-0.5 * square), (T)-0.5 * rest);
    return v_poly((a - 4) / (a + 4), c) / (1 + a);
}

/* sigmoid(c0 x + c1 x^3), |x| <= 30, c0 = 2 sqrt(2 / pi), c1 = 0.044715 c0: an error of the argument would come out
 * of the exponential as many times larger as the argument is large, so that is a number in two parts */
FNN_INLINE V FN(vsigmoid_of_cube)(V x)
{
    const double c0 = 1.5957691216057308, c1 = 0.07135481627260025;
    const T c0_low = (T)(IS_F32 ? c0 - (float)c0 : -9.96930880911092e-17);
    const T c1_low = (T)(IS_F32 ? c1 - (float)c1 : -6.175149918155315e-19);
    V square_low, q_low, z_low;
    const V square = FN(vproduct)(x, x, &square_low), q = FN(vproduct)(square, v_set1((T)c1), &q_low);
    const V w = q + (T)c0, added = w - (T)c0; /* what rounding lost here: Knuth's sum of two */
    const V w_low = ((T)c0 - (w - added)) + (q - added) + (q_low + square_low * (T)c1 + square * c1_low + c0_low);
    const V z = FN(vproduct)(x, w, &z_low), low = z_low + x * w_low;
    const V e = FN(vexp_sum)(v_max(EXP_LOW, -v_abs(z)), v_sel(z < 0, low, -low));
    return v_sel(z < 0, e, v_set1(1)) / (1 + e);
}

/* ---- logarithms ------------------------------------------------------------------------------------------ */
/* u = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for a normal u > 0.  s = f / (2 + f); *half = 2^(1-k). */
FNN_INLINE void FN(vlog_reduce)(V u, V *k, V *f, V *s, V *half)
{
    const T magic = (T)((TI)1 << MANT_BITS);
    const UV root = (UV)v_set1((T)0.70710678118654752440);
    UV b = (UV)u - root + (UV)v_set1(1), n = b >> MANT_BITS; /* n = k + EXP_BIAS */
    *k = (V)(n | (UV)v_set1(magic)) - (magic + EXP_BIAS);
    *f = (V)((b & v_setu(((TI)1 << MANT_BITS) - 1)) + root) - 1;
    *s = *f / (2 + *f);
    *half = (V)((2 * EXP_BIAS + 1 - n) << MANT_BITS);
}

/* k ln 2 + log(1 + f) + c */
FNN_INLINE V FN(vlog_sum)(V k, V f, V s, V c)
{
#if IS_F32
    static const T p[] = {0.666667759f, 0.399775177f, 0.298724055f};
#else
    static const T p[] = {0.66666666666666963, 0.39999999999612529, 0.28571428705317425, 0.22222201910473349,
                          0.18183408224033801, 0.15317708456250986, 0.14762001867567812};
#endif
    V z = s * s, square = f * f * (T)0.5;
    V tail = v_fma(s, v_fma(z, v_poly(z, p), square), v_fma(k, v_set1(LN2_LO), c));
    return k * LN2_HI - ((square - tail) - f);
}

/* y where 0 < u < inf, else what log(u) is there */
FNN_INLINE V FN(vlog_special)(V u, V y)
{
    const T inf = (T)__builtin_inf(), nan = (T)__builtin_nan("");
    return v_sel(u > 0, v_sel(u < inf, y, u), v_sel(u == 0, v_set1(-inf), v_set1(nan)));
}

FNN_INLINE V FN(vlog)(V x)
{
    const T least = IS_F32 ? (T)0x1p-126 : (T)0x1p-1022; /* normal number */
    VI tiny = x < least;
    V k, f, s, half;
    FN(vlog_reduce)(v_sel(tiny, x * (T)((TI)4 << MANT_BITS), x), &k, &f, &s, &half);
    k -= (V)(tiny & v_bits(v_set1(MANT_BITS + 2)));
    return FN(vlog_special)(x, FN(vlog_sum)(k, f, s, v_set1((T)-0.0)));
}

/* log(u) + c / u, where u + c = 1 + x exactly */
FNN_INLINE V FN(vlog1p)(V x)
{
    V u = 1 + x, d = u - x, c = (x - (u - d)) + (1 - d), k, f, s, half;
    FN(vlog_reduce)(u, &k, &f, &s, &half);
    /* c / u = c 2^-k (1 - s) / (1 + s); c is half an ulp at most, so two terms of the series will do */
    c = c * half * v_fma(s, s - 1, v_set1((T)0.5));
    return v_sel(v_abs(x) < (T)1 / ((TI)2 << MANT_BITS), x, FN(vlog_special)(u, FN(vlog_sum)(k, f, s, c)));
}

/* log(1 + x) for 0 <= x <= 1, as of exp(-|x|): 2 atanh(s) with s = x / (2 + x), which needs no reduction */
FNN_INLINE V FN(vlog1p_unit)(V x)
{
#if IS_F32
    static const T p[] = {0.666664183f, 0.400215298f, 0.280017674f, 0.280121416f};
#else
    static const T p[] = {0.6666666666666631, 0.4000000000015515, 0.2857142854811532, 0.22222223953757742,
                          0.1818174447648359, 0.15386548427680372, 0.1330112111412422, 0.12104945845756863,
                          0.08344971235786744, 0.1700975158858007};
#endif
    const V s = x / (2 + x), z = s * s, square = x * x * (T)0.5;
    return x - (square - s * v_fma(z, v_poly(z, p), square));
}

/* ---- the same on arrays: void (T *y, const T *x, ptrdiff_t n), any alignment, in place allowed -------------- */
/* Two vectors a turn: their chains of dependent operations overlap (tanh gains a tenth).  The tail runs through
 * the same vector code, masked. */
#define FNN_MATH(name)                                                                            \
    static void FN(math_##name)(T *y, const T *x, ptrdiff_t n)                                    \
    {                                                                                             \
        for (; n >= PW; n -= PW, x += PW, y += PW) {                                              \
            V a = FN(v##name)(v_loadu(x)), b = FN(v##name)(v_loadu(x + VW));                      \
            v_storeu(y, a);                                                                       \
            v_storeu(y + VW, b);                                                                  \
        }                                                                                         \
        for (; n > 0; n -= VW, x += VW, y += VW) {                                                \
            const ptrdiff_t m = n < VW ? n : VW;                                                  \
            v_storen(y, FN(v##name)(v_loadn(x, m)), m);                                           \
        }                                                                                         \
    }
FNN_MATH(exp) FNN_MATH(expm1) FNN_MATH(tanh) FNN_MATH(log) FNN_MATH(log1p) FNN_MATH(sigmoid) FNN_MATH(root)
#undef FNN_MATH
#ifndef FNN_MATH_FUNCTIONS
#define FNN_MATH_FUNCTIONS(X) \
    X(math_exp) X(math_expm1) X(math_tanh) X(math_log) X(math_log1p) X(math_sigmoid) X(math_root)
#endif
#undef EXP_LOW
#undef EXP_HIGH
#undef LN2_HI
#undef LN2_LO
#undef EXP_BIAS
#undef MANT_BITS
#undef v_poly
#undef v_setu
#undef UV
