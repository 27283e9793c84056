"""RReLU against overfitting, PReLU for large data sets.

Networks with 2 hidden layers of 200 units, He, SGD with momentum 0.9 at rate 0.01. Small: 200 digits or 200 images of
Fashion-MNIST, 100 epochs. Large: 20,000 images of Fashion-MNIST, 5 epochs (left out in the small setting). Test
accuracy; the gap is the training accuracy minus the test accuracy.
"""

import numpy as np
import protocol

from fastnn.layers import Activation, Dense, LeakyReLU, PReLU, RReLU

CLAIMS = {
    "rrelu-gap": ("002", "RReLU acts as a regulariser: it reduces overfitting."),
    "rrelu-overfit": ("000, 002", "If the network overfits, RReLU is the choice."),
    "prelu-large": ("000, 002", "On large image sets PReLU is better than ReLU."),
    "prelu-small": ("002", "On small data sets PReLU may overfit."),
}
MEANING = """
"Large" is large for this page. RReLU has the random slope of the paper, between 1/8 and 1/3.
"""
KINDS = {
    "ReLU": lambda: Activation("relu"),
    "LeakyReLU": lambda: LeakyReLU(11 / 48),  # RReLU's mean
    "RReLU": RReLU,
    "PReLU": lambda: PReLU(alpha_initializer="zeros"),
}


def layers(kind):
    for _ in range(2):
        yield Dense(200, kernel_initializer="he_normal")
        yield KINDS[kind]()
    yield Dense(10)


def run(small=False):
    sizes = {name: (load, 200, 100) for name, load in protocol.data_sets(small).items()}
    if not small:
        sizes["large"] = protocol.fashion, 20000, 5
    scores, gaps = {}, {}
    for setting, (load, size, epochs) in sizes.items():
        for seed in protocol.seeds(small):
            data = load(seed, size)
            for kind in KINDS:
                model = protocol.train(lambda k=kind: layers(k), data, seed, epochs)
                value = protocol.accuracy(model, data)
                scores.setdefault((setting, kind), []).append(value)
                own = model.evaluate(data.x, data.y, verbose=0)[1]
                gaps.setdefault((setting, kind), []).append(own - value)
    few = [s for s in sizes if s != "large"]
    found = {
        "rrelu-gap": [protocol.compare(f"{s}, 200 images: gap, {than} and RReLU", gaps[s, than], gaps[s, "RReLU"])
                      for s in few for than in ("ReLU", "LeakyReLU")],
        "rrelu-overfit": [protocol.compare(f"{s}, 200 images: RReLU and {than}", scores[s, "RReLU"], scores[s, than])
                          for s in few for than in ("ReLU", "LeakyReLU")],
        "prelu-large": [protocol.compare(f"{s}: PReLU and ReLU", scores[s, "PReLU"], scores[s, "ReLU"])
                        for s in sizes if s == "large"]
        or [protocol.Outcome("large", "undecided", "not in the small setting")],
        "prelu-small": [protocol.compare(f"{s}, 200 images: gap, PReLU and ReLU", gaps[s, "PReLU"], gaps[s, "ReLU"])
                        for s in few],
    }  # fmt: skip
    return found, scores


def draw(values):
    settings = list(dict.fromkeys(s for s, _ in values))
    picture, axes = protocol.figure(len(settings), height=2, width=7.2)
    for ax, setting in zip(np.atleast_1d(axes), settings, strict=True):
        rows = [values[setting, kind] for kind in KINDS]
        ax.barh(list(KINDS), np.mean(rows, axis=1), xerr=np.std(rows, axis=1, ddof=1))
        low = min(map(min, rows))
        title = setting if setting == "large" else f"{setting}, 200"
        ax.set(title=title, xlabel="test accuracy", xlim=(low - 0.05, None))
        ax.invert_yaxis()
    return picture


if __name__ == "__main__":
    protocol.main()
