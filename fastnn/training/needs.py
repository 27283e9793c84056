"""What a method needs of a model: errors, if it is not compiled, or has no loss."""


def need_compile(model, what):
    """ValueError if the model is not compiled."""
    if not model.compiled:
        raise ValueError(f"{what}: expected a compiled model; call compile(optimizer, loss) first")


def need_loss(model, what):
    """ValueError if there is no loss."""
    need_compile(model, what)
    if model.loss is None:
        raise ValueError(
            f"{what}: expected a model compiled with a loss, got one without a loss; a manual training loop uses"
            " forward, backward and apply_gradients"
        )
