"""The references against Keras itself, where it is installed: names, defaults and numbers."""

import os

import numpy as np
import pytest
import reference

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", minversion="3.0")

X = np.linspace(-6, 6, 121) + 0.013
ACTIVATIONS = sorted(n for n in reference.ACTIVATIONS if hasattr(keras.activations, n) and n != "threshold")
OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {},
    "AMSGrad": {},
    "Adamax": {},
    "Nadam": {},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Adagrad": {},
    "Adadelta": {},
    "Lion": {},
    "Ftrl": {"l1_regularization_strength": 0.1, "beta": 0.2, "l2_shrinkage_regularization_strength": 0.1},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    right = np.asarray(getattr(keras.activations, name)(X.astype(np.float32)))
    np.testing.assert_allclose(reference.activation(name, X), right, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name):
    options = OPTIMIZERS[name]
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=9), rng.normal(size=(8, 9))
    variable = keras.Variable(start.astype(np.float32))
    theirs = keras.optimizers.Adam(0.01, amsgrad=True) if name == "AMSGrad" else getattr(
        keras.optimizers, name)(0.01, **options)  # fmt: skip
    ours, w = getattr(reference, name)(0.01, **options), start.copy()
    for g in grads:
        theirs.apply([keras.ops.convert_to_tensor(g.astype(np.float32))], [variable])
        ours.apply([w], [g])
    np.testing.assert_allclose(w, np.asarray(variable.value), rtol=1e-4, atol=1e-5)


LABELS = np.eye(5)[[0, 3, 4, 1]]
SHARES = reference.softmax(np.random.default_rng(1).normal(size=(4, 5)))
SCORES = np.random.default_rng(2).normal(size=(4, 5))
COUNTS = np.random.default_rng(3).poisson(2, (4, 5)) + 0.0
LOSSES = {
    "mean_squared_error": (SCORES, SHARES),
    "mean_absolute_error": (SCORES, SHARES),
    "mean_absolute_percentage_error": (COUNTS + 1, SHARES),
    "mean_squared_logarithmic_error": (COUNTS, SCORES),
    "huber": (SCORES, 3 * SHARES),
    "log_cosh": (SCORES, 3 * SHARES),
    "hinge": (LABELS, SCORES),
    "squared_hinge": (LABELS, SCORES),
    "categorical_hinge": (LABELS, SCORES),
    "poisson": (COUNTS, SHARES),
    "kl_divergence": (SHARES[::-1], SHARES),
    "cosine_similarity": (SCORES, SHARES),
    "binary_crossentropy": (LABELS, SHARES),
    "binary_focal_crossentropy": (LABELS, SHARES),
    "categorical_crossentropy": (LABELS, SHARES),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name):
    t, y = LOSSES[name]
    right = np.asarray(getattr(keras.losses, name)(t.astype(np.float32), y.astype(np.float32)))
    np.testing.assert_allclose(reference.LOSSES[name](t, y)[0], right, rtol=2e-5, atol=1e-6)


W = np.random.default_rng(4).normal(size=(7, 5))
PENALTIES = {
    "L1": ({}, lambda w: reference.l1_l2(w, 0.01)),
    "L2": ({}, lambda w: reference.l1_l2(w, 0.0, 0.01)),
    "L1L2": ({"l1": 0.1, "l2": 0.2}, lambda w: reference.l1_l2(w, 0.1, 0.2)),
    "OrthogonalRegularizer": ({}, reference.orthogonal_penalty),
    "OrthogonalRegularizer-columns": (
        {"factor": 0.3, "mode": "columns"},
        lambda w: reference.orthogonal_penalty(w, 0.3, "columns"),
    ),
}
CONSTRAINTS = {
    "MaxNorm": ({}, reference.max_norm),
    "MaxNorm-1": ({"max_value": 1.5, "axis": 1}, lambda w: reference.max_norm(w, 1.5, 1)),
    "NonNeg": ({}, reference.non_neg),
    "UnitNorm": ({}, reference.unit_norm),
    "MinMaxNorm": ({}, reference.min_max_norm),
    "MinMaxNorm-both": (
        {"min_value": 0.5, "max_value": 2.0, "rate": 0.3, "axis": [0, 1]},
        lambda w: reference.min_max_norm(w, 0.5, 2.0, 0.3, (0, 1)),
    ),
}
AROUND = {
    "decay": {"weight_decay": 0.1},
    "average": {"ema_momentum": 0.9},
    "overwritten": {"ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "accumulated": {"gradient_accumulation_steps": 3},
    "all": {"weight_decay": 0.1, "ema_momentum": 0.8, "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 3, "clipnorm": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("name", PENALTIES)
def test_penalty(name):
    """Value and gradient."""
    options, ours = PENALTIES[name]
    rule = getattr(keras.regularizers, name.split("-")[0])(**options)
    value, gradient = ours(W)
    assert value == pytest.approx(float(rule(keras.ops.convert_to_tensor(W, "float32"))), rel=1e-5)
    if keras.config.backend() == "jax":
        import jax

        right = jax.grad(lambda w: rule(w))(W.astype(np.float32))
        np.testing.assert_allclose(gradient, np.asarray(right), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraint(name):
    options, ours = CONSTRAINTS[name]
    right = getattr(keras.constraints, name.split("-")[0])(**options)(W.astype(np.float32))
    np.testing.assert_allclose(ours(W), np.asarray(right), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "around"), [(n, a) for a in AROUND for n in OPTIMIZERS if a == "all" or n in ("SGD", "Adam")]
)
def test_what_is_done_around_an_optimizer(name, around):
    options = {**OPTIMIZERS[name], **AROUND[around]}
    keras_options = {**options, "use_ema": "ema_momentum" in options}
    rng = np.random.default_rng(0)
    start = [rng.normal(size=9), rng.normal(size=(3, 2))]
    constraints = [None, reference.max_norm]
    variables = [keras.Variable(w.astype(np.float32)) for w in start]
    variables[1].constraint = keras.constraints.MaxNorm()
    if name == "AMSGrad":
        theirs = keras.optimizers.Adam(0.01, amsgrad=True, **keras_options)
    else:
        theirs = getattr(keras.optimizers, name)(0.01, **keras_options)
    ours, w = getattr(reference, name)(0.01, **options), [s.copy() for s in start]
    for _ in range(11):
        grads = [rng.normal(size=s.shape) for s in start]
        theirs.apply([keras.ops.convert_to_tensor(g.astype(np.float32)) for g in grads], variables)
        ours.apply(w, grads, constraints)
    for a, b in zip(w, variables, strict=True):
        np.testing.assert_allclose(a, np.asarray(b.value), rtol=2e-4, atol=2e-5)
    if "ema_momentum" in options:
        theirs.finalize_variable_values(variables)
        for a, b in zip(ours.averages, variables, strict=True):
            np.testing.assert_allclose(a, np.asarray(b.value), rtol=2e-4, atol=2e-5)
