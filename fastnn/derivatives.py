"""The loss and the outputs as functions of one flat vector: gradients, Jacobians, products with the Hessian.

(a) A flat vector contains `trainable_weights` in order, each in row-major order. The engine keeps them in panels, so an
    index maps each element to its place; a call writes the vector there, runs the program "derivative", reads the
    gradient and restores the weights. All of this happens under the model's lock, and for arrays of a kind that was
    used before in one call of the core (`_core.calls.DerivativeCall`, see docs/decisions/0007).
(b) The loss is that of `evaluate` with the penalties of training: no noise and no batch statistics, so that it is a
    deterministic function with this gradient.
(c) What is needed of each row is in `engine.by_row`, second derivatives in `engine.second_order`; both are imported
    when they are used.
"""

from contextlib import contextmanager

import numpy as np

from ._base.numbers import as_array, check_finite
from ._core.calls import DerivativeCall
from .engine.objective import add_sums, whole_loss
from .engine.ports import addresses, code, each, targets_code, weighted
from .engine.steps import by_parts, many
from .training import arguments, fast_path
from .training.input_gradient import beside, gradient
from .training.needs import need_loss

FEW = 4  # rows whose gradients take less time one by one


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
        theta, at = _checked("theta", theta, sum(v.size for v in variables), model.dtype), 0
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
    data = _data(model, "loss_and_grad", x, y, sample_weight)
    with model._lock:
        engine = model.engine()
        theta = _checked("theta", theta, _size(engine), model.dtype)
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


def _data(model, what, x, y, sample_weight):
    """Checked data of at least one row, for a model with a loss."""
    need_loss(model, what)
    data = arguments.data(model, x, y, sample_weight)
    if not data.n:
        raise ValueError("x: expected at least one row, got none")
    return data


def _size(engine):
    return sum(v.size for v in engine.trainable)


def _checked(name, vector, n, dtype):
    """A vector as a contiguous float array (n,) without overflow in a dtype."""
    array = as_array(name, vector)
    if array.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), one element per trainable weight, got {array.shape}")
    wanted = array.dtype.newbyteorder("=") if array.dtype.itemsize in (4, 8) and array.dtype.kind == "f" else np.float64
    check_finite(name, array, dtype, finite=False)
    return np.require(array, wanted, ["C", "A"])


def places(engine):
    """Index of each element of a flat vector in the flat blocks of an engine."""
    offsets = [engine.store.offsets(v).reshape(-1) for v in engine.trainable]
    return np.concatenate(offsets).astype(np.int64) if offsets else np.empty(0, np.int64)


@contextmanager
def _weights(engine, theta):
    """Other trainable weights for a while; None: those of the model. Yields the index of the places of others."""
    engine.store.acquire()
    if theta is None:
        yield None
        return
    index, flat = places(engine), engine.store.flat["theta"]
    before = flat[index]
    try:
        flat[index] = theta
        yield index
    finally:
        flat[index] = before


def evaluate(engine, theta, x, y, w=None):
    """`loss_and_grad` of an engine; arguments are checked before."""
    engine.has_gradients = False  # will be overwritten
    n, sums = len(x), [0.0] * (1 + len(engine.metrics))
    with _weights(engine, theta) as index:
        program = engine.program("derivative", n, code(x), targets_code(y), weighted(w))
        live = addresses(engine, x, y, w)
        if program.plan.separate:
            by_parts(engine, program, x, y, w, None, 0, n, n, np.zeros(1), 0.0, False, live, sums)
        else:
            totals = np.zeros_like(program.core.totals)
            many(engine, program, live, n, n, 1, 0.0, lrs=np.zeros(1), step0=engine.step, totals=totals)
            add_sums(engine, totals, sums)
    return whole_loss(engine, sums) / n, engine.store.flat["grad"][index].astype(theta.dtype, copy=False)


def call_of(engine, *arguments):
    """A `DerivativeCall`, from the arguments of a `Call`."""
    return DerivativeCall(engine.store.flat["theta"], engine.store.flat["grad"], places(engine), *arguments)


# -- Jacobians, gradients of each sample ----------------------------------------------------------------------------
def jacobian(model, x):
    """`Model.jacobian`."""
    from .engine import by_row

    x = arguments.samples(model, "x", x)
    with model._lock:
        engine = beside(model, model.engine(), False, False)
        n, inputs = len(x), engine.inputs
        found = [[np.empty((n, y.size, into.size), engine.dtype) for into in inputs] for y in engine.outputs]
        if n and sum(y.size for y in engine.outputs) == 1:  # a gradient, which needs no copies and no second run
            slopes = gradient(engine, x, np.ones((n, 1), engine.dtype), False)
            for whole, dx in zip(found[0], each(slopes), strict=True):
                whole[:, 0] = dx
        elif n:
            by_row.input_jacobian(engine, x, found)
    ports = model._ports
    into = [model.in_shape] if ports is None else list(ports.inputs.values())
    out_of = [model.out_shape] if ports is None else [o.out_shape for o in ports.outputs]
    return _one_or_several(
        _one_or_several(a.reshape(n, *to, *of) for a, of in zip(row, into, strict=True))
        for row, to in zip(found, out_of, strict=True)
    )


def _one_or_several(found):
    found = list(found)
    return found[0] if len(found) == 1 else found


def parameter_jacobian(model, theta, x):
    """`Model.parameter_jacobian`."""
    from .engine import by_row

    x = arguments.samples(model, "x", x)
    with model._lock:
        engine = model.engine()
        size, dtype, n = _size(engine), engine.dtype, len(x)
        if theta is not None:
            theta = _checked("theta", theta, size, model.dtype)
            dtype = theta.dtype
        found = [np.empty((n, y.size, size), dtype) for y in engine.outputs]
        with _weights(engine, theta):
            if n:
                by_row.parameter_jacobian(engine, x, found)
    return _one_or_several(a.reshape(-1, size) for a in found)


def per_sample_gradients(model, x, y, sample_weight):
    """`Model.per_sample_gradients`."""
    from .engine import by_row

    data = _data(model, "per_sample_gradients", x, y, sample_weight)
    with model._lock:
        engine = model.engine()
        rows = by_row.Rows(engine)
        found = np.empty((data.n, rows.size), engine.dtype)
        alone = data.n <= FEW and data.w is None and model._ports is None
        alone = alone and len(model.in_shape) == len(model.out_shape) == 1
        if not alone or any(map(any, engine.rules.values())) or any(engine.regularizers.values()):
            by_row.per_sample(engine, data.x, data.y, data.w, rows.write, found)
            return found
    theta = get_parameters(model)
    for i in range(data.n):
        found[i] = loss_and_grad(model, theta, data.x[i : i + 1], data.y[i : i + 1], None)[1]
    return found


def per_sample_gradient_norms(model, x, y, sample_weight):
    """`Model.per_sample_gradient_norms`."""
    from .engine import by_row

    data = _data(model, "per_sample_gradient_norms", x, y, sample_weight)
    with model._lock:
        engine = model.engine()
        found = np.empty(data.n)
        by_row.per_sample(engine, data.x, data.y, data.w, by_row.Rows(engine).squares, found)
    return np.sqrt(found)


def hessian_vector_product(model, v, x, y, sample_weight, theta):
    """`Model.hessian_vector_product`."""
    from .engine import second_order

    data = _data(model, "hessian_vector_product", x, y, sample_weight)
    with model._lock:
        engine = model.engine()
        v = _checked("v", v, _size(engine), "float64")
        theta = None if theta is None else _checked("theta", theta, len(v), model.dtype)
        with _weights(engine, theta):
            found = second_order.hessian_vector_product(engine, v, data.x, data.y, data.w)
    return found.astype(v.dtype, copy=False)
