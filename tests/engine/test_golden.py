"""What plans and weights were: work on the planner or the layout of the package changes neither.

tests/golden/plans.json has digests of the operations, barriers, segments and memory of every structure of test_plans,
tests/golden/weights.json the SHA-256 of weights after training. A change that is meant is written by

    PYTHONPATH=.:tests python tests/engine/test_golden.py

on a CPU that has all instruction sets, and explained in the commit. Kernels are named, not numbered, so one more or
less changes nothing; barriers have a digest of their own.
"""

import hashlib
import json
import platform

import numpy as np
import pytest
import test_determinism
import test_plans
from engine_tools import whole_engine_of
from places import TESTS

from fastnn._core import kernels
from fastnn.engine import plan_cache
from fastnn.training import arguments

FOLDER = TESTS / "golden"
KINDS = [("train", 16), ("train", 300), ("evaluate", 300), ("predict", 300), ("manual", 16)]
# weights under "amx" are those of tiles, real or emulated: test_precision has their bounds
TARGETS = [isa for isa in ("scalar", "avx2", "avx512") if isa in kernels.targets()]


def short(*things):
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]


def golden(name):
    return json.loads((FOLDER / name).read_text())


def canonical(op):
    """An operation without its barrier, and without what operands that are not there leave behind."""
    kernel, p, n, s, fn, split, _ = op
    while n and n[-1] == 0:
        n = n[:-1]
    given = [[what for what in list_ if what is not None and what != 0] for list_ in (p, s, fn)]
    return (kernel, given[0], n, *given[1:], split)


def plan_digests(make, isa):
    """{kind and batch: [operations, barriers, segments and memory]} of one structure."""
    model = make()
    x, y = test_plans.X, test_plans.LABELS if model.loss.target == "labels" else test_plans.Y
    arguments.data(model, x, y)
    engine, found = whole_engine_of(model, isa=isa), {}
    of_x = (x.strides[0], kernels.DATA_CODES[x.dtype.str])
    of_y = (y.strides[0], kernels.DATA_CODES[y.dtype.str]) if y.ndim == 2 else None
    of_gradient = (engine.y.size * engine.dtype.itemsize, kernels.DATA_CODES[engine.dtype.str])
    plan_cache._kept.clear()  # or it would be a plan of before
    for what, batch in KINDS:
        target = {"predict": None, "manual": of_gradient}.get(what, of_y)
        plan = engine.program(what, batch, of_x, target).plan
        ops = [canonical(op) for op in plan.ops]
        memory = (plan.arena_bytes, plan.kept_bytes, plan.scratch_bytes, plan.copies, plan.links)
        image = np.zeros(plan.kept_bytes, np.uint8)
        for start, part in plan.images:
            image[start : start + part.size] = part
        found[f"{what} {batch}"] = [
            short(ops), short([op[-1] for op in plan.ops]), short(plan.segments, plan.parts, memory, image.tobytes())
        ]  # fmt: skip
    return found


def weight_digests(isa):
    """{model of test_determinism and how it is trained: SHA-256}"""
    found = {}
    for kind in ("plain", "bn"):
        for dtype in ("float32", "float64"):
            for schedule in ("layers", "samples"):
                trained = test_determinism.trained(kind, dtype, 1, schedule=schedule, isa=isa)
                found[f"{kind} {dtype} {schedule}"] = trained[0]
        for optimizer in test_determinism.FUSED:
            name = f"{kind} float32 fused {type(optimizer).__name__}"
            found[name] = test_determinism.trained_fused(kind, optimizer, 1, isa)
    return found


def of_structures(isa):
    return {f"{i:02}": plan_digests(make, isa) for i, make in enumerate(test_plans.DIFFERENT)}


@pytest.mark.parametrize("isa", TARGETS)
def test_plans_are_what_they_were(isa, monkeypatch):
    monkeypatch.setattr(plan_cache, "_kept", type(plan_cache._kept)())
    expected, got = golden("plans.json")[isa], of_structures(isa)
    assert got.keys() == expected.keys()
    changed = [
        f"structure {i}, {kind}: {part}"
        for i, kinds in got.items()
        for kind, digests in kinds.items()
        for part, one, other in zip(("operations", "barriers", "memory"), digests, expected[i][kind], strict=True)
        if one != other
    ]
    assert not changed, f"{len(changed)} of {3 * len(KINDS) * len(got)} changed: {changed[:5]}"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or platform.machine() != "x86_64", reason="another libm")
@pytest.mark.parametrize("isa", TARGETS)
def test_weights_are_what_they_were(isa):
    if isa == "avx512" and kernels.EMULATED:
        pytest.skip("the emulated unit's estimate of a root has other bits")
    expected, got = golden("weights.json")[isa], weight_digests(isa)
    assert got == expected


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in (("plans.json", of_structures), ("weights.json", weight_digests)):
        (FOLDER / name).write_text(json.dumps({isa: make(isa) for isa in TARGETS}, indent=0) + "\n")
