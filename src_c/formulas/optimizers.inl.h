/* Optimizers: one row, what is computed once a step, and the update of a vector of parameters.
 *
 * X(name, "parameters=defaults", "state vectors").  The formulas are those of Keras 3, epsilon where Keras has it.
 * States are zero at first.  Where Keras starts from another number, that number is a parameter and the state is what
 * was added to it; so a variable that joins later needs no care.
 * h holds what the row's prep made; a state vector that the row does not name is not to be touched. */
#ifndef FNN_OPTIMIZERS
#define FNN_OPTIMIZERS(X)                                     \
    X(sgd, "momentum=0.0,nesterov=0", "momentum")             \
    X(adam, "beta_1=0.9,beta_2=0.999,epsilon=1e-7", "momentum,velocity") \
    X(amsgrad, "beta_1=0.9,beta_2=0.999,epsilon=1e-7", "momentum,velocity,velocity_hat") \
    X(adamax, "beta_1=0.9,beta_2=0.999,epsilon=1e-7", "momentum,norm") \
    X(nadam, "beta_1=0.9,beta_2=0.999,epsilon=1e-7", "momentum,velocity") \
    X(rmsprop, "rho=0.9,epsilon=1e-7", "velocity")            \
    X(rmsprop_momentum, "rho=0.9,epsilon=1e-7,momentum=0.0", "velocity,momentum") \
    X(rmsprop_centered, "rho=0.9,epsilon=1e-7", "velocity,average_gradient") \
    X(rmsprop_centered_momentum, "rho=0.9,epsilon=1e-7,momentum=0.0", "velocity,average_gradient,momentum") \
    X(adagrad, "initial_accumulator_value=0.1,epsilon=1e-7", "accumulated") \
    X(adadelta, "rho=0.95,epsilon=1e-7", "accumulated_grad,accumulated_delta_var") \
    X(lion, "beta_1=0.9,beta_2=0.99", "momentum")             \
    X(rprop, "eta_minus=0.5,eta_plus=1.2,min_step=1e-6,max_step=50", "previous,step") \
    X(ftrl, "learning_rate_power=-0.5,initial_accumulator_value=0.1,l1_regularization_strength=0.0," \
            "l2_regularization_strength=0.0,l2_shrinkage_regularization_strength=0.0,beta=0.0", "accumulated,linear")
#endif
#ifdef SFX

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
    *w -= *m * h[0] / (v_root(*v) + h[3]);
}

/* Adam with the largest v so far in place of v (Reddi, Kale & Kumar 2018), uncorrected as in Keras */
#if IS_F32
static void FNN_CAT(prep_amsgrad_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    FNN_CAT(prep_adam_, FNN_ISA)(h, lr, t, s);
}
#endif
FNN_INLINE void FN(step_amsgrad)(V *w, V *m, V *v, V *most, V g, const V *h)
{
    *m = v_fma(g - *m, h[1], *m);
    *v = v_fma(v_fma(g, g, -*v), h[2], *v);
    *most = v_max(*most, *v);
    *w -= *m * h[0] / (v_root(*most) + h[3]);
}

/* m as Adam;  u <- max(b2 u, |g|);  w <- w - lr / (1 - b1^t) m / (u + eps): Kingma & Ba 2015, section 7.1 */
#if IS_F32
static void FNN_CAT(prep_adamax_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    h[0] = lr / (1 - pow(s[0], (double)t)), h[1] = 1 - s[0], h[2] = s[1], h[3] = s[2];
}
#endif
FNN_INLINE void FN(step_adamax)(V *w, V *m, V *u, V *s2, V g, const V *h)
{
    (void)s2;
    *m = v_fma(g - *m, h[1], *m);
    *u = v_max(*u * h[2], v_abs(g));
    *w -= *m * h[0] / (*u + h[3]);
}

/* Adam with Nesterov's momentum (Dozat 2016, algorithm 2): mu_t = b1 (1 - 0.96^t / 2), P_t = mu_1 ... mu_t,
 * w <- w - lr (mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t)) / (sqrt(v / (1 - b2^t)) + eps).
 * P is made anew each step: its factors 1 - 0.96^i / 2 are 1 for i > 900, and below 1e-20 it does not matter. */
#if IS_F32
static void FNN_CAT(prep_nadam_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    const double now = s[0] * (1 - 0.5 * pow(0.96, (double)t)), next = s[0] * (1 - 0.5 * pow(0.96, (double)t + 1));
    double product = pow(s[0], (double)t), decay = 0.96;
    for (uint64_t i = 1; i <= t && i <= 900 && product > 1e-20; i++, decay *= 0.96) product *= 1 - 0.5 * decay;
    h[0] = lr * next / (1 - product * next), h[1] = lr * (1 - now) / (1 - product);
    h[2] = 1 - s[0], h[3] = 1 - s[1], h[4] = 1 / (1 - pow(s[1], (double)t)), h[5] = s[2];
}
#endif
FNN_INLINE void FN(step_nadam)(V *w, V *m, V *v, V *s2, V g, const V *h)
{
    (void)s2;
    *m = v_fma(g - *m, h[2], *m);
    *v = v_fma(v_fma(g, g, -*v), h[3], *v);
    *w -= v_fma(*m, h[0], g * h[1]) / (v_root(*v * h[4]) + h[5]);
}

/* v <- rho v + (1 - rho) g^2;  w <- w - lr g / sqrt(v + eps)  (Tieleman & Hinton 2012; epsilon as in Keras).
 * Centered: v - a^2 in place of v, a <- rho a + (1 - rho) g (Graves 2013); rounding may bring it just
 * below 0.  With momentum: m <- mu m + that step, w <- w - m. */
#if IS_F32
static void FNN_CAT(prep_rmsprop_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0], h[2] = 1 - s[0], h[3] = s[1], h[4] = s[2];
}
static void FNN_CAT(prep_rmsprop_momentum_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    FNN_CAT(prep_rmsprop_, FNN_ISA)(h, lr, t, s);
}
static void FNN_CAT(prep_rmsprop_centered_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    FNN_CAT(prep_rmsprop_, FNN_ISA)(h, lr, t, s);
}
static void FNN_CAT(prep_rmsprop_centered_momentum_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    FNN_CAT(prep_rmsprop_, FNN_ISA)(h, lr, t, s);
}
#endif
FNN_INLINE V FN(rmsprop_change)(V *v, V *a, V g, const V *h)
{
    *v = v_fma(g * g, h[2], *v * h[1]);
    if (!a) return g * h[0] / v_sqrt(*v + h[3]);
    *a = v_fma(g, h[2], *a * h[1]);
    return g * h[0] / v_sqrt(v_max((V){0}, *v - *a * *a) + h[3]);
}
FNN_INLINE void FN(step_rmsprop)(V *w, V *v, V *s1, V *s2, V g, const V *h)
{
    (void)s1, (void)s2;
    *w -= FN(rmsprop_change)(v, NULL, g, h);
}
FNN_INLINE void FN(step_rmsprop_momentum)(V *w, V *v, V *m, V *s2, V g, const V *h)
{
    (void)s2;
    *m = v_fma(*m, h[4], FN(rmsprop_change)(v, NULL, g, h));
    *w -= *m;
}
FNN_INLINE void FN(step_rmsprop_centered)(V *w, V *v, V *a, V *s2, V g, const V *h)
{
    (void)s2;
    *w -= FN(rmsprop_change)(v, a, g, h);
}
FNN_INLINE void FN(step_rmsprop_centered_momentum)(V *w, V *v, V *a, V *m, V g, const V *h)
{
    *m = v_fma(*m, h[4], FN(rmsprop_change)(v, a, g, h));
    *w -= *m;
}

/* a <- a + g^2;  w <- w - lr g / sqrt(a0 + a + eps)  (Duchi, Hazan & Singer 2011) */
#if IS_F32
static void FNN_CAT(prep_adagrad_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0] + s[1];
}
#endif
FNN_INLINE void FN(step_adagrad)(V *w, V *a, V *s1, V *s2, V g, const V *h)
{
    (void)s1, (void)s2;
    *a = v_fma(g, g, *a);
    *w -= g * h[0] / v_sqrt(*a + h[1]);
}

/* a <- rho a + (1 - rho) g^2;  d = -sqrt(b + eps) / sqrt(a + eps) g;  b <- rho b + (1 - rho) d^2;  w <- w + lr d
 * (Zeiler 2012, algorithm 1, with a learning rate) */
#if IS_F32
static void FNN_CAT(prep_adadelta_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0], h[2] = 1 - s[0], h[3] = s[1];
}
#endif
FNN_INLINE void FN(step_adadelta)(V *w, V *a, V *b, V *s2, V g, const V *h)
{
    (void)s2;
    *a = v_fma(g * g, h[2], *a * h[1]);
    const V d = v_sqrt(*b + h[3]) * g / v_sqrt(*a + h[3]);
    *b = v_fma(d * d, h[2], *b * h[1]);
    *w -= h[0] * d;
}

/* -1, 0 or 1; of a NaN it is NaN */
FNN_INLINE V FN(sign)(V x) { return v_sel(x > 0, v_set1(1), v_sel(x < 0, v_set1(-1), x)); }

/* w <- w - lr sign(b1 m + (1 - b1) g);  m <- b2 m + (1 - b2) g  (Chen et al. 2023, algorithm 2) */
#if IS_F32
static void FNN_CAT(prep_lion_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0], h[2] = 1 - s[0], h[3] = s[1], h[4] = 1 - s[1];
}
#endif
FNN_INLINE void FN(step_lion)(V *w, V *m, V *s1, V *s2, V g, const V *h)
{
    (void)s1, (void)s2;
    *w -= h[0] * FN(sign)(*m * h[1] + g * h[2]);
    *m = *m * h[3] + g * h[4];
}

/* The step of each weight grows while its gradient keeps the sign and shrinks when it changes; after a change the
 * gradient counts as 0 once: iRprop- of Igel & Huesken 2000, as in PyTorch.  The first step is the learning rate. */
#if IS_F32
static void FNN_CAT(prep_rprop_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = lr, h[1] = s[0], h[2] = s[1], h[3] = s[2], h[4] = s[3];
}
#endif
FNN_INLINE void FN(step_rprop)(V *w, V *before, V *step, V *s2, V g, const V *h)
{
    (void)s2;
    const V one = v_set1(1), turn = FN(sign)(g) * FN(sign)(*before);
    const V factor = v_sel(turn > 0, h[2], v_sel(turn < 0, h[1], one));
    *step = v_min(h[4], v_max(h[3], factor * v_sel(*step == 0, h[0], *step)));
    *before = v_sel(turn < 0, (V){0}, g);
    *w -= FN(sign)(*before) * *step;
}

/* McMahan et al. 2013, algorithm 1, with Keras' additions.  a, b: sums of squares before and after, p = -power,
 * g' = g + 2 shrinkage w;  z <- z + g' - (b^p - a^p) / lr w;
 * w <- (clip(z, -l1, l1) - z) / (b^p / lr + 2 l2 + beta / lr) */
#if IS_F32
static void FNN_CAT(prep_ftrl_, FNN_ISA)(double *h, double lr, uint64_t t, const double *s)
{
    (void)t;
    h[0] = 1 / lr, h[1] = -s[0], h[2] = s[1], h[3] = s[2], h[4] = 2 * s[3] + s[5] / lr, h[5] = 2 * s[4];
}
#endif
FNN_INLINE V FN(ftrl_power)(V x, V p)
{
    if (p[0] == (T)0.5) return v_sqrt(x);
    return v_sel(p == 0, v_set1(1), FN(vexp)(p * FN(vlog)(x)));
}
FNN_INLINE void FN(step_ftrl)(V *w, V *a, V *z, V *s2, V g, const V *h)
{
    (void)s2;
    const V before = FN(ftrl_power)(*a + h[2], h[1]);
    *a = v_fma(g, g, *a);
    const V after = FN(ftrl_power)(*a + h[2], h[1]);
    *z += v_fma(h[5], *w, g) - (after - before) * h[0] * *w;
    const V top = v_min(h[3], v_max(-h[3], *z)) - *z;
    *w = v_sel(top == 0, (V){0}, top / v_fma(after, h[0], h[4]));
}
#endif
