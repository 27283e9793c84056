"""Rules about the layers: activations between them, initial weights, order, dropout, penalties."""

from __future__ import annotations

import numpy as np

from ... import initializers
from .parts import initializer_of
from .registry import found, rule

GLOROT, HE = "Glorot & Bengio 2010", "He, Zhang, Ren & Sun 2015"
EXPLAINED = 0.99  # of the variance by a linear fit: then no activation is needed
KEEP = 0.1  # product of keep rates
DROPPED = 0.7
OFTEN = 6.0  # standard errors


@rule("FN301", "no-nonlinearity", "no_nonlinearity", "No activation between the layers", "built")
def no_nonlinearity(facts):
    """Two or more layers with weights and no activation between any of them amount to one linear layer. No finding if
    the targets are the inputs, or if a least-squares fit explains more than 99 % of their variance."""
    blocks = facts.blocks
    hidden = blocks[:-1]
    if not hidden or facts.residual or any(b.activation != "linear" for b in hidden) or facts.autoencoder:
        return
    fit = facts.linear_fit
    if fit is not None and fit > EXPLAINED:
        return
    evidence = {"layers": len(blocks)} | ({} if fit is None else {"linear_fit": fit, "threshold": EXPLAINED})
    yield found(
        "warning", f"{len(blocks)} layers have no activation between them: together they are one linear layer",
        "Give the hidden layers activation='relu' with kernel_initializer='he_normal'.",
        "A product of matrices is a matrix: depth and width add nothing.", hidden[0].layer.name, evidence, 0.8,
    )  # fmt: skip


@rule("FN302", "linear-hidden-layer", "missing_activation", "Hidden layer without an activation", "built")
def linear_hidden_layer(facts):
    """A hidden layer that has no activation and is not a bottleneck is redundant: the next layer alone can compute the
    same."""
    hidden = facts.blocks[:-1]
    linear = [i for i, b in enumerate(hidden) if b.activation == "linear"]
    if not linear or len(linear) == len(hidden) or facts.residual or facts.autoencoder:
        return
    for i in linear:
        layer, after = hidden[i].layer, facts.blocks[i + 1]
        if type(layer).__name__ == "Dense" and hidden[i].units >= min(layer.kernel.shape[0], after.units):
            yield found(
                "warning", f"the hidden layer {layer.name} has no activation",
                "Give it an activation, such as that of the other hidden layers, or remove it.",
                "Without one, it and the next layer are one linear layer.", layer.name,
                {"units": hidden[i].units}, 0.5,
            )  # fmt: skip


@rule("FN303", "equal-units", "symmetric_units", "Units with equal initial weights", "built",
      reference="Goodfellow, Bengio & Courville 2016, section 8.4")  # fmt: skip
def equal_units(facts):
    """All units of a hidden layer have the same weights, as with initializers "zeros", "ones" or a constant: they get
    the same gradients and stay equal, so the layer acts as a single unit. If all weights are zero (`zero_init`), the
    layers before it get no gradient at all."""
    blocks = facts.blocks
    for i, block in enumerate(blocks):
        layer, last = block.layer, i == len(blocks) - 1
        if type(layer).__name__ != "Dense" or block.units < 2 or (last and len(blocks) > 0):
            continue
        kernel = layer.kernel.numpy()
        if not kernel.size or not np.isfinite(kernel).all() or np.ptp(kernel, axis=1).max() > 0:
            continue
        zero = isinstance(initializer_of(layer), initializers.Zeros) or not kernel.any()
        yield found(
            "error", f"all {block.units} units of {layer.name} have the same weights"
            + (", which started at zero" if zero else ""),
            "Use glorot_uniform (the default), or he_normal for relu.",
            "Equal units get equal gradients: they stay equal, and the layer acts as a single unit."
            + (" Weights of zero pass no gradient on." if zero else ""),
            layer.name, {"units": block.units}, 0.96, fault="zero_init" if zero else None,
        )  # fmt: skip
        return


@rule("FN304", "initial-weights", "bad_init", "Initial weights of an unusual size", "built",
    reference=f"{GLOROT}; {HE}")
def initial_weights(facts):
    """The mean of the initial weights is far from 0 (farther than their standard deviation), or their standard
    deviation is more than 5 times that of he_normal, or less than a twentieth of that of glorot_uniform."""
    if not facts.untrained:
        return
    for block in facts.blocks:
        kernel = block.layer.kernel.numpy().astype(np.float64)
        if kernel.size < 16 or np.ptp(kernel) == 0:
            continue
        mean, deviation, largest = float(kernel.mean()), float(kernel.std()), (2 / max(1, kernel.shape[0])) ** 0.5
        name = block.layer.name
        inputs, units = kernel.shape
        smallest = min(inputs**-0.5, (2 / (inputs + units)) ** 0.5)
        if deviation < smallest / 20 and block is not facts.blocks[-1]:
            yield found(
                "warning", f"the initial weights of {name} have standard deviation {deviation:.2g}, that of"
                " glorot_uniform"
                f" is {(2 / (inputs + units)) ** 0.5:.2g}",
                "Use glorot_uniform, or he_normal for relu.", "Outputs and gradients fade from layer to layer.",
                name, {"std": deviation, "usual_std": smallest, "threshold": 0.05}, 0.92,
            )  # fmt: skip
            return
        if abs(mean) > deviation and abs(mean) > OFTEN * deviation / kernel.size**0.5:
            yield found(
                "warning", f"the initial weights of {name} have mean {mean:.3g} and standard deviation {deviation:.3g}",
                "Use an initializer around 0: glorot_uniform, or he_normal for relu.",
                "All units start with nearly the same sum of the inputs, and outputs grow from layer to layer.",
                name, {"mean": mean, "std": deviation}, 0.85,
            )  # fmt: skip
            return
        if deviation > 5 * largest:
            yield found(
                "warning", f"the initial weights of {name} have standard deviation {deviation:.3g}, that of"
                " he_normal is"
                f" {largest:.3g}",
                "Use glorot_uniform, or he_normal for relu.", "Outputs and gradients grow from layer to layer.",
                name, {"std": deviation, "usual_std": largest, "threshold": 5.0}, 0.85,
            )  # fmt: skip
            return


def normalises_itself(block):
    """Whether it is selu with the weights that it is made for."""
    made_for = isinstance(initializer_of(block.layer), (initializers.LecunNormal, initializers.LecunUniform))
    return block.activation == "selu" and made_for


@rule("FN305", "selu-conditions", "activation_mismatch", "SELU whose conditions are not met", "built",
      reference="Klambauer, Unterthiner, Mayr & Hochreiter 2017")  # fmt: skip
def selu_conditions(facts):
    """SELU keeps mean 0 and variance 1 from layer to layer if the initializer is lecun_normal, inputs are standardised,
    and dropout is `AlphaDropout`. Otherwise a note, or a warning if signals fade or grow by a factor of 30 at the
    start."""
    selu = [b for b in facts.blocks[:-1] if b.activation == "selu"]
    if not selu:
        return
    wrong = [b.layer.name for b in selu if not normalises_itself(b)]
    if wrong:
        off = facts.signal_ratio is not None and not 1 / 30 < facts.signal_ratio < 30
        yield found(
            "warning" if off else "note", f"selu is used in {wrong[0]} without kernel_initializer='lecun_normal'",
            "Use kernel_initializer='lecun_normal'.", "Activations do not keep mean 0 and variance 1.", wrong[0],
            {"layers": len(wrong)} | ({"signal_last_to_first": facts.signal_ratio} if off else {}),
            0.86 if off else 0.3,
        )  # fmt: skip
    for each in (layer for b in selu for layer in b.after if type(layer).__name__ == "Dropout"):
        yield found(
            "note", f"{each.name} after selu changes mean and variance", "Use AlphaDropout.",
            "SELU expects inputs of mean 0 and variance 1.", each.name, likelihood=0.2,
        )  # fmt: skip
        return


@rule("FN306", "softmax-twice", "double_softmax", "Softmax applied twice", "built")
def softmax_twice(facts):
    """A softmax of probabilities gives nearly equal probabilities, whatever the weights: for two classes, between 0.27
    and 0.73. A softmax layer with as many units before the last layer counts too."""
    layers = [layer for layer in facts.layers if facts.own_activation(layer) not in (None, "linear")]
    if len(layers) < 2 or [facts.own_activation(layer) for layer in layers[-2:]] != ["softmax", "softmax"]:
        return
    before, last = layers[-2:]
    if before.out_shape != last.out_shape:
        return
    yield found(
        "error", f"softmax is applied twice, in {before.name} and {last.name}", "Remove one of the two.",
        "The second one makes the probabilities nearly equal, so the loss stays high.", last.name, likelihood=0.93,
    )  # fmt: skip


@rule("FN307", "hidden-softmax", "activation_mismatch", "Softmax in a hidden layer", "built")
def hidden_softmax(facts):
    """Softmax outputs sum to 1, so they are small if there are many units, and one unit suppresses the others. As a
    hidden activation, softmax makes signals and gradients small."""
    blocks = facts.blocks
    for block, after in zip(blocks, blocks[1:], strict=False):
        if block.activation not in ("softmax", "log_softmax") or block.units < 2:
            continue
        if after is blocks[-1] and facts.activation == "softmax" and after.units == block.units:
            continue  # see softmax-twice
        yield found(
            "warning", f"the hidden layer {block.layer.name} has activation {block.activation}",
            "Use relu with he_normal, elu or tanh in hidden layers.",
            "Its outputs sum to 1: they are small, and so are their gradients.", block.layer.name,
            {"units": block.units}, 0.85,
        )  # fmt: skip
        return


@rule("FN308", "order-of-normalisation", "bias_before_bn", "Bias or dropout before batch normalisation", "built",
      reference="Ioffe & Szegedy 2015; Li, Chen, Hu & Yang 2019")  # fmt: skip
def order_of_normalisation(facts):
    """Batch normalisation subtracts the mean, so a bias directly before it has no effect. With
    dropout before it, the variance differs between training and inference. Both are notes."""
    for before, layer in zip(facts.layers, facts.layers[1:], strict=False):
        if type(layer).__name__ != "BatchNormalization":
            continue
        if type(before).__name__ == "Dense" and before.use_bias and facts.own_activation(before) == "linear":
            yield found(
                "note", f"the bias of {before.name} is subtracted again by {layer.name}", "Use use_bias=False.",
                "The bias costs time and has no effect.", before.name, likelihood=0.1,
            )  # fmt: skip
            return
        if type(before).__name__ == "Dropout" and before.rate:
            yield found(
                "note", f"{before.name} comes before {layer.name}", "Put dropout after batch normalisation.",
                "With dropout, the variance of a feature differs between training and inference.", before.name,
                likelihood=0.15, fault="dropout_too_high",
            )  # fmt: skip
            return


@rule("FN309", "dropout-rates", "dropout_too_high", "Too much dropout", "built",
      reference="Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, section 7.3")  # fmt: skip
def dropout_rates(facts):
    """A rate above 0.7, or several layers that together keep less than a tenth of the units: a warning. A rate above
    0.5: a note."""
    dropped = [layer for layer in facts.layers if type(layer).__name__ in ("Dropout", "AlphaDropout") and layer.rate]
    if not dropped:
        return
    worst = max(dropped, key=lambda layer: layer.rate)
    keep = float(np.prod([1 - layer.rate for layer in dropped]))
    if worst.rate > DROPPED or keep < KEEP:
        yield found(
            "warning", f"{worst.name} drops {100 * worst.rate:.0f} % of the units"
            if worst.rate > DROPPED else f"{len(dropped)} Dropout layers together keep {100 * keep:.0f} % of the units",
            "Use rates of 0.2 to 0.5.", "What reaches the output is mostly noise.", worst.name,
            {"rate": worst.rate, "threshold": DROPPED, "kept": keep}, 0.8,
        )  # fmt: skip
    elif worst.rate > 0.5:
        yield found("note", f"{worst.name} drops {100 * worst.rate:.0f} % of the units", "Use rates of 0.2 to 0.5.",
                    layer=worst.name, evidence={"rate": worst.rate, "threshold": 0.5}, likelihood=0.3)  # fmt: skip


@rule("FN310", "narrow-deep-relu", "dying_relu", "A deep stack of narrow ReLU layers", "built",
      reference="Lu, Shin, Su & Karniadakis 2019")  # fmt: skip
def narrow_deep_relu(facts):
    """All w ReLU units of a layer are dead from the start, for every input, with a probability of about 2^-w. The
    probability that this happens to at least one of d such layers is 1 - (1 - 2^-w)^d: for twenty layers of 3 units,
    93 %. A warning above 20 %."""
    hidden = [b for b in facts.blocks[:-1] if b.activation == "relu"]
    if len(hidden) < 5 or facts.residual or any(b.normalised for b in hidden):
        return
    alive = float(np.prod([1 - 2.0**-b.units for b in hidden]))
    if 1 - alive > 0.2:
        width = min(b.units for b in hidden)
        yield found(
            "warning", f"{len(hidden)} relu layers, down to {width} units wide: with a probability of"
            f" {100 * (1 - alive):.0f} % a whole layer starts dead",
            "Use wider or fewer layers, elu or leaky_relu, or BatchNormalization.",
            "After a dead layer, every output is the same.", hidden[0].layer.name,
            {"probability": 1 - alive, "layers": len(hidden), "narrowest": width}, 0.9,
        )  # fmt: skip


@rule("FN311", "many-sigmoid-layers", "vanishing_gradient", "Many sigmoid layers", "built", reference=GLOROT)
def many_sigmoid_layers(facts):
    """The derivative of the sigmoid is at most 1/4, so with the usual initial weights the gradient shrinks by a factor
    of about 4 in each layer. From 4 hidden layers on a note, or a warning if training has failed. What counts is the
    measured gradient (`start-gradient`)."""
    hidden = [b for b in facts.blocks[:-1] if b.activation in ("sigmoid", "hard_sigmoid") and not b.normalised]
    if len(hidden) >= 4 and not facts.residual:
        yield found(
            "warning" if facts.harmed else "note",
            f"{len(hidden)} hidden layers have activation {hidden[0].activation}",
            "Use relu with he_normal, tanh with glorot_uniform, or selu with lecun_normal.",
            "The derivative of the sigmoid is at most 1/4, so gradients shrink in each layer.", hidden[0].layer.name,
            {"layers": len(hidden)}, 0.7,
        )  # fmt: skip


@rule("FN312", "activation-twice", "activation_mismatch", "Activation applied twice", "built")
def activation_twice(facts):
    """The same activation is applied twice in a row, as by ``Dense(activation="relu")`` and ``Activation("relu")``.
    For relu this changes nothing; for others it narrows the range of the outputs."""
    for before, layer in zip(facts.layers, facts.layers[1:], strict=False):
        name = facts.own_activation(before)
        if type(layer).__name__ == "Activation" and name == facts.own_activation(layer) not in (None, "linear",
            "softmax"):
            yield found(
                "note" if name == "relu" else "warning", f"{name} is applied twice, in {before.name} and {layer.name}",
                "Remove one of the two.", "The second one narrows the range of the outputs.", layer.name,
                likelihood=0.3 if name == "relu" else 0.5,
            )  # fmt: skip
            return


@rule("FN313", "narrow-layer", "too_few_units", "A hidden layer that is too narrow", "built")
def narrow_layer(facts):
    """A hidden layer of one unit, or of fewer units than the binary logarithm of the number of classes, passes on very
    little information. It is a note if the model learns all the same."""
    hidden = [b for b in facts.blocks[:-1] if type(b.layer).__name__ == "Dense"]
    if not hidden or facts.autoencoder or not facts.blocks:
        return
    narrow = min(hidden, key=lambda b: b.units)
    inputs, outputs = hidden[0].layer.kernel.shape[0], facts.blocks[-1].units
    if inputs > 1 and narrow.units < max(2, np.log2(max(outputs, 1))):
        yield found(
            "note" if facts.learns_well else "warning",
            f"{narrow.layer.name} has {narrow.units} unit{'s' * (narrow.units > 1)} between {inputs} inputs and"
            f" {outputs} output{'s' * (outputs > 1)}",
            f"Use more units, such as {max(16, 2 * outputs)}.", "All information has to pass through it.",
            narrow.layer.name, {"units": narrow.units, "inputs": inputs, "outputs": outputs}, 0.7,
        )  # fmt: skip


@rule("FN314", "strong-penalty", "over_regularised", "Penalties larger than the loss", "built", "compiled",
      reference="Goodfellow, Bengio & Courville 2016, section 7.1")  # fmt: skip
def strong_penalty(facts):
    """The penalties on the weights are larger than the loss of a constant predictor, so that weights are
    driven to zero: a note, or a warning if they are more than 5 times that loss, or if training has failed."""
    constant = facts.constant_loss
    penalty = facts.penalty
    if constant is None or constant <= 0 or penalty <= constant * (0.2 if facts.harmed else 1):
        return
    strong = penalty > 5 * constant or facts.harmed
    yield found(
        "warning" if strong else "note",
        f"the penalties on the weights are {penalty:.3g}, the loss of the best constant output is {constant:.3g}",
        "Use a penalty ten or a hundred times smaller, such as L2(1e-4).",
        "The loss is smallest with weights near zero.", evidence={"penalty": penalty, "constant": constant},
        likelihood=0.85 if strong else 0.3,
    )  # fmt: skip


@rule("FN315", "nothing-to-train", "no_learning", "Nothing to train", "built")
def nothing_to_train(facts):
    """All weights are frozen, or the model has none."""
    if facts.layers and not any(layer.trainable_weights for layer in facts.layers):
        frozen = any(layer.weights for layer in facts.layers)
        yield found(
            "error", "all layers are frozen" if frozen else "the model has no weights",
            "Set trainable = True for the layers that are to learn." if frozen else "Add a layer with weights.",
            "Training changes nothing.", likelihood=0.97,
        )  # fmt: skip


@rule("FN316", "non-finite-weights", "nan_source", "NaN or infinite weights", "built")
def non_finite_weights(facts):
    """A weight is NaN or infinite, and therefore so are the outputs."""
    for layer in facts.layers:
        for v in layer.weights:
            bad = ~np.isfinite(v.numpy())
            k = int(bad.sum())
            if not k:
                continue
            if facts.training is None:  # otherwise see non-finite-loss
                yield found(
                    "error", f"{v.name} has {k} non-finite value{'s' * (k > 1)}, the first at"
                    f" {tuple(int(i) for i in np.argwhere(bad)[0])}",
                    "Check how the weights were created or loaded.",
                    "Outputs and gradients are NaN.", layer.name, {"values": k}, 0.98,
                )  # fmt: skip
            return


@rule("FN317", "hidden-exponential", "activation_mismatch", "Exponential hidden layers", "built")
def hidden_exponential(facts):
    """Two or more hidden layers have the activation exponential: exponentials of exponentials overflow."""
    hidden = [b for b in facts.blocks[:-1] if b.activation == "exponential" and not b.normalised]
    if len(hidden) >= 2:
        yield found(
            "error" if facts.overflows else "warning", f"{len(hidden)} hidden layers have activation exponential",
            "Use relu, elu or softplus.",
            "Exponentials of exponentials overflow.", hidden[0].layer.name, {"layers": len(hidden)}, 0.85,
        )  # fmt: skip


@rule("FN318", "very-deep", "too_deep", "Many layers without normalisation", "built",
    reference="He, Zhang, Ren & Sun 2016")
def very_deep(facts):
    """More than 20 hidden layers without batch normalisation or residual blocks, unless all are selu, or have He's
    initializers: a note, or a warning if gradients vanish or explode at the start, or if training has failed."""
    hidden = [b for b in facts.blocks[:-1] if not b.normalised]
    designed = [b for b in hidden if b.activation == "selu" or isinstance(
        initializer_of(b.layer), (initializers.HeNormal, initializers.HeUniform))]  # fmt: skip
    off = facts.gradient_ratio is not None and not 1e-3 < facts.gradient_ratio < 1e3
    if len(hidden) > 20 and not facts.residual and len(designed) < len(hidden):
        yield found(
            "warning" if facts.harmed or off else "note",
            f"{len(hidden)} hidden layers have neither normalisation nor shortcuts",
            "Use fewer layers (2 or 3 are usual for tables), BatchNormalization, or Residual blocks.",
            "Signals and gradients are multiplied by some factor in each layer.", hidden[0].layer.name,
            {"layers": len(hidden)}, 0.88,
        )  # fmt: skip


@rule("FN319", "deep-without-normalisation", "missing_bn", "A deep model without normalisation that does not learn",
      "built", reference="Ioffe & Szegedy 2015")  # fmt: skip
def deep_without_normalisation(facts):
    """At least 8 hidden layers without normalisation, not all of them selu with lecun_normal. Signals fade or grow by a
    factor of 30 at the start, or gradients by a factor of 100, or training has failed."""
    hidden = facts.blocks[:-1]
    if len(hidden) < 8 or facts.residual or facts.normalisers or all(map(normalises_itself, hidden)):
        return
    signal, gradient = facts.signal_ratio, facts.gradient_ratio
    off = signal is not None and not 1 / 30 < signal < 30 or gradient is not None and not 0.01 < gradient < 100
    if off or facts.harmed:
        yield found(
            "warning", f"{len(hidden)} hidden layers have no normalisation, and signals or gradients vanish or explode",
            "Add BatchNormalization after each Dense, before its activation.",
            "Batch normalisation gives every layer inputs of mean 0 and variance 1, whatever the layers before it do.",
            hidden[0].layer.name, {"layers": len(hidden)}, 0.5,
        )  # fmt: skip
