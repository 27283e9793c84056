"""Steps that take so long that Ctrl-C is not to wait for their end: given up in the middle, as if they had not begun.

What a step may change is copied before it, and put back by the executor. Where samples are few beside the weights, a
copy would cost too much of the step; such steps are done to their end.
"""

import threading
from math import ceil

import numpy as np

LONG = 0.15  # estimated seconds of a step (on one thread) from which Ctrl-C is looked for within it
PIECE = 0.05  # seconds between looks, if one operation were all of the step
COPY = 0.2e-9  # seconds a byte
AT_MOST = 0.01  # of a step, for the copy


def is_long(program, store, training):
    """Whether a step of a program is watched, in this thread."""
    seconds = program.plan.seconds
    if seconds < LONG or threading.current_thread() is not threading.main_thread():
        return False
    return sum(a.nbytes for a in _changed(program, store, training)) * COPY <= seconds * AT_MOST


def watch(program, store, training, later=None):
    """What `Executor.run` is to know for a step that Ctrl-C may end; nothing where steps are short.

    later: a `fitting.InterruptLater` around the call."""
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
