/* Optimizers: one row, what is computed once a step, and the update of a vector of parameters.
 *
 * X(name, "parameters=defaults", "state vectors").  The formulas are those of Keras 3, epsilon where Keras has it.
 * h holds what the row's prep made; a state vector that the row does not name is not to be touched. */
#ifndef FNN_OPTIMIZERS
#define FNN_OPTIMIZERS(X)                                     \
    X(sgd, "momentum=0.0,nesterov=0", "momentum")             \
    X(adam, "beta_1=0.9,beta_2=0.999,epsilon=1e-7", "momentum,velocity")
#endif

/* m <- mu m - lr g;  w <- w + m, or with Nesterov's look-ahead w + mu m - lr g  (Sutskever et al. 2013, eq. 3) */
#if IS_F32
static void FNN_CAT(prep_sgd_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0], h[2] = s[1];
}
#endif
FNN_INLINE void FN(step_sgd)(V *w, V *m, V *s1, V *s2, V g, const V *h)
{
    (void)s1, (void)s2;
    const V d = g * h[0];
    *m = v_fma(*m, h[1], -d);
    *w += v_sel(h[2] != 0, v_fma(*m, h[1], -d), *m);
}

/* m <- m + (1 - b1)(g - m);  v <- v + (1 - b2)(g^2 - v);  w <- w - alpha m / (sqrt(v) + eps),
 * alpha = lr sqrt(1 - b2^t) / (1 - b1^t): Kingma & Ba 2015, end of section 2, so eps is their "epsilon hat". */
#if IS_F32
static void FNN_CAT(prep_adam_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    h[0] = lr * sqrt(1 - pow(s[1], (double)t)) / (1 - pow(s[0], (double)t));
    h[1] = 1 - s[0], h[2] = 1 - s[1], h[3] = s[2];
}
#endif
FNN_INLINE void FN(step_adam)(V *w, V *m, V *v, V *s2, V g, const V *h)
{
    (void)s2;
    *m = v_fma(g - *m, h[1], *m);
    *v = v_fma(v_fma(g, g, -*v), h[2], *v); /* never below zero: v >= 0 and h[2] <= 1, rounding is monotone */
    *w -= *m * h[0] / (v_sqrt(*v) + h[3]);
}
