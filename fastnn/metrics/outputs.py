"""What the outputs of a model are: probabilities, logits, …, by its last activation and its loss.

Metrics given by name follow it (`metrics.resolve`), and `diagnostics.consistency` compares the two.
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
# of layers that change no value, or not its range, in inference
TRANSPARENT = {
    "ActivityRegularization", "Dropout", "AlphaDropout", "Flatten", "GaussianDropout", "GaussianNoise", "InputLayer",
    "Reshape",
}  # fmt: skip


def last_activation(layers):
    """Name of the last activation of a stack of layers: "linear" where there is none, None where nobody can know.

    Parameters
    ----------
    layers : iterable of Layer
        Without models among them (`Model.leaves`).
    """
    for layer in reversed(list(layers)):
        if type(layer).__name__ in TRANSPARENT:
            continue
        # not by `getattr` of what may not be there: layers then look for what was meant, which takes milliseconds
        found = layer.function if hasattr(type(layer), "function") else layer.__dict__.get("activation")
        if found is None and type(layer).__name__ in ("Dense", "BatchNormalization"):
            return "linear"
        return getattr(found, "__name__", None)
    return None


def wanted_by(loss):
    """What a loss takes the outputs for; None if it does not matter or nobody can know."""
    if getattr(loss, "logits_row", None) is not None:
        if loss.through == "log_softmax":
            return LOG_PROBABILITIES
        return LOGITS if loss.from_logits else PROBABILITIES
    row = getattr(loss, "row", None)
    if row == "kl_divergence":
        return PROBABILITIES
    return MARGINS if row in ("hinge", "squared_hinge", "categorical_hinge") else None


def kind_of(activation, loss):
    """What the outputs are: by the activation where it says so, else by the loss."""
    wanted = wanted_by(loss)
    found = OF_ACTIVATION.get(activation)
    if found is None and wanted == PROBABILITIES and activation == "linear":
        return None  # a loss that is wrong there: `diagnostics.consistency` says so
    return found or wanted
