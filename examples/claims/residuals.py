"""Residual connections, F(x) + x.

Networks of 40 hidden layers of 64 units on the digits, plain and as residual blocks of two layers, for ReLU (He) and
tanh (Glorot); 20 epochs of SGD with momentum 0.9 at the best of the rates 0.001, 0.01, 0.1: the test accuracy. In a
second kind of residual network the last layer of each block starts at zero.
"""

import numpy as np
import protocol

from fastnn.layers import Dense, Residual

CLAIMS = {
    "residual": ("000", "Residual learning F(x) + x passes on what earlier layers know, and helps deep networks."),
    "identity": ("000", "(The same where each block starts as the identity.)"),
}
MEANING = """
The identity carries signal and gradient past any layer. But with He's weights each block adds as much variance as it
gets: after 20 blocks outputs have grown by a factor of a thousand, and the network does not train at these rates.
Blocks that start as the identity have all of the advantage. (The residual networks of the literature rely on batch
normalisation for this.)
"""
ACTIVATIONS = {"ReLU": ("relu", "he_normal"), "tanh": ("tanh", "glorot_uniform")}


KINDS = ("plain", "residual", "residual, identity at the start")


def layers(activation, initializer, kind):
    yield Dense(64, activation, kernel_initializer=initializer)
    last = "zeros" if kind == KINDS[2] else initializer
    for _ in range(20):
        first = Dense(64, activation, kernel_initializer=initializer)
        if kind == "plain":
            yield from (first, Dense(64, activation, kernel_initializer=initializer))
        else:
            yield Residual([first, Dense(64, kernel_initializer=last)])
    yield Dense(10)


def run(small=False):
    scores = {}
    for name, (activation, initializer) in ACTIVATIONS.items():
        for kind in KINDS:
            for seed in protocol.seeds(small):
                data = protocol.digits(seed)

                def build(parts=(activation, initializer, kind)):
                    return layers(*parts)

                rates = (0.001, 0.01, 0.1)
                models = [protocol.train(build, data, seed, 20, protocol.sgd(rate)) for rate in rates]
                value = protocol.accuracy(protocol.best(models, data), data)
                scores.setdefault((name, kind), []).append(value)
    found = {
        key: [protocol.compare(name, scores[name, kind], scores[name, "plain"]) for name in ACTIVATIONS]
        for key, kind in (("residual", KINDS[1]), ("identity", KINDS[2]))
    }
    return found, scores


def draw(values):
    picture, ax = protocol.figure(width=5, height=2)
    rows = {f"40 layers, {kind}": [np.mean(values[name, kind]) for name in ACTIVATIONS] for kind in KINDS}
    protocol.bars(ax, list(ACTIVATIONS), rows)
    ax.set_xlabel("test accuracy")
    protocol.legend(ax, columns=2)
    return picture


if __name__ == "__main__":
    protocol.main()
