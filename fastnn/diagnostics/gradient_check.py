"""Gradient checks by finite differences.

(a) An entry is correct if ``|analytic - numeric| <= tolerance * max(|analytic|, |numeric|, floor)``. The floor is the
    apparent gradient from rounding of the values of f, divided by the tolerance: smaller gradients cannot be checked.
(b) An entry above the tolerance is checked again at a tenth and a hundredth of eps. Differences that agree with each
    other but not with the analytic value are an error. If they do not agree, there was a kink within eps (a ReLU whose
    input changed sign), or curvature; then the smaller eps is used.
(c) At a kink itself, f has two slopes, to the left and to the right, whose difference does not vanish with eps. Any
    value between the two is valid, so the entry is counted as a kink and not compared. The loss of a
    model is a sum over samples: if several are at kinks, any sum of their values is valid, and need not
    lie between the two slopes of the sum (all weights zero before a ReLU). So there two slopes are sufficient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag, number
from .._base.text import left, right, width

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray

ROUNDINGS = 16  # rounding errors in a value of f, in units in the last place
ENTRIES = 64  # default number of entries per variable of a model


@dataclass
class EntryCheck:
    """The worst entry of one array, and a summary of the others.

    Attributes
    ----------
    name : str
        Name of the array; "theta" for `check_gradient`.
    index : tuple of int
        Index of the worst entry.
    analytic, numeric : float
        Its given gradient, and that from finite differences.
    error : float
        Relative error ``|analytic - numeric| / max(|analytic|, |numeric|, floor)``.
    shape : tuple of int
    checked, wrong : int
        Number of compared entries, and of those above the tolerance.
    kinks : list of tuple of int
        Entries where the function has two slopes; not compared.
    """

    name: str
    shape: tuple[int, ...]
    index: tuple[int, ...] = ()
    analytic: float = 0.0
    numeric: float = 0.0
    error: float = -1.0
    checked: int = 0
    wrong: int = 0
    kinks: list[tuple[int, ...]] = field(default_factory=list)


class GradientCheck:
    """Result of a gradient check; ``str(...)`` is a table.

    Attributes
    ----------
    passed : bool
        Whether no entry is above the tolerance.
    worst : EntryCheck
        The entry with the largest relative error; also directly as `name`, `index`, `analytic`,
        `numeric`, `error`.
    entries : list of EntryCheck
        One for each array.
    tolerance : float
    kinks : int
        Number of entries at which the function has a kink.
    """

    def __init__(self, entries: list[EntryCheck], tolerance: float) -> None:
        self.entries, self.tolerance = entries, tolerance
        self.worst = max(entries, key=lambda e: e.error)
        self.passed = not any(e.wrong for e in entries)
        self.kinks = sum(len(e.kinks) for e in entries)
        self.name, self.index = self.worst.name, self.worst.index
        self.analytic, self.numeric = self.worst.analytic, self.worst.numeric
        self.error = max(0.0, self.worst.error)

    def raise_if_failed(self) -> Self:
        """Raise an AssertionError with the table unless `passed`; return the object itself."""
        if not self.passed:
            raise AssertionError(str(self))
        return self

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"<gradient check {verdict}, worst relative error {self.error:.2g}>"

    def __str__(self) -> str:
        head = ("", "checked", "worst at", "analytic", "numeric", "rel. error", "")
        rows = [head, *map(_row, self.entries)]
        widths = [max(width(row[i]) for row in rows) for i in range(len(head))]
        lines = []
        for row in rows:
            cells = [right(c, w) for c, w in zip(row, widths, strict=True)]
            for i in (0, 2, 6):
                cells[i] = left(row[i], widths[i])
            lines.append("  ".join(cells).rstrip())
        where = f" at {self.name}{list(self.index)}" if self.worst.checked else ""
        verdict = "passed" if self.passed else "FAILED"
        lines.append(
            f"{verdict}: worst relative error {self.error:.2g}{where}, tolerance {self.tolerance:.2g},"
            f" {self.kinks} {'entry' if self.kinks == 1 else 'entries'} at a kink"
        )
        return "\n".join(lines)


def _row(e):
    name = f"{e.name} {e.shape}"
    remarks = [f"{e.wrong} wrong"] if e.wrong else []
    remarks += [f"kinks: {len(e.kinks)}"] if e.kinks else []
    if not e.checked:
        return name, "0", "", "", "", "", ", ".join(remarks)
    numbers = [f"{v:.9g}" for v in (e.analytic, e.numeric)]
    return name, str(e.checked), str(list(e.index)), *numbers, f"{e.error:.2g}", ", ".join(remarks)


class Differences:
    """Parameters of the comparison: step, one or two sides, tolerance; see the top of the file.

    resolution : relative distance of neighbouring numbers in the arithmetic of f
    summed : whether f is a sum of functions that may each have kinks
    """

    def __init__(self, eps, two_sided, tolerance, resolution, summed=False):
        two_sided = flag("two_sided", two_sided)
        self.two_sided, self.resolution, self.summed = two_sided, resolution, summed
        self.given = eps is not None
        # Where rounding errors, resolution / eps, and truncation errors, eps^2 or eps, are equal.
        best = resolution ** (1 / 3 if two_sided else 1 / 2)
        self.eps = number("eps", eps, 0, open_low=True) if self.given else best
        if tolerance is None:
            curvature = 10 * self.eps ** (2 if two_sided else 1)
            tolerance = max(1e-6, 100 * resolution ** (2 / 3 if two_sided else 1 / 2), curvature)
        self.tolerance = number("tolerance", tolerance, 0, open_low=True)

    def examine(self, entry, index, value, at, start, analytic):
        """Compare one entry: `value(t)` is f with it at t, `start` is ``value(at)``; the result goes to `entry`."""
        eps = self.eps if self.given else self.eps * max(1.0, abs(at))
        numeric, error, slopes = None, None, []
        for h in (eps, eps / 10, eps / 100):
            left, right, central = self.slopes(value, at, start, h)
            noise = ROUNDINGS * self.resolution * abs(start) / h
            found = central if self.two_sided else right
            wrong = self.error(analytic, found, noise)
            slopes.append((left, right, noise))
            if numeric is None:
                numeric, error = found, wrong
                if wrong <= self.tolerance or not isfinite(wrong):
                    break
            elif abs(found - numeric) <= noise + self.tolerance * max(abs(found), abs(numeric)):
                break  # no kink and no curvature: the first difference was correct
            elif wrong <= self.tolerance:
                numeric, error = found, wrong
                break
        else:
            numeric, error = found, wrong
        if error > self.tolerance and self.kink(analytic, slopes):
            entry.kinks.append(index)
            return
        entry.checked += 1
        entry.wrong += not error <= self.tolerance
        if error > entry.error:
            entry.index, entry.error = index, error
            entry.analytic, entry.numeric = analytic, numeric

    def slopes(self, value, at, start, h):
        """Left, right and central difference, with the rounded distances."""
        kind = type(at)
        up, down = kind(at + h), kind(at - h)
        above = value(up)
        right = (above - start) / float(up - at)
        if not self.two_sided:
            return right, right, right
        below = value(down)
        return (start - below) / float(at - down), right, (above - below) / float(up - down)

    def error(self, analytic, numeric, noise):
        if not (isfinite(analytic) and isfinite(numeric)):
            return inf
        largest = max(abs(analytic), abs(numeric), noise / self.tolerance)
        return abs(analytic - numeric) / largest if largest else 0.0

    def kink(self, analytic, slopes):
        """Whether there are two slopes, and `analytic` is compatible with them."""
        if len(slopes) < 2 or not self.two_sided or not isfinite(analytic):
            return False
        (l0, r0, _), (left, right, noise) = slopes[0], slopes[-1]
        slack = 2 * noise + self.tolerance * max(abs(left), abs(right))
        apart = abs(right - left)
        if not isfinite(apart) or apart <= 4 * slack or apart < 0.5 * abs(r0 - l0):
            return False
        return self.summed or min(left, right) - slack <= analytic <= max(left, right) + slack


def check_gradient(
    f: Callable[[FloatArray], Any],
    g: Callable[[FloatArray], Any] | ArrayLike,
    theta: ArrayLike,
    eps: float | None = None,
    two_sided: bool = True,
    tolerance: float | None = None,
) -> GradientCheck:
    r"""Compare a gradient with finite differences of the function.

    :math:`\partial f / \partial \theta_i \approx (f(\theta + \epsilon e_i) - f(\theta - \epsilon e_i)) / 2 \epsilon`

    Parameters
    ----------
    f : callable
        ``f(theta)`` returns a number. `theta` is a copy that f may change.
    g : array_like or callable
        The gradient at `theta`, of the same shape, or ``g(theta)``.
    theta : array_like
        Of any shape. float32 is kept, other dtypes become float64.
    eps : float, optional
        Default: the cube root of the resolution of `theta` (6e-6), times ``|theta_i|`` if that is
        above 1; for one-sided differences, the square root.
    two_sided : bool
        False: ``(f(theta + eps) - f(theta)) / eps``, with an error of order eps instead of eps².
    tolerance : float, optional
        Tolerance of the relative error. Default: 1e-6, or more if required by eps or float32.

    Returns
    -------
    GradientCheck
        Entries at which f has a kink are counted, but not compared.

    Raises
    ------
    ValueError, TypeError
        For a gradient of another shape, or a function that does not return a number.

    Examples
    --------
    >>> check = fastnn.check_gradient(lambda t: t**3, 3.0, 1.0, eps=0.01)
    >>> round(check.numeric, 8), check.passed
    (3.0001, True)
    >>> round(fastnn.check_gradient(lambda t: t**3, 3.0, 1.0, eps=0.01, two_sided=False).numeric, 8)
    3.0301
    >>> print(fastnn.check_gradient(lambda t: (t**2).sum(), lambda t: 2 * t + [0, 1], [3.0, 4.0]))
                checked  worst at  analytic  numeric  rel. error
    theta (2,)        2  [1]              9        8        0.11  1 wrong
    FAILED: worst relative error 0.11 at theta[1], tolerance 1e-06, 0 entries at a kink
    """
    if not callable(f):
        raise TypeError(f"f: expected a function of theta, got {f!r}")
    theta = np.asarray(theta)
    theta = np.array(theta, np.float32 if theta.dtype == np.float32 else np.float64)
    analytic = np.asarray(g(theta.copy()) if callable(g) else g)
    if analytic.shape != theta.shape:
        raise ValueError(
            f"g: expected a gradient of shape {theta.shape}, got {analytic.shape}"
        )
    differences = Differences(eps, two_sided, tolerance, float(np.finfo(theta.dtype).eps))
    entry, start = EntryCheck("theta", theta.shape), _number(f(theta.copy()))
    for index in np.ndindex(theta.shape):

        def value(t, index=index):
            moved = theta.copy()
            moved[index] = t
            return _number(f(moved))

        differences.examine(entry, index, value, theta[index], start, float(analytic[index]))
    return GradientCheck([entry], differences.tolerance)


def _number(value):
    value = np.asarray(value)
    if value.size != 1 or value.dtype.kind not in "fiub":
        raise TypeError(
            f"f: expected a number as result, got an array of shape {value.shape} and dtype {value.dtype}"
        )
    return float(value.reshape(()))
