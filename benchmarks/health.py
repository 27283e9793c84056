"""What the health figures cost: `fit(health=True)`, which is the default, against `health=False`, interleaved.

    python -P benchmarks/health.py                              every row of `peers.py`, two runs of 15 pairs of blocks
    python -P benchmarks/health.py --workloads rl,fmnist --health every --threads 1

(a) One network is trained, with health and without in turn (`peers.py` (a)): two equal ones lie elsewhere in memory,
    which is worth a few percent in small networks. A block is one call of `fit` of one epoch; the order is drawn anew
    for each pair.
(b) The cost is the time with health / the time without - 1: of the minima, and the median and quartiles of the pairs.
(c) Each run is a process of its own, and a second block without health shows how far apart two equal ones are (the
    column "noise").
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
import peers  # noqa: E402

LIMIT = 0.03


def measure(name, options):
    """Seconds of a step in each block: without health, with it, and without it again."""
    fastnn = peers.the_fastnn()
    fastnn.set_num_threads(options.threads or None)
    w = peers.Workload(name, options.block)
    modes = {"off": False, "on": "every" if options.health == "every" else True, "again": False}
    run = peers.keras_like(fastnn, w)
    for _ in range(2):  # plans, tuning of threads
        for health in modes.values():
            run(health=health)
    times, order = {mode: [] for mode in modes}, random.Random(0)
    for _ in range(options.repeats):
        for mode in order.sample(list(modes), len(modes)):
            start = time.perf_counter()
            run(health=modes[mode])
            times[mode].append((time.perf_counter() - start) / w.steps)
    return times


def row(name, run, times):
    """One line of the table, as a dictionary."""
    off, on, again = (times[mode] for mode in ("off", "on", "again"))
    paired = [b / a - 1 for a, b in zip(off, on, strict=True)]
    low, middle, high = statistics.quantiles(paired, n=4) if len(paired) > 1 else paired * 3
    return {
        "work": name, "run": run, "min_us": 1e6 * min(off), "median_us": 1e6 * statistics.median(off),
        "of_minima": min(on) / min(off) - 1, "paired": middle, "quartiles": [low, high],
        "noise": statistics.median(b / a - 1 for a, b in zip(off, again, strict=True)),
    }  # fmt: skip


def show(r):
    low, high = r["quartiles"]
    print(
        f"| {r['work']} | {r['run']} | {r['min_us']:.1f} | {r['median_us']:.1f} | {r['of_minima']:+.1%} | "
        f"{r['paired']:+.1%} | {low:+.1%} – {high:+.1%} | {r['noise']:+.1%} |",
        flush=True,
    )


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workloads", metavar="A,B", help=f"rows of peers.py; without: {', '.join(peers.ROWS)}")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="thread count; 0: fastnn's own choice (0)")
    parser.add_argument("--health", choices=["sampled", "every"], default="sampled", help="which steps are sampled")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="pairs of blocks (15)")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="times to measure, with new processes (2)")
    parser.add_argument("--block", type=float, default=1.0, metavar="F", help="length of a block (1.0: of peers.py)")
    parser.add_argument("--json", metavar="FILE", help="write the table there")
    parser.add_argument("--worker", metavar="ROW", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)
    if options.worker:
        print(json.dumps(measure(options.worker, options)))
        return 0
    print(f"{peers.processor()}, {options.threads or 'default'} threads, health of {options.health} steps")
    print("| work | run | min µs | median µs | cost by minima | cost, paired median | quartiles | noise |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    found = []
    for name in peers.names(options.workloads, list(peers.ROWS), list(peers.ROWS)):
        for run in range(1, options.runs + 1):
            command = [sys.executable, "-P", __file__, *argv, "--worker", name]
            times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            found.append(row(name, run, times))
            show(found[-1])
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    over = [f"{r['work']}, run {r['run']}: {r['paired']:+.1%}" for r in found if r["paired"] > LIMIT]
    print(f"above {LIMIT:.0%}: {'; '.join(over) or 'none'}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
