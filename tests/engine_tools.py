"""A `Engine` for a model, with schedule, instruction set and threads of the test's choice."""

import hashlib
from contextlib import contextmanager
from copy import copy
from functools import partial

import pytest
from fastnn._core.virtual_team import VirtualTeam

from fastnn.engine import program
from fastnn.engine.engine import Engine
from fastnn.engine.graph import Graph
from fastnn.training import planning


def engine_of(model, **choices):
    """The engine of a compiled Sequential as `Model` would make it, but for `choices`."""
    graph = Graph()
    for position, layer in enumerate(model.leaves()):
        layer.position = position
    x = graph.input(model.in_shape)
    y = model.emit(graph, x)
    settings = {
        "dtype": model.dtype,
        "loss": model.loss,
        "optimizer": model.optimizer.for_core(),
        "seed": model.seed,
        "weight_decay": model.weight_decay,
    }
    return Engine(graph, x, y, **(settings | choices))


def whole_engine_of(model, **choices):
    """The engine of a compiled model with all that belongs to it, metrics too, but for `choices`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "Engine", partial(Engine, **choices))
        return copy(model).engine()


def digest(engine):
    """SHA-256 of all weights, row-major, and of the optimizer's state."""
    sha = hashlib.sha256()
    for variable in engine.graph.variables():
        sha.update(variable.numpy().tobytes())
        for i in range(engine.store.n_state):
            sha.update(engine.store.get(f"state{i}", variable).tobytes())
    return sha.hexdigest()


@contextmanager
def virtual_teams(*order):
    """Programs that are made inside run on a virtual team whose threads come in this order (_core/virtual_team.pyx)."""

    def make(*arguments):
        core = VirtualTeam(*arguments)
        core.play(*order)
        return core

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.executor, "Executor", make)
        yield
