"""Operators of symbolic tensors: layers that join two of them, or scale one."""

from __future__ import annotations

from numbers import Real
from typing import Any

from . import merging
from .rescaling import Rescaling
from .symbolic import Operand, tensor

JOIN = {"+": merging.add, "-": merging.subtract, "*": merging.multiply, "/": merging.divide}


def joined(operator: str, a: Any, b: Any) -> Any:
    """The symbolic tensor of ``a operator b``, of which one may be a number; NotImplemented for anything else."""
    x, y = tensor(a), tensor(b)
    if x is not None and y is not None:
        return JOIN[operator]([x, y])
    number, first = (a, False) if x is None else (b, True)
    if not isinstance(number, Real) or isinstance(number, bool):
        return NotImplemented
    number = float(number)
    if operator == "/" and not first:
        return merging.divide([Rescaling(0.0, number)(y), y])
    if operator == "/" and number == 0:
        raise ZeroDivisionError(f"{a!r} / 0")
    scale, offset = {
        "+": lambda: (1.0, number), "-": lambda: (1.0, -number) if first else (-1.0, number),
        "*": lambda: (number, 0.0), "/": lambda: (1 / number, 0.0),
    }[operator]()  # fmt: skip
    return Rescaling(scale, offset)(x if first else y)


Operand.joined = staticmethod(joined)
