"""Rules about targets: their shape, their encoding, their range, against the outputs and the loss."""

from __future__ import annotations

import numpy as np

from .registry import found, rule

OUTSIDE = 0.005  # share of targets that may be out of range
CATEGORICAL = ("crossentropy", "sparse_crossentropy", "nll")
SQUARES = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "mean_squared_logarithmic_error",
           "mean_absolute_percentage_error")  # fmt: skip
BISHOP = "Bishop 2006, section 5.2"


def few(values):
    """Some values as text."""
    shown = [f"{v:g}" for v in np.asarray(values)[:6]]
    return ", ".join(shown) + (", ..." if len(values) > 6 else "")


def binary_loss(facts):
    """Whether the loss compares probabilities of yes and no."""
    return "binary" in facts.row


def of_shares(facts):
    """Whether targets must be probabilities."""
    return binary_loss(facts) or facts.row in ("crossentropy", "kl_divergence")


@rule("FN201", "shape-of-inputs", "shape_mismatch", "Inputs whose shape the model does not accept", "built", "x")
def shape_of_inputs(facts):
    """The samples do not have the shape that the first layer was declared for."""
    if facts.x_fits:
        return
    shape, expected = facts.inputs.x.shape, tuple(facts.model.in_shape)
    size = int(np.prod(shape[1:]))
    if size == int(np.prod(expected)):
        fix = f"Start the model with Flatten, or use x.reshape(len(x), {', '.join(map(str, expected))})."
    elif shape == expected:
        fix = "Add the batch axis: x[None]."
    elif len(shape) == 2 and len(expected) == 1:
        fix = f"Declare input_shape=({shape[1]},), or select the {expected[0]} features that the model is for."
    else:
        fix = f"Declare input_shape={tuple(shape[1:])}, or reshape x."
    yield found(
        "error", f"x has shape {shape}, but the model expects samples of shape {expected}", fix,
        "fit raises an error.", evidence={"x": str(shape), "model": str(expected)}, likelihood=0.99,
    )  # fmt: skip


@rule("FN202", "unequal-lengths", "shape_mismatch", "Inputs and targets of different lengths", "x", "y")
def unequal_lengths(facts):
    """x and y must have the same number of rows, one for each sample."""
    n, m = len(facts.inputs.x), len(facts.targets.y)
    if n != m:
        yield found(
            "error", f"x has {n} rows, but y has {m}", "Pass a target for each row of x.", "fit raises an error.",
            evidence={"rows_of_x": n, "rows_of_y": m}, likelihood=0.99,
        )  # fmt: skip


@rule("FN217", "no-numbers", "label_encoding", "Data that are not numbers")
def no_numbers(facts):
    """An input or a target cannot be converted to an array of numbers: names of classes, for example."""
    for name, error in facts.wrong.items():
        if name == "model":
            continue
        of_targets = name in ("y", "validation_data[1]")
        what = str(error).removeprefix(f"{name}: ").partition(";")[0]  # without its advice: the fix says it
        yield found(
            "error", f"{name} is not an array of numbers: {what}",
            "Encode classes as 0, 1, ...: classes, labels = numpy.unique(y, return_inverse=True)." if of_targets else
            "Encode categories as one-hot columns, and rows of equal length.",
            "fit raises an error.", evidence={"where": name}, likelihood=0.99,
            fault="label_encoding" if of_targets else "shape_mismatch",
        )  # fmt: skip


@rule("FN203", "labels-for-one-hot", "label_encoding", "Class labels where the loss takes one-hot rows, or vice versa",
      "built", "compiled", "y")  # fmt: skip
def labels_for_one_hot(facts):
    """``categorical_crossentropy`` compares a row of probabilities with a row of the same length,
    ``sparse_categorical_crossentropy`` with a class label."""
    if facts.y_fits:
        return
    y, n = facts.targets.y, facts.n
    if facts.target_kind == "labels" and facts.targets.width == n > 1:
        yield found(
            "error",
            f"y has rows of {n} values, but {facts.loss_name} takes class labels",
            "Use categorical_crossentropy, or y.argmax(axis=1).",
            "fit raises an error.", evidence={"shape": str(y.shape), "outputs": n}, likelihood=0.98,
        )  # fmt: skip
    elif facts.target_kind == "values" and facts.targets.width == 1 and n > 1 and facts.targets.labels is not None:
        categorical = facts.row in CATEGORICAL
        classes = len(np.unique(facts.targets.labels))
        if not categorical and not (2 <= classes <= n):
            return
        if categorical:
            fix = "Use sparse_categorical_crossentropy, or one-hot rows."
        else:
            fix = f"Use softmax outputs with sparse_categorical_crossentropy, not {facts.loss_name}; or one-hot rows."
        yield found(
            "error",
            f"y has class labels, shape {y.shape}, but {facts.loss_name} compares rows of {n} values",
            fix, "fit raises an error.", evidence={"shape": str(y.shape), "outputs": n, "classes": classes},
            likelihood=0.98,
        )  # fmt: skip
        if not categorical:
            yield found(
                "error", f"{facts.loss_name} does not take the class labels of y", fix,
                "Classification needs a cross-entropy.", fault="wrong_loss", likelihood=0.6,
            )  # fmt: skip


@rule("FN204", "shape-of-targets", "shape_mismatch", "Targets whose shape differs from that of the outputs", "built",
      "compiled", "y")  # fmt: skip
def shape_of_targets(facts):
    """The last layer must have as many units as a target has values, or as there are classes."""
    targets, n = facts.targets, facts.n
    if facts.y_fits:
        return
    if facts.target_kind == "labels" and targets.width == n > 1:
        return  # see labels-for-one-hot
    classes = targets.labels is not None and targets.width == 1 and n > 1
    if facts.target_kind == "values" and classes and (facts.row in CATEGORICAL or len(np.unique(targets.labels)) <= n):
        return
    shape, k = targets.y.shape, targets.width
    one_hot = " one-hot classes" if targets.one_hot else " values"
    yield found(
        "error",
        f"targets have {k}{one_hot if k > 1 else ' value'} per row (shape {shape}), but the model has {n}"
        f" output{'s' * (n > 1)}",
        f"Give the last layer {k} unit{'s' * (k > 1)}"
        + (" and softmax." if targets.one_hot else ", or select the targets that the model is for."),
        "fit raises an error.", facts.last and facts.last.name,
        {"shape": str(shape), "outputs": n, "expected_outputs": k}, 0.98,
    )  # fmt: skip


@rule("FN205", "label-out-of-range", "label_encoding", "Class labels outside 0 to k - 1", "built", "compiled", "y",
      reference="Chollet 2021, section 4.2")  # fmt: skip
def label_out_of_range(facts):
    """For k outputs, class labels are the integers 0 to k - 1. Frequent mistakes are labels that start at 1, negative
    labels, and fewer outputs than classes (fault `shape_mismatch`)."""
    if facts.target_kind != "labels" or not facts.y_fits or facts.targets.width != 1 or facts.non_finite:
        return
    values, n = facts.targets.values, facts.n
    ignored = getattr(facts.loss, "ignore_class", None)
    values = values if ignored is None else values[values != ignored]
    if not len(values):
        return
    low, high = float(values[0]), float(values[-1])
    evidence = {"smallest": low, "largest": high, "outputs": n}
    if not facts.targets.whole:
        yield found(
            "error", f"y has values that are not integers, such as {few(values[np.trunc(values) != values])}, but"
            f" {facts.loss_name} takes class labels",
            "For regression, use mean_squared_error and no last activation; for probabilities, use one row per sample"
            " with categorical_crossentropy.",
            "fit raises an error.", evidence=evidence, fault="wrong_loss", likelihood=0.95,
        )  # fmt: skip
    elif low >= 1 and high == n:
        yield found(
            "error", f"class labels are {low:g} to {high:g}, but {n} outputs are for labels 0 to {n - 1}",
            "Use y - 1.", "fit raises an error: the largest label has no output.", evidence=evidence, likelihood=0.98,
        )  # fmt: skip
    elif low < 0:
        yield found(
            "error", f"class labels are negative, down to {low:g}, but {n} outputs are for labels 0 to {n - 1}",
            "Number the classes from 0: numpy.unique(y, return_inverse=True)[1].",
            "fit raises an error.", evidence=evidence, likelihood=0.98,
        )  # fmt: skip
    elif high >= n:
        classes = len(values)
        gaps = classes <= n
        fix = f"Give the last layer {int(high) + 1} units"
        fix = "Number the classes from 0: numpy.unique(y, return_inverse=True)[1]." if gaps else fix + "."
        yield found(
            "error", f"class labels go up to {high:g}, but {n} output{'s are' if n > 1 else ' is'} for labels 0 to"
            f" {n - 1}",
            fix, "fit raises an error: larger labels have no output.", facts.last and facts.last.name,
            {**evidence, "classes": classes}, 0.98, fault=None if gaps else "shape_mismatch",
        )  # fmt: skip


@rule("FN206", "targets-of-probabilities", "label_encoding", "Targets that are not probabilities", "built", "compiled",
      "y", reference=BISHOP)  # fmt: skip
def targets_of_probabilities(facts):
    """Binary and categorical cross-entropies take targets from 0 to 1. Frequent mistakes are labels -1 and +1,
    several classes 0, 1, 2, ... for one output, and the values of a regression (fault `wrong_loss`)."""
    if facts.target_kind != "values" or not of_shares(facts) or not facts.y_fits or "y" in facts.non_finite:
        return
    targets = facts.targets
    low, high = float(targets.table.min()), float(targets.table.max())
    if low >= -1e-6 and high <= 1 + 1e-6:
        return
    evidence = {"smallest": low, "largest": high}
    message = f"targets are from {low:g} to {high:g}, but {facts.loss_name} takes probabilities, 0 to 1"
    values = targets.values
    if len(values) == 2:
        fix = "Use (y + 1) / 2." if (low, high) == (-1, 1) else f"Use (y == {high:g})."
        yield found("error", f"targets are {low:g} and {high:g}, but {facts.loss_name} takes 0 and 1", fix,
                    "The loss has no minimum for such targets.", evidence=evidence, likelihood=0.98)  # fmt: skip
        return
    if targets.width == 1 and targets.labels is not None and len(values) <= 100:
        k = int(high) + 1
        fix = f"End the model with Dense({k}, activation='softmax') and use sparse_categorical_crossentropy"
        yield found("error", f"targets are the classes {few(values)}, but {facts.loss_name} takes 0 and 1",
                    f"{fix}{'.' if low >= 0 else ', with classes numbered from 0.'}",
                    "One output tells two classes apart, not several.", evidence={**evidence, "classes": len(values)},
                    likelihood=0.96)  # fmt: skip
        yield found("error", f"{facts.loss_name} is for two classes, and there are {len(values)}", f"{fix}.",
                    "One output tells two classes apart, not several.", fault="wrong_loss", evidence=evidence,
                    likelihood=0.9)  # fmt: skip
        return
    autoencoder = targets.width > 1
    fix = "Scale the targets to 0 to 1, or use mean_squared_error and no activation at the end." if autoencoder else (
        "For a regression use mean_squared_error and no activation at the end.")  # fmt: skip
    yield found("error", message, fix, "A cross-entropy of values outside 0 to 1 has no minimum.",
                fault="wrong_loss", evidence=evidence, likelihood=0.97)  # fmt: skip
    yield found("error", f"targets from {low:g} to {high:g} cannot be reached by outputs from 0 to 1", fix,
                fault="target_out_of_range", evidence=evidence, likelihood=0.9)  # fmt: skip


@rule("FN207", "unreachable-targets", "wrong_last_activation", "Targets that the last activation cannot reach", "built",
      "compiled", "y", reference=BISHOP)  # fmt: skip
def unreachable_targets(facts):
    """The last activation limits the outputs: sigmoid and softmax to [0, 1], tanh to [-1, 1], relu to values of at
    least 0. An error if more than 0.5 % of the targets are outside this range."""
    if facts.row not in SQUARES or not facts.y_fits or facts.target_kind != "values" or "y" in facts.non_finite:
        return
    low, high = facts.limits
    if not (np.isfinite(low) or np.isfinite(high)):
        return
    table = facts.targets.table
    slack = 1e-3 * max(1.0, *(abs(v) for v in (low, high) if np.isfinite(v)))
    outside = float(np.mean((table < low - slack) | (table > high + slack)))
    if outside <= OUTSIDE:
        return
    least, most = float(table.min()), float(table.max())
    reach = f"{low:g} to {high:g}" if np.isfinite(low) and np.isfinite(high) else (
        f"at least {low:g}" if np.isfinite(low) else f"at most {high:g}")  # fmt: skip
    evidence = {"outside": outside, "threshold": OUTSIDE, "smallest_target": least, "largest_target": most,
                "smallest_output": low, "largest_output": high}  # fmt: skip
    labels = facts.targets.labels
    classes = labels is not None and facts.targets.width == 1 and 2 < len(np.unique(labels)) <= 20
    classes = classes and facts.activation in ("sigmoid", "softmax", "hard_sigmoid") and "accuracy" in str(
        facts.metric_names)  # fmt: skip
    fix = "End the model without an activation, or scale the targets into this range."
    if classes:
        k = int(most) + 1
        fix = f"End the model with Dense({k}, activation='softmax') and use sparse_categorical_crossentropy."
    yield found(
        "error",
        f"targets are from {least:g} to {most:g}, but outputs of {facts.activation} are {reach}: {100 * outside:.0f} %"
        " of the targets cannot be reached",
        fix, "Outputs end up at the edge of their range, where gradients are small or zero.",
        facts.last.name, evidence, 0.93, fault="wrong_loss" if classes else None,
    )  # fmt: skip
    yield found(
        "error", f"{100 * outside:.0f} % of the targets are outside the range of the outputs, {reach}", fix,
        "The errors on these targets cannot become small.", facts.last.name, evidence, 0.85,
        fault="target_out_of_range",
    )  # fmt: skip


@rule("FN208", "squares-of-classes", "wrong_loss", "Squared errors for classes", "built", "compiled", "y",
      reference="Bishop 2006, section 4.1.3 and 4.3.4")  # fmt: skip
def squares_of_classes(facts):
    """Targets are one-hot rows of three or more classes, but the loss is a regression loss. Its gradient vanishes
    where a sigmoid or softmax is confidently wrong, so such a model learns slowly. For two classes it is a note,
    unless the loss is an absolute difference, whose best constant output is the larger class, or training has
    failed."""
    if facts.row not in SQUARES or not facts.y_fits or "y" in facts.non_finite:
        return
    if not facts.targets.one_hot:
        yield from squares_of_two_classes(facts)
        return
    k = facts.targets.width
    yield found(
        "warning" if k > 2 or facts.harmed or "absolute" in facts.row else "note",
        f"targets are one-hot rows of {k} classes, but the loss is {facts.loss_name}",
        "Use softmax outputs with categorical_crossentropy.",
        "The gradient of a cross-entropy is proportional to the error; that of a squared error vanishes where the"
        " output is confidently wrong.",
        evidence={"classes": k}, likelihood=0.75,
    )  # fmt: skip
    if facts.activation != "softmax" and k > 2:
        yield found(
            "warning", f"classes are mutually exclusive, but the outputs of {facts.activation} are independent",
            "Use softmax outputs with categorical_crossentropy.", "The probabilities of the classes sum to 1.",
            facts.last.name, likelihood=0.6,
            fault="missing_activation" if facts.activation == "linear" else "wrong_last_activation",
        )  # fmt: skip


def squares_of_two_classes(facts):
    """Of one output."""
    if facts.targets.width != 1 or list(facts.targets.values) != [0.0, 1.0] or facts.n != 1:
        return
    absolute = "absolute" in facts.row
    yield found(
        "warning" if absolute or facts.harmed else "note",
        f"targets are 0 and 1, two classes, but the loss is {facts.loss_name}",
        "Use a sigmoid output with binary_crossentropy.",
        "The best constant output is the larger class: there is little to gain from anything else." if absolute else
        "The gradient of a cross-entropy is proportional to the error; that of a squared error vanishes where a sigmoid"
        " is confidently wrong.",
        evidence={"classes": 2}, likelihood=0.75 if absolute else 0.5,
    )  # fmt: skip


@rule("FN216", "counts-for-classes", "wrong_loss", "A loss for counts or margins with other targets", "built",
      "compiled", "y")  # fmt: skip
def counts_for_classes(facts):
    """`Poisson` is for counts: one-hot targets, or targets 0 and 1 for a sigmoid, are a warning. Hinge losses are for
    targets -1 and +1 (or 0 and 1): real numbers, or several classes for one output, are an error."""
    targets = facts.targets
    if not facts.y_fits or facts.target_kind != "values" or "y" in facts.non_finite:
        return
    classes = targets.one_hot or targets.width == 1 and list(targets.values) == [0.0, 1.0]
    if facts.row == "poisson" and classes:
        k = targets.width if targets.one_hot else 2
        end = "softmax outputs with categorical_crossentropy" if targets.one_hot else (
            "a sigmoid output with binary_crossentropy")  # fmt: skip
        yield found(
            "warning", f"targets are {k} classes, but Poisson is a loss for counts", f"Use {end}.",
            "Its outputs are rates without an upper limit, not probabilities.", evidence={"classes": k},
            likelihood=0.85,
        )  # fmt: skip
    elif facts.row in ("hinge", "squared_hinge") and not set(targets.values) <= {-1.0, 0.0, 1.0}:
        yield found(
            "error", f"{facts.loss_name} takes targets -1 and +1, got values such as {few(targets.values)}",
            "For regression, use mean_squared_error; for several classes, softmax outputs with a cross-entropy.",
            "The loss only depends on which side of 0 an output is, and how far.",
            evidence={"smallest": float(targets.table.min()), "largest": float(targets.table.max())}, likelihood=0.95,
        )  # fmt: skip


@rule("FN209", "binary-loss-of-classes", "wrong_loss", "Binary cross-entropy of mutually exclusive classes", "built",
      "compiled", "y", reference=BISHOP)  # fmt: skip
def binary_loss_of_classes(facts):
    """Targets are one-hot rows, and the model ends with softmax, but the loss treats every output as an independent
    binary classification. For sigmoid outputs this may be intended, so it is a note."""
    if not binary_loss(facts) or not facts.y_fits or not facts.targets.one_hot:
        return
    k, softmax = facts.targets.width, facts.activation == "softmax"
    yield found(
        "warning" if softmax and k > 2 else "note",
        f"targets are one-hot rows of {k} classes, but {facts.loss_name} treats each output as an independent binary"
        " classification",
        "Use softmax outputs with categorical_crossentropy.",
        "The loss is already small if all outputs are near 0, and binary accuracy is high then too.",
        evidence={"classes": k, "accuracy_of_zeros": 1 - 1 / k}, likelihood=0.85 if softmax else 0.5,
    )  # fmt: skip


@rule("FN210", "rows-without-sum-one", "label_encoding", "Targets of a softmax that do not sum to 1", "built",
      "compiled", "y", reference=BISHOP)  # fmt: skip
def rows_without_sum_one(facts):
    """Categorical cross-entropy expects a distribution over the classes for each sample. Rows with several ones are
    labels that are not mutually exclusive; these need sigmoid outputs and binary cross-entropy."""
    if facts.row != "crossentropy" or not facts.y_fits or facts.targets.width < 2 or "y" in facts.non_finite:
        return
    table = facts.targets.table
    if table.min() < -1e-6 or table.max() > 1 + 1e-6:
        return  # see targets-of-probabilities
    wrong = float(np.mean(abs(table.sum(axis=1) - 1) > 1e-2))
    if wrong > OUTSIDE:
        several = float(np.mean(table.sum(axis=1) > 1 + 1e-2))
        yield found(
            "error",
            f"{100 * wrong:.0f} % of the rows of y do not sum to 1, but {facts.loss_name} expects probabilities of"
            " mutually exclusive classes",
            "For labels that are not mutually exclusive, use sigmoid outputs with binary_crossentropy."
            if several > OUTSIDE else "Divide each row by its sum; rows of zeros have no class.",
            "A softmax cannot produce such outputs.", evidence={"wrong": wrong, "threshold": OUTSIDE}, likelihood=0.9,
            fault="wrong_loss" if several > OUTSIDE else None,
        )  # fmt: skip


@rule("FN211", "constant-targets", "constant_target", "Constant targets", "y")
def constant_targets(facts):
    """If all targets are equal there is nothing to learn. One constant column of several is a note."""
    targets = facts.targets
    if len(targets.sample) < 2 or "y" in facts.non_finite:
        return
    deviation = targets.spread[1]
    constant = deviation <= 1e-12 * np.maximum(1, abs(targets.spread[0]))
    if constant.all():
        value = f"{float(targets.table.flat[0]):g}" if targets.width == 1 else "the same row"
        yield found(
            "error", f"all targets are {value}", "Check how y is made.", "There is nothing to learn.",
            evidence={"rows": len(targets.sample)}, likelihood=0.97,
        )  # fmt: skip
    elif constant.any() and not facts.autoencoder:
        columns = np.flatnonzero(constant)
        yield found(
            "note", f"{len(columns)} of {targets.width} columns of y are constant, such as column {columns[0]}",
            "Remove them.", evidence={"columns": len(columns)}, likelihood=0.2,
        )  # fmt: skip


@rule("FN212", "accuracy-of-regression", "wrong_metric", "Accuracy of a regression", "built", "compiled", "y")
def accuracy_of_regression(facts):
    """Accuracy counts outputs that are equal to their targets, or on the correct side of a threshold. For real-valued
    targets it is meaningless: it can be 0 for a very good model."""
    if facts.row not in SQUARES or "y" in facts.non_finite or facts.target_kind != "values":
        return
    names = [m for m in facts.metric_names if m in ("acc", "accuracy", "binary_accuracy", "categorical_accuracy")]
    targets = facts.targets
    if not names or targets.one_hot or facts.autoencoder or set(targets.values[:3]) <= {0.0, 1.0, -1.0}:
        return
    yield found(
        "warning", f"the metric {names[0]} counts outputs that equal their targets, but targets are real numbers,"
        f" from {targets.table.min():g} to {targets.table.max():g}",
        "Use metrics=['mae'] or R2Score().", "It stays near 0 however good the model is.",
        evidence={"different_targets": len(targets.values)}, likelihood=0.4,
    )  # fmt: skip


@rule("FN213", "unused-outputs", "shape_mismatch", "Outputs of classes that do not occur", "built", "compiled", "y")
def unused_outputs(facts):
    """The model has more outputs than there are classes: the others only learn to stay near 0."""
    targets = facts.targets
    if facts.target_kind != "labels" or not facts.y_fits or targets.labels is None or targets.width != 1:
        return
    present = np.unique(targets.labels)
    if present[0] < 0 or present[-1] >= facts.n or len(present) == facts.n or len(present) < 2:
        return
    first = present[0] == 1 and facts.n == present[-1] + 1
    yield found(
        "note", f"the model has {facts.n} outputs, but only {len(present)} classes occur in y",
        f"Use y - 1 and {facts.n - 1} units." if first else f"Give the last layer {present[-1] + 1} units.",
        "Outputs without a class cost time and do no harm.", facts.last.name,
        {"outputs": facts.n, "classes": len(present)}, 0.3,
    )  # fmt: skip


@rule("FN214", "rare-classes", "class_imbalance", "Classes of very different sizes", "y", reference="He & Garcia 2009")
def rare_classes(facts):
    """The largest of at most 10 classes has at least 15 times as many samples as the smallest one: a warning. With more
    than 10 classes, or if the smallest class has less than a tenth of an equal share, a note."""
    labels = facts.targets.labels
    if labels is None or len(labels) < 100 or (facts.targets.width == 1 and len(facts.targets.values) > 100):
        return
    counts = np.unique(labels, return_counts=True)[1]
    k, share = len(counts), counts / counts.sum()
    if k < 2 or facts.row in SQUARES and facts.targets.width == 1 and k > 2:
        return
    ratio = float(share.max() / share.min())
    if ratio >= 15 or share.min() < 0.1 / k:
        yield found(
            "warning" if ratio >= 15 and k <= 10 else "note",
            f"classes are between {100 * share.min():.2g} % and {100 * share.max():.3g} % of the samples",
            "Use class_weight, and metrics such as AUC or F1Score.",
            "A model that always predicts the largest class has a high accuracy.",
            evidence={"smallest_share": share.min(), "largest_share": share.max(), "classes": k}, likelihood=0.45,
        )  # fmt: skip


@rule("FN215", "binary-accuracy-by-name", "wrong_metric", "An accuracy for another kind of target", "built",
    "compiled", "y")
def binary_accuracy_by_name(facts):
    """Binary accuracy counts every value of a one-hot row separately: zeros everywhere already score 1 - 1 / k.
    Categorical accuracy of a single output is the same for every sample."""
    targets = facts.targets
    several = [m for m in facts.metric_names if "categorical_accuracy" in m]
    if several and facts.n == 1 and facts.activation != "softmax":
        yield found(
            "warning", f"{several[0]} compares several outputs, but the model has one: it is the same for every sample",
            "Use metrics=['accuracy'].", "The metric says nothing about the model.", likelihood=0.5,
        )  # fmt: skip
    if "binary_accuracy" in facts.metric_names and targets.one_hot and targets.width > 2 and facts.y_fits:
        k = targets.width
        yield found(
            "warning", f"binary_accuracy of one-hot rows counts every value: zeros everywhere score {1 - 1 / k:.2f}",
            "Use metrics=['accuracy'].", "The metric looks good before anything is learned.",
            evidence={"classes": k, "score_of_zeros": 1 - 1 / k}, likelihood=0.5,
        )  # fmt: skip
