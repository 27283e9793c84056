"""What `compile` sets, and what the first targets add to it: the kind of targets, a loss and metrics given by name."""

from math import prod

import numpy as np

from .. import optimizers
from .._base.checks import number, one_of
from .._base.random import check_seed, next_seed
from .._base.signatures import only_default
from .._core import threads as core_threads
from .._core.clocks import LAYERS
from ..engine import precision
from ..losses import catalogue as losses
from ..metrics.outputs import kind_of, last_activation
from . import compiled_metrics
from .ports import alone_in_compile

# Keras' arguments of `compile` that accept only one value here
KERAS_ALONE = {
    "loss_weights": None, "run_eagerly": False, "steps_per_execution": 1,
    "jit_compile": "auto", "auto_scale_loss": True,
}  # fmt: skip


def compile_model(
    model, optimizer, loss, metrics, weighted_metrics, weight_decay, seed, threads, matmul_precision, **keras_alone
):
    """`Model.compile`; `keras_alone`: the arguments of `KERAS_ALONE`."""
    loss, asked, weighted, apply = _trained_for(model, loss, metrics, weighted_metrics, keras_alone)
    decay = model._own_weight_decay if weight_decay is None else checked_decay(weight_decay)
    chosen = optimizers.get(optimizer)
    if chosen is None:
        raise TypeError("optimizer: expected a name or an Optimizer, got None")
    threads = core_threads.checked("threads", threads)
    seed = next_seed() if seed is None else check_seed("seed", seed)
    if matmul_precision is not None:
        matmul_precision = one_of("matmul_precision", matmul_precision, precision.MODES)
    model.matmul_precision = matmul_precision
    with model._lock:
        if chosen is not model.optimizer:
            model._engine = None  # a new optimizer starts without state
            chosen.at_batch(0)  # a used optimizer starts again
        model._calls = {}
        model.optimizer, model.loss, model._loss_asked = chosen, loss, loss
        model._metrics_asked, model._weighted_asked = asked, weighted
        model._metrics = model._kind = None
        apply()
        model._warned_of = set()
        model.weight_decay = decay
        model.seed, model.threads, model.epochs_done, model.compiled = seed, threads, 0, True
        model._compile_clock.tick()
    if model.built:
        from ..diagnostics import consistency  # rules are loaded when there is something to look at

        consistency.warn(model)


def _trained_for(model, loss, metrics, weighted_metrics, keras_alone):
    """Loss, metrics and weighted metrics, checked, and a function that sets them in the outputs of several."""
    loss_weights = keras_alone["loss_weights"]
    if isinstance(loss_weights, (list, tuple)) and not all(isinstance(v, (int, float)) for v in loss_weights):
        raise TypeError(f"loss_weights: expected None, got {loss_weights!r}; pass metrics by name: metrics=...")
    if loss_weights is not None and model._ports is None and hasattr(type(model), "with_ports"):
        model.with_ports()  # the only output has a factor
    several = model._ports is not None
    for name, default in KERAS_ALONE.items():
        if name != "loss_weights" or not several:
            only_default(name, keras_alone[name], default)
    if several:
        loss, apply = model._ports.compile(loss, loss_weights, metrics, weighted_metrics)
        return loss, [], [], apply
    loss, metrics, weighted_metrics = alone_in_compile(model, loss, metrics, weighted_metrics)
    asked = compiled_metrics.checked("metrics", metrics)
    weighted = compiled_metrics.checked("weighted_metrics", weighted_metrics)
    try:
        loss = loss if losses.by_targets(loss) else losses.get(loss)
    except ValueError:
        if isinstance(loss, str) and _is_optimizer(loss):
            raise ValueError(
                f"loss: expected a loss, got the optimizer {loss!r}; compile(optimizer, loss) takes the optimizer first"
            ) from None
        raise
    if model.built:
        compiled_metrics.check(asked + weighted, prod(model.out_shape))
    return loss, asked, weighted, lambda: None


def _is_optimizer(name):
    try:
        return optimizers.get(name) is not None
    except ValueError:
        return False


def checked_decay(value):
    """The weight decay of a model; 0 for None."""
    return 0.0 if value is None else number("weight_decay", value, 0)


def resolve_targets(model, y):
    """Determine the kind of targets, by the loss or else the data, and the metrics."""
    kind = getattr(model.loss, "target", None)
    if kind is not None and kind == model._kind:
        return
    n = prod(model.out_shape)
    by_shape = "labels" if n > 1 and (np.ndim(y) == 1 or np.shape(y)[1:] == (1,)) else "values"
    activation = last_activation(model.leaves())
    if isinstance(model.loss, str):
        model.loss = losses.resolve(by_shape, n, activation)
        kind = model.loss.target
        model._target_clock.tick()
    asked, outputs = (model._metrics_asked, model._weighted_asked), kind_of(activation, model.loss)
    if kind is None:
        found = compiled_metrics.resolve(*asked, by_shape, n, outputs)
        kind = "free" if all(m.target is None for m in found) else by_shape
    if model._metrics is None or kind != model._kind:
        found = compiled_metrics.resolve(*asked, kind, n, outputs)
        _refuse_several_axes(model, found)
        model._metrics, model._kind = found, kind
        model._target_clock.tick()


def adopt_targets(model):
    """After the targets of the outputs of several were resolved: metrics of the whole model."""
    outputs = model._ports.outputs
    at = tuple(output._target_clock.now for output in outputs)
    if model._metrics is None or model._kind != at:
        found = [output.loss for output in outputs]
        if model.loss is not None:
            model.loss = found if model._ports.many else found[0]
        model._metrics, model._kind = model._ports.metrics(), at
        model._target_clock.tick()


def _refuse_several_axes(model, found):
    """The core supports a single output axis only."""
    last = len(model.out_shape)
    for part in (model.loss, *found):
        of_core = getattr(part, "in_numpy", None) is None
        if of_core and getattr(part, "axis", -1) not in (-1, last):
            raise ValueError(f"axis of {part.name}: expected the output axis, -1 or {last}, got {part.axis}")
    rows = [part.name for part in (model.loss, *found) if getattr(part, "over_a_row", False)]
    if len(model.out_shape) > 1 and rows:
        raise ValueError(
            f"{', '.join(rows)}: expected outputs of shape (n, classes), got {(None, *model.out_shape)};"
            " begin the model with Flatten, if its samples have several axes, or end the model with Flatten, or use a"
            " custom loss"
        )


def forget_targets(model):
    """The layers have changed, and with them the output: metrics are resolved again with the next data."""
    model._metrics = model._kind = None
    if isinstance(model._loss_asked, str):
        model.loss = model._loss_asked
    if model._ports is not None:
        model._ports.forget_targets()
    model._structure_clock.tick()
    LAYERS.tick()
