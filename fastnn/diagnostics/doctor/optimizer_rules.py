"""Rules about the optimizer and its rate."""

from __future__ import annotations

from .registry import found, rule

ADAM = ("Adam", "AdamW", "Adamax", "Nadam", "RMSprop")
KINGMA = "Kingma & Ba 2015"
BENGIO = "Bengio 2012, section 3.1.1"


def momentum(optimizer):
    """Momentum of plain gradient descent."""
    return float(getattr(optimizer, "momentum", 0.0) or 0.0)


def usual(optimizer):
    """(smallest, largest) usual rate, and a good one, by the kind of the optimizer; None if it is unknown."""
    kind = type(optimizer).__name__
    if kind in ADAM:
        return 1e-6, 0.1, 1e-3
    if kind == "Lion":
        return 1e-7, 0.01, 1e-4
    if kind == "SGD":
        return 1e-6, 2.0 * max(0.1, 1 - momentum(optimizer)), 1e-2
    if kind == "Adagrad":
        return 1e-5, 2.0, 1e-2
    return None


@rule("FN401", "rate-not-positive", "lr_invalid", "A learning rate that is not positive", "compiled")
def rate_not_positive(facts):
    """With a learning rate of 0 nothing changes; with a negative one the loss is maximised."""
    rate = facts.rate
    if not rate > 0 and not facts.scheduled:
        yield found(
            "error", f"the learning rate is {rate:g}", "Use a positive learning rate, such as 1e-3 for Adam.",
            "Weights do not change, or the loss is maximised.", evidence={"rate": rate}, likelihood=0.98,
        )  # fmt: skip


@rule("FN402", "high-rate", "lr_too_high", "A very high learning rate", "compiled", reference=BENGIO)
def high_rate(facts):
    """Learning rates above 0.1 for Adam and its variants, whose updates are about as large as the rate; above 2 for
    SGD, times 1 - momentum (at least 0.1). For SGD it is a note if the loss of a batch falls steadily all the same."""
    limits = usual(facts.optimizer)
    if limits is None or facts.rate <= limits[1]:
        return
    falls = facts.probe_falls
    yield found(
        "note" if falls and type(facts.optimizer).__name__ == "SGD" else "warning",
        f"the learning rate of {type(facts.optimizer).__name__} is {facts.rate:g}",
        f"Start with {limits[2]:g}, or use find_learning_rate.",
        "Updates are as large as the weights: the loss jumps, and relu units die.",
        evidence={"rate": facts.rate, "threshold": limits[1]}, likelihood=0.88,
    )  # fmt: skip


@rule("FN403", "low-rate", "lr_too_low", "A very low learning rate", "compiled", reference=BENGIO)
def low_rate(facts):
    """Learning rates of at most 1e-6 for Adam, its variants and SGD."""
    limits = usual(facts.optimizer)
    if limits is None or facts.scheduled or not 0 < facts.rate <= limits[0]:
        return
    yield found(
        "warning", f"the learning rate of {type(facts.optimizer).__name__} is {facts.rate:g}",
        f"Start with {limits[2]:g}, or use find_learning_rate.", "The weights hardly move, however long it trains.",
        evidence={"rate": facts.rate, "threshold": limits[0]}, likelihood=0.9,
    )  # fmt: skip


@rule("FN404", "small-epsilon", "low_adam_epsilon", "A tiny epsilon", "compiled", reference=KINGMA)
def small_epsilon(facts):
    """Adam divides by the root of the mean squared gradient plus epsilon. Below 1e-12, weights whose gradients are
    nearly zero take steps as large as all others."""
    epsilon = getattr(facts.optimizer, "epsilon", None)
    if type(facts.optimizer).__name__ in ADAM and epsilon is not None and epsilon < 1e-12:
        yield found(
            "warning", f"epsilon of {type(facts.optimizer).__name__} is {epsilon:g}", "Use epsilon=1e-7.",
            "Weights with almost no gradient take full steps, in the direction of rounding errors.",
            evidence={"epsilon": float(epsilon), "threshold": 1e-12}, likelihood=0.7,
        )  # fmt: skip


@rule("FN405", "momentum-of-one", "wrong_optimizer", "A momentum near or above one", "compiled")
def momentum_of_one(facts):
    """With a momentum of 1 or more, velocities grow without limit: an error. Above 0.99 they need hundreds of steps to
    settle: a warning."""
    value = momentum(facts.optimizer)
    if value > 0.99:
        yield found(
            "error" if value >= 1 else "warning", f"the momentum is {value:g}", "Use momentum=0.9.",
            "The sum of past gradients grows without limit." if value >= 1 else "Old gradients last for hundreds of"
            " steps.",
            evidence={"momentum": value, "threshold": 0.99}, likelihood=0.9 if value >= 1 else 0.6,
        )  # fmt: skip


@rule("FN406", "tiny-clip", "lr_too_low", "Gradients clipped to almost nothing", "compiled")
def tiny_clip(facts):
    """A limit below 1e-6 makes every step of SGD tiny; Adam rescales its gradients, so for other optimizers it is a
    note."""
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        value = getattr(facts.optimizer, name, None)
        if value is not None and value < 1e-6:
            yield found(
                "warning" if type(facts.optimizer).__name__ == "SGD" else "note", f"{name} is {value:g}",
                f"Use {name}=1.", "Every step is tiny.", evidence={name: float(value), "threshold": 1e-6},
                likelihood=0.7,
            )  # fmt: skip


@rule("FN407", "summed-loss", "loss_reduction", "The sum of the losses of a batch", "compiled")
def summed_loss(facts):
    """With ``reduction="sum"`` the gradient grows with the batch size, so the usual learning rates are
    too high by that factor."""
    if getattr(facts.loss, "reduction", None) == "sum":
        yield found(
            "warning", f"{facts.loss_name} has reduction='sum': the gradient grows with the batch size",
            "Use the default, the mean over the batch, or divide the learning rate by the batch size.",
            "A learning rate that is right for one batch size is wrong for another.", likelihood=0.8,
        )  # fmt: skip
