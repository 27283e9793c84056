"""Dying ReLUs: how many units are 0 for all training data, at which rate, and whether that matters.

Networks with 2 hidden layers of 100 units on the digits, 20 epochs of SGD without momentum at rates from 0.01 to 1. A
unit is *dead* if it is 0 for every training image. For each rate: the dead fraction after the first epoch and at the
end, the fraction of the former that live again at the end, and the test accuracy. *No unit dies*: less than 1 %.
Networks whose weights become non-finite (ELU at high rates) are not counted.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense, LeakyReLU

CLAIMS = {
    "rate-kills": ("000, 004", "A large learning rate kills ReLU units; a smaller rate is a remedy."),
    "half": ("000", "With a large learning rate half of the neurons die."),
    "for-ever": ("000, 004", "A dead unit never becomes active again."),
    "normal": ("004", "In practice 10 to 20 % of the units are found dead."),
    "harmless": ("004", "10 to 20 % of dead units hardly affect the performance."),
    "leaky-lives": ("000, 002, 004", "LeakyReLU and ELU solve the problem: no unit dies."),
}
MEANING = """
Whether units die, and how many, is a matter of the rate: at the usual ones practically none does. A dead unit has no
gradient. In the first layer that is final; in the second layer the inputs of the unit move, and some units wake up.
As long as a small fraction of the units is dead, the network does not suffer. ELU has no exactly zero slope, but it
saturates: at large rates its units are pushed to −1, where the gradient vanishes in float32 as well, at *smaller*
rates than ReLU's units die. LeakyReLU has no dead units, but diverges from about the rate at which ReLU's die.
"""
RATES = (0.01, 0.1, 0.3, 0.4, 0.5, 0.7, 1.0)
ACTIVATIONS = {"ReLU": lambda: [Dense(100, "relu", kernel_initializer="he_normal")],
               "LeakyReLU": lambda: [Dense(100, kernel_initializer="he_normal"), LeakyReLU(0.2)],
               "ELU": lambda: [Dense(100, "elu", kernel_initializer="he_normal")]}  # fmt: skip


def stuck(model, data, name):
    """Units (2, 100) without a gradient for any row: ReLUs at 0, ELUs at -1. A LeakyReLU always has its slope."""
    hidden = protocol.outputs(model, data.x)[:-1]
    lowest = {"ReLU": 0.0, "LeakyReLU": -np.inf, "ELU": -1 + 1e-6}[name]
    return np.array([(h <= lowest).all(axis=0) for h in hidden[len(hidden) // 2 - 1 :: len(hidden) // 2]])


def run(small=False):
    rows, units = {}, []
    for name, hidden in ACTIVATIONS.items():
        for rate in RATES:
            for seed in protocol.seeds(small):
                data = protocol.digits(seed)

                def build(hidden=hidden):
                    return [*hidden(), *hidden(), Dense(10)]

                model = protocol.train(build, data, seed, 1, lambda r=rate: fastnn.SGD(r))
                early = stuck(model, data, name)
                model.fit(data.x, data.y, epochs=20, initial_epoch=1, verbose=0, health=False, on_nan="ignore")
                if not np.isfinite(model.get_parameters()).all():
                    continue
                late = stuck(model, data, name)
                rows.setdefault((name, rate), []).append((late.mean(), protocol.accuracy(model, data)))
                if name == "ReLU":
                    units.append((early, early & ~late))
    dead, scores = ({key: np.array([row[i] for row in found]) for key, found in rows.items()} for i in range(2))
    early, revived = np.array(units).sum(axis=(0, 3))  # of both layers

    def fraction(name, rate, test):
        return protocol.check(f"{name}, rate {rate:g}: dead fraction", dead[name, rate], test)

    relu = [("ReLU", rate) for rate in RATES]
    some = [key for key in relu if 0.05 <= dead[key].mean() <= 0.3]
    top = max(relu, key=lambda key: scores[key].mean())
    usual = RATES[:2]
    found = {
        "rate-kills": [protocol.compare(f"dead fraction at rate {high:g} and {low:g}", dead["ReLU", high],
                                        dead["ReLU", low], 0.05) for high, low in ((1.0, 0.01), (0.7, 0.1))],
        "half": [fraction("ReLU", rate, lambda v: v >= 0.5) for rate in RATES],
        "for-ever": [protocol.check(f"layer {i + 1}: of {early[i]} dead units, alive at the end", [revived[i]],
                                    lambda v: v == 0, "d") for i in range(2)],
        "normal": [fraction("ReLU", rate, lambda v: 0.1 <= v <= 0.2) for rate in usual],
        "harmless": [protocol.check(f"rate {key[1]:g}, {dead[key].mean():.0%} dead: accuracy below the best rate's",
                                    scores[top] - scores[key], lambda v: v < 0.02) for key in some]
        or [protocol.Outcome("no rate with 5 to 30 % dead units", "undecided", "none")],
        "leaky-lives": [fraction(name, rate, lambda v: v < 0.01) for name, rate in rows if name != "ReLU"],
    }  # fmt: skip
    return found, (dead, scores)


def draw(values):
    picture, axes = protocol.figure(2)
    for ax, rows, label in zip(axes, values, ("dead units", "test accuracy"), strict=True):
        for name in ACTIVATIONS:
            rates = [rate for rate in RATES if (name, rate) in rows]
            means, stds = ([f(rows[name, rate]) for rate in rates] for f in (np.mean, np.std))
            ax.errorbar(rates, means, stds, marker="o", capsize=2, label=name)
        ax.set(xscale="log", xlabel="learning rate", ylabel=label, ylim=(-0.03, 1.03))
    axes[0].legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
