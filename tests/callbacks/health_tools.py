"""Health tables for tests, filled by a NumPy training in float64 that has nothing of fastnn's: dense networks, SGD."""

import numpy as np

ACTIVATIONS = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
}


def norm(values):
    return float(np.sqrt((values**2).sum()))


def data(n=256, features=8, classes=3, seed=0):
    """Three Gaussian blobs, standardised."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.normal(size=(n, features)) + 1.5 * rng.normal(size=(classes, features))[y]
    return (x - x.mean(axis=0)) / x.std(axis=0), y


class Net:
    """A dense network with softmax and cross-entropy, its layers' figures, and SGD."""

    def __init__(self, depth, activation, gain, units=16, bias=0.0, seed=0, features=8, classes=3):
        rng = np.random.default_rng(seed)
        sizes = [features, *[units] * depth, classes]
        self.activation = activation
        self.w = [
            rng.normal(size=(i, o)) * (np.sqrt(2 / i) if gain == "he" else np.sqrt(2 / (i + o)))
            for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        self.b = [np.full(o, bias) for o in sizes[1:-1]] + [np.zeros(classes)]

    def step(self, x, y, rate):
        """One step; {quantity: value of each layer}, and for each hidden layer the counts behind dead and saturated."""
        f, df = ACTIVATIONS[self.activation]
        inputs, zs = [x], []
        for w, b in zip(self.w, self.b, strict=True):
            zs.append(inputs[-1] @ w + b)
            inputs.append(f(zs[-1]) if len(zs) < len(self.w) else np.exp(zs[-1] - zs[-1].max(axis=1, keepdims=True)))
        inputs[-1] /= inputs[-1].sum(axis=1, keepdims=True)
        d = (inputs[-1] - np.eye(len(self.b[-1]))[y]) / len(x)
        loss = -np.log(inputs[-1][np.arange(len(y)), y]).mean()
        out = {name: [] for name in ("g", "w", "u", "o", "mean", "std")}
        active, flat = [(z > 0).any(axis=0) for z in zs[:-1]], []
        for k in reversed(range(len(self.w))):
            if k < len(self.w) - 1:
                slope = df(zs[k], inputs[k + 1])
                out["o"].insert(0, norm(d))
                flat.insert(0, (np.abs(slope) < 0.01).sum(axis=0))
                d = d * slope
            else:
                out["o"].insert(0, norm(-np.eye(len(self.b[-1]))[y] / inputs[-1] / len(x)))
            gradient = np.append(inputs[k].T @ d, d.sum(axis=0))
            out["g"].insert(0, norm(gradient))
            out["w"].insert(0, norm(np.append(self.w[k], self.b[k])))
            out["u"].insert(0, rate * norm(gradient))
            out["mean"].insert(0, inputs[k + 1].mean())
            out["std"].insert(0, inputs[k + 1].std())
            d, dw, db = d @ self.w[k].T, inputs[k].T @ d, d.sum(axis=0)
            self.w[k] -= rate * dw
            self.b[k] -= rate * db
        return loss, {name: np.array(values) for name, values in out.items()}, active, flat


def train(health, net, x, y, epochs=10, rate=0.1, batch=32, every=1):
    """Fill a Health; the losses of the epochs."""
    hidden, losses = len(net.w) - 1, []
    for epoch in range(epochs):
        sums, alive, flat, rows, found, steps = {}, [False] * hidden, [0] * hidden, 0, [], 0
        for step, at in enumerate(range(0, len(x), batch)):
            loss, values, active, count = net.step(x[at : at + batch], y[at : at + batch], rate)
            alive = [a | b for a, b in zip(alive, active, strict=True)]
            found.append(loss)
            if step % every:
                continue
            steps, rows = steps + 1, rows + len(x[at : at + batch])
            flat = [a + b for a, b in zip(flat, count, strict=True)]
            for name, each in values.items():
                sums[name] = sums.get(name, 0) + (each if name in ("mean", "std") else each**2)
        nothing = [np.nan]
        dead = [1 - a.mean() for a in alive] + nothing if net.activation == "relu" else nothing * (hidden + 1)
        health.append(
            epoch,
            steps,
            {
                "gradient_norm": np.sqrt(sums["g"] / steps),
                "output_gradient_norm": np.sqrt(sums["o"] / steps),
                "update_ratio": np.sqrt(sums["u"] / sums["w"]),
                "weight_norm": np.sqrt(sums["w"] / steps),
                "activation_mean": sums["mean"] / steps,
                "activation_std": sums["std"] / steps,
                "dead": dead,
                "saturated": [(f > 0.95 * rows).mean() for f in flat] + nothing,
            },
            float(np.sqrt(sums["g"].sum() / steps)),
        )
        losses.append(float(np.mean(found)))
    return losses


def trained(cls, depth=20, activation="sigmoid", gain="glorot", epochs=10, rate=0.1, every=1, **options):
    """(Health of class `cls`, losses) of a network trained on three blobs."""
    names = [f"dense_{k}" for k in range(depth)] + ["output"]
    health = cls(names, [f"Dense {activation}"] * depth + ["Dense softmax"], every)
    return health, train(health, Net(depth, activation, gain, **options), *data(), epochs, rate, every=every)
