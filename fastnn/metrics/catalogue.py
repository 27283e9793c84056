"""What is measured beside the loss: metrics, under Keras' names.

Each runs in the core: it leaves sums there, and its value is made of them here (`Metric.result`), for most the mean
over the samples of an epoch. Any loss is a metric too, and so
is a function in NumPy, ``function(y_true, y_pred)``, that returns one number for each sample (or
for each output, or for the batch).
"""

from math import inf, nan

import numpy as np

from .. import losses
from .._base.checks import (
    CAN_PASS_OBJECT,
    Registry,
    flag,
    integer,
    module_attributes,
    number,
    one_of,
    refuse_keywords,
    suggest,
    takes,
)
from .._base.config import CoreRow, float_dtype, is_description, snake_case
from .._base.numbers import as_array, cast
from .._base.signatures import check_without_effect, deserialized, function_of
from .._core.kernels import metric_rows
from . import curves, outputs

_registry = Registry("metric")
BY_RANKS = "by ranks"  # in the place of a row: the engine keeps the outputs, see `curves.Scores`


class Metric(CoreRow):
    """Base of the metrics that run in the core; `better` says which way is: "up" or "down".

    Parameters
    ----------
    dtype : {"float32", "float64"}, optional
        Values are those of the model's dtype and sums are float64, which either asks for.
    name : str, optional
    """

    rows = metric_rows()
    better = "up"
    threshold_argument = None  # name of the argument that an output has to be above

    def __init__(self, dtype=None, name=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.name = name or snake_case(type(self).__name__)

    def for_core(self):
        """What the engine takes: ``(row, parameters, target)``, or a function."""
        return self.row, self.params, self.target

    def check(self, n_outputs):
        """ValueError if the metric makes no sense for a model of so many outputs."""

    def follow(self, kind, n_outputs):
        """Take the arguments that fit so many outputs of a kind (`outputs.kind_of`): of a metric given by name."""
        if self.threshold_argument and kind in (outputs.LOGITS, outputs.MARGINS):
            setattr(self, self.threshold_argument, 0.0)
        if kind in (outputs.LOGITS, outputs.LOG_PROBABILITIES) and getattr(self, "from_logits", None) is False:
            self.from_logits = True

    def remedy(self, kind):
        """The argument that this metric lacks to make sense of outputs of a kind; None if it does."""
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
        """The metric of n samples from the sums of the core: a number, or (pairs, 2) of them; NaN if undefined.

        Of weighted samples, n is the sum of their weights."""
        return float(sums) / n if n else nan


def _named(name):
    """The constructor of a metric without arguments of its own."""

    def __init__(self, name=name, dtype=None, **kwargs):
        Metric.__init__(self, dtype, name, **kwargs)

    return __init__


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of `threshold`; targets are 0 or 1, or as of `losses.Hinge` −1 or 1.

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
    """Share of samples whose largest output is where the largest target is (one-hot)."""

    over_a_row = True
    row = "categorical_accuracy"
    __init__ = _named("categorical_accuracy")


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest output is at the class number."""

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
    """Mean of the square of the difference of ``log(1 + y)``."""

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
    """As the loss of this name."""

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
    """Cosine of the angle between `y_pred` and `y_true`: 1 if they point the same way.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    axis : int
        That of the vectors: the last one.
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
    """Mean of the cross-entropy of one-hot targets; parameters as of `BinaryCrossentropy`, and `axis`: the last."""

    over_a_row = True
    row, logits_row = "crossentropy", "softmax_crossentropy"

    def __init__(
        self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1, **kwargs
    ):
        super().__init__(dtype, name, **kwargs)
        self.ask(from_logits, label_smoothing)
        self.axis = integer("axis", axis)


class SparseCategoricalCrossentropy(Metric):
    """Mean of the cross-entropy of class numbers.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    from_logits : bool
    ignore_class : None
        Keras'; only its default is there (the loss has it).
    axis : int
        That of the classes: the last one.
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
    """Share of outputs that equal their targets; the *name* "accuracy" means the kind that fits the model."""

    row = "equal_accuracy"
    __init__ = _named("accuracy")


class TopKCategoricalAccuracy(Metric):
    """Share of samples where fewer than k outputs are larger than that of the one-hot target.

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
    """As `TopKCategoricalAccuracy`, of class numbers; of `from_sorted_ids`, Keras', only the default is there."""

    row = "sparse_top_k_accuracy"
    without_effect = {"from_sorted_ids": False}

    def __init__(
        self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False, **kwargs
    ):
        super().__init__(k, name, dtype, **kwargs)
        check_without_effect(self, locals())


class _Confusion(Metric):
    """What is made of true and false positives and negatives.

    Parameters
    ----------
    thresholds : float, optional
        An output above it is a yes; default 0.5.
    top_k : None
        Keras'; only its default is there.
    class_id : int, optional
        Look at this output only.
    """

    row, threshold_argument = "confusion", "thresholds"

    without_effect = {"top_k": None}

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        if isinstance(thresholds, (list, tuple)):
            if len(thresholds) != 1:
                raise ValueError(
                    f"thresholds: expected one number, got {thresholds}; a metric here is one number"
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
    """tp / (tp + fp): the share of yes that is right; NaN if there is no yes.

    Parameters
    ----------
    thresholds : float, optional
        An output above it is a yes; default 0.5.
    top_k : None
        Keras'; only its default is there.
    class_id : int, optional
        Look at this output only.
    name, dtype
        As for `Metric`.
    """

    def value(self, tp, fp, fn, tn):
        return curves.ratio(tp, tp + fp)


class Recall(_Confusion):
    """tp / (tp + fn): the share of what is that was found, NaN if nothing is; parameters as of `Precision`."""

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
    """(1 + β²) precision · recall / (β² precision + recall), of each class or of all together.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        All counts together; the mean over classes; that weighted by the classes' sizes. None is for
        models with one output. A class that neither targets nor predictions have is left out of a
        mean, as by scikit-learn; NaN if there is none with.
    beta : float
    threshold : float, optional
        An output above it is a yes; default: the largest output of a sample is. A model with one
        output needs one.
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
                f"threshold: None is a yes for the largest output of a sample, and of one output that is every sample;"
                f" expected a number, got None; pass {type(self).__name__}(threshold=0.5), or 0 for logits"
            )
        if self.average is None and n_outputs > 1:
            raise ValueError(
                "average: None is one number for each class, and a metric here is one number; expected 'micro', 'macro'"
                " or 'weighted'"
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
    """2 precision · recall / (precision + recall); parameters as of `FBetaScore`."""

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None, **kwargs):
        super().__init__(average, 1.0, threshold, name, dtype, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["beta"]
        return config


class R2Score(Metric):
    """1 − Σ (y_true − y_pred)² / Σ (y_true − mean)²: 1 is perfect, 0 as good as the mean.

    Outputs whose targets do not differ have none and are left out; NaN if there are no others. That they differ is not
    seen if their mean is a million times their spread: subtract the mean then.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"}
        How outputs are put together.
    num_regressors : int
        p inputs of the model, to adjust the score by: 1 − (1 − R²) (n − 1) / (n − p − 1); 0 does not. As in Keras n is
        the number of targets, so of samples times outputs; with too few of them nothing is adjusted.
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
    """Made of the counts at all thresholds: by ranks, or those of a grid."""

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
        """True and false positives of each threshold, the lowest first."""
        if isinstance(sums, curves.Scores):
            return sums.counts()
        return np.cumsum(np.reshape(sums, (-1, 2))[::-1], axis=0)[::-1].T


class AUC(_Curve):
    """Area under a curve, by the ranks of the outputs: exact. All outputs count together.

    NaN where the curve is undefined: without a positive target, for "ROC" also without a negative one.

    Parameters
    ----------
    num_thresholds : int, optional
        Keras' approximation instead, by a histogram of so many evenly spaced thresholds from 0 to 1
        (Keras' default: 200). Its error is of the order of 1 / this for outputs that fill [0, 1], and
        has no bound for others.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring", "step"}
        By trapezoids ("PR": Davis & Goadrich); by the lower or the higher end of each step; by the
        end of each step that has more positives, which is scikit-learn's average precision.
    name, dtype
        As for `Metric`.
    thresholds, multi_label, num_labels, label_weights
        Keras'; only their defaults are there.
    from_logits : bool
        The outputs are logits; else they are in [0, 1]. By ranks it makes no difference.

    Notes
    -----
    By ranks, the outputs of an epoch are kept until it ends: 5 bytes each of a float32 model, 9 with
    sample weights, and 24 for each different one where the value is asked for in between. A value costs
    a sort, after each batch only if a callback looks at batches.

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
    """The best of one rate where another is at least what was asked for; NaN where one is undefined everywhere."""

    wanted, given = None, None
    without_effect = {"class_id": None}

    def follow(self, kind, n_outputs):
        """Nothing: by name, thresholds are ranks."""

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
    """The largest precision at a threshold where the recall is at least `recall`.

    NaN where one of the two is undefined, whatever the threshold.

    Parameters
    ----------
    recall : float
        0 to 1.
    num_thresholds : int, optional
        Default: every output is a threshold, for which memory and time are as of `AUC`. Else Keras' approximation
        (its default: 200): so many, at least 2, spaced evenly from 0 to 1; an output is above a threshold if it is
        larger; 0 is above 0.
    class_id : None
        Keras'; only its default is there.
    name, dtype
        As for `Metric`.
    """

    wanted, given = "precision", "recall"

    def __init__(self, recall, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(recall, num_thresholds)


class RecallAtPrecision(_AtThreshold):
    """The largest recall at a threshold where the precision is at least `precision`; 0 if there is none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "recall", "precision"

    def __init__(self, precision, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(precision, num_thresholds)


class SensitivityAtSpecificity(_AtThreshold):
    """The largest tp / (tp + fn) at a threshold where tn / (tn + fp) is at least `specificity`; 0 if there is none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "sensitivity", "specificity"

    def __init__(self, specificity, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(specificity, num_thresholds)


class SpecificityAtSensitivity(_AtThreshold):
    """The largest tn / (tn + fp) at a threshold where tp / (tp + fn) is at least `sensitivity`; 0 if there is none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "specificity", "sensitivity"

    def __init__(self, sensitivity, num_thresholds=None, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(sensitivity, num_thresholds)


def _mean_of_defined(values):
    """The mean of what is no NaN; NaN if all is."""
    defined = np.asarray(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else nan


class _LossMetric(Metric):
    """A loss, measured."""

    better = "down"

    def __init__(self, loss, name=None):
        if loss.reduction == "sum" or getattr(loss, "ignore_class", None) is not None:
            raise ValueError(f"metric {loss.name}: expected a mean over all samples; a sum, or one that leaves out a"
                             " class, is a loss only")  # fmt: skip
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
    """A function of the user's own; one number a sample is made of whatever it returns."""

    target = better = None

    def __init__(self, function, name=None):
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if not takes(function, 2):
            raise TypeError(f"metric {self.name}: expected a function (y_true, y_pred), got one of other arguments")

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
    """The metric for a name in any case, a description, an object, a class or a function; None for None.

    ``"accuracy"`` depends on the model and is resolved by `resolve`.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, losses.Loss):
        return _LossMetric(identifier)
    if hasattr(identifier, "loss_class"):
        return _LossMetric(identifier.loss_class(), identifier.__name__)
    if hasattr(identifier, "metric_class"):
        return identifier.metric_class()
    if isinstance(identifier, str):
        return _by_name(identifier)
    if is_description(identifier):
        return _registry.find(identifier["class_name"]).from_config(identifier["config"])
    if isinstance(identifier, type):
        return get(identifier())
    if not callable(identifier):
        raise TypeError(
            f"metric: expected a name, a Metric or a function (y_true, y_pred), got {identifier!r}"
        )
    return PythonMetric(identifier)


def _by_name(name):
    try:
        cls = _registry.find(name)
    except ValueError:
        cls = None
    if cls is not None:
        try:
            return cls(name=name)
        except TypeError as error:  # it has an argument without a default
            raise TypeError(f"metrics: {name!r} needs arguments: pass a {cls.__name__}(...) ({error})") from None
    try:
        return _LossMetric(losses.get(name), name)
    except ValueError:
        known = sorted({*names(), *losses.names(), *BY_SHAPE})
        raise ValueError(
            f"unknown metric {name!r}.{suggest(name, known)} Known: {', '.join(known)}. {CAN_PASS_OBJECT}"
        ) from None


def resolve(identifier, target, n_outputs, kind=None):
    """`get`, and for ``"accuracy"`` and ``"crossentropy"`` the kind that fits, by Keras' rule.

    A metric given by name follows the outputs: it takes logits where they are logits.

    Parameters
    ----------
    identifier : as for `get`
    target : {"labels", "values"}
        Class numbers, or as many numbers as there are outputs.
    n_outputs : int
    kind : str, optional
        What the outputs are, see `outputs.kind_of`.
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
# names that mean the metric which fits the model
BY_SHAPE = {**dict.fromkeys(("accuracy", "acc"), _ACCURACY)}
BY_SHAPE |= dict.fromkeys(("crossentropy", "ce", "log_loss"), _LOG_LOSS)


def names():
    """Names of the metrics, as classes; any case, with or without underscores, is found."""
    return _registry.names()


def serialize(metric):
    """The description of a metric, which `deserialize` and `get` take."""
    return metric.describe()


def deserialize(config, custom_objects=None):
    """The metric that `serialize` described, or of a name; `custom_objects` has names to classes of your own."""
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

    doc = f"""The metric of each row; parameters as of `{cls.__name__}`."""
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
__getattr__, __dir__ = module_attributes(__name__, __all__)
