"""Metrics, under Keras' names.

Each runs in the core, which accumulates sums; the value is computed from them here (`Metric.result`), for most
metrics as the mean over the samples of an epoch. Any loss is a metric too, and so
is a function in NumPy, ``function(y_true, y_pred)``, that returns one value for each sample (or
for each output, or for the batch).
"""

from math import inf, nan

import numpy as np

from .. import losses
from .._base.checks import (
    flag,
    integer,
    number,
    one_of,
    refuse_keywords,
    suggest,
    takes,
)
from .._base.config import CoreRow, float_dtype, snake_case
from .._base.numbers import as_array, cast
from .._base.registry import CAN_PASS_OBJECT, Registry, deserialized
from .._base.signatures import check_without_effect, function_of
from .._core.kernels import metric_rows
from . import curves, outputs

_registry = Registry("metric")
BY_RANKS = "by ranks"  # instead of a kernel row: the engine keeps the outputs, see `curves.Scores`


class Metric(CoreRow):
    """Base class of the built-in metrics; `better` is the direction of improvement, "up" or "down".

    Parameters
    ----------
    dtype : {"float32", "float64"}, optional
        Accepted as in Keras. Values are computed in the model's dtype and summed in float64 either way.
    name : str, optional
    """

    rows = metric_rows()
    better = "up"
    threshold_argument = None  # name of the argument with the threshold for outputs

    def __init__(self, dtype=None, name=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.name = name or snake_case(type(self).__name__)

    def for_core(self):
        """The metric for the engine: ``(row, parameters, target)``, or a function."""
        return self.row, self.params, self.target

    def check(self, n_outputs):
        """Raise a ValueError if the metric is undefined for a model with this number of outputs."""

    def follow(self, kind, n_outputs):
        """Set the arguments of a metric given by name to match the outputs and their kind (`outputs.kind_of`)."""
        if self.threshold_argument and kind in (outputs.LOGITS, outputs.MARGINS):
            setattr(self, self.threshold_argument, 0.0)
        if kind in (outputs.LOGITS, outputs.LOG_PROBABILITIES) and getattr(self, "from_logits", None) is False:
            self.from_logits = True

    def remedy(self, kind):
        """The argument that makes this metric match outputs of a kind; None if it matches already."""
        logits = getattr(self, "from_logits", None)
        if logits is not None and kind == (outputs.PROBABILITIES if logits else outputs.LOGITS):
            return f"from_logits={not logits}"
        threshold = self.threshold_argument and self.params[0]
        if threshold is None or threshold == inf:
            return None
        if kind in (outputs.LOGITS, outputs.MARGINS) and 0 < threshold < 1:
            return f"{self.threshold_argument}=0"
        return f"{self.threshold_argument}=0.5" if kind == outputs.PROBABILITIES and not 0 < threshold < 1 else None

    def result(self, sums, n):
        """Compute the metric of n samples from the core's sums, a scalar or an array (pairs, 2); NaN if undefined.

        With sample weights, n is the sum of the weights."""
        return float(sums) / n if n else nan


def _named(name):
    """Constructor of a metric without additional arguments."""

    def __init__(self, name=name, dtype=None, **kwargs):
        Metric.__init__(self, dtype, name, **kwargs)

    return __init__


class BinaryAccuracy(Metric):
    """Fraction of outputs on the correct side of `threshold`; targets are 0 or 1, or −1 or 1 as for `losses.Hinge`.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    threshold : float
    """

    row, threshold_argument = "binary_accuracy", "threshold"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self.threshold = number("threshold", threshold)


class CategoricalAccuracy(Metric):
    """Fraction of samples whose largest output is at the index of the largest target (one-hot)."""

    over_a_row = True
    row = "categorical_accuracy"
    __init__ = _named("categorical_accuracy")


class SparseCategoricalAccuracy(Metric):
    """Fraction of samples whose largest output is at the class label."""

    over_a_row = True
    row = "sparse_accuracy"
    __init__ = _named("sparse_categorical_accuracy")


class MeanSquaredError(Metric):
    """Mean of ``(y_pred - y_true) ** 2``."""

    row, better, aliases = "mean_squared_error", "down", ("mse",)
    __init__ = _named("mean_squared_error")


class MeanAbsoluteError(Metric):
    """Mean of ``|y_pred - y_true|``."""

    row, better, aliases = "mean_absolute_error", "down", ("mae",)
    __init__ = _named("mean_absolute_error")


class MeanAbsolutePercentageError(Metric):
    """Mean of ``100 * |y_true - y_pred| / max(|y_true|, 1e-7)``."""

    row, better, aliases = "mean_absolute_percentage_error", "down", ("mape",)
    __init__ = _named("mean_absolute_percentage_error")


class MeanSquaredLogarithmicError(Metric):
    """Mean of ``(log(1 + y_pred) - log(1 + y_true)) ** 2``."""

    row, better, aliases = "mean_squared_logarithmic_error", "down", ("msle",)
    __init__ = _named("mean_squared_logarithmic_error")


class RootMeanSquaredError(Metric):
    """Square root of the mean of ``(y_pred - y_true) ** 2`` over all samples and outputs."""

    row, better, aliases = "mean_squared_error", "down", ("rmse",)
    __init__ = _named("root_mean_squared_error")

    def result(self, sums, n):
        return float(np.sqrt(super().result(sums, n)))


class LogCoshError(Metric):
    """Mean of ``log(cosh(y_pred - y_true))``."""

    row, better, aliases = "log_cosh", "down", ("logcosh",)
    __init__ = _named("logcosh")


class Hinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0)``."""

    row, better = "hinge", "down"
    __init__ = _named("hinge")


class SquaredHinge(Metric):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``."""

    row, better = "squared_hinge", "down"
    __init__ = _named("squared_hinge")


class CategoricalHinge(Metric):
    """Mean of `losses.CategoricalHinge`."""

    over_a_row = True
    row, better = "categorical_hinge", "down"
    __init__ = _named("categorical_hinge")


class Poisson(Metric):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""

    row, better = "poisson", "down"
    __init__ = _named("poisson")


class KLDivergence(Metric):
    """``sum(y_true * log(y_true / y_pred))`` over the outputs."""

    over_a_row = True
    row, better, aliases = "kl_divergence", "down", ("kld",)
    __init__ = _named("kl_divergence")

    def remedy(self, kind):
        return None if kind in (None, outputs.PROBABILITIES) else "a softmax at the end of the model"


class CosineSimilarity(Metric):
    """Cosine similarity of `y_pred` and `y_true`: 1 if they have the same direction.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    axis : int
        Axis of the vectors: the last one.
    """

    over_a_row = True
    row = "cosine_similarity"

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self.axis = integer("axis", axis)

    def result(self, sums, n):
        return -super().result(sums, n)


class _Crossentropy(Metric):
    better = "down"

    def ask(self, from_logits, label_smoothing):
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
        self.ask(from_logits, label_smoothing)


class CategoricalCrossentropy(_Crossentropy):
    """Mean of the cross-entropy of one-hot targets; parameters as for `BinaryCrossentropy`, and `axis`: the last."""

    over_a_row = True
    row, logits_row = "crossentropy", "softmax_crossentropy"

    def __init__(
        self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1, **kwargs
    ):
        super().__init__(dtype, name, **kwargs)
        self.ask(from_logits, label_smoothing)
        self.axis = integer("axis", axis)


class SparseCategoricalCrossentropy(Metric):
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
    better = "down"

    def __init__(
        self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, ignore_class=None, axis=-1,
        **kwargs,
    ):  # fmt: skip
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)

    def for_core(self):
        return (self.logits_row if self.from_logits else self.row), self.params, self.target


class Accuracy(Metric):
    """Fraction of outputs that equal their targets; the *name* "accuracy" selects the kind that matches the model."""

    row = "equal_accuracy"
    __init__ = _named("accuracy")


class TopKCategoricalAccuracy(Metric):
    """Fraction of samples whose one-hot target is among the k largest outputs (fewer than k outputs are larger).

    Parameters
    ----------
    k : int
    name, dtype
        As for `Metric`.
    """

    over_a_row = True
    row = "top_k_accuracy"

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self.k = integer("k", k, 1)


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """`TopKCategoricalAccuracy` for class labels; of Keras' `from_sorted_ids` only the default is accepted."""

    row = "sparse_top_k_accuracy"
    without_effect = {"from_sorted_ids": False}

    def __init__(
        self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False, **kwargs
    ):
        super().__init__(k, name, dtype, **kwargs)
        check_without_effect(self, locals())


class _Confusion(Metric):
    """Base class of metrics of true and false positives and negatives.

    Parameters
    ----------
    thresholds : float, optional
        Outputs above it are positive; default 0.5.
    top_k : None
        For compatibility with Keras; only the default is accepted.
    class_id : int, optional
        Evaluate this output only.
    """

    row, threshold_argument = "confusion", "thresholds"

    without_effect = {"top_k": None}

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        if isinstance(thresholds, (list, tuple)):
            if len(thresholds) != 1:
                raise ValueError(
                    f"thresholds: expected a single number, got {thresholds}; a metric is a single number"
                )
            thresholds = thresholds[0]
        self.thresholds = None if thresholds is None else number("thresholds", thresholds, 0, 1)
        self.class_id = None if class_id is None else integer("class_id", class_id, 0)

    @property
    def params(self):
        return (0.5 if self.thresholds is None else self.thresholds,)

    def check(self, n_outputs):
        if self.class_id is not None and self.class_id >= n_outputs:
            raise ValueError(
                f"class_id: expected 0 to {n_outputs - 1}, as the model has {n_outputs} outputs, got {self.class_id}"
            )

    def result(self, sums, n):
        by_class = np.reshape(sums, (-1, 4))
        counts = by_class.sum(axis=0) if self.class_id is None else by_class[self.class_id]
        return float(self.value(*counts))


class Precision(_Confusion):
    """Precision, tp / (tp + fp): the fraction of positive predictions that are correct; NaN without any.

    Parameters
    ----------
    thresholds : float, optional
        Outputs above it are positive; default 0.5.
    top_k : None
        For compatibility with Keras; only the default is accepted.
    class_id : int, optional
        Evaluate this output only.
    name, dtype
        As for `Metric`.
    """

    def value(self, tp, fp, fn, tn):
        return curves.ratio(tp, tp + fp)


class Recall(_Confusion):
    """Recall, tp / (tp + fn): the fraction of positives found; NaN without any. Parameters as for `Precision`."""

    def value(self, tp, fp, fn, tn):
        return curves.ratio(tp, tp + fn)


class _Count(_Confusion):
    def __init__(self, thresholds=None, name=None, dtype=None, **kwargs):
        super().__init__(thresholds, None, None, name, dtype, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["class_id"]
        return config


class TruePositives(_Count):
    """Number of outputs above the threshold whose target is 1."""

    def value(self, tp, fp, fn, tn):
        return tp


class FalsePositives(_Count):
    """Number of outputs above the threshold whose target is 0."""

    better = "down"

    def value(self, tp, fp, fn, tn):
        return fp


class TrueNegatives(_Count):
    """Number of outputs not above the threshold whose target is 0."""

    def value(self, tp, fp, fn, tn):
        return tn


class FalseNegatives(_Count):
    """Number of outputs not above the threshold whose target is 1."""

    better = "down"

    def value(self, tp, fp, fn, tn):
        return fn


class FBetaScore(Metric):
    """F-beta score, (1 + β²) precision · recall / (β² precision + recall), per class or averaged.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        "micro": from the counts of all classes together; "macro": mean over classes; "weighted": mean
        weighted by class size. None is for models with one output. A class that occurs neither in
        the targets nor in the predictions is left out of the mean, as in scikit-learn; NaN if no
        class remains.
    beta : float
    threshold : float, optional
        Outputs above it are positive; default: the largest output of a sample is. Required for
        models with one output.
    name : str, optional
    """

    row, threshold_argument = "confusion", "threshold"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self.average = one_of("average", average, (None, "micro", "macro", "weighted"))
        self.beta = number("beta", beta, 0, open_low=True)
        self.threshold = None if threshold is None else number("threshold", threshold, 0, 1)

    @property
    def params(self):
        return (inf if self.threshold is None else self.threshold,)

    def follow(self, kind, n_outputs):
        if n_outputs == 1:
            self.threshold = 0.5
            super().follow(kind, n_outputs)

    def check(self, n_outputs):
        if self.threshold is None and n_outputs == 1:
            raise ValueError(
                f"threshold: expected a number for a model with one output (else every sample is positive), got None;"
                f" pass {type(self).__name__}(threshold=0.5), or 0 for logits"
            )
        if self.average is None and n_outputs > 1:
            raise ValueError(
                "average: expected 'micro', 'macro' or 'weighted' for a model with several outputs, got None, which"
                " gives one number per class"
            )

    def result(self, sums, n):
        tp, fp, fn, _ = np.reshape(sums, (-1, 4)).T
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        square, sizes = self.beta**2, tp + fn
        score = curves.ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average == "weighted":
            return float(curves.ratio(np.sum(score * sizes, where=sizes != 0), sizes.sum()))
        return _mean_of_defined(score)


class F1Score(FBetaScore):
    """F1 score, 2 precision · recall / (precision + recall); parameters as for `FBetaScore`."""

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None, **kwargs):
        super().__init__(average, 1.0, threshold, name, dtype, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["beta"]
        return config


class R2Score(Metric):
    """Coefficient of determination, 1 − Σ (y_true − y_pred)² / Σ (y_true − mean)²: 1 is perfect, 0 as good as the mean.

    Outputs with constant targets are left out; NaN if no others remain. Targets whose mean is a million times their
    spread count as constant: subtract the mean first.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"}
        How to average over outputs.
    num_regressors : int
        Number p of model inputs for the adjusted score 1 − (1 − R²) (n − 1) / (n − p − 1); 0: no adjustment. As in
        Keras, n is the number of targets, that is, samples times outputs; with too few of them there is no adjustment.
    name : str, optional
    """

    row = "squares"

    def __init__(
        self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None, **kwargs
    ):
        super().__init__(dtype, name, **kwargs)
        self.num_regressors = integer("num_regressors", num_regressors, 0)
        kinds = ("uniform_average", "variance_weighted_average")
        self.class_aggregation = one_of("class_aggregation", class_aggregation, kinds)

    def result(self, sums, n):
        total, square, residual, count = np.reshape(sums, (-1, 4)).T
        with np.errstate(all="ignore"):
            spread = square - total * (total / count)
            spread = np.where(spread <= 1e-12 * square, 0.0, spread)  # nothing but rounding
            score = 1 - residual / spread
        score = np.where(spread == 0, nan, score)
        if self.class_aggregation == "uniform_average":
            score = _mean_of_defined(score)
        else:
            score = float(curves.ratio(np.sum(score * spread, where=spread != 0), spread.sum()))
        n = float(np.sum(count))
        freedom = n - self.num_regressors - 1
        return score if not self.num_regressors or freedom < 1 else 1 - (1 - score) * (n - 1) / freedom


class _Curve(Metric):
    """Metrics computed from the counts at all thresholds: by ranks, or on a grid."""

    row = "histogram"
    from_logits = False

    def remedy(self, kind):
        found = None if self.num_thresholds is None else super().remedy(kind)
        return found and f"{found}, or no num_thresholds"

    @property
    def params(self):
        return float(self.num_thresholds), float(self.from_logits)

    def for_core(self):
        if self.num_thresholds is None:
            return BY_RANKS, (), self.target
        return super().for_core()

    def counts(self, sums):
        """True and false positives at each threshold, the lowest first."""
        if isinstance(sums, curves.Scores):
            return sums.counts()
        return np.cumsum(np.reshape(sums, (-1, 2))[::-1], axis=0)[::-1].T


class AUC(_Curve):
    """Area under the ROC or precision-recall curve, exact, from the ranks of the outputs. All outputs are pooled.

    NaN where the curve is undefined: without a positive target, for "ROC" also without a negative one.

    Parameters
    ----------
    num_thresholds : int, optional
        Use Keras' approximation by a histogram with this number of evenly spaced thresholds from 0 to 1
        (Keras' default: 200). Its error is of the order of 1 / `num_thresholds` for outputs that fill
        [0, 1], and unbounded for others.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring", "step"}
        Trapezoidal rule ("PR": Davis & Goadrich); the lower or the upper end of each step; the end
        of each step with more positives, which is scikit-learn's average precision.
    name, dtype
        As for `Metric`.
    thresholds, multi_label, num_labels, label_weights
        For compatibility with Keras; only the defaults are accepted.
    from_logits : bool
        Whether the outputs are logits; otherwise they are in [0, 1]. By ranks it makes no difference.

    Notes
    -----
    By ranks, the outputs of an epoch are kept until it ends: 5 bytes for each output of a float32 model, 9 with
    sample weights, and 24 for each distinct output if the value is requested during the epoch. Computing the
    value takes a sort; this happens after each batch only if a callback has batch hooks.

    References
    ----------
    Davis & Goadrich 2006, for the interpolation of precision and recall.
    """

    without_effect = {"thresholds": None, "multi_label": False, "num_labels": None, "label_weights": None}

    def __init__(
        self,
        num_thresholds=None,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
        **kwargs,
    ):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.num_thresholds = _thresholds(num_thresholds)
        self.curve = one_of("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring", "step")
        self.summation_method = one_of("summation_method", summation_method, methods)
        self.from_logits = flag("from_logits", from_logits)

    def result(self, sums, n):
        return curves.area(*self.counts(sums), self.curve, self.summation_method) if n else nan


class _AtThreshold(_Curve):
    """The best value of one rate where another is at least a given value; NaN where one is undefined everywhere."""

    wanted, given = None, None
    without_effect = {"class_id": None}

    def follow(self, kind, n_outputs):
        """Nothing to set: by name, thresholds are ranks."""

    def remedy(self, kind):
        grid = self.num_thresholds is not None and kind not in (None, outputs.PROBABILITIES)
        return "no num_thresholds" if grid else None

    def ask(self, least, num_thresholds):
        setattr(self, self.given, number(self.given, least, 0, 1))
        self.num_thresholds = _thresholds(num_thresholds)

    def result(self, sums, n):
        if not n:
            return nan
        tp, fp = self.counts(sums)
        rates = {
            "precision": curves.ratio(tp, tp + fp),
            "recall": curves.ratio(tp, tp[0]),
            "specificity": curves.ratio(fp[0] - fp, fp[0]),
        }
        rates["sensitivity"] = rates["recall"]
        wanted, given = rates[self.wanted], rates[self.given]
        if np.isnan(wanted).all() or np.isnan(given).all():
            return nan
        enough = (given >= getattr(self, self.given)) & ~np.isnan(wanted)
        return float(np.max(wanted, where=enough, initial=0.0))


def _thresholds(value):
    return None if value is None else integer("num_thresholds", value, 2)


class PrecisionAtRecall(_AtThreshold):
    """The largest precision over all thresholds where the recall is at least `recall`.

    NaN if one of the two is undefined at every threshold.

    Parameters
    ----------
    recall : float
        0 to 1.
    num_thresholds : int, optional
        Default: every output is a threshold; memory and time are as for `AUC`. Otherwise Keras' approximation
        (its default: 200) with this number of thresholds, at least 2, evenly spaced from 0 to 1; an output is above a
        threshold if it is larger; 0 is above 0.
    class_id : None
        For compatibility with Keras; only the default is accepted.
    name, dtype
        As for `Metric`.
    """

    wanted, given = "precision", "recall"

    def __init__(self, recall, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(recall, num_thresholds)


class RecallAtPrecision(_AtThreshold):
    """The largest recall over all thresholds where the precision is at least `precision`; 0 if there is none.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "recall", "precision"

    def __init__(self, precision, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(precision, num_thresholds)


class SensitivityAtSpecificity(_AtThreshold):
    """The largest sensitivity, tp / (tp + fn), over all thresholds where the specificity is at least `specificity`.

    Specificity is tn / (tn + fp). 0 if there is no such threshold.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "sensitivity", "specificity"

    def __init__(self, specificity, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(specificity, num_thresholds)


class SpecificityAtSensitivity(_AtThreshold):
    """The largest specificity, tn / (tn + fp), over all thresholds where the sensitivity is at least `sensitivity`.

    Sensitivity is tp / (tp + fn). 0 if there is no such threshold.

    Parameters as for `PrecisionAtRecall`.
    """

    wanted, given = "specificity", "sensitivity"

    def __init__(self, sensitivity, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(sensitivity, num_thresholds)


def _mean_of_defined(values):
    """Mean of the values that are not NaN; NaN if all are."""
    defined = np.asarray(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else nan


class _LossMetric(Metric):
    """A loss as a metric."""

    better = "down"

    def __init__(self, loss, name=None):
        if loss.reduction == "sum" or getattr(loss, "ignore_class", None) is not None:
            raise ValueError(f"metric {loss.name}: expected a loss that is a mean over all samples, got one with"
                             " reduction='sum' or ignore_class")  # fmt: skip
        self.loss, self.name = loss, name or loss.name
        self.target, self.over_a_row = loss.target, loss.over_a_row

    @property
    def from_logits(self):
        return self.loss.from_logits if self.loss.logits_row and "from_logits" in vars(self.loss) else None

    @from_logits.setter
    def from_logits(self, value):
        self.loss.from_logits = value

    def for_core(self):
        loss = self.loss
        return (loss.logits_row if loss.from_logits else loss.row), loss.params, loss.target


class PythonMetric(Metric):
    """A custom metric in NumPy; its result is reduced to one value per sample."""

    target = better = None

    def __init__(self, function, name=None):
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if not takes(function, 2):
            raise TypeError(f"metric {self.name}: expected a function (y_true, y_pred), got one with other arguments")

    def __call__(self, y_true, y_pred):
        n = len(y_pred)
        values = np.asarray(self.function(y_true, y_pred), np.float64)
        if values.ndim == 0:
            return np.full(n, values)
        if len(values) != n:
            raise ValueError(f"metric {self.name}: expected shape ({n},), got {values.shape}")
        return values.reshape(n, -1).mean(axis=1)

    def for_core(self):
        return self


def get(identifier):
    """Return the metric for a name (in any case), a description, an object, a class or a function; None for None.

    ``"accuracy"`` depends on the model and is resolved by `resolve`.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    if isinstance(identifier, str):
        return _by_name(identifier)
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is None or isinstance(found, Metric):
        return found
    if isinstance(found, losses.Loss):
        return _LossMetric(found)
    if hasattr(found, "loss_class"):
        return _LossMetric(found.loss_class(), found.__name__)
    if hasattr(found, "metric_class"):
        return found.metric_class()
    if not callable(found):
        raise TypeError(f"metric: expected a name, a Metric or a function (y_true, y_pred), got {found!r}")
    return PythonMetric(found)


def _by_name(name):
    try:
        cls = _registry.find(name)
    except ValueError:
        cls = None
    if cls is not None:
        try:
            return cls(name=name)
        except TypeError as error:  # it has an argument without a default
            raise TypeError(f"metrics: {name!r} requires arguments; pass {cls.__name__}(...) ({error})") from None
    try:
        return _LossMetric(losses.get(name), name)
    except ValueError:
        known = sorted({*names(), *losses.names(), *BY_SHAPE})
        raise ValueError(
            f"unknown metric {name!r}.{suggest(name, known)} Known: {', '.join(known)}. {CAN_PASS_OBJECT}"
        ) from None


def resolve(identifier, target, n_outputs, kind=None):
    """Return the metric as `get` does, for ``"accuracy"`` and ``"crossentropy"`` the matching kind, by Keras' rule.

    A metric given by name is adapted to the outputs: it takes logits where they are logits.

    Parameters
    ----------
    identifier : as for `get`
    target : {"labels", "values"}
        Class labels, or one value for each output.
    n_outputs : int
    kind : str, optional
        Kind of the outputs, see `outputs.kind_of`.
    """
    by_name = isinstance(identifier, str)
    kinds = BY_SHAPE.get(identifier.lower()) if by_name else None
    if kinds is None:
        metric = get(identifier)
    else:
        binary, sparse, dense = kinds
        metric = (binary if n_outputs == 1 else sparse if target == "labels" else dense)(name=identifier)
    if by_name:
        metric.follow(kind, n_outputs)
    metric.check(n_outputs)
    return metric


_ACCURACY = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
_LOG_LOSS = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)
# names that stand for the metric that matches the model
BY_SHAPE = {**dict.fromkeys(("accuracy", "acc"), _ACCURACY)}
BY_SHAPE |= dict.fromkeys(("crossentropy", "ce", "log_loss"), _LOG_LOSS)


def names():
    """Return the class names of the metrics; lookups ignore case and underscores."""
    return _registry.names()


def serialize(metric):
    """Return the description of a metric, for `deserialize` and `get`."""
    return metric.describe()


def deserialize(config, custom_objects=None):
    """Return the metric for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, config, custom_objects)


def _accuracy(cls):
    def run(y_true, y_pred, settings):
        from .. import ops

        metric = cls(**settings)
        parameters = dict(zip(metric.parameters, metric.params, strict=True))
        y_pred = as_array("y_pred", y_pred)
        y_pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
        y_true = as_array("y_true", y_true)
        rows = y_pred.reshape(-1, y_pred.shape[-1])
        if metric.target == "labels":
            targets = y_true.astype(np.int64).reshape(len(rows), 1)
        else:
            targets = cast("y_true", y_true, y_pred.dtype).reshape(rows.shape)
        values = [  # one by one: a metric of the kernels is a mean
            ops.metric(metric.row, targets[i : i + 1], rows[i : i + 1], 1, **parameters) for i in range(len(rows))
        ]
        return np.array(values, y_pred.dtype).reshape(y_pred.shape[:-1])

    doc = f"""Compute the metric of each row; parameters as for `{cls.__name__}`."""
    function = function_of(cls, snake_case(cls.__name__), ("y_true", "y_pred"), ("name", "dtype"), run, doc)
    function.metric_class = cls
    return function


_registry.add_classes(globals(), Metric)
__all__ = ["Metric", "PythonMetric", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
for _class in (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
):
    _made = _accuracy(_class)
    globals()[_made.__name__] = _made
    __all__.append(_made.__name__)
for _name in losses.__all__:  # every loss is a metric, also as a function
    if hasattr(getattr(losses, _name), "loss_class"):
        globals()[_name] = getattr(losses, _name)
        __all__.append(_name)
