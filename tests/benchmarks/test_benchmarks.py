"""`peers.py` and the asv suite: they run, and count what they say they count. No time is looked at."""

import json
import math

import pytest
from benchmark_tools import run

import fastnn

import health  # isort: skip
import limits  # isort: skip
import peers  # isort: skip
import tasks  # isort: skip
from suite import peak, plans  # isort: skip
from suite.rows import ROWS, Row  # isort: skip


def test_operations_of_a_step():
    """The floors of the published limits: at 215 GFLOP/s, in microseconds."""
    floors = {"rl": 9.4, "tiny": 34, "tiny10k": 185, "fmnist": 168, "fmnist128": 671, "fmnist-bn": 168, "deep": 1043,
              "wide": 169e3}  # fmt: skip
    assert {name: row.flops / 215e3 for name, row in ROWS.items()} == pytest.approx(floors, rel=0.02)


def test_share_of_the_limit():
    limit = limits.Limit([1, 2])
    assert limit.share(ROWS["rl"].flops, 19.2, 1) is None and limit.summary() == {}
    assert "not measured" in limit.text()
    limit.rounds = {1: [200.0, 215.0], 2: [430.0, 300.0]}
    assert limit.share(ROWS["rl"].flops, 19.2, 1) == pytest.approx(0.49, abs=0.01)  # 9.4 µs / 19.2 µs
    assert limit.share(ROWS["fmnist"].flops, 227, 2) == pytest.approx(0.37, abs=0.01)  # 84 µs / 227 µs
    assert limit.summary()[2] == {"best": 430.0, "median": 365.0, "rounds": [430.0, 300.0]}
    assert "1 thread 215 GFLOP/s (best of 2), 2 threads 430 GFLOP/s (best of 2)" in limit.text()
    assert limit.share(None, 19.2, 1) is None  # a task
    limit.rounds = {1: [200.0], 16: [2300.0]}
    assert limit.gflops(1) == 200 and limit.gflops(16) == 2300 and limit.gflops(6) == 900  # 200 + 5 · 140
    counts = [limit.threads(*each) for each in ((2, 1.0), (0, 0.4), (0, 1.02), (0, 3.8), (0, 16.4))]
    assert counts == [2, 1, 1, 4, 16]


def test_targets_are_those_of_the_machine():
    assert set(limits.TARGETS) == {*ROWS, *tasks.TASKS}
    column, why = limits.machine({"fma", "avx2", "avx512f", "amx_bf16"})
    assert limits.target("fmnist", column) == "4.2" and why.endswith("Xeon with AVX-512 and AMX; this CPU has avx512f")
    assert limits.machine({"avx2", "avx512f"}) == (column, why + ", no AMX")
    column, why = limits.machine({"fma", "avx2"})
    assert limits.target("fmnist", column) == "2.8" and "Zen 3" in why
    column, why = limits.machine({"asimd"})
    assert limits.target("fmnist", column) == "–" and "none" in why


def test_peers_state_the_peak_and_every_row_its_share(tmp_path):
    arguments = ("--peers", "fastnn,numpy", "--quick", "--repeats", 1, "--settle", 0, "--json", tmp_path / "found.json")
    out = run("peers.py", "--workloads", "rl,predict-row", *arguments)
    head = json.loads((tmp_path / "found.json").read_text())
    found = head["results"]["rl"]
    assert head["targets"] in out and limits.machine()[1].endswith(head["targets"])
    assert found["target"] == limits.target("rl", limits.machine()[0]) and found["shape"] == ROWS["rl"].shape
    peaks = {int(n): each["best"] for n, each in found["fma_peak_gflops"].items()}
    if peak.program() is None:
        assert peaks == {} and "not measured" in out
    else:
        assert set(peaks) == set(peers.thread_counts())
    for row in found["rows"]:
        if not peaks:
            assert row["share_of_peak"] is None
            continue
        assert row["peak_threads"] == (row["threads"] or round(row["cores"]) or 1)
        limit = peaks[row["peak_threads"]]
        assert row["share_of_peak"] == pytest.approx(found["flops"] / row["min_us"] / 1e3 / limit)
        assert f"| {row['gflops']:.1f} | {100 * row['share_of_peak']:.0f} % of {row['peak_threads']} |" in out
    best = min((r for r in found["rows"] if r["peer"] == "numpy"), key=lambda r: r["min_us"])
    assert found["summary"]["best_peer_of_peak"]["share_of_peak"] == best["share_of_peak"]
    assert "| predict-row | 20-64-64-4 tanh, `predict_on_batch` of one row |" in out


def test_peak_program():
    if peak.program() is None:
        assert math.isnan(peak.measure())
        pytest.skip("no compiler")
    for dtype in ("float32", "float64"):
        for isa in (None, "scalar"):
            assert peak.measure(3, dtype, isa, seconds=0.01) > 0
    assert math.isnan(peak.measure(0))  # refused by the program


def test_no_compiler_no_peak(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    peak.program.cache_clear()
    try:
        limit = limits.Limit([1])
        limit.block()
        assert math.isnan(limit.gflops(1)) and limit.share(1e6, 1.0, 1) is None
    finally:
        peak.program.cache_clear()


def test_shapes():
    assert ROWS["deep"].shape == "784-300-(99×100)-10 selu, batch 32, cross-entropy"
    assert ROWS["wide"].shape == "1024-(3×2048)-1000 relu, batch 512, cross-entropy"
    assert Row([3, 5, 5, 2], "tanh", 8, "mse", 1, True).shape == "3-5-5-2 tanh, batch normalisation, batch 8, MSE"


def test_barriers_of_a_step():
    """In a chain of wide layers each thread reads what all others wrote in the layer before."""

    def count(depth):
        hidden = [fastnn.layers.Dense(200, "relu") for _ in range(depth)]
        model = fastnn.Sequential([fastnn.layers.Input((200,)), *hidden, fastnn.layers.Dense(2)])
        model.compile("adam", "mse")
        model.fit(*([[0.0] * n] * 32 for n in (200, 2)), batch_size=32, verbose=0)
        return plans.barriers(model), model._engine

    shallow, _ = count(3)
    deep, engine = count(13)
    assert deep - shallow >= 10  # layers more; today they wait both ways
    assert deep <= 2 + sum(len(p.plan.ops) for p in engine._programs.values())


@pytest.mark.parametrize("net", ["rl", "tiny"])  # layer by layer; in chunks of samples
def test_asv_counts(net):
    step = plans.Step()
    step.setup(net)
    assert 2 < step.track_barriers(net) <= 2 + 2 + step.track_operations(net)


def test_cost_of_health():
    times = {"off": [1e-3, 2e-3, 1e-3], "on": [1.02e-3, 2.08e-3, 1.05e-3], "again": [1e-3, 2.02e-3, 1.03e-3]}
    row = health.row("rl", 1, times)
    found = [row[name] for name in ("min_us", "median_us", "of_minima", "paired", "noise")]
    assert found == pytest.approx([1000, 1000, 0.02, 0.04, 0.01])
    times = json.loads(run("health.py", "--worker", "rl", "--block", "0.01", "--repeats", "3"))
    assert {mode: len(blocks) for mode, blocks in times.items()} == {"off": 3, "on": 3, "again": 3}
