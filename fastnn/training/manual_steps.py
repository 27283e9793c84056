"""Manual steps for custom training loops: forward, backward, gradients and update of one batch."""

from .._base.checks import flag
from .._base.config import float_dtype
from ..engine.ports import gathered
from . import arguments, fast_path, ports
from .compiling import resolve_targets
from .data import arrays
from .interrupts import Steps
from .needs import need_compile, need_steps
from .ports import shaped
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
    if model._ports is None and model._kind is None and getattr(model.loss, "target", None) is not None:
        resolve_targets(model, None)  # otherwise the first `evaluate` would cause planning again before `backward`
    with model._lock:
        y = model.engine().forward(x, training=True)
        fast_path.note(model, "manual", x)
    return shaped(model, y, len(x))


def backward(model, dy, check_finite):
    """`Model.backward`."""
    finite = flag("check_finite", check_finite)
    dx = fast_path.backward(model, dy, finite)
    if dx is not None:
        return dx
    _need_forward(model, "backward")
    dy = gradients_of_results(model, dy, finite)
    dx = fast_path.backward(model, dy, False)  # possible for the dtype of the model
    if dx is not None:
        return dx
    with model._lock:
        return shaped(model, model.engine().backward(dy), len(dy), inputs=True)


def gradients_of_results(model, dy, finite):
    """`dy` as the engine takes it."""
    outputs = [model] if model._ports is None else model._ports.outputs
    given = [("dy", dy)] if model._ports is None else ports.by_port("dy", dy, model._ports.names)
    found = []
    for output, (label, value) in zip(outputs, given, strict=True):
        value = arrays.targets(label, value, output.out_shape, model.dtype, finite)
        found.append(arrays.aligned(value, float_dtype(model.dtype)))
        arrays.same_length(len(found[0]), **{label: found[-1]})
    return gathered(found)


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
    need_steps(model, "apply_gradients")
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
