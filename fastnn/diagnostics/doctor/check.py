"""`Model.check`, `History.findings`, and the finding of an error: runs the rules that apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._base.numbers import is_batches
from . import output_rules, rules
from .facts import Facts
from .finding import Finding, Findings
from .parts import Parts
from .ranking import ranked
from .registry import RULES, run
from .silence import checked, silenced
from .training_facts import Training

# Of what they find, `fit` raises an error.
STOPS = {"FN107", "FN201", "FN202", "FN203", "FN204", "FN205", "FN206", "FN216", "FN217", "FN221"}
strict = False  # whether errors of rules are raised, as in tests

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def check(model: Any, x: Any = None, y: Any = None, validation_data: Any = None, sample_weight: Any = None,
          ignore: Iterable[str] = ()) -> Findings:  # fmt: skip
    """`Model.check`.

    Returns
    -------
    Findings
    """
    rules.load()
    ignored = checked("ignore", ignore) | silenced()
    for name, value in (("x", x), ("validation_data", validation_data)):
        if value is not None and is_batches(value):
            raise TypeError(
                f"{name}: expected {'an array' if name == 'x' else '(x, y)'}, got batches ({type(value).__name__});"
                " pass the arrays of one of its batches"
            )
    if model._ports is not None:  # other rules know one input and one output
        codes = [code for code in output_rules.AT_RUN if code not in ignored]
        return Findings(f for output in model._ports.outputs for code in codes for f in run(RULES[code], Parts(output)))
    if x is None and y is not None:
        raise TypeError("x: expected an array, as y is given, got None")
    with model._lock:
        found = _found(Facts(model, x, y, sample_weight, validation_data), ignored)
        model._checked = model._compile_clock.now, found
        return found


def of_history(history: Any) -> Findings:
    """`History.findings`.

    Returns
    -------
    Findings
    """
    rules.load()
    seen = history.seen
    if seen is None or not history.epoch and not seen.diverged:
        return Findings()
    key = len(history.epoch), silenced()
    if seen.gone and (history.found is None or history.found[0] != key):
        raise RuntimeError(
            "findings: expected that the model of the history exists, but it was deleted; read history.findings before,"
            " or keep the model"
        )
    if history.found is None or history.found[0] != key:
        training = Training(history, seen)
        facts = Facts(seen, seen.x, seen.y, seen.w, training=training, n=seen.n, whole=False)
        history.found = key, _found(facts, silenced(), without=("start",), before=seen.checked)
    return Findings(history.found[1])


def of_error(model: Any, error: BaseException, x: Any, y: Any, validation_data: Any) -> Finding | None:
    """The finding that explains why `fit` raised an error; None if there is none.

    Returns
    -------
    Finding or None
    """
    rules.load()
    if model._ports is not None:
        return None
    try:
        if isinstance(error, ArithmeticError):
            return _of_divergence(model)
        if any(value is not None and is_batches(value) for value in (x, validation_data)):
            return None
        with model._lock:
            found = _found(Facts(model, x, y, validation=validation_data), frozenset(), without=("start",))
    except Exception:  # the original error is what matters
        return None
    if str(error).startswith("metric"):
        return next((f for f in found if f.fault == "wrong_metric"), None)
    return next((f for f in found if f.code in STOPS), None)


def _of_divergence(model):
    history = model.history
    if history is None or history.seen is None:
        return None
    history.seen.diverged, history.found = True, None
    return next((f for f in of_history(history) if f.severity != "note"), None)


def _found(facts, ignored, without=(), before=()):
    """`before`: findings of `check`, of which those of rules that find nothing now are kept."""
    known = facts.known - set(without)
    findings: list[Finding] = []
    for each in RULES.values():
        if each.code in ignored or not known.issuperset(each.needs):
            continue
        try:
            findings += run(each, facts)
        except Exception:  # a mistake in a rule must not stop a training
            if strict:
                raise
    now = {f.code for f in findings}
    findings += [f for f in before if f.code not in now and f.code not in ignored]
    return ranked(findings)
