"""The loss as a function of one flat vector, for external optimizers such as SciPy's.

(a) A flat vector contains `trainable_weights` in order, each in row-major order. The engine keeps them in panels, so an
    index maps each element to its place; a call writes the vector there, runs the program "derivative", reads the
    gradient and restores the weights. All of this happens under the model's lock, and for arrays of a kind that was
    used before in one call of the core (`_core.calls.DerivativeCall`, see docs/decisions/0007).
(b) The loss is that of `evaluate` with the penalties of training: no noise and no batch statistics, so that it is a
    deterministic function with this gradient.
"""

import numpy as np

from ._base.numbers import as_array, check_finite
from ._core.calls import DerivativeCall
from .engine import fast_calls
from .engine.objective import add_sums
from .engine.precision import get_float32_matmul_precision
from .engine.steps import address, by_parts, code, many, targets_code


class Derivatives:
    """Mixed into `Model`."""

    def get_parameters(self):
        """Return all trainable weights as one flat vector.

        Returns
        -------
        ndarray (n,)
            A copy of `trainable_weights` in order, each in row-major order, in the dtype of the model.

        Raises
        ------
        ValueError
            If the model is not built.

        Examples
        --------
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
        >>> model.get_parameters()
        array([1., 1., 0.], dtype=float32)
        """
        self._need_weights("get_parameters")
        with self._lock:
            parts = [v.numpy().reshape(-1) for v in self.trainable_weights]
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def set_parameters(self, theta):
        """Set all trainable weights from one flat vector.

        Parameters
        ----------
        theta : array_like (n,)
            As returned by `get_parameters`.

        Raises
        ------
        TypeError, ValueError
            For a wrong shape, for non-numeric values, and for values that overflow the dtype of the model.

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.set_parameters(np.array([1.0, 2.0, 3.0]))
        >>> model.predict(np.array([[1.0, 1.0]]), verbose=0)
        array([[6.]], dtype=float32)
        """
        self._need_weights("set_parameters")
        with self._lock:
            variables = self.trainable_weights
            theta, at = _checked(theta, sum(v.size for v in variables), self.dtype), 0
            for variable in variables:
                variable.assign(theta[at : at + variable.size].reshape(variable.shape))
                at += variable.size

    def loss_and_grad(self, theta, x, y, sample_weight=None):
        """Compute the loss with trainable weights `theta` and its gradient; the model is not changed.

        It is the loss of `compile` over all samples at once, with all penalties on weights and outputs (regularizers,
        `weight_decay` of the model and `compile`), in inference mode: dropout and noise are off, batch normalisation
        uses its moving averages, so that equal arguments give equal results. Operations of the optimizer (clipping,
        weight decay, constraints) are not included. Frozen weights are not part of `theta`.

        Parameters
        ----------
        theta : array_like (n,)
            As returned by `get_parameters`, of any float dtype.
        x, y : array_like
            As for `fit`.
        sample_weight : array_like, optional

        Returns
        -------
        loss : float
        gradient : ndarray (n,)
            float32 if `theta` is float32, otherwise float64; computed in the dtype of the model.

        Raises
        ------
        TypeError, ValueError
            For a model without a loss, and for invalid arguments.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.optimize import minimize
        >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,))], dtype="float64")
        >>> model.compile(loss="mse")
        >>> found = minimize(model.loss_and_grad, model.get_parameters(), (x, y), jac=True, method="L-BFGS-B")
        >>> found.x.round(3)
        array([2., 1.])
        >>> model.set_parameters(found.x)
        """
        if sample_weight is None:
            found = self._loss_and_grad_at_once(theta, x, y)
            if found is not None:
                return found
        self.need_loss("loss_and_grad")
        data = self.data(x, y, sample_weight)
        if not data.n:
            raise ValueError("x: expected at least one row, got none")
        with self._lock:
            engine = self.engine()
            theta = _checked(theta, sum(v.size for v in engine.trainable), self.dtype)
            found = evaluate(engine, theta, data.x, data.y, data.w)
            if data.w is None:
                self._note_derivative(engine, data.x, data.y)
        return found

    def _loss_and_grad_at_once(self, theta, x, y):
        with self._lock:
            entry = self._noted("derivative", x)
            if entry is None:
                return None
            found = entry[0].loss_and_grad(theta, x, y)
            if found is not None:
                self._engine.has_gradients = False  # overwritten
            return found

    def _note_derivative(self, engine, x, y):
        """Let such batches take the fast path from now on, if possible."""
        if len(self.in_shape) == len(self.out_shape) == 1:
            entry = fast_calls.one_batch(engine, "derivative", x, y, self._layers_at, call_of)
            self._keep_call(("derivative", x.shape, get_float32_matmul_precision()), entry)

    def _need_weights(self, what):
        if not self.built:
            raise ValueError(f"{what}: expected a built model, got one without weights; call build, or add an Input")


def _checked(theta, n, dtype):
    """`theta` as a contiguous float array (n,) without overflow in the model's dtype."""
    array = as_array("theta", theta)
    if array.shape != (n,):
        raise ValueError(f"theta: expected shape ({n},), one element per trainable weight, got {array.shape}")
    wanted = array.dtype.newbyteorder("=") if array.dtype.itemsize in (4, 8) and array.dtype.kind == "f" else np.float64
    check_finite("theta", array, dtype, finite=False)
    return np.require(array, wanted, ["C", "A"])


def places(engine):
    """Index of each element of a flat vector in the flat blocks of an engine."""
    offsets = [engine.store.offsets(v).reshape(-1) for v in engine.trainable]
    return np.concatenate(offsets).astype(np.int64) if offsets else np.empty(0, np.int64)


def evaluate(engine, theta, x, y, w=None):
    """`Derivatives.loss_and_grad` of an engine; arguments are checked before."""
    engine.store.acquire()
    engine.has_gradients = False  # will be overwritten
    store, n = engine.store, len(x)
    program = engine.program("derivative", n, code(x), targets_code(y), w is not None)
    index, flat = places(engine), store.flat["theta"]
    before, sums = flat[index], [0.0] * (1 + len(engine.metrics))
    live = (*map(address, (x, y, w)), 0, 0, 0)
    try:
        flat[index] = theta
        if program.plan.separate:
            by_parts(engine, program, x, y, w, None, 0, n, n, np.zeros(1), 0.0, False, live, sums)
        else:
            totals = np.zeros_like(program.core.totals)
            many(engine, program, live, n, n, 1, 0.0, lrs=np.zeros(1), step0=engine.step, totals=totals)
            add_sums(engine, totals, sums)
    finally:
        flat[index] = before
    return sums[0] / n, store.flat["grad"][index].astype(theta.dtype, copy=False)


def call_of(engine, *arguments):
    """A `DerivativeCall`, from the arguments of a `Call`."""
    return DerivativeCall(engine.store.flat["theta"], engine.store.flat["grad"], places(engine), *arguments)
