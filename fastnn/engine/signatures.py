"""What kernels read and write, by name: the declarations of src_c (operands.h) as the planner uses them.

Nothing here knows a kernel: names, order, how the work is split, and what a thread touches of an operand come from the
table of the kernels.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from .._core import kernels

# kind of a formula's loop -> the lists of rows that have one
LOOPS = {
    "fnn_map_fwd": "act_fwd",
    "fnn_map_bwd": "act_bwd",
    "fnn_update": "update",
    "fnn_beside": "beside",
}


class Place(NamedTuple):
    """Where an operand lies: a base and an offset in bytes, and what is touched through it.

    regions : tuple of int
        Where in the base the buffers, arrays and parameters begin that are touched: two are the same or have nothing in
        common.
    key : str or None
        Of a buffer of the batch: its name.
    """

    base: str
    offset: int
    regions: tuple = ()
    key: str | None = None


@dataclass(frozen=True)
class Operand:
    """A pointer of a kernel. mode: "in", "out", "io", or "updated": written by operations with the formula `update`.
    where: what a rectangle touches of it, see operands.h."""

    name: str
    mode: str
    optional: bool
    where: str

    def part(self, split, regions):
        """What says that a thread touches nothing that is another thread's: equal parts; None: it may."""
        if self.where == "local":
            found = "samples" if split.way == "samples" else split
        elif self.where == "blocks" or self.where == split.way == "features":
            found = split
        elif self.where == split.way == "samples":
            found = "samples"
        else:
            return None
        return found, regions


@dataclass(frozen=True)
class Signature:
    """The declaration of a kernel.

    way : {"rect", "samples", "features", "slots", "items", "one"}
        How threads share an operation.
    extent : str or None
        The size, by name, where the features of a rectangle end; None: operations say how many `items` they have.
    operands : tuple of Operand
    sizes, numbers : tuple of (name, how many)
    formulas : tuple of (name, kind of loop)
    """

    kernel: str
    way: str
    extent: str | None
    operands: tuple
    sizes: tuple
    numbers: tuple
    formulas: tuple

    @property
    def reduces(self):
        """Whether an operation needs more than the samples at hand: it ends a chunked segment."""
        return self.way in ("features", "one", "items")

    def arrange(self, given):
        """``(p, n, s, fn)``: what is given by name, in the order of the kernel.

        Raises
        ------
        TypeError
            For an operand that the kernel does not have or that is missing, and for a wrong number of numbers."""
        known = [o.name for o in self.operands]
        known += [name for name, _ in (*self.sizes, *self.numbers, *self.formulas)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise TypeError(f"kernel {self.kernel!r} has no operand {unknown[0]!r}; it has {', '.join(known)}")
        missing = [o.name for o in self.operands if not o.optional and given.get(o.name) is None]
        missing += [name for name, _ in self.sizes if name not in given]
        if missing:
            raise TypeError(f"kernel {self.kernel!r}: operand {missing[0]!r} is missing")
        p = [given.get(o.name) for o in self.operands]
        n = [number for name, most in self.sizes for number in self._some(name, most, given[name])]
        s = [number for name, most in self.numbers for number in self._some(name, most, given.get(name, ()))]
        rows = [(LOOPS[kind], given.get(name)) for name, kind in self.formulas]
        return p, n, s, [(loop, row) if row is not None else None for loop, row in rows]

    def _some(self, name, most, value):
        """`most` numbers, filled up with zeros."""
        value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        if len(value) > most:
            expected = "one number" if most == 1 else f"at most {most} numbers"
            raise TypeError(f"kernel {self.kernel!r}: expected {expected} for {name!r}, got {len(value)}")
        return value + (0,) * (most - len(value))


@cache
def signature(kernel):
    """The declaration of a kernel, or of a row as "loss:name" or "metric:name"."""
    way = extent = None
    operands, sizes, numbers, formulas = [], [], [], []
    for line in kernels.signature(kernel).splitlines():
        kind, name, *rest = line.split()
        if kind == "split":
            way, extent = name, None if rest == ["none"] else rest[0]
        elif kind == "p":
            mode = rest[0].removesuffix("_opt")
            operands.append(Operand(name, mode, mode != rest[0], rest[1]))
        elif kind == "fn":
            formulas.append((name, rest[0]))
        else:
            (sizes if kind == "n" else numbers).append((name, int(rest[0]) if rest else 1))
    return Signature(kernel, way, extent, *map(tuple, (operands, sizes, numbers, formulas)))
