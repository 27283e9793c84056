"""Two or more checkouts of fastnn side by side: is a change faster?

    python benchmarks/compare.py before=../before after=. --repeats 15
    python benchmarks/compare.py before=../before after=. --workloads fmnist,deep --threads 0,1 --isa avx2

Each folder is a checkout built in place (`python setup.py build_ext --inplace`). The workers are those of `peers.py`:
a process each, from the same weights on the same data, that run one block of steps at a time, never two at once. They
take turns, the order reversed from round to round, so that each block of one has a block of the others as its
neighbour. The table has the minimum and the median of the blocks and, against the first checkout, the ratio of the
minima and the median of the ratios pair by pair; above 1 is faster than the first.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
import peers  # noqa: E402


def start(folder, threads, variant, isa, w, block):
    """A worker of `peers.py` that imports fastnn from a folder."""
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "FASTNN_ISA")}
    os.environ["PYTHONPATH"] = str(Path(folder).resolve())
    if isa:
        os.environ["FASTNN_ISA"] = isa
    try:
        config = {"threads": threads, "variant": variant}
        return peers.Worker(sys.executable, "fastnn", config, w, block)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def measure(trees, threads, variant, w, options):
    """[seconds a step of each block] of each checkout."""
    workers = [start(folder, threads, variant, options.isa, w, options.block) for _, folder in trees]
    try:
        losses = [worker.loss for worker in workers]
        if None not in losses and max(losses) - min(losses) > 1e-3 * abs(losses[0]):
            print(f"note: {w.name}: the first losses differ: {losses}")
        for i in range(options.repeats):
            for worker in workers if i % 2 == 0 else reversed(workers):
                time.sleep(options.settle)
                worker.block()
    finally:
        for worker in workers:
            worker.close()
    return [[t / w.steps for t in worker.times] for worker in workers]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--workloads", metavar="A,B", help="rows of peers.py; without: all steps but wide")
    parser.add_argument("--threads", default="0", metavar="N,M", help="0: the default number (0)")
    parser.add_argument("--variant", default="", metavar="MODE", help="high or medium (CPUs with AMX)")
    parser.add_argument("--isa", help="FASTNN_ISA of all workers")
    parser.add_argument("--repeats", type=int, default=15, help="blocks of each (15)")
    parser.add_argument("--block", type=float, default=1.0, help="length of a block (1.0: that of peers.py)")
    parser.add_argument("--settle", type=float, default=0.02, metavar="S", help="pause before a block (0.02 s)")
    parser.add_argument("--json", metavar="FILE", help="write every block there")
    options = parser.parse_args(argv)
    trees = [tuple(text.split("=", 1)) for text in options.checkouts]
    known = [*peers.WORKLOADS, *peers.TASKS]
    counts, found = [int(n) for n in options.threads.split(",")], []
    machine = f"{peers.processor()}, {len(peers.cpus())} CPUs"
    print(f"{machine}, {options.isa or 'best'} kernels, {options.repeats} blocks of each")
    print("| work | threads | checkout | min µs | median µs | ratio of minima | median of paired ratios |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for name in peers.names(options.workloads, known, peers.DEFAULT_WORKLOADS):
        w = peers.workload(name, options.block)
        for n in counts:
            times = measure(trees, n, options.variant, w, options)
            for (label, _), own in zip(trees, times, strict=True):
                row = {"work": name, "threads": n, "checkout": label, "seconds": own}
                row["ratio_of_minima"] = min(times[0]) / min(own)
                row["paired"] = statistics.median(a / b for a, b in zip(times[0], own, strict=True))
                found.append(row)
                least, middle = min(own) * 1e6, statistics.median(own) * 1e6
                ratios = f"{row['ratio_of_minima']:.3f} | {row['paired']:.3f}"
                print(f"| {name} | {n or 'default'} | {label} | {least:.1f} | {middle:.1f} | {ratios} |", flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
