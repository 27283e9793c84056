"""The references against Keras itself, where it is installed: names, defaults and numbers."""

import os

import numpy as np
import pytest
import reference

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", minversion="3.0")

X = np.linspace(-6, 6, 121) + 0.013
ACTIVATIONS = sorted(set(reference.ACTIVATIONS) - {"threshold"})
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
