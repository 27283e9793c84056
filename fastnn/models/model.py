"""Base class of models: compiling, checking and planning. The loops of `fit`, `evaluate`,
`predict` and single batches are in `training`.

(a) A model calls the core through one `Engine`, created when it is first needed and again when
    the layers, their trainability or the kind of targets have changed. The optimizer state
    is carried over, variable by variable.
(b) Calls are serialised by a lock, one call of the core at a time; so a model may be used from
    several threads. This does not hold for models that share layers, which have separate locks, while one of them
    trains.
"""

import os
import threading
from math import nan, prod
from weakref import WeakSet

import numpy as np

from .. import losses, optimizers
from .._base.checks import flag, number, one_of, refuse_keywords
from .._base.random import check_seed, next_seed
from .._base.signatures import only_default
from .._core import threads as core_threads
from .._core.clocks import LAYERS, Clock
from ..derivatives import Derivatives
from ..diagnostics import consistency
from ..engine import precision
from ..engine.engine import Engine
from ..engine.graph import Graph
from ..layers.base import Layer
from ..metrics.outputs import kind_of, last_activation
from ..saving.methods import Saved
from ..training import compiled_metrics, fit, recalibrate
from ..training.data import arrays, feature_names
from ..training.inference import Inference
from ..training.input_gradient import InputGradients
from ..training.learning_rate_finder import RateFinding
from ..training.single_batch import SingleBatches

_models = WeakSet()  # of this process


def _after_fork():
    for model in list(_models):
        model._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# Keras' arguments of `compile` that accept only one value here
KERAS_ALONE = {
    "loss_weights": None, "run_eagerly": False, "steps_per_execution": 1,
    "jit_compile": "auto", "auto_scale_loss": True,
}  # fmt: skip

OF_THE_PROCESS = (  # attributes that are not copied
    "_lock", "_engine", "_engine_of", "_calls", "_by_name", "_layers_at", "_structure_clock", "_compile_clock",
    "_target_clock",
)  # fmt: skip


class Model(Saved, RateFinding, Inference, SingleBatches, InputGradients, Derivatives, Layer):
    """Base class of models: a layer that can be compiled, trained and evaluated.

    Subclasses have a list ``self.layers`` and override `emit`, `build` and `compute_output_shape`.
    """

    builds_itself = True
    _loss_asked = None

    def __init__(self, *, weight_decay=None, **kwargs):
        super().__init__(**kwargs)
        self.weight_decay = self._own_weight_decay = _weight_decay(weight_decay)
        self.optimizer = self.loss = self.history = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = self.compiled = False
        self.seed, self.threads, self.epochs_done = 0, None, 0
        self.matmul_precision = None
        self._metrics_asked, self._weighted_asked, self._metrics, self._kind = [], [], None, None
        self._feature_names = None
        self._warned_of = set()  # findings of `diagnostics.consistency`
        self._new_to_the_process()

    # --- copies (copy.deepcopy, pickle): the contents of a saved file, and the history ---

    def __getstate__(self):
        with self._lock:
            state = {k: v for k, v in self.__dict__.items() if k not in OF_THE_PROCESS}
            state["engine"] = None if self._engine is None else self._engine.get_state()
        return state

    def __setstate__(self, state):
        engine = state.pop("engine")
        self.__dict__.update(state)
        self._new_to_the_process()
        if self.history is not None:
            self.history.set_model(self)
        if engine is not None:
            self.engine().set_state(engine)

    def _new_to_the_process(self):
        self._engine = self._engine_of = None  # what the engine was planned for
        self._calls, self._layers_at = {}, -1  # reading of LAYERS with which `_engine_of` was last compared
        self._structure_clock, self._compile_clock, self._target_clock = Clock(), Clock(), Clock()
        self._lock = threading.RLock()
        _models.add(self)

    def _in_child(self):
        """After a fork, which may have interrupted a step of another thread that does not exist here."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return
        self._lock, self._calls = threading.RLock(), {}
        if self._engine is not None:
            self._engine.forget_programs()

    # --- weights ---

    @property
    def weights(self):
        """All variables, layer by layer, each once."""
        return list(dict.fromkeys(v for layer in self.layers for v in layer.weights))

    def get_weights(self):
        with self._lock:  # those of one step, while another thread trains
            return super().get_weights()

    def set_weights(self, weights, *, check_finite=True):
        check_finite = flag("check_finite", check_finite)
        with self._lock:
            super().set_weights(weights, check_finite=check_finite)

    @property
    def trainable_weights(self):
        """The variables that training updates, layer by layer, each once."""
        return list(dict.fromkeys(v for layer in self.layers for v in layer.trainable_weights))

    @property
    def trainable(self):
        """False freezes every layer; True unfreezes every layer."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = flag("trainable", value)
        for layer in self.layers:
            layer.trainable = value

    @property
    def feature_names(self):
        """Column names of the first data frame that the model was trained with, a list, or None.

        After that, data frames with other columns or another order raise an error; set None to accept any.
        """
        return None if self._feature_names is None else list(self._feature_names)

    @feature_names.setter
    def feature_names(self, names):
        self._feature_names = feature_names.checked(names)

    def leaves(self):
        """Iterate over the layers, with nested models replaced by their layers."""
        for layer in self.layers:
            yield from layer.leaves()

    # --- compile ---

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
        *,
        weight_decay=None,
        seed=None,
        threads=None,
        matmul_precision=None,
        **kwargs,
    ):
        """Configure the model for training.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str, Loss or function, optional
            ``"crossentropy"`` selects the cross-entropy that matches the model and its first targets: binary for one
            output or after a sigmoid, sparse for class labels, otherwise categorical; from logits if there is no
            activation. A custom loss is a function in NumPy, ``(y_true, y_pred)`` to ``(values, gradient)``, see
            `losses.PythonLoss`. None for manual training with `forward`, `backward` and `apply_gradients`.
        metrics : list of str, Metric or function, optional
            ``"accuracy"`` selects the kind that matches the loss and the output. A metric given by name takes logits
            where the loss does (``"binary_accuracy"`` then has the threshold 0). A function ``(y_true,
            y_pred)`` returns one value per sample. Sample and class weights are not applied.
        weighted_metrics : list of str, Metric or function, optional
            Metrics with sample and class weights applied: means are weighted, counts are sums of weights. A metric
            that is also in `metrics` is called ``"weighted_…"``.
        loss_weights, run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            For compatibility with Keras; only the defaults are accepted: there is one loss, and the core always runs
            many steps in one call.
        weight_decay : float, optional
            λ of the penalty λ / 2 times the sum of squares of all trainable weight matrices,
            biases excluded: with the textbook factor of one half, unlike Keras'
            `regularizers.L2`. (An optimizer's `weight_decay` is something else: it is not part
            of the loss.) Default: the value given to the constructor of the model, or 0.
        seed : int, optional
            Seed of shuffling and dropout; default: the next seed of the process (`set_random_seed`).
        threads : int, optional
            Thread count, overrides `set_num_threads`; default: up to that number, as many as pay off. Results do not
            depend on it.
        matmul_precision : {"highest", "high", "medium"}, optional
            Precision of this model, see `fastnn.set_float32_matmul_precision`; default: that of the process.

        Raises
        ------
        ValueError, TypeError
            For unknown names and arguments; the message suggests the nearest name.

        Notes
        -----
        Changes of layer attributes (`trainable`, `activation`, `rate`, …) and of the learning rate take effect at the
        next step. As with Keras' compiled functions, later changes of other attributes of the optimizer, or of
        regularizers and constraints, take effect at the next `compile`, or when the model is planned again for another
        reason (the first step, a layer frozen or unfrozen).
        """
        refuse_keywords(self.compile.__func__, kwargs)
        if isinstance(loss_weights, (list, tuple)) and not all(isinstance(v, (int, float)) for v in loss_weights):
            raise TypeError(f"loss_weights: expected None, got {loss_weights!r}; pass metrics by name: metrics=...")
        given = locals()
        for name, default in KERAS_ALONE.items():
            only_default(name, given[name], default)
        asked = compiled_metrics.checked("metrics", metrics)
        weighted = compiled_metrics.checked("weighted_metrics", weighted_metrics)
        decay = self._own_weight_decay if weight_decay is None else _weight_decay(weight_decay)
        loss, chosen = loss if losses.by_targets(loss) else losses.get(loss), optimizers.get(optimizer)
        if chosen is None:
            raise TypeError("optimizer: expected a name or an Optimizer, got None")
        if self.built:
            compiled_metrics.check(asked + weighted, prod(self.out_shape))
        threads = core_threads.checked("threads", threads)
        seed = next_seed() if seed is None else check_seed("seed", seed)
        if matmul_precision is not None:
            matmul_precision = one_of("matmul_precision", matmul_precision, precision.MODES)
        self.matmul_precision = matmul_precision
        with self._lock:
            if chosen is not self.optimizer:
                self._engine = None  # a new optimizer starts without state
                chosen.at_batch(0)  # a used optimizer starts again
            self._calls = {}
            self.optimizer, self.loss, self._loss_asked = chosen, loss, loss
            self._metrics_asked, self._weighted_asked = asked, weighted
            self._metrics = self._kind = None
            self._warned_of = set()
            self.weight_decay = decay
            self.seed, self.threads, self.epochs_done, self.compiled = seed, threads, 0, True
            self._compile_clock.tick()
        if self.built:
            consistency.warn(self)

    @property
    def metrics(self):
        """The metrics, weighted metrics last; before the first data, as passed to `compile`."""
        return [*self._metrics_asked, *self._weighted_asked] if self._metrics is None else self._metrics

    @property
    def metrics_names(self):
        """``["loss", ...]``: the names of the values that `evaluate` returns, in order."""
        if self._metrics is None:
            return ["loss", *compiled_metrics.names(self._metrics_asked, self._weighted_asked)]
        return ["loss", *(m.name for m in self._metrics)]

    def need_compile(self, what):
        """ValueError if the model is not compiled."""
        if not self.compiled:
            raise ValueError(f"{what}: expected a compiled model; call compile(optimizer, loss) first")

    def need_loss(self, what):
        """ValueError if there is no loss."""
        self.need_compile(what)
        if self.loss is None:
            raise ValueError(
                f"{what}: expected a model compiled with a loss, got one without a loss; a manual training loop uses"
                " forward, backward and apply_gradients"
            )

    def resolve_targets(self, y):
        """Determine the kind of targets, by the loss or else the data, and the metrics."""
        kind = getattr(self.loss, "target", None)
        if kind is not None and kind == self._kind:
            return
        n = prod(self.out_shape)
        by_shape = "labels" if n > 1 and (np.ndim(y) == 1 or np.shape(y)[1:] == (1,)) else "values"
        activation = last_activation(self.leaves())
        if isinstance(self.loss, str):
            self.loss = losses.resolve(by_shape, n, activation)
            kind = self.loss.target
            self._target_clock.tick()
        asked, outputs = (self._metrics_asked, self._weighted_asked), kind_of(activation, self.loss)
        if kind is None:
            found = compiled_metrics.resolve(*asked, by_shape, n, outputs)
            kind = "free" if all(m.target is None for m in found) else by_shape
        if self._metrics is None or kind != self._kind:
            found = compiled_metrics.resolve(*asked, kind, n, outputs)
            self._refuse_several_axes(found)
            self._metrics, self._kind = found, kind
            self._target_clock.tick()

    def _refuse_several_axes(self, found):
        """The core supports a single output axis only."""
        last = len(self.out_shape)
        for part in (self.loss, *found):
            if getattr(part, "axis", -1) not in (-1, last):
                raise ValueError(f"axis of {part.name}: expected the output axis, -1 or {last}, got {part.axis}")
        rows = [part.name for part in (self.loss, *found) if getattr(part, "over_a_row", False)]
        if len(self.out_shape) > 1 and rows:
            raise ValueError(
                f"{', '.join(rows)}: expected outputs of shape (n, classes), got {(None, *self.out_shape)};"
                " end the model with Flatten, or use a custom loss"
            )

    def forget_targets(self):
        """The output has changed: metrics are resolved again with the next data."""
        self._metrics = self._kind = None
        if isinstance(self._loss_asked, str):
            self.loss = self._loss_asked
        self._structure_clock.tick()
        LAYERS.tick()

    # --- the engine ---

    def engine(self):
        """The `Engine` for the current state of the model."""
        at, made_at = LAYERS.now, (self._compile_clock.now, self._target_clock.now)
        if self._engine is None or self._layers_at != at or self._engine_of[0] != made_at:
            layers = list(self.leaves())
            now = made_at, [
                (layer, layer._attribute_clock.now, layer.trainable, tuple(v.trainable for v in layer.weights))
                for layer in layers
            ]
            if self._engine is None or now != self._engine_of:
                self._plan(layers)
                self._engine_of = now
            self._layers_at = at  # only now, so that the next call checks again after an error
        return self._engine

    def _plan(self, layers):
        graph, before, self._calls = Graph(), self._engine, {}
        for position, layer in enumerate(layers):
            layer.position = position
        x = graph.input(self.in_shape)
        y = self.emit(graph, x)
        if tuple(y.shape) != tuple(self.out_shape):  # a nested model may have changed since
            raise ValueError(
                f"{self.name}: expected layers with output shape {self.out_shape}, as when built, got {y.shape}"
            )
        what = {}
        if self.compiled:
            found = self._metrics or []
            loss = None if isinstance(self.loss, str) else self.loss  # a name is resolved by the first targets
            found, plain = [m.for_core() for m in found], len(found) - len(self._weighted_asked)
            what = {"loss": loss, "metrics": found[:plain], "weighted_metrics": found[plain:], "seed": self.seed}
            what |= {"optimizer": self.optimizer.for_core(), "threads": self.threads}
            what["weight_decay"] = self.weight_decay
            what["precision"] = self.matmul_precision
        consistency.warn(self, run=True)
        self._engine = Engine(graph, x, y, dtype=self.dtype, **what)
        if before is not None:
            self._engine.take_over(before)

    def _samples(self, name, x, finite=None):
        feature_names.refuse_others(name, self._feature_names, feature_names.names_of(x))
        x = arrays.as_array(name, x)
        if not self.built:
            with self._lock:
                if not self.built:  # else built by another thread in the meantime
                    try:
                        self._build(x.shape[1:])
                    except ValueError as error:
                        if x.ndim != 1:
                            raise
                        raise ValueError(
                            f"{name}: expected shape (samples, features), got {x.shape}{arrays.one_axis(name, len(x))}"
                        ) from error
        return arrays.samples(name, x, self.in_shape, self.dtype, finite)

    def data(
        self,
        x,
        y,
        sample_weight=None,
        class_weight=None,
        check_finite=None,
        names=("x", "y", "sample_weight"),
        training=False,
    ):
        """Checked `arrays.Data` for this model; `check_finite` as `finite` of `arrays.samples`."""
        given, training = x, flag("training", training)
        x = self._samples(names[0], x, check_finite)
        n, w = len(x), None
        if y is None:
            raise TypeError(f"{names[1]}: expected targets, got None")
        self.resolve_targets(y)
        if hasattr(y, "__len__") and getattr(y, "ndim", 1) and len(y) != n:
            arrays.same_length(n, **{names[1]: y})
        if self._kind == "labels":
            ignored = getattr(self.loss, "ignore_class", None)
            y = arrays.labels(names[1], y, prod(self.out_shape), ignored)
        elif self._kind == "values":
            y = arrays.targets(names[1], y, self.out_shape, self.dtype, check_finite)
            if getattr(self.loss, "shares", False):
                arrays.check_shares(names[1], y)
        else:
            y = arrays.free_targets(names[1], y, self.out_shape)
            if check_finite:
                arrays.check_finite(names[1], y)
        if len(y) != n:
            arrays.same_length(n, **{names[1]: y})
        if sample_weight is not None:
            w = arrays.weights(names[2], sample_weight, n, self.dtype)
        data = arrays.Data(x, y, w)
        data = data if class_weight is None else self.weighted(data, class_weight, whole=False)
        if training:
            self.keep_feature_names(given)
        return data

    def keep_feature_names(self, x):
        """Store the column names of the first data frame used for training."""
        if self._feature_names is None:
            self._feature_names = feature_names.names_of(x)

    def weighted(self, data, class_weight, whole):
        """Data with sample weights multiplied by class weights; `whole`: whether these are all targets."""
        n = prod(self.out_shape)
        binary = n == 1 and getattr(self.loss, "shares", False)
        count = n if self._kind == "labels" else 2 if binary else None
        return data.weighted(class_weight, self.dtype, count, whole)

    def recalibrate(self, x, batch_size=None):
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
        x = self._samples("x", x, True)
        if not len(x):
            raise ValueError("x: expected at least one sample, got none")
        graph = Graph()
        for position, layer in enumerate(self.leaves()):
            layer.position = position
        start = graph.input(self.in_shape)
        self.emit(graph, start)
        with self._lock:
            return recalibrate.run(graph, start, x, self.dtype, self.threads, fit.inference_batch(batch_size))

    # --- many samples ---

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
        *,
        check_finite=True,
        threads=None,
        **kwargs,
    ):
        """Train the model for a number of epochs.

        Parameters
        ----------
        x : array_like (n, *input_shape), or batches
            Any numeric dtype; read in place if its rows are contiguous, copied once otherwise. So
            a memory map may be larger than memory. The column names of a data frame are stored
            (`feature_names`); later, data frames with other columns or another order raise an error.
            Batches: a generator, an iterable or a data set
            as in Keras (``len`` and ``[i]``) that yields (x, y) or (x, y, sample_weight), arrays
            or tensors of any library; one epoch is one pass, or `steps_per_epoch` batches.
        y : array_like
            Class labels (n,) or values (n, *output_shape), depending on the loss. None for batches.
        batch_size : int
            Default 32; the last batch of an epoch may be smaller. None for batches.
        epochs, initial_epoch : int
            Train epochs initial_epoch … epochs − 1.
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

        Returns
        -------
        History
            Means over the samples of each epoch, accumulated during training.

        Raises
        ------
        ValueError, TypeError
            For invalid shapes, values and names.
        KeyboardInterrupt
            On Ctrl-C, after the current step; the training so far is kept.
        """
        refuse_keywords(self.fit.__func__, kwargs)
        shuffle, check_finite = flag("shuffle", shuffle), flag("check_finite", check_finite)
        self.need_compile("fit")
        with core_threads.using(threads):
            for _ in fit.start(
                self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
                class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
                validation_freq, check_finite,
            ):  # fmt: skip
                pass
        return self.history

    def check_gradients(
        self, x, y, sample_weight=None, eps=None, per_layer_entries=None, tolerance=None
    ):
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
        from ..diagnostics.gradient_check import check_model

        self.need_compile("check_gradients")
        self._samples("x", x)  # builds the model
        with self._lock:
            return check_model(self, x, y, sample_weight, eps, per_layer_entries, tolerance)

    def means(self, n, loss, *found):
        """Loss and metrics of n samples by name, from the sums of the engine."""
        logs = {"loss": loss / n if n else nan}
        for metric, sums in zip(self.metrics, found, strict=True):
            # of a weighted mean, the weighted sum and the sum of the weights
            sums, count = sums[0].tolist() if np.shape(sums) == (1, 2) else (sums, n)
            logs[metric.name] = metric.result(sums, count) if n else nan
        return logs


def _weight_decay(value):
    return 0.0 if value is None else number("weight_decay", value, 0)
