"""Products with the Hessian: the gradient of the loss in complex NumPy, at weights w + i h v with a tiny h.

(a) The gradient is analytic in the weights but for kinks. Its imaginary part is h times its derivative in the direction
    of v, and h² is below the last digit of anything: no difference is taken, so nothing cancels.
(b) The passes follow the engine's nodes, which are those of its programs; formulas are in `nodes`, `activations` and
    `losses`, one for each row and kind. They are those of inference mode, in float64.
(c) Rows are taken in blocks, so that memory does not grow with them.
"""

from math import inf

import numpy as np

from ...regularizers import EPSILON, OrthogonalRegularizer
from ..ports import each
from .activations import ACTIVATIONS
from .losses import LOSSES
from .nodes import RULES

H = 1e-30
BLOCK = 1024  # rows


def hessian_vector_product(engine, v, x, y, w):
    """The product with a checked vector (p,), float64."""
    _refuse_unknown(engine)
    weights, at, gradients = {}, 0, {}
    for variable in engine.trainable:
        direction = v[at : at + variable.size].reshape(variable.shape)
        weights[variable] = engine.store.get("theta", variable) + 1j * H * direction.astype(np.float64)
        gradients[variable] = _of_penalties(engine, variable, weights[variable])
        at += variable.size
    for variable in engine.store.places:
        if variable not in weights:
            weights[variable] = engine.store.get("theta", variable).astype(np.float64)
    n = len(x)
    scales = [_scales(o, n, *data) for o, data in _of_outputs(engine, y, w)]
    for first in range(0, n, BLOCK):
        rows = slice(first, min(n, first + BLOCK))
        given = [np.asarray(a, np.float64).reshape(len(a), -1) for a in each(x[rows])]
        _add_gradients(engine, weights, gradients, given, y, scales, rows, n)
    return np.concatenate([g.imag.reshape(-1) / H for g in gradients.values()] or [np.empty(0)])


def _of_outputs(engine, y, w):
    count = len(engine.outputs)
    return zip(engine.objectives, zip(each(y, count), each(w, count), strict=True), strict=True)


def _refuse_unknown(engine):
    for node in engine.nodes:
        if node.kind not in (*RULES, "input", "activity"):
            name, cls = node.layer or (node.kind, "layer")
            raise NotImplementedError(
                f"hessian_vector_product: expected layers with second derivatives, got {name} ({cls}), which has none"
            )
    for objective in engine.objectives:
        if objective.loss is not None and (objective.row is None or objective.row[0][5:] not in LOSSES):
            name = getattr(objective.loss, "name", objective.loss)
            raise NotImplementedError(
                f"hessian_vector_product: expected a loss with second derivatives, got {name}, which has none"
            )


def _scales(objective, n, y, w):
    """The factor of each row's loss in the whole loss (n,), see `Lowerer.loss_factor`; None without a loss."""
    if objective.loss is None:
        return None
    _, params, target = objective.row
    weights = np.ones(n) if w is None else np.asarray(w, np.float64)
    valid = np.ones(n, bool)
    if target == "labels" and params[0] != inf:
        valid = np.reshape(y, -1) != params[0]
    divisor = valid.sum()
    if objective.reduction == "sum":
        divisor = 1
    elif objective.reduction == "mean_with_sample_weight":
        divisor = (weights * valid).sum()
    return weights * valid * (objective.weight / divisor) if divisor else np.zeros(n)


def _of_penalties(engine, variable, w):
    """The gradient of the penalties on a variable."""
    l1, l2, _ = engine.rules[variable]
    gradient, penalty = l1 * np.sign(w.real) + l2 * w, engine.regularizers[variable]
    if isinstance(penalty, OrthogonalRegularizer):
        rows = w if penalty.mode == "rows" else w.T
        n, norms = len(rows), np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        unit = rows / np.where(norms.real < EPSILON, EPSILON, norms)
        signs = np.sign((unit @ unit.T).real)
        np.fill_diagonal(signs, 0)
        d = 2 * penalty.factor / (n * (n - 1)) * (signs @ unit)
        d = np.where(norms.real < EPSILON, d / EPSILON, (d - unit * (unit * d).sum(axis=1, keepdims=True)) / norms)
        gradient = gradient + (d if penalty.mode == "rows" else d.T)
    return gradient


def _add_gradients(engine, weights, gradients, given, y, scales, rows, n):
    """Add the gradients of a block of rows; `given` are its inputs."""
    values, before, slopes = dict(zip(engine.inputs, given, strict=True)), {}, {}
    for node in engine.nodes:
        if node.kind not in ("input", "activity"):
            variables = {role: weights[v] for role, v in node.variables.items()}
            result = RULES[node.kind].forward(node, variables, *(values[t] for t in node.inputs))
            if node.act is not None:
                before[node] = result
                result, slopes[node] = ACTIVATIONS[node.act[0]](result, *node.act[1])
            values[node.out] = result
    found, through = _of_losses(engine, values, before, y, scales, rows)
    for node in reversed(engine.nodes):
        if node.kind == "activity":
            x = values[node.inputs[0]]
            l1, l2 = node.attrs["params"]
            _add(found, node.inputs[0], (l1 * np.sign(x.real) + 2 * l2 * x) / n)
            continue
        dy = found.pop(node.out, None)
        if node.kind == "input" or dy is None:
            continue
        if node.act is not None and node not in through:
            dy = dy * slopes[node]
        variables = {role: weights[v] for role, v in node.variables.items()}
        inputs, parameters = RULES[node.kind].backward(node, variables, dy, *(values[t] for t in node.inputs))
        for tensor, dx in zip(node.inputs, inputs, strict=True):
            _add(found, tensor, dx)
        for role, gradient in parameters.items():
            variable = node.variables.get(role)
            if variable in gradients and node.trainable:
                gradients[variable] = gradients[variable] + gradient.reshape(variable.shape)


def _of_losses(engine, values, before, y, scales, rows):
    """The gradients of the losses by tensors, and the nodes of which they are by what the activation reads."""
    found, through = {}, set()
    for tensor, objective, target, scale in zip(
        engine.outputs, engine.objectives, each(y, len(engine.outputs)), scales, strict=True
    ):
        if scale is None:
            continue
        node, value = tensor.node, values[tensor]
        if objective.reads_pre and node.kind == "softmax":
            tensor = node.inputs[0]
            value = values[tensor]
        elif objective.reads_pre:
            value = before[node]
            through.add(node)
        kernel, params, kind = objective.row
        target, p = target[rows], value.astype(complex)
        target = np.reshape(target, -1) if kind == "labels" else np.asarray(target, np.float64).reshape(p.shape)
        _add(found, tensor, LOSSES[kernel.removeprefix("loss:")](p, target, *params) * scale[rows, None])
    return found, through


def _add(found, tensor, gradient):
    found[tensor] = found[tensor] + gradient if tensor in found else gradient
