"""Totals: detected, right label among the first three, right label first, false alarms by code."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .faults import FAULTS, ONLY_NOTED

FAULT = {fault.label: fault for fault in FAULTS}


@dataclass
class Diagnosis:
    """What one doctor says of one program.

    Attributes
    ----------
    program : str
    planted : str or None
        The label; None of a healthy program.
    labels : list of str
        As ranked by the doctor, of severity warning or above.
    notes : list of str
        Further labels, of lower severity.
    codes : list of str
        One for each of `labels`.
    """

    program: str
    planted: str | None
    labels: list
    notes: list = field(default_factory=list)
    codes: list = field(default_factory=list)

    @property
    def ranked(self):
        return [*self.labels, *self.notes]

    @property
    def detected(self):
        return bool(self.labels)

    def names(self, first, strict=True):
        """Whether the label is among the first few; not strictly: or one that names the same mistake."""
        right = {self.planted} | (set() if strict else set(FAULT[self.planted].also))
        return bool(right & set(self.ranked[:first]))


def share(flags):
    flags = list(flags)
    return sum(flags) / len(flags) if flags else None


def by_label(diagnoses):
    """{label: programs, shares detected, named among three, first}; "total" is the mean over labels and over programs.

    Labels that deserve a note only are not counted as missed if nothing of severity warning is reported."""
    groups = defaultdict(list)
    for d in diagnoses:
        if d.planted is not None:
            groups[d.planted].append(d)
    table = {label: _row(groups[label]) for label in FAULT if label in groups}
    serious = [d for label, group in groups.items() if label not in ONLY_NOTED for d in group]
    table["total"] = _row(serious)
    counted = [row for label, row in table.items() if label not in ONLY_NOTED and label != "total"]
    table["mean of labels"] = {
        key: sum(row[key] for row in counted) / len(counted) if key != "programs" else len(counted)
        for key in (counted[0] if counted else ())
    }
    return table


def _row(group):
    return {
        "programs": len(group),
        "detected": share(d.detected for d in group),
        "top3": share(d.names(3) for d in group),
        "first": share(d.names(1) for d in group),
        "top3_equivalent": share(d.names(3, False) for d in group),
        "first_equivalent": share(d.names(1, False) for d in group),
    }


def false_alarms(diagnoses):
    """Of healthy programs: how many, the share with an alarm, and how many of them have each code."""
    healthy = [d for d in diagnoses if d.planted is None]
    codes = Counter(code for d in healthy for code in set(d.codes or d.labels))
    return {"programs": len(healthy), "share": share(d.detected for d in healthy), "codes": dict(codes.most_common())}


def constant_baselines(diagnoses):
    """The best constant answers: one label, and three."""
    planted = Counter(d.planted for d in diagnoses if d.planted is not None and d.planted not in ONLY_NOTED)
    total = sum(planted.values())
    if not total:
        return {}
    best = planted.most_common(3)
    return {
        "first": {"answer": best[0][0], "share": best[0][1] / total},
        "top3": {"answer": [label for label, _ in best], "share": sum(n for _, n in best) / total},
    }
