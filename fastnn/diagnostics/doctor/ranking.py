"""Which finding is probably the cause: what a finding explains comes after it."""

from __future__ import annotations

from dataclasses import replace

from .finding import SEVERITIES, Findings, ordered

# The faults that a fault brings about.
EXPLAINS = {
    "unscaled_data": {"exploding_gradient", "saturated", "dying_relu", "bad_init", "lr_too_high", "oscillating_loss",
                      "no_learning", "vanishing_gradient", "unscaled_target", "too_few_epochs"},
    "double_scaling": {"vanishing_gradient", "bad_init", "lr_too_low", "too_few_epochs", "no_learning"},
    "unscaled_target": {"exploding_gradient", "lr_too_high", "lr_too_low", "too_few_epochs", "no_learning",
                        "oscillating_loss", "dying_relu", "wrong_optimizer"},
    "loss_reduction": {"lr_too_high", "exploding_gradient", "dying_relu", "oscillating_loss", "no_learning"},
    "bad_init": {"saturated", "lr_too_high", "no_learning", "too_few_epochs"},
    "zero_init": {"symmetric_units", "vanishing_gradient", "no_learning", "dying_relu", "lr_too_low", "bad_init",
                  "too_few_epochs"},
    "symmetric_units": {"no_learning", "exploding_gradient", "vanishing_gradient", "bad_init", "lr_too_high",
                        "saturated", "dying_relu"},
    "too_deep": {"vanishing_gradient", "dying_relu", "bad_init", "no_learning"},
    "activation_mismatch": {"vanishing_gradient", "no_learning", "too_few_epochs", "exploding_gradient", "lr_too_high",
                            "dying_relu"},
    "nan_source": {"exploding_gradient", "lr_too_high", "dying_relu", "saturated", "bad_init", "no_learning",
                   "vanishing_gradient", "unscaled_data"},
    "lr_too_high": {"exploding_gradient", "dying_relu", "saturated", "oscillating_loss", "no_learning",
                    "vanishing_gradient", "overfitting"},
    "lr_too_low": {"too_few_epochs", "no_learning"},
    "exploding_gradient": {"no_learning", "oscillating_loss"},
    "vanishing_gradient": {"no_learning", "too_few_epochs", "lr_too_low", "dying_relu"},
    "dying_relu": {"no_learning", "vanishing_gradient", "bad_init"},
    "saturated": {"no_learning", "vanishing_gradient"},
    "dropout_too_high": {"no_learning", "oscillating_loss", "too_few_epochs", "lr_too_high"},
    "over_regularised": {"no_learning", "vanishing_gradient", "dying_relu"},
    "no_nonlinearity": {"no_learning"},
    "too_few_units": {"no_learning", "dying_relu"},
    "too_few_epochs": {"no_learning"},
    "batch_size": {"too_few_epochs", "no_learning"},
    "shuffled_labels": {"overfitting", "no_learning", "too_few_epochs"},
    "too_few_rows": {"overfitting", "shuffled_labels", "random_target"},
    "duplicate_rows": {"overfitting", "shuffled_labels", "random_target"},
    "wrong_optimizer": {"too_few_epochs", "no_learning"},
}  # fmt: skip
# What a rate does is explained by what the rate is. Of two rules of one fault, that of the lower code is the cause.
# Faults of outputs and targets, which explain everything that a training shows.
ROOTS = {"wrong_last_activation", "missing_activation", "double_softmax", "wrong_loss", "label_encoding",
         "target_out_of_range", "shape_mismatch", "nan_data", "lr_invalid", "constant_feature",
         "constant_target"}  # fmt: skip
SYMPTOMS = {"exploding_gradient", "vanishing_gradient", "saturated", "dying_relu", "oscillating_loss", "no_learning",
            "lr_too_high", "lr_too_low", "too_few_epochs", "overfitting", "too_few_units"}  # fmt: skip
EXPLAINED, AGAIN = 0.3, 0.5  # factors of the likelihood: of what is explained, and of a fault that was named before
DEPTH = 3
# What is found before the first step is no consequence of the steps.
LATER, BEFORE = {"lr_too_high", "lr_too_low"}, {"FN321", "FN322", "FN323", "FN324", "FN325", "FN329"}
# Rules that read what was declared, so that what they find is never a consequence.
DECLARED = {"FN301", "FN302", "FN303", "FN306", "FN307", "FN309", "FN310", "FN317", "FN318", "FN401", "FN407"}


def ranked(findings):
    """Sorted by severity, then likelihood; what another finding explains is no more severe than that, and less likely.

    Returns
    -------
    Findings
    """
    order = ordered(findings)
    causes = [[i for i, c in enumerate(order) if _explains(c, f)] for f in order]
    own = [SEVERITIES.index(f.severity) for f in order]
    severity = list(own)
    for _ in range(DEPTH):  # causes may have causes
        severity = [max(o, min((severity[c] for c in cs), default=0)) for o, cs in zip(own, causes, strict=True)]
    done = []
    for i, finding in enumerate(order):
        factor = EXPLAINED if causes[i] else 1.0
        done.append(replace(finding, severity=SEVERITIES[severity[i]], likelihood=finding.likelihood * factor))
    named: set[str] = set()
    for i, finding in enumerate(done := ordered(done)):
        if finding.fault in named:
            done[i] = replace(finding, likelihood=finding.likelihood * AGAIN)
        named.add(finding.fault)
    return Findings(ordered(done))


def _explains(cause, finding):
    if cause.severity == "note" or cause.fault == finding.fault:
        return False
    if cause.fault in ROOTS and cause.severity == "error":
        return finding.fault in SYMPTOMS
    if finding.code in DECLARED or cause.fault in LATER and finding.code in BEFORE:
        return False
    if cause.code == "FN304" and finding.fault in ("vanishing_gradient", "dying_relu"):
        return True
    return finding.fault in EXPLAINS.get(cause.fault, ())
