"""What a model does: derivatives with respect to its inputs and parameters, outside of training.

Each verb calls a function of the same name that takes the model, in `derivatives` or `training.input_gradient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import derivatives
from ..training import input_gradient
from .batch_model import BatchModel

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import ArraysLike, FloatArray


class DerivativeModel(BatchModel):
    """A model with its derivatives.

    All of them are exact (no finite differences), for any model that can be trained. They leave the model unchanged:
    weights, moving averages, random state, optimizer.
    """

    def input_gradient(
        self,
        x: ArraysLike,
        y: ArraysLike | None = None,
        *,
        dy: ArraysLike | None = None,
        training: bool = False,
    ) -> FloatArray:
        """Compute the gradient of the loss, or of ``sum(dy * model(x))``, with respect to the input.

        The model is not changed: neither weights, moving averages, random state nor the gradients of the last
        `backward`.

        Parameters
        ----------
        x : array_like (B, *input_shape)
        y : array_like, optional
            Targets, as for `fit`: the gradient is that of the loss that `evaluate` computes for this batch, a mean
            over its B samples, including penalties on the outputs of layers.
        dy : array_like (B, *output_shape), optional
            In place of `y`: a factor for each output. Ones give the gradient of the sum of the outputs.
        training : bool
            Use the statistics of the batch and the noise of the next training step.

        Returns
        -------
        ndarray (B, *input_shape)

        Raises
        ------
        ValueError
            Unless exactly one of `y` and `dy` is given; with `y`, if the model has no loss.

        References
        ----------
        Simonyan, Vedaldi & Zisserman 2014, section 3 (saliency); Goodfellow, Shlens & Szegedy 2015, section 4
        (adversarial examples).

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.set_weights([[[2.0], [3.0]], [0.0]])
        >>> model.input_gradient(np.zeros((1, 2)), dy=[[1.0]]).tolist()
        [[2.0, 3.0]]
        """
        return input_gradient.input_gradient(self, x, y, dy, training)

    def loss_and_grad(
        self, theta: ArrayLike, x: ArraysLike, y: ArraysLike, sample_weight: ArraysLike | None = None
    ) -> tuple[float, FloatArray]:
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
        return derivatives.loss_and_grad(self, theta, x, y, sample_weight)

    def jacobian(self, x: ArraysLike) -> Any:
        """Compute the derivatives of all outputs with respect to all inputs, for each sample.

        In inference mode: batch normalisation uses its moving averages, dropout and noise are off, so that a sample
        depends on no other one.

        Parameters
        ----------
        x : array_like (n, *input_shape)

        Returns
        -------
        ndarray (n, *output_shape, *input_shape)
            For several inputs a list of one array for each; for several outputs a list of these.

        Raises
        ------
        TypeError, ValueError
            For invalid `x`, as `predict`.

        See Also
        --------
        input_gradient : one row of it, or a sum of rows, for the price of one backward pass.

        References
        ----------
        Griewank & Walther 2008, section 3.2 (reverse mode, one pass for each output).

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(3,))])
        >>> model.jacobian(np.ones((5, 3))).shape
        (5, 2, 3)
        >>> bool((model.jacobian(np.ones((1, 3)))[0].T == model.layers[0].kernel.numpy()).all())
        True
        """
        return derivatives.jacobian(self, x)

    def parameter_jacobian(self, theta: ArrayLike | None, x: ArraysLike) -> Any:
        """Compute the derivatives of all outputs with respect to all trainable weights, at weights `theta`.

        In inference mode, as `jacobian`. It is the Jacobian of ``residuals = model(x).ravel() - y.ravel()``, as
        `scipy.optimize.least_squares` expects it.

        Parameters
        ----------
        theta : array_like (p,) or None
            As returned by `get_parameters`; None: the current weights.
        x : array_like (n, *input_shape)

        Returns
        -------
        ndarray (n * K, p)
            K: values of the output of a sample. Rows are in the order of ``predict(x).ravel()``. float32 if `theta`
            is float32 (with None: the dtype of the model), otherwise float64. For several outputs a list of arrays.

        Raises
        ------
        TypeError, ValueError
            For invalid arguments.

        References
        ----------
        Bishop 2006, section 5.3.4.

        Examples
        --------
        Fit a·exp(−b·x) by the method of Levenberg and Marquardt:

        >>> import numpy as np
        >>> from scipy.optimize import least_squares
        >>> from fastnn.layers import Dense
        >>> x = np.linspace(0, 2, 9)[:, None]
        >>> y = 3 * np.exp(-2 * x)
        >>> model = fastnn.Sequential([Dense(1, "exponential", False, input_shape=(1,)), Dense(1, use_bias=False)],
        ...                           dtype="float64")
        >>> def residuals(theta):
        ...     model.set_parameters(theta)
        ...     return (model.predict(x, verbose=0) - y).ravel()
        >>> found = least_squares(residuals, [-1.0, 1.0], lambda theta: model.parameter_jacobian(theta, x), method="lm")
        >>> found.x.round(6)
        array([-2.,  3.])
        """
        return derivatives.parameter_jacobian(self, theta, x)

    def per_sample_gradients(
        self, x: ArraysLike, y: ArraysLike, sample_weight: ArraysLike | None = None
    ) -> FloatArray:
        """Compute the gradient of the loss of each sample with respect to all trainable weights.

        Row i is the gradient that `loss_and_grad` has for sample i alone, at the current weights and in its mode
        (inference: moving averages, no dropout), without the penalties on weights, which belong to no sample.

        Parameters
        ----------
        x, y, sample_weight : array_like
            As for `fit`.

        Returns
        -------
        ndarray (n, p)
            In the dtype of the model; columns as in `get_parameters`.

        Raises
        ------
        TypeError, ValueError
            For a model without a loss, and for invalid arguments.

        See Also
        --------
        per_sample_gradient_norms : their norms, in a fraction of time and memory.

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile(loss="mse")
        >>> model.set_weights([[[1.0], [1.0]], [0.0]])
        >>> model.per_sample_gradients(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([2.0, 3.0])).tolist()
        [[2.0, 4.0, 2.0], [0.0, 0.0, 0.0]]
        """
        return derivatives.per_sample_gradients(self, x, y, sample_weight)

    def per_sample_gradient_norms(
        self, x: ArraysLike, y: ArraysLike, sample_weight: ArraysLike | None = None
    ) -> FloatArray:
        """Compute the Euclidean norms of the rows of `per_sample_gradients`, without storing these.

        Parameters
        ----------
        x, y, sample_weight : array_like
            As for `fit`.

        Returns
        -------
        ndarray (n,)
            float64. Large norms mark the samples that training follows most: outliers, wrong labels.

        Raises
        ------
        TypeError, ValueError
            As `per_sample_gradients`.

        References
        ----------
        Goodfellow 2015, "Efficient per-example gradient computations", eq. 2.

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile(loss="mse")
        >>> model.set_weights([[[1.0], [1.0]], [0.0]])
        >>> model.per_sample_gradient_norms(np.array([[1.0, 2.0], [2.0, 0.0]]), np.array([3.0, 1.0])).tolist()
        [0.0, 4.47213595499958]
        """
        return derivatives.per_sample_gradient_norms(self, x, y, sample_weight)

    def hessian_vector_product(
        self,
        v: ArrayLike,
        x: ArraysLike,
        y: ArraysLike,
        sample_weight: ArraysLike | None = None,
        *,
        theta: ArrayLike | None = None,
    ) -> FloatArray:
        """Compute the product of the Hessian of the loss with a vector, without the Hessian.

        The loss is that of `loss_and_grad`: in inference mode (moving averages, no dropout), with all penalties. Where
        an activation or a loss has a kink, the second derivative is that of the side on which the value lies.

        Parameters
        ----------
        v : array_like (p,)
            One element for each trainable weight, as in `get_parameters`.
        x, y, sample_weight : array_like
            As for `fit`.
        theta : array_like (p,), optional
            Weights; default: the current ones. So ``lambda theta, v: model.hessian_vector_product(v, x, y,
            theta=theta)`` is the `hessp` of `scipy.optimize.minimize`.

        Returns
        -------
        ndarray (p,)
            float32 if `v` is float32, otherwise float64. It is computed in float64 whatever the dtype of the model.

        Raises
        ------
        NotImplementedError
            For a layer or a loss without second derivatives, such as recurrent ones and those written in Python; the
            message names it.
        TypeError, ValueError
            For a model without a loss, and for invalid arguments.

        Notes
        -----
        The gradient is computed in NumPy with complex weights, θ + i h v with h = 1e-30: its imaginary part, divided by
        h, is the derivative in the direction of v, exact to rounding. It takes about as long as ten gradients; of small
        networks, a millisecond.

        References
        ----------
        Pearlmutter 1994; Squire & Trapp 1998 (complex step).

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,))], dtype="float64")
        >>> model.compile(loss="mse")
        >>> model.hessian_vector_product([1.0, 0.0], np.array([[1.0], [3.0]]), np.array([0.0, 0.0]))
        array([10.,  4.])
        """
        return derivatives.hessian_vector_product(self, v, x, y, sample_weight, theta)
