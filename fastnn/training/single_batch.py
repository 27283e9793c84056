"""Training and prediction on single batches, and manual steps for custom training loops.

Small batches of a kind that was used before take a fast path, see `_core.calls`.
"""


from .._base.checks import flag
from .._base.config import float_dtype
from .._base.signatures import only_default
from .._core.beyond import find_beyond
from ..engine import fast_calls
from ..engine.manual_steps import TRAINED
from ..engine.precision import get_float32_matmul_precision
from .data import arrays
from .fit import Steps
from .inference import result

INFERENCE = "forward without training=True came after it; for gradients in inference mode use input_gradient"
SMALL = 256  # maximum number of rows of a batch on the fast path
MANUAL = 4096  # the same for a manual step, which takes three calls from Python


class SingleBatches:
    """Mixed into `Model`."""

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False, *,
                       check_finite=True):  # fmt: skip
        """Perform one optimizer step on one batch.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
        return_dict : bool
            Return results by name.
        check_finite : bool
            Raise an error for NaN and infinity in x and y.

        Returns
        -------
        float, list of float or dict
            As `evaluate`, for this batch before the step. (Keras 3 returns running means.)
        """
        return_dict, check_finite = flag("return_dict", return_dict), flag("check_finite", check_finite)
        if sample_weight is None and class_weight is None:
            logs = self._train_at_once(x, y, check_finite)
            if logs is not None:
                return result(logs, return_dict)
        self.need_loss("train_on_batch")
        data = self.data(x, y, sample_weight, class_weight, check_finite, training=True)
        if not data.n:
            raise ValueError("x: expected at least one row, got none")
        with self._lock:
            engine = self.engine()
            rates = self.optimizer.rates(engine.step, 1)
            with Steps(self.optimizer, engine):
                n, loss, found = engine.fit_block(
                    data.x, data.y, data.w, None, 0, data.n, max(1, data.n), rates, 0.0
                )
            if data.w is None:
                self._note_call("train", data.x, data.y)
        return result(self.means(n, loss, *found), return_dict)

    # --- the fast path for small batches of a kind that was used before ---

    def _noted(self, what, x):
        """(call, program) of such a batch, or None; called with the lock held, as is `_fetch`."""
        entry = self._calls.get((what, getattr(x, "shape", None), get_float32_matmul_precision()))
        if entry is not None and entry[0].is_outdated():
            self._fetch(entry[0])
        return entry

    def _fetch(self, call):
        """Load weights that were assigned since `call` was created, in this model or another."""
        store = self._engine.store
        store.acquire()
        call.values_at = store.values_at

    def _train_at_once(self, x, y, check_finite):
        with self._lock:  # before the lookup, as `compile` clears engine and calls
            entry = self._noted("train", x)
            optimizer, engine = self.optimizer, self._engine
            if entry is None or type(optimizer._rate) is not float:
                return None
            call, program = entry
            engine.store.weights_clock.tick()  # first, as Ctrl-C may come right after the step
            program.refresh(engine.store, training=True)
            engine.expired = TRAINED
            if not call.train(x, y, optimizer._rate, engine, optimizer, check_finite):
                return None
            sums = call.core.totals[:, 0].tolist()
        return self.means(len(x), *sums)

    def _predict_at_once(self, x):
        with self._lock:
            entry = self._noted("predict", x)
            if entry is None:
                return None
            call, program = entry
            program.refresh(self._engine.store)
            return call.predict(x)

    def _forward_at_once(self, x):
        with self._lock:
            entry = self._noted("manual", x)
            return None if entry is None else entry[0].forward(x, self._engine)

    def _backward_at_once(self, dy, check_finite):
        with self._lock:
            engine = self._engine
            call = None if engine is None or engine.manual is None else engine.manual[0].by_hand
            if call is None:
                return None
            if call.is_outdated():
                self._fetch(call)
            store = engine.store
            if engine.expired is not None or store.load_clock.now != store.forward_at:
                return None
            return call.backward(dy, engine, check_finite)

    def _apply_at_once(self, check_finite):
        """Called with the lock held."""
        optimizer, engine = self.optimizer, self._engine
        if engine is None or engine.manual is None or not engine.has_gradients or type(optimizer._rate) is not float:
            return False
        call = engine.manual[0].by_hand
        if call is not None and check_finite and find_beyond(engine.store.flat["grad"]) >= 0:
            return False
        if call is None:
            return False
        if call.is_outdated():
            self._fetch(call)
        return call.update(optimizer._rate, engine, optimizer)

    def _note_call(self, what, x, y=None):
        """Let such batches take the fast path from now on, if possible."""
        if what == "train" and type(self.optimizer._rate) is not float:
            return  # `_train_at_once` would never use it
        if self._engine is None:  # compiled again, by a hook or another thread
            return
        if 0 < len(x) <= (SMALL if what != "manual" else MANUAL) and len(self.in_shape) == len(self.out_shape) == 1:
            engine, at = self._engine, self._layers_at
            if what == "manual":
                entry = fast_calls.manual_step(engine, x, at)
            else:
                entry = fast_calls.one_batch(engine, what, x, y, at)
            self._keep_call((what, x.shape, get_float32_matmul_precision()), entry)

    def _keep_call(self, key, entry):
        if len(self._calls) >= 16:
            self._calls.clear()
        if entry is not None:
            self._calls[key] = entry

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Compute loss and metrics of one batch, as `evaluate`."""
        return_dict = flag("return_dict", return_dict)
        self.need_compile("test_on_batch")
        data = self.data(x, y, sample_weight)
        with self._lock:
            n, loss, found = self.engine().evaluate(data.x, data.y, data.w, max(1, data.n))
        return result(self.means(n, loss, *found), return_dict)

    def predict_on_batch(self, x):
        """Compute predictions for one batch, as `predict`."""
        return self._forward(x, False)

    # --- manual steps ---

    def forward(self, x, training=False):
        """Compute the outputs for one batch; ``training=True`` enables dropout and batch statistics.

        Parameters
        ----------
        x : array_like (B, *input_shape)
        training : bool
            True if `backward` will follow. After a later call with False, `backward` is not possible; `predict`,
            `predict_on_batch` and `evaluate` do not have this effect.

        Returns
        -------
        ndarray (B, *output_shape)
        """
        training = flag("training", training)
        if not training and self._engine is not None:
            self._engine.expired = INFERENCE
        return self._forward(x, training)

    def _forward(self, x, training):
        y = self._forward_at_once(x) if training else self._predict_at_once(x)
        if y is not None:
            return y
        given, x = x, self._samples("x", x)
        if training:
            if not len(x):
                raise ValueError("x: expected at least one row, got none")
            self.keep_feature_names(given)
        if training and self._kind is None and getattr(self.loss, "target", None) is not None:
            self.resolve_targets(None)  # otherwise the first `evaluate` would cause planning again before `backward`
        with self._lock:
            y = self.engine().forward(x, training)
            self._note_call("manual" if training else "predict", x)
        return y.reshape(len(x), *self.out_shape)

    def __call__(self, x, training=False):
        """Call `forward`."""
        return self.forward(x, training)

    def call(self, inputs, training=None, mask=None):
        """Call `forward`, with Keras' signature; `training=None` means False, and `mask` must be None."""
        only_default("mask", mask, None)
        return self.forward(inputs, False if training is None else training)

    def backward(self, dy, *, check_finite=True):
        """Compute the gradients after ``forward(x, training=True)``; see `gradients` for those of the weights.

        That must be the last call of `forward`, and weights, layers and frozen layers must not have changed since.

        Parameters
        ----------
        dy : array_like (B, *output_shape)
            Gradient of a custom loss with respect to the outputs. It is not divided by B.
        check_finite : bool
            Raise an error for NaN and infinity in `dy`.

        Returns
        -------
        ndarray (B, *input_shape)
            Gradient with respect to the inputs.

        Raises
        ------
        RuntimeError
            If there was no such `forward`, or something has changed since; the message says what.

        Examples
        --------
        A step of gradient descent on the mean squared error:

        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd")
        >>> x, t = np.ones((8, 2)), np.zeros((8, 1))
        >>> y = model.forward(x, training=True)
        >>> dx = model.backward(2 * (y - t) / len(x))
        >>> model.apply_gradients()
        """
        finite = flag("check_finite", check_finite)
        dx = self._backward_at_once(dy, finite)
        if dx is not None:
            return dx
        dy = arrays.targets("dy", dy, self.out_shape, self.dtype, finite)
        dy = arrays.aligned(dy, float_dtype(self.dtype))
        dx = self._backward_at_once(dy, False)  # possible for the dtype of the model
        if dx is not None:
            return dx
        with self._lock:
            return self.engine().backward(dy).reshape(len(dy), *self.in_shape)

    def gradients(self):
        """Return the gradients of `trainable_weights` after `backward`, a list of arrays of the same shapes."""
        with self._lock:
            return self.engine().gradients()

    def apply_gradients(self, gradients=None, *, check_finite=True):
        """Perform one optimizer step.

        Parameters
        ----------
        gradients : list of ndarray, optional
            As returned by `gradients`; default: those of the last `backward`.
        check_finite : bool
            Raise an error for NaN and infinity, which would spread to every weight after a few steps.

        Raises
        ------
        ValueError
            For a non-finite gradient; the message names the weight, and nothing is changed.
        """
        self.need_compile("apply_gradients")
        check_finite = flag("check_finite", check_finite)
        with self._lock:
            if gradients is not None:
                self.engine().set_gradients(gradients)
            if self._apply_at_once(check_finite):
                return
            engine = self.engine()
            with Steps(self.optimizer, engine):
                engine.apply_gradients(self.optimizer.rates(engine.step, 1), check_finite)
