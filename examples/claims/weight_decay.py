"""Weight decay: few samples, noisy labels, many samples.

Networks with 2 hidden layers of 100 ReLU units, 50 epochs (100 images: 100) of SGD with momentum 0.9 at rate 0.01,
with the note's penalty 0.5 λ ΣW² on all weight matrices (`compile(weight_decay=)`), λ of 0, 0.001, 0.003, 0.01 or
0.03; the λ above 0 with the best validation accuracy is compared with none. Settings: 100 training images, 1000, and
1000 of which 30 % have a random label. Then networks of 3 hidden layers, tanh or ReLU, with He's weights multiplied
by 1 or 8: the norm of the first layer's gradient ÷ the norm of its weights at the start, in powers of ten (margin
0.1).
"""

import numpy as np
import protocol

import fastnn
from fastnn.initializers import VarianceScaling
from fastnn.layers import Dense

CLAIMS = {
    "smaller-weights": ("001", "Weight decay keeps weights small."),
    "few-samples": ("001", "It reduces overfitting with few training samples."),
    "noise": ("001", "It reduces overfitting with noise in the training data."),
    "many-samples": ("001", "(With 1000 clean images.)"),
    "large-weights-slow": ("001", "Large weights make the signal of back-propagation small, and learning slow."),
}
MEANING = """
Noisy labels are where weight decay earns its keep. The note's remark on large weights is true of units that saturate;
for ReLU the gradient grows with the weights.
"""
STRENGTHS = (0.001, 0.003, 0.01, 0.03)


def noisy(data, seed):
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(len(data.y)) < 0.3, rng.integers(0, 10, len(data.y)), data.y)
    return data._replace(y=y)


def layers():
    return [Dense(100, "relu", kernel_initializer="he_normal"), Dense(100, "relu", kernel_initializer="he_normal"),
            Dense(10)]  # fmt: skip


def train(data, seed, decay, epochs):
    fastnn.set_random_seed(seed)
    model = fastnn.Sequential([fastnn.Input(data.x.shape[1:]), *layers()])
    model.compile(protocol.sgd(0.01)(), protocol.LOSS, metrics=["accuracy"], weight_decay=decay)
    model.fit(data.x, data.y, epochs=epochs, verbose=0, health=False)
    return model


def run(small=False):
    scores, norms, ratios = {}, {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small):
            full = load(seed, 1000)
            few = full._replace(x=full.x[:100], y=full.y[:100])
            for size, data, epochs in (("100 images", few, 100), ("1000 images", full, 50),
                                       ("1000 images, noisy", noisy(full, seed), 50)):  # fmt: skip
                key = f"{set_name}, {size}"
                plain = train(data, seed, None, epochs)
                decayed = protocol.best([train(data, seed, strength, epochs) for strength in STRENGTHS], data)
                for name, model in (("none", plain), ("decay", decayed)):
                    scores.setdefault((key, name), []).append(protocol.accuracy(model, data))
                    norms.setdefault((key, name), []).append(np.linalg.norm(model.get_parameters()))
    for activation in ("tanh", "relu"):
        for scale in (1, 8):
            for seed in protocol.seeds(small):
                data = protocol.digits(seed)
                wide = VarianceScaling(2.0 * scale**2, "fan_in", "untruncated_normal")

                def build(activation=activation, wide=wide):
                    return [*(Dense(100, activation, kernel_initializer=wide) for _ in range(3)), Dense(10)]

                model = protocol.network(build, data, seed)
                norm = protocol.gradient_norms(model, data)
                size = np.linalg.norm(model.layers[0].kernel.numpy())
                ratios.setdefault((activation, scale), []).append(norm[0] / size)
    keys = list(dict.fromkeys(key for key, _ in scores))

    def duel(ending):
        return [protocol.compare(k, scores[k, "decay"], scores[k, "none"]) for k in keys if k.endswith(ending)]

    found = {
        "smaller-weights": [protocol.compare(f"{key}: ‖θ‖, none and decay", norms[key, "none"], norms[key, "decay"],
                                             0.1) for key in keys],
        "few-samples": duel("100 images"),
        "noise": duel("noisy"),
        "many-samples": duel("1000 images"),
        "large-weights-slow": [protocol.compare(
            f"{activation}: log₁₀ of gradient ÷ weights, weights 1 and 8 times",
            np.log10(ratios[activation, 1]), np.log10(ratios[activation, 8]), 0.1) for activation in ("tanh", "relu")],
    }  # fmt: skip
    return found, scores


def draw(values):
    keys = list(dict.fromkeys(key for key, _ in values))
    picture, ax = protocol.figure(width=6)
    protocol.bars(ax, keys, {label: [np.mean(values[key, name]) for key in keys]
                             for label, name in (("none", "none"), ("weight decay", "decay"))},
                  {label: [np.std(values[key, name], ddof=1) for key in keys]
                   for label, name in (("none", "none"), ("weight decay", "decay"))})  # fmt: skip
    ax.set(xlabel="test accuracy", xlim=(0.5, 1))
    protocol.legend(ax)
    return picture


if __name__ == "__main__":
    protocol.main()
