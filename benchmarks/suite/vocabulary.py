"""What each activation, loss and optimizer costs, beside ReLU, mean squared error and SGD.

(a) A training step with the one and with the other, in turns, one thread, the least of many: a ratio of one minute.
(b) Also the difference as nanoseconds for each element that the thing works on (forward and backward), which its
    arithmetic has to explain: an exponential is about 0.3 ns of AVX2 in float32, a division about 0.2.
(c) ``python -P benchmarks/suite/vocabulary.py`` prints the tables of docs/costs.md.
"""

import os
import sys
import time

import numpy as np

import fastnn
from fastnn import activations, losses, optimizers

QUICK = os.environ.get("FASTNN_BENCH_QUICK", "0") not in ("", "0")
REPEATS, STEPS = (2, 4) if QUICK else (15, 60)
WIDTH, DEPTH, BATCH = 128, 4, 64
OUTPUTS, LOSS_BATCH = 128, 256
BASE = {"activation": "relu", "loss": "MeanSquaredError", "optimizer": "SGD"}
LABELS = ("SparseCategoricalCrossentropy", "NLLLoss")
POSITIVE = ("Poisson", "KLDivergence", "MeanSquaredLogarithmicError", "BinaryCrossentropy", "BinaryFocalCrossentropy",
            "CategoricalCrossentropy", "SparseCategoricalCrossentropy")  # fmt: skip


def names(kind):
    """The names of a kind, the base first."""
    rooms = {"activation": activations, "loss": losses, "optimizer": optimizers}
    found = [n for n in rooms[kind].names() if n not in ("Loss", "PythonLoss")]
    return [BASE[kind], *(n for n in found if n != BASE[kind])]


def case(kind, name):
    """(model, x, y, batch, elements that the thing works on in a step)."""
    fastnn.set_random_seed(0)
    rng = np.random.default_rng(0)
    if kind == "loss":
        last = "sigmoid" if name in POSITIVE else None
        layers = [fastnn.layers.Dense(OUTPUTS, last, input_shape=(32,))]
        x = rng.normal(size=(LOSS_BATCH * STEPS, 32)).astype(np.float32)
        y = rng.uniform(0.1, 0.9, (len(x), OUTPUTS)).astype(np.float32)
        if name in LABELS:
            y = rng.integers(0, OUTPUTS, len(x))
        how, batch, elements = (fastnn.SGD(1e-4), getattr(losses, name)()), LOSS_BATCH, LOSS_BATCH * OUTPUTS
    else:
        activation = name if kind == "activation" else "relu"
        layers = [fastnn.layers.Dense(WIDTH, activation, input_shape=(WIDTH,))]
        layers += [fastnn.layers.Dense(WIDTH, activation) for _ in range(DEPTH - 1)] + [fastnn.layers.Dense(1)]
        x = rng.normal(size=(BATCH * STEPS, WIDTH)).astype(np.float32)
        y = rng.normal(size=(len(x), 1)).astype(np.float32)
        optimizer = getattr(optimizers, name)(1e-4) if kind == "optimizer" else fastnn.SGD(1e-4)
        how, batch, elements = (optimizer, "mse"), BATCH, BATCH * WIDTH * DEPTH
    model = fastnn.Sequential(layers)
    model.compile(*how, threads=1, seed=0)
    elements = sum(w.size for w in model.get_weights()) if kind == "optimizer" else elements
    return model, x, y, batch, elements


def seconds(model, x, y, batch):
    """Of one step."""
    began = time.perf_counter()
    model.fit(x, y, batch, verbose=0, shuffle=False, check_finite=False)
    return (time.perf_counter() - began) / STEPS


def beside_base(kind, name):
    """(step with `name` / step with the base, extra nanoseconds per element)."""
    ours, base = case(kind, name), case(kind, BASE[kind])
    if kind == "loss" and name in POSITIVE:  # the sigmoid before it is not the loss's
        ours[0].compile(fastnn.SGD(1e-4), ours[0].loss, threads=1, seed=0)
        base = case(kind, BASE[kind])
        base[0].layers[0].activation = activations.get("sigmoid")
    times = [(seconds(*ours[:4]), seconds(*base[:4])) for _ in range(REPEATS + 1)][1:]
    a, b = (min(column) for column in zip(*times, strict=True))
    return a / b, (a - b) / ours[4] * 1e9


class Relative:
    """Step time relative to ReLU, mean squared error, SGD."""

    params = [f"{kind} {name}" for kind in BASE for name in (names(kind)[:2] if QUICK else names(kind))]
    param_names = ["what"]
    timeout = 120

    def track_ratio(self, what):
        return beside_base(*what.split())[0]

    track_ratio.unit = "times the step with relu / mse / sgd"


def main():
    for kind, base in BASE.items():
        print(f"\n| {kind} | step, {base} = 1 | extra ns per element |\n|---|---:|---:|")
        for name in names(kind):
            ratio, more = beside_base(kind, name)
            print(f"| `{name}` | {ratio:.2f} | {more:.2f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
