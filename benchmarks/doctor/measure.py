"""Runs programs with every doctor, one core for each process."""

import time
import warnings
from dataclasses import asdict, dataclass, field

import numpy as np

import fastnn

from . import data, healthy, reference
from .bases import ARCHITECTURES, base
from .faults import FAULTS, ONLY_NOTED, plant
from .program import run
from .scores import Diagnosis

HARM = 0.05  # of accuracy or R²
OURS = "fastnn"
SETS = {make.__name__: make for make in data.ALL}


@dataclass
class Record:
    """One program: what every doctor says, and what it took."""

    name: str
    planted: str | None
    score: float | None
    twin: float | None
    error: str | None
    harmed: bool
    check_seconds: float
    fit_seconds: float
    found: list = field(default_factory=list)  # our findings: code, fault, severity, layer, evidence
    reference: dict = field(default_factory=dict)

    def diagnosis(self, doctor):
        if doctor != OURS:
            return Diagnosis(self.name, self.planted, self.reference[doctor])
        serious = [f for f in self.found if f["severity"] != "note"]
        notes = [f["fault"] for f in self.found if f["severity"] == "note"]
        return Diagnosis(self.name, self.planted, [f["fault"] for f in serious], notes, [f["code"] for f in serious])


def record(program, planted=None, twin=None, harm=False):
    """Run a program, ask all doctors."""
    out = run(program)
    seen = reference.Run(
        program.data.x, program.data.y, out.model, getattr(out.history, "health", None),
        getattr(out.history, "history", {}), out.error is not None, isinstance(out.error, fastnn.NonFiniteError),
    )  # fmt: skip
    answers = {}
    for name, doctor in reference.DOCTORS.items():
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers[name] = list(dict.fromkeys(doctor(seen)))
    harmed = bool(not harm or out.error is not None or out.score < twin - HARM)
    found = [{"code": f.code, "fault": f.fault, "severity": str(f.severity), "layer": f.layer,
              "evidence": repr(f.evidence)} for f in out.findings]  # fmt: skip
    return Record(
        program.name, planted, None if out.score is None else float(out.score), twin,
        None if out.error is None else f"{type(out.error).__name__}: {out.error}"[:300], harmed, out.check_seconds,
        out.fit_seconds, found, answers,
    )  # fmt: skip


def faulty(set_name, architecture, seed, labels=None):
    """Records of a healthy twin and of all its faults."""
    program = base(SETS[set_name](seed), architecture, seed)
    records = [record(program)]
    for fault in FAULTS:
        if labels and fault.label not in labels:
            continue
        planted = plant(fault, program)
        if planted is not None:
            records.append(record(planted, fault.label, records[0].score, fault.harm))
    return [asdict(r) for r in records]


def sound(set_name, seed, networks=None):
    """Records of the healthy candidates of a data set."""
    return [asdict(record(p)) for p in healthy.programs([seed], [SETS[set_name]], networks)]


def jobs(seeds, quick=False, labels=None):
    """(function, arguments) of everything to run."""
    if SETS["clothes"](0) is None:
        SETS.pop("clothes")
    architectures = ["relu", "bn"] if quick else list(ARCHITECTURES)
    for make in data.PLANTED:
        for architecture in architectures:
            for seed in seeds:
                yield faulty, (make.__name__, architecture, seed, labels)
    if labels is None:
        for name in SETS:
            for seed in seeds[:2]:
                yield sound, (name, seed, 4 if quick else None)


def named(name):
    """A program by its name, as in the table of misses."""
    kind, _, rest = name.partition(":")
    if kind == "healthy":
        set_name, *_, seed = rest.split("/")
        return next(p for p in healthy.programs([int(seed)]) if p.name == name)
    set_name, architecture, seed = (rest or name).split("/")
    program = base(SETS[set_name](int(seed)), architecture, int(seed))
    return plant(next(f for f in FAULTS if f.label == kind), program) if rest else program


def check_times():
    """Seconds of `check` at 60,000 × 784 and for a table of 768 × 8; minimum and median of 7."""
    rng, found = np.random.default_rng(0), {}
    for name, rows, columns, classes in (("60,000 x 784", 60_000, 784, 10), ("768 x 8", 768, 8, 2)):
        x, y = rng.random((rows, columns), np.float32), rng.integers(0, classes, rows)
        xv, yv = x[: rows // 6] + np.float32(0.5), y[: rows // 6]
        dense = fastnn.layers.Dense
        model = fastnn.Sequential([dense(300, "relu", input_shape=(columns,)), dense(100, "relu"),
                                   dense(classes, "softmax")])  # fmt: skip
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        if not hasattr(model, "check"):
            return {}
        times = []
        for _ in range(7):
            began = time.perf_counter()
            model.check(x, y, validation_data=(xv, yv))
            times.append(time.perf_counter() - began)
        found[name] = {"first": times[0], "min": min(times), "median": sorted(times)[3]}
    return found


def counted(records):
    """Those that count: faults with harm where the label promises it, and twins and candidates that train well."""
    healthy_ones = {r.name: r.score for r in records if r.planted is None and r.name.startswith("healthy:")}
    well = healthy.are_healthy(healthy_ones)
    return [r for r in records if (r.harmed if r.planted else well.get(r.name, True))]


__all__ = ["HARM", "ONLY_NOTED", "OURS", "Record", "check_times", "counted", "faulty", "jobs", "record", "sound"]
