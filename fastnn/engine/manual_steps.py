"""Manual steps: forward, backward and update of one batch as three calls, for custom training loops.

The engine has what was done last: `manual`, the program, the number of rows and x of the last `forward`; `expired`, why
`backward` may not follow it; `has_gradients`. The fast path (`_core.calls.ManualCall`) uses the same, so the two may
take turns.
"""

import time

import numpy as np

from .._base.numbers import as_array, check_finite
from .._core import calls
from .._core.beyond import find_beyond
from .long_steps import watch
from .ports import addresses, code, room, shaped
from .steps import call_python
from .thread_tuner import Team

TRAINED = "the model was trained after it"  # why `backward` raises an error
CHANGED = "the model was changed after it"
WITHIN = ("python", "loss")  # parts that belong to the stage before


def forward(engine, x):
    """Results of one batch, with dropout and batch statistics; `backward` may follow."""
    engine.store.acquire()
    n = len(x)
    out = room(engine.outputs, n, engine.dtype)
    program = engine.program("manual", n, code(x), code(out))
    engine.manual, engine.has_gradients = None, False  # until it is done, as its Python may raise
    _run(engine, (program, n, x), "forward", addresses(engine, x, out=out))
    engine.manual, engine.expired, engine.store.forward_at = (program, n, x), None, engine.store.load_clock.now
    engine.called = _calls_of_layers(engine)
    return shaped(engine.outputs, out, n)


def backward(engine, dy):
    """Gradient of the last `forward(training=True)` batch: returns dL/dx; `gradients` has those of the weights."""
    _refuse_expired(engine)
    program, n, x = engine.manual
    if len(dy) != n:
        raise ValueError(f"dy: expected {n} rows, as many as x of the last call of forward, got {len(dy)}")
    dx = room(engine.inputs, n, engine.dtype)
    _run(engine, engine.manual, "backward", addresses(engine, x, dy=dy, dx=dx))
    engine.has_gradients = True
    return shaped(engine.inputs, dx, n)


def gradients(engine):
    """Gradients of the trainable variables, row-major, in their order."""
    if not engine.has_gradients:
        raise RuntimeError("gradients: expected calls of forward(x, training=True) and backward before it")
    return [engine.store.get("grad", v) for v in engine.trainable]


def set_gradients(engine, gradients):
    """Gradients of the trainable variables, as `gradients` has them."""
    own = engine.trainable
    arrays = [as_array(f"gradients[{i}]", g) for i, g in enumerate(gradients)]
    if [v.shape for v in own] != [a.shape for a in arrays]:
        raise ValueError(
            f"gradients: expected arrays of shapes {[v.shape for v in own]}, got {[a.shape for a in arrays]}"
        )
    for i, array in enumerate(arrays):
        check_finite(f"gradients[{i}] ({own[i].name})", array, engine.dtype, finite=False)
    for variable, array in zip(own, arrays, strict=True):
        engine.store.put("grad", variable, array)
    engine.has_gradients = True


def apply_gradients(engine, lr, check_finite=True):
    """One optimizer step with the current gradients."""
    if engine.manual is None or not engine.has_gradients:
        raise RuntimeError("apply_gradients: expected calls of forward(x, training=True) and backward before it")
    if check_finite and find_beyond(engine.store.flat["grad"]) >= 0:
        _refuse_non_finite(engine)
    engine.expired = calls.APPLIED
    _run(engine, engine.manual, "update", addresses(engine), lr)
    engine.step += 1


def _refuse_non_finite(engine):
    for variable in engine.trainable:
        check_finite(f"apply_gradients: the gradient of {variable.name}", engine.store.get("grad", variable))


def _calls_of_layers(engine):
    layers = [n.attrs["layer"] for n in engine.nodes if n.kind == "python"]
    return [(layer, layer._call_clock.now) for layer in layers]


def _refuse_expired(engine):
    """RuntimeError if the state has changed since the last `forward(training=True)`."""
    if engine.manual is not None and engine.expired is None:
        engine.store.acquire()
        if engine.store.load_clock.now != engine.store.forward_at:
            engine.expired = "its weights were assigned, or trained by another model, after it"
        for layer, reading in engine.called:
            if layer._call_clock.now != reading:
                engine.expired = f"the NumPy layer {layer.name!r} was called again after it"
    if engine.expired is not None:
        raise RuntimeError(f"backward: expected forward(x, training=True) right before it, but {engine.expired}")
    if engine.manual is None:
        raise RuntimeError("backward: expected a call of forward(x, training=True) before it")


def _run(engine, manual, stage, live, lr=0.0):
    program, n, _ = manual
    engine.store.acquire()  # another model that shares a layer, or `assign`, may have had the weights since `forward`
    engine.start_averages()
    engine.store.weights_clock.tick()
    program.refresh(engine.store, training=True)
    while not run_stage(engine, program, n, stage, live, lr):
        pass


def run_stage(engine, program, n, stage, live, lr=0.0, data=(None, None), training=True, sums=None):
    """Run a stage; returns False if it was interrupted by a signal that raises nothing.

    data: targets and weights, where Python may have to read them."""
    team = program.teams.setdefault(stage, Team(engine.threads, program.plan.seconds))
    n_threads, seconds, current, disturbed = team.next()[0], 0.0, None, False
    watched = {} if stage == "update" else watch(program, engine.store, training, engine.later)
    for name, lo, hi, call in program.parts:
        current = name if name not in WITHIN else current
        if current != stage:
            continue
        if call is not None:
            call_python(engine, program, call, *data, slice(0, n), n, training, sums)
        elif hi > lo:
            begun = time.perf_counter()
            if not program.core.run(
                live, n, n, lrs=np.reshape(lr, (1, -1)), step0=engine.step, seed=engine.seed,
                threads=n_threads, first=lo, last=hi, **watched,
            ):  # fmt: skip
                return False
            seconds += time.perf_counter() - begun
            disturbed |= program.core.disturbed
    team.report(n_threads, seconds, 1, disturbed)
    return True
