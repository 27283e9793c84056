"""What `peers.py` holds its rows against: the machine's limit, measured between their blocks, and the targets.

(a) The limit is the FMA peak under load (`suite/peak.c`) of as many cores as a configuration uses: its thread count, or
    CPU time / time where the peer chooses by itself. Round by round it is measured for one thread and for all, and the
    best of the rounds counts, as the minimum does for a row: a busy machine shows in both. What lies between one and
    all is interpolated.
(b) A row's share is the operations of its matrix products / its least time / that limit. What else a step does
    (activations, Adam, batch normalisation, gathering) earns nothing; tiles of bfloat16 may exceed 1.
(c) The targets are "best peer ÷ fastnn". There is a column for each kind of machine on which they were set.
"""

import math
import statistics
from pathlib import Path

from suite import peak

# kind of machine: (column of TARGETS, its name); the first whose flag the CPU has
MACHINES = {
    "avx512f": (0, "a Xeon with AVX-512 and AMX"),
    "avx2": (1, "a Zen 3 (AVX2)"),
}
TILES = "amx_bf16"
TARGETS = {
    "rl": ("2.4", "2.3"),
    "tiny": ("6.5", "3.5"),
    "tiny10k": ("6.5", "4"),
    "fmnist": ("4.2", "2.8"),
    "fmnist128": ("2.4, high 3.5, medium 6", "1.9"),
    "fmnist-bn": ("5.2", "3.2"),
    "deep": ("4.5", "3.8"),
    "wide": ("1.7, high 3.2, medium 5.5", "1.15"),
    "epoch": ("keras 6, sklearn 10", "keras 5, sklearn 9"),
    "headline": ("torch 3, keras 6", "torch 3, keras 5"),
    "train-row": ("torch 20", "torch 40"),
    "predict-row": ("torch 12", "torch 14"),
    "sweep": ("sklearn 25", "sklearn 25"),
    "sweep1000": ("jax 4", "jax 4"),
}


def cpu_flags():
    """Of the first CPU; empty where /proc/cpuinfo does not have them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())


def machine(flags=None):
    """(column of TARGETS or None, a sentence that says which targets these are and why)."""
    flags = cpu_flags() if flags is None else flags
    for flag, (column, name) in MACHINES.items():
        if flag in flags:
            more = "" if flag != "avx512f" or TILES in flags else ", no AMX"
            return column, f"targets: those for {name}; this CPU has {flag}{more}"
    return None, "targets: none were set for this kind of CPU"


def target(name, column):
    return "–" if column is None else TARGETS[name][column]


class Limit:
    """The peaks of one row of the table: {threads: [GFLOP/s of each round]}.

    Parameters
    ----------
    counts : iterable of int
    seconds : float
        Of one measurement.
    """

    def __init__(self, counts, seconds=0.1):
        self.rounds, self.seconds = {n: [] for n in counts}, seconds

    def block(self):
        """Measure each once more."""
        for n, found in self.rounds.items():
            now = peak.measure(n, seconds=self.seconds)
            if not math.isnan(now):
                found.append(now)

    def gflops(self, threads):
        """The best of so many threads; NaN where nothing was measured."""
        best = {n: max(found, default=math.nan) for n, found in self.rounds.items()}
        if threads in best:
            return best[threads]
        least, most = min(best), max(best)
        return best[least] + (best[most] - best[least]) * (threads - least) / (most - least)

    def threads(self, asked, cores):
        """How many threads a configuration counts with: those asked for, or the cores it was seen to use."""
        return asked or min(max(round(cores), 1), max(self.rounds))

    def share(self, flops, microseconds, threads):
        """Share of the limit that a step of so many operations and microseconds reaches, or None."""
        found = flops / microseconds / 1e3 / self.gflops(threads) if flops else math.nan
        return None if math.isnan(found) else found

    def summary(self):
        """For the JSON: {threads: {"best": ..., "median": ..., "rounds": [...]}} in GFLOP/s, or None."""
        return {
            n: {"best": max(found), "median": statistics.median(found), "rounds": found}
            for n, found in self.rounds.items()
            if found
        }

    def text(self):
        """A line for the table."""
        each = [
            f"{n} thread{'s' * (n > 1)} {max(found):.0f} GFLOP/s (best of {len(found)})"
            for n, found in self.rounds.items()
            if found
        ]
        return f"FMA peak under load: {', '.join(each) or 'not measured (needs gcc or clang)'}"
