"""Exact statistics for batch normalisation, after training.

The data are propagated from one batch normalisation to the next in inference mode. If everything depends on a single
tensor (a stack of layers), the next segment starts there; inside a residual block it starts before the block.
"""

import numpy as np

from ..engine.engine import Engine
from ..engine.ports import each, gathered
from . import arguments
from .inference import inference_batch
from .planning import graph_of

ROWS = 8192  # per call of the core: Ctrl-C is handled between two calls


def recalibrate(model, x, batch_size):
    """`Model.recalibrate`."""
    x = arguments.samples(model, "x", x, True)
    if not len(x):
        raise ValueError("x: expected at least one sample, got none")
    graph, start, _ = graph_of(model)
    with model._lock:
        return _run(graph, start, x, model.dtype, model.threads, inference_batch(batch_size))


def _run(graph, start, x, dtype, threads, batch_size):
    """Recalibrate every trainable batch normalisation of `graph` with the checked data `x`; return their number."""
    inputs = dict(zip(start if isinstance(start, list) else [start], each(x), strict=True))
    nodes = [n for n in graph.nodes if n.kind == "batch_norm" and n.trainable]
    values, entry = None, None  # the results of the tensor before the last normalisation, and that tensor
    for node in nodes:
        target = node.inputs[0]
        alone = entry is not None and sources(target, entry) == {entry}
        begin = [entry] if alone else [t for t in inputs if t in sources(target)]
        if not alone:
            values = gathered(inputs[t] for t in begin)
        if begin != [target]:
            values = results(Engine(graph, begin, target, dtype=dtype, threads=threads), values, batch_size)
        entry = target
        mean, variance = moments(values)
        node.variables["mean"].assign(mean)
        node.variables["variance"].assign(variance)
    return len(nodes)


def sources(target, entry=None):
    """The inputs that a tensor depends on, `entry` being one of them."""
    found, seen, stack = set(), set(), [target]
    while stack:
        tensor = stack.pop()
        if tensor not in seen:
            seen.add(tensor)
            if tensor is entry or not tensor.node.inputs:
                found.add(tensor)
            else:
                stack += tensor.node.inputs
    return found


def results(engine, values, batch_size):
    """The engine's output for all rows."""
    out = np.empty((len(values), engine.y.size), engine.dtype)
    for at in range(0, len(values), ROWS):
        engine.predict(values[at : at + ROWS], batch_size, out[at : at + ROWS])
    return out


def moments(values):
    """Mean and biased variance of the columns in float64, in two passes."""
    parts = [values[at : at + ROWS] for at in range(0, len(values), ROWS)]
    mean = sum(np.sum(p, axis=0, dtype=np.float64) for p in parts) / len(values)
    return mean, sum(np.sum((p - mean) ** 2, axis=0) for p in parts) / len(values)
