"""What a method needs of a model: errors, if it is not compiled, or has no loss."""

from ..optimizers.lbfgs import LBFGS


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


def need_steps(model, what):
    """ValueError for an optimizer that makes no steps on batches."""
    if by_lbfgs(model):
        raise ValueError(
            f"{what}: expected an optimizer that makes a step for each batch, got {model.optimizer.name}, which needs"
            " all rows at once; use fit, or loss_and_grad"
        )


def by_lbfgs(model):
    """Whether `fit` is SciPy's loop."""
    return isinstance(model.optimizer, LBFGS)
