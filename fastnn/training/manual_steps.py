"""Manual steps for custom training loops: forward, backward, gradients and update of one batch."""

from .._base.checks import flag
from .._base.config import float_dtype
from . import arguments, fast_path
from .compiling import resolve_targets
from .data import arrays
from .interrupts import Steps
from .needs import need_compile
from .single_batch import predict_on_batch

INFERENCE = "forward without training=True came after it; for gradients in inference mode use input_gradient"


def forward(model, x, training):
    """`Model.forward`."""
    if not flag("training", training):
        if model._engine is not None:
            model._engine.expired = INFERENCE
        return predict_on_batch(model, x)
    y = fast_path.forward(model, x)
    if y is not None:
        return y
    given, x = x, arguments.samples(model, "x", x)
    if not len(x):
        raise ValueError("x: expected at least one row, got none")
    arguments.keep_feature_names(model, given)
    if model._kind is None and getattr(model.loss, "target", None) is not None:
        resolve_targets(model, None)  # otherwise the first `evaluate` would cause planning again before `backward`
    with model._lock:
        y = model.engine().forward(x, training=True)
        fast_path.note(model, "manual", x)
    return y.reshape(len(x), *model.out_shape)


def backward(model, dy, check_finite):
    """`Model.backward`."""
    finite = flag("check_finite", check_finite)
    dx = fast_path.backward(model, dy, finite)
    if dx is not None:
        return dx
    _need_forward(model, "backward")
    dy = arrays.targets("dy", dy, model.out_shape, model.dtype, finite)
    dy = arrays.aligned(dy, float_dtype(model.dtype))
    dx = fast_path.backward(model, dy, False)  # possible for the dtype of the model
    if dx is not None:
        return dx
    with model._lock:
        return model.engine().backward(dy).reshape(len(dy), *model.in_shape)


def _need_forward(model, what):
    """RuntimeError for a model without weights, which has seen no data yet."""
    if not model.built:
        raise RuntimeError(f"{what}: expected a call of forward(x, training=True) before it; the model is not built")


def gradients(model):
    """`Model.gradients`."""
    _need_forward(model, "gradients")
    with model._lock:
        return model.engine().gradients()


def apply_gradients(model, gradients, check_finite):
    """`Model.apply_gradients`."""
    need_compile(model, "apply_gradients")
    _need_forward(model, "apply_gradients")
    check_finite = flag("check_finite", check_finite)
    with model._lock:
        if gradients is not None:
            model.engine().set_gradients(gradients)
        if fast_path.apply_gradients(model, check_finite):
            return
        engine = model.engine()
        with Steps(model.optimizer, engine):
            engine.apply_gradients(model.optimizer.rates(engine.step, 1), check_finite)
