"""`evaluate`: loss and metrics of many samples, in inference mode."""

import numpy as np

from .._base.checks import flag
from .._base.numbers import is_batches
from .._core import threads as core_threads
from ..callbacks import CallbackList
from ..callbacks.progress import Progress
from . import arguments
from .compiled_metrics import means, result
from .data import batches
from .inference import first_batches, inference_batch, no_more, parts
from .needs import need_compile
from .planning import Unchanged


def evaluate(model, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict, threads):
    """`Model.evaluate`."""
    return_dict = flag("return_dict", return_dict)
    need_compile(model, "evaluate")
    progress = Progress(verbose)
    if is_batches(x):
        batches.none_but_x("x", {"y": y, "batch_size": batch_size, "sample_weight": sample_weight})
        data = batches.Feed(model, batches.Batches("x", x, steps))
        data.prepare()
    else:
        data = first_batches(arguments.data(model, x, y, sample_weight), steps, inference_batch(batch_size))
    progress.start("Evaluation", None if isinstance(data, batches.Feed) else data.n)
    with progress, core_threads.using(threads):
        hooks = CallbackList(callbacks, model=model)
        rows = []
        logs = measure(model, data, inference_batch(batch_size), hooks, progress, steps, rows)
    progress.finish(logs, done=data.n)
    if rows:
        logs["loss"] = np.concatenate(rows)
    return result(logs, return_dict)


def measure(model, data, batch_size, callbacks, progress=None, steps=None, rows=None):
    """`evaluate` of checked data: ``{name: mean}``.

    rows: a list that gets the losses of each row, if the reduction of the loss is None."""
    sums, done, so_far = [0.0] * (1 + len(model.metrics)), 0, {}
    single, still = callbacks.per_batch("test"), Unchanged(model, "evaluate")
    model.stop_evaluating = False
    callbacks.call("on_test_begin")
    with model._lock:
        by_rows = rows is not None and still.engine().by_rows
    if isinstance(data, batches.Feed):
        pieces = data.epoch(anew=True)
    else:
        data = first_batches(data, steps, batch_size)
        batch_size = no_more(batch_size, data.n)
        pieces = parts(model, data, batch_size, single or by_rows)
    for part in batches.numbered(pieces, callbacks, "test", so_far, lambda: model.stop_evaluating or still.check()):
        with model._lock:
            engine = still.engine()
            _, loss, found = engine.evaluate(part.x, part.y, part.w, batch_size, part.rows, sums)
            if by_rows:
                rows.append(engine.row_losses(part.n))
        sums = [loss, *found]
        done += part.n
        if single:
            so_far |= means(model, done, *sums)
        if progress is not None:
            progress.update(done, {})
    if not done and isinstance(data, batches.Feed):
        raise ValueError(
            f"{data.batches.name}: expected at least one batch, got none, as the generator has ended. Use fewer"
            " steps each time, or batches that can be iterated again"
        )
    logs = means(model, done, *sums) if still else so_far
    callbacks.call("on_test_end", logs=logs)
    return logs
