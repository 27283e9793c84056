/* Pointwise losses: one row, the value and its derivative by y_pred.  loops/rows.inl.h takes the mean over the
 * features of a sample, as Keras does, and the weighted sum over samples.  A NaN in y_pred or y_true comes through.
 *
 * X(name, "parameters=defaults") */
#ifndef FNN_POINT_LOSSES
#define FNN_POINT_LOSSES(X)                          \
    X(mean_squared_error, "")                        \
    X(mean_absolute_error, "")                       \
    X(binary_crossentropy, "label_smoothing=0.0")    \
    X(binary_crossentropy_logits, "label_smoothing=0.0")
#define FNN_LOSS_EPS 1e-7 /* Keras' backend.epsilon(): probabilities are clipped to [eps, 1 - eps] */
#endif

FNN_INLINE V FN(loss_mean_squared_error_f)(V p, V t, const V *s) { (void)s; return (p - t) * (p - t); }
FNN_INLINE V FN(loss_mean_squared_error_b)(V p, V t, const V *s) { (void)s; return (p - t) + (p - t); }

FNN_INLINE V FN(loss_mean_absolute_error_f)(V p, V t, const V *s) { (void)s; return v_abs(p - t); }
FNN_INLINE V FN(loss_mean_absolute_error_b)(V p, V t, const V *s) /* 0 at the kink, NaN stays */
{
    (void)s;
    const V d = p - t, one = v_set1(1);
    return v_sel(d > 0, one, v_sel(d < 0, -one, d));
}

/* t <- (1 - a) t + a / 2 */
FNN_INLINE V FN(smooth_binary)(V t, const V *s) { return t + s[0] * ((T)0.5 - t); }

/* -t log p - (1 - t) log(1 - p) of the clipped p; as in Keras the derivative is 0 where the clip is at work */
FNN_INLINE V FN(loss_binary_crossentropy_f)(V p, V t, const V *s)
{
    const V lo = v_set1((T)FNN_LOSS_EPS), hi = v_set1((T)(1 - FNN_LOSS_EPS));
    t = FN(smooth_binary)(t, s), p = v_min(hi, v_max(lo, p));
    return -(t * FN(vlog)(p) + (1 - t) * FN(vlog1p)(-p));
}
FNN_INLINE V FN(loss_binary_crossentropy_b)(V p, V t, const V *s)
{
    const VI clipped = (p < (T)FNN_LOSS_EPS) | (p > (T)(1 - FNN_LOSS_EPS));
    return v_sel(clipped, (V){0}, (p - FN(smooth_binary)(t, s)) / (p * (1 - p)));
}

/* The same of p = sigmoid(x), written so that no exponential overflows: max(x, 0) - x t + log(1 + exp(-|x|)) */
FNN_INLINE V FN(loss_binary_crossentropy_logits_f)(V x, V t, const V *s)
{
    const V zero = {0};
    return v_max(zero, x) - x * FN(smooth_binary)(t, s) + FN(vlog1p)(FN(vexp)(-v_abs(x)));
}
FNN_INLINE V FN(loss_binary_crossentropy_logits_b)(V x, V t, const V *s)
{
    return FN(vsigmoid)(x) - FN(smooth_binary)(t, s);
}
