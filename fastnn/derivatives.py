"""The loss as a function of one flat vector, for external optimizers such as SciPy's.

(a) A flat vector contains `trainable_weights` in order, each in row-major order. The engine keeps them in panels, so an
    index maps each element to its place; a call writes the vector there, runs the program "derivative", reads the
    gradient and restores the weights. All of this happens under the model's lock, and for arrays of a kind that was
    used before in one call of the core (`_core.calls.DerivativeCall`, see docs/decisions/0007).
(b) The loss is that of `evaluate` with the penalties of training: no noise and no batch statistics, so that it is a
    deterministic function with this gradient.
"""

import numpy as np

from ._base.numbers import as_array, check_finite
from ._core.calls import DerivativeCall
from .engine.objective import add_sums, whole_loss
from .engine.ports import addresses, code, targets_code, weighted
from .engine.steps import by_parts, many
from .training import arguments, fast_path
from .training.needs import need_loss


def get_parameters(model):
    """`Model.get_parameters`."""
    _need_weights(model, "get_parameters")
    with model._lock:
        parts = [v.numpy().reshape(-1) for v in model.trainable_weights]
    return np.concatenate(parts) if parts else np.empty(0, model.dtype)


def set_parameters(model, theta):
    """`Model.set_parameters`."""
    _need_weights(model, "set_parameters")
    with model._lock:
        variables = model.trainable_weights
        theta, at = _checked(theta, sum(v.size for v in variables), model.dtype), 0
        for variable in variables:
            variable.assign(theta[at : at + variable.size].reshape(variable.shape))
            at += variable.size


def _need_weights(model, what):
    if not model.built:
        raise ValueError(f"{what}: expected a built model, got one without weights; call build, or add an Input")


def loss_and_grad(model, theta, x, y, sample_weight):
    """`Model.loss_and_grad`."""
    if sample_weight is None:
        found = _at_once(model, theta, x, y)
        if found is not None:
            return found
    need_loss(model, "loss_and_grad")
    data = arguments.data(model, x, y, sample_weight)
    if not data.n:
        raise ValueError("x: expected at least one row, got none")
    with model._lock:
        engine = model.engine()
        theta = _checked(theta, sum(v.size for v in engine.trainable), model.dtype)
        found = evaluate(engine, theta, data.x, data.y, data.w)
        if data.w is None:
            fast_path.note_derivative(model, data.x, data.y, call_of)
    return found


def _at_once(model, theta, x, y):
    with model._lock:
        entry = fast_path.find(model, "derivative", x)
        if entry is None:
            return None
        found = entry[0].loss_and_grad(theta, x, y)
        if found is not None:
            model._engine.has_gradients = False  # overwritten
        return found


def _checked(theta, n, dtype):
    """`theta` as a contiguous float array (n,) without overflow in the model's dtype."""
    array = as_array("theta", theta)
    if array.shape != (n,):
        raise ValueError(f"theta: expected shape ({n},), one element per trainable weight, got {array.shape}")
    wanted = array.dtype.newbyteorder("=") if array.dtype.itemsize in (4, 8) and array.dtype.kind == "f" else np.float64
    check_finite("theta", array, dtype, finite=False)
    return np.require(array, wanted, ["C", "A"])


def places(engine):
    """Index of each element of a flat vector in the flat blocks of an engine."""
    offsets = [engine.store.offsets(v).reshape(-1) for v in engine.trainable]
    return np.concatenate(offsets).astype(np.int64) if offsets else np.empty(0, np.int64)


def evaluate(engine, theta, x, y, w=None):
    """`loss_and_grad` of an engine; arguments are checked before."""
    engine.store.acquire()
    engine.has_gradients = False  # will be overwritten
    store, n = engine.store, len(x)
    program = engine.program("derivative", n, code(x), targets_code(y), weighted(w))
    index, flat = places(engine), store.flat["theta"]
    before, sums = flat[index], [0.0] * (1 + len(engine.metrics))
    live = addresses(engine, x, y, w)
    try:
        flat[index] = theta
        if program.plan.separate:
            by_parts(engine, program, x, y, w, None, 0, n, n, np.zeros(1), 0.0, False, live, sums)
        else:
            totals = np.zeros_like(program.core.totals)
            many(engine, program, live, n, n, 1, 0.0, lrs=np.zeros(1), step0=engine.step, totals=totals)
            add_sums(engine, totals, sums)
    finally:
        flat[index] = before
    return whole_loss(engine, sums) / n, store.flat["grad"][index].astype(theta.dtype, copy=False)


def call_of(engine, *arguments):
    """A `DerivativeCall`, from the arguments of a `Call`."""
    return DerivativeCall(engine.store.flat["theta"], engine.store.flat["grad"], places(engine), *arguments)
