"""Two or more checkouts of fastnn side by side: is a change faster?

    python -P benchmarks/compare.py before=../before after=. --repeats 15 --runs 2 --at-least 0.98
    python -P benchmarks/compare.py before=../before after=. --workloads fmnist,train-row --threads 0,1 --isa avx2

Each folder is a checkout built in place (`python setup.py build_ext --inplace`). The workers are those of `peers.py`:
a process each, from the same weights on the same data, that run one block of steps at a time, never two at once. They
take turns, the order reversed from round to round, so that each block of one has a block of the others as its
neighbour. The table has the minimum and the median of the blocks and, against the first checkout, the ratio of the
minima and the median and quartiles of the ratios pair by pair; above 1 is faster than the first. Where memory lies
differs from process to process and can be worth a few percent: `--runs 2` measures again with new ones.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
import peers  # noqa: E402

DEFAULT = [*peers.DEFAULT_WORKLOADS, "train-row", "predict-row"]


def commit(folder):
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "no commit"


def start(folder, config, isa, w, block):
    """A worker of `peers.py` that imports fastnn from a folder."""
    found = filter(None, (str(folder), os.environ.get("PYTHONPATH")))
    env = {"PYTHONPATH": os.pathsep.join(found)} | ({"FASTNN_ISA": isa} if isa else {})
    worker = peers.Worker(sys.executable, "fastnn", config, w, block, env)
    got = Path(worker.file).resolve().parent.parent
    if got != folder:  # the folder has no fastnn, or one that is not built
        worker.close()
        raise SystemExit(f"checkouts: expected a fastnn built in place in {folder}, got the one in {got}")
    return worker


def measure(trees, config, w, options):
    """([seconds a step of each block], mean loss of the first steps) of each checkout."""
    with ExitStack() as stack:
        workers = []
        for folder in trees.values():
            workers.append(start(folder, config, options.isa, w, options.block))
            stack.callback(workers[-1].close)
        losses = [worker.loss for worker in workers]
        if w.flops and max(losses) - min(losses) > peers.TOLERANCE.get(w.name, 1e-3) * abs(losses[0]):
            print(f"note: {w.name}: the first losses differ: {losses}")
        for i in range(options.repeats):
            for worker in workers if i % 2 == 0 else reversed(workers):
                time.sleep(options.settle)
                worker.block()
    return [([t / w.steps for t in worker.times], worker.loss) for worker in workers]


def rows(name, run, config, trees, found):
    """What was measured, one row a checkout, beside the first."""
    first = found[0][0]
    for label, (own, loss) in zip(trees, found, strict=True):
        paired = [a / b for a, b in zip(first, own, strict=True)]
        low, middle, high = statistics.quantiles(paired, n=4) if len(paired) > 1 else paired * 3
        yield {
            "work": name, "run": run, "threads": config["threads"], "precision": config["variant"] or "highest",
            "checkout": label, "min_us": 1e6 * min(own), "median_us": 1e6 * statistics.median(own),
            "ratio_of_minima": min(first) / min(own), "paired": middle, "paired_quartiles": [low, high],
            "first_loss": loss, "blocks_us": [1e6 * t for t in own],
        }  # fmt: skip


def show(row):
    head = f"| {row['work']} | {row['run']} | {row['threads'] or 'default'} | {row['precision']} | {row['checkout']} |"
    low, high = row["paired_quartiles"]
    times = f" {row['min_us']:.1f} | {row['median_us']:.1f} | {row['ratio_of_minima']:.3f} |"
    print(f"{head}{times} {row['paired']:.3f} | {low:.3f} – {high:.3f} |", flush=True)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER", help="two or more; ratios are against the first")
    parser.add_argument("--workloads", metavar="A,B", help=f"rows of peers.py, or all; without: {', '.join(DEFAULT)}")
    parser.add_argument("--threads", default="0", metavar="N,M", help="thread counts; 0: fastnn's own choice (0)")
    parser.add_argument("--precision", default="highest", metavar="A,B", help="of highest, high, medium (highest)")
    parser.add_argument("--isa", choices=["scalar", "avx2", "avx512", "amx"], help="FASTNN_ISA of all workers")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="blocks of each (15)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="times to measure, with new processes (1)")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="other processes that compute all the time")
    parser.add_argument("--block", type=float, default=1.0, metavar="F", help="length of a block (1.0: of peers.py)")
    parser.add_argument("--settle", type=float, default=0.02, metavar="S", help="pause before a block (0.02 s)")
    parser.add_argument("--at-least", type=float, metavar="R", help="exit 1 if a median of paired ratios is below")
    parser.add_argument("--json", metavar="FILE", help="write every block there")
    options = parser.parse_args(argv)
    trees = {}
    for text in options.checkouts:
        name, equals, folder = text.partition("=")
        if not (name and folder) or name in trees or not Path(folder).is_dir():
            parser.error(f"checkouts: expected NAME=FOLDER with names that differ and folders that exist, got {text!r}")
        trees[name] = Path(folder).resolve()
    for name, least in (("repeats", 1), ("runs", 1), ("busy", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name}: expected a number from {least} on, got {getattr(options, name)}")
    if not all(n.isdecimal() for n in options.threads.split(",")):
        parser.error(f"--threads: expected thread counts such as 0,1, got {options.threads!r}")
    if len(trees) < 2:
        parser.error("checkouts: expected two or more, got one")
    return options, trees


def main(argv=None):
    options, trees = parse(argv)
    works = peers.names(options.workloads, [*peers.ROWS, *peers.TASKS], DEFAULT)
    modes = peers.names(options.precision, ["highest", "high", "medium"], None)
    configs = [{"threads": int(n), "variant": m} for m in modes for n in options.threads.split(",")]
    head = {"cpu": peers.processor(), "cpus": len(peers.cpus()), "isa": options.isa, "busy": options.busy}
    head["checkouts"] = {name: {"folder": str(f), "commit": commit(f)} for name, f in trees.items()}
    beside = f", beside {options.busy} busy processes" if options.busy else ""
    print(f"{head['cpu']}, {head['cpus']} CPUs, {options.isa or 'best'} kernels, {options.repeats} blocks each{beside}")
    print(", ".join(f"{name}: {each['commit']}" for name, each in head["checkouts"].items()))
    print("| work | run | threads | precision | checkout | min µs | median µs | ratio of minima | paired | quartiles |")
    print("|---|---:|---:|---|---|---:|---:|---:|---:|---:|")
    found, slower = [], []
    with peers.neighbours(options.busy):
        for name, config, run in ((w, c, r) for w in works for c in configs for r in range(1, options.runs + 1)):
            w = peers.workload(name, options.block)
            try:
                new = list(rows(name, run, config, trees, measure(trees, config, w, options)))
            except RuntimeError as error:  # data that is not on this machine
                print(f"note: {name} is left out: {error}")
                continue
            for row in new:
                show(row)
            found += new
            slower += [r for r in new if options.at_least and r["paired"] < options.at_least]
            if options.json:  # after each: an interrupted run keeps what it has
                Path(options.json).write_text(json.dumps({**head, "rows": found}, indent=1) + "\n")
    for r in slower:
        print(f"slower: {r['work']}, run {r['run']}, {r['checkout']}: {r['paired']:.3f} < {options.at_least}")
    return 1 if slower or not found else 0


if __name__ == "__main__":
    sys.exit(main())
