"""Cross-entropies and other metrics of probabilities."""

from math import inf

from .._base.checks import flag, integer, number
from .._base.signatures import check_without_effect
from . import outputs
from .metric import Metric, named


class Poisson(Metric):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""

    row, better = "poisson", "down"
    __init__ = named("poisson")


class KLDivergence(Metric):
    """``sum(y_true * log(y_true / y_pred))`` over the outputs."""

    over_a_row = True
    row, better, aliases = "kl_divergence", "down", ("kld",)
    __init__ = named("kl_divergence")

    def remedy(self, kind):
        return None if kind in (None, outputs.PROBABILITIES) else "a softmax at the end of the model"


class _Crossentropy(Metric):
    better = "down"

    def _ask(self, from_logits, label_smoothing):
        self.from_logits = flag("from_logits", from_logits)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)

    def for_core(self):
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

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self._ask(from_logits, label_smoothing)


class CategoricalCrossentropy(_Crossentropy):
    """Mean of the cross-entropy of one-hot targets; parameters as for `BinaryCrossentropy`, and `axis`: the last."""

    over_a_row = True
    row, logits_row = "crossentropy", "softmax_crossentropy"

    def __init__(
        self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1, **kwargs
    ):
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
        self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, ignore_class=None, axis=-1,
        **kwargs,
    ):  # fmt: skip
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)
