"""The kind of a model's outputs: probabilities, logits, …, from its last activation and its loss.

Metrics given by name are adapted to it (`metrics.resolve`), and `diagnostics.consistency` compares the two.
"""

PROBABILITIES, LOGITS, LOG_PROBABILITIES, MARGINS = "probabilities", "logits", "log-probabilities", "margins"
OF_ACTIVATION = {
    "sigmoid": PROBABILITIES,
    "hard_sigmoid": PROBABILITIES,
    "softmax": PROBABILITIES,
    "sparse_sigmoid": PROBABILITIES,
    "log_softmax": LOG_PROBABILITIES,
    "log_sigmoid": LOG_PROBABILITIES,
}
# layers that do not change values, or not their range, in inference
TRANSPARENT = {
    "ActivityRegularization", "Dropout", "AlphaDropout", "Flatten", "GaussianDropout", "GaussianNoise", "InputLayer",
    "Reshape",
}  # fmt: skip


def last_activation(layers):
    """Name of the last activation of a stack of layers: "linear" if there is none, None if unknown.

    Parameters
    ----------
    layers : iterable of Layer
        Without nested models (`Model.leaves`).
    """
    for layer in reversed(list(layers)):
        if type(layer).__name__ in TRANSPARENT:
            continue
        # not `getattr` of a missing attribute, for which layers search for suggestions, which takes milliseconds
        found = layer.function if hasattr(type(layer), "function") else layer.__dict__.get("activation")
        if found is None and type(layer).__name__ in ("Dense", "BatchNormalization"):
            return "linear"
        return getattr(found, "__name__", None)
    return None


def wanted_by(loss):
    """The kind of outputs that a loss expects; None if it does not matter or is unknown."""
    if getattr(loss, "logits_row", None) is not None:
        if loss.through == "log_softmax":
            return LOG_PROBABILITIES
        return LOGITS if loss.from_logits else PROBABILITIES
    row = getattr(loss, "row", None)
    if row == "kl_divergence":
        return PROBABILITIES
    return MARGINS if row in ("hinge", "squared_hinge", "categorical_hinge") else None


def kind_of(activation, loss):
    """The kind of outputs: from the activation if that determines it, otherwise from the loss."""
    wanted = wanted_by(loss)
    found = OF_ACTIVATION.get(activation)
    if found is None and wanted == PROBABILITIES and activation == "linear":
        return None  # a wrong loss: `diagnostics.consistency` warns of it
    return found or wanted
