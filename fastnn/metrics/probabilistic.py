"""Cross-entropies and other metrics of probabilities."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .._base.checks import flag, integer, number
from .._base.signatures import check_without_effect
from . import outputs
from .metric import Metric

if TYPE_CHECKING:
    from typing import Any, Never

    from .._base.types import FloatType


class Poisson(Metric):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""

    row, better = "poisson", "down"

    def __init__(
        self, name: str | None = "poisson", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)


class KLDivergence(Metric):
    """``sum(y_true * log(y_true / y_pred))`` over the outputs."""

    over_a_row = True
    row, better, aliases = "kl_divergence", "down", ("kld",)

    def __init__(
        self, name: str | None = "kl_divergence", dtype: FloatType | None = None, **kwargs: Never
    ) -> None:
        super().__init__(dtype, name, **kwargs)

    def remedy(self, kind: str | None) -> str | None:
        return None if kind in (None, outputs.PROBABILITIES) else "a softmax at the end of the model"


class _Crossentropy(Metric):
    better = "down"
    logits_row: str

    def _ask(self, from_logits, label_smoothing):
        self.from_logits = flag("from_logits", from_logits)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)

    def for_core(self) -> Any:
        return (self.logits_row if self.from_logits else self.row), self.params, self.target


class BinaryCrossentropy(_Crossentropy):
    """Mean of the binary cross-entropy of probabilities, or of logits.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    from_logits : bool
    label_smoothing : float
    """

    row, logits_row = "binary_crossentropy", "binary_crossentropy_logits"
    aliases = ("bce",)

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: FloatType | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self._ask(from_logits, label_smoothing)


class CategoricalCrossentropy(_Crossentropy):
    """Mean of the cross-entropy of one-hot targets; parameters as for `BinaryCrossentropy`, and `axis`: the last."""

    over_a_row = True
    row, logits_row = "crossentropy", "softmax_crossentropy"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: FloatType | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        self._ask(from_logits, label_smoothing)
        self.axis = integer("axis", axis)


class SparseCategoricalCrossentropy(_Crossentropy):
    """Mean of the cross-entropy of class labels.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    from_logits : bool
    ignore_class : None
        For compatibility with Keras; only the default is accepted (the loss supports it).
    axis : int
        Axis of the classes: the last one.
    """

    without_effect = {"ignore_class": None}

    over_a_row = True
    row, logits_row, params = "sparse_crossentropy", "sparse_softmax_crossentropy", (inf,)

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: FloatType | None = None,
        from_logits: bool = False,
        ignore_class: None = None,
        axis: int = -1,
        **kwargs: Never,
    ) -> None:
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)
