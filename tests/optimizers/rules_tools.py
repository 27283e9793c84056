"""The same network, optimizer and penalties for fastnn and for reference.py."""

import numpy as np
import reference
from engine_tools import engine_of

import fastnn
from fastnn import constraints, layers, optimizers, regularizers

STEPS, BATCH, INPUTS, CLASSES = 50, 24, 19, 5
# name -> (ours, reference) for a kernel and for a vector
PENALTIES = {
    "none": ((None, None), (None, None)),
    "l1": (("l1", None), (lambda w: reference.l1_l2(w, l1=0.01), None)),
    "l2": (
        (regularizers.L2(0.02), regularizers.L1(0.03)),
        (lambda w: reference.l1_l2(w, l2=0.02), lambda w: reference.l1_l2(w, l1=0.03)),
    ),
    "l1_l2": (
        (regularizers.L1L2(0.003, 0.02), "l2"),
        (lambda w: reference.l1_l2(w, 0.003, 0.02), lambda w: reference.l1_l2(w, l2=0.01)),
    ),
    "rows": (
        (regularizers.OrthogonalRegularizer(0.5), "l2"),
        (
            lambda w: reference.orthogonal_penalty(w, 0.5),
            lambda w: reference.l1_l2(w, l2=0.01),
        ),
    ),
    "columns": (
        (regularizers.OrthogonalRegularizer(0.5, mode="columns"), None),
        (lambda w: reference.orthogonal_penalty(w, 0.5, "columns"), None),
    ),
}
CONSTRAINTS = {
    "none": ((None, None), (None, None)),
    "max_norm": (
        (constraints.MaxNorm(0.9), constraints.MaxNorm(0.05)),
        (lambda w: reference.max_norm(w, 0.9), lambda w: reference.max_norm(w, 0.05)),
    ),
    "non_neg": (("non_neg", "non_neg"), (reference.non_neg, reference.non_neg)),
    "unit_norm": (
        (constraints.UnitNorm(axis=1), None),
        (lambda w: reference.unit_norm(w, 1), None),
    ),
    "min_max_norm": (
        (constraints.MinMaxNorm(0.5, 0.8, 0.3, axis=[0, 1]), constraints.MinMaxNorm(0.1, 0.2, axis=-1)),
        (
            lambda w: reference.min_max_norm(w, 0.5, 0.8, 0.3, (0, 1)),
            lambda w: reference.min_max_norm(w, 0.1, 0.2),
        ),
    ),
}
# name -> (rate, options); each optimizer has at least one
OPTIMIZERS = {name: (0.01, {}) for name in optimizers.names()} | {
    "SGD": (0.05, {}),
    "Nesterov": (0.05, {"momentum": 0.9, "nesterov": True}),
    "AdamW": (0.01, {"weight_decay": 0.1}),
    "AMSGrad": (0.01, {}),
    "RMSprop": (0.005, {"momentum": 0.5, "centered": True, "epsilon": 1e-4}),
    "Adagrad": (0.05, {}),
    "Adadelta": (0.5, {}),
    "Lion": (0.003, {}),
    "Rprop": (0.003, {}),
    "Ftrl": (0.1, {"l2_shrinkage_regularization_strength": 0.01}),
}


def optimizer_pair(name, **more):
    """(ours, reference); `more` goes to both."""
    rate, options = OPTIMIZERS[name]
    options = {**options, **more}
    theirs = getattr(reference, {"Nesterov": "SGD"}.get(name, name))
    ema = {k: options.pop(k) for k in list(options) if k.startswith("ema_")}
    ours = {**options, **ema, **({"use_ema": True} if ema else {})}
    if name == "AMSGrad":
        return optimizers.Adam(rate, amsgrad=True, **ours), theirs(rate, **options, **ema)
    found = getattr(optimizers, {"Nesterov": "SGD"}.get(name, name))
    return found(rate, **ours), theirs(rate, **options, **ema)


def dense(units, activation, penalty, constraint, use_bias=True):
    (k, b), theirs = PENALTIES[penalty]
    (ck, cb), rules = CONSTRAINTS[constraint]
    ours = layers.Dense(units, activation, use_bias, kernel_regularizer=k, bias_regularizer=b, kernel_constraint=ck,
                        bias_constraint=cb)  # fmt: skip
    n = 1 + use_bias
    spec = {"activation": activation, "use_bias": use_bias, "penalties": theirs[:n], "constraints": rules[:n]}
    return ours, ("dense", spec)


def batch_norm(penalty, constraint):
    (_, b), (_, theirs) = PENALTIES[penalty]
    (_, cb), (_, rule) = CONSTRAINTS[constraint]
    ours = layers.BatchNormalization(gamma_regularizer=b, beta_regularizer=b, gamma_constraint=cb,
                                     beta_constraint=cb)  # fmt: skip
    return ours, ("batch_norm", {"penalties": [theirs] * 2, "constraints": [rule] * 2})


def pair(kind="bn", penalty="none", constraint="none", optimizer="SGD", model_decay=0.0, dtype="float64",
         choices=None, **more):  # fmt: skip
    """(engine, model, reference network) with equal weights."""
    both = [dense(23, "elu", penalty, constraint, kind != "bn")]
    if kind == "bn":
        # that before the dense layer gets its gradients from it, that behind from its own kernel
        both = [batch_norm(penalty, constraint), *both, batch_norm(penalty, constraint)]
    both += [dense(17, "tanh", penalty, constraint), dense(CLASSES, "softmax", penalty, constraint)]
    ours, theirs = zip(*both, strict=True)
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype=dtype, weight_decay=model_decay)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-0.4, 0.4, w.shape) + (w == 1) for w in model.get_weights()])
    mine, right = optimizer_pair(optimizer, **more)
    model.compile(mine, "sparse_categorical_crossentropy", seed=7)
    net = reference.Net(theirs, model.get_weights(), "sparse_categorical_crossentropy", right, seed=7,
                        weight_decay=model_decay)  # fmt: skip
    return engine_of(model, **(choices or {})), model, net


def data(n=STEPS * BATCH):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, INPUTS)) * 2 + 0.5, rng.integers(0, CLASSES, n).astype(np.int32)


AROUND = {
    "decay": {"weight_decay": 0.3},
    "average": {"ema_momentum": 0.9},
    "overwritten": {"ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    "accumulated": {"gradient_accumulation_steps": 3},
    "all": {"weight_decay": 0.3, "ema_momentum": 0.8, "ema_overwrite_frequency": 3,
            "gradient_accumulation_steps": 4, "global_clipnorm": 0.3},
}  # fmt: skip
