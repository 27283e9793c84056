"""Vanishing gradients in a deep stack of sigmoid layers, and the cures.

Networks of 20 hidden layers of 64 units on the digits: the norm of the gradient of each weight matrix before the
first step, and the test accuracy after 20 epochs of SGD (momentum 0.9) at the rate 0.001, 0.01 or 0.1 that has the
best validation accuracy. A gradient *vanishes* if the first layer's norm is less than a thousandth of the last
layer's; a network *trains* if it reaches a test accuracy of 0.9.
"""

import numpy as np
import protocol

from fastnn.initializers import VarianceScaling
from fastnn.layers import Activation, BatchNormalization, Dense

CLAIMS = {
    "sigmoid-vanishes": ("000, 001, 002, 004", "In a deep sigmoid network no gradient reaches the lower layers."),
    "glorot-sigmoid": ("000, 001", "Glorot initialisation solves this for the sigmoid."),
    "cure-initialisation": ("000, 001, 002", "He initialisation solves it for ReLU, Glorot for tanh."),
    "cure-activation": ("000, 002, 004", "Activations that do not saturate solve it."),
    "cure-batch-normalisation": ("000, 002", "Batch normalisation solves it, so that sigmoid and tanh can be used."),
    "diverges": ("000", "When gradients vanish or explode, training diverges."),
    "tanh-vanishes": ("004", "tanh is zero-centred, but its gradient still vanishes."),
}
MEANING = """
The Glorot variance keeps the signal of units whose slope at 0 is 1. The sigmoid's slope is 1/4, so each layer takes
away a factor of 4. With 16 times the variance (the row "sigmoid, variance 16/n") the gradient of the first layer is
larger by many powers of ten, but the units then saturate, and the network still does not train. Batch normalisation
solves it. A vanished gradient does not make training diverge: the loss just stays where it was, at ln 10 = 2.30.
"""
DEPTH, UNITS = 20, 64
NETWORKS = {
    "sigmoid, Glorot": ("sigmoid", "glorot_uniform", False),
    "sigmoid, variance 16/n": ("sigmoid", VarianceScaling(16.0, "fan_avg"), False),
    "sigmoid, batch norm.": ("sigmoid", "glorot_uniform", True),
    "tanh, Glorot": ("tanh", "glorot_uniform", False),
    "tanh, batch norm.": ("tanh", "glorot_uniform", True),
    "ReLU, Glorot": ("relu", "glorot_uniform", False),
    "ReLU, He": ("relu", "he_normal", False),
    "LeakyReLU, He": ("leaky_relu", "he_normal", False),
    "ELU, He": ("elu", "he_normal", False),
    "SELU, LeCun": ("selu", "lecun_normal", False),
}


def layers(activation, initializer, normalised):
    for _ in range(DEPTH):
        yield Dense(UNITS, kernel_initializer=initializer)
        if normalised:
            yield BatchNormalization()
        yield Activation(activation)
    yield Dense(10)


def run(small=False):
    norms, scores, losses = {}, {}, {}
    for name, parts in NETWORKS.items():
        norms[name], scores[name], losses[name] = [], [], []
        for seed in protocol.seeds(small):
            data = protocol.digits(seed)

            def build(parts=parts):
                return layers(*parts)

            norms[name].append(protocol.gradient_norms(protocol.network(build, data, seed), data))
            models = [protocol.train(build, data, seed, 20, protocol.sgd(rate)) for rate in (0.001, 0.01, 0.1)]
            scores[name].append(protocol.accuracy(protocol.best(models, data), data))
            losses[name] += [model.evaluate(data.x, data.y, verbose=0)[0] for model in models]

    def vanishes(name):
        return protocol.check(f"{name}: first ÷ last", [n[0] / n[-1] for n in norms[name]], lambda v: v < 1e-3)

    def passes(name):
        return protocol.check(f"{name}: first ÷ last", [n[0] / n[-1] for n in norms[name]], lambda v: v > 1e-3)

    def trains(name):
        return protocol.check(f"{name}: test accuracy", scores[name], lambda v: v > 0.9)

    found = {
        "sigmoid-vanishes": [vanishes("sigmoid, Glorot")],
        "glorot-sigmoid": [passes("sigmoid, Glorot"), trains("sigmoid, Glorot")],
        "cure-initialisation": [test(n) for n in ("ReLU, He", "tanh, Glorot") for test in (passes, trains)],
        "cure-activation": [test(n) for n in ("ReLU, He", "LeakyReLU, He", "ELU, He", "SELU, LeCun")
                            for test in (passes, trains)],
        "cure-batch-normalisation": [test(n) for n in ("sigmoid, batch norm.", "tanh, batch norm.")
                                     for test in (passes, trains)],
        "diverges": [protocol.check("sigmoid, Glorot: loss at the end", losses["sigmoid, Glorot"],
                                    lambda v: not v < 10, ".4f")],
        "tanh-vanishes": [vanishes("tanh, Glorot")],
    }  # fmt: skip
    return found, {name: (np.mean(np.log10(n), axis=0), np.mean(scores[name])) for name, n in norms.items()}


def draw(values):
    picture, ax = protocol.figure(width=7.2)
    image = ax.imshow([np.maximum(norms, -14) for norms, _ in values.values()], aspect="auto", cmap="viridis")
    names = [f"{name} ({score:.2f})" for name, (_, score) in values.items()]
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(0, DEPTH + 1, 5), range(1, DEPTH + 2, 5))
    ax.set_xlabel("layer, and in brackets the test accuracy after training")
    picture.colorbar(image, label="log₁₀ of the gradient's norm")
    return picture


if __name__ == "__main__":
    protocol.main()
