"""What is measured beside the loss: metrics, under Keras' names.

Each runs in the core: it leaves sums there, and its value is made of them here (`Metric.result`), for most the mean
over the samples of an epoch. Any loss is a metric too, and so
is a function in NumPy, ``function(y_true, y_pred)``, that returns one number for each sample (or
for each output, or for the batch).
"""

from math import inf

import numpy as np

from . import losses
from ._checks import (
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
from ._config import CoreRow, float_dtype, is_description, snake_case
from ._core.kernels import metric_rows
from ._numbers import as_array, cast
from ._signatures import check_without_effect, deserialized, function_of

_registry = Registry("metric")
EPSILON = 1e-7


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

    def __init__(self, dtype=None, name=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.name = name or snake_case(type(self).__name__)

    def for_core(self):
        """What the engine takes: ``(row, parameters, target)``, or a function."""
        return self.row, self.params, self.target

    def check(self, n_outputs):
        """ValueError if the metric makes no sense for a model of so many outputs."""

    def result(self, sums, n):
        """The metric of n samples from the sums of the core: a number, or (pairs, 2) of them."""
        return float(sums) / max(n, 1)


def _named(name):
    """The constructor of a metric without arguments of its own."""

    def __init__(self, name=name, dtype=None, **kwargs):
        Metric.__init__(self, dtype, name, **kwargs)

    return __init__


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of `threshold`.

    Parameters
    ----------
    name, dtype
        As for `Metric`.
    threshold : float
    """

    row = "binary_accuracy"

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

    row = "confusion"

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
    """tp / (tp + fp): the share of yes that is right; 0 if there is no yes.

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
        return _ratio(tp, tp + fp)


class Recall(_Confusion):
    """tp / (tp + fn): the share of what is that was found; parameters as of `Precision`."""

    def value(self, tp, fp, fn, tn):
        return _ratio(tp, tp + fn)


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
        models with one output.
    beta : float
    threshold : float, optional
        An output above it is a yes; default: the largest output of a sample is.
    name : str, optional
    """

    row = "confusion"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        self.average = one_of("average", average, (None, "micro", "macro", "weighted"))
        self.beta = number("beta", beta, 0, open_low=True)
        self.threshold = None if threshold is None else number("threshold", threshold, 0, 1)

    @property
    def params(self):
        return (inf if self.threshold is None else self.threshold,)

    def check(self, n_outputs):
        if self.average is None and n_outputs > 1:
            raise ValueError(
                "average: None is one number for each class, and a metric here is one number; expected 'micro', 'macro'"
                " or 'weighted'"
            )

    def result(self, sums, n):
        tp, fp, fn, _ = np.reshape(sums, (-1, 4)).T
        weights = tp + fn
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + EPSILON) * (1 + square)
        if self.average == "weighted":
            return float(np.sum(score * weights / (weights.sum() + EPSILON)))
        return float(np.mean(score))


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

    Of targets that do not differ it is 0. That they differ is not seen if their mean is a million times their spread:
    subtract the mean then.

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
        score = np.where(np.isinf(score), 0.0, score)
        weights = spread if self.class_aggregation != "uniform_average" and spread.any() else None
        n, score = float(np.sum(count)), float(np.average(score, weights=weights))
        freedom = n - self.num_regressors - 1
        return score if not self.num_regressors or freedom < 1 else 1 - (1 - score) * (n - 1) / freedom


class AUC(Metric):
    """Area under a curve, from a histogram of the outputs, as Keras does it. All outputs count together.

    Parameters
    ----------
    num_thresholds : int
        At least 2; the error is of the order of 1 / this.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring"}
    name, dtype
        As for `Metric`.
    thresholds, multi_label, num_labels, label_weights
        Keras'; only their defaults are there.
    from_logits : bool
        The outputs are logits; else they are in [0, 1].

    References
    ----------
    Davis & Goadrich 2006, for the interpolation of precision and recall.
    """

    without_effect = {"thresholds": None, "multi_label": False, "num_labels": None, "label_weights": None}
    row = "histogram"

    def __init__(
        self,
        num_thresholds=200,
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
        self.num_thresholds = integer("num_thresholds", num_thresholds, 2)
        self.curve = one_of("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring")
        self.summation_method = one_of("summation_method", summation_method, methods)
        self.from_logits = flag("from_logits", from_logits)

    def result(self, sums, n):
        tp, fp = np.cumsum(sums[::-1], axis=0)[::-1].T  # of each threshold
        positives, negatives = tp[0], fp[0]
        if self.curve == "PR" and self.summation_method == "interpolation":
            found = tp + fp
            step, hits = found[:-1] - found[1:], tp[:-1] - tp[1:]
            slope = _ratio(hits, step)
            start = tp[1:] - slope * found[1:]
            both = (found[:-1] > 0) & (found[1:] > 0)
            growth = np.where(both, _ratio(found[:-1], found[1:]), 1.0)
            return float(np.sum(_ratio(slope * (hits + start * np.log(growth)), positives)))
        recall = _ratio(tp, positives)
        x, y = recall, _ratio(tp, tp + fp)
        if self.curve == "ROC":
            x, y = _ratio(fp, negatives), recall
        heights = {
            "interpolation": lambda: (y[:-1] + y[1:]) / 2,
            "minoring": lambda: np.minimum(y[:-1], y[1:]),
            "majoring": lambda: np.maximum(y[:-1], y[1:]),
        }[self.summation_method]()
        return float(np.sum((x[:-1] - x[1:]) * heights))


class _AtThreshold(Metric):
    """The best of one rate where another is at least what was asked for, over evenly spaced thresholds."""

    row, wanted, given = "histogram", None, None
    without_effect = {"class_id": None}

    def ask(self, least, num_thresholds):
        setattr(self, self.given, number(self.given, least, 0, 1))
        self.num_thresholds = integer("num_thresholds", num_thresholds, 2)

    @property
    def params(self):
        return float(self.num_thresholds), 0.0

    def result(self, sums, n):
        tp, fp = np.cumsum(sums[::-1], axis=0)[::-1].T  # of each threshold
        rates = {
            "precision": _ratio(tp, tp + fp),
            "recall": _ratio(tp, tp[0]),
            "specificity": _ratio(fp[0] - fp, fp[0]),
        }
        rates["sensitivity"] = rates["recall"]
        enough = rates[self.given] >= getattr(self, self.given)
        return float(np.max(rates[self.wanted], where=enough, initial=0.0))


class PrecisionAtRecall(_AtThreshold):
    """The largest precision at a threshold where the recall is at least `recall`; 0 if there is none.

    Parameters
    ----------
    recall : float
        0 to 1.
    num_thresholds : int
        At least 2, spaced evenly from 0 to 1; an output is above a threshold if it is larger; 0 is above 0.
    class_id : None
        Keras'; only its default is there.
    name, dtype
        As for `Metric`.
    """

    wanted, given = "precision", "recall"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(recall, num_thresholds)


class RecallAtPrecision(_AtThreshold):
    """The largest recall at a threshold where the precision is at least `precision`; 0 if none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "recall", "precision"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(precision, num_thresholds)


class SensitivityAtSpecificity(_AtThreshold):
    """The largest tp / (tp + fn) at a threshold where tn / (tn + fp) is at least `specificity`; 0 if none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "sensitivity", "specificity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(specificity, num_thresholds)


class SpecificityAtSensitivity(_AtThreshold):
    """The largest tn / (tn + fp) at a threshold where tp / (tp + fn) is at least `sensitivity`; 0 if none.

    Parameters as of `PrecisionAtRecall`.
    """

    wanted, given = "specificity", "sensitivity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None, **kwargs):
        super().__init__(dtype, name, **kwargs)
        check_without_effect(self, locals())
        self.ask(sensitivity, num_thresholds)


def _ratio(a, b):
    """a / b, and 0 where b is 0."""
    with np.errstate(all="ignore"):
        return np.where(np.equal(b, 0), 0.0, np.divide(a, b))


class _LossMetric(Metric):
    """A loss, measured."""

    better = "down"

    def __init__(self, loss, name=None):
        if loss.reduction == "sum" or getattr(loss, "ignore_class", None) is not None:
            raise ValueError(f"metric {loss.name}: expected a mean over all samples; a sum, or one that leaves out a"
                             " class, is a loss only")  # fmt: skip
        self.loss, self.name = loss, name or loss.name
        self.target, self.over_a_row = loss.target, loss.over_a_row

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


def resolve(identifier, target, n_outputs):
    """`get`, and for ``"accuracy"`` and ``"crossentropy"`` the kind that fits, by Keras' rule.

    Parameters
    ----------
    identifier : as for `get`
    target : {"labels", "dense"}
        Class numbers, or as many numbers as there are outputs.
    n_outputs : int
    """
    kinds = BY_SHAPE.get(identifier.lower()) if isinstance(identifier, str) else None
    if kinds is None:
        metric = get(identifier)
        metric.check(n_outputs)
        return metric
    binary, sparse, dense = kinds
    return (binary if n_outputs == 1 else sparse if target == "labels" else dense)(name=identifier)


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
        from . import ops

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
