"""What `repair` returns: the model, what was changed and why, figures before and after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..._base.checks import flag

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class Change:
    """One change of a repaired model.

    Attributes
    ----------
    what : str
        What was changed, such as "last layer: softmax and sparse_categorical_crossentropy".
    why : str
        Message of the finding that proposed it, or the reason for trying it.
    code : str or None
        Code of that finding, such as "FN101"; None if no finding proposed it.
    before, after : dict
        Figures on the validation data after equally many epochs, without and with the change; empty in a plan.
    """

    what: str
    why: str
    code: str | None = None
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        figures = f" ({_pair(self.before, self.after)})" if self.after else ""
        reason = f"\n    {self.code + ': ' if self.code else ''}{self.why}"
        return f"{self.what}{figures}{reason}"


@dataclass
class Repair:
    """Result of `fastnn.repair`; print it for a summary.

    Attributes
    ----------
    model : Model or None
        The repaired and trained model, which takes the same x as before; the trained original if nothing helped; None
        for a plan (``dry_run=True``).
    changes : list of Change
        Changes that were kept, in the order they were made; those that would be tried, in a plan.
    before, after : dict
        Figures of the original and of the repaired model on the validation data: "accuracy" or "r2" (explained
        variance), and "loss", which is the same for both: the cross-entropy, or the squared error / the variance.
    findings : list of Finding
        Of the original model.
    epochs, batch_size : int
        What the repaired model was trained with.
    trainings : float
        Cost of everything, in trainings of the original model for the given epochs.
    rejected : list of str
        What was tried and did not help.
    """

    model: Any
    changes: list[Change]
    before: dict[str, float]
    after: dict[str, float]
    findings: list[Any]
    epochs: int
    batch_size: int
    trainings: float = 0.0
    rejected: list[str] = field(default_factory=list)
    planned: bool = False

    def __post_init__(self) -> None:
        self.planned = flag("planned", self.planned)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self):
        if self.planned:
            yield f"Plan: {len(self.changes)} changes to try" if self.changes else "Plan: nothing to change"
        elif self.changes:
            yield f"Repaired: {_pair(self.before, self.after)}, at the cost of {self.trainings:.1f} trainings"
        else:
            yield f"Not changed: nothing that was tried helps ({_pair(self.before, self.after)})"
        for number, change in enumerate(self.changes, 1):
            yield f"{number}. {change}"
        if self.rejected:
            yield f"Tried without success: {'; '.join(self.rejected)}"
        if self.model is not None and self.changes:
            yield f"Trained for {self.epochs} epochs, batches of {self.batch_size}"


def _pair(before, after):
    return ", ".join(f"{name} {_text(before.get(name))} → {_text(value)}" for name, value in after.items())


def _text(value):
    return "none" if value is None else f"{value:.4g}"
