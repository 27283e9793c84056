"""What activations cost in time.

An epoch (5000 images of 784 random pixels, batches of 32) and a prediction of a network 784-300-100-10, and of a
narrow one 32-32-32-10 in which activations weigh more, for each activation; interleaved, the minimum of 9. The
verdicts use a margin of 5 % and are those of this machine and these kernels.
"""

import time

import numpy as np
import protocol

from fastnn.layers import Activation, Dense, LeakyReLU

CLAIMS = {
    "relu-fast": ("000, 002, 004", "ReLU is fast to compute: faster than tanh and sigmoid."),
    "relu-fastest": ("000, 002", "If speed is what counts, ReLU is the best choice."),
    "leaky-speed": ("000, 002", "If speed is what counts, LeakyReLU is the best choice."),
    "exponential-small": ("004", "Exponentials are no great problem: the product is the larger part of the work."),
}
MEANING = """
The notes contradict each other, and themselves, on LeakyReLU or ReLU: in training both take the same time. The
exponential of a vectorised kernel is cheap: in the wide network nothing of it is left.
"""
KINDS = {
    "ReLU": lambda: Activation("relu"),
    "LeakyReLU": lambda: LeakyReLU(0.2),
    "ELU": lambda: Activation("elu"),
    "SELU": lambda: Activation("selu"),
    "tanh": lambda: Activation("tanh"),
    "sigmoid": lambda: Activation("sigmoid"),
}
NETWORKS = {"784-300-100-10": (784, 300, 100), "32-32-32-10": (32, 32, 32)}


def layers(units, kind):
    return [layer for n in units for layer in (Dense(n), kind())] + [Dense(10)]


def run(small=False):
    rng = np.random.default_rng(0)
    found = {}
    for title, (inputs, *units) in NETWORKS.items():
        x, y = rng.normal(size=(5000, inputs)).astype("float32"), rng.integers(0, 10, 5000)
        data = protocol.Data(x, y, x, y, x, y)
        models = {name: protocol.network(lambda k=k, u=units: layers(u, k), data, 0) for name, k in KINDS.items()}
        for _ in range(3 if small else 9):
            for name, model in models.items():
                for what, call in (("epoch", lambda m=model, d=data: m.fit(d.x, d.y, verbose=0, health=False)),
                                   ("prediction", lambda m=model, d=data: m.predict(d.x, verbose=0))):  # fmt: skip
                    start = time.perf_counter()
                    call()
                    found.setdefault((title, what, name), []).append(time.perf_counter() - start)
    seconds = {key: min(values) for key, values in found.items()}

    def ratio(name, than, test, networks=NETWORKS):
        return [protocol.check(f"{title}, {what}: {name} ÷ {than}",
                               [seconds[title, what, name] / seconds[title, what, than]], test, ".2f")
                for title in networks for what in ("epoch", "prediction")]  # fmt: skip

    result = {
        "relu-fast": ratio("tanh", "ReLU", lambda v: v > 1.05) + ratio("sigmoid", "ReLU", lambda v: v > 1.05),
        "relu-fastest": ratio("LeakyReLU", "ReLU", lambda v: v > 1.05),
        "leaky-speed": ratio("ReLU", "LeakyReLU", lambda v: v > 1.05),
        "exponential-small": ratio("sigmoid", "ReLU", lambda v: v < 1.5),
    }
    return result, seconds


def draw(values):
    picture, axes = protocol.figure(2, height=2.4)
    for ax, title in zip(axes, NETWORKS, strict=True):
        rows = {w: [values[title, w, n] / values[title, w, "ReLU"] for n in KINDS] for w in ("epoch", "prediction")}
        protocol.bars(ax, list(KINDS), rows)
        ax.set(title=title, xlabel="time ÷ ReLU's")
    protocol.legend(axes[0])
    return picture


if __name__ == "__main__":
    protocol.main()
