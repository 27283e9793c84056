"""Networks on which nothing may be reported: architectures × optimizers × data sets × seeds.

Healthy is what trains well: a network counts only if its validation score is within `MARGIN` of the best one of its
data set (`are_healthy`). The rest is no fault either, but undertrained or worse, and left out.
"""

from dataclasses import replace
from statistics import median

from fastnn import regularizers

from . import data
from .bases import base
from .program import Hidden

MARGIN = 0.05
NETWORKS = {
    "relu-he": (Hidden(64, "relu", "he_normal"), Hidden(32, "relu", "he_normal")),
    "relu-keras": (Hidden(64, "relu"), Hidden(64, "relu")),
    "relu-one": (Hidden(32, "relu"),),
    "relu-wide": (Hidden(256, "relu", "he_uniform"),),
    "relu-deep": (Hidden(32, "relu", "he_normal"),) * 5,
    "selu": (Hidden(48, "selu", "lecun_normal"),) * 3,
    "elu": (Hidden(64, "elu", "he_normal"), Hidden(32, "elu", "he_normal")),
    "gelu": (Hidden(64, "gelu"), Hidden(32, "gelu")),
    "tanh": (Hidden(64, "tanh"), Hidden(32, "tanh")),
    "sigmoid": (Hidden(64, "sigmoid"),),
    "bn": tuple(Hidden(n, "relu", "he_normal", bias=False, bn=True) for n in (64, 32)),
    "bn-elu-deep": tuple(Hidden(32, "elu", "he_normal", bias=False, bn=True) for _ in range(4)),
    "dropout": (Hidden(128, "relu", "he_normal", dropout=0.2), Hidden(64, "relu", "he_normal", dropout=0.2)),
    "penalty": (Hidden(64, "relu", "he_normal", penalty=regularizers.L2(1e-4)), Hidden(32, "relu", "he_normal")),
    "pyramid": tuple(Hidden(n, "relu", "he_normal") for n in (128, 64, 32, 16)),
}
OPTIMIZERS = {
    "sgd-0.1": ("SGD", 0.1, {}, 3),
    "sgd-0.03-momentum": ("SGD", 0.03, {"momentum": 0.9}, 1),
    "sgd-0.01-momentum": ("SGD", 0.01, {"momentum": 0.9}, 2),
    "sgd-0.01-nesterov": ("SGD", 0.01, {"momentum": 0.95, "nesterov": True}, 2),
    "adam-1e-3": ("Adam", 1e-3, {}, 2),
    "adam-3e-3": ("Adam", 3e-3, {}, 1),
    "adam-1e-2": ("Adam", 1e-2, {}, 1),
    "rmsprop-1e-3": ("RMSprop", 1e-3, {}, 2),
    "nadam-2e-3": ("Nadam", 2e-3, {}, 1),
    "adamw-1e-3": ("AdamW", 1e-3, {}, 2),
}


def programs(seeds, sets=data.ALL, networks=None):
    """Healthy candidates: each network with three optimizers, in turn, so that all pairs occur over the data sets."""
    names = list(OPTIMIZERS)
    chosen = list(NETWORKS)[:networks]
    for at, make in enumerate(sets):
        for seed in seeds:
            found = make(seed)
            if found is None:
                continue
            for i, network in enumerate(chosen):
                for j in range(3):
                    name = names[(i + 3 * at + seed + j * 3 + (i // 5)) % len(names)]
                    optimizer, rate, options, longer = OPTIMIZERS[name]
                    p = base(found, "relu", seed)
                    yield replace(
                        p, name=f"healthy:{found.name}/{network}/{name}/{seed}", hidden=NETWORKS[network],
                        optimizer=optimizer, rate=rate, options=options, epochs=p.epochs * longer,
                    )  # fmt: skip


def are_healthy(scores):
    """Which of {program name: score} train well, compared with the best tenth of their data set."""
    of = {}
    for name, score in scores.items():
        of.setdefault(_set_of(name), []).append(score or 0.0)
    good = {key: median(sorted(found)[-max(1, len(found) // 10) :]) for key, found in of.items()}
    return {name: (score or 0.0) >= good[_set_of(name)] - MARGIN for name, score in scores.items()}


def _set_of(name):
    return name.partition(":")[2].partition("/")[0]
