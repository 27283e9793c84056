"""Exploding gradients: recurrent or not, and what clipping does about them.

(1) Stacks of 30 linear layers of 64 units with weights of standard deviation 1.5 / √64, once with one layer used 30
times (a recurrent network without inputs after the first step), once with 30 different ones: the growth of a random
gradient from the top to the bottom, in powers of ten, over 40 seeds. Margin: one power of ten. (2) Networks of 10
hidden ReLU or ELU layers of 64 units with twice the He standard deviation on the digits, 10 epochs of SGD without
momentum at rate 0.01, without clipping and with each kind of it (limit 1): the last training loss and the test
accuracy. *Explodes*: the gradient's norm before the first step is above 1000.
"""

import numpy as np
import protocol

import fastnn
from fastnn.initializers import RandomNormal, VarianceScaling
from fastnn.layers import Dense

CLAIMS = {
    "recurrent": ("000", "Gradients explode mainly in recurrent networks."),
    "relu-explodes": ("004", "ReLU lets large gradients accumulate: they explode."),
    "elu-does-not": ("004", "ELU solves that."),
    "clipping-helps": ("000, 002", "Clipping mitigates exploding gradients."),
}
MEANING = """
The same weights or different ones: the gradient grows by the same factor per layer. Recurrent networks are notorious
because they have as many layers as time steps. Above 0, ELU is the same function as ReLU, so weights that are too
large make both explode. Clipping by norm makes such a network trainable; clipping by value bounds each of thousands
of entries at 1, which is still a large step here.
"""
STEPS, UNITS = 30, 64
CLIPPING = {"none": {}, "clipvalue": {"clipvalue": 1.0}, "clipnorm": {"clipnorm": 1.0},
            "global_clipnorm": {"global_clipnorm": 1.0}}  # fmt: skip


def growth(seed, shared):
    """log10 of the norm of the gradient at the bottom ÷ the one at the top."""
    fastnn.set_random_seed(seed)
    weights = RandomNormal(stddev=1.5 / np.sqrt(UNITS))
    stack = [Dense(UNITS, use_bias=False, kernel_initializer=weights) for _ in range(1 if shared else STEPS)]
    if shared:  # a model may not list a layer twice, but a model of it any number of times
        stack = [fastnn.Sequential(stack) for _ in range(STEPS)]
    model = fastnn.Sequential([fastnn.Input((UNITS,)), *stack], dtype="float64")
    rng = np.random.default_rng(seed)
    model.forward(rng.normal(size=(32, UNITS)), training=True)
    dy = rng.normal(size=(32, UNITS))
    return np.log10(np.linalg.norm(model.backward(dy)) / np.linalg.norm(dy))


def layers(activation):
    wide = VarianceScaling(8.0, "fan_in", "untruncated_normal")  # four times He's variance
    return [*(Dense(UNITS, activation, kernel_initializer=wide) for _ in range(10)), Dense(10)]


def run(small=False):
    seeds = protocol.seeds(small, 10)
    grown = [[growth(seed, shared) for seed in range(40)] for shared in (True, False)]
    norms, losses, scores = {}, {}, {}
    for activation in ("relu", "elu"):
        for seed in seeds:
            data = protocol.digits(seed)
            model = protocol.network(lambda a=activation: layers(a), data, seed)
            norms.setdefault(activation, []).append(protocol.gradient_norms(model, data).max())
            for name, clipping in CLIPPING.items() if activation == "relu" else ():
                model = protocol.train(lambda: layers("relu"), data, seed, 10, lambda c=clipping: fastnn.SGD(0.01, **c))
                losses.setdefault(name, []).append(model.evaluate(data.x, data.y, verbose=0)[0])
                scores.setdefault(name, []).append(protocol.accuracy(model, data))
    found = {
        "recurrent": [protocol.compare("recurrent, powers of ten", *grown, margin=1, form=".2f")],
        "relu-explodes": [protocol.check("gradient's norm", norms["relu"], lambda v: v > 1e3)],
        "elu-does-not": [protocol.check("gradient's norm", norms["elu"], lambda v: v < 1e3)],
        "clipping-helps": [protocol.compare(f"{name}, test accuracy", scores[name], scores["none"])
                           for name in CLIPPING if name != "none"],
    }  # fmt: skip
    return found, scores


def draw(values):
    picture, ax = protocol.figure(width=5)
    ax.barh(list(values), [np.mean(v) for v in values.values()], xerr=[np.std(v) for v in values.values()])
    ax.invert_yaxis()
    ax.set_xlabel("test accuracy, gradients of norm > 1000 at the start")
    return picture


if __name__ == "__main__":
    protocol.main()
