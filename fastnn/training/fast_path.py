"""The fast path: small batches of a kind that was used before, almost without Python around the core.

A call of the slow path ends with `note`; later calls with such arrays `find` what it noted. Each function here returns
None (or False) for anything that the slow path has to do. See `_core.calls` and docs/decisions/0007.
"""

from .._core.beyond import find_beyond
from ..engine import fast_calls
from ..engine.manual_steps import TRAINED
from ..engine.precision import get_float32_matmul_precision

SMALL = 256  # maximum number of rows of a batch on the fast path
MANUAL = 4096  # the same for a manual step, which takes three calls from Python
KEPT = 16  # calls of a model


def find(model, what, x):
    """(call, program) of such a batch, or None; called under the lock, as are `fetch`, `note` and `keep`."""
    entry = model._calls.get((what, getattr(x, "shape", None), get_float32_matmul_precision()))
    if entry is not None and entry[0].is_outdated():
        fetch(model, entry[0])
    return entry


def fetch(model, call):
    """Load weights that were assigned since `call` was created, in this model or another."""
    store = model._engine.store
    store.acquire()
    call.values_at = store.values_at


def note(model, what, x, y=None):
    """Let such batches take the fast path from now on, if possible."""
    if what == "train" and type(model.optimizer._rate) is not float:
        return  # `train` would never use it
    engine = model._engine
    if engine is None:  # compiled again, by a hook or another thread
        return
    if 0 < len(x) <= (SMALL if what != "manual" else MANUAL) and _is_flat(model):
        if what == "manual":
            entry = fast_calls.manual_step(engine, x, model._layers_at)
        else:
            entry = fast_calls.one_batch(engine, what, x, y, model._layers_at)
        keep(model, what, x, entry)


def note_derivative(model, x, y, call_of):
    """`note` for a loss and its gradient; `call_of` makes the call."""
    if _is_flat(model):
        keep(model, "derivative", x, fast_calls.one_batch(model._engine, "derivative", x, y, model._layers_at, call_of))


def _is_flat(model):
    flat = model._fast_path and model._ports is None and len(model.in_shape) == len(model.out_shape) == 1
    return flat and model.row_limits() == [None]  # integers for an Embedding are checked on the slow path


def keep(model, what, x, entry):
    """Keep a call for batches like x."""
    if len(model._calls) >= KEPT:
        model._calls.clear()
    if entry is not None:
        model._calls[what, x.shape, get_float32_matmul_precision()] = entry


def train(model, x, y, check_finite):
    """The sums of a training step."""
    with model._lock:  # before the lookup, as `compile` clears engine and calls
        entry = find(model, "train", x)
        optimizer, engine = model.optimizer, model._engine
        if entry is None or type(optimizer._rate) is not float:
            return None
        call, program = entry
        engine.store.weights_clock.tick()  # first, as Ctrl-C may come right after the step
        program.refresh(engine.store, training=True)
        engine.expired = TRAINED
        if not call.train(x, y, optimizer._rate, engine, optimizer, check_finite):
            return None
        return call.core.totals[:, 0].tolist()


def predict(model, x):
    """The outputs."""
    with model._lock:
        entry = find(model, "predict", x)
        if entry is None:
            return None
        call, program = entry
        program.refresh(model._engine.store)
        return call.predict(x)


def forward(model, x):
    """The outputs of the first part of a manual step."""
    with model._lock:
        entry = find(model, "manual", x)
        return None if entry is None else entry[0].forward(x, model._engine)


def backward(model, dy, check_finite):
    """The gradient with respect to the inputs, the second part of a manual step."""
    with model._lock:
        engine = model._engine
        call = None if engine is None or engine.manual is None else engine.manual[0].by_hand
        if call is None:
            return None
        if call.is_outdated():
            fetch(model, call)
        store = engine.store
        if engine.expired is not None or store.load_clock.now != store.forward_at:
            return None
        return call.backward(dy, engine, check_finite)


def apply_gradients(model, check_finite):
    """Whether the update, the last part of a manual step, was done. Called under the lock."""
    optimizer, engine = model.optimizer, model._engine
    if engine is None or engine.manual is None or not engine.has_gradients or type(optimizer._rate) is not float:
        return False
    call = engine.manual[0].by_hand
    if call is None or check_finite and find_beyond(engine.store.flat["grad"]) >= 0:
        return False
    if call.is_outdated():
        fetch(model, call)
    return call.update(optimizer._rate, engine, optimizer)
