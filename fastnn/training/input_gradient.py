"""The gradient of a model's outputs, or of its loss, with respect to its input, outside of training.

(a) In inference mode the graph has no noise and every layer is frozen: then batch normalisation uses its
    moving averages in the backward pass too, and no weight gradients are computed.
(b) The weights are read from the store of the model's engine. With batch statistics, the moving averages would be
    written to, so that mode uses a copy of all weights.
"""

import time

import numpy as np

from .._base.checks import flag
from ..engine.engine import Engine
from ..engine.long_steps import watch
from ..engine.ports import addresses, code, room, targets_code
from ..engine.steps import by_parts
from . import arguments
from .data import arrays
from .manual_steps import gradients_of_results
from .needs import need_loss
from .planning import graph_of
from .ports import shaped


def input_gradient(model, x, y, dy, training):
    """`Model.input_gradient`."""
    training = flag("training", training)
    if (y is None) == (dy is None):
        what = "neither" if y is None else "both"
        raise ValueError(f"input_gradient: expected either y (targets of the loss) or dy, got {what}")
    if dy is None:
        need_loss(model, "input_gradient")
        data = arguments.data(model, x, y)
        x, y = data.x, data.y
    else:
        x = arguments.samples(model, "x", x)
        y = gradients_of_results(model, dy, True)
        arrays.same_length(len(x), dy=y)
    with model._lock:
        engine = beside(model, model.engine(), training, dy is None)
        return shaped(model, gradient(engine, x, y, training), len(x), inputs=True)


def beside(model, engine, training, with_loss):
    """The engine for such gradients, created when it is first needed."""
    key = training, with_loss
    if key not in engine.besides:
        graph, x, y = graph_of(model)
        _keep_from_training(graph, training, with_loss)
        engine.besides[key] = Engine(
            graph, x, y, dtype=model.dtype, loss=engine.loss if with_loss else None, seed=engine.seed,
            loss_weights=[o.weight for o in engine.objectives], threads=engine.threads,
            precision=engine.precision, store=None if training else engine.store,
        )  # fmt: skip
    found = engine.besides[key]
    found.step = engine.step
    return found


def _keep_from_training(graph, training, with_loss):
    """Change a graph in place so that it gives gradients with respect to the input only."""
    if not with_loss:
        graph.nodes = [node for node in graph.nodes if node.kind != "activity"]
    for node in graph.nodes:
        node.trainable = training and node.kind == "batch_norm" and node.trainable
        if node.kind == "recurrent" and not training:
            node.attrs = {**node.attrs, "rate": 0.0}
        if training or node.kind not in ("dropout", "noise"):
            continue
        if node.attrs.get("row") == "rrelu":
            slope = sum(node.attrs["params"]) / 2
            node.kind, node.attrs = "activation", {"row": "leaky_relu", "params": (slope,)}
        else:
            node.kind = "reshape"  # identity


def gradient(engine, x, y, training):
    """dx for checked x and y, or dy if there is no loss."""
    engine.store.acquire()
    n = len(x)
    dx = room(engine.inputs, n, engine.dtype)
    if not n:
        return dx
    program = engine.program("gradient", n, code(x), code(y) if engine.loss is None else targets_code(y))
    program.refresh(engine.store)
    live = addresses(engine, x, y, dy=y, dx=dx)
    moving = [v for node in engine.nodes if node.trainable for v in map(node.variables.get, ("mean", "variance"))]
    before = [engine.store.get("theta", variable) for variable in moving]
    try:
        if program.plan.separate:
            step, sums = engine.step, engine.no_sums()
            by_parts(engine, program, x, y, None, None, 0, n, n, np.zeros(1), 0.0, training, live, sums)
            engine.step = step
        else:
            n_threads, begun = program.team.next()[0], time.perf_counter()
            while not program.core.run(
                live, n, n, step0=engine.step, seed=engine.seed, threads=n_threads,
                **watch(program, engine.store, False),
            ):  # fmt: skip
                pass
            program.team.report(n_threads, time.perf_counter() - begun, 1)
    finally:
        for variable, value in zip(moving, before, strict=True):
            engine.store.put("theta", variable, value)
    return dx
