/* Activations: to add one, add a row and its two functions.
 *
 * Row X(name, params, from_input): names and defaults of s[0], s[1], ..., "alpha=1.0>=0" with the least value for which
 * both functions are right; from_input = 1 if the derivative needs the input x, 0 if the output y is enough (cheaper: x
 * need not be kept).
 *   FN(act_<name>_f)(x, s) = y,  FN(act_<name>_b)(t, s) = dy/dx from t = y or x; s[i]: parameter i in all lanes.
 * A NaN goes through f. */
#ifndef FNN_ACTIVATIONS
#define FNN_ACTIVATIONS(X)                                                 \
    X(linear, "", 0)                                                       \
    X(relu, "", 0)                                                         \
    X(relu_general, "negative_slope=0.0,max_value=inf,threshold=0.0", 1)   \
    X(leaky_relu, "negative_slope=0.2", 1)                                 \
    X(elu, "alpha=1.0>=0", 0)                                              \
    X(selu, "", 0)                                                         \
    X(sigmoid, "", 0)                                                      \
    X(tanh, "", 0)                                                         \
    X(relu6, "", 0)                                                        \
    X(softplus, "", 0)                                                     \
    X(softsign, "", 1)                                                     \
    X(hard_sigmoid, "", 0)                                                 \
    X(sparse_sigmoid, "", 0)                                               \
    X(exponential, "", 0)                                                  \
    X(silu, "", 1)                                                         \
    X(hard_silu, "", 1)                                                    \
    X(gelu, "", 1)                                                         \
    X(gelu_general, "approximate=0", 1)                                    \
    X(mish, "", 1)                                                         \
    X(celu, "alpha=1.0", 0)                                                \
    X(hard_tanh, "", 0)                                                    \
    X(log_sigmoid, "", 0)                                                  \
    X(tanh_shrink, "", 1)                                                  \
    X(soft_shrink, "threshold=0.5", 0)                                     \
    X(hard_shrink, "threshold=0.5", 0)                                     \
    X(threshold, "threshold=0.0,default_value=0.0", 1)                     \
    X(squareplus, "b=4.0>=0", 0)                                           \
    X(sparse_plus, "", 0)
#define FNN_NOS const V *s __attribute__((unused))
/* x cut to where the exponential is not yet 0: what is multiplied with it must not be infinite */
#define FNN_NOT_FAR_BELOW(x) v_max(v_set1((T)(IS_F32 ? -120 : -760)), x)
#define FNN_SELU_SCALE ((T)1.05070098735548049342)
#define FNN_SELU_ALPHA ((T)1.67326324235437728482)
#endif
#ifdef SFX

FNN_INLINE V FN(act_linear_f)(V x, FNN_NOS) { return x; }
FNN_INLINE V FN(act_linear_b)(V y __attribute__((unused)), FNN_NOS) { return v_set1(1); }

FNN_INLINE V FN(act_relu_f)(V x, FNN_NOS) { return v_max(v_set1(0), x); }
FNN_INLINE V FN(act_relu_b)(V y, FNN_NOS) { return v_sel(y > 0, v_set1(1), v_set1(0)); }

/* slope * x for x <= 0, and 0 for slope 0 and x = -inf */
FNN_INLINE V FN(slope_times)(V slope, V x) { return v_sel(slope == 0, v_max(v_set1(0), x), slope * x); }

/* max_value if x >= max_value, x if x > threshold, else negative_slope (x - threshold).  At x = threshold Keras'
 * documentation says x, its code and this the other branch: with defaults the derivative at 0 is relu's, 0. */
FNN_INLINE V FN(act_relu_general_f)(V x, const V *s)
{
    V y = v_sel(x > s[2], x, FN(slope_times)(s[0], x - s[2]));
    return v_sel(x >= s[1], s[1], y);
}
FNN_INLINE V FN(act_relu_general_b)(V x, const V *s)
{
    return v_sel(x >= s[1], v_set1(0), v_sel(x > s[2], v_set1(1), s[0]));
}

/* from the input: with a slope below zero the output does not tell the sides apart */
FNN_INLINE V FN(act_leaky_relu_f)(V x, const V *s) { return v_sel(x > 0, x, FN(slope_times)(s[0], x)); }
FNN_INLINE V FN(act_leaky_relu_b)(V x, const V *s) { return v_sel(x > 0, v_set1(1), s[0]); }

/* alpha (exp(x) - 1) for x <= 0; its derivative alpha exp(x) = y + alpha.  alpha >= 0. */
FNN_INLINE V FN(act_elu_f)(V x, const V *s) { return v_sel(x > 0, x, s[0] * FN(vexpm1)(v_min(v_set1(0), x))); }
FNN_INLINE V FN(act_elu_b)(V y, const V *s) { return v_sel(y > 0, v_set1(1), y + s[0]); }

/* Klambauer et al. 2017, eq. 2 */
FNN_INLINE V FN(act_selu_f)(V x, FNN_NOS)
{
    return FNN_SELU_SCALE * v_sel(x > 0, x, FNN_SELU_ALPHA * FN(vexpm1)(x));
}
FNN_INLINE V FN(act_selu_b)(V y, FNN_NOS)
{
    return v_sel(y > 0, v_set1(FNN_SELU_SCALE), y + FNN_SELU_SCALE * FNN_SELU_ALPHA);
}

FNN_INLINE V FN(act_sigmoid_f)(V x, FNN_NOS) { return FN(vsigmoid)(x); }
FNN_INLINE V FN(act_sigmoid_b)(V y, FNN_NOS) { return y * (1 - y); }

FNN_INLINE V FN(act_tanh_f)(V x, FNN_NOS) { return FN(vtanh)(x); }
FNN_INLINE V FN(act_tanh_b)(V y, FNN_NOS) { return (1 - y) * (1 + y); }

FNN_INLINE V FN(act_relu6_f)(V x, FNN_NOS) { return v_min(v_set1(6), v_max(v_set1(0), x)); }
FNN_INLINE V FN(act_relu6_b)(V y, FNN_NOS) { return v_sel((y > 0) & (y < 6), v_set1(1), v_set1(0)); }

/* log(1 + exp(x));  its derivative 1 / (1 + exp(-x)) = 1 - exp(-y) */
FNN_INLINE V FN(softplus)(V x) { return v_max(v_set1(0), x) + FN(vlog1p_unit)(FN(vexp)(-v_abs(x))); }
FNN_INLINE V FN(act_softplus_f)(V x, FNN_NOS) { return FN(softplus)(x); }
FNN_INLINE V FN(act_softplus_b)(V y, FNN_NOS) { return -FN(vexpm1)(-y); }

FNN_INLINE V FN(act_log_sigmoid_f)(V x, FNN_NOS) { return -FN(softplus)(-x); }
FNN_INLINE V FN(act_log_sigmoid_b)(V y, FNN_NOS) { return -FN(vexpm1)(y); }

/* x / (1 + |x|), of infinity as of the largest number */
FNN_INLINE V FN(act_softsign_f)(V x, FNN_NOS)
{
    const V most = v_set1((T)(IS_F32 ? 3.40282346638528859812e38 : 1.79769313486231570815e308));
    x = v_max(-most, v_min(most, x));
    return x / (1 + v_abs(x));
}
FNN_INLINE V FN(act_softsign_b)(V x, FNN_NOS) /* from the input: (1 - |y|)^2 has no digits left for large x */
{
    const V r = 1 / (1 + v_abs(x));
    return r * r;
}

FNN_INLINE V FN(act_hard_sigmoid_f)(V x, FNN_NOS) { return FN(act_relu6_f)(x + 3, s) / 6; }
FNN_INLINE V FN(act_hard_sigmoid_b)(V y, FNN_NOS)
{
    return v_sel((y > 0) & (y < 1), v_set1((T)(1.0 / 6)), v_set1(0));
}

FNN_INLINE V FN(act_sparse_sigmoid_f)(V x, FNN_NOS) { return (T)0.5 * v_min(v_set1(2), v_max(v_set1(0), x + 1)); }
FNN_INLINE V FN(act_sparse_sigmoid_b)(V y, FNN_NOS) { return v_sel((y > 0) & (y < 1), v_set1((T)0.5), v_set1(0)); }

FNN_INLINE V FN(act_exponential_f)(V x, FNN_NOS) { return FN(vexp)(x); }
FNN_INLINE V FN(act_exponential_b)(V y, FNN_NOS) { return y; }

/* x sigmoid(x) */
FNN_INLINE V FN(act_silu_f)(V x, FNN_NOS)
{
    x = FNN_NOT_FAR_BELOW(x);
    return x * FN(vsigmoid)(x);
}
FNN_INLINE V FN(act_silu_b)(V x, FNN_NOS)
{
    x = v_min(v_set1((T)(IS_F32 ? 120 : 760)), FNN_NOT_FAR_BELOW(x));
    const V y = FN(vsigmoid)(x);
    return y * v_fma(x, 1 - y, v_set1(1));
}

FNN_INLINE V FN(act_hard_silu_f)(V x, FNN_NOS) { return v_max(v_set1(-3), x) * FN(act_hard_sigmoid_f)(x, s); }
FNN_INLINE V FN(act_hard_silu_b)(V x, FNN_NOS)
{
    return v_sel(x <= -3, v_set1(0), v_sel(x >= 3, v_set1(1), (x + x + 3) / 6));
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|);  its derivative Phi(x) + x phi(x) (Hendrycks & Gimpel 2016) */
FNN_INLINE V FN(act_gelu_f)(V x, FNN_NOS)
{
    V a = v_min(NORMAL_FAR, v_abs(x)), e, q = FN(vnormal_tail)(a, &e);
    return v_max(v_set1(0), x) - e * (a * q);
}
FNN_INLINE V FN(act_gelu_b)(V x, FNN_NOS)
{
    V a = v_min(NORMAL_FAR, v_abs(x)), e, q = FN(vnormal_tail)(a, &e) * e;
    return v_fma(v_copysign(a, x), e * (T)0.39894228040143267794, v_sel(x < 0, q, 1 - q));
}
/* approximate != 0: x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).  Far from 0 the cube
 * would overflow where the sigmoid has long been 0 or 1. */
FNN_INLINE V FN(act_gelu_general_f)(V x, const V *s)
{
    if (s[0][0] == 0) return FN(act_gelu_f)(x, s);
    const V far = v_set1(30), near = v_max(-far, v_min(far, x));
    return v_max(-far, x) * FN(vsigmoid_of_cube)(near);
}
FNN_INLINE V FN(act_gelu_general_b)(V x, const V *s)
{
    if (s[0][0] == 0) return FN(act_gelu_b)(x, s);
    const V far = v_set1(30), near = v_max(-far, v_min(far, x)), y = FN(vsigmoid_of_cube)(near);
    const V slope = v_fma(near * near, v_set1((T)0.21406444881780074), v_set1((T)1.5957691216057308));
    return y * v_fma(near * slope, 1 - y, v_set1(1));
}

/* x tanh(log(1 + e^x)) = x n / (n + 2), n = e^x (e^x + 2) (Misra 2019).  Above 30 the quotient is 1. */
FNN_INLINE V FN(mish_exp)(V x) { return FN(vexp)(v_min(v_set1(30), x)); }
FNN_INLINE V FN(act_mish_f)(V x, FNN_NOS)
{
    x = FNN_NOT_FAR_BELOW(x);
    const V e = FN(mish_exp)(x), n = e * (e + 2);
    return x * (n / (n + 2));
}
FNN_INLINE V FN(act_mish_b)(V x, FNN_NOS)
{
    x = v_min(v_set1(30), FNN_NOT_FAR_BELOW(x));
    const V e = FN(mish_exp)(x), n = e * (e + 2), inv = 1 / (n + 2);
    return v_fma(4 * x * (e * inv), (1 + e) * inv, n * inv);
}

/* max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1) (Barron 2017);  below 0 its derivative is exp(x / alpha) =
 * y / alpha + 1 */
FNN_INLINE V FN(act_celu_f)(V x, const V *s) { return v_sel(x > 0, x, s[0] * FN(vexpm1)(v_min(v_set1(0), x) / s[0])); }
FNN_INLINE V FN(act_celu_b)(V y, const V *s) { return v_sel(y > 0, v_set1(1), y / s[0] + 1); }

FNN_INLINE V FN(act_hard_tanh_f)(V x, FNN_NOS) { return v_min(v_set1(1), v_max(v_set1(-1), x)); }
FNN_INLINE V FN(act_hard_tanh_b)(V y, FNN_NOS) { return v_sel(v_abs(y) < 1, v_set1(1), v_set1(0)); }

FNN_INLINE V FN(act_tanh_shrink_f)(V x, FNN_NOS) { return x - FN(vtanh)(x); }
FNN_INLINE V FN(act_tanh_shrink_b)(V x, FNN_NOS)
{
    const V y = FN(vtanh)(x);
    return y * y;
}

/* 0 where |x| <= threshold; else x, or x brought nearer to 0 by threshold */
FNN_INLINE V FN(act_soft_shrink_f)(V x, const V *s)
{
    return v_sel(v_abs(x) <= s[0], v_set1(0), x - v_copysign(s[0], x));
}
FNN_INLINE V FN(act_soft_shrink_b)(V y, FNN_NOS) { return v_sel(y != 0, v_set1(1), v_set1(0)); }
FNN_INLINE V FN(act_hard_shrink_f)(V x, const V *s) { return v_sel(v_abs(x) <= s[0], v_set1(0), x); }
FNN_INLINE V FN(act_hard_shrink_b)(V y, FNN_NOS) { return v_sel(y != 0, v_set1(1), v_set1(0)); }

FNN_INLINE V FN(act_threshold_f)(V x, const V *s) { return v_sel(x <= s[0], s[1], x); }
FNN_INLINE V FN(act_threshold_b)(V x, const V *s) { return v_sel(x > s[0], v_set1(1), v_set1(0)); }

/* (x + r) / 2, r = sqrt(x^2 + b) (Barron 2021), for x < 0 as (b / 2) / (r - x), which does not cancel.  As
 * r = y + (b / 4) / y the derivative y / r needs y alone. */
FNN_INLINE V FN(act_squareplus_f)(V x, const V *s)
{
    const V a = v_abs(x), r = v_sel(a > (T)(IS_F32 ? 0x1p62 : 0x1p510), a, v_sqrt(v_fma(x, x, s[0])));
    return v_sel((x < 0) & (r > 0), (T)0.5 * s[0] / (r + a), (T)0.5 * x + (T)0.5 * r);
}
FNN_INLINE V FN(act_squareplus_b)(V y, const V *s)
{
    return v_sel(y == 0, y, 1 / (1 + (T)0.25 * s[0] / y / y));
}

/* 0 below -1, x above 1, (x + 1)^2 / 4 between, where the derivative (x + 1) / 2 is the square root of that */
FNN_INLINE V FN(act_sparse_plus_f)(V x, FNN_NOS)
{
    const V h = (T)0.5 * x + (T)0.5;
    return v_sel(x <= -1, v_set1(0), v_sel(x >= 1, x, h * h));
}
FNN_INLINE V FN(act_sparse_plus_b)(V y, FNN_NOS) { return v_min(v_set1(1), v_sqrt(v_max(v_set1(0), y))); }
#endif
