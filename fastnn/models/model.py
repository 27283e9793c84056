"""What a model does: the verbs, documented. Each calls a function of the same name that takes the model.

Those of one batch are in `batch_model`, derivatives in `derivative_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import refuse_keywords
from ..training import (
    evaluate,
    fit,
    learning_rate_finder,
    predict,
    recalibrate,
)
from ..training.running import ONE_EPOCH
from .derivative_model import DerivativeModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, ClassVar, Literal, Never, Self

    from numpy.typing import ArrayLike

    from .._base.types import ArraysLike, CallbackLike, Config, Data, FloatArray, Verbosity
    from ..callbacks.history import History
    from ..callbacks.rates import LearningRateFinder
    from ..diagnostics.gradient_check import GradientCheck


class Model(DerivativeModel):
    """Base class of models: a layer that can be compiled, trained and evaluated.

    ``fastnn.Model(inputs, outputs)`` makes a model of layers that were called on symbolic tensors, see `Functional`.

    Subclasses have a list ``self.layers`` and override `emit`, `build` and `compute_output_shape`. Keras' subclassed
    models, which override `call`, are not supported.
    """

    _functional: ClassVar[type[Model]]  # what `Model` itself makes

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = cls._functional if cls is Model else cls
        return super().__new__(made, *args, **kwargs)  # type: ignore[return-value]

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create the model that `get_config` of a functional model described, with new weights."""
        if cls is Model:
            return cls._functional.from_config(config, custom_objects)  # type: ignore[return-value]
        return super().from_config(config, custom_objects)

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    # --- many samples ---

    def fit(
        self,
        x: Data | None = None,
        y: ArraysLike | None = None,
        batch_size: int | None = None,
        epochs: int = ONE_EPOCH,
        verbose: Verbosity = "auto",
        callbacks: CallbackLike = None,
        validation_split: float = 0.0,
        validation_data: Data | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArraysLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        check_finite: bool = True,
        threads: int | None = None,
        health: bool | Literal["every"] = True,
        on_nan: Literal["raise", "stop", "restore", "ignore"] = "raise",
        max_seconds: float | None = None,
        replay: Config | None = None,
        **kwargs: Never,
    ) -> History:
        """Train the model for a number of epochs, or for a time.

        Parameters
        ----------
        x : array_like (n, *input_shape), or batches
            Any numeric dtype; read in place if its rows are contiguous, copied once otherwise. So
            a memory map may be larger than memory. The column names of a data frame are stored
            (`feature_names`); later, data frames with other columns or another order raise an error.
            Batches: a generator, an iterable or a data set
            as in Keras (``len`` and ``[i]``) that yields (x, y) or (x, y, sample_weight), arrays
            or tensors of any library; one epoch is one pass, or `steps_per_epoch` batches.
            For a model with several inputs: a list of arrays, or a dict by their names; `y` and
            `sample_weight` for several outputs likewise.
        y : array_like
            Class labels (n,) or values (n, *output_shape), depending on the loss. None for batches.
        batch_size : int
            Default 32; the last batch of an epoch may be smaller. None for batches.
        epochs, initial_epoch : int
            Train epochs initial_epoch … epochs − 1. Default: 1 epoch; with `max_seconds`, as many as there is time for.
        verbose : {"auto", 0, 1, 2}
            0: silent; 1: a live line on a terminal and in a notebook, one line per epoch elsewhere;
            2: one line per epoch. "auto" is 1. With a live line and more than 20 epochs, about one
            line per second is kept, and always the last one.
        callbacks : list of Callback, optional
        validation_split : float
            Fraction of the data, taken from the end before shuffling, to use for validation.
        validation_data : (x, y) or (x, y, sample_weight) or batches, optional
            Takes precedence over `validation_split`.
        shuffle : bool
            Use a new order in every epoch, which depends only on the seed; a data set of batches is shuffled by
            batches. Data that can only be iterated keep their order.
        class_weight : dict, optional
            Class labels to weights; 1 for a class not listed. Each row of the targets must have exactly one class:
            class labels, binary targets or one-hot rows.
        sample_weight : array_like (n,), optional
            Factors of the loss of each sample; the mean is over the number of samples. Combined with
            `class_weight`, weights are multiplied.
        steps_per_epoch : int, optional
            Number of batches of each epoch to use. Batches that are iterated continue where the
            last epoch stopped; required for an infinite generator.
        validation_steps : int, optional
            Number of batches of the validation data to use.
        validation_batch_size : int, optional
        validation_freq : int or list of int
            Validate every `validation_freq` epochs, or after the listed epochs (counted from 1).
        check_finite : bool
            Check x and y for NaN and infinity first.
        threads : int, optional
            Thread count; default: as many as pay off, see `compile`. Results do not depend on it.
        health : bool or "every"
            Record gradients, updates, activations, dead and saturated units of every layer in ``history.health``,
            a `fastnn.diagnostics.Health`. True: measure only as many steps as cost about 2 % of the time (dead units:
            all steps); "every": measure every step. The trained weights are bitwise identical in all cases.
        on_nan : {"raise", "stop", "restore", "ignore"}
            What to do when the loss or a weight becomes NaN or infinite. The failing step is found by repeating the
            steps before it; the model returns to its state before that step. "raise": raise a `fastnn.NonFiniteError`,
            which names epoch, batch, rows, layer and tensor. "stop": end training, as if `stop_training` had been set.
            "restore": skip the step and continue; ten failing steps in a row end training. Both collect the errors in
            ``history.non_finite``. "ignore": continue without the check.
        max_seconds : float, optional
            Stop after the first step that ends after this time, in seconds. The last epoch may be shorter: its values
            are means over the steps that were done, and it ends as others do, with validation and `on_epoch_end`,
            whose time is not included. Steps per epoch are in ``history.record``.
        replay : dict, optional
            ``history.record`` of an earlier `fit` of the same model and data: train its epochs and steps at its rates,
            to the same weights, bit for bit. Then `epochs` has no effect, and the batch size is that of the record.

        Returns
        -------
        History
            Means over the samples of each epoch, accumulated during training.

        Raises
        ------
        ValueError, TypeError
            For invalid shapes, values and names.
        NonFiniteError
            If the loss or a weight becomes NaN or infinite, with ``on_nan="raise"``.
        KeyboardInterrupt
            On Ctrl-C, after the current step; the training so far is kept.
        """
        refuse_keywords(self.fit, kwargs)
        return fit.fit(
            self, x, y, batch_size, None if epochs is ONE_EPOCH else epochs, verbose, callbacks, validation_split,
            validation_data, shuffle=shuffle, class_weight=class_weight, sample_weight=sample_weight,
            initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch, validation_steps=validation_steps,
            validation_batch_size=validation_batch_size, validation_freq=validation_freq, check_finite=check_finite,
            threads=threads, health=health, on_nan=on_nan, max_seconds=max_seconds, replay=replay,
        )  # fmt: skip

    def evaluate(
        self,
        x: Data | None = None,
        y: ArraysLike | None = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        sample_weight: ArraysLike | None = None,
        steps: int | None = None,
        callbacks: CallbackLike = None,
        return_dict: bool = False,
        *,
        threads: int | None = None,
        **kwargs: Never,
    ) -> Any:
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
        refuse_keywords(self.evaluate, kwargs)
        return evaluate.evaluate(
            self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict, threads
        )

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: CallbackLike = None,
        *,
        threads: int | None = None,
        **kwargs: Never,
    ) -> FloatArray:
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
        if kwargs:
            refuse_keywords(self.predict, kwargs)
        return predict.predict(self, x, batch_size, verbose, steps, callbacks, threads)

    # --- gradients outside of training: see also `derivative_model` ---

    def check_gradients(
        self,
        x: ArraysLike,
        y: ArraysLike,
        sample_weight: ArraysLike | None = None,
        eps: float | None = None,
        per_layer_entries: int | None = None,
        tolerance: float | None = None,
    ) -> GradientCheck:
        """Compare the training gradients with finite differences of the loss, weight by weight.

        The model is first copied in float64; its own weights, optimizer, moving averages and random
        state are unchanged. The loss is that of one training step on all of `x`, including batch
        statistics, dropout with the masks of the next step, penalties and sample weights; clipping,
        weight decay of the optimizer and constraints are excluded, as they are not part of the gradient.

        Parameters
        ----------
        x, y, sample_weight : array_like
            One batch, as for `fit`; a few samples suffice.
        eps : float, optional
            As for `fastnn.check_gradient`.
        per_layer_entries : int, optional
            Maximum number of entries of each weight array to compare, a fixed random selection.
            Default: 64. Each entry costs two training steps.
        tolerance : float, optional

        Returns
        -------
        diagnostics.GradientCheck
            Contains the worst entry of each weight array; print it for a table.

        Raises
        ------
        ValueError
            If there is no loss, or a custom layer draws new random numbers in each call.

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(3, "tanh", input_shape=(2,))])
        >>> model.compile("adam", "mse")
        >>> model.check_gradients(np.ones((4, 2)), np.zeros((4, 3))).passed
        True
        """
        from ..diagnostics import probe

        return probe.check_gradients(self, x, y, sample_weight, eps, per_layer_entries, tolerance)

    # --- before and after training ---

    def find_learning_rate(
        self,
        x: ArraysLike,
        y: ArraysLike,
        *,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        steps: int = 100,
        batch_size: int = 32,
        sample_weight: ArraysLike | None = None,
        **kwargs: float,
    ) -> LearningRateFinder:
        """Run a learning rate range test: train with an increasing rate and suggest a learning rate.

        Afterwards, weights, optimizer, shuffling and history are restored.

        Parameters
        ----------
        x, y, sample_weight, batch_size
            As for `fit`.
        min_lr, max_lr : float
        steps : int
            Maximum number of batches.
        **kwargs
            `smoothing` and `divergence` of `callbacks.LearningRateFinder`.

        Returns
        -------
        callbacks.LearningRateFinder
            With `learning_rates`, `losses`, `suggestion` and `plot()`.

        Raises
        ------
        TypeError
            If the learning rate is a schedule.

        Examples
        --------
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse", seed=0)
        >>> x = np.random.default_rng(0).normal(size=(640, 2))
        >>> found = model.find_learning_rate(x, x.sum(axis=1))
        >>> 1e-3 < found.suggestion < 1
        True
        """
        return learning_rate_finder.find_learning_rate(
            self, x, y, min_lr, max_lr, steps, batch_size, sample_weight, **kwargs
        )

    def recalibrate(self, x: ArrayLike, batch_size: int | None = None) -> int:
        """Set the moving averages of every `BatchNormalization` to exact statistics over data.

        After training, the moving averages lag behind the weights, and give a short last batch the
        same weight as a full one. This is one pass over `x` in inference mode: each layer gets the mean and
        biased variance of all its inputs, after the layers before it have been recalibrated. Frozen layers
        are unchanged.

        Parameters
        ----------
        x : array_like (n, *input_shape)
            The training data, or a sample of it: the inputs of one layer for all samples must fit
            into memory.
        batch_size : int, optional

        Returns
        -------
        int
            Number of recalibrated layers.

        Examples
        --------
        >>> import numpy as np
        >>> layer = fastnn.layers.BatchNormalization(input_shape=(1,))
        >>> model = fastnn.Sequential([layer])
        >>> model.recalibrate(np.array([[1.0], [3.0]]))
        1
        >>> layer.moving_mean.numpy().tolist(), layer.moving_variance.numpy().tolist()
        ([2.0], [1.0])
        """
        return recalibrate.recalibrate(self, x, batch_size)
