"""The learning-rate range test of a model."""

from math import ceil

import numpy as np

from .._base.checks import integer
from .._base.numbers import as_array
from ..callbacks import LearningRateFinder


class RateFinding:
    """Mixed into `Model`."""

    def find_learning_rate(
        self, x, y, *, min_lr=1e-7, max_lr=10.0, steps=100, batch_size=32, sample_weight=None, **kwargs
    ):
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
        self.need_compile("find_learning_rate")
        batch_size = integer("batch_size", batch_size, minimum=1)
        finder = LearningRateFinder(min_lr, max_lr, steps, **kwargs)
        n = len(np.atleast_1d(as_array("x", x)))
        if not n:
            raise ValueError("x: expected at least one row, got none")
        finder.samples = batch_size, n
        with self._lock:
            if not self.built:
                self._samples("x", x)
            stop, history, names = self.stop_training, self.history, self.feature_names
            try:
                self.fit(
                    x, y, batch_size, epochs=ceil(steps / ceil(n / batch_size)), verbose=0,
                    callbacks=[finder], sample_weight=sample_weight,
                )  # fmt: skip
            finally:
                finder.restore()  # after an error; else it has done so
                self.stop_training, self.history, self.feature_names = stop, history, names
        return finder
