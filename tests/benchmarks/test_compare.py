"""`compare.py`: checkouts side by side. No time is looked at."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_tools import BENCHMARKS, run

import fastnn

import peers  # isort: skip

TREE = Path(fastnn.__file__).resolve().parent.parent  # a folder that has a built fastnn in it


def test_two_identical_trees_side_by_side(tmp_path):
    small = ("--repeats", 2, "--block", 0.001, "--settle", 0, "--threads", "0,1", "--busy", 1)
    out = run("compare.py", f"a={TREE}", f"b={TREE}", *small, "--workloads", "rl,train-row,predict-row",
              "--json", tmp_path / "found.json")  # fmt: skip
    found = json.loads((tmp_path / "found.json").read_text())
    rows = found["rows"]
    cells = {(r["work"], r["threads"], r["checkout"]) for r in rows}
    assert cells == {(w, n, c) for w in ("rl", "train-row", "predict-row") for n in (0, 1) for c in "ab"}
    assert all(len(r["blocks_us"]) == 2 for r in rows) and found["busy"] == 1
    assert all(f"| {r['work']} | 1 | {r['threads'] or 'default'} | highest | {r['checkout']} |" in out for r in rows)
    firsts = [r for r in rows if r["checkout"] == "a"]
    assert all(r["ratio_of_minima"] == r["paired"] == 1 for r in firsts)  # beside itself
    for a, b in zip(rows[::2], rows[1::2], strict=True):
        assert b["ratio_of_minima"] == pytest.approx(min(a["blocks_us"]) / min(b["blocks_us"]))
    losses = {r["first_loss"] for r in rows if r["work"] == "rl"}
    by_hand = peers.make_numpy(peers.Workload("rl", 0.001), {})()
    assert len(losses) == 1 and losses.pop() == pytest.approx(by_hand, rel=1e-4)


def test_a_row_below_the_least_ratio_fails():
    small = ("--repeats", 1, "--block", 0.001, "--settle", 0, "--workloads", "rl", "--threads", 1)
    out = run("compare.py", f"a={TREE}", f"b={TREE}", *small, "--at-least", 1e9, code=1)
    assert re.search(r"^slower: rl, run 1, b: .* < 1000000000\.0$", out, re.M)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([f"a={TREE}", "b={tmp}"], "expected a fastnn built in place in {tmp}, got the one in"),
        ([f"a={TREE}"], "checkouts: expected two or more, got one"),
        ([f"a={TREE}", f"a={TREE}"], "expected NAME=FOLDER with names that differ"),
        ([f"a={TREE}", "b={tmp}/none"], "folders that exist, got 'b={tmp}/none'"),
        ([f"a={TREE}", f"b={TREE}", "--threads", "0,x"], "--threads: expected thread counts such as 0,1, got '0,x'"),
        ([f"a={TREE}", f"b={TREE}", "--repeats", "0"], "--repeats: expected a number from 1 on, got 0"),
        ([f"a={TREE}", f"b={TREE}", "--workloads", "rll"], "unknown name 'rll'"),
    ],
)
def test_what_cannot_be_compared(tmp_path, arguments, message):
    """Without the first of these another fastnn of the machine was measured in its place."""
    arguments = [text.replace("{tmp}", str(tmp_path)) for text in (*arguments, "--block", "0.001")]
    if "--workloads" not in arguments:
        arguments += ["--workloads", "rl"]
    command = [sys.executable, "-P", str(BENCHMARKS / "compare.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode in (1, 2)
    assert message.replace("{tmp}", str(tmp_path)) in result.stderr
