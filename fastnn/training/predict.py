"""`predict`: the outputs of many samples, in inference mode."""

from .._base.numbers import is_batches
from .._core import threads as core_threads
from ..callbacks import CallbackList
from ..callbacks.progress import Progress
from . import arguments, fast_path
from .data import arrays, batches
from .inference import INFERENCE_BATCH, first_batches, inference_batch, parts
from .planning import Unchanged
from .ports import joined, room, shaped


def predict(model, x, batch_size, verbose, steps, callbacks, threads):
    """`Model.predict`."""
    if batch_size is steps is callbacks is threads is None and verbose in ("auto", 0, 1, 2):
        y = fast_path.predict(model, x)
        if y is not None:
            return y
    with Progress(verbose) as progress, core_threads.using(threads):
        hooks = CallbackList(callbacks, model=model)
        if is_batches(x):
            batches.none_but_x("x", {"batch_size": batch_size})
            return _of_batches(model, batches.Batches("x", x, steps), progress, hooks)
        return _of_array(model, x, batch_size, steps, progress, hooks)


def _of_array(model, x, batch_size, steps, progress, callbacks):
    batch_size = inference_batch(batch_size)
    data = first_batches(arrays.Data(arguments.samples(model, "x", x)), steps, batch_size)
    done, out = 0, room(model, data.n)
    progress.start("Prediction", data.n)
    still, model.stop_predicting = Unchanged(model, "predict"), False
    callbacks.call("on_predict_begin")
    logs = {}
    pieces = parts(model, data, batch_size, callbacks.per_batch("predict"))
    for part in batches.numbered(pieces, callbacks, "predict", logs, lambda: model.stop_predicting):
        here = out[part.start : part.stop]
        with model._lock:
            still.engine().predict(part.x, batch_size, here)
        logs["outputs"] = shaped(model, here, part.n)
        done = part.stop
        progress.update(done, {})
    callbacks.call("on_predict_end")
    progress.clear()
    if data.n and batch_size >= data.n and still:
        with model._lock:
            fast_path.note(model, "predict", data.x)
    return shaped(model, out[:done], done)


def _of_batches(model, source, progress, callbacks):
    progress.start("Prediction", None)
    still, model.stop_predicting = Unchanged(model, "predict") if model.built else None, False
    callbacks.call("on_predict_begin")
    found, done, logs = [], 0, {}
    pieces = batches.numbered(
        source.epoch(anew=True), callbacks, "predict", logs,
        lambda: model.stop_predicting or still.check(),
    )  # fmt: skip
    for i, batch in enumerate(pieces):
        x = arguments.samples(model, f"x, batch {i}", batches.parts("x", batch)[0])
        out = room(model, len(x))
        if still is None:  # the first batch has built the model
            still = Unchanged(model, "predict")
        with model._lock:
            still.engine().predict(x, INFERENCE_BATCH, out)
        found.append(out)
        logs["outputs"] = shaped(model, out, len(x))
        done += len(x)
        progress.update(done, {})
    callbacks.call("on_predict_end")
    progress.clear()
    return shaped(model, joined(found), done)
