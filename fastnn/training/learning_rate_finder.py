"""The learning-rate range test of a model."""

from math import ceil

import numpy as np

from .._base.checks import integer
from .._base.numbers import as_array
from ..callbacks import LearningRateFinder
from . import arguments
from .needs import need_compile


def find_learning_rate(model, x, y, min_lr, max_lr, steps, batch_size, sample_weight, **kwargs):
    """`Model.find_learning_rate`."""
    need_compile(model, "find_learning_rate")
    batch_size = integer("batch_size", batch_size, minimum=1)
    finder = LearningRateFinder(min_lr, max_lr, steps, **kwargs)
    several = model._ports is not None or isinstance(x, (dict, list, tuple)) and model.built
    n = len(arguments.samples(model, "x", x) if several else np.atleast_1d(as_array("x", x)))
    if not n:
        raise ValueError("x: expected at least one row, got none")
    finder.samples = batch_size, n
    with model._lock:
        if not model.built:
            arguments.samples(model, "x", x)
        stop, history, names = model.stop_training, model.history, model.feature_names
        try:
            model.fit(
                x, y, batch_size, epochs=ceil(steps / ceil(n / batch_size)), verbose=0,
                callbacks=[finder], sample_weight=sample_weight,
            )  # fmt: skip
        finally:
            finder.restore()  # after an error; else it has done so
            model.stop_training, model.history, model.feature_names = stop, history, names
    return finder
