"""Constructors and functions with Keras' arguments in Keras' order, positional as well as by name.

(a) Arguments that many classes share are written once, in their base class; `taking` adds them to each signature.
(b) Keras arguments that cannot have an effect here are accepted, to keep the order, but any value other than Keras'
    default is an error: a class lists them as `without_effect`.
"""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from math import inf
from typing import TYPE_CHECKING

from .checks import flag, unknown_keyword

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Init = TypeVar("Init", bound=Callable[..., None])

OF_EVERY_ROW = {"out": "FloatArray | None", "threads": "int | None"}  # arguments of the functions of ops
FLAGS = ("approximate",)  # parameters of rows that are numbers to the kernels alone


def only_default(name, value, default):
    """ValueError unless `value`, which cannot have an effect here, is Keras' default."""
    value = flag(name, value) if isinstance(default, bool) else value
    if value is default or (isinstance(value, (bool, int, float, str)) and value == default):
        return
    raise ValueError(f"{name}: expected {default!r}, the only supported value, got {value!r}")


def check_without_effect(thing, given):
    """`only_default` for the arguments that the class of `thing` lists as `without_effect`; `given`: by name."""
    for name, default in type(thing).without_effect.items():
        if name in given:
            only_default(name, given[name], default)


def _by_place(function):
    return [p for p in signature(function).parameters.values() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]


def taking(base: type[Any]) -> Callable[[Init], Init]:
    """Decorator of a constructor with ``**kwargs``: appends the arguments of the base class to its signature.

    The signature is a real one, for help(), editors and argument checks.
    """

    def decorate(init: Any) -> Any:
        own = _by_place(init)
        names = [p.name for p in own]
        more = [p for p in _by_place(base.__init__) if p.name not in names]
        defaults = {f"_{p.name}": p.default for p in [*own, *more] if p.default is not p.empty}
        arguments = ", ".join(p.name + f"=_{p.name}" * (p.default is not p.empty) for p in [*own, *more])
        passed = ", ".join([*names, *(f"{p.name}={p.name}" for p in more)])
        scope = {"_init": init, **defaults}
        exec(f"def __init__({arguments}, **kwargs):\n    _init({passed}, **kwargs)", scope)
        made = scope["__init__"]
        made.__doc__, made.__module__, made.__qualname__ = init.__doc__, init.__module__, init.__qualname__
        made.__annotations__ = {p.name: p.annotation for p in [*own, *more] if p.annotation is not p.empty}
        for name in ("kwargs", "return"):
            if name in init.__annotations__:
                made.__annotations__[name] = init.__annotations__[name]
        return made

    return decorate


def by_name(function, order, values, given):
    """Positional arguments, in an order, and keyword arguments as one dict by name."""
    if len(values) > len(order):
        raise TypeError(f"{function}: expected x and at most {len(order)} parameters, got {len(values)}")
    for key, value in zip(order, values, strict=False):
        if key in given:
            raise TypeError(f"{function}: got multiple values for {key}")
        given[key] = value
    return given


def signature_of_row(defaults, keyword_only=()):
    """The signature of an activation: x, then the parameters of its row in order, then keyword-only ones."""
    parameters = [Parameter("x", Parameter.POSITIONAL_OR_KEYWORD, annotation="ArrayLike")]
    parameters += _of_row(defaults, Parameter.POSITIONAL_OR_KEYWORD)
    for name in keyword_only:
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=OF_EVERY_ROW[name]))
    return Signature(parameters, return_annotation="FloatArray")


def with_row(function, defaults):
    """Give a function with ``**params`` the signature with the parameters of its row, keyword-only, in their place."""
    shown = signature(function)
    fixed = [p for p in shown.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    function.__signature__ = shown.replace(parameters=[*fixed, *_of_row(defaults, Parameter.KEYWORD_ONLY)])
    return function


def _of_row(defaults, kind):
    """Parameters of a row; None stands for a default that is infinite, and everywhere for the default."""
    for name, default in defaults.items():
        shown, meant = None if default == inf else default, "float | None"
        if name in FLAGS:
            shown, meant = False, "bool"
        elif type(default) is int:  # an axis
            meant = "int"
        yield Parameter(name, kind, default=shown, annotation=meant)


def row_value(name, value, check):
    """A parameter of a row as a number; 1 or 0 for a flag."""
    if name not in FLAGS:
        return check(name, value)
    return float(flag(name, int(value) if type(value) is float and value in (0, 1) else value))


def function_of(cls, name, first, left_out, run, doc):
    """A function with the arguments `first`, then those of a class's constructor without `left_out`.

    It calls ``run(*first, settings)``; settings are the other arguments that were passed.
    """
    head = [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, annotation="ArrayLike") for n in first]
    own = [p for p in _by_place(cls.__init__)[1:] if p.name not in left_out]
    order = [*first, *(p.name for p in own)]

    def function(*args, **kwargs):
        for key in kwargs:
            if key not in order:
                raise unknown_keyword(name, key, order)
        if len(args) > len(order):
            raise TypeError(f"{name}: expected at most {len(order)} arguments, {', '.join(order)}, got {len(args)}")
        for key in order[: len(args)]:
            if key in kwargs:
                raise TypeError(f"{name}: got multiple values for {key}")
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        missing = [n for n in first if n not in given]
        if missing:
            raise TypeError(f"{name}: missing argument {missing[0]}; expected {', '.join(first)}")
        return run(*(given.pop(n) for n in first), given)

    function.__signature__ = Signature([*head, *own], return_annotation="FloatArray")
    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = cls.__module__, doc
    return function


def with_custom(value, custom_objects):
    """A configuration with the descriptions of custom classes replaced by objects."""
    if isinstance(value, (list, tuple)):
        return type(value)(with_custom(v, custom_objects) for v in value)
    if not isinstance(value, dict):
        return value
    value = {k: with_custom(v, custom_objects) for k, v in value.items()}
    if set(value) == {"class_name", "config"} and value["class_name"] in custom_objects:
        return custom_objects[value["class_name"]].from_config(value["config"])
    return value
