"""Which findings are not wanted: by code or name, everywhere or within a block."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..._base.checks import suggest

if TYPE_CHECKING:
    from typing import Any, Self

_everywhere: set[str] = set()
_within: ContextVar[frozenset[str]] = ContextVar("ignored findings", default=frozenset())


class ignore:
    """Silence findings by code: ``ignore("FN203")``, or in a block: ``with ignore("FN203"): ...``.

    As a call, for the rest of the process; as a context manager, until the block ends, in its thread or task.

    Parameters
    ----------
    *codes : str
        Codes ("FN203") or names ("input-scale") of rules.

    Raises
    ------
    ValueError
        For an unknown code; the message suggests the nearest one.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, "softmax", input_shape=(3,))])
    >>> with fastnn.diagnostics.ignore("FN101"):
    ...     print(model.check())
    No findings.
    """

    def __init__(self, *codes: str) -> None:
        self._codes = checked("codes", codes)
        self._new = self._codes - _everywhere
        _everywhere.update(self._new)

    def __enter__(self) -> Self:
        _everywhere.difference_update(self._new)
        self._token = _within.set(_within.get() | self._codes)
        return self

    def __exit__(self, *error: Any) -> None:
        _within.reset(self._token)

    @staticmethod
    def reset() -> None:
        """Forget everything that was silenced by calls."""
        _everywhere.clear()


def checked(name, codes):
    """Codes or names of rules as a frozenset of codes; `name` is that of the argument."""
    from . import rules
    from .registry import RULES

    rules.load()
    known = {r.name: r.code for r in RULES.values()}
    found = set()
    for code in [codes] if isinstance(codes, str) else codes:
        if not isinstance(code, str):
            raise TypeError(f"{name}: expected codes such as 'FN101', got {code!r}")
        code = code.strip()
        code = known.get(code, code.upper())
        if code not in RULES:
            raise ValueError(f"{name}: expected the code of a finding, got {code!r}.{suggest(code, [*RULES, *known])}")
        found.add(code)
    return frozenset(found)


def silenced():
    """Codes that are silenced here and now."""
    return _within.get() | _everywhere
