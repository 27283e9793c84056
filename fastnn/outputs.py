"""What the outputs of a model are, by its last activation."""

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
        found = getattr(layer, "function", None) or layer.__dict__.get("activation")
        if found is None and type(layer).__name__ in ("Dense", "BatchNormalization"):
            return "linear"
        return getattr(found, "__name__", None)
    return None
