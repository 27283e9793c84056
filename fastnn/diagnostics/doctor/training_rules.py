"""Rules about a training: loss curves and the health of the layers.

A finding is a warning only if it persists, in two epochs or several sampled steps of one, and if it does harm: the
loss is not 20 % better than that of a constant predictor.
"""

from __future__ import annotations

import numpy as np

from .optimizer_rules import ADAM, momentum
from .registry import found, rule

GLOROT = "Glorot & Bengio 2010"
RATIO, RATIO_ERROR, UPDATE = 1e-3, 1e-6, 1e-5
# Rates up to which they are slow on scaled data. Adadelta's paper has 1; Adagrad and Ftrl divide by all past gradients.
SLOW = {"Adadelta": 0.01, "Adagrad": 2e-3, "Ftrl": 2e-3, "SGD": 1e-3}


def percent(x):
    return f"{100 * x:.0f} %"


@rule("FN501", "vanishing-gradient", "vanishing_gradient", "Vanishing gradient", "history", reference=GLOROT)
def vanishing_gradient(facts):
    """The gradient norm of the first layer is below a thousandth of that of the last layer, in both of the last two
    windows of epochs. In addition training has failed, or the first layer hardly changes (updates below 1e-5 of its
    weights): then it is a note."""
    training = facts.training
    norms = training.recent("gradient_norm")
    if norms is None or not training.persists:
        return
    known = np.flatnonzero(np.isfinite(norms).all(axis=1))
    if len(known) < 3:
        return
    first, last = norms[known[0]], norms[known[-1]]
    dead = training.recent("dead")
    if not (last > 0).all() or not first.all() and dead is not None and (dead == 1).any():
        return  # of the latter see dying-relu
    ratio = float((first / last).max())
    updates = training.recent("update_ratio")
    update = float(updates[known[0]].max())
    if ratio > RATIO or not (facts.harmed or update < UPDATE):
        return
    factor = ratio ** (1 / (len(known) - 1))
    health = training.health
    yield found(
        "error" if ratio < RATIO_ERROR and facts.harmed else "warning" if facts.harmed else "note",
        f"the gradient of {health.layers[known[0]]} is {ratio:.1g} of that of {health.layers[known[-1]]}: it shrinks"
        " by a"
        f" factor of {1 / max(factor, 1e-30):.2g} per layer",
        "Use relu with he_normal or selu with lecun_normal, add BatchNormalization, or use fewer layers.",
        "The first layers do not learn.", health.layers[known[0]],
        {"ratio": ratio, "threshold": RATIO, "update_ratio": update, "layers": len(known)}, 0.9,
    )  # fmt: skip


@rule("FN505", "dying-relu", "dying_relu", "Units that are never active", "history", reference="Lu, Shin, Su & "
      "Karniadakis 2019")  # fmt: skip
def dying_relu(facts):
    """At least half of the units of a layer were not active for any sample of the last epochs: a warning if the loss is
    above half of that of a constant predictor, and an error if all units of the layer are dead and training has failed.
    Otherwise, or for fewer dead units, a note."""
    dead = facts.training.recent("dead")
    if dead is None:
        return
    least = np.nanmin(np.where(np.isfinite(dead), dead, 0), axis=1)
    worst = int(least.argmax())
    share, layer = float(least[worst]), facts.training.health.layers[worst]
    if share <= 0:
        return
    severity = "note"
    if share >= 0.5 and facts.poor:
        severity = "error" if share == 1 and facts.harmed else "warning"
    yield found(
        severity, f"{percent(share)} of the units of {layer} were not active for any sample of an epoch",
        "Lower the learning rate, use he_normal and scaled inputs, or leaky_relu or elu.",
        "The gradient of such a unit is zero, so it does not recover.", layer,
        {"dead": share, "threshold": 0.5}, 0.85 if share >= 0.5 else 0.1,
    )  # fmt: skip


@rule("FN506", "saturated-units", "saturated", "Saturated units", "history", reference=GLOROT)
def saturated_units(facts):
    """The derivative of the activation is below 0.01 on more than 95 % of the rows, for at least half of the units of
    a layer. A warning if training has failed, otherwise a note."""
    flat = facts.training.recent("saturated")
    if flat is None or not facts.training.persists:
        return
    least = np.nanmin(np.where(np.isfinite(flat), flat, 0), axis=1)
    worst = int(least.argmax())
    share, layer = float(least[worst]), facts.training.health.layers[worst]
    if share >= 0.5:
        yield found(
            "warning" if facts.harmed else "note", f"{percent(share)} of the units of {layer} are saturated",
            "Scale the inputs, lower the learning rate, or start with smaller weights (glorot_uniform).",
            "Where an activation is flat, no gradient passes.", layer, {"saturated": share, "threshold": 0.5}, 0.75,
        )  # fmt: skip


@rule("FN507", "no-learning", "no_learning", "No better than a constant predictor", "history")
def no_learning(facts):
    """After at least 3 epochs and 200 steps, the loss is still above 0.98 times that of a constant predictor."""
    training, constant = facts.training, facts.constant_loss
    if constant is None or constant <= 0 or training.steps is None or training.epochs < 3 or training.steps < 200:
        return
    best = facts.best_loss if np.isfinite(training.loss).any() else np.inf
    if best > 0.98 * constant:
        yield found(
            "warning", f"after {training.epochs} epochs the loss is {training.last:.4g}, no better than the"
            f" {constant:.4g} of the best constant output",
            "Check that x and y belong together, scale the data, and try other learning rates: find_learning_rate.",
            "Nothing was learned from the inputs.", evidence={"loss": training.last, "constant": constant,
            "best": best}, likelihood=0.3,
        )  # fmt: skip


@rule("FN502", "large-updates", "lr_too_high", "Updates as large as the weights", "history", reference="Karpathy 2019")
def large_updates(facts):
    """Updates of a layer were above a tenth of its weights, on average over an epoch (about 1e-3 is usual). In addition
    training has failed, or its loss jumps up and down and is above half of that of a constant predictor. Or the
    learning rate of Adam or one of its variants is above 0.03, and the loss is above half of that of a constant
    predictor."""
    training = facts.training
    early, recent = training.early, training.recent("update_ratio")
    if early is None or not np.isfinite(early).any():
        return
    ratio = float(np.nanmax(early))
    now = float(np.nanmax(recent)) if recent is not None else 0.0
    large = max(ratio, now) > 0.1 and (facts.harmed or training.jumps > 0.4 and facts.poor)
    if not (large or high_rate(facts)):
        return
    at = int(np.nanargmax(early))
    yield found(
        "warning", f"updates of {training.health.layers[at]} were {percent(max(ratio, now))} of its weights per step",
        "Divide the learning rate by 10, or use find_learning_rate.",
        "Weights cannot settle; relu units that are pushed too far never recover.", training.health.layers[at],
        {"update_ratio": max(ratio, now), "threshold": 0.1, "rate": facts.rate}, 0.86,
    )  # fmt: skip


def high_rate(facts):
    """Whether the rate of Adam, or its kind, is above 0.03, and the training poor."""
    return type(facts.optimizer).__name__ in ADAM and facts.rate > 0.03 and not facts.scheduled and facts.poor


@rule("FN503", "small-updates", "lr_too_low", "Updates that are too small", "history",
    reference="Karpathy 2019")
def small_updates(facts):
    """Training has failed, and updates are below 2e-4 of the weights per step, so that all of them together changed the
    weights by less than a fifth. Or updates are below 5e-4, and the loss is above half of that of a constant
    predictor and still falls by more than 0.5 % per epoch."""
    if not hardly_move(facts):
        return
    update, steps = facts.training.update, facts.training.steps
    yield found(
        "warning", f"updates were {update:.1g} of the weights per step, {update * steps:.2g} in {steps} steps",
        "Use a higher learning rate: see find_learning_rate, or Adam with 1e-3.",
        "The weights are still close to the initial ones.",
        evidence={"update_ratio": update, "threshold": 2e-4, "steps": steps, "rate": facts.rate}, likelihood=0.8,
    )  # fmt: skip


def hardly_move(facts):
    training = facts.training
    update, steps = training.update, training.steps
    if update is None or steps is None or not training.finite or not update > 0 or not facts.output_trains:
        return False
    falling = training.slope is not None and training.slope > 0.005
    return update < 2e-4 and update * steps < 0.2 and facts.harmed or update < 5e-4 and falling and facts.poor


@rule("FN515", "slow-optimizer", "wrong_optimizer", "An optimizer that is too slow", "history",
      reference="Zeiler 2012; Duchi, Hazan & Singer 2011; McMahan et al. 2013")
def slow_optimizer(facts):
    """Adadelta, Adagrad or Ftrl with a learning rate far below that of their papers, or SGD without momentum and with a
    learning rate of at most 1e-3. After at least 100 steps training has failed, or its loss is above 0.35 times that of
    a constant predictor (half of it for SGD) and still falls by more than 0.3 % per epoch. Or updates of any optimizer
    other than Adam and its variants are as small as in `FN503`."""
    training, constant, rate = facts.training, facts.constant_loss, facts.rate
    kind, steps = type(facts.optimizer).__name__, training.steps
    if kind in ADAM or not training.finite or steps is None or constant is None or facts.scheduled:
        return
    slow = steps >= 100 and rate <= SLOW.get(kind, 0.0) and not momentum(facts.optimizer)
    falling = training.slope is not None and training.slope > 0.003
    above = constant * (0.5 if kind == "SGD" else 0.35)  # the notes train with SGD(1e-3), and reach a third
    slow = slow and (facts.harmed or falling and training.last - facts.penalty > above)
    if not (slow or hardly_move(facts)):
        return
    yield found(
        "warning", f"{kind} with learning rate {rate:g} is slow: after {steps} steps the loss is {training.last:.3g}",
        "Use Adam with 1e-3, whose steps do not depend on the size of the gradient.",
        "With such steps, training needs at least ten times as many epochs.",
        evidence={"rate": rate, "steps": steps, "loss": training.last, "constant": constant},
        likelihood=0.82 if kind != "SGD" else 0.78 if slow else 0.5,  # of SGD, the rate comes first
    )  # fmt: skip
    if slow and kind == "SGD":
        yield found(
            "warning", f"the learning rate {rate:g} is probably too low for SGD without momentum",
            "Use 1e-2, or see find_learning_rate.", "The weights are on their way.",
            evidence={"rate": rate, "steps": steps, "loss": training.last}, likelihood=0.79, fault="lr_too_low",
        )  # fmt: skip


@rule("FN504", "few-steps", "too_few_epochs", "Too few steps", "history", reference="Bengio 2012, section 3.1.2")
def few_steps(facts):
    """Training has failed after fewer than 200 steps, or while its loss still falls by more than 1 % per epoch. Or the
    loss is above half of that of a constant predictor after at most 3 epochs. Or, with at most 2 steps per epoch
    (`batch_size`), it is above a quarter of that and still falls after fewer than 200 steps."""
    training = facts.training
    steps, slope = training.steps, training.slope
    if steps is None or not training.finite or facts.learned is None:
        return
    constant = facts.constant_loss
    above = training.loss[0] > 3 * constant  # it is still on its way down from a bad start
    falling = slope is not None and slope > 0.01
    whole, batch, n = training.steps_per_epoch, training.seen.batch_size, training.seen.n
    large = bool(whole and whole <= 2 and n and n >= 64 and batch and batch > n / 4 and steps < 200)
    large = large and (facts.poor or falling and training.last - facts.penalty > 0.25 * constant)
    early = training.epochs <= 3 and steps < 300 and facts.poor
    if not (facts.harmed and (steps < 200 or falling) or early or large):
        return
    if large:
        yield found(
            "warning", f"the batch size {batch} leaves {whole} step{'s' * (whole > 1)} per epoch, {steps} in all",
            "Use batch_size=32.", "Each step changes the weights only a little; hundreds are needed.",
            evidence={"batch_size": batch, "rows": n, "steps": steps}, likelihood=0.75, fault="batch_size",
        )  # fmt: skip
    yield found(
        "warning", f"after {steps} steps in {training.epochs} epoch{'s' * (training.epochs > 1)} the loss is"
        f" {training.last:.3g}" + (f" and still falls by {100 * slope:.1g} % per epoch" if falling else ""),
        "Train for more epochs" + ("." if not above else ", and scale inputs and targets."),
        "Hundreds or thousands of steps are needed.",
        evidence={"steps": steps, "loss": training.last, "constant": constant} | ({"slope": slope} if slope else {}),
        likelihood=0.7 if steps < 200 else 0.55,
    )  # fmt: skip


@rule("FN508", "jumping-loss", "oscillating_loss", "Oscillating loss", "history",
      reference="LeCun, Bottou, Orr & Müller 1998, section 4.7")  # fmt: skip
def jumping_loss(facts):
    """In the last three quarters of at least 8 epochs, the loss changes direction in more than 40 % of the epochs, and
    its median change per epoch is above 10 % of its mean (3 % if the learning rate is as high as in `FN502`). A warning
    if the loss is above half of that of a constant predictor, otherwise a note."""
    training, high = facts.training, high_rate(facts)
    share, size = training.swings
    if share <= 0.4 or size <= (0.03 if high else 0.1) or not training.finite:
        return
    poor = facts.poor
    yield found(
        "warning" if poor else "note", f"the loss changes direction in {percent(share)} of the epochs",
        "Lower the learning rate, or use larger batches.", "Steps overshoot the minimum.",
        evidence={"changes": share, "threshold": 0.4, "median_change": size}, likelihood=0.88 if high else 0.5,
    )  # fmt: skip
    if poor:
        yield found(
            "warning", f"the learning rate {facts.rate:g} is probably too high: the loss changes direction in"
            f" {percent(share)} of the epochs",
            "Divide the learning rate by 10, or use find_learning_rate.", "Steps overshoot the minimum.",
            evidence={"rate": facts.rate}, likelihood=0.55, fault="lr_too_high",
        )  # fmt: skip


@rule("FN509", "overfitting", "overfitting", "Rising validation loss", "history", reference="Prechelt 1998")
def overfitting(facts):
    """The validation loss has been above 1.1 times its minimum for at least 5 epochs, while the training loss fell: a
    note. It is a warning if the accuracy is 15 percentage points lower in validation than in training and the
    validation loss rose by a quarter; without accuracy, if the validation loss ends above that of a constant
    predictor of the validation targets and above 5 times the training loss."""
    training = facts.training
    valid = training.curve("val_loss")
    if len(valid) != len(training.loss) or len(valid) < 8 or not np.isfinite(valid).all() or not training.finite:
        return
    at = int(valid.argmin())
    since, constant, gap = len(valid) - 1 - at, facts.constant_validation_loss, training.accuracy_gap
    useless = constant is not None and constant > 0 and valid[-1] > constant and facts.settled_loss < 0.2 * valid[-1]
    rises = since >= 5 and (valid[-5:] > 1.1 * valid[at]).all() and training.loss[-1] < training.loss[at]
    if not (rises or useless):
        return
    bad = useless if gap is None else gap > 0.15 and valid[-1] > 1.25 * valid[at] and training.last < 0.3 * valid[-1]
    yield found(
        "warning" if bad else "note",
        f"the validation loss rose from {valid[at]:.3g} in epoch {at + 1} to {valid[-1]:.3g}, the training loss fell to"
        f" {training.last:.3g}",
        f"Stop at epoch {at + 1} (EarlyStopping with restore_best_weights=True), or use dropout, a smaller model, more"
        " data.",
        "The model memorises the training samples.",
        evidence={"smallest": float(valid[at]), "last": float(valid[-1]), "epoch": at + 1, "training": training.last},
        likelihood=0.6,
    )  # fmt: skip


@rule("FN510", "nothing-carries-over", "shuffled_labels", "A model that does not generalise", "history",
      reference="Zhang, Bengio, Hardt, Recht & Vinyals 2017")  # fmt: skip
def nothing_carries_over(facts):
    """The training loss is below that of a constant predictor, but the validation loss never was: rows of x and y may
    not belong together, or the inputs may be unrelated to the targets. A warning if the nearest neighbours of a
    sample do not predict its target either, or, with at least 50 validation samples, if the training loss is below
    half of that of the constant predictor."""
    training, constant = facts.training, facts.constant_loss
    valid = training.curve("val_loss")
    valid = valid[np.isfinite(valid)]
    if constant is None or constant <= 0 or len(valid) < 5 or facts.best_loss > 0.9 * constant:
        return
    if valid.min() > 0.98 * constant:
        rows, blind = training.seen.validation_rows or 0, facts.neighbours_know is False
        sure = rows >= 20 if blind else rows >= 50 and facts.best_loss < 0.5 * constant
        yield found(
            "warning" if sure else "note",
            f"the training loss fell to {training.last:.3g}, but the validation loss never fell below that of"
            f" a constant output, {constant:.3g}",
            "Check that rows of x and y belong together (were they shuffled or sorted apart?), and that validation data"
            " are prepared as the training data are.",
            "The model has memorised the training samples, and nothing else.",
            evidence={"best_validation": float(valid.min()), "constant": constant, "rows": rows}, likelihood=0.75,
        )  # fmt: skip


@rule("FN512", "unpredictable-targets", "random_target", "Inputs unrelated to the targets", "history", "x",
      "y", reference="Cover & Hart 1967")  # fmt: skip
def unpredictable_targets(facts):
    """Training has failed, or the model does not generalise to the validation data, and the 5 nearest neighbours of a
    sample do not predict its target either."""
    training, constant = facts.training, facts.constant_loss
    if facts.neighbours_know is not False or not training.finite:
        return
    valid = training.curve("val_loss")
    valid = valid[np.isfinite(valid)]
    fails = len(valid) >= 3 and constant is not None and valid.min() > 0.98 * constant
    if fails or facts.harmed and (training.steps or 0) >= 200:
        evidence = {"score_of_neighbours": facts.neighbour_score[0], "by_chance": facts.neighbour_score[1]}
        for fault, likelihood in (("shuffled_labels", 0.7), ("random_target", 0.68)):
            yield found(
                "warning", "the nearest neighbours of a sample do not predict its target, and neither does the"
                " model",
                "Check that rows of x and y belong together (were they shuffled or sorted apart?)."
                if fault == "shuffled_labels" else "Check that x contains what the targets depend on.",
                "Targets that do not depend on the inputs cannot be learned.", evidence=evidence,
                likelihood=likelihood, fault=fault,
            )  # fmt: skip


@rule("FN514", "single-samples", "batch_size", "Very small batches", "history",
    reference="Bengio 2012, section 3.1.3")  # fmt: skip
def single_samples(facts):
    """Batches of one or two samples, with at least 100 samples in all: a warning if the loss oscillates or is above
    half of that of a constant predictor, otherwise a note. Batches of fewer than 8 samples with `BatchNormalization`
    are a note."""
    training = facts.training
    batch, n = training.seen.batch_size, training.seen.n
    if not batch or not n or n < 100:
        return
    if batch <= 2:
        bad = training.finite and (facts.poor or training.jumps > 0.4)
        yield found(
            "warning" if bad else "note", f"the batch size is {batch}", "Use batch_size=32.",
            "Gradients of single samples are noisy: the loss jumps unless the rate is small.",
            evidence={"batch_size": batch, "rows": n}, likelihood=0.76 if bad else 0.1,
        )  # fmt: skip
    elif batch < 8 and any(type(layer).__name__ == "BatchNormalization" for layer in facts.layers):
        yield found(
            "note", f"the batch size is {batch}, and the model has batch normalisation", "Use batch_size=32.",
            "Statistics of so few samples are noisy.", evidence={"batch_size": batch}, likelihood=0.15,
        )  # fmt: skip


@rule("FN511", "accuracy-of-largest-class", "class_imbalance", "Accuracy of the largest class", "history", "y",
      reference="He & Garcia 2009")  # fmt: skip
def accuracy_of_largest_class(facts):
    """The accuracy is within 1 percentage point of the share of the largest class, which is above 80 %: the model may
    always predict that class. A note, or a warning if training has failed."""
    labels = facts.targets.labels
    accuracy = next((c for c in map(facts.training.curve, ("accuracy", "acc", "binary_accuracy")) if len(c)), None)
    if labels is None or accuracy is None or len(labels) < 100:
        return
    share = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    if share > 0.8 and abs(accuracy[-1] - share) < 0.01:
        yield found(
            "warning" if facts.harmed else "note",
            f"the accuracy {accuracy[-1]:.3f} is the share of the largest class, {share:.3f}",
            "Use class_weight, and metrics such as AUC or F1Score.",
            "Always predicting the largest class has the same accuracy.",
            evidence={"accuracy": float(accuracy[-1]), "share": share}, likelihood=0.55,
        )  # fmt: skip


@rule("FN513", "non-finite-loss", "exploding_gradient", "The loss became NaN or infinite", "history")
def non_finite_loss(facts):
    """If the loss is NaN or infinite, so are the weights: the updates were too large, or the data are not finite."""
    training = facts.training
    if not training.finite:
        wrong = np.flatnonzero(~np.isfinite(training.loss))
        epoch = int(wrong[0]) if len(wrong) else len(training.loss)
        value = training.loss[epoch] if len(wrong) else "not finite"
        yield found(
            "error", f"the loss became {value} in epoch {epoch + 1}",
            "Lower the learning rate, scale the inputs and targets, or clip gradients: clipnorm=1.",
            "The weights are no longer finite.", evidence={"epoch": epoch + 1}, likelihood=0.75,
        )  # fmt: skip
        yield found(
            "error", f"the learning rate {facts.rate:g} is probably too high: the loss became {value}",
            "Divide the learning rate by 10, or use find_learning_rate.", "Each step moves farther from the minimum.",
            evidence={"rate": facts.rate}, likelihood=0.7, fault="lr_too_high",
        )  # fmt: skip
