"""Transfer learning, unsupervised pre-training, and an auxiliary task.

Hidden layers 100, 50, 50 (ELU, He). *Transfer*: model A has learned the digits 0 to 7 (20 epochs; or the
Fashion-MNIST classes 0 to 7 from 5000 images); task B is to tell the classes 8 and 9 apart from 10 or 50 images: from
scratch; with A's layers frozen; and fine-tuned (frozen for a fifth of the epochs, then all layers at a tenth of the
rate). *Pre-training*: the lower layers of an autoencoder of all training images, or of a network that detects images
rotated by 180°, then trained on 50 or 200 labels of all ten classes. 60 epochs of SGD with momentum 0.9 at rate 0.01.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense
from fastnn.models import Sequential, clone_model

CLAIMS = {
    "less-data": ("002", "Transfer learning reduces the training data that are needed (it wins with few images)."),
    "freeze-first": ("002", "Freeze the reused layers first: a random output layer would wreck them."),
    "dense-poor": ("002", "In dense networks, transfer learning does not work well (no gain with 50 images)."),
    "unsupervised": ("002", "Unsupervised pre-training helps if labels are few and images many."),
    "auxiliary": ("002", "Pre-training on an auxiliary task with cheap labels helps if labels are few."),
}
MEANING = """
The larger table, on two pairs of classes and up to 5000 images, is in [When transfer learning
helps](transfer-learning.md). Here it never beats training from scratch: two classes are easy to tell apart, and A
has not needed their difference. Reconstruction and rotation are not what labels are about: the gain, if any, is small.
"""
EPOCHS = 60


def hidden():
    return [Dense(n, "elu", kernel_initializer="he_normal") for n in (100, 50, 50)]


def fit(layers, data, epochs, rate=0.01):
    model = Sequential([fastnn.Input(data.x.shape[1:]), *layers])
    model.compile(fastnn.SGD(rate, momentum=0.9), protocol.LOSS, metrics=["accuracy"])
    model.fit(data.x, data.y, epochs=epochs, verbose=0, health=False)
    return model


def copies(model, n):
    """Copies of the first layers, so that one trial does not change the next."""
    copy = clone_model(model)
    copy.set_weights(model.get_weights())
    return copy.layers[:n]


def only(data, classes, size):
    """The first rows of some classes, relabelled from 0."""
    parts = []
    for x, y in ((data.x, data.y), (data.x_test, data.y_test)):
        rows = np.flatnonzero(np.isin(y, classes))
        rows = rows if parts else rows[:size]
        parts += [x[rows], np.searchsorted(classes, y[rows])]
    return protocol.Data(*parts, *parts[2:])


def model_a(data):
    """What is transferred: hidden layers that have learned the first eight classes."""
    return fit([*hidden(), Dense(8)], only(data, tuple(range(8)), None), 20)


def transfer(data, a, size):
    b = only(data, (8, 9), size)
    scores = {"scratch": protocol.accuracy(fit([*hidden(), Dense(2)], b, EPOCHS), b)}
    for name, first in (("frozen", EPOCHS), ("fine-tuned", EPOCHS // 5), ("at once", 0)):
        reused = copies(a, 3)
        for layer in reused:
            layer.trainable = False
        layers = [*reused, Dense(2)]
        model = fit(layers, b, first)
        for layer in reused if first < EPOCHS else ():
            layer.trainable = True
        if first < EPOCHS:
            model = fit(layers, b, EPOCHS - first, 0.01 if name == "at once" else 0.001)
        scores[name] = protocol.accuracy(model, b)
    return scores


def unsupervised(data):
    """What is pre-trained without labels: an autoencoder, and a detector of rotated images; their hidden layers."""
    autoencoder = Sequential([fastnn.Input(data.x.shape[1:]), *hidden(),
                              Dense(100, "elu", kernel_initializer="he_normal"), Dense(data.x.shape[1])])  # fmt: skip
    autoencoder.compile(fastnn.Adam(0.001), "mse")
    autoencoder.fit(data.x, data.x, epochs=20, verbose=0, health=False)
    both = data._replace(x=np.concatenate([data.x, data.x[:, ::-1]]), y=np.repeat([0, 1], len(data.x)))
    return {"autoencoder": autoencoder, "rotated?": fit([*hidden(), Dense(2)], both, 10)}


def pretrained(data, models, size):
    few = data._replace(x=data.x[:size], y=data.y[:size])
    lower = {"scratch": hidden()} | {name: copies(model, 3) for name, model in models.items()}
    return {name: protocol.accuracy(fit([*layers, Dense(10)], few, EPOCHS), few) for name, layers in lower.items()}


def run(small=False):
    scores = {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small, 10):
            data = load(seed)
            fastnn.set_random_seed(seed)
            for what, sizes, source, trial in (("transfer", (10, 50), model_a, transfer),
                                               ("labels", (50, 200), unsupervised, pretrained)):  # fmt: skip
                models = source(data)
                for size in sizes:
                    for name, value in trial(data, models, size).items():
                        scores.setdefault((f"{set_name}, {what}, {size}", name), []).append(value)
    keys = list(dict.fromkeys(key for key, _ in scores))

    def duel(first, second, ending):
        return [protocol.compare(f"{key}: {first} and {second}", scores[key, first], scores[key, second])
                for key in keys if key.split(", ", 1)[1].startswith(ending)]  # fmt: skip

    better = [o.word for o in duel("fine-tuned", "scratch", "transfer, 50") + duel("frozen", "scratch", "transfer, 50")]
    found = {
        "less-data": duel("fine-tuned", "scratch", "transfer") + duel("frozen", "scratch", "transfer"),
        "freeze-first": duel("fine-tuned", "at once", "transfer"),
        "dense-poor": [protocol.Outcome("comparisons with 50 images", "false" if "better" in better else "true",
                                        f"{better.count('better')} of {len(better)} better than from scratch")],
        "unsupervised": duel("autoencoder", "scratch", "labels"),
        "auxiliary": duel("rotated?", "scratch", "labels"),
    }  # fmt: skip
    return found, scores


def draw(values):
    picture, axes = protocol.figure(2, height=3.2, width=9)
    for ax, what in zip(axes, ("transfer", "labels"), strict=True):
        keys = list(dict.fromkeys(key for key, _ in values if what in key))
        names = list(dict.fromkeys(name for key, name in values if key in keys))
        rows = {n: [np.mean(values[key, n]) for key in keys] for n in names}
        errors = {n: [np.std(values[key, n], ddof=1) for key in keys] for n in names}
        protocol.bars(ax, [key.replace(f", {what}", "") for key in keys], rows, errors)
        ax.set(title="transfer to two classes" if what == "transfer" else "pre-training", xlabel="test accuracy")
        ax.set_xlim(0.4, 1)
        ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return picture


if __name__ == "__main__":
    protocol.main()
