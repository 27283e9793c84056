"""Operands of kernels by name: what src_c declares beside each kernel is what planning goes by."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from engine_tools import whole_engine_of

import fastnn
from fastnn._core import kernels
from fastnn.engine import signatures
from fastnn.engine.lowering import LOWERINGS, Lowering, lowering
from fastnn.engine.planner import Planner
from fastnn.training import arguments

SOURCES = Path(__file__).parents[2] / "src_c"

UNIT = {"scale": 1.0, "offset": 0.0}


@pytest.fixture
def planner():
    model = fastnn.Sequential([fastnn.layers.Input(shape=(3,)), fastnn.layers.Dense(2)])
    model.compile("sgd", "mse")
    arguments.data(model, np.zeros((4, 3)), np.zeros((4, 2)))
    code = (24, kernels.DATA_CODES["<f8"])
    return Planner(whole_engine_of(model), "predict", 16, code, None, False, None)


def affine(planner, **changes):
    x, y = planner.buffer("x", 3), planner.buffer("y", 3)
    given = {"y": y, "x": x, "F": 3, "scale": 2.0, "offset": 1.0} | changes
    planner.emit("affine", **{name: value for name, value in given.items() if value is not None})


def test_a_kernel_is_called_by_the_names_of_its_operands(planner):
    affine(planner)
    kernel, p, n, s, fn, split, _ = planner.ops[-1]
    assert (kernel, n, s, fn) == ("affine", [3], [2.0, 1.0], [])
    assert p == [("arena", planner.arena["y"]), ("arena", planner.arena["x"])]
    assert split.extent == 3


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"z": None, "factor": 1.0}, "kernel 'affine' has no operand 'factor'; it has y, x, F, scale, offset"),
        ({"x": None}, "kernel 'affine': operand 'x' is missing"),
        ({"F": None}, "kernel 'affine': operand 'F' is missing"),
        ({"F": (3, 4)}, "kernel 'affine': expected one number for 'F', got 2"),
        ({"scale": (1.0, 2.0)}, "kernel 'affine': expected one number for 'scale', got 2"),
    ],
)  # fmt: skip
def test_wrong_operands_fail_when_planning(planner, changes, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        affine(planner, **changes)


def test_too_many_numbers_of_a_list_are_refused():
    with pytest.raises(TypeError, match="expected at most 4 numbers for 'limits', got 5"):
        signatures.signature("constrain_units").arrange(
            {"w": ("theta", 0), "rows": 1, "count": 1, "limits": [0.0] * 5, "nonnegative": 0.0}
        )


def test_every_kernel_of_the_table_declares_its_operands():
    names = re.findall(r"FNN_OPERANDS_(\w+)(?:\(_\)| FNN)", "\n".join(p.read_text() for p in SOURCES.rglob("*.h")))
    shared = {"words", "noise", "loss", "metric", "steps", "gates"}  # lists that several kernels have in common
    for name in set(names) - shared:
        declared = signatures.signature(name)
        assert declared.way in ("rect", "samples", "features", "slots", "items", "one")
        assert any(o.mode != "in" for o in declared.operands), f"{name} writes nothing"
        assert declared.extent is None or declared.extent in dict(declared.sizes)
        assert {o.where for o in declared.operands} <= {"local", "samples", "features", "blocks", "all"}
    for kind, rows in (("loss", kernels.loss_rows()), ("metric", kernels.metric_rows())):
        for row, *_ in rows:
            assert signatures.signature(f"{kind}:{row}").way == "samples"


def test_no_operand_is_taken_by_its_number():
    numbered = re.compile(r"\bop(->|\.)(p|n|s|fn)\[[0-9]+\]|\bdw\.(p|n|s|fn)\[[0-9]+\]")
    files = [*SOURCES.rglob("*.[ch]"), *(SOURCES.parent / "fastnn" / "_core").glob("*.p[yx][xd]")]
    assert len(files) > 60
    assert not [p.name for p in files if numbered.search(p.read_text())]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("code, message", [
    ("((fnn_p_bn_bwd *)op->p)->mean = 0; ((fnn_n_dense_dw *)op->n)->parts = sizeof(fnn_s_loss);", None),
    ("((fnn_p_bn_bwd *)op->p)->moving_mean = 0;", "moving_mean"),
    ("((fnn_n_dense_dw *)op->n)->width = 0;", "width"),
    ("((fnn_p_no_kernel *)op->p)->x = 0;", "fnn_p_no_kernel"),
])  # fmt: skip
def test_a_wrong_name_fails_when_compiling(tmp_path, code, message):
    """In operations that Cython fills: what operands.pxd declares is checked against src_c/layouts.h."""
    source = tmp_path / "fill.c"
    source.write_text(f'#include "layouts.h"\nvoid fill(fnn_op *op) {{ {code} }}\n')
    command = ["cc", "-std=gnu11", "-fsyntax-only", f"-I{SOURCES}", str(source)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode == 0) == (message is None), found.stderr
    assert message is None or message in found.stderr


@pytest.mark.parametrize("first, second, waits", [
    ("samples", "samples", False),
    ("features", "features", False),
    ("both", "both", False),
    ("samples", "features", True),
    ("both", "samples", True),
])  # fmt: skip
def test_threads_wait_where_another_one_may_have_written(planner, first, second, waits):
    planner.chunked = False
    planner.emit("affine", way=first, y=planner.buffer("b", 9), x=planner.buffer("a", 9), F=9, **UNIT)
    planner.emit("affine", way=second, y=planner.buffer("c", 9), x=planner.buffer("b", 9), F=9, **UNIT)
    assert planner.ops[-1][-1] is waits


def test_elementwise_operations_are_split_like_the_one_before(planner):
    planner.chunked = False
    planner.emit("affine", way="samples", y=planner.buffer("b", 9), x=planner.buffer("a", 9), F=9, **UNIT)
    planner.emit("affine", y=planner.buffer("c", 9), x=planner.buffer("b", 9), F=9, **UNIT)
    assert planner.ops[-1][-2].way == "samples" and not planner.ops[-1][-1]


def test_an_update_that_is_not_there_writes_nothing(planner):
    """Only with the formula `update` does the kernel of the gradient change the weights."""
    planner.chunked = False
    theta = planner.at("theta", list(planner.store.places), 0)
    sizes = {"I": 3, "O": 2, "rows": 4, "splits": 0, "groups": 0}
    planner.emit("dense_fwd", y=planner.buffer("y", 2), x=planner.buffer("x", 3), w=theta, **sizes)
    more = {"stride": 8, "parts": 1, "adds": 0, **sizes}
    more |= {"x": planner.buffer("x", 3), "dy": planner.buffer("d", 2), "w": theta}
    grad = planner.at("grad", list(planner.store.places), 0)
    planner.emit("dense_dw", items=1, grad=grad, **more)
    assert not planner.ops[-1][-1]
    planner.emit("dense_dw", items=1, grad=grad, update="sgd", **more)
    assert planner.ops[-1][-1]


def test_a_node_without_a_lowering_is_named():
    with pytest.raises(KeyError, match="kind of node: expected one .*maxout.*'maxuot'"):
        LOWERINGS["maxuot"]


def test_a_second_lowering_of_a_kind_is_refused():
    with pytest.raises(ValueError, match="kind: expected a new one, got 'maxout', which Maxout has"):
        lowering("maxout")(type("Other", (Lowering,), {}))
