"""Hinge losses: of margins, outputs times targets of −1 or 1."""

from .loss import Loss, named


class Hinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)``; targets are −1 or 1, and 0 counts as −1."""

    row = "hinge"
    __init__ = named("hinge")


class SquaredHinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``; targets as for `Hinge`."""

    row = "squared_hinge"
    __init__ = named("squared_hinge")


class CategoricalHinge(Loss):
    """``max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)`` over the outputs of a sample."""

    over_a_row = True
    row = "categorical_hinge"
    __init__ = named("categorical_hinge")
