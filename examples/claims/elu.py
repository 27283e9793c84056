"""ELU: mean outputs, convergence, noise, and what it costs.

Networks with 2 hidden layers of 100 units, He, on the digits (20 epochs) and 5000 images of Fashion-MNIST (10
epochs), SGD with momentum 0.9 at rate 0.01. Convergence: the mean training loss over the epochs (the area below the
curve), as a ratio; margin 5 %. Mean: |mean output| ÷ standard deviation of the first hidden layer, at the start.
Noise: loss of test accuracy under normal noise of standard deviation 0.5 on the inputs. α: 0.5, 1 and 2. Time: an
epoch and a prediction, interleaved, minimum of 7; margin 5 %.
"""

import time

import numpy as np
import protocol

from fastnn.layers import ELU, Activation, Dense, LeakyReLU

CLAIMS = {
    "mean": ("002, 004", "ELU's mean output is closer to 0 than ReLU's."),
    "zero-mean": ("004", "ELU makes the mean of the outputs 0."),
    "faster": ("000, 002, 004", "ELU needs less training: it converges faster than ReLU and its variants."),
    "smooth": ("000, 002", "With α = 1 it is smooth everywhere, which speeds up gradient descent."),
    "noise": ("004", "Its saturation below 0 makes it robust against noise."),
    "slower-training": ("000, 002", "The exponential makes each epoch slower than ReLU's."),
    "slower-inference": ("000", "Inference is slower than ReLU's."),
    "offset": ("000", "In training, faster convergence offsets the slower epochs."),
}
MEANING = """
The mean is closer to 0, but not 0. Convergence is somewhat faster or as fast, depending on the data. In a dense layer
the exponential is a small part of the work: the product is what costs.
"""
HIDDEN = {
    "ReLU": lambda: [Dense(100, kernel_initializer="he_normal"), Activation("relu")],
    "LeakyReLU": lambda: [Dense(100, kernel_initializer="he_normal"), LeakyReLU(0.2)],
    "ELU": lambda: [Dense(100, kernel_initializer="he_normal"), ELU(1.0)],
    "ELU, α = 0.5": lambda: [Dense(100, kernel_initializer="he_normal"), ELU(0.5)],
    "ELU, α = 2": lambda: [Dense(100, kernel_initializer="he_normal"), ELU(2.0)],
}
EPOCHS = {"digits": 20, "Fashion-MNIST": 10}


def layers(name):
    return [*HIDDEN[name](), *HIDDEN[name](), Dense(10)]


def times(load):
    """Seconds of an epoch and of a prediction: the minimum of 7 for each activation."""
    data = load(0)
    models = {name: protocol.train(lambda n=name: layers(n), data, 0, 2) for name in ("ReLU", "ELU")}
    found = {}
    for _ in range(7):
        for name, model in models.items():
            for what, call in (("epoch", lambda m=model: m.fit(data.x, data.y, verbose=0, health=False)),
                               ("prediction", lambda m=model: m.predict(data.x, verbose=0))):  # fmt: skip
                start = time.perf_counter()
                call()
                found.setdefault((what, name), []).append(time.perf_counter() - start)
    return {key: min(values) for key, values in found.items()}


def run(small=False):
    means, areas, lost, curves, seconds = {}, {}, {}, {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small):
            data = load(seed)
            noise = np.random.default_rng(seed).normal(0, 0.5, data.x_test.shape).astype("float32")
            noisy = data._replace(x_test=data.x_test + noise)
            for name in HIDDEN:
                model = protocol.network(lambda n=name: layers(n), data, seed)
                h = protocol.outputs(model, data.x)[1]
                history = model.fit(data.x, data.y, epochs=EPOCHS[set_name], verbose=0, health=False, on_nan="ignore")
                curve = history.history["loss"]
                key = set_name, name
                means.setdefault(key, []).append(abs(h.mean()) / h.std())
                areas.setdefault(key, []).append(np.mean(curve))
                curves.setdefault(key, []).append(curve)
                lost.setdefault(key, []).append(protocol.accuracy(model, data) - protocol.accuracy(model, noisy))
        seconds[set_name] = times(load)

    def faster(than):
        return [protocol.compare(f"{s}: loss of {than} ÷ ELU", np.divide(areas[s, than], areas[s, "ELU"]),
                                 np.ones(len(areas[s, "ELU"])), 0.05) for s in seconds]  # fmt: skip

    def slower(what):
        ratios = {s: row[what, "ELU"] / row[what, "ReLU"] for s, row in seconds.items()}
        return [protocol.check(f"{s}: ELU ÷ ReLU", [ratio], lambda v: v > 1.05) for s, ratio in ratios.items()]

    def to_same_loss(s):
        """Time until ReLU's last loss is reached ÷ ReLU's time: epochs, interpolated, times seconds per epoch."""
        relu, elu = (np.mean(curves[s, name], axis=0) for name in ("ReLU", "ELU"))
        epochs = np.interp(-relu[-1], -elu, np.arange(1, len(elu) + 1)) / len(relu)
        return epochs * seconds[s]["epoch", "ELU"] / seconds[s]["epoch", "ReLU"] if elu[-1] <= relu[-1] else np.inf

    found = {
        "mean": [protocol.compare(f"{s}: |mean| ÷ std, ReLU and ELU", means[s, "ReLU"], means[s, "ELU"], 0.05)
                 for s in seconds],
        "zero-mean": [protocol.check(f"{s}: |mean| ÷ std", means[s, "ELU"], lambda v: v < 0.05) for s in seconds],
        "faster": faster("ReLU") + faster("LeakyReLU"),
        "smooth": faster("ELU, α = 0.5") + faster("ELU, α = 2"),
        "noise": [protocol.compare(f"{s}: accuracy lost, {than} and ELU", lost[s, than], lost[s, "ELU"])
                  for s in seconds for than in ("ReLU", "LeakyReLU")],
        "slower-training": slower("epoch"),
        "slower-inference": slower("prediction"),
        "offset": [protocol.check(f"{s}: time to ReLU's last loss, ELU ÷ ReLU", [to_same_loss(s)], lambda v: v <= 1)
                   for s in seconds],
    }  # fmt: skip
    return found, curves


def draw(values):
    names = list(dict.fromkeys(s for s, _ in values))
    picture, axes = protocol.figure(2)
    for ax, set_name in zip(axes, names, strict=False):
        for name in HIDDEN:
            curve = np.mean(values[set_name, name], axis=0)
            ax.plot(range(1, len(curve) + 1), curve, label=name)
        ax.set(title=set_name, xlabel="epoch", ylabel="training loss", yscale="log")
    axes[0].legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
