"""What a model does with one batch: a step of training, and the steps of custom training loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.signatures import only_default
from ..layers import symbolic
from ..training import blending, manual_steps, single_batch
from .base import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import ArraysLike, FloatArray


class BatchModel(BaseModel):
    """A model with the verbs of one batch; each calls a function of the same name that takes the model."""

    # --- one batch ---

    def train_on_batch(
        self,
        x: ArraysLike,
        y: ArraysLike | None = None,
        sample_weight: ArraysLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
        *,
        check_finite: bool = True,
    ) -> Any:
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
        return single_batch.train_on_batch(self, x, y, sample_weight, class_weight, return_dict, check_finite)

    def test_on_batch(
        self,
        x: ArraysLike,
        y: ArraysLike | None = None,
        sample_weight: ArraysLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute loss and metrics of one batch, as `evaluate`."""
        return single_batch.test_on_batch(self, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: ArraysLike) -> FloatArray:
        """Compute predictions for one batch, as `predict`."""
        return single_batch.predict_on_batch(self, x)

    # --- custom training loops ---

    def forward(self, x: ArraysLike, training: bool = False) -> FloatArray:
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
        return manual_steps.forward(self, x, training)

    def __call__(self, x: Any, training: bool = False) -> Any:
        """Call `forward`; of a symbolic tensor: use the model as a layer of another `Model`."""
        if type(x) is not np.ndarray and symbolic.is_symbolic(x):
            return symbolic.called(self, x)
        return self.forward(x, training)

    def call(
        self, inputs: ArrayLike, training: bool | None = None, mask: None = None
    ) -> FloatArray:
        """Call `forward`, with Keras' signature; `training=None` means False, and `mask` must be None."""
        only_default("mask", mask, None)
        return self.forward(inputs, False if training is None else training)

    def backward(self, dy: ArraysLike, *, check_finite: bool = True) -> FloatArray:
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
        return manual_steps.backward(self, dy, check_finite)

    def gradients(self) -> list[FloatArray]:  # type: ignore[override]  # of layers: pairs
        """Return the gradients of `trainable_weights` after `backward`, a list of arrays of the same shapes."""
        return manual_steps.gradients(self)

    def apply_gradients(
        self,
        gradients: Sequence[ArrayLike] | None = None,
        *,
        check_finite: bool = True,
    ) -> None:
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
        manual_steps.apply_gradients(self, gradients, check_finite)

    def blend_weights(self, model: BaseModel, tau: float) -> None:
        """Move all weights towards those of another model: ``w = (1 - tau) * w + tau * w_model``.

        The soft update of the target network of reinforcement learning, one pass over the weights where they are,
        without copying them out of the core. Moving averages of batch normalisation are included.

        Parameters
        ----------
        model : Model
            With weights of the same shapes, in the same order.
        tau : float
            0 to 1; 1 copies the weights.

        Raises
        ------
        TypeError, ValueError
            For something that is no model, other shapes, and a `tau` out of range.

        References
        ----------
        Lillicrap et al. 2016, algorithm 1.

        Examples
        --------
        >>> online = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(1,), kernel_initializer="ones")])
        >>> target = fastnn.models.clone_model(online)
        >>> target.set_weights([[[0.0]], [0.0]])
        >>> target.blend_weights(online, 0.25)
        >>> target.get_parameters()
        array([0.25, 0.  ], dtype=float32)
        """
        blending.blend_weights(self, model, tau)
