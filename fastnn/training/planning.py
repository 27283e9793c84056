"""The engine of a model: made when it is first needed, and again when the model has changed.

Clocks say that something may have changed (see `_core.clocks`); then the layers are described again and compared with
what the engine was planned for. The optimizer state is carried over, variable by variable.
"""

from .._core.clocks import LAYERS
from ..engine.engine import Engine
from ..engine.graph import Graph

STOPS = {"fit": "model.stop_training", "evaluate": "model.stop_evaluating", "predict": "model.stop_predicting"}


def engine(model):
    """The `Engine` for the current state of a model. Called under the model's lock."""
    at, made_at = LAYERS.now, (model._compile_clock.now, model._target_clock.now)
    if model._engine is None or model._layers_at != at or model._engine_of[0] != made_at:
        layers = list(model.leaves())
        now = made_at, [
            (layer, layer._attribute_clock.now, layer.trainable, tuple(v.trainable for v in layer.weights))
            for layer in layers
        ]
        if model._engine is None or now != model._engine_of:
            _plan(model)
            model._engine_of = now
        model._layers_at = at  # only now, so that the next call checks again after an error
    return model._engine


def graph_of(model):
    """The computation of a model: ``(graph, input, output)``, or lists of several of these."""
    graph, x = _with_inputs(model)
    for position, layer in enumerate(model.leaves()):
        layer.position = position
    x = x if len(x) > 1 else x[0]
    y = model.emit(graph, x)
    graph.order = model.weights
    return graph, x, y


def _with_inputs(model):
    graph = Graph()
    shapes = [model.in_shape] if model._ports is None else model._ports.inputs.values()
    return graph, [graph.input(shape) for shape in shapes]


def results(model, x, chosen):
    """Values of tensors inside of a model for checked `x`, in inference mode: a list of arrays.

    chosen : function
        From a graph and a list of its inputs to a list of tensors."""
    graph, into = _with_inputs(model)
    tensors = chosen(graph, into)
    with model._lock:
        found = Engine(graph, into, tensors, dtype=model.dtype).predict(x)
    return found if len(tensors) > 1 else [found]


def _plan(model):
    before, model._calls = model._engine, {}
    graph, x, y = graph_of(model)
    shapes = tuple(tuple(t.shape) for t in y) if isinstance(y, list) else tuple(y.shape)
    if shapes != tuple(model.out_shape):  # a nested model may have changed since
        raise ValueError(
            f"{model.name}: expected layers with output shape {model.out_shape}, as when built, got {shapes}"
        )
    what = {}
    if model.compiled:
        _refuse_masks(model, y)
        what = _trained_for(model) if model._ports is None else model._ports.for_engine()
        what |= {"optimizer": model.optimizer.for_core(), "threads": model.threads, "seed": model.seed}
        what["weight_decay"] = model.weight_decay
        what["precision"] = model.matmul_precision
    from ..diagnostics import consistency  # rules are loaded when there is something to look at

    consistency.warn(model, run=True)
    model._engine = Engine(graph, x, y, dtype=model.dtype, order=model.trainable_weights, **what)
    if before is not None:
        model._engine.take_over(before)


def _refuse_masks(model, y):
    """ValueError for results of which some time steps do not count: a loss would include them."""
    outputs = y if isinstance(y, list) else [y]
    if model.loss is not None and any(tensor.mask is not None for tensor in outputs):
        raise ValueError(
            f"loss of {model.name}: expected results without masked time steps, got the steps of a sequence after"
            " Masking; end the model with a recurrent layer without return_sequences, or with Flatten"
        )


def _trained_for(model):
    """Loss and metrics of a model with one input and output, as arguments of `Engine`."""
    found = model._metrics or []
    loss = None if isinstance(model.loss, str) else model.loss  # a name is resolved by the first targets
    found, plain = [m.for_core() for m in found], len(found) - len(model._weighted_asked)
    return {"loss": loss, "metrics": found[:plain], "weighted_metrics": found[plain:]}


class Unchanged:
    """Check that a model has not changed since a call started: layers and, except for `predict`, `compile`."""

    def __init__(self, model, what):
        self.model, self.what = model, what
        self.health = None  # a `HealthKeeper` of `fit`
        self.readings = self._now()

    def _now(self):
        return self.model._structure_clock.now, self.what == "predict" or self.model._compile_clock.now

    def __bool__(self):
        return self._now() == self.readings

    def check(self):
        """RuntimeError if the model has changed."""
        if not self:
            raise RuntimeError(
                f"{self.what}: expected an unchanged model until {self.what} ends, got one changed by add, pop, build"
                " or compile, in a callback or another thread; end it first"
                f" ({STOPS[self.what]} = True), then change the model"
            )

    def engine(self):
        """The model's engine, if the model has not changed. Called under the model's lock."""
        self.check()
        engine = self.model.engine()
        if self.health is not None:
            self.health.attach(engine)
        return engine
