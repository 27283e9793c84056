"""Batch normalisation: inputs, convergence, initial weights, placement, statistics.

Networks with 3 hidden layers of 100 units, ReLU and He unless stated, on the digits (20 epochs) and 3000 images of
Fashion-MNIST (8 epochs), SGD with momentum 0.9 at the rate of 0.001, 0.01 and 0.1 with the best validation accuracy.
*Raw*: inputs of which every second column is multiplied by 100 and shifted by 300. Convergence: mean training loss
over the epochs without ÷ with batch normalisation (margin 10 %), and the same per unit of time. Initial weights: He's
standard deviation times 0.1, 1 and 10.
"""

import time

import numpy as np
import protocol

from fastnn.initializers import VarianceScaling
from fastnn.layers import Activation, BatchNormalization, Dense

CLAIMS = {
    "first-layer": ("000, 002", "As the first layer it makes standardising the data unnecessary."),
    "raw-fails": ("000, 002", "(Without it the network needs standardised data.)"),
    "slower-epochs": ("000, 002", "An epoch takes longer."),
    "converges-faster": ("000, 002", "Training converges much faster: it needs fewer epochs."),
    "offset": ("000", "The faster convergence offsets the slower epochs."),
    "initialisation": ("002", "Networks become less sensitive to the initial weights."),
    "before": ("000", "It belongs before the activation (after it works as well, note 002)."),
    "bias": ("000, 002", "The bias before it can be left out."),
    "recalibrated": ("002", "Moving averages estimate the final statistics well (against exact ones after training)."),
}
MEANING = """
The clearest gains are on raw inputs and on badly scaled weights. For a shallow network with good initial weights and
its best rate there is little left to speed up, and batch normalisation costs time.
"""
RATES = (0.001, 0.01, 0.1)
EPOCHS = {"digits": 20, "Fashion-MNIST": 8}


def layers(kind="none", scale=1.0, bias=True, first=False):
    if first:
        yield BatchNormalization()
    for _ in range(3):
        he = VarianceScaling(2.0 * scale**2, "fan_in")
        yield Dense(100, kernel_initializer=he, use_bias=bias)
        yield from [BatchNormalization()] if kind == "before" else []
        yield Activation("relu")
        yield from [BatchNormalization()] if kind == "after" else []
    yield Dense(10)


VARIANTS = {
    "none": {},
    "before": {"kind": "before"},
    "after": {"kind": "after"},
    "before, no bias": {"kind": "before", "bias": False},
    "none, weights × 0.1": {"scale": 0.1},
    "none, weights × 10": {"scale": 10.0},
    "before, weights × 0.1": {"kind": "before", "scale": 0.1},
    "before, weights × 10": {"kind": "before", "scale": 10.0},
}


def raw(data):
    """Every second column in another unit and with another origin."""
    factor = np.where(np.arange(data.x.shape[1]) % 2, 100, 1).astype("float32")
    x, x_test, x_valid = (a * factor + 3 * factor * (factor > 1) for a in (data.x, data.x_test, data.x_valid))
    return data._replace(x=x, x_test=x_test, x_valid=x_valid)


def best(data, seed, epochs, **variant):
    def build():
        return layers(**variant)

    models, curves = [], []
    for rate in RATES:
        model = protocol.network(build, data, seed, protocol.sgd(rate))
        history = model.fit(data.x, data.y, epochs=epochs, verbose=0, health=False, on_nan="ignore")
        curves.append(history.history["loss"])
        models.append(model)
    chosen = protocol.best(models, data)
    return chosen, curves[models.index(chosen)]


def run(small=False):
    scores, curves, seconds, exact = {}, {}, {}, {}
    for set_name, load in protocol.data_sets(small).items():
        epochs = EPOCHS[set_name]
        for seed in protocol.seeds(small):
            data = load(seed, 1000 if set_name == "digits" else 3000)
            for name, variant in VARIANTS.items():
                model, curve = best(data, seed, epochs, **variant)
                scores.setdefault((set_name, name), []).append(protocol.accuracy(model, data))
                curves.setdefault((set_name, name), []).append(curve)
                if name == "before":
                    model.recalibrate(data.x)
                    exact.setdefault(set_name, []).append(protocol.accuracy(model, data))
            for name, first in (("raw", False), ("raw, first layer", True)):
                model, _ = best(raw(data), seed, epochs, first=first)
                scores.setdefault((set_name, name), []).append(protocol.accuracy(model, raw(data)))
        models = {kind: protocol.train(lambda k=kind: layers(k), data, 0, 2) for kind in ("none", "before")}
        for _ in range(7):
            for kind, model in models.items():
                start = time.perf_counter()
                model.fit(data.x, data.y, epochs=2, verbose=0, health=False)
                seconds.setdefault((set_name, kind), []).append(time.perf_counter() - start)
    names = list(protocol.data_sets(small))
    slower = {s: min(seconds[s, "before"]) / min(seconds[s, "none"]) for s in names}
    gain = {s: np.divide(np.mean(curves[s, "none"], axis=1), np.mean(curves[s, "before"], axis=1)) for s in names}

    def duel(first, second):
        return [protocol.compare(f"{s}: {first} and {second}", scores[s, first], scores[s, second]) for s in names]

    def lost(name, scale):
        return {s: np.subtract(scores[s, name], scores[s, f"{name}, weights × {scale}"]) for s in names}

    found = {
        "first-layer": [protocol.not_worse(f"{s}: raw inputs with it and standardised ones without",
                                           scores[s, "raw, first layer"], scores[s, "none"]) for s in names],
        "raw-fails": duel("none", "raw"),
        "slower-epochs": [protocol.check(f"{s}: time with ÷ without", [slower[s]], lambda v: v > 1.05) for s in names],
        "converges-faster": [protocol.compare(f"{s}: loss without ÷ with", gain[s], np.ones(len(gain[s])), 0.1)
                             for s in names],
        "offset": [protocol.compare(f"{s}: the same, per time", gain[s] / slower[s], np.ones(len(gain[s])), 0.1)
                   for s in names],
        "initialisation": [protocol.compare(f"{s}, weights × {scale}: accuracy lost without and with",
                                            lost("none", scale)[s], lost("before", scale)[s])
                           for s in names for scale in ("0.1", "10")],
        "before": duel("before", "after"),
        "bias": [protocol.not_worse(f"{s}: without bias and with", scores[s, "before, no bias"], scores[s, "before"])
                 for s in names],
        "recalibrated": [protocol.not_worse(f"{s}: moving averages and exact ones", scores[s, "before"], exact[s])
                         for s in names],
    }  # fmt: skip
    return found, scores


def draw(values):
    names = list(dict.fromkeys(s for s, _ in values))
    kinds = list(dict.fromkeys(n for _, n in values))
    picture, ax = protocol.figure(width=6, height=3.8)
    protocol.bars(ax, kinds, {s: [np.mean(values[s, k]) for k in kinds] for s in names},
                  {s: [np.std(values[s, k], ddof=1) for k in kinds] for s in names})  # fmt: skip
    ax.set_xlabel("test accuracy")
    protocol.legend(ax)
    return picture


if __name__ == "__main__":
    protocol.main()
