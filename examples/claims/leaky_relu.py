"""LeakyReLU: its slope, and units in a coma.

(1) Test accuracy of networks with 2 hidden layers of 100 units after 15 epochs (digits) or 8 epochs (5000 images of
Fashion-MNIST) of SGD with momentum 0.9 at rate 0.01, for slopes from 0 to 0.3. (2) Units of the first layer that are
negative for every training image after an epoch at rate 0.5 without momentum (digits; ReLU, and LeakyReLU with slope
0.01): how many of them are active after another 100 epochs at rate 0.1? Ten seeds.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense, LeakyReLU

CLAIMS = {
    "coma": ("000", "A LeakyReLU unit may be in a coma for long, but it can wake up."),
    "relu": ("000, 004", "(A ReLU in the first layer cannot.)"),
    "slope-0.2": ("002", "A slope of 0.2 performs a little better than the usual 0.01."),
    "slope-0.1": ("002", "Better than ReLU with the slope 0.1."),
}
MEANING = """
The slope is no lever here. Keras' default is 0.3 (the note says 0.1). A comatose unit has a gradient a hundred times
smaller than an active one, and the training loss is soon close to 0: none woke up in 100 epochs.
"""
SLOPES = (0.0, 0.01, 0.1, 0.2, 0.3)
EPOCHS = {"digits": 15, "Fashion-MNIST": 8}


def layers(slope):
    hidden = [layer for _ in range(2)
              for layer in (Dense(100, kernel_initializer="he_normal"), LeakyReLU(slope))]  # fmt: skip
    return [*hidden, Dense(10)]


def comatose(model, data):
    return (protocol.outputs(model, data.x)[0] <= 0).all(axis=0)  # before the activation


def run(small=False):
    scores, woken = {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small):
            data = load(seed)
            for slope in SLOPES:
                model = protocol.train(lambda s=slope: layers(s), data, seed, EPOCHS[set_name])
                scores.setdefault((set_name, slope), []).append(protocol.accuracy(model, data))
    for slope in (0.0, 0.01):
        for seed in range(10):
            data = protocol.digits(seed)
            model = protocol.train(lambda s=slope: layers(s), data, seed, 1, lambda: fastnn.SGD(0.5))
            early = comatose(model, data)
            model.compile(fastnn.SGD(0.1), protocol.LOSS)
            model.fit(data.x, data.y, epochs=100, verbose=0, health=False, on_nan="ignore")
            found = woken.setdefault(slope, [0, 0])
            found[0] += early.sum()
            found[1] += (early & ~comatose(model, data)).sum()

    def duel(first, second):
        return [protocol.compare(f"{s}: slope {first} and {second}", scores[s, first], scores[s, second])
                for s in protocol.data_sets(small)]  # fmt: skip

    found = {
        "coma": [protocol.check(f"LeakyReLU: of {woken[0.01][0]} comatose units, awake at the end",
                                [woken[0.01][1]], lambda v: v > 0, "d")],
        "relu": [protocol.check(f"ReLU: of {woken[0.0][0]} dead units, awake at the end", [woken[0.0][1]],
                                lambda v: v == 0, "d")],
        "slope-0.2": [*duel(0.2, 0.01), *duel(0.2, 0.1)],
        "slope-0.1": duel(0.1, 0.0),
    }  # fmt: skip
    return found, scores


def draw(values):
    picture, ax = protocol.figure(width=5)
    for set_name in dict.fromkeys(s for s, _ in values):
        rows = [values[set_name, slope] for slope in SLOPES]
        ax.errorbar(SLOPES, np.mean(rows, axis=1), np.std(rows, axis=1, ddof=1), marker="o", capsize=2, label=set_name)
    ax.set(xlabel="slope below 0", ylabel="test accuracy")
    ax.legend()
    return picture


if __name__ == "__main__":
    protocol.main()
