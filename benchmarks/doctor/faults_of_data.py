"""Faults of the data that a program is given: scale, labels, rows."""

from dataclasses import replace

import numpy as np

from .program import Hidden


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def onehot(data):
    return data.map(y=lambda y: np.eye(data.classes, dtype="float32")[y])


# --- scale ---


def unscaled_data(p, rng):
    name = p.data.name
    if name == "digits":  # bytes, as images are loaded
        return replace(p, data=p.data.map(x=lambda x: x * np.float32(255)))
    if name == "houses":
        return replace(p, data=replace(p.data, x=p.data.raw[0].astype("float32"), xv=p.data.raw[1].astype("float32")))
    offset, factor = pick(rng, (100.0, 1.0), (0.0, 1000.0), (2000.0, 50.0))
    return replace(p, data=p.data.map(x=lambda x: (x * factor + offset).astype("float32")))


def double_scaling(p, rng):
    if p.data.name == "digits":
        factor = np.float32(pick(rng, 255, 16 * 16))
    else:
        factor = np.float32(pick(rng, 255, 1000))
    return replace(p, data=p.data.map(x=lambda x: x / factor))


def unscaled_target(p, rng):
    if p.data.task != "values":
        return None
    factor, offset = pick(rng, (1e5, 0.0), (1e3, 0.0), (1e3, 5e4))
    return replace(p, data=p.data.map(y=lambda y: y * np.float32(factor) + np.float32(offset)))


# --- labels ---


def label_encoding(p, rng):
    d = p.data
    if d.task == "binary":
        how = pick(rng, lambda y: 2 * y - 1, lambda y: y + 1, lambda y: 255 * y)
        return replace(p, data=d.map(y=how))
    if d.task != "classes":
        return None
    how = pick(rng, "integers", "one-hot", "from one")
    if how == "integers":
        return replace(p, loss="categorical_crossentropy")
    if how == "one-hot":
        return replace(p, data=onehot(d))
    return replace(p, data=d.map(y=lambda y: y + 1))


def shape_mismatch(p, rng):
    how = pick(rng, "input", "units", "rows")
    if how == "input":
        return replace(p, features=p.data.x.shape[1] + int(pick(rng, -1, 1, 7)))
    if how == "rows":
        return replace(p, data=replace(p.data, y=p.data.y[:-10]))
    if p.data.task == "classes":
        return replace(p, data=onehot(p.data), loss="categorical_crossentropy", units=p.units + int(pick(rng, 1, -1)))
    return replace(p, data=p.data.map(y=lambda y: np.c_[y, y, y]))


def constant_target(p, rng):
    return replace(p, data=p.data.map(y=lambda y: np.full_like(y, y[0])))


def random_target(p, rng):
    d = p.data
    if d.task == "values":
        return replace(p, data=d.map(y=lambda y: rng.normal(np.mean(y), np.std(y), len(y)).astype("float32")))
    return replace(p, data=d.map(y=lambda y: rng.integers(0, max(2, d.classes), len(y))))


def shuffled_labels(p, rng):
    """The rows of x were shuffled and those of y were not, as before the split or in a loader."""
    return replace(p, data=p.data.map(y=lambda y: y[rng.permutation(len(y))]))


def class_imbalance(p, rng):
    if p.data.task == "values":
        return None
    d = p.data
    rare = rng.integers(1, max(2, d.classes))
    keep = (d.y != rare) | (rng.random(len(d.y)) < 0.015)
    if d.task == "classes":
        others = rng.random(len(d.y)) < 0.05
        keep = (d.y == 0) | others
    return replace(p, data=replace(d, x=d.x[keep], y=d.y[keep]))


# --- rows and columns ---


def nan_data(p, rng):
    d = p.data
    x, y = d.x.astype("float32"), np.array(d.y)
    how = pick(rng, "rows", "column", "infinite", "target")
    if how == "target" and d.task == "values":
        y = y.astype("float32")
        y[rng.integers(0, len(y), 5)] = np.nan
    elif how == "column":
        x[rng.random(len(x)) < 0.2, rng.integers(x.shape[1])] = np.nan
    else:
        x[rng.integers(0, len(x), 3), rng.integers(x.shape[1])] = np.inf if how == "infinite" else np.nan
    return replace(p, data=replace(d, x=x, y=y))


def constant_feature(p, rng):
    """Integer division, a column that was filled with one value, or a scaler fitted on the wrong axis."""
    if rng.random() < 0.5:
        return replace(p, data=p.data.map(x=np.zeros_like))
    kept = rng.permutation(p.data.x.shape[1])[: max(1, p.data.x.shape[1] // 8)]

    def filled(x):
        y = np.full_like(x, 1.0)
        y[:, kept] = x[:, kept]
        return y

    return replace(p, data=p.data.map(x=filled))


def duplicate_rows(p, rng):
    """Few rows, many times: a table that was joined wrongly."""
    d, n = p.data, int(pick(rng, 20, 40))
    rows = rng.integers(0, n, len(d.x))
    return replace(p, data=replace(d, x=d.x[rows], y=d.y[rows]))


def too_few_rows(p, rng):
    n = int(pick(rng, 12, 20, 30))
    return replace(p, data=replace(p.data, x=p.data.x[:n], y=p.data.y[:n]), epochs=5 * p.epochs)


def validation_leak(p, rng):
    d = p.data
    rows = rng.permutation(len(d.x))[: len(d.xv)]
    x, y = d.x[rows], d.y[rows]
    if rng.random() < 0.5:  # half of them
        half = len(rows) // 2
        x, y = np.concatenate([x[:half], d.xv[half:]]), np.concatenate([y[:half], d.yv[half:]])
    return replace(p, data=replace(d, xv=x, yv=y, truth=y))


def overfitting(p, rng):
    """A wide network, few rows with noisy targets, and far too many epochs."""
    d = p.data
    n = min(len(d.x), int(pick(rng, 80, 120)))
    y = np.array(d.y[:n])
    if d.task == "values":
        y = (y + rng.normal(0, np.std(y), n)).astype("float32")
    else:
        wrong = rng.random(n) < 0.25
        y[wrong] = rng.integers(0, max(2, d.classes), wrong.sum())
    hidden = (Hidden(256, "relu", "he_normal"), Hidden(256, "relu", "he_normal"))
    data = replace(d, x=d.x[:n], y=y)
    return replace(p, data=data, hidden=hidden, epochs=150, optimizer="Adam", rate=1e-3)
