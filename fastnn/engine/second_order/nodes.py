"""Forward and backward pass of each kind of node in complex NumPy.

A rule has two functions of the node and of `variables`, complex values of its parameters by role:
``forward(node, variables, *inputs)`` is the result before a fused activation, and ``backward(node, variables, dy,
*inputs)`` are the gradients ``(of each input, {role: of each parameter})``. Arrays are (n, size of a sample).
Products are those of the core, three real ones for each: BLAS has threads of its own.
"""

import numpy as np

from ...ops.dense import dense_backward, dense_forward
from ..lowering.features import LEAST_DEVIATION, broadcast_map
from .activations import ACTIVATIONS, chosen, exp
from .losses import softmax

RULES = {}


def rule(*kinds):
    """Decorator: the class has the rule of these kinds of nodes."""

    def register(cls):
        RULES.update(dict.fromkeys(kinds, cls))
        return cls

    return register


@rule("dense")
class Dense:
    def forward(node, variables, x):
        (xr, xi), (wr, wi) = _parts(x.reshape(-1, node.attrs["inputs"])), _parts(variables["kernel"])
        bias = variables.get("bias", np.zeros(wr.shape[1]))
        y = np.empty((len(xr), wr.shape[1]), complex)
        y.real, y.imag = dense_forward(xr, wr, bias.real.copy(), threads=1), bias.imag
        for a, b in ((xi, wr), (xr, wi)):
            if a is not None and b is not None:
                y.imag += dense_forward(a, b, threads=1)
        return y.reshape(len(x), -1)

    def backward(node, variables, dy, x):
        (xr, xi), (wr, wi) = _parts(x.reshape(-1, node.attrs["inputs"])), _parts(variables["kernel"])
        dr, di = _parts(dy.reshape(-1, wr.shape[1]).astype(complex, copy=False))
        whole, first = (dense_backward(d, xr, wr, threads=1) for d in (dr, di))
        dx, dw, db = (a + 1j * b for a, b in zip(whole, first, strict=True))
        if xi is not None or wi is not None:
            by_w, by_x, _ = dense_backward(dr, xr if xi is None else xi, wr if wi is None else wi, threads=1)
            dx += 0 if wi is None else 1j * by_w
            dw += 0 if xi is None else 1j * by_x
        return [dx.reshape(x.shape)], {"kernel": dw, "bias": db}


def _parts(a):
    """Real and imaginary part, contiguous; None for the latter if there is none."""
    return np.ascontiguousarray(a.real), None if np.isrealobj(a) else np.ascontiguousarray(a.imag)


@rule("activation")
class Activation:
    def _of(node, x):
        return ACTIVATIONS[node.attrs["row"]](x, *node.attrs["params"])

    def forward(node, variables, x):
        return Activation._of(node, x)[0]

    def backward(node, variables, dy, x):
        return [dy * Activation._of(node, x)[1]], {}


@rule("softmax")
class Softmax:
    def _runs(node, x):
        return x.reshape(len(x), -1, node.attrs["length"])

    def forward(node, variables, x):
        runs = Softmax._runs(node, x)
        if node.attrs["row"] == "softmax":
            return softmax(runs).reshape(x.shape)
        away = runs - runs.real.max(axis=-1, keepdims=True)
        return (away - np.log(exp(away).sum(axis=-1, keepdims=True))).reshape(x.shape)

    def backward(node, variables, dy, x):
        p, dy = softmax(Softmax._runs(node, x)), Softmax._runs(node, dy)
        if node.attrs["row"] == "softmax":
            dx = p * (dy - (p * dy).sum(axis=-1, keepdims=True))
        else:
            dx = dy - p * dy.sum(axis=-1, keepdims=True)
        return [dx.reshape(x.shape)], {}


@rule("batch_norm")
class BatchNorm:
    """By moving averages, which are no function of the weights."""

    def _normalised(node, variables, x):
        return (x - variables["mean"]) / np.sqrt(variables["variance"] + node.attrs["epsilon"])

    def forward(node, variables, x):
        y = BatchNorm._normalised(node, variables, x) * variables.get("gamma", 1.0)
        return y + variables.get("beta", 0.0)

    def backward(node, variables, dy, x):
        dx = dy * variables.get("gamma", 1.0) / np.sqrt(variables["variance"] + node.attrs["epsilon"])
        return [dx], {"gamma": (dy * BatchNorm._normalised(node, variables, x)).sum(axis=0), "beta": dy.sum(axis=0)}


@rule("layer_norm")
class LayerNorm:
    def _normalised(node, x):
        x = x.reshape(len(x), -1, node.attrs["runs"], node.attrs["length"])
        away = x - x.mean(axis=-1, keepdims=True) if node.attrs["centred"] else x
        deviation = np.sqrt((away * away).mean(axis=-1, keepdims=True) + node.attrs["epsilon"])
        return away / deviation, deviation

    def forward(node, variables, x):
        y = LayerNorm._normalised(node, x)[0] * LayerNorm._of_runs(node, variables, "gamma", 1.0)
        return (y + LayerNorm._of_runs(node, variables, "beta", 0.0)).reshape(x.shape)

    def _of_runs(node, variables, role, default):
        return variables[role].reshape(node.attrs["runs"], -1) if role in variables else default

    def backward(node, variables, dy, x):
        normalised, deviation = LayerNorm._normalised(node, x)
        dy = dy.reshape(normalised.shape)
        parameters = {"gamma": (dy * normalised).sum(axis=(0, 1)), "beta": dy.sum(axis=(0, 1))}
        d = dy * LayerNorm._of_runs(node, variables, "gamma", 1.0)
        along = normalised * (d * normalised).mean(axis=-1, keepdims=True)
        dx = (d - (d.mean(axis=-1, keepdims=True) if node.attrs["centred"] else 0) - along) / deviation
        return [dx.reshape(x.shape)], parameters


@rule("dropout", "noise")
class Noise:
    """Nothing in inference mode, but for the mean slope of RReLU."""

    def _slope(node, x):
        slope = sum(node.attrs["params"]) / 2 if node.attrs.get("row") == "rrelu" else 1.0
        return chosen(x.real > 0, 1.0, slope)

    def forward(node, variables, x):
        return x * Noise._slope(node, x)

    def backward(node, variables, dy, x):
        return [dy * Noise._slope(node, x)], {}


@rule("affine")
class Affine:
    def forward(node, variables, x):
        return x * node.attrs["scale"] + node.attrs["offset"]

    def backward(node, variables, dy, x):
        return [dy * node.attrs["scale"]], {}


@rule("add")
class Add:
    def forward(node, variables, a, b):
        return a + b

    def backward(node, variables, dy, a, b):
        return [dy, dy], {}


@rule("multiply")
class Multiply:
    def forward(node, variables, a, b):
        return a * b

    def backward(node, variables, dy, a, b):
        return [dy * b, dy * a], {}


@rule("maximum", "minimum")
class Chosen:
    def _share(node, a, b):
        """The share of `a` in the result: equal ones have one half each."""
        first = np.sign((a - b).real) * (1 if node.kind == "maximum" else -1)
        return (first + 1) / 2

    def forward(node, variables, a, b):
        share = Chosen._share(node, a, b)
        return a * share + b * (1 - share)

    def backward(node, variables, dy, a, b):
        share = Chosen._share(node, a, b)
        return [dy * share, dy * (1 - share)], {}


@rule("concatenate")
class Concatenate:
    def forward(node, variables, *inputs):
        parts = [x.reshape(len(x), node.attrs["groups"], -1) for x in inputs]
        return np.concatenate(parts, axis=2).reshape(len(inputs[0]), -1)

    def backward(node, variables, dy, *inputs):
        ends = np.cumsum([x.shape[1] // node.attrs["groups"] for x in inputs])
        parts = np.split(dy.reshape(len(dy), node.attrs["groups"], -1), ends[:-1], axis=2)
        return [part.reshape(x.shape) for part, x in zip(parts, inputs, strict=True)], {}


def _spread(node, vector, shape):
    """A vector of a node, one element for each feature of a sample."""
    places = broadcast_map(node.attrs["shape"], shape)
    return np.reshape(vector, -1) if places is None else np.reshape(vector, -1)[places]


@rule("prelu")
class PReLU:
    def forward(node, variables, x):
        return chosen(x.real > 0, x, _spread(node, variables["alpha"], node.out.shape) * x)

    def backward(node, variables, dy, x):
        alpha, each = variables["alpha"], chosen(x.real > 0, 0, dy * x).sum(axis=0)
        places, whole = broadcast_map(node.attrs["shape"], node.out.shape), each
        if places is not None:
            whole = np.zeros(alpha.size, each.dtype)
            np.add.at(whole, places, each)
        slope = _spread(node, alpha, node.out.shape)
        return [dy * chosen(x.real > 0, 1.0, slope)], {"alpha": whole.reshape(alpha.shape)}


@rule("normalize")
class Normalize:
    def _divisor(node, variables):
        deviation = np.maximum(np.sqrt(np.real(variables["variance"])), LEAST_DEVIATION)
        return _spread(node, deviation, node.out.shape)

    def forward(node, variables, x):
        mean, d = _spread(node, variables["mean"], node.out.shape), Normalize._divisor(node, variables)
        return x * d + mean if node.attrs["invert"] else (x - mean) / d

    def backward(node, variables, dy, x):
        d = Normalize._divisor(node, variables)
        return [dy * d if node.attrs["invert"] else dy / d], {}


@rule("maxout")
class Maxout:
    def _pieces(node, z):
        pieces = z.reshape(len(z), -1, node.attrs["k"])
        return pieces, pieces.real.argmax(axis=2)[..., None]

    def forward(node, variables, z):
        pieces, at = Maxout._pieces(node, z)
        return np.take_along_axis(pieces, at, axis=2)[..., 0]

    def backward(node, variables, dy, z):
        pieces, at = Maxout._pieces(node, z)
        dz = np.zeros_like(pieces, dtype=complex)
        np.put_along_axis(dz, at, dy[..., None], axis=2)
        return [dz.reshape(z.shape)], {}
