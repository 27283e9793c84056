"""``python -m fastnn check model.fastnn --data train.npz``: what the doctor finds, and an exit code for CI."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

EPILOG = """The arrays of the .npz file are called x and y, those for validation x_val and y_val (or x_test and y_test),
sample weights sample_weight. Exit code: 1 if there is a finding of severity error, 2 for wrong usage, otherwise 0."""


def parser() -> argparse.ArgumentParser:
    """The parser of the arguments after ``check``."""
    p = argparse.ArgumentParser(
        prog="python -m fastnn check", description="Check a saved model and its training data.", epilog=EPILOG
    )
    p.add_argument("model", help="file written by model.save")
    p.add_argument("--data", metavar="FILE", help="training data, a .npz file with x and y")
    p.add_argument("--json", action="store_true", help="print a JSON list of the findings")
    p.add_argument("--ignore", metavar="CODE", action="append", default=[], help="code to silence; may be repeated")
    return p


def main(arguments: list[str] | None, load_model: Callable[[str], Any]) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : list of str
    load_model : callable
        `models.load_model`.

    Returns
    -------
    int
        Exit code.
    """
    p = parser()
    options = p.parse_args(arguments)
    ignored = [code for each in options.ignore for code in each.replace(",", " ").split()]
    try:
        model = load_model(options.model)
        findings = model.check(**_data(options.data), ignore=ignored)
    except (OSError, ValueError, TypeError, KeyError) as error:
        p.error(str(error))
    if options.json:
        print(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        print(findings)
    return int(any(finding.severity == "error" for finding in findings))


def _data(path):
    if path is None:
        return {}
    with np.load(path) as file:
        if not hasattr(file, "files"):
            raise ValueError(f"--data: expected a .npz file with x and y, got a single array in {path}")
        arrays = {name: file[name] for name in file.files}
    for name in ("x", "y"):
        if name not in arrays:
            raise ValueError(f"--data: expected arrays x and y in {path}, got {', '.join(arrays) or 'none'}")
    found = {"x": arrays["x"], "y": arrays["y"]}
    if "sample_weight" in arrays:
        found["sample_weight"] = arrays["sample_weight"]
    for kind in ("val", "test"):
        if f"x_{kind}" in arrays and f"y_{kind}" in arrays:
            found["validation_data"] = (arrays[f"x_{kind}"], arrays[f"y_{kind}"])
            break
    return found
