"""Outputs that are not centred at zero: sigmoid's signs and zig-zag.

A network 64-64-64-10 with sigmoid or tanh on the digits at the start: the fraction of units of the second layer whose
incoming weights all have a gradient of the same sign, for one image at a time and for a batch of 32. Then training
for 20 epochs (SGD with momentum 0.9, rate 0.01), with the sigmoid σ(z) and with the same function shifted and scaled
to be zero-centred, 4 (σ(z) − 1/2), whose slope at 0 is 1, and with tanh: mean training loss over the epochs (margin
0.05). *Always*: for more than 99 % of the units; *hardly*: less than 1 %.
"""

import numpy as np
import protocol

from fastnn.layers import Activation, Dense, Rescaling

CLAIMS = {
    "one-image": ("004", "After a sigmoid, the gradients of a unit's weights all have the same sign."),
    "batch": ("004", "(The same for a batch, with which networks are trained.)"),
    "tanh": ("004", "tanh, which is zero-centred, does not have this problem."),
    "zig-zag": ("004", "So the weights take a zig-zag course, and training is slow."),
    "slope": ("004", "(Apart from the slope: centred and not centred, with the same slope.)"),
    "quarter": ("004", "The derivative of the sigmoid is at most 0.25."),
}
MEANING = """
The argument is about single images. The gradient of a batch is a sum over images whose signs differ: mixed signs are
the rule. That training is slower has two causes, the slope of 1/4 and the offset, which the last comparison
separates: both networks have a sigmoid of slope 1 at 0, one of them with the offset that 4 σ(z) has.
"""
KINDS = {
    "sigmoid": lambda: [Activation("sigmoid")],
    "tanh": lambda: [Activation("tanh")],
    "4 σ(z) − 2, centred": lambda: [Activation("sigmoid"), Rescaling(4.0, -2.0)],
    "4 σ(z), not centred": lambda: [Activation("sigmoid"), Rescaling(4.0)],
}


def layers(name):
    return [Dense(64), *KINDS[name](), Dense(64), *KINDS[name](), Dense(10)]


def one_sign(model, data, rows):
    """The fraction of units of the second layer, over 20 batches, whose weights' gradients all have one sign."""
    found = []
    for i in range(20):
        part = slice(i * rows, (i + 1) * rows)
        protocol.gradient_norms(model, data._replace(x=data.x[part], y=data.y[part]))
        second = [g for g in model.gradients() if g.ndim == 2][1]
        found.append(((second >= 0).all(axis=0) | (second <= 0).all(axis=0)).mean())
    return np.mean(found)


def run(small=False):
    same, losses, curves = {}, {}, {}
    for seed in protocol.seeds(small):
        data = protocol.digits(seed)
        for name in KINDS:
            model = protocol.network(lambda n=name: layers(n), data, seed)
            for rows in (1, 32):
                same.setdefault((name, rows), []).append(one_sign(model, data, rows))
            curve = model.fit(data.x, data.y, epochs=20, verbose=0, health=False, on_nan="ignore").history["loss"]
            losses.setdefault(name, []).append(np.mean(curve))
            curves.setdefault(name, []).append(curve)
    z = np.linspace(-8, 8, 1601)
    slope = np.gradient(1 / (1 + np.exp(-z)), z).max()
    found = {
        "one-image": [protocol.check("sigmoid, 1 image", same["sigmoid", 1], lambda v: v > 0.99)],
        "batch": [protocol.check("sigmoid, 32 images", same["sigmoid", 32], lambda v: v > 0.99)],
        "tanh": [protocol.check("tanh, 1 image", same["tanh", 1], lambda v: v < 0.01)],
        "zig-zag": [protocol.compare("training loss, sigmoid and tanh", losses["sigmoid"], losses["tanh"], 0.05)],
        "slope": [protocol.compare("training loss, not centred and centred", losses["4 σ(z), not centred"],
                                   losses["4 σ(z) − 2, centred"], 0.05)],
        "quarter": [protocol.check("maximum", [slope], lambda v: abs(v - 0.25) < 1e-4, ".4f")],
    }  # fmt: skip
    return found, curves


def draw(values):
    picture, ax = protocol.figure(width=5)
    for name, rows in values.items():
        ax.plot(range(1, 21), np.mean(rows, axis=0), label=name)
    ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
    ax.legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
