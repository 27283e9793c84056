"""Hinge losses: of margins, outputs times targets of −1 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .loss import Loss

if TYPE_CHECKING:
    from typing import Never

    from .._base.types import FloatType, Reduction


class Hinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)``; targets are −1 or 1, and 0 counts as −1."""

    row = "hinge"

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class SquaredHinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``; targets as for `Hinge`."""

    row = "squared_hinge"

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class CategoricalHinge(Loss):
    """``max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)`` over the outputs of a sample."""

    over_a_row = True
    row = "categorical_hinge"

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
