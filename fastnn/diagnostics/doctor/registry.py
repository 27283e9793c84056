"""The rules of the doctor: each a function of the facts that yields what it found, declared once.

The declaration has code, name, fault, title and reference; the docstring of the function is its section of the page
"Findings" (`page.py`): when it fires, with thresholds, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING

from .finding import SEVERITIES, Finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The labels of faults.
FAULTS = frozenset(
    "vanishing_gradient exploding_gradient dying_relu saturated bad_init zero_init symmetric_units wrong_loss"
    " wrong_last_activation missing_activation activation_mismatch no_nonlinearity double_softmax unscaled_data"
    " unscaled_target target_out_of_range label_encoding shape_mismatch nan_data nan_source constant_feature"
    " constant_target random_target shuffled_labels duplicate_rows too_few_rows class_imbalance validation_leak"
    " wrong_metric lr_too_high lr_too_low lr_invalid wrong_optimizer low_adam_epsilon loss_reduction batch_size"
    " too_few_epochs too_few_units too_deep over_regularised dropout_too_high missing_bn bias_before_bn double_scaling"
    " oscillating_loss no_learning overfitting".split()
)
NEEDS = ("built", "compiled", "x", "y", "validation", "start", "history")


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes
    ----------
    code, name : str
        "FN101", "softmax-of-one-unit".
    fault : str
        Usual one of its findings.
    title : str
    needs : tuple of str
        What must be known: some of `NEEDS`.
    reference : str
    find : function
        Of a `Facts`; yields findings.
    """

    code: str
    name: str
    fault: str
    title: str
    needs: tuple[str, ...]
    reference: str
    find: Callable[[Any], Any]

    @property
    def where(self) -> str:
        """Its section of the documentation, and the literature."""
        page = f"docs/findings.md#{self.code.lower()}"
        return f"{page} ({self.reference})" if self.reference else page

    @property
    def text(self) -> str:
        """Its section of the documentation."""
        return cleandoc(self.find.__doc__ or "")


RULES: dict[str, Rule] = {}


class Made(dict[str, "Any"]):
    """What a rule yields: the arguments of its finding."""


def found(severity, message, fix, why="", layer=None, evidence=None, likelihood=0.5, fault=None):
    """What a rule yields, for `run` to complete with what its declaration says."""
    return Made(severity=severity, message=message, fix=fix, why=why, layer=layer, evidence=evidence or {},
                likelihood=likelihood, fault=fault)  # fmt: skip


def rule(code, name, fault, title, *needs, reference=""):
    """Declare a rule: decorator of a function of a `Facts` that yields `found(...)`."""
    assert fault in FAULTS and set(needs) <= set(NEEDS), (code, fault, needs)
    assert code not in RULES, code

    def declared(find):
        RULES[code] = Rule(code, name, fault, title, needs, reference, find)
        return find

    return declared


def run(rule, facts):
    """The findings of a rule."""
    for made in rule.find(facts):
        fault = made["fault"] or rule.fault
        assert fault in FAULTS and made["severity"] in SEVERITIES
        evidence = {name: _plain(value) for name, value in made["evidence"].items()}
        yield Finding(
            rule.code, fault, made["severity"], made["layer"], made["message"], made["why"], made["fix"], evidence,
            rule.where, made["likelihood"],
        )  # fmt: skip


def _plain(value):
    """A value that can be written as JSON."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value
