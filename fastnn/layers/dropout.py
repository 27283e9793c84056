"""Dropout."""

from .._checks import number
from .._random import check_seed
from .base import Layer

OWN_SEED = 2**31  # streams below it belong to positions in a model, those above to seeds


def random_stream(layer):
    """The number of the layer's stream of random words: its place in the model, or from its seed."""
    if layer.seed is None:
        return layer.position
    return OWN_SEED + check_seed("seed", layer.seed) % OWN_SEED


class Dropout(Layer):
    """While training, each feature is 0 with probability `rate`, else divided by 1 − rate.

    Which ones follows from the model's seed, the step and the place in the model alone: not from
    the number of threads, and the same after a resume.

    Parameters
    ----------
    rate : float
        At least 0, below 1.
    seed : int, optional
        A stream of its own, wherever the layer stands.

    References
    ----------
    Srivastava et al. 2014; scaled while training ("inverted"), so that nothing is left to do later.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = number("rate", rate, 0, 1, open_high=True)
        self.seed = None if seed is None else check_seed("seed", seed)

    def emit(self, graph, x):
        if self.rate == 0:
            return x
        return graph.dropout(x, self.rate, random_stream(self))
