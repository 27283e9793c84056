"""Data, stacks and warnings, for tests of parts that do not fit together."""

import warnings

import numpy as np

import fastnn
from fastnn import layers, losses
from fastnn.diagnostics import ConsistencyWarning
from fastnn.diagnostics.doctor.registry import RULES

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 4))
BINARY = (RNG.random(40) < 0.4) * 1.0
LABELS = RNG.integers(0, 3, 40)
Z = np.array([[0.3], [0.2], [-0.1], [2], [-3], [0.45]])
T = np.array([1, 1, 0, 1, 0, 1.0])


def stack(*parts, shape=(4,)):
    return fastnn.Sequential([layers.Input(shape), *parts], dtype="float64")


def codes(caught):
    """Names of the rules of the warnings that were caught."""
    found = [str(w.message).rsplit("[", 1)[1][:-1] for w in caught if w.category is ConsistencyWarning]
    return [RULES[code].name for code in found]


def warned(act):
    """The codes of what a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return codes(caught)

SPARSE = losses.SparseCategoricalCrossentropy
