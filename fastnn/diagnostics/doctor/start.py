"""One training step on a copy of a model's weights: what its layers put out at the start, and what gradients come back.

(a) The step is done by an engine of its own with variables of its own, so the model, its optimizer, its moving averages
    and all random numbers stay as they are. Layers in NumPy keep what they want on themselves: then the model is copied
    with everything.
(b) It is the step that training would do: batch statistics, dropout with the masks of the next step, penalties,
    clipping, and the optimizer at its present rate. Further steps tell how the loss changes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...engine import objective
from ...engine.engine import Engine
from ...engine.health import LAYER_QUANTITIES, Health
from ...training.planning import graph_of
from ...variables import Variable

if TYPE_CHECKING:
    from typing import Any

    from ..._base.types import FloatArray

STEPS = 10
NEVER = 1 << 40


@dataclass
class Start:
    """What one step on a batch has shown.

    Attributes
    ----------
    layers, kinds : tuple of str
        As in `Health`.
    figures : dict of ndarray
        By quantity of `Health`: a number for each layer.
    loss : float
        Mean over the rows, penalties included, with the weights as they are.
    penalty : float
    losses : list of float
        Of this step and the following ones on the same rows.
    outputs : ndarray (rows, outputs)
        Predictions with the weights as they are.
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    figures: dict[str, FloatArray]
    loss: float
    penalty: float
    losses: list[float]
    outputs: FloatArray

    def of(self, quantity: str) -> Any:
        """``[(layer, value)]`` of a quantity, where it is known."""
        return [(n, float(v)) for n, v in zip(self.layers, self.figures[quantity], strict=True) if not np.isnan(v)]


def step(model: Any, loss: Any, x: Any, y: Any, w: Any = None, scale: float = 1.0) -> Start:
    """Do steps with `loss` on checked arrays, at `scale` times the rate.

    Returns
    -------
    Start
    """
    graph, first, last = graph_of(model)
    if any(node.kind == "python" for node in graph.nodes):
        model = copy.deepcopy(model)
        graph, first, last = graph_of(model)
    own: dict[Any, Variable] = {}
    for node in graph.nodes:
        node.variables = {role: _own(own, variable) for role, variable in node.variables.items()}
    engine = Engine(
        graph, first, last, dtype=model.dtype, loss=loss, optimizer=copy.copy(model.optimizer).for_core(),
        seed=model.seed, threads=model.threads, precision=model.matmul_precision, weight_decay=model.weight_decay,
    )  # fmt: skip
    if model._engine is not None:
        engine.step = model._engine.step
    n = len(x)
    engine.store.acquire()
    outputs = engine.predict(x, n).reshape(n, -1)
    penalty = objective.penalty(engine)
    rates = copy.copy(model.optimizer).rates(engine.step, 1)
    if rates.ndim == 1:  # otherwise with momenta
        rates = rates * scale
    health = engine.health = Health(engine, 1)
    losses = []
    for i in range(STEPS):
        _, total, _ = engine.fit_block(x, y, w, None, 0, n, n, rates)
        losses.append(total / n)
        if i == 0:
            found = health.figures()[1]
            figures = dict(zip(LAYER_QUANTITIES, found, strict=True))
            health.every = NEVER
    return Start(health.layers, health.kinds, figures, losses[0], penalty, losses, outputs)


def _own(own, variable):
    if variable not in own:
        own[variable] = Variable(
            variable.numpy(), variable.name, variable.trainable, variable.layout, variable.regularizer,
            variable.constraint,
        )  # fmt: skip
    return own[variable]
