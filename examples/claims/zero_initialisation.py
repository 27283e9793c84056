"""All weights zero at the start.

A network 64-50-10 on the digits, all kernels and biases zero, 20 epochs of SGD (momentum 0.9, rate 0.1): how many of
its four arrays have changed, how many distinct hidden units there are after the first epoch (by more than a thousandth
of their norm), and the test accuracy. Compared with zeros in the last layer only, and with Glorot initialisation.
*Learns*: a test accuracy above 0.9.
"""

import functools

import numpy as np
import protocol

from fastnn.layers import Dense

CLAIMS = {
    "no-update": ("001", "With zero weights no update is possible, although there is a gradient."),
    "useless": ("001", "Zero initialisation is the worst possible method: the network does not learn."),
    "only-last": ("001", "(The same with zeros in the last layer only.)"),
}
MEANING = """
With ReLU or tanh, hidden outputs are 0, so that all gradients but that of the last bias are zero: the network learns
the class frequencies. With sigmoid, hidden outputs are 0.5: everything is updated, but all units of a layer stay
equal, and the network is worth one unit. This state is unstable: where a processor sums two of the units in another
order than the rest, their difference grows from the last bit by about ten times per epoch, and after 20 epochs the
network is worth two. The fault is symmetry, not the zeros: a *last* layer of zeros does no harm.
"""
ACTIVATIONS = ("relu", "tanh", "sigmoid")


def distinct(kernel):
    """The number of columns that differ by more than rounding."""
    kept = []
    for unit in kernel.T:
        if all(np.linalg.norm(unit - other) > 1e-3 * np.linalg.norm(other) for other in kept):
            kept.append(unit)
    return len(kept)


def layers(activation, hidden, last):
    return [Dense(50, activation, kernel_initializer=hidden), Dense(10, kernel_initializer=last)]


def run(small=False):
    changed, units, scores = {}, {}, {}
    for activation in ACTIVATIONS:
        for start in (("zeros", "zeros"), ("glorot_uniform", "zeros"), ("glorot_uniform", "glorot_uniform")):
            for seed in protocol.seeds(small):
                data = protocol.digits(seed)
                made = functools.partial(layers, activation, *start)
                first = protocol.train(made, data, seed, 1, protocol.sgd(0.1))
                model = protocol.train(made, data, seed, 20, protocol.sgd(0.1))
                key = activation, start
                changed.setdefault(key, []).append(sum(bool(w.any()) for w in model.get_weights()))
                units.setdefault(key, []).append(distinct(first.layers[0].kernel.numpy()))
                scores.setdefault(key, []).append(protocol.accuracy(model, data))
    zeros, last = ("zeros", "zeros"), ("glorot_uniform", "zeros")
    found = {
        "no-update": [protocol.check(f"{a}: arrays that changed, of 4", changed[a, zeros], lambda v: v == 0, "d")
                      for a in ACTIVATIONS],
        "useless": [protocol.check(f"{a}: test accuracy", scores[a, zeros], lambda v: v < 0.9) for a in ACTIVATIONS]
        + [protocol.check(f"{a}: distinct hidden units after one epoch", units[a, zeros], lambda v: v == 1, "d")
           for a in ACTIVATIONS],
        "only-last": [protocol.check(f"{a}: test accuracy", scores[a, last], lambda v: v < 0.9) for a in ACTIVATIONS],
    }  # fmt: skip
    return found, scores


def draw(values):
    picture, ax = protocol.figure(width=5)
    names = {("zeros", "zeros"): "all zeros", ("glorot_uniform", "zeros"): "last layer zeros",
             ("glorot_uniform", "glorot_uniform"): "Glorot"}  # fmt: skip
    protocol.bars(ax, ACTIVATIONS, {n: [np.mean(values[a, s]) for a in ACTIVATIONS] for s, n in names.items()})
    ax.set_xlabel("test accuracy")
    protocol.legend(ax)
    return picture


if __name__ == "__main__":
    protocol.main()
