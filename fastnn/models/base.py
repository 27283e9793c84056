"""What a model is: layers, weights, files, and what `compile` sets. `Model` adds what it does.

(a) A model calls the core through one `Engine`, created when it is first needed and again when
    the layers, their trainability or the kind of targets have changed (`training.planning`).
(b) Calls are serialised by a lock, one call of the core at a time; so a model may be used from
    several threads. This does not hold for models that share layers, which have separate locks, while one of them
    trains.
(c) Methods are short calls of functions that take the model, in `training`, `saving` and `derivatives`. Attributes that
    begin with an underscore are theirs too, not the user's.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from .. import derivatives
from .._base.checks import flag, refuse_keywords
from .._core.clocks import Clock
from ..layers.base import Layer
from ..training import compiled_metrics, compiling, planning
from ..training.data import feature_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, Literal, Never

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray, LossLike, MetricLike, OptimizerLike, Path, Precision
    from ..callbacks.history import History
    from ..diagnostics.doctor.finding import Findings
    from ..layers.symbolic import SymbolicTensor
    from ..optimizers.optimizer import Optimizer
    from ..variables import Variable

_models: WeakSet[BaseModel] = WeakSet()  # of this process


def _after_fork():
    for model in list(_models):
        model._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

OF_THE_PROCESS = (  # attributes that are not copied
    "_lock", "_engine", "_engine_of", "_calls", "_by_name", "_layers_at", "_structure_clock", "_compile_clock",
    "_target_clock", "_symbols", "_made_input", "_initial_epoch",
)  # fmt: skip


class BaseModel(Layer):
    """A layer that consists of layers, has a lock and an engine, and can be copied, saved and compiled.

    Subclasses have a list ``self.layers`` and override `emit`, `build` and `compute_output_shape`.
    """

    if TYPE_CHECKING:

        @property
        def layers(self) -> list[Layer]: ...
        @property
        def inputs(self) -> list[SymbolicTensor]: ...
        @property
        def outputs(self) -> list[SymbolicTensor]: ...

    optimizer: Optimizer  # of a compiled model; `history`: after `fit`
    loss: Any
    history: History
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    compiled: bool

    builds_itself = True
    _loss_asked = None
    _ports: Any = None  # `training.ports.Ports` of several inputs or outputs
    _fast_path = True  # False: every call takes the slow path, for tests

    def __init__(self, *, weight_decay: float | None = None, **kwargs: Any) -> None:
        if type(self).emit is Layer.emit:
            raise TypeError(
                f"{type(self).__name__}: expected a subclass of Sequential, or fastnn.Model(inputs, outputs); models"
                " that override `call` are not supported, layers that do are (see fastnn.layers.Layer)"
            )
        super().__init__(**kwargs)
        self.weight_decay = self._own_weight_decay = compiling.checked_decay(weight_decay)
        self.optimizer = self.loss = self.history = None  # type: ignore[assignment]
        self.stop_training = self.stop_evaluating = self.stop_predicting = self.compiled = False
        self.seed, self.threads, self.epochs_done = 0, None, 0
        self.matmul_precision = None
        self._metrics_asked: list[Any] = []
        self._weighted_asked: list[Any] = []
        self._metrics = self._kind = None
        self._feature_names = None
        self._warned_of: set[Any] = set()  # findings of `diagnostics.consistency`
        self._checked: tuple[int, Sequence[Any]] = -1, ()  # the last findings of `check`, and of which `compile`
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
    def weights(self) -> list[Variable]:
        """All variables, layer by layer, each once."""
        return list(dict.fromkeys(v for layer in self.layers for v in layer.weights))

    def get_weights(self) -> list[FloatArray]:
        with self._lock:  # those of one step, while another thread trains
            return super().get_weights()

    def set_weights(self, weights: Sequence[ArrayLike], *, check_finite: bool = True) -> None:
        check_finite = flag("check_finite", check_finite)
        with self._lock:
            super().set_weights(weights, check_finite=check_finite)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that training updates, layer by layer, each once."""
        return list(dict.fromkeys(v for layer in self.layers for v in layer.trainable_weights))

    @property
    def trainable(self) -> bool:
        """False freezes every layer; True unfreezes every layer."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag("trainable", value)
        for layer in self.layers:
            layer.trainable = value

    @property
    def feature_names(self) -> list[str] | None:
        """Column names of the first data frame that the model was trained with, a list, or None.

        After that, data frames with other columns or another order raise an error; set None to accept any.
        """
        return None if self._feature_names is None else list(self._feature_names)

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        self._feature_names = feature_names.checked(names)

    def leaves(self) -> Iterator[Layer]:
        """Iterate over the layers, with nested models replaced by their layers."""
        for layer in self.layers:
            yield from layer.leaves()

    def get_parameters(self) -> FloatArray:
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
        return derivatives.get_parameters(self)

    def set_parameters(self, theta: ArrayLike) -> None:
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
        derivatives.set_parameters(self, theta)

    # --- files ---

    def save(
        self,
        filepath: Path,
        overwrite: bool = True,
        zipped: None = None,
        *,
        include_optimizer: bool = True,
    ) -> None:
        """Save the whole model to a file, for `fastnn.models.load_model`.

        The file contains the configuration of the layers, all weights and, if the model is compiled, the arguments
        of `compile`, the optimizer state, the step, the seed, the number of epochs and the history, with the health
        of the layers: `fit` of the loaded model resumes exactly where this one stopped, including dropout and
        shuffling. If saved in the middle of an epoch, it starts that epoch again. Callbacks and `threads` are not
        saved.

        The format is safetensors, whatever the name of the file. An existing file is replaced atomically, or
        left unchanged if an error occurs.

        Parameters
        ----------
        filepath : str or path-like
            Any name, preferably with suffix ``.fastnn``; files are recognised by their content. The suffix of another
            format, such as ``.h5`` or ``.onnx``, causes a warning once.
        overwrite : bool
            False: raise a FileExistsError if the file exists.
        zipped : None
            For compatibility with Keras; only the default is accepted.
        include_optimizer : bool

        Raises
        ------
        TypeError
            If an object cannot be saved by name, such as a lambda.
        OSError
            If the file cannot be written; the error contains its name.
        """
        from ..saving import model

        model.save_model(self, filepath, overwrite, zipped, include_optimizer=include_optimizer)

    def save_weights(
        self, filepath: Path, overwrite: bool = True, max_shard_size: None = None
    ) -> None:
        """Save only the weights to a file, for `load_weights`.

        Parameters
        ----------
        filepath : str or path-like
        overwrite : bool
            False: raise a FileExistsError if the file exists.
        max_shard_size : None
            For compatibility with Keras; only the default is accepted.
        """
        from ..saving import model

        model.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(
        self, filepath: Path, skip_mismatch: bool = False, *, by_name: bool = False
    ) -> None:
        """Load weights from a file written by `save_weights` or `save`.

        Parameters
        ----------
        filepath : str or path-like
        skip_mismatch : bool
            Skip weights whose shapes differ.
        by_name : bool
            Load only the weights whose names (``layer/weight``) are in the file. Default: all, in the order
            of `get_weights`.

        Raises
        ------
        FormatError
            If the file was not written by fastnn, or is corrupted.
        ValueError
            If the number or the shapes of the weights do not match; nothing is changed then.
        """
        from ..saving import model

        model.load_weights(self, filepath, skip_mismatch, by_name=by_name)

    def _write_state(self, filepath: str) -> None:
        from ..saving import state

        state.write(filepath, self)

    def _restore_state(self, filepath: str) -> None:
        from ..saving import state

        with self._lock:
            state.put(filepath, self)

    # --- before training ---

    def check(
        self,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        validation_data: Sequence[ArrayLike] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        ignore: Iterable[str] = (),
    ) -> Findings:
        """Look for what would keep the model from learning, before training.

        Checks the layers, the arguments of `compile` and the data, and takes a few training steps on at most 1024
        rows with a copy of the weights. For a model with several inputs or outputs, it only checks that activation,
        loss and metrics of each output match. The model is not changed: neither weights, optimizer, moving averages
        nor random state. Findings about training are in ``history.findings``.

        Parameters
        ----------
        x, y, sample_weight : array_like, optional
            As for `fit`. Without them, only the model is checked.
        validation_data : (x, y), optional
        ignore : list of str
            Codes of findings to leave out, such as "FN222"; see also `diagnostics.ignore`.

        Returns
        -------
        list of Finding
            The most severe first, then the most likely cause. Printing it also shows what to do.

        Raises
        ------
        TypeError
            If `x` is a generator or data set of batches: pass the arrays of one batch.

        Examples
        --------
        >>> import numpy as np
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,), activation="sigmoid")])
        >>> model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> [finding.fault for finding in model.check(x, 5 * x[:, 0])]
        ['wrong_last_activation', 'target_out_of_range']
        """
        from ..diagnostics.doctor import check

        return check.check(self, x, y, validation_data, sample_weight, ignore)

    # --- what `compile` sets ---

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossLike | Sequence[LossLike] = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        metrics: MetricLike | Sequence[MetricLike | Sequence[MetricLike]] = None,
        weighted_metrics: MetricLike | Sequence[MetricLike | Sequence[MetricLike]] = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Literal["auto"] = "auto",
        auto_scale_loss: bool = True,
        *,
        weight_decay: float | None = None,
        seed: int | None = None,
        threads: int | None = None,
        matmul_precision: Precision | None = None,
        **kwargs: Never,
    ) -> None:
        """Configure the model for training.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str, Loss or function, optional
            ``"crossentropy"`` selects the cross-entropy that matches the model and its first targets: binary for one
            output or after a sigmoid, sparse for class labels, otherwise categorical; from logits if there is no
            activation. A custom loss is a function in NumPy, ``(y_true, y_pred)`` to ``(values, gradient)``, see
            `losses.PythonLoss`. None for manual training with `forward`, `backward` and `apply_gradients`.
            For a model with several outputs: a list, or a dict by their names; a single loss applies to all. Metrics
            likewise.
        metrics : list of str, Metric or function, optional
            ``"accuracy"`` selects the kind that matches the loss and the output. A metric given by name takes logits
            where the loss does (``"binary_accuracy"`` then has the threshold 0). A function ``(y_true,
            y_pred)`` returns one value per sample. Sample and class weights are not applied.
        weighted_metrics : list of str, Metric or function, optional
            Metrics with sample and class weights applied: means are weighted, counts are sums of weights. A metric
            that is also in `metrics` is called ``"weighted_…"``.
        loss_weights : list of float or dict, optional
            Factors of the losses of several outputs in the total loss; default: 1 each.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            For compatibility with Keras; only the defaults are accepted: the core always runs many steps in one call.
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
        refuse_keywords(self.compile, kwargs)
        compiling.compile_model(
            self, optimizer, loss, metrics, weighted_metrics, weight_decay, seed, threads, matmul_precision,
            loss_weights=loss_weights, run_eagerly=run_eagerly, steps_per_execution=steps_per_execution,
            jit_compile=jit_compile, auto_scale_loss=auto_scale_loss,
        )  # fmt: skip

    @property
    def metrics(self) -> list[Any]:
        """The metrics, weighted metrics last; before the first data, as passed to `compile`."""
        return [*self._metrics_asked, *self._weighted_asked] if self._metrics is None else self._metrics

    @property
    def metrics_names(self) -> list[str]:
        """``["loss", ...]``: the names of the values that `evaluate` returns, in order."""
        if self._ports is not None and (self._metrics is None or not self._ports.many):
            return ["loss", *self._ports.names_of_metrics()]
        if self._metrics is None:
            return ["loss", *compiled_metrics.names(self._metrics_asked, self._weighted_asked)]
        return ["loss", *(m.name for m in self._metrics)]

    def _swap_averages(self, averages: bool) -> None:
        """Have the averages of `use_ema` in the model, or its own weights again."""
        with self._lock:
            self.engine().swap_averages(averages)

    def engine(self) -> Any:
        """The `Engine` for the current state of the model."""
        return planning.engine(self)
