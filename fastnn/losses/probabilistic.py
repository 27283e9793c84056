"""Cross-entropies and other losses of probabilities or logits."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .._base.checks import flag, integer, number
from .loss import Loss

if TYPE_CHECKING:
    from typing import Never

    from .._base.types import FloatType, Reduction


class Poisson(Loss):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""

    row = "poisson"

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class KLDivergence(Loss):
    """``sum(y_true * log(y_true / y_pred))`` over the outputs, both clipped to [1e-7, 1]. Alias: "kld"."""

    over_a_row = True
    row = "kl_divergence"
    aliases = ("kld", "kullback_leibler_divergence")

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)


class _Smoothed(Loss):
    """A cross-entropy with dense targets."""

    def _smooth(self, from_logits: bool, label_smoothing: float, axis: int) -> None:
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)


class BinaryCrossentropy(_Smoothed):
    r"""Mean of :math:`-t \log p - (1 - t) \log(1 - p)` over the outputs of a sample.

    Parameters
    ----------
    from_logits : bool
        Whether `y_pred` are logits, that is, the model ends without a sigmoid. After a sigmoid,
        training uses the logits anyway, which is exact for logits of any size.
    label_smoothing : float
        s replaces targets t by t (1 − s) + s / 2.
    axis : int
        Axis of the mean. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    row, logits_row, through = "binary_crossentropy", "binary_crossentropy_logits", "sigmoid"
    aliases = ("bce",)
    shares = True

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self._smooth(from_logits, label_smoothing, axis)


class BinaryFocalCrossentropy(Loss):
    r"""Binary cross-entropy times :math:`(1 - p_t)^\gamma`, :math:`p_t` the probability of the true class.

    Parameters
    ----------
    apply_class_balancing : bool
        Multiply by `alpha` where the target is 1 and by 1 − `alpha` where it is 0.
    alpha, gamma : float
    from_logits : bool
        As for `BinaryCrossentropy`.
    label_smoothing : float
    axis, reduction, name, dtype
        As for `BinaryCrossentropy`.

    References
    ----------
    Lin et al. 2017.
    """

    shares = True
    row, logits_row, through = (
        "binary_focal_crossentropy",
        "binary_focal_crossentropy_logits",
        "sigmoid",
    )

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.axis = integer("axis", axis)
        self.apply_class_balancing = flag("apply_class_balancing", apply_class_balancing)
        self.from_logits = flag("from_logits", from_logits)
        self.alpha, self.gamma = number("alpha", alpha, 0, 1), number("gamma", gamma, 0)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)


class CategoricalCrossentropy(_Smoothed):
    r""":math:`-\sum_k t_k \log p_k`, for targets that are rows of probabilities (one-hot).

    Parameters
    ----------
    from_logits : bool
        Whether `y_pred` are logits, that is, the model ends without a softmax. After a softmax,
        training uses the logits anyway: the gradient is p − t, and the loss is finite for any logits.
    label_smoothing : float
        s replaces targets t by t (1 − s) + s / K.
    axis : int
        Axis of the classes. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    over_a_row = True
    row, logits_row, through = "crossentropy", "softmax_crossentropy", "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self._smooth(from_logits, label_smoothing, axis)


class CategoricalFocalCrossentropy(_Smoothed):
    r""":math:`-\alpha \sum_k t_k (1 - p_k)^\gamma \log p_k`, for targets that are rows of probabilities (one-hot).

    Parameters
    ----------
    alpha, gamma : float
    from_logits : bool
        Whether `y_pred` are logits, that is, the model ends without a softmax.
    label_smoothing : float
        s replaces targets t by t (1 − s) + s / K.
    axis : int
        Axis of the classes. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.

    References
    ----------
    Lin et al. 2017, eq. 5.

    Examples
    --------
    >>> loss = fastnn.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=0.0)
    >>> round(loss([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    over_a_row = True
    row, logits_row = "categorical_focal", "categorical_focal_logits"

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self._smooth(from_logits, label_smoothing, axis)
        self.alpha, self.gamma = number("alpha", alpha, 0), number("gamma", gamma, 0)


class _Labels(Loss):
    def ignore(self, ignore_class: int | None) -> None:
        if ignore_class is not None:
            ignore_class = integer("ignore_class", ignore_class, -(2**31))
            if ignore_class >= 2**31:
                raise ValueError(f"ignore_class: expected a 32-bit integer, got {ignore_class}")
        self.ignore_class = ignore_class

    @property
    def params(self) -> tuple[float, ...]:
        return (inf if self.ignore_class is None else float(self.ignore_class),)


class SparseCategoricalCrossentropy(_Labels):
    r""":math:`-\log p_{label}`, for targets that are class labels 0 … K − 1.

    Parameters
    ----------
    from_logits : bool
        As for `CategoricalCrossentropy`.
    ignore_class : int, optional
        Ignore samples of this class; the mean is over the others. Need not be in 0 … K − 1.
    reduction, axis, name, dtype
        As for `CategoricalCrossentropy`.
    """

    over_a_row = True
    row, logits_row, through = "sparse_crossentropy", "sparse_softmax_crossentropy", "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.ignore(ignore_class)
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)


class NLLLoss(_Labels):
    """Negative of the output at the class label: exactly the cross-entropy after ``log_softmax``. Alias: "nll".

    Parameters
    ----------
    ignore_class : int, optional
        As for `SparseCategoricalCrossentropy`.
    """

    row, logits_row, through = "nll", "sparse_softmax_crossentropy", "log_softmax"
    aliases = ("nll", "negative_log_likelihood")

    def __init__(
        self,
        ignore_class: int | None = None,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "nll_loss",
        dtype: FloatType | None = None,
        **kwargs: Never,
    ) -> None:
        super().__init__(name, reduction, dtype, **kwargs)
        self.ignore(ignore_class)
