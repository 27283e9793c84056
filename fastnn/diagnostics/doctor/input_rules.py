"""Rules about inputs: non-finite values, scale, constant columns, rows that occur twice or in validation too."""

from __future__ import annotations

import numpy as np

from .registry import found, rule

LECUN = "LeCun, Bottou, Orr & Müller 1998, section 4.3"
LARGE, HUGE = 10.0, 1e3  # root mean square of a column
TINY = 0.02  # bytes divided by 255 twice, and standardised values divided by 255, are below


@rule("FN221", "non-finite-data", "nan_data", "NaN or infinity in the data")
def non_finite_data(facts):
    """One NaN in the inputs or targets makes all weights NaN in a single step."""
    if not facts.whole:
        return
    for name, error in facts.non_finite.items():
        yield found(
            "error", error.partition(": ")[2].removesuffix(" (check_finite=False switches this check"
            " off)") + f", in {name}",
            "Drop these rows, or fill them: numpy.nan_to_num, or the column's median.",
            "A step with a NaN makes all weights NaN.", evidence={"where": name}, likelihood=0.99,
        )  # fmt: skip


@rule("FN222", "input-scale", "unscaled_data", "Inputs that are not scaled", "x", reference=LECUN)
def input_scale(facts):
    """The root mean square of a column is above 10, as for pixels from 0 to 255, ages, prices or years: a warning;
    above 1000 an error. If that of every column is below 0.02, it is a warning too (`double_scaling`). Images, and
    columns of the same kind, are judged together. There is no finding if the model normalises its inputs itself, by
    `Normalization`, `Rescaling`, `BatchNormalization` or `LayerNormalization` before the first `Dense`.

    Inputs that are not scaled make the first layer's outputs and gradients large, so that units saturate or die and the
    usual learning rates are too high. If columns differ greatly in scale, only the largest ones are learned from."""
    scaled = facts.scaled_columns
    if scaled is None or "x" in facts.non_finite:
        return
    size, deviation = scaled
    largest = float(size.max()) if size.size else 0.0
    some = deviation[deviation > 0]
    ratio = float(some.max() / some.min()) if some.size else 1.0
    column = int(size.argmax()) if size.size else 0
    evidence = {"root_mean_square": largest, "threshold": LARGE, "largest_std": float(some.max()) if some.size else 0.0,
                "smallest_std": float(some.min()) if some.size else 0.0}  # fmt: skip
    where = "x" if facts.inputs.image else f"column {column} of x"
    if largest > LARGE:
        bytes_ = facts.inputs.image and 0 <= facts.inputs.columns[2].min() and 64 < facts.inputs.columns[3].max() <= 255
        how = "x / 255.0" if bytes_ else "(x - x.mean(axis=0)) / x.std(axis=0)"
        yield found(
            "error" if largest > HUGE else "warning",
            f"{where} is not scaled: its root mean square is {largest:.3g}"
            + (f", and columns differ in scale by a factor of {ratio:.2g}" if ratio > 100 else ""),
            f"Use {how}, with the statistics of the training data for all data; or begin the model with a"
            " Normalization layer and adapt it.",
            "Outputs and gradients of the first layer grow with the inputs, so units saturate or die.",
            evidence=evidence, likelihood=0.9 if largest > 50 else 0.75,
        )  # fmt: skip
    elif 0 < largest < TINY:
        yield found(
            "warning", f"x is tiny: its root mean square is {largest:.2g}, as if it had been scaled twice",
            "Divide by 255 once, or use (x - x.mean(axis=0)) / x.std(axis=0).",
            "The first layer sees hardly any difference between samples.",
            evidence={**evidence, "threshold": TINY}, likelihood=0.85, fault="double_scaling",
        )  # fmt: skip


@rule("FN223", "constant-columns", "constant_feature", "Constant columns", "x")
def constant_columns(facts):
    """A column with a single value carries no information. It is a warning if at least half of the columns are
    constant, which points to a mistake in preparing them; pixels at the border of images are often constant."""
    constant = facts.inputs.constant
    k = facts.inputs.table.shape[1]
    many = len(constant) >= 0.5 * k
    if 0 < len(constant) < k and "x" not in facts.non_finite and (many or not facts.inputs.image):
        yield found(
            "warning" if many else "note",
            f"{len(constant)} of {k} columns of x are constant, such as column {constant[0]}", "Remove them.",
            "They say nothing about a sample.", evidence={"columns": len(constant), "first": int(constant[0])},
            likelihood=0.7 if many else 0.2,
        )  # fmt: skip


@rule("FN224", "equal-rows", "constant_feature", "Identical rows", "x")
def equal_rows(facts):
    """If all rows of x are equal, the model cannot tell samples apart."""
    inputs = facts.inputs
    if len(inputs.sample) > 1 and len(inputs.constant) == inputs.table.shape[1] and "x" not in facts.non_finite:
        yield found(
            "error", "all rows of x are identical", "Check how x is made.", "Samples cannot be told apart.",
            evidence={"rows": len(inputs.sample)}, likelihood=0.97,
        )  # fmt: skip


@rule("FN225", "repeated-rows", "duplicate_rows", "Rows that are repeated", "x", reference="Lee et al. 2022")
def repeated_rows(facts):
    """Fewer than half of the rows are distinct, although the columns have so many values that hardly any two rows
    should be equal: the result of a wrong join, or the same few samples many times."""
    inputs = facts.inputs
    n = len(inputs.sample)
    if n < 50 or "x" in facts.non_finite or len(inputs.constant) == inputs.table.shape[1]:
        return
    different, possible = inputs.different, 1.0
    for column in inputs.table.T[:64]:
        possible = min(possible * len(np.unique(column)), 1e9)
    # so many would be different if columns were independent
    if different >= 0.5 * possible * -np.expm1(-n / possible):
        return
    yield found(
        "warning", f"only {different} of {n} sampled rows of x are distinct", "Remove the duplicates.",
        "There is less data than there seems to be, and duplicates in the validation data have been trained on.",
        evidence={"rows": n, "different": different}, likelihood=0.6,
    )  # fmt: skip


@rule("FN226", "few-rows", "too_few_rows", "Very few rows", "x", "y", reference="Hastie, Tibshirani & Friedman 2009,"
      " section 7.2")  # fmt: skip
def few_rows(facts):
    """At most 50 rows of several columns, and at most 10 times as many rows as columns: a note, or a warning if the
    final validation loss is above twice the training loss. Columns of two values each, as in XOR, do not count."""
    n, k = facts.inputs.n, facts.inputs.table.shape[1]
    if n > 50 or k < 2 or n > 10 * k or "x" in facts.non_finite or all(
        len(np.unique(column)) <= 2 for column in facts.inputs.table.T):  # fmt: skip
        return
    gap = facts.validation_gap
    yield found(
        "warning" if gap is not None and gap > 2 else "note", f"{n} rows for {k} columns are very few",
        "Collect more data, or use a linear model or strong regularisation.",
        "The model memorises the samples.",
        evidence={"rows": n, "columns": k} | ({} if gap is None else {"validation_to_training": gap}), likelihood=0.75,
    )  # fmt: skip


@rule("FN227", "validation-rows-in-training", "validation_leak", "Validation rows that occur in training", "x",
      "validation", reference="Kaufman, Rosset, Perlich & Stitelman 2012")  # fmt: skip
def validation_rows_in_training(facts):
    """At least a tenth of the validation rows (of a sample of them) also occur in the training data: a warning, unless
    rows are equal by chance, as with few columns of few values."""
    share, expected = facts.leak
    if share is None or share < 0.1 or share < 3 * expected:
        return
    yield found(
        "warning", f"{100 * share:.0f} % of the validation rows occur in the training data",
        "Remove duplicates, then split the data, before any other preparation.",
        "The validation loss then measures memorised samples.",
        evidence={"share": share, "threshold": 0.1, "repeated_in_training": expected}, likelihood=0.7,
    )  # fmt: skip


@rule("FN228", "validation-scale", "unscaled_data", "Validation inputs on another scale", "x", "validation",
    reference=LECUN)
def validation_scale(facts):
    """The validation inputs are more than 10 times larger or smaller than the training inputs: only one of the two was
    scaled."""
    one, other = (np.sqrt(np.mean(i.table**2)) for i in (facts.inputs, facts.validation[0]))
    if facts.inputs.table.shape[1] != facts.validation[0].table.shape[1] or not (one > 0 and other > 0):
        return
    if len(facts.validation[0].sample) >= 10 and max(one / other, other / one) > 10:
        yield found(
            "warning", f"validation inputs have root mean square {other:.3g}, training inputs {one:.3g}",
            "Scale both with the statistics of the training data.",
            "The model is validated on inputs unlike those it has seen.",
            evidence={"training": float(one), "validation": float(other)}, likelihood=0.85,
        )  # fmt: skip
