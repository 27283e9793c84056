"""Initial weights: too small, too large, and Glorot, He and LeCun.

(1) Outputs of 30 layers of 100 units for standard normal inputs, for each pair of activation and initial weights:
their standard deviation in the last layer. *Collapses*: below 0.01; *explodes*: above 100; *saturates*: more than
half of the tanh outputs beyond ± 0.99; *kept*: within a factor of 10 of the first layer's. (2) Test accuracy on the
digits with 2 or 20 hidden layers of 64 units after 20 epochs of SGD, at the best of the rates 0.001, 0.01, 0.1. (3)
Variance of outputs ÷ inputs, and of gradients below ÷ above, for one linear layer; *kept* there: within 10 % of 1.
"""

import numpy as np
import protocol

import fastnn
from fastnn.initializers import RandomNormal, RandomUniform, VarianceScaling
from fastnn.layers import Dense

CLAIMS = {
    "too-small-or-large": ("001, 003", "Without the right scale of weights, outputs pile up at one value with depth."),
    "standard-normal": ("001", "With standard normal weights training is hindered."),
    "uniform-too-wide": ("001", "With uniformly distributed weights outputs spread too widely."),
    "glorot-tanh": ("000, 001, 003", "Glorot initialisation keeps the signal of tanh."),
    "glorot-relu": ("000, 001", "With ReLU, Glorot's signal vanishes with depth."),
    "he-relu": ("000, 001, 003", "He initialisation keeps the signal of ReLU."),
    "he-beats-glorot": ("000, 001, 003", "ReLU works better with He's variance 2/n than with 1/n."),
    "one-beats-two": ("003", "tanh works better with the constant 1 than with 2."),
    "variance-kept": ("000, 002", "Glorot keeps the variance of outputs and of gradients."),
}
MEANING = """
For ReLU, the constant hardly matters at 2 layers and decides at 20; for tanh, 1 and 2 are alike at both. A uniform
distribution is neither wide nor narrow: its *variance* counts (`RandomUniform`'s default of ± 0.05 is too narrow
here, ± 1 too wide, ± √(3σ²) right). Glorot's variance is a compromise: where a layer has more inputs than outputs, it
lets outputs grow and gradients shrink.
"""
DEPTH, UNITS = 30, 100
WEIGHTS = {
    "N(0, 0.01²)": RandomNormal(stddev=0.01),
    "N(0, 1)": RandomNormal(stddev=1.0),
    "U(±0.05)": RandomUniform(),
    "U(±1)": RandomUniform(-1.0, 1.0),
    "Glorot": "glorot_uniform",
    "He": "he_normal",
    "LeCun": "lecun_normal",
}


def signal(activation, weights, seed):
    """Standard deviation of every layer's outputs, and the fraction of the last ones beyond ± 0.99."""
    fastnn.set_random_seed(seed)
    stack = [Dense(UNITS, activation, kernel_initializer=weights) for _ in range(DEPTH)]
    model = fastnn.Sequential([fastnn.Input((UNITS,)), *stack], dtype="float64")
    found = protocol.outputs(model, np.random.default_rng(seed).normal(size=(500, UNITS)))
    return np.array([h.std() for h in found]), (abs(found[-1]) > 0.99).mean()


def through_one_layer(inputs, units, seed):
    """Variance of outputs ÷ inputs, and of gradients below ÷ above."""
    fastnn.set_random_seed(seed)
    model = fastnn.Sequential([Dense(units, kernel_initializer="glorot_normal", input_shape=(inputs,))])
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(1000, inputs)), rng.normal(size=(1000, units))
    y = model.forward(x, training=True)
    return y.var() / x.var(), model.backward(dy).var() / dy.var()


def score(activation, weights, depth, data, seed):
    def build():
        return [*(Dense(64, activation, kernel_initializer=weights) for _ in range(depth)), Dense(10)]

    models = [protocol.train(build, data, seed, 20, protocol.sgd(rate)) for rate in (0.001, 0.01, 0.1)]
    return protocol.accuracy(protocol.best(models, data), data)


def run(small=False):
    seeds = protocol.seeds(small)
    spreads, beyond, scores = {}, {}, {}
    for activation in ("tanh", "relu"):
        for name, weights in WEIGHTS.items():
            pairs = [signal(activation, weights, seed) for seed in seeds]
            spreads[activation, name] = [s for s, _ in pairs]
            beyond[activation, name] = [b for _, b in pairs]
    two_over_n, one_over_n = VarianceScaling(2.0, "fan_in"), VarianceScaling(1.0, "fan_in")
    variants = {("relu", "2/n"): two_over_n, ("relu", "1/n"): one_over_n, ("tanh", "2/n"): two_over_n,
                ("tanh", "1/n"): one_over_n, ("relu", "N(0, 1)"): WEIGHTS["N(0, 1)"]}  # fmt: skip
    for seed in seeds:
        data = protocol.digits(seed)
        for (activation, name), weights in variants.items():
            for depth in (2, 20):
                value = score(activation, weights, depth, data, seed)
                scores.setdefault((activation, name, depth), []).append(value)

    def last(activation, name, test):
        values = [s[-1] for s in spreads[activation, name]]
        return protocol.check(f"{activation}, {name}: last layer's standard deviation", values, test)

    def kept(activation, name):
        values = [s[-1] / s[0] for s in spreads[activation, name]]
        return protocol.check(f"{activation}, {name}: last ÷ first", values, lambda v: 0.1 < v < 10)

    def duel(activation, first, second):
        return [protocol.compare(f"{activation}, {depth} layers", scores[activation, first, depth],
                                 scores[activation, second, depth]) for depth in (2, 20)]  # fmt: skip

    ratios = {shape: [through_one_layer(*shape, seed) for seed in seeds] for shape in ((300, 300), (784, 100))}
    saturates = protocol.check("tanh, N(0, 1): fraction beyond ± 0.99", beyond["tanh", "N(0, 1)"], lambda v: v > 0.5)
    found = {
        "too-small-or-large": [last("tanh", "N(0, 0.01²)", lambda v: v < 0.01), saturates,
                               last("relu", "N(0, 0.01²)", lambda v: v < 0.01)],
        "standard-normal": duel("relu", "2/n", "N(0, 1)"),
        "uniform-too-wide": [last("relu", n, lambda v: v > 100) for n in ("U(±1)", "U(±0.05)", "Glorot")],
        "glorot-tanh": [kept("tanh", "Glorot")],
        "glorot-relu": [last("relu", "Glorot", lambda v: v < 0.01)],
        "he-relu": [kept("relu", "He")],
        "he-beats-glorot": duel("relu", "2/n", "1/n"),
        "one-beats-two": duel("tanh", "1/n", "2/n"),
        "variance-kept": [protocol.check(f"{shape[0]} to {shape[1]} units, {what}", [v[i] for v in values],
                                         lambda v: 0.9 < v < 1.1)
                          for shape, values in ratios.items() for i, what in enumerate(("outputs", "gradients"))],
    }  # fmt: skip
    return found, {key: np.mean(np.log10(s), axis=0) for key, s in spreads.items()}


def draw(values):
    picture, axes = protocol.figure(2)
    for ax, activation in zip(axes, ("tanh", "relu"), strict=True):
        for name in WEIGHTS:
            ax.plot(range(1, DEPTH + 1), values[activation, name], label=name)
        ax.set(title=activation, xlabel="layer", ylim=(-12, 12), ylabel="log₁₀ std of outputs")
    protocol.legend(axes[0])
    return picture


if __name__ == "__main__":
    protocol.main()
