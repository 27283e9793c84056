"""Maxout's cost, and whether sparse activations keep a network from overfitting.

Networks with 2 hidden layers of 100 units. (1) Maxout with k = 2 and 4 against ReLU: weights; dead units after 20
epochs of SGD at rate 0.7, at which ReLU's die (digits); time of an epoch, minimum of 7. Maxout with weights (0, W)
against ReLU with W: largest difference of the outputs. (2) ReLU against LeakyReLU (slope 0.2) and ELU: the fraction
of hidden outputs and of weights that are exactly 0, and the gap between training and test accuracy for 200 training
images after 100 epochs (SGD with momentum 0.9, rate 0.01).
"""

import time

import numpy as np
import protocol

import fastnn
from fastnn.layers import Activation, Dense, LeakyReLU, Maxout

CLAIMS = {
    "maxout-is-relu": ("004", "With k = 2 and one function 0, the other one x, Maxout is ReLU."),
    "maxout-lives": ("004", "Maxout units neither saturate nor die."),
    "maxout-weights": ("004", "Maxout multiplies the parameters by k."),
    "maxout-slower": ("004", "Training takes longer."),
    "sparse-weights": ("004", "ReLU makes the weights sparse."),
    "sparse-outputs": ("004", "(ReLU makes the outputs sparse.)"),
    "sparse-helps": ("004", "This sparsity reduces overfitting."),
}
MEANING = """
What is sparse is the outputs: about half of them are 0. No weight is. That sparsity by itself reduces the gap between
training and test accuracy is not confirmed here. The parameters grow by a little less than k, because the output
layer does not grow.
"""
HIDDEN = {
    "ReLU": lambda: [Dense(100, kernel_initializer="he_normal"), Activation("relu")],
    "LeakyReLU": lambda: [Dense(100, kernel_initializer="he_normal"), LeakyReLU(0.2)],
    "ELU": lambda: [Dense(100, kernel_initializer="he_normal"), Activation("elu")],
    "Maxout, k = 2": lambda: [Maxout(100, 2, kernel_initializer="he_normal")],
    "Maxout, k = 4": lambda: [Maxout(100, 4, kernel_initializer="he_normal")],
}


def layers(name):
    return [*HIDDEN[name](), *HIDDEN[name](), Dense(10)]


def as_relu(seed):
    """The largest difference between a ReLU layer and a Maxout layer of its weights and 0."""
    fastnn.set_random_seed(seed)
    relu = fastnn.Sequential([Dense(30, "relu", input_shape=(20,))])
    maxout = fastnn.Sequential([Maxout(30, 2, input_shape=(20,))])
    kernel, bias = relu.get_weights()
    weights = [np.zeros(w.shape, "float32") for w in maxout.get_weights()]
    weights[0][:, ::2], weights[1][::2] = kernel, bias  # the two functions of a unit are neighbours
    maxout.set_weights(weights)
    x = np.random.default_rng(seed).normal(size=(100, 20))
    return abs(relu.predict(x, verbose=0) - maxout.predict(x, verbose=0)).max()


def run(small=False):
    seeds = protocol.seeds(small)
    dead, gaps, zeros, weight_zeros, seconds = {}, {}, {}, {}, {}
    for seed in seeds:
        data = protocol.digits(seed)
        for name in ("ReLU", "Maxout, k = 2", "Maxout, k = 4"):
            model = protocol.train(lambda n=name: layers(n), data, seed, 20, lambda: fastnn.SGD(0.7))
            constant = [h.std(axis=0) == 0 for h in protocol.outputs(model, data.x)[:-1] if np.isfinite(h).all()]
            dead.setdefault(name, []).append(np.mean(constant) if constant else 0.0)
    for set_name, load in protocol.data_sets(small).items():
        for seed in seeds:
            few = load(seed, 200)
            for name in ("ReLU", "LeakyReLU", "ELU"):
                model = protocol.train(lambda n=name: layers(n), few, seed, 100)
                gap = model.evaluate(few.x, few.y, verbose=0)[1] - protocol.accuracy(model, few)
                gaps.setdefault((set_name, name), []).append(gap)
                outputs = protocol.outputs(model, few.x)
                zeros.setdefault(name, []).append(np.mean([outputs[1] == 0, outputs[3] == 0]))
                weight_zeros.setdefault(name, []).append(np.mean(model.get_parameters() == 0))
    data = protocol.digits(0)
    models = {n: protocol.train(lambda n=n: layers(n), data, 0, 2) for n in ("ReLU", "Maxout, k = 2", "Maxout, k = 4")}
    for _ in range(7):
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(data.x, data.y, epochs=3, verbose=0, health=False, on_nan="ignore")
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    sizes = {name: model.count_params() for name, model in models.items()}
    found = {
        "maxout-is-relu": [protocol.check("largest difference", map(as_relu, seeds), lambda v: v == 0)],
        "maxout-lives": [protocol.check(f"{n}: constant units", dead[n], lambda v: v < 0.01) for n in dead
                         if n != "ReLU"],
        "maxout-weights": [protocol.check(f"{n}: parameters ÷ ReLU's", [sizes[n] / sizes["ReLU"]],
                                          lambda v, k=int(n[-1]): 0.9 * k < v < 1.1 * k) for n in sizes if n != "ReLU"],
        "maxout-slower": [protocol.check(f"{n}: time ÷ ReLU's", [min(seconds[n]) / min(seconds["ReLU"])],
                                         lambda v: v > 1.05) for n in sizes if n != "ReLU"],
        "sparse-weights": [protocol.check("weights equal to 0", weight_zeros["ReLU"], lambda v: v > 0.1)],
        "sparse-outputs": [protocol.check("outputs equal to 0", zeros["ReLU"], lambda v: v > 0.1)],
        "sparse-helps": [protocol.compare(f"{s}, 200 images: gap, {than} and ReLU", gaps[s, than], gaps[s, "ReLU"])
                         for s in protocol.data_sets(small) for than in ("LeakyReLU", "ELU")],
    }  # fmt: skip
    return found, gaps


def draw(values):
    picture, ax = protocol.figure(width=5, height=2)
    names = ("ReLU", "LeakyReLU", "ELU")
    settings = list(dict.fromkeys(s for s, _ in values))
    protocol.bars(ax, settings, {n: [np.mean(values[s, n]) for s in settings] for n in names},
                  {n: [np.std(values[s, n], ddof=1) for s in settings] for n in names})  # fmt: skip
    ax.set_xlabel("training accuracy − test accuracy, 200 training images")
    protocol.legend(ax)
    return picture


if __name__ == "__main__":
    protocol.main()
