"""What a rule of the doctor found, and lists of findings that print what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ..._base import html

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something that keeps, or probably keeps, a model from learning what it should.

    Attributes
    ----------
    code : str
        Stable name of the rule, such as "FN101"; `diagnostics.ignore` silences it. The page "Findings" of the
        documentation has a section for each.
    fault : str
        Kind of the fault, such as "vanishing_gradient" or "wrong_loss".
    severity : {"error", "warning", "note"}
        "error": training cannot work, or does not do what was intended; "warning": very likely harmful; "note": worth
        knowing.
    layer : str or None
        Name of the layer, if the finding is about one.
    message : str
        What was found.
    why : str
        Why it matters.
    fix : str
        What to do.
    evidence : dict
        The values and thresholds that it is based on: floats, integers and strings.
    reference : str
        Literature, or the section of the documentation.
    likelihood : float
        How likely it is, from 0 to 1, that this is the cause of a failure rather than a consequence or a coincidence;
        findings of one severity are sorted by it.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, "softmax", input_shape=(3,))])
    >>> [finding] = model.check()
    >>> finding.code, finding.fault, finding.severity
    ('FN101', 'wrong_last_activation', 'error')
    """

    code: str
    fault: str
    severity: Literal["error", "warning", "note"]
    layer: str | None
    message: str
    why: str
    fix: str
    evidence: Mapping[str, float | int | str] = field(default_factory=dict, hash=False)
    reference: str = ""
    likelihood: float = field(default=0.5, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dict that can be written as JSON.

        Returns
        -------
        dict
        """
        return asdict(self)

    def __str__(self) -> str:
        """One line: what was found, and what to do."""
        return f"{_sentence(self.message)} {_sentence(self.fix)} [{self.code}]"


class Findings(list[Finding]):
    """A list of findings; printed, it says what was found and what to do, the most important first."""

    def __str__(self) -> str:
        return "\n".join(_lines(self)) if self else "No findings."

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = [
            (f"{f.severity}: {named(f.fault)}", f.layer or "", f.message, f.fix, f.code) for f in self
        ]
        return html.table(str(len(self)) + " findings" if len(self) != 1 else "1 finding",
                          ("finding", "layer", "what", "what to do", "code"), rows, text=range(5))  # fmt: skip


def _lines(findings):
    for i, finding in enumerate(findings, 1):
        where = f" in layer {finding.layer}" if finding.layer else ""
        yield f"{i}. {finding.severity}: {named(finding.fault)}{where} [{finding.code}]"
        for name, text in (("", finding.message), ("Why: ", finding.why), ("What to do: ", finding.fix)):
            if text:
                yield f"   {name}{_sentence(text)}"


def _sentence(text):
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


# How abbreviations in labels are read.
SPELLED = {"bn": "batch normalisation", "lr": "learning rate", "relu": "ReLU", "nan": "NaN", "adam": "Adam",
           "init": "initialisation"}  # fmt: skip


def named(fault: str) -> str:
    """A label in words: "learning rate too high"."""
    return " ".join(SPELLED.get(word, word) for word in fault.split("_"))


def ordered(findings):
    """Sorted by severity, then likelihood."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.likelihood, f.code))
