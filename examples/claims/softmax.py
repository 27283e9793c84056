"""Softmax and log-softmax, and the losses on top of them.

Logits of a confident and wrong classifier, (0, z, 0, …) with label 0 and z up to 1000, in float32: the gradient of
the label's logit for three ways to compute a loss. Then networks 64-100-10 on the digits, 20 epochs of SGD with
momentum 0.9 at the best of the rates 0.001, 0.01, 0.1 and, for the mean squared error, also 1. *Vanishes*: below 10⁻³
in absolute value although the classifier is wrong. Time of one against two log-softmaxes: minimum of 7, margin 5 %.
"""

import time

import numpy as np
import protocol

import fastnn
from fastnn import activations
from fastnn.layers import Activation, Dense

CLAIMS = {
    "log-of-softmax": ("000", "Log-softmax is just the logarithm of softmax."),
    "softmax-vanishes-mse": ("000", "Softmax is prone to vanishing gradients (with the mean squared error)."),
    "softmax-vanishes": ("000", "(The same with cross-entropy.)"),
    "log-softmax-cures": ("000", "Log-softmax is the cure."),
    "nll": ("000", "Cross-entropy of logits is log-softmax followed by the negative log-likelihood."),
    "twice": ("000", "Log-softmax twice gives the same result, but is slower."),
    "accuracy": ("000", "(A network trains better with cross-entropy than with the mean squared error on softmax.)"),
}
MEANING = """
Mathematically, log-softmax is the logarithm of softmax; in float32 the logarithm of a softmax is −∞ where the
probability underflows. The vanishing gradient belongs to losses that are not logarithmic. With cross-entropy the
gradient is p − y whichever way the network is written, and fastnn computes it from the logits when the last layer is
a softmax. Log-softmax of a log-softmax is the same: the sum of its exponentials is 1.
"""
HEIGHTS = (1.0, 10.0, 50.0, 120.0, 1000.0)


def softmax_backward(p, dp):
    return p * (dp - (dp * p).sum())


def gradients(z):
    """The derivative with respect to the label's logit, three ways, in float32."""
    logits = np.zeros((1, 10), "float32")
    logits[0, 1] = z
    target = np.zeros(10, "float32")
    target[0] = 1
    p = activations.softmax(logits)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        naive = softmax_backward(p, -target / p)
    log_p = activations.log_softmax(logits)[0]
    return {
        "softmax, mean squared error": softmax_backward(p, 2 * (p - target) / 10)[0],
        "softmax, logarithm, by hand": naive[0],
        "log-softmax, NLL": np.exp(log_p[0]) - 1,
    }


def train(activation, loss, data, seed, rates):
    def build():
        return [Dense(100, "relu"), Dense(10, activation)]

    models = [protocol.train(build, data, seed, 20, protocol.sgd(rate), loss) for rate in rates]
    return protocol.best(models, data)


def run(small=False):
    table = {z: gradients(z) for z in HEIGHTS}

    def vanishes(name, *heights):
        values = [float(table[z][name]) for z in heights]
        where = f"{name}, z = {heights[0]:g} to {heights[-1]:g}"
        return protocol.check(where, values, lambda v: not abs(v) > 1e-3, ".2g")  # NaN is lost, too

    logits = np.random.default_rng(0).normal(0, 10, (2000, 10)).astype("float32")
    logits[0] = [0, 1000, *[0] * 8]
    with np.errstate(divide="ignore"):
        errors = abs(np.log(activations.softmax(logits)) - activations.log_softmax(logits)).max(axis=1)
    once = activations.log_softmax(logits)
    labels = np.arange(2000) % 10
    nll = fastnn.losses.nll_loss(labels, once)
    cross_entropy = fastnn.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    scores, seconds = {}, {}
    rates = (0.001, 0.01, 0.1)
    for seed in protocol.seeds(small):
        data = protocol.digits(seed)
        hot = data._replace(y=np.eye(10, dtype="float32")[data.y], y_test=np.eye(10)[data.y_test],
                            y_valid=np.eye(10)[data.y_valid])  # fmt: skip
        for name, args in {
            "mean squared error": ("softmax", "mse", hot, seed, (*rates, 1.0)),
            "cross-entropy": ("softmax", "categorical_crossentropy", hot, seed, rates),
        }.items():
            scores.setdefault(name, []).append(protocol.accuracy(train(*args), args[2]))
    data = protocol.digits(0)
    models = {n: protocol.network(lambda n=n: [Dense(10), *(Activation("log_softmax") for _ in range(n))], data, 0,
                                  loss="nll_loss") for n in (1, 2)}  # fmt: skip
    for _ in range(7):
        for n, model in models.items():
            start = time.perf_counter()
            model.fit(data.x, data.y, epochs=5, verbose=0, health=False, on_nan="ignore")
            seconds.setdefault(n, []).append(time.perf_counter() - start)
    found = {
        "log-of-softmax": [protocol.check("logits of standard deviation 10: largest difference", [errors[1:].max()],
                                          lambda v: v < 1e-4),
                           protocol.check("z = 1000: difference", [errors[0]], lambda v: v < 1e-4)],
        "softmax-vanishes-mse": [vanishes("softmax, mean squared error", *HEIGHTS[1:])],
        "softmax-vanishes": [vanishes("softmax, logarithm, by hand", *HEIGHTS[1:3]),
                             vanishes("softmax, logarithm, by hand", *HEIGHTS[3:])],
        "log-softmax-cures": [protocol.check("log-softmax, NLL, z = 10 to 1000",
                                             [float(table[z]["log-softmax, NLL"]) for z in HEIGHTS[1:]],
                                             lambda v: abs(v) > 1e-3, ".2g")],
        "nll": [protocol.check("largest difference ÷ loss", [(abs(nll - cross_entropy) / (1 + cross_entropy)).max()],
                               lambda v: v < 1e-6)],
        "twice": [protocol.check("largest difference", [abs(activations.log_softmax(once) - once).max()],
                                 lambda v: v < 1e-4),
                  protocol.check("time of a fit, twice ÷ once", [min(seconds[2]) / min(seconds[1])],
                                 lambda v: v > 1.05)],
        "accuracy": [protocol.compare("test accuracy", scores["cross-entropy"], scores["mean squared error"])],
    }  # fmt: skip
    return found, table


def draw(values):
    picture, ax = protocol.figure(width=5)
    for name in values[HEIGHTS[0]]:
        ax.plot(HEIGHTS, [max(abs(float(values[z][name])), 1e-12) for z in HEIGHTS], marker="o", label=name)
    ax.set(xscale="log", yscale="log", xlabel="logit z of a wrong class", ylabel="|gradient| of the label's logit")
    ax.legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
