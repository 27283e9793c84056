"""Checks of arguments and names; messages have the argument, what was expected and what was passed."""

from __future__ import annotations

import operator
import sys
from functools import cache, lru_cache

TYPE_CHECKING = False  # for type checkers it is true; here, `import fastnn` must not wait for the module typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")


def suggest(name, candidates):
    """`` Did you mean 'x'?`` for the public candidate nearest to `name`, or an empty string.

    The nearest is the one with the fewest typing errors, one or two; otherwise the most similar."""
    from difflib import SequenceMatcher  # only for errors

    wanted, best = plain_name(name), None
    for candidate in candidates:
        if str(candidate)[:1] == "_":
            continue
        plain = plain_name(candidate)
        errors = _typing_errors(wanted, plain)
        alike = SequenceMatcher(None, wanted, plain).ratio()
        near = errors <= (2 if len(wanted) > 3 else 1)
        if near and errors < len(wanted) or alike >= 0.6:
            as_typed = SequenceMatcher(None, str(name), str(candidate)).ratio()  # "accuracy", not "Accuracy"
            key = (errors if near else 3, -alike, -as_typed)
            if best is None or key < best[0]:
                best = key, candidate
    return "" if best is None else f" Did you mean {best[1]!r}?"


def _typing_errors(a, b):
    """Edit distance: insertions, deletions, substitutions and transpositions of adjacent letters."""
    before, row = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            least = min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                least = min(least, earlier[j - 2] + 1)
            row.append(least)
    return row[-1]


def plain_name(name):
    """A name without case and underscores, for comparisons: "he_normal" is "HeNormal"."""
    return _plain(str(name))


@lru_cache(1024)  # a layer asks for a dozen
def _plain(name):
    return name.lower().replace("_", "")


def own_keywords(function):
    """Arguments of a function or of a class's constructor; ``**kwargs`` are resolved in the base class."""
    if not isinstance(function, type):
        code = getattr(function, "__func__", function).__code__
        return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    names = []
    for cls in function.__mro__:
        init = cls.__dict__.get("__init__")
        if not hasattr(init, "__code__"):
            continue
        names += [n for n in own_keywords(init)[1:] if n not in names]  # without self, whatever its name
        if not init.__code__.co_flags & 0x08:  # no **kwargs: base classes are called with fixed arguments
            break
    return names


def takes(function, n):
    """Whether a function can be called with `n` positional arguments; True if unknown."""
    from inspect import signature

    try:
        signature(function).bind(*[None] * n)
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature
        return True
    return True


def refuse_keywords(function, kwargs, also=()):
    """TypeError for the first of `kwargs`, with the nearest argument that `function` accepts."""
    for name in kwargs:
        known = [k for k in (*own_keywords(function), *also) if k != "self"]
        raise unknown_keyword(function.__name__, name, known)


def unknown_keyword(function, name, known):
    """The TypeError for an unknown argument."""
    return TypeError(
        f"{function}() got an unexpected keyword argument {name!r}.{suggest(name, known)}"
        f" Valid arguments: {', '.join(known)}"
    )


def check_keywords(cls, kwargs):
    """`refuse_keywords` for the constructor of a class without ``**kwargs``: Python's own error has no suggestion."""
    code = getattr(cls.__init__, "__code__", None)
    if kwargs and code is not None and not code.co_flags & 0x08:
        known = own_keywords(cls)
        refuse_keywords(cls, [name for name in kwargs if name not in known])


def integer(name: str, value: Any, minimum: int | None = None) -> int:
    """`value` as an int that is at least `minimum`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(
            f"{name}: expected an integer, got {value!r} of type {type(value).__name__}"
        )
    if minimum is not None and number < minimum:
        raise ValueError(f"{name}: expected an integer of at least {minimum}, got {value!r}")
    return number


def number(
    name: str,
    value: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """`value` as a finite float between `low` and `high`."""
    try:
        x = float(value)
    except (TypeError, ValueError):
        x = None
    if x is None or isinstance(value, (str, bytes, bool)):
        raise TypeError(f"{name}: expected a number, got {value!r} of type {type(value).__name__}")
    below = low is not None and (x <= low if open_low else x < low)
    above = high is not None and (x >= high if open_high else x > high)
    if x != x or abs(x) == float("inf") or below or above:
        raise ValueError(
            f"{name}: expected {_interval(low, high, open_low, open_high)}, got {value!r}"
        )
    return x


def _interval(low, high, open_low, open_high):
    lower = "" if low is None else f"{'above' if open_low else 'at least'} {low:g}"
    upper = "" if high is None else f"{'below' if open_high else 'at most'} {high:g}"
    bounds = " and ".join(filter(None, [lower, upper]))
    return " ".join(filter(None, ["a finite number", "of" * bounds.startswith("at"), bounds]))


def flag(name: str, value: Any) -> bool:
    """`value` as a bool: True or False, including NumPy's, or the integers 1 and 0.

    Other types are errors: the strings "false" and "no" would be true.
    """
    if value is True or value is False:
        return value
    if getattr(value, "shape", ()) == ():  # numpy.bool_, or a number
        try:
            kind = getattr(getattr(value, "dtype", None), "kind", "")
            number = int(value) if kind == "b" else operator.index(value)
        except TypeError:
            number = None
        if number in (0, 1):
            return bool(number)
    raise TypeError(f"{name}: expected True or False, got {value!r} of type {type(value).__name__}")


def one_of(name: str, value: Any, choices: Sequence[T]) -> T:
    """`value` if it is among `choices` (strings in any case)."""
    for choice in choices:
        if value == choice:
            return choice
    for choice in choices if isinstance(value, str) else ():
        if plain_name(value) == plain_name(choice):
            return choice
    known = ", ".join(repr(c) for c in choices)
    raise ValueError(f"{name}: expected one of {known}, got {value!r}.{suggest(value, choices)}")


def shape_of(name: str, value: Any) -> tuple[int, ...]:
    """A shape without its batch axis, as a tuple of positive integers."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name}: expected a shape such as (28, 28), got {value!r}")
    if not hasattr(value, "__iter__"):
        value = (value,)
    return tuple(integer(f"{name}[{i}]", n, minimum=1) for i, n in enumerate(value))


def batch_shape(name: str, value: Any) -> tuple[int | None, tuple[int, ...]]:
    """The shape of a batch, ``(batch, ...)``, as the batch size (None: any) and the shape of a sample."""
    value = tuple(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else value
    if not isinstance(value, tuple) or len(value) < 2:
        example = (None, *value) if isinstance(value, tuple) and value and value != (None,) else (None, 784)
        raise ValueError(f"{name}: expected the shape of a batch, batch size first, such as {example}, got {value!r}")
    rows = None if value[0] is None else integer(f"{name}[0]", value[0], minimum=1)
    return rows, tuple(integer(f"{name}[{i}]", n, minimum=1) for i, n in enumerate(value) if i)


def module_attributes(module, names, find=None, more=lambda: ()):
    """``__getattr__`` and ``__dir__`` of a module: lazy names by `find`, "did you mean" for others.

    `more()` returns further names for `find` that are known only after an import.

    ``from module import nmae`` discards the message of an AttributeError, so only there it
    is an ImportError.
    """
    names = sorted(names)

    def __getattr__(name):
        if find is not None and name in names:
            value = find(name)
            setattr(sys.modules[module], name, value)
            return value
        others = () if name[:1] == "_" else more()
        if name in others:
            return find(name)
        # ``from . import name`` of a module that is not imported yet first looks for an attribute
        quiet = name[:2] == "__" or name in _submodules(module)
        meant = "" if quiet else _elsewhere(module, name) or suggest(name, [*names, *others])
        if _is_from_import(sys._getframe(1)):
            raise ImportError(f"cannot import name {name!r} from {module!r}.{meant}", name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}.{meant}")

    def __dir__():
        own = (name for name in vars(sys.modules[module]) if name[:2] == name[-2:] == "__")
        return sorted({*own, *names, *more()})

    return __getattr__, __dir__


@cache
def _submodules(module):
    """Names of the submodules of a package, found in one look: each is asked for when it is imported."""
    from pkgutil import iter_modules

    path = getattr(sys.modules[module], "__path__", None)
    return frozenset() if path is None else frozenset(found.name for found in iter_modules(path))


def _elsewhere(module, name):
    """`` Did you mean 'fastnn.models.load_model'?`` for a name in another public module; else an empty string."""
    if name[:1] == "_":
        return ""
    from importlib import import_module

    package = module.partition(".")[0]
    try:
        for other in (f"{package}.{part}" for part in import_module(package)._MODULES):
            if other != module and name in getattr(import_module(other), "__all__", ()):
                return f" Did you mean '{other}.{name}'?"
    except ImportError:  # while the package is being imported
        pass
    return ""


def _is_from_import(frame):
    from opcode import opmap

    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]
