"""SELU: does a network of 100 layers normalise itself, and what if a condition is broken?

The network of note 002: 100 hidden layers of 100 units with LeCun's weights and standardised inputs (here the
digits). Mean and standard deviation of each layer's outputs over all training images, at the start and after 20
epochs of SGD at rate 0.001 without momentum. *Kept*: |mean| < 0.3 (three standard errors of 100 units) and standard
deviation in [0.7, 1.3] in every layer from the second on, for all seeds. Then with a condition broken. Finally SELU
against ELU (11 hidden layers, 20 epochs, momentum 0.9, the best of the rates 0.0001, 0.001, 0.01) where it cannot
normalise: unstandardised inputs (0 to 16), or skip connections.
"""

import numpy as np
import protocol

import fastnn
from fastnn.layers import Dense, Dropout, Residual

CLAIMS = {
    "start": ("000, 002", "A dense SELU network keeps mean 0 and standard deviation 1 in all layers."),
    "training": ("002", "It does so during training."),
    "trains": ("000, 002", "So gradients neither vanish nor explode in 100 layers."),
    "inputs": ("002", "Condition: standardised inputs."),
    "weights": ("002", "Condition: LeCun's normal initialisation."),
    "sequential": ("002", "Condition: no skip connections."),
    "elu-instead": ("000, 002", "Where a network cannot normalise itself, ELU is better than SELU."),
}
MEANING = """
The fixed point attracts: even unstandardised inputs are pulled towards it, within some ten layers, so that condition
is about the first layers (and the speed of training). Wrong weights and skip connections do break it.
"""
DEPTH = 100


def layers(initializer="lecun_normal", skip=False, drop=0.0):
    for i in range(DEPTH):
        layer = Dense(100, "selu", kernel_initializer=initializer)
        yield Residual([layer]) if skip and i else layer
        if drop:
            yield Dropout(drop)
    yield Dense(10)


def moments(model, data):
    """(layers, 2): mean and standard deviation of every hidden layer's outputs."""
    return np.array([(h.mean(dtype="float64"), h.std(dtype="float64")) for h in protocol.outputs(model, data.x)[:-1]])


def normal(found, first=1):
    return bool((abs(found[first:, 0]) < 0.3).all() and (abs(found[first:, 1] - 1) < 0.3).all())


def raw(data):
    """Inputs from 0 to 16, as they are in the file."""
    low, high = min(data.x.min(), data.x_test.min()), max(data.x.max(), data.x_test.max())
    x, x_test, x_valid = ((a - low) / (high - low) * 16 for a in (data.x, data.x_test, data.x_valid))
    return data._replace(x=x, x_test=x_test, x_valid=x_valid)


def run(small=False):
    kept, ratios, scores, example = {}, [], {}, {}
    kinds = {
        "as it should be": (layers, lambda data: data),
        "inputs 0 to 16": (layers, raw),
        "He": (lambda: layers("he_normal"), lambda data: data),
        "Glorot uniform": (lambda: layers("glorot_uniform"), lambda data: data),
        "skip connections": (lambda: layers(skip=True), lambda data: data),
    }
    for seed in protocol.seeds(small):
        data = protocol.digits(seed)
        for name, (build, change) in kinds.items():
            changed = change(data)
            model = protocol.network(build, changed, seed, lambda: fastnn.SGD(0.001))
            found = example[name] = moments(model, changed)
            kept.setdefault(name, []).append(normal(found))
            if name == "as it should be":
                norms = protocol.gradient_norms(model, data)
                ratios.append(norms[0] / norms[-1])
                model.fit(data.x, data.y, epochs=20, verbose=0, health=False, on_nan="ignore")
                found = example["after training"] = moments(model, data)
                kept.setdefault("after training", []).append(normal(found))
                scores.setdefault("100 layers", []).append(protocol.accuracy(model, data))
        for setting, change, block in (("inputs 0 to 16", raw, lambda d: d), ("skip connections", lambda d: d,
                                       lambda d: Residual([d]))):  # fmt: skip
            for activation, initializer in (("selu", "lecun_normal"), ("elu", "he_normal")):

                def build(activation=activation, initializer=initializer, block=block):
                    first, *more = (Dense(100, activation, kernel_initializer=initializer) for _ in range(10))
                    return [first, *map(block, more), Dense(10)]

                models = [protocol.train(build, change(data), seed, 20, protocol.sgd(r)) for r in (1e-4, 1e-3, 1e-2)]
                value = protocol.accuracy(protocol.best(models, change(data)), change(data))
                scores.setdefault((setting, activation), []).append(value)

    def is_kept(name, wanted=True):
        return protocol.check(f"{name}: kept (1) or not (0)", map(int, kept[name]), lambda v: v == wanted, "d")

    found = {
        "start": [is_kept("as it should be")],
        "training": [is_kept("after training")],
        "trains": [protocol.check("first ÷ last gradient norm", ratios, lambda v: 1e-2 < v < 1e2),
                   protocol.check("test accuracy after 20 epochs", scores["100 layers"], lambda v: v > 0.5)],
        "inputs": [is_kept("inputs 0 to 16", False)],
        "weights": [is_kept("He", False), is_kept("Glorot uniform", False)],
        "sequential": [is_kept("skip connections", False)],
        "elu-instead": [protocol.compare(setting, scores[setting, "elu"], scores[setting, "selu"])
                        for setting in ("inputs 0 to 16", "skip connections")],
    }  # fmt: skip
    return found, example


def draw(values):
    picture, axes = protocol.figure(2)
    for ax, column, label in zip(axes, (0, 1), ("mean", "standard deviation"), strict=True):
        for name, found in values.items():
            ax.plot(range(1, DEPTH + 1), np.clip(found[:, column], -4, 4), label=name)
        ax.set(xlabel="layer", ylabel=label, ylim=(-0.6, 1) if column == 0 else (0, 4))
    axes[1].legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
