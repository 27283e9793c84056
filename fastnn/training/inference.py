"""Evaluate and predict: many samples, in inference mode."""

from math import prod

import numpy as np

from .._base.checks import flag, integer, refuse_keywords
from .._base.config import float_dtype
from .._base.numbers import is_batches
from .._core import threads as core_threads
from ..callbacks import CallbackList
from ..callbacks.progress import Progress
from .data import arrays, batches
from .fit import INFERENCE_BATCH, Unchanged, inference_batch, no_more

FLOPS_PER_CALL = 4e9  # well under the 0.2 s within which Ctrl-C is handled


class Inference:
    """Mixed into `Model`."""

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        *,
        threads=None,
        **kwargs,
    ):
        """Compute loss and metrics of data in inference mode.

        Parameters
        ----------
        x, y, sample_weight : array_like, or batches
            As for `fit`.
        batch_size : int, optional
        steps : int, optional
            Number of batches to use, from the first; default: all.
        verbose : {"auto", 0, 1, 2}
        callbacks : list of Callback, optional
            ``model.stop_evaluating = True`` in one of their hooks stops after the current batch.
        return_dict : bool
        threads : int, optional
            As for `fit`.

        Returns
        -------
        float, list of float or dict
            The loss; with metrics, ``[loss, ...]`` in the order of `metrics_names`; with
            `return_dict`, a dict by name.
        """
        refuse_keywords(self.evaluate.__func__, kwargs)
        return_dict = flag("return_dict", return_dict)
        self.need_compile("evaluate")
        progress = Progress(verbose)
        if is_batches(x):
            batches.none_but_x("x", {"y": y, "batch_size": batch_size, "sample_weight": sample_weight})
            data = batches.Feed(self, batches.Batches("x", x, steps))
            data.prepare()
        else:
            data = _first(self.data(x, y, sample_weight), steps, inference_batch(batch_size))
        progress.start("Evaluation", None if isinstance(data, batches.Feed) else data.n)
        with progress, core_threads.using(threads):
            logs = self.measure(data, inference_batch(batch_size), CallbackList(callbacks, model=self), progress, steps)
        progress.finish(logs, done=data.n)
        return result(logs, return_dict)

    def measure(self, data, batch_size, callbacks, progress=None, steps=None):
        """`evaluate` of checked data: ``{name: mean}``."""
        sums, done, so_far = [0.0] * (1 + len(self.metrics)), 0, {}
        single, still = callbacks.per_batch("test"), Unchanged(self, "evaluate")
        self.stop_evaluating = False
        callbacks.call("on_test_begin")
        if isinstance(data, batches.Feed):
            pieces = data.epoch(anew=True)
        else:
            data = _first(data, steps, batch_size)
            batch_size = no_more(batch_size, data.n)
            pieces = self._parts(data, batch_size, single)
        for part in batches.numbered(pieces, callbacks, "test", so_far, lambda: self.stop_evaluating or still.check()):
            with self._lock:
                _, loss, found = still.engine().evaluate(part.x, part.y, part.w, batch_size, part.rows, sums)
            sums = [loss, *found]
            done += part.n
            if single:
                so_far |= self.means(done, *sums)
            if progress is not None:
                progress.update(done, {})
        if not done and isinstance(data, batches.Feed):
            raise ValueError(
                f"{data.batches.name}: expected at least one batch, got none, as the generator has ended. Use fewer"
                " steps each time, or batches that can be iterated again"
            )
        logs = self.means(done, *sums) if still else so_far
        callbacks.call("on_test_end", logs=logs)
        return logs

    def _parts(self, data, batch_size, single):
        """Slices for one call of the core each: short enough for Ctrl-C, or single batches."""
        work = 2 * max(1, sum(v.size for v in self.weights))
        batches = 1 if single else max(1, int(FLOPS_PER_CALL / work / batch_size))
        for start in range(0, data.n, batches * batch_size):
            part = data.part(start, min(data.n, start + batches * batch_size))
            part.start, part.stop = start, start + part.n
            yield part

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, *, threads=None, **kwargs):
        """Compute predictions for data in inference mode.

        Parameters
        ----------
        x : array_like (n, *input_shape), or batches
            For batches (x, y, …), x is used.
        batch_size : int, optional
        steps : int, optional
            Number of batches to use, from the first; default: all.
        verbose : {"auto", 0, 1, 2}
            A live line on a terminal and in a notebook unless 0 or 2; nothing elsewhere.
        callbacks : list of Callback, optional
            ``model.stop_predicting = True`` in one of their hooks stops after the current batch.
        threads : int, optional
            As for `fit`.

        Returns
        -------
        ndarray (n, *output_shape)
            For the batches so far, if a callback has stopped it.
        """
        if batch_size is steps is callbacks is threads is None and not kwargs and verbose in ("auto", 0, 1, 2):
            y = self._predict_at_once(x)
            if y is not None:
                return y
        refuse_keywords(self.predict.__func__, kwargs)
        with Progress(verbose) as progress, core_threads.using(threads):
            return self._predict(x, batch_size, steps, progress, CallbackList(callbacks, model=self))

    def _predict(self, x, batch_size, steps, progress, callbacks):
        if is_batches(x):
            batches.none_but_x("x", {"batch_size": batch_size})
            return self._predict_batches(batches.Batches("x", x, steps), progress, callbacks)
        batch_size = inference_batch(batch_size)
        data = _first(arrays.Data(self._samples("x", x)), steps, batch_size)
        out, shape, done = np.empty((data.n, prod(self.out_shape)), float_dtype(self.dtype)), self.out_shape, 0
        progress.start("Prediction", data.n)
        still, self.stop_predicting = Unchanged(self, "predict"), False
        callbacks.call("on_predict_begin")
        logs = {}
        parts = self._parts(data, batch_size, callbacks.per_batch("predict"))
        for part in batches.numbered(parts, callbacks, "predict", logs, lambda: self.stop_predicting):
            here = out[part.start : part.stop]
            with self._lock:
                still.engine().predict(part.x, batch_size, here)
            logs["outputs"] = here.reshape(part.n, *shape)
            done = part.stop
            progress.update(done, {})
        callbacks.call("on_predict_end")
        progress.clear()
        if data.n and batch_size >= data.n and still:
            with self._lock:
                self._note_call("predict", data.x)
        return out[:done].reshape(done, *shape)

    def _predict_batches(self, source, progress, callbacks):
        progress.start("Prediction", None)
        still, self.stop_predicting = Unchanged(self, "predict") if self.built else None, False
        callbacks.call("on_predict_begin")
        found, done, logs = [], 0, {}
        pieces = batches.numbered(
            source.epoch(anew=True), callbacks, "predict", logs,
            lambda: self.stop_predicting or still.check(),
        )  # fmt: skip
        for i, batch in enumerate(pieces):
            x = self._samples(f"x, batch {i}", batches.parts("x", batch)[0])
            out = np.empty((len(x), prod(self.out_shape)), float_dtype(self.dtype))
            if still is None:  # the first batch has built the model
                still = Unchanged(self, "predict")
            with self._lock:
                still.engine().predict(x, INFERENCE_BATCH, out)
            found.append(out)
            shape = self.out_shape
            logs["outputs"] = out.reshape(len(x), *shape)
            done += len(x)
            progress.update(done, {})
        callbacks.call("on_predict_end")
        progress.clear()
        return np.concatenate(found).reshape(done, *shape)


def _first(data, steps, batch_size):
    """The first `steps` batches of data, as views."""
    return data if steps is None else data.part(0, min(data.n, integer("steps", steps, 1) * batch_size))


def result(logs, return_dict):
    values = list(logs.values())
    return logs if return_dict else values if len(values) > 1 else values[0]
