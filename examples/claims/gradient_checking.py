"""Numerical gradients: one-sided and two-sided differences.

f(θ) = θ³ at θ = 1 as in note 003, then a network 8-6-1 (tanh, mean squared error, float64) on random data: the
largest error of the difference quotients against the gradient of back-propagation, for ε from 10⁻¹² to 10⁻¹, and the
evaluations they need. The *order* is the slope of the error's logarithm between ε = 10⁻³ and 10⁻².
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense

CLAIMS = {
    "example": ("003", "For θ³ at 1 and ε = 0.01: 3.0001 two-sided, 3.0301 one-sided."),
    "orders": ("003", "The error is of the order ε² two-sided, and ε one-sided."),
    "constant": ("003", "The constant of the order is 1."),
    "twice": ("003", "Two-sided differences take twice the time, and are worth it."),
    "smaller-better": ("003", "(The smaller ε, the better, as in the limit of the definition.)"),
}
MEANING = """
The constant is |f‴| / 6, which is 1 for θ³ and no other function in general. In floating point ε must not be too
small: rounding errors grow as 1/ε, and the best ε in float64 is about 10⁻⁵ two-sided and 10⁻⁸ one-sided.
"""
STEPS = 10.0 ** np.arange(-12, 0)


class Counted:
    """The loss as a function of the weights, and how often it was called."""

    def __init__(self, seed):
        fastnn.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        self.data = rng.normal(size=(50, 8)), rng.normal(size=(50, 1))
        self.model = fastnn.Sequential([Dense(6, "tanh", input_shape=(8,)), Dense(1)], dtype="float64")
        self.model.compile("sgd", "mse")
        self.theta = self.model.get_parameters()
        self.gradient = self.model.loss_and_grad(self.theta, *self.data)[1]
        self.calls = 0

    def __call__(self, theta):
        self.calls += 1
        return self.model.loss_and_grad(theta, *self.data)[0]


def quotients(f, theta, eps, two_sided):
    base = None if two_sided else f(theta)
    for unit in np.eye(len(theta)):
        if two_sided:
            yield (f(theta + eps * unit) - f(theta - eps * unit)) / (2 * eps)
        else:
            yield (f(theta + eps * unit) - base) / eps


def run(small=False):
    errors, calls, orders, constants = {True: [], False: []}, {}, {True: [], False: []}, []
    for seed in protocol.seeds(small):
        f = Counted(seed)
        for two_sided in (True, False):
            row = []
            for eps in STEPS:
                f.calls = 0
                found = np.fromiter(quotients(f, f.theta, eps, two_sided), float)
                row.append(abs(found - f.gradient).max())
            calls[two_sided] = f.calls
            errors[two_sided].append(row)
            orders[two_sided].append(np.log10(row[-2] / row[-3]))
        constants.append(errors[True][-1][-2] / STEPS[-2] ** 2)
    two, one = (1.01**3 - 0.99**3) / 0.02, (1.01**3 - 1) / 0.01
    best = {sided: [STEPS[np.argmin(row)] for row in rows] for sided, rows in errors.items()}
    found = {
        "example": [protocol.check("two-sided", [two], lambda v: round(v, 4) == 3.0001, ".4f"),
                    protocol.check("one-sided", [one], lambda v: round(v, 4) == 3.0301, ".4f")],
        "orders": [protocol.check("two-sided", orders[True], lambda v: 1.9 < v < 2.1, ".2f"),
                   protocol.check("one-sided", orders[False], lambda v: 0.9 < v < 1.1, ".2f")],
        "constant": [protocol.check("θ³", [(two - 3) / 1e-4], lambda v: 0.99 < v < 1.01, ".3f"),
                     protocol.check("network: largest error ÷ ε²", constants, lambda v: 0.99 < v < 1.01, ".3f")],
        "twice": [protocol.check("evaluations, two-sided ÷ one-sided", [calls[True] / calls[False]],
                                 lambda v: 1.8 < v <= 2, ".2f")],
        "smaller-better": [protocol.check(f"{name}: best ε", best[sided], lambda v: v == STEPS[0], ".0e")
                           for name, sided in (("two-sided", True), ("one-sided", False))],
    }  # fmt: skip
    return found, errors


def draw(values):
    picture, ax = protocol.figure(width=5)
    for sided, rows in values.items():
        ax.loglog(STEPS, np.mean(rows, axis=0), marker="o", label="two-sided" if sided else "one-sided")
    ax.set(xlabel="ε", ylabel="largest error of the gradient")
    ax.legend()
    return picture


if __name__ == "__main__":
    protocol.main()
