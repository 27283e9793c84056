"""Long steps, which Ctrl-C can interrupt: an interrupted step is rolled back.

All that a step may change is copied before it, and restored by the executor. If there are few samples compared to the
weights, the copy would take too large a part of the step; such steps are not interrupted.
"""

import threading
from math import ceil

import numpy as np

LONG = 0.15  # estimated seconds of a step (on one thread) from which it checks for Ctrl-C
PIECE = 0.05  # seconds between checks, if the step were a single operation
COPY = 0.2e-9  # seconds per byte
AT_MOST = 0.01  # maximum fraction of a step for the copy


def is_long(program, store, training):
    """Whether a step of a program can be interrupted, in this thread."""
    seconds = program.plan.seconds
    if seconds < LONG or threading.current_thread() is not threading.main_thread():
        return False
    return sum(a.nbytes for a in _changed(program, store, training)) * COPY <= seconds * AT_MOST


def watch(program, store, training, later=None):
    """Arguments of `Executor.run` for a step that Ctrl-C may interrupt; empty for short steps.

    later: a `training.interrupts.InterruptLater` around the call."""
    if not is_long(program, store, training):
        return {}
    arrays = _changed(program, store, training)
    if [a.shape for a in program.copies_before] != [a.shape for a in arrays]:
        program.copies_before = [np.empty_like(a) for a in arrays]
    for copy, array in zip(program.copies_before, arrays, strict=True):
        np.copyto(copy, array)
    saved = tuple(zip(arrays, program.copies_before, strict=True))
    return {"pieces": ceil(program.plan.seconds / PIECE), "saved": saved, "later": later}


def _changed(program, store, training):
    return [*(store.flat[name] for name in ("theta", *store.lasting)), *program.splits] if training else []
