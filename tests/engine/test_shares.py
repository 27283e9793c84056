"""How threads share a step: evenly, and with few barriers."""

import numpy as np
import pytest
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

TARGETS = [isa for isa in kernels.targets() if isa != "amx"]  # tiles are cut at whole panels
LANES = {isa: kernels.vector_bytes(isa) // 4 for isa in TARGETS}  # of a vector of float32


def planned(widths, batch, isa):
    dense = [layers.Dense(n, "relu") for n in widths[1:-1]]
    model = fastnn.Sequential([layers.Input(widths[:1]), *dense, layers.Dense(widths[-1], "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    engine = engine_of(model, isa=isa, schedule="layers")
    x, y = np.zeros((batch, widths[0]), np.float32), np.zeros(batch, np.int32)
    engine.fit_block(x, y, None, None, 0, batch, batch, np.full(1, 1e-3))
    (program,) = engine._programs.values()
    return program.plan


def shares(plan, kernel, team):
    """(features or items of each thread, its cost) of the operations with this kernel."""
    for i, (name, _, _, _, _, split, _) in enumerate(plan.ops):
        if name != kernel or split.way == "samples":
            continue
        ends = plan.operations.shares(i, 1, team)
        assert ends[0] == 0 and ends[-1] == split.items and ends == sorted(ends)
        yield np.diff([min(end * split.grain, split.extent) for end in ends]), split


@pytest.mark.parametrize("isa", TARGETS)
@pytest.mark.parametrize("kernel", ["dense_fwd", "dense_dx"])
@pytest.mark.parametrize("team", [2, 3, 5])
def test_units_are_shared_to_within_a_vector(isa, kernel, team):
    """100 units are 3 1/8 panels of 32: two threads had 64 and 36 of them when they shared panels."""
    found = [features for features, _ in shares(planned((784, 300, 100, 100, 10), 32, isa), kernel, team)]
    assert len(found) >= 2
    for features in found:
        assert abs(features - features.sum() / team).max() <= LANES[isa]


@pytest.mark.parametrize("isa", TARGETS)
@pytest.mark.parametrize("team", [2, 3])
def test_gradients_of_weights_are_shared_evenly(isa, team):
    """By products and padding: within an item, which of 100 × 100 weights for two threads is within 12 %."""
    for items, split in shares(planned((784, 300, 100, 100, 10), 32, isa), "dense_dw", team):
        if split.items < 12:
            continue  # a last layer of ten units
        cost = np.full(split.items, split.cost)
        cost[split.items - split.few :] = split.last
        ends = np.cumsum([0, *items])
        parts = np.array([cost[a:b].sum() for a, b in zip(ends, ends[1:], strict=False)])
        assert abs(parts - cost.sum() / team).max() <= split.cost
        assert team > 2 or parts.max() <= 1.12 * cost.sum() / team


@pytest.mark.parametrize("isa", TARGETS)
@pytest.mark.parametrize(("widths", "barriers"), [((784, 300, 100, 10), 5), ((784, *[100] * 20, 10), 41)])
def test_barriers_of_a_step(isa, widths, barriers):
    """Besides the one at its end: two a layer, one in each direction, but for the narrow last one."""
    plan = planned(widths, 32, isa)
    assert sum(op[-1] for op in plan.ops) == barriers
