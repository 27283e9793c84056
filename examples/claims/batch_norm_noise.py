"""The noise of batch statistics, and its regularising effect, against the batch size.

(1) A layer of batch normalisation in training mode: the standard deviation of the normalised outputs of one digit
over 200 random batches of 8 to 512 that contain it. (2) Networks with 2 hidden layers of 100 ReLU units on 1000
digits (or images of Fashion-MNIST), 40 epochs of SGD with momentum 0.9 at rate 0.01 · B / 32, with and without batch
normalisation, B = 8 and 256: the gap between training and test accuracy. (3) Dropout of 0.3 in both kinds of network
at B = 32.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout

CLAIMS = {
    "noise": ("000", "Statistics of a mini-batch put noise into training."),
    "noise-size": ("000", "(The noise shrinks with the batch size, as 1/√B.)"),
    "regularises": ("000, 002", "This noise regularises: it reduces overfitting."),
    "large-batches": ("000", "The effect shrinks with larger batches."),
    "other-regularisers": ("002", "Other regularisers are needed less (here: dropout gains less with it)."),
}
MEANING = """
The noise and its law are exact statistics. Whether the noise regularises is another question, which the gaps answer.
"""
SIZES = (8, 32, 128, 512)


def noise(seed, size):
    rng = np.random.default_rng(seed)
    x = protocol.digits(seed).x
    model = fastnn.Sequential([BatchNormalization(input_shape=(64,))])
    found = []
    for _ in range(200):
        batch = x[rng.integers(1, len(x), size)]
        batch[0] = x[0]
        found.append(model.forward(batch, training=True)[0])
    return np.median(np.std(found, axis=0)[x.std(axis=0) > 0.1])


def layers(normalised, drop=0.0):
    for _ in range(2):
        yield Dense(100, kernel_initializer="he_normal")
        yield from [BatchNormalization()] if normalised else []
        yield Activation("relu")
        yield from [Dropout(drop)] if drop else []
    yield Dense(10)


def run(small=False):
    seeds = protocol.seeds(small)
    sizes = {size: [noise(seed, size) for seed in seeds] for size in SIZES}
    gaps, scores = {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in seeds:
            data = load(seed, 1000)
            for normalised in (True, False):
                for batch, drop in ((8, 0.0), (32, 0.0), (256, 0.0), (32, 0.3)):
                    rate = protocol.sgd(0.01 * batch / 32)
                    model = protocol.train(lambda n=normalised, d=drop: layers(n, d), data, seed, 40, rate,
                                           batch_size=batch)  # fmt: skip
                    key = set_name, normalised, batch, drop
                    value = protocol.accuracy(model, data)
                    scores.setdefault(key, []).append(value)
                    gaps.setdefault(key, []).append(model.evaluate(data.x, data.y, verbose=0)[1] - value)
    names = list(protocol.data_sets(small))
    slopes = [np.polyfit(np.log(SIZES[1:]), np.log([sizes[s][i] for s in SIZES[1:]]), 1)[0] for i in range(len(seeds))]

    def smaller(s, batch):
        return np.subtract(gaps[s, False, batch, 0.0], gaps[s, True, batch, 0.0])

    def gain(s, normalised):
        return np.subtract(scores[s, normalised, 32, 0.3], scores[s, normalised, 32, 0.0])

    found = {
        "noise": [protocol.check("standard deviation of an output, B = 32", sizes[32], lambda v: v > 0.01)],
        "noise-size": [protocol.check("exponent of B, from 32 to 512", slopes, lambda v: -0.6 < v < -0.4, ".2f")],
        "regularises": [protocol.compare(f"{s}, B = {b}: gap without and with it", gaps[s, False, b, 0.0],
                                         gaps[s, True, b, 0.0]) for s in names for b in (8, 32)],
        "large-batches": [protocol.compare(f"{s}: reduction of the gap, B = 8 and 256", smaller(s, 8), smaller(s, 256))
                          for s in names],
        "other-regularisers": [protocol.compare(f"{s}: accuracy gained by dropout, without and with it", gain(s, False),
                                                gain(s, True)) for s in names],
    }  # fmt: skip
    return found, sizes


def draw(values):
    picture, ax = protocol.figure(width=4.5)
    means = [np.mean(v) for v in values.values()]
    ax.loglog(SIZES, means, marker="o", label="measured")
    ax.loglog(SIZES, means[-1] * np.sqrt(SIZES[-1] / np.array(SIZES)), "--", label="∝ 1/√B")
    ax.set(xlabel="batch size B", ylabel="noise of a normalised output")
    ax.legend()
    return picture


if __name__ == "__main__":
    protocol.main()
