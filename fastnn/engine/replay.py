"""Steps that were done, so that they can be done again from a copy of what they have changed.

Training is deterministic: from the same weights, optimizer state and step count, the same rows give the same weights,
bit for bit. So nothing has to be kept of a step except where its rows are and its rate.
"""

from copy import copy
from math import ceil, isfinite

import numpy as np

from ..metrics.curves import Scores
from .objective import whole_loss
from .ports import each, gathered


class Boundary:
    """A copy of all that steps of an engine change: weights with moving averages, optimizer state, step count.

    Its memory is allocated once; `save` may be called again."""

    def __init__(self, engine):
        self.copies = [np.empty_like(array) for array in _changed(engine)]

    @property
    def nbytes(self):
        return sum(copy.nbytes for copy in self.copies)

    def save(self, engine):
        """Copy them."""
        for kept, array in zip(self.copies, _changed(engine), strict=True):
            np.copyto(kept, array)
        self.step = engine.step

    def restore(self, engine):
        """Put them back."""
        engine.store.acquire()
        for kept, array in zip(self.copies, _changed(engine), strict=True):
            np.copyto(array, kept)
        engine.step = self.step
        engine.store.weights_clock.tick()
        engine.store.weights_clock.tick()  # twice, as programs leave out the tick of the run that follows


def _changed(engine):
    return [engine.store.flat[name] for name in ("theta", *engine.store.lasting)]


class Block:
    """Some steps of one epoch: a call of `Engine.fit_block`.

    Parameters
    ----------
    data : (x, y, w)
    index, first, count, batch, rates, carry
        As for `Engine.fit_block`.
    epoch, number : int
        Number of the epoch, and of the first step in it; None outside of `fit`.
    own : bool
        Whether to keep a copy of the data, which will be gone when they are needed again.
    """

    def __init__(self, data, index, first, count, batch, rates, carry, epoch, number, own=False):
        self.own = 0
        if own:
            data = tuple(gathered(None if a is None else a.copy() for a in each(of_ports)) for of_ports in data)
            self.own = sum(a.nbytes for of_ports in data for a in each(of_ports) if a is not None)
        self.data, self.index, self.first, self.count, self.batch = data, index, first, count, batch
        self.rates, self.epoch, self.number = rates, epoch, number
        self.carry = [_copied(s) for s in carry]
        self.done, self.sums = 0, carry

    @property
    def nbytes(self):
        return self.own + (0 if self.index is None else 8 * self.done)

    @property
    def steps(self):
        """Numbers of the steps that were done."""
        return range(ceil(self.done / self.batch))

    def run(self, engine, seconds):
        """Do them; returns whether the loss is finite."""
        x, y, w = self.data
        self.done, loss, found = engine.fit_block(
            x, y, w, self.index, self.first, self.count, self.batch, self.rates, seconds, self.sums
        )
        self.sums = [loss, *found]
        return isfinite(whole_loss(engine, self.sums))

    def rewind(self, before):
        """Prepare for `again`; before: the `Block` that came before in the same replay, or None."""
        same = isinstance(before, Block) and before.epoch == self.epoch
        self.sums = before.sums if same else [_copied(s) for s in self.carry]

    def again(self, engine, k):
        """Do one step again; returns whether its loss is finite. If not, the sums are without it."""
        (x, y, w), at, n = self.data, self.first + k * self.batch, self.samples(k)
        before = [_copied(s) for s in self.sums]
        _, loss, found = engine.fit_block(x, y, w, self.index, at, n, self.batch, self.rates[k : k + 1], 0.0, self.sums)
        self.sums = [loss, *found]
        self.undo = lambda: setattr(self, "sums", before)
        return isfinite(whole_loss(engine, self.sums))

    def samples(self, k):
        return min(self.batch, self.done - k * self.batch)

    def rows_of(self, k):
        """The rows of a step, and the number of the first if they lie one after the other (rows: None then)."""
        at = self.first + k * self.batch
        return (None, at) if self.index is None else (self.index[at : at + self.samples(k)], 0)

    def rate(self, k):
        return self.rates[k : k + 1]

    def place(self, k):
        """Numbers of the epoch and of the step in it."""
        return self.epoch, None if self.number is None else self.number + k


class Epochs:
    """Steps of several epochs: a call of `Engine.fit_epochs`, whose arguments these are.

    epoch: number of the first of all."""

    def __init__(self, data, index, epochs, batch, rates, step, totals, epoch):
        self.data, self.index, self.epochs, self.batch, self.rates = data, index, epochs, batch, rates
        self.start, self.stop, self.totals, self.epoch = step, step, totals, epoch
        self.n = len(data[0]) if index is None else len(index) // epochs
        self.per_epoch, self.rows = ceil(self.n / batch), len(totals) // epochs
        self.before = self._rows(step).copy()

    @property
    def nbytes(self):
        return 0 if self.index is None else 8 * self.batch * (self.stop - self.start)

    @property
    def steps(self):
        return range(self.start, self.stop)

    def _rows(self, step):
        """The sums of the epoch of a step."""
        at = min(step // self.per_epoch, self.epochs - 1) * self.rows
        return self.totals[at : at + self.rows]

    def _is_finite(self, engine, first, last):
        """Whether the losses of the epochs of steps first … last are finite."""
        places = {0, *(objective.place for objective in engine.objectives)}
        losses = [at for place, at in engine.core_sums if place in places]
        for step in range(first - first % self.per_epoch, last + 1, self.per_epoch):
            rows = self._rows(step)
            if not all(np.isfinite(rows[at]).all() for at in losses):
                return False
        return True

    def run(self, engine, seconds):
        self.stop = self._fit(engine, self.start, 0, seconds)
        return self._is_finite(engine, self.start, max(self.start, self.stop - 1))

    def _fit(self, engine, step, stop, seconds):
        return engine.fit_epochs(
            *self.data, self.index, self.epochs, self.batch, self.rates, step, self.totals, seconds, stop
        )

    def rewind(self, before):
        if isinstance(before, Epochs) and before.totals is self.totals:
            return
        at = min(self.start // self.per_epoch, self.epochs - 1) * self.rows
        self.totals[at:] = 0
        self._rows(self.start)[:] = self.before

    def again(self, engine, k):
        rows = self._rows(k)
        before = rows.copy()
        self.undo = lambda: np.copyto(rows, before)
        self._fit(engine, k, k + 1, 0.0)
        return self._is_finite(engine, k, k)

    def samples(self, k):
        return min(self.batch, self.n - k % self.per_epoch * self.batch)

    def rows_of(self, k):
        within = k % self.per_epoch * self.batch
        at = k // self.per_epoch * self.n + within
        return (None, within) if self.index is None else (self.index[at : at + self.samples(k)], 0)

    def rate(self, k):
        return self.rates[k : k + 1]

    def place(self, k):
        return self.epoch + k // self.per_epoch, k % self.per_epoch


def _copied(sums):
    """Sums that go on by themselves: those of metrics by ranks collect in place."""
    if not isinstance(sums, Scores):
        return sums
    found = copy(sums)
    found._new = list(sums._new)
    return found
