"""The page "Findings" of the documentation, made from the registry.

``python -m fastnn.diagnostics.doctor.page`` writes it, in a checkout.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from . import rules
from .registry import RULES

HEAD = """# Findings

`model.check(x, y)` looks for what would keep a model from learning, before it is trained, and `history.findings` for
what kept it from learning; see [Seeing why a network does not train](guides/seeing-training.md). Each finding has a
code, which this page explains, a severity, what was found, why it matters, what to do, and the values and thresholds
that it is based on.

- **error**: training cannot work, or does not do what was intended. `compile` and `fit` warn of errors that can be seen
  without data.
- **warning**: very likely harmful. A symptom seen during training is a warning only if it persists and training has
  failed.
- **note**: worth knowing.

A *constant predictor* gives the same output, the best one, for every sample. Training *has failed* if its loss is not
at least 20 % below the loss of a constant predictor. The *fault* of a finding is the kind of mistake; several rules may
have the same fault.

Findings are sorted by severity, then by how likely each is the cause; a finding that another one explains comes after
it. `fastnn.diagnostics.ignore("FN222")` silences a code, in a process or in a `with` block,
`model.check(..., ignore=["FN222"])` in one call.

This page is made from the rules: `python -m fastnn.diagnostics.doctor.page`.
"""
PARTS = {
    "FN1": "Outputs, loss and metrics", "FN20": "Targets", "FN22": "Inputs", "FN3": "Layers and the start",
    "FN4": "Optimizer", "FN5": "Training",
}  # fmt: skip


def text() -> str:
    """The page.

    Returns
    -------
    str
        Markdown.
    """
    rules.load()
    lines, part = [HEAD], None
    for code, rule in sorted(RULES.items()):
        now = _part(code)
        if now != part:
            lines.append(f"## {now}\n")
            part = now
        lines.append(f"### {code}\n")
        words = f"**{rule.title}** (`{rule.name}`, fault `{rule.fault}`). {rule.text.replace('``', '`')}"
        lines.append(fill(" ".join(words.split()), 118, break_on_hyphens=False, break_long_words=False) + "\n")
        if rule.reference:
            lines.append(f"Reference: {rule.reference}.\n")
    return "\n".join(lines)


def _part(code):
    return PARTS.get(code[:3]) or PARTS["FN20" if code < "FN220" else "FN22"]


if __name__ == "__main__":
    Path("docs/findings.md").write_text(text(), encoding="utf-8")
