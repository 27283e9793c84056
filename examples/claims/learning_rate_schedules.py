"""Learning-rate schedules at equal numbers of epochs.

Networks with 2 hidden layers of 100 ReLU units on the digits and on 2000 images of Fashion-MNIST, 5 and 15 epochs of
SGD with momentum 0.9 at the initial rate (one-cycle: maximum rate) of 0.01, 0.03 and 0.1 with the best validation
accuracy: constant, × 0.5 in three steps, exponential to 1 %, cosine to 0, one-cycle. Test accuracy and last training
loss.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense
from fastnn.optimizers import schedules

CLAIMS = {
    "better": ("001", "Schedules generally give better models (than a constant rate)."),
    "fast": ("001", "One-cycle converges fast (better than the constant rate after 5 epochs)."),
    "faster-learning": ("001", "A suitable schedule makes learning faster (lower training loss; margin 0.02)."),
}
MEANING = """
Each rule has its own best rate here, the constant one too: compared at one rate, the rule which that rate suits wins.
That a schedule leaves local minima is not measured: whether a point is one cannot be seen in a network of this size.
"""
RATES, EPOCHS = (0.01, 0.03, 0.1), (5, 15)
KINDS = {
    "constant": lambda rate, steps: rate,
    "step": lambda rate, steps: schedules.StepDecay(rate, 0.5, steps // 4),
    "exponential": lambda rate, steps: schedules.ExponentialDecay(rate, steps, 0.01),
    "cosine": lambda rate, steps: schedules.CosineDecay(rate, steps),
    "one-cycle": lambda rate, steps: schedules.OneCycle(rate, steps),
}


def layers():
    return [Dense(100, "relu", kernel_initializer="he_normal"), Dense(100, "relu", kernel_initializer="he_normal"),
            Dense(10)]  # fmt: skip


def run(small=False):
    scores, losses = {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small):
            data = load(seed, 1000 if set_name == "digits" else 2000)
            for epochs in EPOCHS:
                steps = epochs * -(-len(data.x) // 32)
                for kind, schedule in KINDS.items():
                    models = [protocol.train(layers, data, seed, epochs,
                                             lambda s=schedule, r=rate, n=steps: fastnn.SGD(s(r, n), momentum=0.9))
                              for rate in RATES]  # fmt: skip
                    model = protocol.best(models, data)
                    key = f"{set_name}, {epochs} epochs", kind
                    scores.setdefault(key, []).append(protocol.accuracy(model, data))
                    losses.setdefault(key, []).append(model.evaluate(data.x, data.y, verbose=0)[0])
    keys = list(dict.fromkeys(key for key, _ in scores))
    found = {
        "better": [protocol.compare(f"{key}: {kind} and constant", scores[key, kind], scores[key, "constant"])
                   for key in keys for kind in KINDS if kind != "constant"],
        "fast": [protocol.compare(f"{key}: one-cycle and constant", scores[key, "one-cycle"], scores[key, "constant"])
                 for key in keys if key.endswith(" 5 epochs")],
        "faster-learning": [protocol.compare(f"{key}: constant and {kind}", losses[key, "constant"], losses[key, kind],
                                             0.02) for key in keys for kind in ("cosine", "one-cycle")],
    }  # fmt: skip
    return found, scores


def draw(values):
    keys = list(dict.fromkeys(key for key, _ in values))
    picture, ax = protocol.figure(width=6, height=3.4)
    protocol.bars(ax, keys, {k: [np.mean(values[key, k]) for key in keys] for k in KINDS},
                  {k: [np.std(values[key, k], ddof=1) for key in keys] for k in KINDS})  # fmt: skip
    ax.set(xlabel="test accuracy", xlim=(0.75, 1))
    protocol.legend(ax, columns=5)
    return picture


if __name__ == "__main__":
    protocol.main()
