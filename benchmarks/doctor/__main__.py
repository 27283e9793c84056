"""`python -m benchmarks.doctor`: see the package."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import statistics
import time

import fastnn

from . import measure, reference, scores
from .measure import OURS, Record
from .program import run
from .repairs import repair_all, repair_table


def run_all(jobs, path=None):
    """Results of (function, arguments), in their order, one core each; results depend on no thread count.

    What there is so far is also written to a file of JSON lines, for runs that are interrupted."""
    jobs = list(jobs)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        os.cpu_count(), context, fastnn.set_num_threads, (1,)
    ) as pool:
        futures = [pool.submit(function, *arguments) for function, arguments in jobs]
        for at, future in enumerate(futures, 1):
            found = future.result()
            if path:
                with open(f"{path}.part", "a" if at > 1 else "w") as file:
                    file.writelines(json.dumps(each) + "\n" for each in found)
            yield from found
            print(f"\r{at}/{len(jobs)}", end="", flush=True)
    print()


def percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


def print_labels(table):
    columns = ("programs", "detected %", "top 3 %", "first %", "top 3, or equivalent", "first, or equivalent")
    print(f"\n| {OURS}: label | {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|")
    for label, row in table.items():
        cells = " | ".join(percent(row[k]) for k in row if k != "programs")
        print(f"| {label} | {row['programs']} | {cells} |")


def print_doctors(summary, baselines):
    head = "doctor | detected % | top 3 % | first % | top 3, or equivalent | false alarms %"
    print(f"\n| {head} |\n|---|---|---|---|---|---|")
    for name, found in summary.items():
        total = found["labels"]["total"]
        cells = [percent(total[k]) for k in ("detected", "top3", "first", "top3_equivalent")]
        print(f"| {name} | {' | '.join(cells)} | {percent(found['false_alarms']['share'])} |")
    if baselines:
        first, three = baselines["first"], baselines["top3"]
        share = percent(first["share"])
        print(f"| always {first['answer']} | 100.0 | {share} | {share} | – | 100.0 |")
        print(f"| always {', '.join(three['answer'])} | 100.0 | {percent(three['share'])} | – | – | 100.0 |")


def diagnose(options):
    """Run all programs; print and return the tables."""
    began, seeds = time.perf_counter(), list(range(1 if options.quick else options.seeds))
    jobs = measure.jobs(seeds, options.quick, options.labels)
    records = [Record(**r) for r in run_all(jobs, options.json)]
    kept = measure.counted(records)
    summary = {}
    for doctor in (OURS, *reference.DOCTORS):
        diagnoses = [r.diagnosis(doctor) for r in kept]
        summary[doctor] = {"labels": scores.by_label(diagnoses), "false_alarms": scores.false_alarms(diagnoses)}
    diagnoses = [r.diagnosis(OURS) for r in kept]
    baselines = scores.constant_baselines(diagnoses)
    planted = [r for r in records if r.planted]
    healthy = summary[OURS]["false_alarms"]["programs"]
    print_labels(summary[OURS]["labels"])
    print_doctors(summary, baselines)
    left = len(planted) - sum(r.planted is not None for r in kept)
    print(f"\n{len(planted)} faulty programs, {left} of them without harm and left out; {healthy} healthy ones")
    print("false alarms by code:", summary[OURS]["false_alarms"]["codes"] or "none")
    times = {"check": measure.check_times(), "median check": statistics.median(r.check_seconds for r in records),
             "median fit": statistics.median(r.fit_seconds for r in records)}  # fmt: skip
    for name, found in times["check"].items():
        print(f"check of {name}: {1e3 * found['median']:.1f} ms (median of 7), {1e3 * found['min']:.1f} ms (minimum)")
    print(f"per program: check {1e3 * times['median check']:.1f} ms, fit {1e3 * times['median fit']:.1f} ms (medians)")
    print(f"{time.perf_counter() - began:.0f} s")
    return {"summary": summary, "baselines": baselines, "times": times, "records": [vars(r) for r in records]}


def show(name):
    """Print a program, its findings and its figures."""
    program = measure.named(name)
    print(program)
    out = run(program)
    for finding in out.findings:
        print(f"{finding.severity} {finding.fault}: {finding}\n    {finding.evidence}")
    print("error:" if out.error else "score:", out.error or out.score)
    if out.history is not None:
        print(getattr(out.history, "health", None))
        print({key: [round(v, 4) for v in values[:: max(1, len(values) // 8)]] for key, values in
               out.history.history.items()})  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description="How often the doctor is right.")
    parser.add_argument("--quick", action="store_true", help="one seed, two architectures: a minute")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds of each program (3)")
    parser.add_argument("--labels", nargs="*", metavar="LABEL", help="only these faults, no healthy networks")
    parser.add_argument("--repair", action="store_true", help="measure fastnn.repair instead")
    parser.add_argument("--json", metavar="FILE", help="write everything to a file")
    parser.add_argument("--show", metavar="PROGRAM", help="what is found in it, such as zero_init:digits/relu/0")
    options = parser.parse_args()
    if options.show:
        return show(options.show)
    unknown = sorted(set(options.labels or ()) - set(scores.FAULT))
    if unknown:
        parser.error(f"--labels: expected some of {', '.join(scores.FAULT)}, got {', '.join(unknown)}")
    if options.repair:
        jobs = repair_all(range(1 if options.quick else options.seeds), options)
        results = repair_table(run_all(jobs, options.json))
    else:
        results = diagnose(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
