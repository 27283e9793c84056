"""The engine of a model: made when it is first needed, and again when the model has changed.

Clocks say that something may have changed (see `_core.clocks`); then the layers are described again and compared with
what the engine was planned for. The optimizer state is carried over, variable by variable.
"""

from .._core.clocks import LAYERS
from ..diagnostics import consistency
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
    """The computation of a model: ``(graph, input, output)``."""
    graph = Graph()
    for position, layer in enumerate(model.leaves()):
        layer.position = position
    x = graph.input(model.in_shape)
    return graph, x, model.emit(graph, x)


def _plan(model):
    before, model._calls = model._engine, {}
    graph, x, y = graph_of(model)
    if tuple(y.shape) != tuple(model.out_shape):  # a nested model may have changed since
        raise ValueError(
            f"{model.name}: expected layers with output shape {model.out_shape}, as when built, got {y.shape}"
        )
    what = {}
    if model.compiled:
        found = model._metrics or []
        loss = None if isinstance(model.loss, str) else model.loss  # a name is resolved by the first targets
        found, plain = [m.for_core() for m in found], len(found) - len(model._weighted_asked)
        what = {"loss": loss, "metrics": found[:plain], "weighted_metrics": found[plain:], "seed": model.seed}
        what |= {"optimizer": model.optimizer.for_core(), "threads": model.threads}
        what["weight_decay"] = model.weight_decay
        what["precision"] = model.matmul_precision
    consistency.warn(model, run=True)
    model._engine = Engine(graph, x, y, dtype=model.dtype, **what)
    if before is not None:
        model._engine.take_over(before)


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
