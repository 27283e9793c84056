"""The arguments of `fit` that say how to train, checked; and the data that are held out for validation."""

from math import ceil, floor

from .._base.checks import integer, number
from .._base.numbers import is_batches
from . import arguments
from .data.batches import Batches, Feed

HELD_OUT = [f"validation_data[{i}]" for i in range(3)]  # names of its parts in errors


class Plan:
    """The checked parameters of a call of `fit`."""

    def __init__(self, batch_size, *, epochs, initial_epoch, shuffle, steps_per_epoch, validation_batch_size,
                 validation_freq, validation_steps):  # fmt: skip
        if not isinstance(shuffle, bool):
            raise TypeError(f"shuffle: expected True or False, got {shuffle!r}")
        self.batch_size, self.shuffle = batch_size, shuffle
        self.epochs, self.initial_epoch = epochs, initial_epoch
        self.steps_per_epoch = (
            None if steps_per_epoch is None else integer("steps_per_epoch", steps_per_epoch, 1)
        )
        self.validation_batch_size = validation_batch_size
        self.validation_steps = None if validation_steps is None else integer("validation_steps", validation_steps, 1)
        if hasattr(validation_freq, "__iter__"):
            self.validation_freq = {integer("validation_freq", e, 1) for e in validation_freq}
        else:
            self.validation_freq = integer("validation_freq", validation_freq, 1)

    def samples(self, n):
        """Number of samples per epoch, out of n."""
        if self.steps_per_epoch is None:
            return n
        if self.steps_per_epoch > ceil(n / self.batch_size):
            raise ValueError(
                f"steps_per_epoch: expected at most {ceil(n / self.batch_size)} steps of batch_size {self.batch_size},"
                f" as x has {n} rows, got {self.steps_per_epoch}"
            )
        return min(n, self.steps_per_epoch * self.batch_size)

    def steps(self, data):
        """Number of batches per epoch; None if unknown."""
        if isinstance(data, Feed):
            return len(data.batches) or None
        return ceil(self.samples(data.n) / self.batch_size)

    def validation_samples(self, data):
        """Number of validation samples; None if unknown."""
        if isinstance(data, Feed):
            return None
        steps = self.validation_steps
        return data.n if steps is None else min(data.n, steps * self.validation_batch_size)

    def validates(self, epoch):
        """Whether an epoch (0, 1, …) ends with validation."""
        if isinstance(self.validation_freq, set):
            return epoch + 1 in self.validation_freq
        return (epoch + 1) % self.validation_freq == 0


def split(data, fraction):
    """``(training data, validation data or None)``: the last rows are for validation."""
    if not number("validation_split", fraction, 0, 1, open_high=True):
        return data, None
    if isinstance(data, Feed):
        raise ValueError(f"validation_split: expected 0 for batches, got {fraction!r}; pass validation_data instead")
    at = floor(data.n * (1 - fraction))
    if not 0 < at < data.n:
        raise ValueError(
            f"validation_split: expected a fraction that leaves rows for both training and validation, got {fraction}"
            f" of {data.n} rows"
        )
    return data.part(0, at), data.part(at, data.n)


def held_out_arrays(given, more=""):
    """x, y and weights (or None) of a `validation_data` of arrays; `more`: other options, for the error."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (x, y) or (x, y, sample_weight){more}, got {type(given).__name__}"
        )
    return *given, *[None] * (3 - len(given))


def held_out(model, given, steps, check_finite):
    """The checked `validation_data`."""
    if is_batches(given):
        return Feed(model, Batches("validation_data", given, steps), None, check_finite)
    x, y, w = held_out_arrays(given, ", or batches")
    data = arguments.data(model, x, y, w, None, check_finite, HELD_OUT)
    if not data.n:
        raise ValueError("validation_data[0]: expected at least one row, got none")
    return data
