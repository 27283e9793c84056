"""Data in batches: generators, data sets as in Keras, data loaders.

(a) Anything that yields ``(x, y)`` or ``(x, y, sample_weight)``, including tensors of any library. Each batch is
    checked like an array passed to `fit`.
(b) Batches of an object with ``__len__`` and ``__getitem__`` (Keras' PyDataset) are read by index, in a new order
    every epoch if `fit` shuffles; its `on_epoch_end` is called. An object that can only be iterated is iterated again
    for each epoch. A generator is consumed once.
(c) With a number of steps per epoch, the next epoch of training continues where the last one stopped, and starts
    again when the data end. Validation always starts at the beginning.
(d) A batch runs in the program of the largest batch so far, as a last short batch of an array does: so batches
    give the same bits as the array that they are slices of.
"""

import warnings
from itertools import chain

from ..._base.checks import integer
from ..._base.random import permutation
from .. import arguments

END = object()  # end of iteration: None would be an invalid batch


class Batches:
    """A source of batches, epoch by epoch.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    source : iterable or data set
    steps : int, optional
        Batches per epoch; None: all.
    """

    def __init__(self, name, source, steps=None):
        self.name, self.source = name, source
        self.steps = None if steps is None else integer("steps", steps, 1)
        self.once = hasattr(source, "__next__")
        self.numbered = hasattr(source, "__getitem__") and hasattr(source, "__len__") and not self.once
        self._left = iter(source) if self.once else None
        self.exhausted = False

    def __len__(self):
        """Number of batches per epoch; 0 if unknown."""
        if self.steps is not None:
            return self.steps
        if hasattr(self.source, "__len__"):
            try:
                return len(self.source)
            except TypeError:  # a loader over a stream has the method but no length
                return 0
        return 0

    def epoch(self, order=None, anew=False):
        """The batches of an epoch.

        Parameters
        ----------
        order : callable, optional
            Function from the number of batches to their order.
        anew : bool
            Start at the beginning, wherever the last epoch stopped (except for a generator).
        """
        n = 0
        if anew and not self.once:
            self._left = None
        while self.steps is None or n < self.steps:
            if self._left is None:
                self._left = self._begin(order)
            batch = next(self._left, END)
            if batch is END:
                if self.once:
                    self._run_out(n)
                    return
                self._left = None
                if self.steps is None:
                    break
                if not n and not self._any:
                    raise ValueError(f"{self.name}: expected at least one batch, got none")
                continue
            n += 1
            self._any = True
            yield batch
        if not n:
            raise ValueError(f"{self.name}: expected at least one batch, got none")
        finish = getattr(self.source, "on_epoch_end", None)
        if callable(finish):
            finish()

    _any = False

    def first(self):
        """The first batch, without consuming it."""
        if self.numbered:
            if not len(self.source):
                raise ValueError(f"{self.name}: expected at least one batch, got none")
            return self.source[0]
        if self._left is None:
            self._left = self._begin(None)
        batch = next(self._left, END)
        if batch is END:
            raise ValueError(f"{self.name}: expected at least one batch, got none")
        self._left = chain([batch], self._left)
        return batch

    def _run_out(self, n):
        self.exhausted = True
        if self.steps is not None:
            warnings.warn(
                f"{self.name}: expected {self.steps} batches, got {n} before the generator ended; stopping here",
                stacklevel=2,
            )

    def _begin(self, order):
        if not self.numbered:
            return iter(self.source)
        n = len(self.source)
        return (self.source[int(i)] for i in (range(n) if order is None else order(n)))


def parts(name, batch):
    """``(x, y, sample_weight)`` of a batch, None for missing parts.

    A list is either such a tuple, as yielded by PyTorch's loaders, or rows of numbers.
    """
    if isinstance(batch, tuple) or (isinstance(batch, list) and all(hasattr(a, "__array__") for a in batch)):
        if not 1 <= len(batch) <= 3:
            raise ValueError(f"{name}: expected batches (x, y) or (x, y, sample_weight), got {len(batch)} parts")
        return (*batch, None, None)[:3]
    return batch, None, None


def order_of(model, shuffle):
    """The order of the batches of an epoch, from the model's seed and the epoch, as for rows."""
    if not shuffle:
        return None
    return lambda n: permutation(model.seed, model.epochs_done, n)


class Feed:
    """Checked batches for the engine, and the size of the largest batch so far.

    Parameters
    ----------
    model : Model
    batches : Batches
    class_weight : dict, optional
    check_finite : bool or None
        As `finite` of `arrays.samples`.
    training : bool
        Whether to store column names.
    """

    def __init__(self, model, batches, class_weight=None, check_finite=None, training=False):
        self.training = training
        self.model, self.batches, self.class_weight = model, batches, class_weight
        self.check_finite, self.largest, self.seen = check_finite, 1, 0

    @property
    def n(self):
        """Number of samples in the current epoch so far."""
        return self.seen

    def prepare(self):
        """Check the first batch: it builds the model and determines the kind of targets."""
        self._checked(self.batches.first(), 0)

    def epoch(self, order=None, anew=False):
        """Each batch as `arrays.Data`."""
        self.seen = 0
        for i, batch in enumerate(self.batches.epoch(order, anew)):
            data = self._checked(batch, i)
            self.largest = max(self.largest, data.n)
            self.seen += data.n
            yield data

    def _checked(self, batch, i):
        name = self.batches.name
        x, y, w = parts(name, batch)
        if y is None:
            raise ValueError(f"{name}: expected batches (x, y) or (x, y, sample_weight), got only x")
        names = [f"{name}, batch {i}, {part}" for part in ("x", "y", "sample_weight")]
        data = arguments.data(self.model, x, y, w, self.class_weight, self.check_finite, names, self.training)
        if not data.n:
            raise ValueError(f"{names[0]}: expected at least one row, got none")
        return data


def numbered(source, callbacks, stage, logs, stopped):
    """The batches of a source, with the batch hooks of a stage ("test", "predict") if there are any.

    logs: a dict that the consumer fills. stopped: function that returns whether to stop after the batch."""
    single = callbacks.per_batch(stage)
    for i, batch in enumerate(source):
        if single:
            callbacks.batch(stage, "begin", i)
        yield batch
        if single:
            callbacks.batch(stage, "end", i, dict(logs))
        if stopped():
            return


def none_but_x(name, given):
    """ValueError for arguments that cannot be combined with batches."""
    for argument, value in given.items():
        if value is not None:
            raise ValueError(
                f"{argument}: expected None, as {name} yields complete batches, got {type(value).__name__}"
            )
