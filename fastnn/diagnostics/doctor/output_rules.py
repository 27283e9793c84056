"""Rules about the outputs of a model: last activation, loss and metrics, without any data. `compile` runs them."""

from __future__ import annotations

import numpy as np

from ...layers.normalization import Normalization
from ...metrics import outputs
from .parts import name_of
from .registry import found, rule

UNBOUNDED_LOG = "Goodfellow, Bengio & Courville 2016, section 6.2.2"


@rule("FN101", "softmax-of-one-unit", "wrong_last_activation", "Softmax over one unit", "built",
      reference=UNBOUNDED_LOG)  # fmt: skip
def softmax_of_one(facts):
    """A softmax divides the exponential of each output by their sum, so a single output is always 1 (and its logarithm
    0), whatever the weights: all gradients are zero."""
    if facts.activation in ("softmax", "log_softmax") and facts.shape[-1:] == (1,):
        value = 1 if facts.activation == "softmax" else 0
        yield found(
            "error",
            f"{facts.activation} over one unit is {value} for every sample, whatever the weights",
            "Use activation='sigmoid' with BinaryCrossentropy, or one unit per class."
            if facts.wanted is not None
            else "Use activation='sigmoid' with BinaryCrossentropy for two classes, no activation for a regression, or"
            " one unit per class.",
            "A constant output has no gradient, so nothing is learned.",
            facts.last.name, {"units": 1}, 0.97,
        )  # fmt: skip


@rule("FN102", "probabilities-as-logits", "double_softmax", "Probabilities passed as logits", "built", "compiled",
      reference=UNBOUNDED_LOG)  # fmt: skip
def probabilities_as_logits(facts):
    """The model ends with softmax or sigmoid, and the loss was created with ``from_logits=True``, so it applies
    softmax or sigmoid again. The loss then cannot approach its minimum, and gradients are small."""
    kind = outputs.OF_ACTIVATION.get(facts.activation)
    # the softmax of log-probabilities gives the probabilities
    exact = facts.activation == "log_softmax" and getattr(facts.loss, "through", None) == "softmax"
    if facts.wanted == outputs.LOGITS and kind is not None and not exact:
        yield found(
            "error",
            f"the model ends with {facts.activation} and {facts.loss_name}(from_logits=True) applies"
            f" {facts.loss.through} again: gradients are small and the minimum cannot be reached",
            "Use from_logits=False, or end the model without an activation.",
            "Logits in [0, 1] give nearly equal probabilities, however certain the model is.",
            facts.last.name, likelihood=0.95,
        )  # fmt: skip


@rule("FN103", "log-probabilities-as-probabilities", "wrong_last_activation", "Log-probabilities instead of"
      " probabilities", "built", "compiled", reference=UNBOUNDED_LOG)  # fmt: skip
def log_probabilities(facts):
    """The model returns logarithms of probabilities, but the loss expects the probabilities themselves."""
    if facts.wanted != outputs.PROBABILITIES:
        return
    if outputs.OF_ACTIVATION.get(facts.activation) == outputs.LOG_PROBABILITIES:
        yield found(
            "error",
            f"the model ends with {facts.activation}, but {facts.loss_name} expects probabilities",
            "End the model with softmax or sigmoid, or use NLLLoss with log_softmax.",
            "Logarithms of probabilities are negative: they are clipped and have no gradient.",
            facts.last.name, likelihood=0.95,
        )  # fmt: skip


@rule("FN104", "outputs-are-no-probabilities", "wrong_last_activation", "Outputs that are not probabilities", "built",
      "compiled", reference=UNBOUNDED_LOG)  # fmt: skip
def no_probabilities(facts):
    """A cross-entropy expects probabilities, but the last activation (relu, tanh or none) gives values outside [0, 1].
    These are clipped, and clipped values have no gradient. The fault is `missing_activation` if there is no
    activation at all."""
    if facts.wanted != outputs.PROBABILITIES or facts.activation is None:
        return
    if outputs.OF_ACTIVATION.get(facts.activation) is not None:
        return
    binary, (low, high) = "binary" in facts.loss.row, facts.limits
    if low >= 0 and not facts.stops_at_zero and (not binary or high <= 1):  # other losses divide by their sum
        return
    linear = facts.activation == "linear"
    end = "sigmoid" if binary else "softmax"
    given = "without an activation" if linear else f"with {facts.activation}"
    other = " or use from_logits=True." if facts.loss.logits_row and linear else ""
    clipped = "negative outputs are 0 for relu, and" if low >= 0 else "outputs outside [0, 1] are"
    yield found(
        "error",
        f"the model ends {given}, but {facts.loss_name} expects probabilities: outputs outside [0, 1] are clipped"
        " and have no gradient"
        if low < 0 or binary
        else f"the model ends {given}, but {facts.loss_name} expects probabilities: a class whose output is 0 has no"
        " gradient",
        f"End the model with activation='{end}'{',' if other else '.'}{other}",
        f"The loss takes logarithms of the outputs; {clipped} clipped, so such samples teach nothing.",
        facts.last.name, likelihood=0.95, fault="missing_activation" if linear else None,
    )  # fmt: skip


@rule("FN113", "classes-by-sigmoid", "wrong_last_activation", "Sigmoid outputs for mutually exclusive classes",
      "built", "compiled", reference=UNBOUNDED_LOG)  # fmt: skip
def classes_by_sigmoid(facts):
    """The loss compares probabilities of mutually exclusive classes, which sum to 1; sigmoid outputs do not."""
    if getattr(facts.loss, "through", None) != "softmax" or facts.loss.from_logits or not facts.n > 1:
        return
    if facts.activation in ("sigmoid", "hard_sigmoid", "sparse_sigmoid"):
        yield found(
            "error",
            f"the model ends with {facts.activation}, but {facts.loss_name} expects probabilities of mutually"
            " exclusive classes",
            "End the model with activation='softmax', or use BinaryCrossentropy for labels that are not mutually"
            " exclusive.",
            "Outputs are divided by their sum, so all of them may become small or large together.",
            facts.last.name, likelihood=0.93,
        )  # fmt: skip


@rule("FN105", "nll-without-log-softmax", "wrong_last_activation", "NLLLoss without log_softmax", "built", "compiled")
def nll_without_log_softmax(facts):
    """`NLLLoss` is minus the output for the class label. Unless outputs are log-probabilities, it has no minimum, or
    the wrong one."""
    if facts.wanted == outputs.LOG_PROBABILITIES and facts.activation not in (None, "log_softmax"):
        yield found(
            "error",
            f"{facts.loss_name} expects log-probabilities, but the model ends with {facts.activation}: the loss has no"
            " minimum, or a different one",
            "End the model with activation='log_softmax', or use SparseCategoricalCrossentropy.",
            "The loss can fall without limit, without any class being recognised.",
            facts.last.name, likelihood=0.95, fault="missing_activation" if facts.activation == "linear" else None,
        )  # fmt: skip


@rule("FN106", "hinge-of-probabilities", "wrong_loss", "Hinge loss of probabilities", "built", "compiled")
def hinge_of_probabilities(facts):
    """Hinge losses compare margins, which are negative for one of the classes; outputs in [0, 1] are never negative."""
    if facts.row in ("hinge", "squared_hinge") and outputs.OF_ACTIVATION.get(facts.activation) == outputs.PROBABILITIES:
        yield found(
            "error",
            f"{facts.loss_name} expects margins, negative for one class, but {facts.activation} gives values in [0, 1]",
            "End the model without an activation or with activation='tanh', or use a cross-entropy.",
            "The best the model can do for the negative class is 0.",
            facts.last.name, likelihood=0.9,
        )  # fmt: skip


@rule("FN107", "classes-of-one-unit", "wrong_loss", "Loss or metric of several classes for one unit", "built",
      "compiled")  # fmt: skip
def classes_of_one(facts):
    """The loss or a metric compares several outputs of a sample, but the model has one. It is then the same for every
    sample, whatever the output is."""
    if facts.n != 1 or facts.activation in ("softmax", "log_softmax"):  # see `softmax_of_one`
        return
    for part in (facts.loss, *facts.metrics):
        several = getattr(part, "over_a_row", False) or getattr(part, "target", None) == "labels"
        if several and getattr(part, "loss", part).row != "kl_divergence":  # which one output may have
            yield found(
                "error",
                f"{name_of(part)} compares several outputs, but the model has one: it is the same for every sample",
                "Use the binary loss or metric, or one unit per class.",
                "A loss that does not depend on the output has no gradient.",
                likelihood=0.95 if part is facts.loss else 0.4, fault=None if part is facts.loss else "wrong_metric",
            )  # fmt: skip


@rule("FN108", "top-k-of-all", "wrong_metric", "Top-k accuracy of all classes", "built", "compiled")
def top_k_of_all(facts):
    """If k is at least the number of outputs, every sample counts as correct."""
    for metric in facts.metrics:
        if "top_k" in (metric.row or "") and metric.k >= facts.n > 1:
            yield found(
                "error",
                f"{name_of(metric)} with k={metric.k} is 1 for every sample, as the model has {facts.n} outputs",
                f"Use a k below {facts.n}.",
                "The metric says nothing about the model.",
                evidence={"k": metric.k, "outputs": facts.n}, likelihood=0.3,
            )  # fmt: skip


@rule("FN109", "accuracy-by-equality", "wrong_metric", "Accuracy by equality", "built", "compiled")
def accuracy_by_equality(facts):
    """``Accuracy()`` counts outputs that are exactly equal to their targets, which real outputs hardly ever are."""
    for metric in facts.metrics:
        if metric.row == "equal_accuracy" and facts.activation not in (None, "threshold"):
            yield found(
                "error",
                "Accuracy() counts outputs that equal their targets exactly, which is rare for this model",
                "Use metrics=['accuracy'], which selects the right kind, or BinaryAccuracy(), CategoricalAccuracy().",
                "The metric is near 0 however good the model is.",
                likelihood=0.3,
            )  # fmt: skip


@rule("FN110", "binary-accuracy-of-classes", "wrong_metric", "Binary accuracy of several classes", "built", "compiled")
def binary_accuracy_of_classes(facts):
    """Binary accuracy counts every output separately. Of k classes, k - 1 are absent from each sample, so outputs
    near 0 already score 1 - 1 / k."""
    for metric in facts.metrics:
        if metric.row == "binary_accuracy" and facts.activation == "softmax" and facts.n > 1:
            yield found(
                "error",
                f"{name_of(metric)} of {facts.n} classes counts every output separately: outputs near 0 for all classes"
                f" already score {1 - 1 / facts.n:.2f}",
                "Use metrics=['accuracy'] or CategoricalAccuracy().",
                "The metric looks good before anything is learned.",
                evidence={"classes": facts.n, "score_of_zeros": 1 - 1 / facts.n}, likelihood=0.4,
            )  # fmt: skip


@rule("FN111", "metric-of-other-outputs", "wrong_metric", "Metric for another kind of output", "built", "compiled")
def metric_of_other_outputs(facts):
    """A metric object expects another kind of output than the model has, such as probabilities instead of logits. A
    metric given by name is adapted to the model."""
    for metric in facts.metrics:
        remedy = None if facts.kind is None else metric.remedy(facts.kind)
        if remedy is not None:
            yield found(
                "error",
                f"{name_of(metric)} does not match a model whose outputs are {facts.kind}",
                f"Use {remedy}" + (", or pass the metric by name." if "softmax" not in remedy else "."),
                "The metric is not what its name says.",
                evidence={"outputs": facts.kind}, likelihood=0.3,
            )  # fmt: skip


@rule("FN112", "normalization-not-adapted", "unscaled_data", "Normalization without adapt", "built")
def normalization_not_adapted(facts):
    """A `Normalization` layer has mean 0 and variance 1 until ``adapt(x)`` is called, so it has no effect."""
    for i, layer in enumerate(facts.layers, 1):
        if isinstance(layer, Normalization) and layer.built and layer.input_mean is None and not layer.adapted:
            if not np.any(layer.mean.numpy()) and np.all(layer.variance.numpy() == 1):
                yield found(
                    "error",
                    f"layer {i} of the model, a Normalization, was not adapted: with mean 0 and variance 1 it has no"
                    " effect",
                    "Call its adapt(x) before training, or pass mean= and variance=.",
                    "The inputs stay as they are.",
                    layer.name, likelihood=0.7,
                )  # fmt: skip


AT_COMPILE = ("FN101", "FN102", "FN103", "FN104", "FN105", "FN106", "FN107", "FN108", "FN109", "FN110", "FN111",
    "FN113")
AT_RUN = (*AT_COMPILE, "FN112")
