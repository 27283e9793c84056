"""Biases of 0.01 at the start, so that ReLU units do not die.

Networks with 2 hidden layers of 100 ReLU units (He) on the digits; biases start at 0, 0.01 or 1: dead units before
training and after 20 epochs of SGD without momentum at rates 0.1 and 1, and the test accuracy. Margin for the dead
fraction: one percentage point.
"""

import numpy as np
import protocol

import fastnn
from fastnn.initializers import Constant
from fastnn.layers import Dense

CLAIMS = {
    "at-start": ("004", "A bias of 0.01 keeps units from being dead at the start."),
    "later": ("004", "(And from dying in training.)"),
    "accuracy": ("004", "(And so the network gets better.)"),
}
MEANING = """
With He's weights and standardised inputs no unit is dead at the start, so there is nothing to rescue; and a bias of
0.01 is small against a weighted sum with a standard deviation of 1.4.
"""
BIASES, RATES = (0.0, 0.01, 1.0), (0.1, 1.0)


def layers(bias):
    def hidden():
        return Dense(100, "relu", kernel_initializer="he_normal", bias_initializer=Constant(bias))

    return [hidden(), hidden(), Dense(10)]


def dead(model, data):
    first, second, _ = protocol.outputs(model, data.x)
    return (np.hstack([first, second]) == 0).all(axis=0).mean()


def run(small=False):
    start, end, scores = {}, {}, {}
    for seed in protocol.seeds(small, 10):
        data = protocol.digits(seed)
        for bias in BIASES:
            start.setdefault(bias, []).append(dead(protocol.network(lambda b=bias: layers(b), data, seed), data))
            for rate in RATES:
                model = protocol.train(lambda b=bias: layers(b), data, seed, 20, lambda r=rate: fastnn.SGD(r))
                end.setdefault((bias, rate), []).append(dead(model, data))
                scores.setdefault((bias, rate), []).append(protocol.accuracy(model, data))
    found = {
        "at-start": [protocol.compare("fewer dead units", start[0.0], start[0.01], 0.01)],
        "later": [protocol.compare(f"fewer dead units, rate {rate:g}", end[0.0, rate], end[0.01, rate], 0.01)
                  for rate in RATES],
        "accuracy": [protocol.compare(f"test accuracy, rate {rate:g}", scores[0.01, rate], scores[0.0, rate])
                     for rate in RATES],
    }  # fmt: skip
    return found, (end, scores)


def draw(values):
    picture, axes = protocol.figure(2, height=2.2)
    for ax, rows, label in zip(axes, values, ("dead units", "test accuracy"), strict=True):
        protocol.bars(ax, [f"rate {rate:g}" for rate in RATES],
                      {f"bias {b:g}": [np.mean(rows[b, rate]) for rate in RATES] for b in BIASES})  # fmt: skip
        ax.set_xlabel(label)
    protocol.legend(axes[0])
    return picture


if __name__ == "__main__":
    protocol.main()
