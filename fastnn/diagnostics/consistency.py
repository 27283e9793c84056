"""Warnings of parts of a model that do not match, given by `compile` and before the first run.

The rules are those of the doctor that need no data (`doctor/output_rules.py`); what `Model.check` finds beyond them is
not printed. `warn` shows each finding once per model. The messages do not contain automatically numbered names, so
Python's own filter shows them once if a loop creates many models.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING

from ..training.needs import need_compile
from .doctor import output_rules, silence
from .doctor.parts import Parts
from .doctor.registry import RULES, run

if TYPE_CHECKING:
    from ..models.model import Model
    from .doctor.finding import Finding


class ConsistencyWarning(UserWarning):
    """Warning of inconsistent parts of a model.

    Silence it with ``warnings.filterwarnings("ignore", category=fastnn.diagnostics.ConsistencyWarning)``, or a single
    kind with ``fastnn.diagnostics.ignore(code)``. The code is in brackets at the end of the message.
    """


def findings(model: Model) -> list[Finding]:
    """Return the probable mistakes in a compiled model that can be seen without data.

    `Model.check` finds more, and with data much more.

    Parameters
    ----------
    model : Model
        Built and compiled.

    Returns
    -------
    list of Finding

    Raises
    ------
    ValueError
        If the model is not built or not compiled.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, "softmax", input_shape=(3,))])
    >>> model.compile("adam", "mse")
    >>> [finding.code for finding in fastnn.diagnostics.findings(model)]
    ['FN101']
    """
    if not model.built:
        raise ValueError(f"findings: expected a built model, got {model.name}; give it an input shape, or call build")
    need_compile(model, "findings")
    return _found(model, output_rules.AT_RUN)


def _found(model, codes):
    silenced = silence.silenced()
    each = [model] if model._ports is None else model._ports.outputs
    return [
        finding for parts in map(Parts, each)
        for code in codes if code not in silenced for finding in run(RULES[code], parts)
    ]  # fmt: skip


def warn(model, run=False):
    """Warn of each finding that has not been shown for this model.

    Parameters
    ----------
    model : Model
        Built.
    run : bool
        Whether it is about to be run: then layers that are not adapted were forgotten.
    """
    codes = output_rules.AT_COMPILE * model.compiled + ("FN112",) * run
    for finding in _found(model, codes):
        if finding not in model._warned_of:
            model._warned_of.add(finding)
            warnings.warn(str(finding), ConsistencyWarning, stacklevel=_callers())


def _callers():
    """The stack level, as seen from `warn`, of the first frame outside of the library."""
    inside, level, frame = os.path.join(os.path.dirname(os.path.dirname(__file__)), ""), 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    return level
