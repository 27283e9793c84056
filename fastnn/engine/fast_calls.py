"""Calls of one small batch without the work around it: `_core.calls`, bound to a program of an engine.

Each function returns None where the slow path is as good or required.
"""

from functools import partial

import numpy as np

from .._core import calls, threads
from .long_steps import is_long
from .ports import code, targets_code
from .thread_tuner import Team

STAGES = ("forward", "backward", "update")  # of a manual step


def one_batch(engine, what, x, y, layers_at, make=None):
    """A `calls.Call` for batches like (x, y), and its program.

    layers_at: reading of the clock LAYERS for which this engine was made.
    make: what to make in its place, from this engine and the same arguments."""
    if engine.several:
        return None
    usual = x.ndim == 2 and x.flags.c_contiguous and "average" not in engine.store.flat
    usual &= y is None or y.flags.c_contiguous  # the program contains y's stride
    usual &= threads.asked() is None  # not for a thread count given for one call
    simple = all(pairs == 1 for pairs in engine.pairs) and not engine.score_places and not engine.counter_rows
    simple = simple and not any(row.weighted for row in engine.core_rows if not row.is_loss)
    if not usual or what != "derivative" and not simple:
        return None
    program = engine.program(what, len(x), code(x), targets_code(y))
    if program.plan.separate:
        return None
    y_dtype = None if y is None or y.ndim == 1 else y.dtype
    call = (calls.Call if make is None else partial(make, engine))(
        program.core, len(x), x.dtype, engine.x.size, y_dtype, engine.y.size, engine.dtype, engine.seed,
        engine.store.values_at, layers_at, None if program.team.is_alone() else program.team,
    )
    return call, program


def manual_step(engine, x, layers_at):
    """A `calls.ManualCall` for batches like x, and its program."""
    if engine.several or x.ndim != 2 or not x.flags.c_contiguous:
        return None
    program = engine.program("manual", len(x), code(x), code(np.empty((1, engine.y.size), engine.dtype)))
    parts = {name: (lo, hi) for name, lo, hi, call in program.parts if call is None}
    if len(parts) < len(program.parts) or "average" in engine.store.flat or threads.asked() is not None:
        return None
    if is_long(program, engine.store, True) or program.derives:  # Ctrl-C must not wait; kept splits need updates
        return None
    teams = [program.teams.setdefault(stage, Team(engine.threads, program.plan.seconds)) for stage in STAGES]
    program.by_hand = calls.ManualCall(
        program, [parts[stage] for stage in STAGES], tuple(None if t.is_alone() else t for t in teams),
        engine.store.weights_clock, engine.store.load_clock,
        program.core, len(x), x.dtype, engine.x.size, None, engine.y.size, engine.dtype, engine.seed,
        engine.store.values_at, layers_at, None,
    )  # fmt: skip
    return program.by_hand, program
