"""Random numbers that depend only on a seed, not on threads, scheduling or other libraries.

(a) There is one seed per process, from which every initializer and model draws its own seed when
    it first needs one.
(b) All generators are counter-based (Philox, Salmon et al. 2011): a permutation depends only on
    (seed, epoch), so training resumes exactly.
"""

from __future__ import annotations

import operator
import threading
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .._core.random import orders, seed_words

if TYPE_CHECKING:
    from typing import Any

_of_the_process = {"entropy": None, "drawn": 0}
_here = threading.local()  # `state`: that of the block `seeded` that this thread is in


def _state():
    return getattr(_here, "state", None) or _of_the_process


class seeded:
    """``with seeded(seed)``: like ``set_random_seed(seed)``, for this thread and block only."""

    def __init__(self, seed):
        self.state = {"entropy": check_seed("seed", seed), "drawn": 0}

    def __enter__(self):
        self.before, _here.state = getattr(_here, "state", None), self.state

    def __exit__(self, *error):
        _here.state = self.before


class unchanged:
    """``with unchanged()``: the numbers that the block draws are drawn again after it."""

    def __enter__(self):
        self.state = _state()
        self.drawn = self.state["drawn"]

    def __exit__(self, *error):
        self.state["drawn"] = self.drawn


def set_random_seed(seed: int | None) -> None:
    """Set the seed of all random numbers: initial weights, shuffling, dropout.

    The global generators of NumPy and Python are not changed.

    Parameters
    ----------
    seed : int
        At least 0.

    Examples
    --------
    >>> import fastnn
    >>> init = fastnn.initializers.HeNormal()
    >>> fastnn.set_random_seed(7)
    >>> first = init((3, 2))
    >>> fastnn.set_random_seed(7)
    >>> bool((init((3, 2)) == first).all())
    True
    """
    _state().update(entropy=check_seed("seed", seed), drawn=0)


def check_seed(name: str, seed: Any) -> int:
    """A seed as an int from 0 to 2⁶⁴ − 1."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(
            f"{name}: expected an integer, got {seed!r} of type {type(seed).__name__}"
        ) from None
    if not 0 <= number < 2**64:
        raise ValueError(f"{name}: expected an integer from 0 to 2**64 - 1, got {seed!r}")
    return number


def next_seed() -> int:
    """The next seed of the process, 63 bits."""
    state = _state()
    if state["entropy"] is None:
        state["entropy"] = np.random.SeedSequence().entropy
    state["drawn"] += 1
    return seed_of(state["entropy"], state["drawn"])


def seed_of(entropy, number):
    """Seed `number` of the sequence derived from `entropy`, 63 bits."""
    return int(seed_words(entropy, (number,), 1)[0]) >> 1


@cache
def _seeded():
    """Replacement of NumPy's `SeedSequence`, which takes longer to create than the generator.

    Made when first used, as `numpy.random` is a quarter of what importing fastnn would take."""

    class Seeded(np.random.bit_generator.ISeedSequence):
        def __init__(self, seed):
            self.seed = seed

        def generate_state(self, n_words, dtype=np.uint64):
            return seed_words(self.seed, (), n_words)

    return Seeded


def generator(seed):
    """A NumPy generator on Philox for `seed`; None: for the next seed of the process."""
    return np.random.Generator(np.random.Philox(_seeded()(next_seed() if seed is None else seed)))


def permutation(seed, epoch, n, epochs=1):
    """The order of `n` samples in an epoch, int64; it depends only on (seed, epoch, n).

    For several `epochs`, the orders are concatenated.
    """
    return orders(seed, epoch, epochs, n)
