"""What the experiments share: data, the rule of the verdicts, training, and figures.

The rule was fixed before any result was seen:

(a) An experiment runs once per seed. The seed chooses the training images, the initial weights and the order of the
    batches; two variants are compared seed by seed. Values are means ± standard deviations over the seeds.
(b) A variant is *better* than another one if the 95 % confidence interval (Student's t) of the mean difference lies
    above 0 and the mean difference is at least the margin: half a percentage point of test accuracy, unless the
    script states another one. *Worse* is the opposite. They are *equal* if the interval lies within ± the margin.
    Everything else is *undecided*. "As good as" is *true* if the interval lies above minus twice the margin.
(c) A statement about one model (a bound, stated in the script) is *true* if it is true for every seed, *false* if for
    none, otherwise *undecided*.
(d) A claim *holds* if every setting confirms it (better or true), *does not hold* if none does and at least one is
    decided, and *depends* if some do. If every setting is undecided, so is the claim.
"""

import argparse
import importlib
import inspect
import re
import sys
import time
from typing import NamedTuple

import numpy as np
from scipy import stats

import fastnn

MARGIN = 0.005


class Data(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    x_valid: np.ndarray  # where a variant has several learning rates: to choose among them
    y_valid: np.ndarray


class Outcome(NamedTuple):
    """What came out in one setting: its word, and the values behind it."""

    setting: str
    word: str
    values: str


# --- data -------------------------------------------------------------------------------------------------------------


def digits(seed, n_train=1000):
    """Of the 1797 images of 8 × 8 pixels: `n_train` to train with, 200 to validate, 597 to test; the seed chooses."""
    (x, y), (x_more, y_more) = fastnn.datasets.digits.load_data()
    x, y = standardised(np.concatenate([x, x_more])), np.concatenate([y, y_more])
    order = np.random.default_rng(seed).permutation(len(x))
    train, valid, test = order[797:][:n_train], order[597:797], order[:597]
    return Data(x[train], y[train], x[test], y[test], x[valid], y[valid])


def fashion(seed, n_train=5000):
    """Fashion-MNIST, 784 pixels: of the training images `n_train` and 2000 to validate, which the seed chooses."""
    if not _fashion:
        (x, y), (x_test, y_test) = fastnn.datasets.fashion_mnist.load_data()
        _fashion.append((standardised(x), y, (flat(x_test) - x.mean()) / x.std(), y_test))
    ((x, y, x_test, y_test),) = _fashion
    order = np.random.default_rng(seed).permutation(len(x))
    train, valid = order[2000:][:n_train], order[:2000]
    return Data(x[train], y[train], x_test, y_test, x[valid], y[valid])


_fashion = []


def seeds(small, n=5):
    """The seeds of an experiment; three in the small setting."""
    return range(3 if small else n)


def data_sets(small):
    """The data sets of an experiment: name to a function of the seed. The small setting has the digits only."""
    return {"digits": digits} if small else {"digits": digits, "Fashion-MNIST": fashion}


def flat(images):
    return images.reshape(len(images), -1).astype("float32")


def standardised(images):
    """As rows, with mean 0 and standard deviation 1 over all pixels."""
    return (flat(images) - images.mean()) / images.std()


# --- training ---------------------------------------------------------------------------------------------------------


LOSS = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)


def train(layers, data, seed, epochs, optimizer=None, loss=LOSS, **arguments):
    """Train a network, all of it determined by the seed.

    `layers` and `optimizer` are functions that return new ones; without the latter: SGD, rate 0.01, momentum 0.9. The
    last layer has no activation: the loss takes logits. A training that explodes goes on with NaN, as a claim about
    explosions needs: such a network is a bad one and not an error.
    """
    model = network(layers, data, seed, optimizer, loss)
    model.fit(data.x, data.y, epochs=epochs, verbose=0, health=False, on_nan="ignore", **arguments)
    return model


def network(layers, data, seed, optimizer=None, loss=LOSS):
    """The same, not yet trained."""
    fastnn.set_random_seed(seed)
    model = fastnn.Sequential([fastnn.Input(data.x.shape[1:]), *layers()])
    model.compile(optimizer() if optimizer else sgd(0.01)(), loss, metrics=["accuracy"])
    return model


def sgd(rate, **arguments):
    return lambda: fastnn.SGD(rate, momentum=0.9, **arguments)


def accuracy(model, data):
    return model.evaluate(data.x_test, data.y_test, verbose=0)[1]


def best_rate(build, load, rates, epochs):
    """The rate with the best mean validation accuracy over two pilot seeds, which are no seeds of the experiment."""
    means = {}
    for rate in rates:
        pilots = [(train(build, load(seed), seed, epochs, sgd(rate)), load(seed)) for seed in (1000, 1001)]
        means[rate] = np.mean([model.evaluate(d.x_valid, d.y_valid, verbose=0)[1] for model, d in pilots])
    return max(means, key=means.get)


def best(models, data):
    """Of models that were trained at several rates, the one with the best validation accuracy."""
    return max(models, key=lambda model: model.evaluate(data.x_valid, data.y_valid, verbose=0)[1])


def outputs(model, x):
    """The outputs of every layer, in inference mode: a list of arrays."""
    found = []
    for layer in model.layers:
        x = fastnn.Sequential([fastnn.Input(x.shape[1:]), layer]).predict(x, verbose=0)
        found.append(x)
    return found


def gradient_norms(model, data, rows=256):
    """Norms of the gradients of all weight matrices, from the first layer to the last, on the first rows."""
    x, y = data.x[:rows], data.y[:rows]
    dy = fastnn.activations.softmax(model.forward(x, training=True))
    dy[np.arange(len(y)), y] -= 1
    model.backward(dy / len(y))
    return np.array([np.linalg.norm(g.astype("float64")) for g in model.gradients() if g.ndim == 2])


# --- the rule ---------------------------------------------------------------------------------------------------------


def spread(values, form=".3f"):
    return f"{np.mean(values):{form}} ± {np.std(values, ddof=1):{form}}"


def compare(setting, first, second, margin=MARGIN, form=".3f"):
    """Part (b): whether `first` is larger than `second`, seed by seed."""
    gains = np.asarray(first, float) - np.asarray(second, float)
    mean, (lower, upper) = gains.mean(), interval(gains)
    if lower > 0 and mean >= margin:
        word = "better"
    elif upper < 0 and mean <= -margin:
        word = "worse"
    elif -margin <= lower and upper <= margin:
        word = "equal"
    else:
        word = "undecided"
    gain = f"difference {mean:+{form}}, interval {lower:+{form}} to {upper:+{form}}"
    return Outcome(setting, word, f"{spread(first, form)} against {spread(second, form)} ({gain})")


def not_worse(setting, first, second, tolerance=2 * MARGIN):
    """Whether `first` is at most `tolerance` below `second`: the whole interval above it (true) or below it (false)."""
    lower, upper = interval(np.asarray(first, float) - np.asarray(second, float))
    word = "true" if lower > -tolerance else "false" if upper < -tolerance else "undecided"
    text = f"difference {lower:+.3f} to {upper:+.3f}, tolerance {tolerance:g}"
    return Outcome(setting, word, f"{spread(first)} against {spread(second)} ({text})")


def interval(values):
    """The 95 % confidence interval of the mean."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def check(setting, values, test, form=".3g"):
    """Part (c): whether `test` is true for the values of all seeds."""
    values = list(values)
    passed = sum(bool(test(v)) for v in values)
    word = {0: "false", len(values): "true"}.get(passed, "undecided")
    shown = sorted({f"{v:{form}}" for v in values}, key=float)
    return Outcome(setting, word, shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}")


def verdict(found):
    """Part (d), of all outcomes of a claim."""
    if not found:
        raise ValueError("expected at least one outcome")
    confirmed = [o.word in ("better", "true") for o in found]
    if all(confirmed):
        return "holds"
    if any(confirmed):
        return "depends"
    return "undecided" if all(o.word == "undecided" for o in found) else "does not hold"


# --- figures and the command line -------------------------------------------------------------------------------------


def figure(columns=1, height=2.8, width=None):
    """A matplotlib figure and its axes."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(width or 3.6 * columns, height), layout="constrained", facecolor="white")
    axes = result.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return result, (axes if columns > 1 else axes[0])


def bars(ax, groups, values, errors=None):
    """Horizontal bars: `values` is name -> one value per group."""
    height = 0.8 / len(values)
    for i, (name, row) in enumerate(values.items()):
        place = np.arange(len(groups)) + (i - (len(values) - 1) / 2) * height
        ax.barh(place, row, height * 0.9, label=name, xerr=None if errors is None else errors[name])
    ax.set_yticks(range(len(groups)), groups)
    ax.invert_yaxis()


def legend(ax, columns=4):
    """What the colours are, above the axes: nothing is covered."""
    handles, labels = ax.get_legend_handles_labels()
    ax.figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=7, frameon=False)


def write(picture, path):
    """Write a small SVG file: text as text, coordinates with one decimal, the same bytes for the same values."""
    import matplotlib

    settings = {"svg.fonttype": "none", "svg.hashsalt": "fastnn", "path.simplify": True, "font.size": 9}
    with matplotlib.rc_context(settings):
        picture.savefig(path, format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(-?\d+\.\d)\d+", r"\1", tag[0]), text)  # not what is read
    path.write_text(re.sub(r"\n\s*", "\n", text), encoding="utf-8")


def run_script(name, small):
    """What a script finds, and the seconds it took."""
    start = time.perf_counter()
    return importlib.import_module(name).run(small), time.perf_counter() - start


def lines(claims, found):
    """The verdicts of a script, as text."""
    for key, (notes, says) in claims.items():
        yield f"{verdict(found[key]).upper()}: {says} [{notes}]"
        yield from (f"    {o.setting}: {o.word}: {o.values}" for o in found[key])


def main():
    """Run the script that called this."""
    script = sys.modules["__main__"]
    parser = argparse.ArgumentParser(description=inspect.getdoc(script).split("\n")[0])
    parser.add_argument("--small", action="store_true", help="few seeds, and the digits only")
    parser.add_argument("--plot", metavar="FILE", help="write the figure to this file")
    options = parser.parse_args()
    start = time.perf_counter()
    found, values = script.run(options.small)
    print(*lines(script.CLAIMS, found), sep="\n")
    print(f"{time.perf_counter() - start:.1f} s")
    if options.plot:
        script.draw(values).savefig(options.plot)
