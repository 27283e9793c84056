"""SELU > ELU > LeakyReLU > ReLU > tanh > sigmoid, and the others.

Networks with 2 and with 10 hidden layers of 100 units, each activation with its own initialisation (LeCun for SELU and
Maxout, He for ReLU and its variants and ELU, Glorot for tanh and sigmoid), on the digits (20 epochs) and on 3000
images of Fashion-MNIST (10 epochs); SGD with momentum 0.9 at the rate of 0.001, 0.01 and 0.1 that has the best mean
validation accuracy over two pilot seeds; 8 other seeds.
"""

import numpy as np
import protocol

from fastnn.layers import Activation, Dense, LeakyReLU, Maxout

CLAIMS = {
    "selu-elu": ("000, 002", "SELU > ELU."),
    "elu-leaky": ("000, 002", "ELU > LeakyReLU: ELU surpasses all variants of ReLU."),
    "elu-relu": ("000, 002", "ELU > ReLU."),
    "leaky-relu": ("000, 002", "LeakyReLU > ReLU, always."),
    "relu-tanh": ("000, 002, 004", "ReLU > tanh: try tanh, but expect little of it."),
    "tanh-sigmoid": ("000, 002, 004", "tanh > sigmoid, always: do not use sigmoid."),
    "maxout-relu": ("004", "Maxout has all advantages of ReLU without its drawbacks: it is worth a try."),
    "whole-order": ("000, 002", "In general SELU > ELU > LeakyReLU > ReLU > tanh > sigmoid."),
}
MEANING = """
At 2 layers, with a suitable rate, the six are close together. What the order is about shows at 10 layers: sigmoid
fails. The bars are test accuracies; differences below the whiskers mean nothing.
"""
HIDDEN = {
    "SELU": lambda: [Dense(100, "selu", kernel_initializer="lecun_normal")],
    "ELU": lambda: [Dense(100, "elu", kernel_initializer="he_normal")],
    "LeakyReLU": lambda: [Dense(100, kernel_initializer="he_normal"), LeakyReLU(0.2)],
    "ReLU": lambda: [Dense(100, kernel_initializer="he_normal"), Activation("relu")],
    "tanh": lambda: [Dense(100, "tanh")],
    "sigmoid": lambda: [Dense(100, "sigmoid")],
    "Maxout": lambda: [Maxout(100, 2, kernel_initializer="lecun_normal")],
}
RANKED = [name for name in HIDDEN if name != "Maxout"]
RATES, DEPTHS = (0.001, 0.01, 0.1), (2, 10)
SIZES = {"digits": (1000, 20), "Fashion-MNIST": (3000, 10)}  # images, epochs


def run(small=False):
    scores = {}
    for set_name, load in protocol.data_sets(small).items():
        size, epochs = SIZES[set_name]
        for depth in DEPTHS:
            for name, hidden in HIDDEN.items():

                def build(hidden=hidden, depth=depth):
                    return [layer for _ in range(depth) for layer in hidden()] + [Dense(10)]

                rate = protocol.best_rate(build, lambda seed, f=load, n=size: f(seed, n), RATES, epochs)
                models = [(protocol.train(build, load(seed, size), seed, epochs, protocol.sgd(rate)), load(seed, size))
                          for seed in protocol.seeds(small, 8)]  # fmt: skip
                values = [protocol.accuracy(model, data) for model, data in models]
                scores.setdefault((set_name, depth), {})[name] = values

    def duel(first, second):
        return [protocol.compare(f"{set_name}, {depth} layers", row[first], row[second])
                for (set_name, depth), row in scores.items()]  # fmt: skip

    pairs = zip(RANKED, RANKED[1:], strict=False)
    found = {
        "selu-elu": duel("SELU", "ELU"),
        "elu-leaky": duel("ELU", "LeakyReLU"),
        "elu-relu": duel("ELU", "ReLU"),
        "leaky-relu": duel("LeakyReLU", "ReLU"),
        "relu-tanh": duel("ReLU", "tanh"),
        "tanh-sigmoid": duel("tanh", "sigmoid"),
        "maxout-relu": duel("Maxout", "ReLU"),
    }
    steps = [o for a, b in pairs for o in duel(a, b)]
    confirmed = sum(o.word == "better" for o in steps)
    found["whole-order"] = [protocol.Outcome(
        "steps of the order, over all settings", "true" if confirmed == len(steps) else "false",
        f"{confirmed} of {len(steps)} better, {sum(o.word == 'equal' for o in steps)} equal, "
        f"{sum(o.word == 'worse' for o in steps)} worse, {sum(o.word == 'undecided' for o in steps)} undecided",
    )]  # fmt: skip
    return found, scores


def draw(values):
    picture, axes = protocol.figure(2, height=3.6)
    for ax, depth in zip(axes, DEPTHS, strict=True):
        rows = {s: row for (s, d), row in values.items() if d == depth}
        protocol.bars(ax, list(HIDDEN), {s: [np.mean(row[n]) for n in HIDDEN] for s, row in rows.items()},
                      {s: [np.std(row[n], ddof=1) for n in HIDDEN] for s, row in rows.items()})  # fmt: skip
        ax.set(title=f"{depth} hidden layers", xlabel="test accuracy", xlim=(0.7, 1))
    protocol.legend(axes[0])
    return picture


if __name__ == "__main__":
    protocol.main()
