"""Rules about the start: signals, gradients and the first steps, on a batch, with a copy of the weights."""

from __future__ import annotations

import numpy as np

from .registry import found, rule

GLOROT, HE = "Glorot & Bengio 2010", "He, Zhang, Ren & Sun 2015"
SIGNAL, GRADIENT, NO_GRADIENT = 30.0, 1e-3, 1e-5
DEAD, FLAT = 0.9, 0.5


@rule("FN321", "start-gradient", "vanishing_gradient", "Gradients that vanish or explode at the start", "start",
      reference=GLOROT)  # fmt: skip
def start_gradient(facts):
    """The norm of the gradient of the loss with respect to the outputs of the first layer, divided by that of the last
    layer: below 1e-3 a warning, below 1e-5 an error; above 1000 an error (`exploding_gradient`). Dead and constant
    layers have their own findings."""
    start = facts.start
    if start is None:
        return
    norms = [(n, v) for n, v in start.of("output_gradient_norm") if n in facts.kernel_layers]
    if len(norms) < 3 or not norms[-1][1] > 0:
        return
    (first, low), (last, high) = norms[0], norms[-1]
    if not low > 0 and any(v == 1 for _, v in start.of("dead")):
        return  # see start-dead
    ratio = low / high
    factor = ratio ** (1 / (len(norms) - 1))
    evidence = {"ratio": ratio, "factor_per_layer": factor, "layers": len(norms)}
    if ratio < GRADIENT:
        yield found(
            "error" if ratio < NO_GRADIENT else "warning",
            f"before training, the gradient at {first} is {ratio:.1g} of that at {last}: a factor of {factor:.2g} per"
            " layer",
            "Use relu with he_normal, or selu with lecun_normal; add BatchNormalization, or use fewer layers.",
            "The first layers hardly learn.", first, {**evidence, "threshold": GRADIENT}, 0.9,
        )  # fmt: skip
    elif ratio > 1 / GRADIENT:
        yield found(
            "error",
            f"before training, the gradient at {first} is {ratio:.1g} times that at {last}: a factor of {factor:.2g}"
            " per"
            " layer",
            "Use he_normal for relu, glorot_uniform for tanh; add BatchNormalization, or clip gradients: clipnorm=1.",
            "Any learning rate is too high for the first layers or too low for the last.", first,
            {**evidence, "threshold": 1 / GRADIENT}, 0.85, fault="exploding_gradient",
        )  # fmt: skip


@rule("FN322", "start-signal", "bad_init", "Signals that fade or grow at the start", "start",
    reference=f"{GLOROT}; {HE}")
def start_signal(facts):
    """The standard deviation of the outputs of the last hidden layer is at least 30 times smaller or larger than that
    of the first one."""
    start = facts.start
    if start is None:
        return
    if any(v >= DEAD for _, v in start.of("dead")):
        return  # see start-dead
    hidden = [b.layer.name for b in facts.blocks[:-1]]
    stds = [(n, v) for n, v in start.of("activation_std") if n in hidden]
    if len(stds) < 2 or not stds[0][1] > 0:
        return
    (first, one), (last, other) = stds[0], stds[-1]
    ratio = other / one
    evidence = {"first": one, "last": other, "ratio": ratio, "threshold": SIGNAL}
    fix = "Use he_normal for relu, glorot_uniform for tanh, lecun_normal for selu; or add BatchNormalization."
    if ratio < 1 / SIGNAL and other < 0.05:
        yield found(
            "warning", f"before training, the outputs of {last} have standard deviation {other:.2g}, those of {first}"
            f" {one:.2g}: signals fade from layer to layer",
            fix, "The output hardly depends on the inputs.", last, evidence, 0.7,
        )  # fmt: skip
    elif ratio > SIGNAL and other > 3:
        yield found(
            "warning", f"before training, the outputs of {last} have standard deviation {other:.2g}, those of {first}"
            f" {one:.2g}: signals grow from layer to layer",
            fix, "Large outputs give large gradients, and saturate what comes after them.", last, evidence, 0.8,
        )  # fmt: skip


@rule("FN323", "start-dead", "dying_relu", "Units that are dead at the start", "start",
      reference="Lu, Shin, Su & Karniadakis 2019")  # fmt: skip
def start_dead(facts):
    """At least 90 % of the units of a layer are not active for any sample of the batch: a warning, or an error if none
    of its units is."""
    start = facts.start
    if start is None:
        return
    dead = [(n, v) for n, v in start.of("dead") if v >= DEAD]
    if dead:
        name, share = dead[0]
        yield found(
            "error" if share == 1 else "warning",
            f"before training, {100 * share:.0f} % of the units of {name} are not active for any of the samples",
            "Use he_normal and biases of zero, or leaky_relu or elu; check the scale of the inputs.",
            "The gradient of such units is zero, so they do not recover.", name,
            {"dead": share, "threshold": DEAD}, 0.85,
        )  # fmt: skip


@rule("FN324", "start-saturated", "saturated", "Units that are saturated at the start", "start", reference=GLOROT)
def start_saturated(facts):
    """At least half of the units of a layer have a derivative below 0.01 for more than 95 % of the samples."""
    start = facts.start
    if start is None:
        return
    flat = [(n, v) for n, v in start.of("saturated") if v >= FLAT]
    if flat and not facts.learned_before:
        name, share = flat[0]
        yield found(
            "warning", f"before training, {100 * share:.0f} % of the units of {name} are saturated",
            "Scale the inputs, or start with smaller weights: glorot_uniform.",
            "Where an activation is flat, no gradient passes.", name, {"saturated": share, "threshold": FLAT}, 0.75,
        )  # fmt: skip


@rule("FN325", "first-loss", "bad_init", "An initial loss far above that of a constant predictor", "start")
def first_loss(facts):
    """The loss before training is more than 10 times that of a constant predictor. It is a note: scale and initial
    weights have their own findings."""
    start, constant = facts.start, facts.constant_loss
    if start is None or constant is None or not constant > 0 or facts.row in ("mean_absolute_percentage_error",):
        return
    loss = start.loss - start.penalty
    if np.isfinite(loss) and loss > 10 * constant:
        yield found(
            "note", f"before training, the loss is {loss:.3g}; that of the best constant output is {constant:.3g}",
            "Scale inputs and targets; start with smaller weights.",
            "The first steps only undo the initial outputs.", evidence={"loss": loss, "constant": constant},
            likelihood=0.05,
        )  # fmt: skip


def diverges(losses):
    """Whether steps make the loss larger."""
    late = losses[len(losses) // 2 :]
    return not np.isfinite(losses).all() or bool(late.min() > losses[0] and losses[-1] > 1.5 * losses[0])


@rule("FN326", "first-steps", "lr_too_high", "Steps that make the loss larger", "start",
    reference="LeCun, Bottou, Orr &"
      " Müller 1998, section 4.7")  # fmt: skip
def first_steps(facts):
    """A few steps on one batch should make its loss smaller, if not at the given learning rate, then at half of it. It
    is a warning if the loss ends above 1.5 times its initial value and stays above that value throughout the second
    half of the steps; an error if it ends above 100 times that value, or becomes NaN or infinite."""
    start = facts.start
    if start is None or facts.learned_before:
        return
    losses = np.array(start.losses)
    before, rate = losses[0], facts.rate
    finite = np.isfinite(losses)
    if not np.isfinite(before) or not diverges(losses):
        return
    slower = facts.slower_start
    if slower is not None and not diverges(np.array(slower.losses)):
        return
    shown = "not a number" if not finite[-1] else f"{losses[-1]:.3g}"
    severe = not finite.all() or losses[-1] > 100 * before
    yield found(
        "error" if severe else "warning",
        f"after {len(losses) - 1} steps on one batch the loss is {shown}, before them it was {before:.3g}: the learning"
        f" rate {rate:g} is too high",
        "Divide the learning rate by 10, or use find_learning_rate; scale inputs and targets.",
        "Each step overshoots the minimum and ends farther from it.",
        evidence={"before": before, "after": float(losses[-1]), "steps": len(losses) - 1, "rate": rate},
        likelihood=0.82,
    )  # fmt: skip


@rule("FN329", "start-non-finite", "nan_source", "NaN or infinity before the first step", "start")
def start_non_finite(facts):
    """With finite inputs, targets and weights, the outputs or the loss of the first batch are not finite: an
    activation overflows, or a custom loss or layer divides by zero or takes the logarithm of a negative number."""
    start = facts.start
    if start is None or np.isfinite(start.losses[0]):
        return
    good = bool(np.isfinite(start.outputs).all())
    wrong = [n for n, v in zip(start.layers, start.figures["activation_std"], strict=True) if not np.isfinite(v)]
    where = next(iter(wrong), None)
    yield found(
        "error",
        f"the loss of the first batch is {start.losses[0]}, with finite outputs" if good else
        f"outputs are not finite before the first step{f', from layer {where} on' if where else ''}",
        f"Check the loss {facts.loss_name} for divisions by zero and logarithms." if good else
        "Check the layer's activation, its weights and the scale of the inputs.",
        "A step with a NaN makes all weights NaN.", None if good else where,
        {"loss": float(start.losses[0])}, 0.9,
    )  # fmt: skip


@rule("FN327", "small-steps", "lr_too_low", "Steps that hardly move the weights", "start", reference="Karpathy 2019")
def small_steps(facts):
    """A step changes the weights of no layer by more than a fraction of 3e-6, so ten thousand steps change them little.
    A fraction of about 1e-3 is usual."""
    start = facts.start
    if start is None or facts.learned_before or facts.scheduled or not facts.rate > 0:
        return
    ratios = [v for _, v in start.of("update_ratio") if np.isfinite(v)]
    if ratios and 0 < max(ratios) < 3e-6:
        yield found(
            "warning",
            f"a step with learning rate {facts.rate:g} changes weights by at most {max(ratios):.1g} of their size",
            "Use a higher learning rate: see find_learning_rate; about 1e-3 of their size is usual.",
            "The weights hardly move, however long it trains.",
            evidence={"update_ratio": max(ratios), "threshold": 3e-6, "rate": facts.rate}, likelihood=0.8,
        )  # fmt: skip


@rule("FN328", "target-scale", "unscaled_target", "Regression targets that are not scaled", "compiled", "y",
      reference="LeCun, Bottou, Orr & Müller 1998, section 4.5")  # fmt: skip
def target_scale(facts):
    """Regression targets have a root mean square above 10 or a standard deviation below 0.01. A linear output starts
    near 0 and has to get there; errors, and with them gradients, are as large as the targets. A warning if the root
    mean square is above 100, if the first steps make the loss larger, or if training has failed; otherwise a note."""
    if facts.row not in ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh") or not facts.y_fits:
        return
    if facts.target_kind != "values" or "y" in facts.non_finite or not all(np.isinf(facts.limits)):
        return
    mean, deviation = facts.targets.spread
    size = float(np.sqrt(mean**2 + deviation**2).max())
    smallest = float(deviation.max())
    if 0.01 <= smallest and size <= 10 or smallest == 0 or facts.autoencoder:
        return
    start, diverges = facts.start_or_none, False
    if start is not None:
        losses = np.array(start.losses)
        diverges = not np.isfinite(losses).all() or losses[-1] > 1.5 * losses[0]
    small = size <= 10
    yield found(
        "warning" if (size > 100 or diverges or facts.harmed) and not (small and not facts.harmed) else "note",
        f"targets have mean {float(mean[np.argmax(abs(mean))]):.3g} and standard deviation {smallest:.3g}",
        "Train with (y - y.mean()) / y.std(), and transform predictions back: prediction * y.std() + y.mean().",
        "Errors are tiny, and so are gradients." if small else
        "The outputs start near 0 and have far to go; errors and gradients are as large as the targets.",
        evidence={"root_mean_square": size, "std": smallest, "threshold": 10.0}, likelihood=0.9 if not small else 0.6,
    )  # fmt: skip
