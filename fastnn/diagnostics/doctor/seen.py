"""What `fit` leaves for the doctor: a sample of its data, and the parts of the model as they were trained.

(a) It costs a copy of at most `ROWS` rows (and `MOST` bytes, and of wide rows one in `RARE` of those trained on, as a
    copy is slow beside a short training); everything else is done when findings are asked for.
(b) It stands for the model in rules, so findings of a training stay the same after the model was compiled again or is
    gone; of large models only as long as their layers exist, as a history must not hold much memory.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from ...optimizers.schedules import LearningRateSchedule
from .data_facts import ROWS, some_rows

if TYPE_CHECKING:
    from typing import Any

MOST = 1 << 21  # bytes of a sample of one array
CHEAP = 1 << 17  # bytes of a sample that always are cheap
RARE = 64
FROM_FILE = 64  # rows of a sample of a memory-mapped array
MOST_WEIGHTS = 1 << 18  # weights of a model whose layers are kept


class Seen:
    """The model and the data of one call of `fit`.

    Parameters
    ----------
    model : Model
    data : Data or Feed
        Of training.
    validation : Data or Feed, optional
    plan : Plan
    """

    def __init__(self, model: Any, data: Any, validation: Any, plan: Any) -> None:
        self.name, self.dtype, self._engine = model.name, model.dtype, None
        keep: Any = weakref.ref if sum(v.size for v in model.weights) > MOST_WEIGHTS else lambda layer: layer
        self._layers: list[Any] = [keep(layer) for layer in model.layers]
        self._leaves: list[Any] = [keep(layer) for layer in model.leaves()]
        self.in_shape, self.out_shape, self.built, self.compiled = model.in_shape, model.out_shape, True, True
        self.loss, self.optimizer, self.weight_decay = model.loss, model.optimizer, model.weight_decay
        self._metrics_asked, self._weighted_asked = model._metrics_asked, model._weighted_asked
        self.rate, self.batch_size, self.plan = _rate(model.optimizer), plan.batch_size, plan
        when, found = model._checked
        self.checked = found if when == model._compile_clock.now else ()
        self.n = getattr(data, "n", None)
        self.x, self.y, self.w = _sample(data, plan.epochs)
        if self.x is not None:
            self.x = self.x.reshape(len(self.x), *model.in_shape)
        self.diverged = False  # whether training has ended by a value that was not finite
        self.shuffle, self.validation_rows = plan.shuffle, getattr(validation, "n", None)
        self.validation_y = None if validation is None else _sample(validation, plan.epochs)[1]

    @property
    def gone(self) -> bool:
        """Whether a layer of the model does not exist any more."""
        return any(_alive(layer) is None for layer in self._leaves)

    @property
    def layers(self) -> list[Any]:
        """The layers, as `Model.layers`."""
        return [_alive(layer) for layer in self._layers]

    def leaves(self) -> Any:
        """The layers, as `Model.leaves`."""
        return iter([_alive(layer) for layer in self._leaves])


def _is_mapped(array):
    """Whether an array is in a file: each row may then be read from a disk."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def _alive(layer):
    return layer() if isinstance(layer, weakref.ref) else layer


def _rate(optimizer):
    """The learning rate; NaN where that would be a call of a function of the user, who may count them."""
    schedule = optimizer.schedule
    if schedule is None or isinstance(schedule, LearningRateSchedule):
        return float(optimizer.learning_rate)
    return float("nan")


def _sample(data, epochs):
    """x, y, w of some rows; None for batches that come one by one."""
    if not hasattr(data, "rows"):
        return None, None, None
    size = max(1, data.x[:1].nbytes, data.y[:1].nbytes)
    most = FROM_FILE if _is_mapped(data.x) else min(ROWS, max(CHEAP // size, data.n * epochs // RARE))
    rows = some_rows(data.n, max(32, min(most, MOST // size)))
    if data.rows is not None:
        rows = data.rows[rows]
    return tuple(None if a is None else np.array(a[rows]) for a in (data.x, data.y, data.w))
