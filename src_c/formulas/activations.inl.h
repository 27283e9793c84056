/* Activations: to add one, add a row and its two functions.
 *
 * Row X(name, params, from_input): names and defaults of s[0], s[1], ...; from_input = 1 if the derivative
 * needs the input x, 0 if the output y is enough (cheaper: x need not be kept).
 *   FN(act_<name>_f)(x, s) = y,  FN(act_<name>_b)(t, s) = dy/dx from t = y or x; s[i]: parameter i in all lanes.
 * A NaN goes through f. */
#ifndef FNN_ACTIVATIONS
#define FNN_ACTIVATIONS(X)                                                 \
    X(linear, "", 0)                                                       \
    X(relu, "", 0)                                                         \
    X(relu_general, "max_value=inf,negative_slope=0.0,threshold=0.0", 1)   \
    X(leaky_relu, "negative_slope=0.2", 1)                                 \
    X(elu, "alpha=1.0", 0)                                                 \
    X(selu, "", 0)                                                         \
    X(sigmoid, "", 0)                                                      \
    X(tanh, "", 0)
#define FNN_NOS const V *s __attribute__((unused))
#define FNN_SELU_SCALE ((T)1.05070098735548049342)
#define FNN_SELU_ALPHA ((T)1.67326324235437728482)
#endif

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
    V y = v_sel(x > s[2], x, FN(slope_times)(s[1], x - s[2]));
    return v_sel(x >= s[0], s[0], y);
}
FNN_INLINE V FN(act_relu_general_b)(V x, const V *s)
{
    return v_sel(x >= s[0], v_set1(0), v_sel(x > s[2], v_set1(1), s[1]));
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
