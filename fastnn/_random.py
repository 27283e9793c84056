"""Random numbers that depend on a seed alone: not on threads, order of work or other libraries.

(a) One seed for the process, from which every initializer and model draws a seed of its own in
    order of need.
(b) Everything is counter-based (Philox, Salmon et al. 2011): a permutation follows from (seed,
    epoch) alone, so training resumes exactly. NumPy guarantees the stream of the bit generator,
    hence the sort and not `permutation`.
"""

import operator

import numpy as np

_state = {"entropy": None, "drawn": 0}


def set_random_seed(seed):
    """Make everything random from here on repeatable: initial weights, shuffling, dropout.

    NumPy's and Python's own global generators are left alone.

    Parameters
    ----------
    seed : int
        Not negative.

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
    _state["entropy"], _state["drawn"] = check_seed("seed", seed), 0


def check_seed(name, seed):
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


def next_seed():
    """The next seed of the process, 63 bits."""
    if _state["entropy"] is None:
        _state["entropy"] = np.random.SeedSequence().entropy
    _state["drawn"] += 1
    words = np.random.SeedSequence(_state["entropy"], spawn_key=(_state["drawn"],)).generate_state(
        1, np.uint64
    )
    return int(words[0]) >> 1


def generator(seed):
    """A NumPy generator on Philox for `seed`; None: for the next seed of the process."""
    return np.random.Generator(np.random.Philox(next_seed() if seed is None else seed))


def permutation(seed, epoch, n):
    """The order of `n` samples in an epoch, int64; the same for the same (seed, epoch, n), always.

    Samples are sorted by 64 random bits each; `stable` settles the all but impossible tie.
    """
    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch,))).random_raw(n)
    return np.argsort(bits, kind="stable").astype(np.int64, copy=False)
