"""`fastnn.repair` on the programs that have a known cure: how near to the cured twin, how many worse, at what cost.

Half of the validation rows are given to `repair`, and all figures are those of the other half.
"""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

import fastnn

from .bases import ARCHITECTURES, base
from .data import PLANTED
from .faults import FAULTS, plant
from .measure import HARM
from .program import run, score

NEAR = 0.02  # of accuracy or R²
NEAR_LOSS = 0.1  # of the squared error, relatively
SETS = {make.__name__: make for make in PLANTED}


@dataclass
class Repaired:
    """One program."""

    name: str
    label: str
    original: float
    twin: float
    repaired: float
    trainings: float
    seconds: float
    near: bool
    worse: bool
    changes: list


def halves(data):
    """The data with the even validation rows, and with the odd ones."""
    return [replace(data, xv=data.xv[i::2], yv=data.yv[i::2], truth=data.truth[i::2]) for i in (0, 1)]


def is_near(task, found, twin):
    """Whether a score is within two points of the twin's, or the squared error within 10 %."""
    return bool(found >= twin - NEAR or task == "values" and 1 - found <= (1 + NEAR_LOSS) * (1 - twin))


def repair_one(set_name, architecture, seed, labels=None):
    """Of all faults with a cure in one program."""
    twin, records = base(SETS[set_name](seed), architecture, seed), []
    twin_model = run(twin, check=False).model
    for fault in FAULTS:
        if not fault.cure or (labels and fault.label not in labels):
            continue
        program = plant(fault, twin)
        if program is None:
            continue
        given, held = halves(program.data)
        original = run(program, check=False)
        before = 0.0 if original.score is None else score(original.model, held)
        best = score(twin_model, halves(twin.data)[1])
        if fault.harm and before > best - HARM:
            continue
        began = time.perf_counter()
        found = fastnn.repair(
            program.build, given.x, given.y, (given.xv, given.yv), epochs=program.epochs,
            batch_size=program.batch_size, seed=seed, verbose=0,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        after = score(found.model, held)
        records.append(Repaired(
            program.name, fault.label, float(before), float(best), float(after), found.trainings, seconds,
            is_near(program.data.task, after, best), bool(after < before - NEAR),
            [[c.code, c.what] for c in found.changes],
        ))  # fmt: skip
    return [vars(r) for r in records]


def repair_all(seeds, options):
    """(function, arguments) for all programs with a cure."""
    for name in SETS:
        for architecture in ["relu", "bn"] if options.quick else ARCHITECTURES:
            for seed in seeds:
                yield repair_one, (name, architecture, seed, options.labels)


def repair_table(results):
    """Print and return the totals, by label."""
    records = [Repaired(**r) for r in results]
    groups = defaultdict(list)
    for r in records:
        groups[r.label].append(r)
    print("\n| label | programs | as good as the twin % | worse % | trainings (median) | s (median) |")
    print("|---|---|---|---|---|---|")
    table = {}
    for label, group in [*groups.items(), ("total", records)]:
        if not group:
            continue
        row = {
            "programs": len(group), "near": float(np.mean([r.near for r in group])),
            "worse": float(np.mean([r.worse for r in group])),
            "trainings": statistics.median(r.trainings for r in group),
            "seconds": statistics.median(r.seconds for r in group),
        }  # fmt: skip
        table[label] = row
        print(f"| {label} | {row['programs']} | {100 * row['near']:.1f} | {100 * row['worse']:.1f} |"
              f" {row['trainings']:.2f} | {row['seconds']:.2f} |")  # fmt: skip
    return {"repair": table, "records": [vars(r) for r in records]}
