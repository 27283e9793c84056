"""What the rules know of a training: curves of the loss, health of the layers, and what learning is measured by."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from ..._base.types import FloatArray

LEARNED = 0.8  # of the loss of the best constant predictor


class Training:
    """The training so far.

    Parameters
    ----------
    history : History
    seen : Seen
    """

    def __init__(self, history: Any, seen: Any) -> None:
        self.history, self.seen, self.health = history, seen, history.health
        self.epochs = len(history.epoch)

    def curve(self, name: str) -> FloatArray:
        """Values of the loss or a metric by epoch, float64; empty if it does not exist."""
        values = self.history.history.get(name, [])
        return np.array([v if isinstance(v, (int, float)) else np.nan for v in values], np.float64)

    @cached_property
    def loss(self) -> FloatArray:
        """The training loss of each epoch."""
        return self.curve("loss")

    @cached_property
    def last(self) -> float:
        """The last loss."""
        return float(self.loss[-1]) if len(self.loss) else float("nan")

    @property
    def finite(self) -> bool:
        """Whether all losses are."""
        return not self.seen.diverged and bool(np.isfinite(self.loss).all())

    @cached_property
    def steps_per_epoch(self):
        """Number of steps of an epoch; None if unknown."""
        return (self.history.params or {}).get("steps")

    @cached_property
    def steps(self):
        """Number of steps so far; None if unknown."""
        return None if self.steps_per_epoch is None else self.steps_per_epoch * self.epochs

    @cached_property
    def accuracy_gap(self) -> float | None:
        """By how much the last accuracy is lower in validation; None without an accuracy."""
        for name in self.history.history:
            if "acc" in name and not name.startswith("val_") and f"val_{name}" in self.history.history:
                return float(self.curve(name)[-1] - self.curve(f"val_{name}")[-1])
        return None

    @cached_property
    def sampled(self) -> Any:
        """Positions of the epochs of which steps were sampled; at most the last two."""
        if self.health is None:
            return []
        return [e for e, n in enumerate(self.health.sampled) if n][-2:]

    def recent(self, quantity: str) -> Any:
        """(layers, windows) of a quantity in the last two epochs that have it; None without any."""
        if self.health is None or not len(self.health):
            return None
        at = list(range(len(self.health)))[-2:] if quantity == "dead" else self.sampled
        values = getattr(self.health, quantity)[:, at] if at else None
        return None if values is None or not np.isfinite(values).any() else values

    @property
    def persists(self) -> bool:
        """Whether what is sampled covers two windows: two epochs, or several steps of the only one."""
        return len(self.sampled) >= 2 or (bool(self.sampled) and self.health.sampled[self.sampled[-1]] >= 2)

    @cached_property
    def early(self) -> Any:
        """(layers,) of the relative size of the updates in the first epoch that was sampled; None if there is none."""
        if self.health is None:
            return None
        at = next((e for e, n in enumerate(self.health.sampled) if n), None)
        return None if at is None else self.health.update_ratio[:, at]

    @cached_property
    def update(self) -> float | None:
        """The largest relative size of the updates of a layer, on average over the epochs; None if unknown."""
        if self.health is None:
            return None
        values = self.health.update_ratio[:, [e for e, n in enumerate(self.health.sampled) if n]]
        if not np.isfinite(values).any():
            return None
        means = [np.mean(row[np.isfinite(row)]) for row in values if np.isfinite(row).any()]
        return float(max(means))

    @cached_property
    def slope(self) -> float | None:
        """By how much of its size the loss has fallen per epoch in the last fifth of the training."""
        loss = self.loss[np.isfinite(self.loss)]
        if len(loss) < 3:
            return None
        k = max(1, len(loss) // 5)
        if loss[-1 - k] == 0:
            return 0.0
        return float((loss[-1 - k] - loss[-1]) / abs(loss[-1 - k]) / k)

    @cached_property
    def swings(self) -> tuple[float, float]:
        """How much the loss goes up and down: share of epochs in which it changes direction, and median change."""
        loss = self.loss[np.isfinite(self.loss)]
        if len(loss) < 8:
            return 0.0, 0.0
        loss = loss[len(loss) // 4 :]
        steps = np.diff(loss)
        size = np.median(abs(steps)) / max(abs(loss).mean(), 1e-300)
        return float(np.mean(steps[1:] * steps[:-1] < 0)), float(size)

    @property
    def jumps(self) -> float:
        """Share of epochs in which the loss changes direction, if the median change is above 10 %."""
        share, size = self.swings
        return share if size > 0.1 else 0.0
