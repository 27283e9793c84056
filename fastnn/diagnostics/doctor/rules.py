"""All rules: importing this module, or calling `load`, fills the registry."""

from . import (
    input_rules,
    optimizer_rules,
    output_rules,
    start_rules,
    structure_rules,
    target_rules,
    training_rules,
)

MODULES = (output_rules, target_rules, input_rules, structure_rules, start_rules, optimizer_rules, training_rules)


def load():
    """Nothing: the import of this module has filled the registry."""
