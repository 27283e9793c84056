"""Consistency checks of compiled models: combinations that train without an error but are probably mistakes.

(a) Every check is a function of a `Parts` that yields findings; `CHECKS` lists them. It uses layers, loss and
    metrics, but no data.
(b) A finding has a stable code, a description and a remedy.
(c) `warn` shows each finding once per model. The messages do not contain automatically numbered names, so Python's
    own filter shows them once if a loop creates many models.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from .. import metrics
from ..layers.normalization import Normalization
from ..metrics import outputs
from ..training.needs import need_compile

if TYPE_CHECKING:
    from ..models.model import Model

POSITIVE = {"exponential", "relu", "relu6", "softplus", "sparse_plus", "squareplus"}  # the loss divides by their sum


class ConsistencyWarning(UserWarning):
    """Warning of inconsistent parts of a model.

    Silence it with ``warnings.filterwarnings("ignore", category=fastnn.diagnostics.ConsistencyWarning)``.
    """


@dataclass(frozen=True)
class Finding:
    """A probable mistake in a model.

    Attributes
    ----------
    code : str
        Stable name of the kind, such as "softmax-of-one-unit".
    message : str
        Description of the problem and its consequence.
    remedy : str
        How to fix it.
    """

    code: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy} [{self.code}]"


class Parts:
    """The parts of a model that the checks use."""

    def __init__(self, model):
        self.layers = list(model.leaves())
        self.loss = model.loss
        self.shape = model.out_shape
        self.n = prod(model.out_shape)
        self.activation = outputs.last_activation(self.layers)
        self.wanted = outputs.wanted_by(model.loss)
        self.kind = outputs.kind_of(self.activation, model.loss)
        asked = model.metrics
        # metrics given by name are adapted to the model when its targets are known
        self.metrics = [m if isinstance(m, metrics.Metric) else metrics.get(m) for m in asked if not isinstance(m, str)]

    @property
    def loss_name(self):
        return type(self.loss).__name__


def softmax_of_one(parts):
    if parts.activation in ("softmax", "log_softmax") and parts.shape[-1:] == (1,):
        value = 1 if parts.activation == "softmax" else 0
        yield Finding(
            "softmax-of-one-unit",
            f"{parts.activation} over one unit is {value} for every sample, whatever the weights",
            "Use activation='sigmoid' with BinaryCrossentropy, or one unit per class.",
        )


def probabilities_as_logits(parts):
    found = outputs.OF_ACTIVATION.get(parts.activation)
    # the softmax of log-probabilities gives the probabilities
    exact = parts.activation == "log_softmax" and getattr(parts.loss, "through", None) == "softmax"
    if parts.wanted == outputs.LOGITS and found is not None and not exact:
        yield Finding(
            "probabilities-as-logits",
            f"the model ends with {parts.activation} and {parts.loss_name}(from_logits=True) applies"
            f" {parts.loss.through} again: gradients are small and the minimum cannot be reached",
            "Use from_logits=False, or end the model without an activation.",
        )


def no_probabilities(parts):
    if parts.wanted != outputs.PROBABILITIES or parts.activation is None:
        return
    found = outputs.OF_ACTIVATION.get(parts.activation)
    if found == outputs.LOG_PROBABILITIES:
        yield Finding(
            "log-probabilities-as-probabilities",
            f"the model ends with {parts.activation}, but {parts.loss_name} expects probabilities",
            "End the model with softmax or sigmoid, or use NLLLoss with log_softmax.",
        )
    elif found is None:
        binary = "binary" in parts.loss.row
        if parts.activation in POSITIVE and not binary:
            return
        end = "sigmoid" if binary else "softmax"
        given = "without an activation" if parts.activation == "linear" else f"with {parts.activation}"
        other = " or use from_logits=True." if parts.loss.logits_row and parts.activation == "linear" else ""
        yield Finding(
            "outputs-are-no-probabilities",
            f"the model ends {given}, but {parts.loss_name} expects probabilities: outputs outside [0, 1] are clipped"
            " and have no gradient",
            f"End the model with activation='{end}'{',' if other else '.'}{other}",
        )


def nll_without_log_softmax(parts):
    if parts.wanted == outputs.LOG_PROBABILITIES and parts.activation not in (None, "log_softmax"):
        yield Finding(
            "nll-without-log-softmax",
            f"{parts.loss_name} expects log-probabilities, but the model ends with {parts.activation}: the loss has no"
            " minimum, or a different one",
            "End the model with activation='log_softmax', or use SparseCategoricalCrossentropy.",
        )


def hinge_of_probabilities(parts):
    row = getattr(parts.loss, "row", None)
    if row in ("hinge", "squared_hinge") and outputs.OF_ACTIVATION.get(parts.activation) == outputs.PROBABILITIES:
        yield Finding(
            "hinge-of-probabilities",
            f"{parts.loss_name} expects margins, negative for one class, but {parts.activation} gives values in [0, 1]",
            "End the model without an activation or with activation='tanh'.",
        )


def categories_of_one(parts):
    if parts.n != 1 or parts.activation in ("softmax", "log_softmax"):  # see `softmax_of_one`
        return
    for part in (parts.loss, *parts.metrics):
        several = getattr(part, "over_a_row", False) or getattr(part, "target", None) == "labels"
        if several and getattr(part, "loss", part).row != "kl_divergence":  # which one output may have
            yield Finding(
                "classes-of-one-unit",
                f"{_name(part)} compares several outputs, but the model has one: it is the same for every sample",
                "Use the binary loss or metric, or one unit per class.",
            )


def top_k_of_all(parts):
    for metric in parts.metrics:
        if "top_k" in (metric.row or "") and metric.k >= parts.n > 1:
            yield Finding(
                "top-k-of-all",
                f"{_name(metric)} with k={metric.k} is 1 for every sample, as the model has {parts.n} outputs",
                f"Use a k below {parts.n}.",
            )


def accuracy_of_another_kind(parts):
    for metric in parts.metrics:
        row = metric.row
        if row == "equal_accuracy" and parts.activation not in (None, "threshold"):
            yield Finding(
                "accuracy-by-equality",
                "Accuracy() counts outputs that equal their targets exactly, which is rare for this model",
                "Use metrics=['accuracy'], which selects the right kind, or BinaryAccuracy(), CategoricalAccuracy().",
            )
        elif row == "binary_accuracy" and parts.activation == "softmax" and parts.n > 1:
            yield Finding(
                "binary-accuracy-of-classes",
                f"{_name(metric)} of {parts.n} classes counts every output separately: outputs near 0 for all classes"
                f" already score {1 - 1 / parts.n:.2f}",
                "Use metrics=['accuracy'] or CategoricalAccuracy().",
            )


def metrics_of_other_outputs(parts):
    for metric in parts.metrics:
        remedy = None if parts.kind is None else metric.remedy(parts.kind)
        if remedy is not None:
            yield Finding(
                "metric-of-other-outputs",
                f"{_name(metric)} does not match a model whose outputs are {parts.kind}",
                f"Use {remedy}" + (", or pass the metric by name." if "softmax" not in remedy else "."),
            )


def not_adapted(parts):
    for i, layer in enumerate(parts.layers, 1):
        if isinstance(layer, Normalization) and layer.built and layer.input_mean is None and not layer.adapted:
            if not np.any(layer.mean.numpy()) and np.all(layer.variance.numpy() == 1):
                yield Finding(
                    "normalization-not-adapted",
                    f"layer {i} of the model, a Normalization, was not adapted: with mean 0 and variance 1 it has no"
                    " effect",
                    "Call its adapt(x) before training, or pass mean= and variance=.",
                )


CHECKS = (
    softmax_of_one, probabilities_as_logits, no_probabilities, nll_without_log_softmax, hinge_of_probabilities,
    categories_of_one, top_k_of_all, accuracy_of_another_kind, metrics_of_other_outputs,
)  # fmt: skip


def findings(model: Model) -> list[Finding]:
    """Return the probable mistakes in a compiled model.

    Parameters
    ----------
    model : Model
        Built and compiled.

    Returns
    -------
    list of Finding

    Raises
    ------
    ValueError
        If the model is not built or not compiled.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, "softmax", input_shape=(3,))])
    >>> model.compile("adam", "mse")
    >>> [finding.code for finding in fastnn.diagnostics.findings(model)]
    ['softmax-of-one-unit']
    """
    if not model.built:
        raise ValueError(f"findings: expected a built model, got {model.name}; give it an input shape, or call build")
    need_compile(model, "findings")
    return _found(model, (*CHECKS, not_adapted))


def _found(model, checks):
    each = [model] if model._ports is None else model._ports.outputs
    return [finding for parts in map(Parts, each) for check in checks for finding in check(parts)]


def warn(model, run=False):
    """Warn of each finding that has not been shown for this model.

    Parameters
    ----------
    model : Model
        Built.
    run : bool
        Whether it is about to be run: then layers that are not adapted were forgotten.
    """
    checks = (*CHECKS * model.compiled, *[not_adapted] * run)
    for finding in _found(model, checks):
        if finding not in model._warned_of:
            model._warned_of.add(finding)
            warnings.warn(str(finding), ConsistencyWarning, stacklevel=_callers())


def _callers():
    """The stack level, as seen from `warn`, of the first frame outside of the library."""
    inside, level, frame = os.path.join(os.path.dirname(os.path.dirname(__file__)), ""), 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    return level


def _name(part):
    part = getattr(part, "loss", part)
    return type(part).__name__
