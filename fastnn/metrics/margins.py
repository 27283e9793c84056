"""Hinge losses as metrics: of margins, outputs times targets of −1 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .metric import Metric

if TYPE_CHECKING:
    from typing import Never

    from .._base.types import FloatType


class Hinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0)``."""

    row, better = "hinge", "down"

    def __init__(
        self, name: str | None = "hinge", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class SquaredHinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``."""

    row, better = "squared_hinge", "down"

    def __init__(
        self, name: str | None = "squared_hinge", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class CategoricalHinge(Metric):
    """Mean of `losses.CategoricalHinge`."""

    over_a_row = True
    row, better = "categorical_hinge", "down"

    def __init__(
        self, name: str | None = "categorical_hinge", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)
