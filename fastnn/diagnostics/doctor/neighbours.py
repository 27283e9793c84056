"""Whether inputs say anything about targets, by the nearest neighbours of each of some samples (Cover & Hart 1967)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

NEIGHBOURS, LEAST = 5, 60
SURE = 2.5  # standard errors


def score(x: Any, y: Any, classes: bool) -> tuple[float, float] | None:
    """How well the nearest neighbours of each row predict its target, and what chance reaches at most.

    Parameters
    ----------
    x : ndarray (n, ...)
    y : ndarray (n, k)
        Class labels (n, 1), one-hot rows or values.
    classes : bool
        Then it is the accuracy of the most frequent class of the neighbours, otherwise a correlation.

    Returns
    -------
    (float, float) or None
        None for too few rows.
    """
    n = len(x)
    if n < LEAST:
        return None
    x = x.reshape(n, -1).astype(np.float64)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    squares = (x**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    distances[distances < 1e-9 * max(1.0, x.shape[1])] = np.inf  # the row itself, and its copies
    near = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    if classes:
        labels = y.argmax(axis=1) if y.shape[1] > 1 else np.unique(y[:, 0], return_inverse=True)[1]
        k = int(labels.max()) + 1
        votes = np.zeros((n, k))
        for column in near.T:
            votes[np.arange(n), labels[column]] += 1
        shares = np.bincount(labels, minlength=k) / n
        # votes minus what each class has by chance: the larger class does not win everywhere
        found = float(np.mean((votes / NEIGHBOURS - shares)[np.arange(n), labels]))
        chance = float(np.sqrt((shares * (1 - shares)).sum() / NEIGHBOURS / n))
        return found, SURE * chance
    scores = []
    for column in y.T:
        guess = column[near].mean(axis=1)
        if guess.std() > 0 and column.std() > 0:
            scores.append(float(np.corrcoef(_ranks(guess), _ranks(column))[0, 1]))
    return (max(scores), SURE / n**0.5) if scores else None


def _ranks(values):
    return values.argsort(kind="stable").argsort(kind="stable")
