"""Exact statistics for batch normalisation, after training.

The data go from one batch normalisation to the next in inference mode. Where a tensor alone carries everything (a
stack of layers), it is the start of the next piece; inside a residual block the piece starts further up.
"""

import numpy as np

from ..engine.engine import Engine
from ..engine.graph import simplify

ROWS = 8192  # a call of the core: Ctrl-C is answered between two


def run(graph, start, x, dtype, threads, batch_size):
    """Recalibrate every trainable batch normalisation of `graph` by the checked data `x`; returns how many."""
    nodes = [n for n in graph.nodes if n.kind == "batch_norm" and n.trainable]
    values, entry = x, start
    for node in nodes:
        target = node.inputs[0]
        if not cuts(graph, entry, target):
            values, entry = x, start
        if target is not entry:
            values = results(Engine(graph, entry, target, dtype=dtype, threads=threads), values, batch_size)
            entry = target
        mean, variance = moments(values)
        node.variables["mean"].assign(mean)
        node.variables["variance"].assign(variance)
    return len(nodes)


def cuts(graph, entry, target):
    """Whether `target` follows from `entry` alone."""
    nodes, x, _, _ = simplify(graph, entry, target)
    return all(n.kind != "input" or n.out is x for n in nodes)


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
