/* Pointwise losses: one row, the value and its derivative by y_pred.  loops/rows.inl.h takes the mean over the
 * features of a sample, as Keras does, or the sum (FNN_SUM_LOSSES), and the weighted sum over samples.  A NaN in
 * y_pred or y_true comes through.  At a kink the derivative is 0.
 *
 * X(name, "parameters=defaults") */
#ifndef FNN_POINT_LOSSES
#define FNN_MEAN_LOSSES(X)                           \
    X(mean_squared_error, "")                        \
    X(mean_absolute_error, "")                       \
    X(binary_crossentropy, "label_smoothing=0.0")    \
    X(binary_crossentropy_logits, "label_smoothing=0.0") \
    X(mean_absolute_percentage_error, "")            \
    X(mean_squared_logarithmic_error, "")            \
    X(huber, "delta=1.0")                            \
    X(log_cosh, "")                                  \
    X(hinge, "")                                     \
    X(squared_hinge, "")                             \
    X(poisson, "")                                   \
    X(quantile, "quantile=0.5")                      \
    X(binary_focal_crossentropy, "apply_class_balancing=0,alpha=0.25,gamma=2.0,label_smoothing=0.0") \
    X(binary_focal_crossentropy_logits, "apply_class_balancing=0,alpha=0.25,gamma=2.0,label_smoothing=0.0")
#define FNN_SUM_LOSSES(X)                            \
    X(kl_divergence, "")
#define FNN_POINT_LOSSES(X) FNN_MEAN_LOSSES(X) FNN_SUM_LOSSES(X)
#define FNN_LOSS_EPS 1e-7 /* Keras' backend.epsilon(): probabilities are clipped to [eps, 1 - eps] */
#endif
#ifdef SFX

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
FNN_INLINE VI FN(clipped_share)(V p) { return (p < (T)FNN_LOSS_EPS) | (p > (T)(1 - FNN_LOSS_EPS)); }
FNN_INLINE V FN(loss_binary_crossentropy_b)(V p, V t, const V *s)
{
    return v_sel(FN(clipped_share)(p), (V){0}, (p - FN(smooth_binary)(t, s)) / (p * (1 - p)));
}

/* The same of p = sigmoid(x), written so that no exponential overflows: max(x, 0) - x t + log(1 + exp(-|x|)) */
FNN_INLINE V FN(loss_binary_crossentropy_logits_f)(V x, V t, const V *s)
{
    const V zero = {0};
    return v_max(zero, x) - x * FN(smooth_binary)(t, s) + FN(vlog1p_unit)(FN(vexp)(-v_abs(x)));
}
FNN_INLINE V FN(loss_binary_crossentropy_logits_b)(V x, V t, const V *s)
{
    return FN(vsigmoid)(x) - FN(smooth_binary)(t, s);
}

/* 100 |t - p| / max(|t|, eps) */
FNN_INLINE V FN(loss_mean_absolute_percentage_error_f)(V p, V t, const V *s)
{
    (void)s;
    return v_abs(t - p) / v_max(v_set1((T)FNN_LOSS_EPS), v_abs(t)) * 100;
}
FNN_INLINE V FN(loss_mean_absolute_percentage_error_b)(V p, V t, const V *s)
{
    return FN(loss_mean_absolute_error_b)(p, t, s) / v_max(v_set1((T)FNN_LOSS_EPS), v_abs(t)) * 100;
}

/* (log(1 + max(p, eps)) - log(1 + max(t, eps)))^2 */
FNN_INLINE V FN(log_ratio)(V p, V t)
{
    const V lo = v_set1((T)FNN_LOSS_EPS);
    return FN(vlog1p)(v_max(lo, p)) - FN(vlog1p)(v_max(lo, t));
}
FNN_INLINE V FN(loss_mean_squared_logarithmic_error_f)(V p, V t, const V *s)
{
    (void)s;
    const V d = FN(log_ratio)(p, t);
    return d * d;
}
FNN_INLINE V FN(loss_mean_squared_logarithmic_error_b)(V p, V t, const V *s)
{
    (void)s;
    return v_sel(p < (T)FNN_LOSS_EPS, (V){0}, 2 * FN(log_ratio)(p, t) / (1 + p));
}

/* e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2 (Huber 1964) */
FNN_INLINE V FN(loss_huber_f)(V p, V t, const V *s)
{
    const V a = v_abs(p - t);
    return v_sel(a > s[0], s[0] * (a - (T)0.5 * s[0]), (T)0.5 * a * a);
}
FNN_INLINE V FN(loss_huber_b)(V p, V t, const V *s) { return v_min(s[0], v_max(-s[0], p - t)); }

/* log cosh a of a = |e|, with w = exp(-a) - 1: log(1 + w^2 / (2 (1 + w))), which does not cancel, for small a, and
 * a - log 2 + log(1 + (1 + w)^2) for others */
FNN_INLINE V FN(loss_log_cosh_f)(V p, V t, const V *s)
{
    (void)s;
    const V a = v_abs(p - t), w = FN(vexpm1)(-a), e = 1 + w;
    const V near = w * w * (T)0.5 / e;
    return FN(vlog1p_unit)(v_sel(a < 1, near, e * e)) + v_sel(a < 1, (V){0}, a - (T)0.69314718055994530942);
}
FNN_INLINE V FN(loss_log_cosh_b)(V p, V t, const V *s) /* tanh, of the same w */
{
    (void)s;
    const V w = FN(vexpm1)(-v_abs(p - t)), e = 1 + w;
    return v_copysign(-w * (1 + e) / (1 + e * e), p - t);
}

/* max(1 - t p, 0); a target of 0 counts as -1.  (Keras does that if every target of the batch is 0 or 1.) */
FNN_INLINE V FN(hinge_margin)(V p, V t) { return v_max(v_set1(0), 1 - v_sel(t == 0, v_set1(-1), t) * p); }
FNN_INLINE V FN(loss_hinge_f)(V p, V t, const V *s) { (void)s; return FN(hinge_margin)(p, t); }
FNN_INLINE V FN(loss_hinge_b)(V p, V t, const V *s)
{
    (void)s;
    const V margin = FN(hinge_margin)(p, t);
    return v_sel(margin > 0, v_sel(t == 0, v_set1(1), -t), margin);
}
FNN_INLINE V FN(loss_squared_hinge_f)(V p, V t, const V *s)
{
    (void)s;
    const V margin = FN(hinge_margin)(p, t);
    return margin * margin;
}
FNN_INLINE V FN(loss_squared_hinge_b)(V p, V t, const V *s)
{
    (void)s;
    return 2 * FN(hinge_margin)(p, t) * v_sel(t == 0, v_set1(1), -t);
}

/* p - t log(p + eps) */
FNN_INLINE V FN(loss_poisson_f)(V p, V t, const V *s)
{
    (void)s;
    return p - t * FN(vlog)(p + (T)FNN_LOSS_EPS);
}
FNN_INLINE V FN(loss_poisson_b)(V p, V t, const V *s) { (void)s; return 1 - t / (p + (T)FNN_LOSS_EPS); }

/* q e for e = t - p > 0, else (q - 1) e (Koenker & Bassett 1978) */
FNN_INLINE V FN(loss_quantile_f)(V p, V t, const V *s)
{
    const V e = t - p;
    return v_sel(e > 0, s[0], s[0] - 1) * e;
}
FNN_INLINE V FN(loss_quantile_b)(V p, V t, const V *s)
{
    const V e = t - p;
    return v_sel(e > 0, -s[0], v_sel(e < 0, 1 - s[0], e));
}

/* a q^gamma times binary cross-entropy, q = 1 - p where t = 1 and p where t = 0 (Lin et al. 2017);
 * with class balancing a = alpha t + (1 - alpha) (1 - t), else 1.  s: 0 balance, 1 alpha, 2 gamma, 3 smoothing */
FNN_INLINE V FN(focal_power)(V q, V gamma) { return v_sel(gamma == 0, v_set1(1), FN(vexp)(gamma * FN(vlog)(q))); }
/* q, for predictions outside 0 to 1 that of the ends */
FNN_INLINE V FN(focal_share)(V p, V t)
{
    return v_min(v_set1(1), v_max(v_set1((T)FNN_LOSS_EPS), t * (1 - p) + (1 - t) * p));
}
FNN_INLINE V FN(focal_balance)(V t, const V *s)
{
    return v_sel(s[0] != 0, t * s[1] + (1 - t) * (1 - s[1]), v_set1(1));
}
/* sigmoid(x), and sigmoid(-x) in *other, each to its own last digit */
FNN_INLINE V FN(both_shares)(V x, V *other)
{
    const V e = FN(vexp)(-v_abs(x)), large = 1 / (1 + e), small = e * large;
    *other = v_sel(x < 0, large, small);
    return v_sel(x < 0, small, large);
}
FNN_INLINE V FN(loss_binary_focal_crossentropy_f)(V p, V t, const V *s)
{
    const V y = FN(smooth_binary)(t, s + 3), q = FN(focal_share)(p, y);
    return FN(focal_balance)(y, s) * FN(focal_power)(q, s[2]) * FN(loss_binary_crossentropy_f)(p, t, s + 3);
}
FNN_INLINE V FN(loss_binary_focal_crossentropy_b)(V p, V t, const V *s)
{
    const V y = FN(smooth_binary)(t, s + 3), q = FN(focal_share)(p, y);
    const V slope = s[2] * FN(focal_power)(q, s[2] - 1) * (1 - y - y) * FN(loss_binary_crossentropy_f)(p, t, s + 3);
    const V both = v_fma(FN(focal_power)(q, s[2]), FN(loss_binary_crossentropy_b)(p, t, s + 3), slope);
    return v_sel(FN(clipped_share)(p), (V){0}, FN(focal_balance)(y, s) * both);
}
FNN_INLINE V FN(loss_binary_focal_crossentropy_logits_f)(V x, V t, const V *s)
{
    V n;
    const V p = FN(both_shares)(x, &n), y = FN(smooth_binary)(t, s + 3), q = y * n + (1 - y) * p;
    return FN(focal_balance)(y, s) * FN(focal_power)(q, s[2]) * FN(loss_binary_crossentropy_logits_f)(x, t, s + 3);
}
FNN_INLINE V FN(loss_binary_focal_crossentropy_logits_b)(V x, V t, const V *s)
{
    V n;
    const V p = FN(both_shares)(x, &n), y = FN(smooth_binary)(t, s + 3), q = y * n + (1 - y) * p;
    /* A sure, right sample has q = 0, and gamma < 1 divides by it; the smallest normal number does as well. */
    const V safe = v_max(v_set1(sizeof(T) == 4 ? (T)1.17549435e-38 : (T)2.2250738585072014e-308), q);
    const V slope = s[2] * FN(focal_power)(safe, s[2] - 1) * (1 - y - y) * p * n;
    return FN(focal_balance)(y, s) *
           (FN(focal_power)(q, s[2]) * (p - y) + slope * FN(loss_binary_crossentropy_logits_f)(x, t, s + 3));
}

/* t log(t / p), both clipped to [eps, 1] */
FNN_INLINE V FN(clip_share)(V x) { return v_min(v_set1(1), v_max(v_set1((T)FNN_LOSS_EPS), x)); }
FNN_INLINE V FN(loss_kl_divergence_f)(V p, V t, const V *s)
{
    (void)s;
    t = FN(clip_share)(t);
    return t * FN(vlog)(t / FN(clip_share)(p));
}
FNN_INLINE V FN(loss_kl_divergence_b)(V p, V t, const V *s)
{
    (void)s;
    return v_sel((p < (T)FNN_LOSS_EPS) | (p > 1), (V){0}, -FN(clip_share)(t) / p);
}
#endif
