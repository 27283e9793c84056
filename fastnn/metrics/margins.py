"""Hinge losses as metrics: of margins, outputs times targets of −1 or 1."""

from .metric import Metric, named


class Hinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0)``."""

    row, better = "hinge", "down"
    __init__ = named("hinge")


class SquaredHinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``."""

    row, better = "squared_hinge", "down"
    __init__ = named("squared_hinge")


class CategoricalHinge(Metric):
    """Mean of `losses.CategoricalHinge`."""

    over_a_row = True
    row, better = "categorical_hinge", "down"
    __init__ = named("categorical_hinge")
