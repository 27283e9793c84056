"""The same network and optimizer for fastnn and for reference.py."""

import numpy as np
import reference
from engine_tools import engine_of

import fastnn
from fastnn import layers

STEPS, BATCH, INPUTS, CLASSES = 50, 24, 19, 5
OPTIMIZERS = {
    "adam": (
        lambda **clip: fastnn.optimizers.Adam(0.01, **clip),
        lambda **clip: reference.Adam(0.01, **clip),
    ),
    "nesterov": (
        lambda **clip: fastnn.optimizers.SGD(0.05, momentum=0.9, nesterov=True, **clip),
        lambda **clip: reference.SGD(0.05, momentum=0.9, nesterov=True, **clip),
    ),
    "sgd": (
        lambda **clip: fastnn.optimizers.SGD(0.05, **clip),
        lambda **clip: reference.SGD(0.05, **clip),
    ),
}


def build(kind, activation="elu"):
    """The same network for both sides: (fastnn layers, reference layers)."""
    ours, theirs = [], []
    if kind == "bn":
        ours.append(layers.BatchNormalization())
        theirs.append(("batch_norm", {}))
    for units in (23, 17):
        if kind == "bn":
            ours.append(layers.Dense(units, use_bias=False))
            ours.append(layers.BatchNormalization())
            ours.append(layers.Activation(activation))
            theirs.append(("dense", {"use_bias": False}))
            theirs.append(("batch_norm", {}))
            theirs.append(("activation", {"name": activation}))
        else:
            ours.append(layers.Dense(units, activation=activation))
            theirs.append(("dense", {"activation": activation}))
        if kind == "dropout":
            ours.append(layers.Dropout(0.3))
            theirs.append(("dropout", {"rate": 0.3}))
    ours.append(layers.Dense(CLASSES, activation="softmax"))
    theirs.append(("dense", {"activation": "softmax"}))
    return ours, theirs


def data(seed=0, n=STEPS * BATCH):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, INPUTS)) * 2 + 0.5, rng.integers(0, CLASSES, n).astype(np.int32)


def pair(kind, optimizer="adam", clip=None, dtype="float64", **choices):
    """(engine, model, reference network) with equal weights."""
    ours, theirs = build(kind)
    make, reference_optimizer = OPTIMIZERS[optimizer]
    model = fastnn.Sequential([fastnn.Input((INPUTS,)), *ours], dtype=dtype)
    model.compile(make(**(clip or {})), "sparse_categorical_crossentropy", seed=7)
    dropouts = iter(i for i, layer in enumerate(model.leaves()) if isinstance(layer, layers.Dropout))
    theirs = [(k, {**spec, "id": next(dropouts)} if k == "dropout" else spec) for k, spec in theirs]
    net = reference.Net(
        theirs, model.get_weights(), "sparse_categorical_crossentropy",
        reference_optimizer(**(clip or {})), seed=7,
    )  # fmt: skip
    return engine_of(model, **choices), model, net


def train_both(engine, net, n=STEPS * BATCH, batch=BATCH, weights=None):
    x, y = data(n=n)
    done, loss, _ = engine.fit_block(
        x, y, weights, None, 0, n, batch, rates_of(engine, -(-n // batch))
    )
    assert done == n
    parts = [slice(i, min(n, i + batch)) for i in range(0, n, batch)]
    extra = [() if weights is None else (weights[p],) for p in parts]
    losses = net.train([(x[p], y[p], *e) for p, e in zip(parts, extra, strict=True)])
    return loss / n, np.average(losses, weights=[p.stop - p.start for p in parts])


def rates_of(engine, steps):
    return np.full(steps, {"adam": 0.01, "sgd": 0.05}[engine.optimizer_row[0]])


def assert_same(model, net, tolerance):
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
