"""What `fit` leaves for the doctor: a sample of its data, and the parts of the model as they were trained.

(a) It costs a copy of at most `ROWS` rows (and `MOST` bytes); everything else is done when findings are asked for.
(b) It stands for the model in rules, so findings of a training stay the same after the model was compiled again or is
    gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .data_facts import ROWS, some_rows

if TYPE_CHECKING:
    from typing import Any

MOST = 1 << 21  # bytes of a sample of one array


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
        self.name, self.layer_list, self.dtype = model.name, list(model.leaves()), model.dtype
        self.layers, self._engine = list(model.layers), None
        self.in_shape, self.out_shape, self.built, self.compiled = model.in_shape, model.out_shape, True, True
        self.loss, self.optimizer, self.weight_decay = model.loss, model.optimizer, model.weight_decay
        self._metrics_asked, self._weighted_asked = model._metrics_asked, model._weighted_asked
        self.rate, self.batch_size, self.plan = float(model.optimizer.learning_rate), plan.batch_size, plan
        when, found = model._checked
        self.checked = found if when == model._compile_clock.now else ()
        self.n = getattr(data, "n", None)
        self.x, self.y, self.w = _sample(data)
        if self.x is not None:
            self.x = self.x.reshape(len(self.x), *model.in_shape)
        self.diverged = False  # whether training has ended by a value that was not finite
        self.shuffle, self.validation_rows = plan.shuffle, getattr(validation, "n", None)

    def leaves(self) -> Any:
        """The layers, as `Model.leaves`."""
        return iter(self.layer_list)


def _sample(data):
    """x, y, w of some rows; None for batches that come one by one."""
    if not hasattr(data, "rows"):
        return None, None, None
    size = max(1, data.x[:1].nbytes, data.y[:1].nbytes)
    rows = some_rows(data.n, max(32, min(ROWS, MOST // size)))
    if data.rows is not None:
        rows = data.rows[rows]
    return tuple(None if a is None else np.array(a[rows]) for a in (data.x, data.y, data.w))
